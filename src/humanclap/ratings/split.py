"""Give ratings or targets a split that keeps clips and captions together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from humanclap.errors import SettingsError
from humanclap.grouping import grouped_split
from humanclap.records import Rating, Target

Splittable = TypeVar("Splittable", Rating, Target)


def assign_splits(
    records: Sequence[Splittable], fractions: Mapping[str, float], seed: int = 0
) -> list[Splittable]:
    """The records with `split` set anew; no clip and no caption is in two splits.

    fractions: split name -> share of the pairs, summing to 1. The same pairs and seed give the
    same splits. Fails as `humanclap.grouping.grouped_split`.
    """
    split_of = grouped_split(records, fractions, seed)
    return [replace(record, split=split_of[record.pair_id]) for record in records]


def parse_fractions(text: str) -> dict[str, float]:
    """Read `train=0.8,validation=0.1,test=0.1`.

    >>> parse_fractions("train=0.9, test=0.1")
    {'train': 0.9, 'test': 0.1}
    """
    fractions: dict[str, float] = {}
    for part in text.split(","):
        name, equals, share = part.partition("=")
        name = name.strip()
        try:
            if not (equals and name) or name in fractions:
                raise ValueError(part)
            fractions[name] = float(share)
        except ValueError as error:
            raise SettingsError(
                f"fractions are written train=0.8,test=0.2, each name once; not {text!r}"
            ) from error
    return fractions
