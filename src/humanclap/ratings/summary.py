"""What a set of ratings is: how many, by whom, of which mean, how far listeners agree."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from humanclap.metrics.reliability import Reliability, reliability
from humanclap.records import Rating

EVERY = "all"
"""Stands for all splits or all systems together."""
UNNAMED = "–"
"""Stands for ratings without a split or a system."""
_SPLIT_ORDER = ("train", "validation", "test")


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupSummary:
    """One group of ordinary ratings.

    mean_rating: over ratings; mean_mos: over pairs, of each pair's mean, both on the scale of the
    ratings.
    """

    question: str
    split: str
    system: str
    n_listeners: int
    mean_rating: float
    mean_mos: float
    reliability: Reliability


def summarise(ratings: Sequence[Rating]) -> list[GroupSummary]:
    """Summaries by question, split and system, each with the totals over what has several.

    Only ordinary ratings count; no anchors, no attention checks.
    """
    ordinary = [rating for rating in ratings if rating.kind == "rating"]
    return [
        _summary(question, split, system, of_system)
        for question, of_question in _groups(ordinary, "question", total=False)
        for split, of_split in _groups(of_question, "split", total=True)
        for system, of_system in _groups(of_split, "system", total=True)
    ]


def _groups(
    ratings: Sequence[Rating], field: str, *, total: bool
) -> Iterator[tuple[str, Sequence[Rating]]]:
    """Groups by a field; where there are several and `total` is set, all together come first."""
    groups: dict[str, list[Rating]] = {}
    for rating in ratings:
        groups.setdefault(getattr(rating, field) or UNNAMED, []).append(rating)
    if total and len(groups) > 1:
        yield EVERY, ratings
    yield from sorted(groups.items(), key=lambda item: _order(item[0]))


def _order(name: str) -> tuple[int, str]:
    if name == UNNAMED:
        return len(_SPLIT_ORDER) + 1, name
    return (_SPLIT_ORDER.index(name) if name in _SPLIT_ORDER else len(_SPLIT_ORDER)), name


def _summary(question: str, split: str, system: str, ratings: Sequence[Rating]) -> GroupSummary:
    number: dict[tuple[str, str], int] = {}
    sums: list[float] = []
    counts: list[int] = []
    pairs: list[int] = []
    for rating in ratings:
        pair = number.setdefault((rating.audio, rating.text), len(number))
        if pair == len(sums):
            sums.append(0.0)
            counts.append(0)
        sums[pair] += rating.score
        counts[pair] += 1
        pairs.append(pair)
    scores = [rating.score for rating in ratings]
    return GroupSummary(
        question=question,
        split=split,
        system=system,
        n_listeners=len({rating.listener_id for rating in ratings}),
        mean_rating=math.fsum(scores) / len(scores),
        mean_mos=math.fsum(s / n for s, n in zip(sums, counts, strict=True)) / len(sums),
        reliability=reliability(scores, pairs),
    )
