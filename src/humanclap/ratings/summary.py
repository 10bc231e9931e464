"""Summaries of ratings: how many, by whom, of which mean, and how far listeners agree."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from humanclap.metrics.reliability import Reliability, reliability
from humanclap.records import Rating, Votes

Labelled = TypeVar("Labelled", Rating, Votes)

EVERY = "all"
"""The name of all splits, systems or kinds together."""
UNNAMED = "–"
"""The name of ratings and choices without a split, a system or a kind."""
_SPLITS = ("train", "validation", "test")


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupSummary:
    """One group of ordinary ratings.

    mean_rating: over ratings; mean_mos: over pairs, of each pair's mean; both on the scale used.
    """

    question: str
    split: str
    system: str
    n_listeners: int
    mean_rating: float
    mean_mos: float
    reliability: Reliability


def summarise(ratings: Sequence[Rating]) -> list[GroupSummary]:
    """Summaries by question, split and system, with totals where there are several.

    Only ordinary ratings count, not anchors and attention checks.
    """
    ordinary = [rating for rating in ratings if rating.kind == "rating"]
    return [
        _summary(question, split, system, of_system)
        for question, of_question in groups_of(ordinary, "question", total=False)
        for split, of_split in groups_of(of_question, "split", first=_SPLITS)
        for system, of_system in groups_of(of_split, "system", first=_SPLITS)
    ]


def groups_of(
    records: Sequence[Labelled], field: str, *, total: bool = True, first: Sequence[str] = ()
) -> Iterator[tuple[str, Sequence[Labelled]]]:
    """Groups by a field, in order of their names; those named in `first` come first.

    Where there are several groups and `total` is set, all records together come before them.
    """
    groups: dict[str, list[Labelled]] = {}
    for record in records:
        groups.setdefault(getattr(record, field) or UNNAMED, []).append(record)
    if total and len(groups) > 1:
        yield EVERY, records
    place = {name: number for number, name in enumerate(first)}
    for name in sorted(groups, key=lambda name: (name == UNNAMED, place.get(name, 9), name)):
        yield name, groups[name]


def _summary(question: str, split: str, system: str, ratings: Sequence[Rating]) -> GroupSummary:
    number: dict[tuple[str, str], int] = {}
    pairs = [number.setdefault((one.audio, one.text), len(number)) for one in ratings]
    scores = [rating.score for rating in ratings]
    means = np.bincount(pairs, scores) / np.bincount(pairs)
    return GroupSummary(
        question=question,
        split=split,
        system=system,
        n_listeners=len({rating.listener_id for rating in ratings}),
        mean_rating=math.fsum(scores) / len(scores),
        mean_mos=math.fsum(means) / len(means),
        reliability=reliability(scores, pairs),
    )
