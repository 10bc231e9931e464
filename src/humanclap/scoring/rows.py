"""A `Score` as a row of JSON or of an Arrow table, and back: both lack NaN."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from humanclap.json_values import finite
from humanclap.records import Score

_NUMBERS = frozenset(field.name for field in fields(Score) if field.type == "float")


def row_of(score: Score) -> dict[str, Any]:
    """The fields of a score; None in place of NaN.

    >>> row_of(Score(audio="a.wav", text="rain", score=0.5))["rating"] is None
    True
    """
    return {name: finite(value) for name, value in asdict(score).items()}


def score_of(row: Mapping[str, Any]) -> Score:
    """The score of a row; NaN for a number that is None."""
    given: dict[str, Any] = {
        name: math.nan if value is None and name in _NUMBERS else value
        for name, value in row.items()
    }
    return Score(**given)
