"""Give ratings or targets a split that keeps clips and captions together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from humanclap.errors import SettingsError
from humanclap.grouping import connected_groups, grouped_split
from humanclap.records import Rating, Target

Splittable = TypeVar("Splittable", Rating, Target)

TOLERANCE = 0.05
"""A split may miss its share of a kind by so much before that is told."""


def assign_splits(
    records: Sequence[Splittable], fractions: Mapping[str, float], seed: int = 0
) -> list[Splittable]:
    """The records with `split` set anew; no clip and no caption is in two splits.

    fractions: split name -> share of the pairs of every kind (ratings, anchors, ...), summing to 1.
    The same pairs and seed give the same splits. Fails as `humanclap.grouping.grouped_split`.
    """
    split_of = grouped_split(records, fractions, seed, strata=[one.kind for one in records])
    return [replace(record, split=split_of[record.pair_id]) for record in records]


def split_shares(records: Sequence[Splittable]) -> dict[tuple[str, str], float]:
    """(split, kind) -> the split's share of the kind's distinct pairs, 0 where it holds none."""
    pairs = {(one.split or "", one.kind, one.audio, one.text) for one in records}
    held = Counter((split, kind) for split, kind, _, _ in pairs)
    of_kind = Counter(kind for _, kind, _, _ in pairs)
    splits = sorted({split for split, _ in held})
    return {(s, kind): held[s, kind] / of_kind[kind] for s in splits for kind in sorted(of_kind)}


def unmet_shares(records: Sequence[Splittable], fractions: Mapping[str, float]) -> list[str]:
    """Sentences on splits that hold another share of a kind than was asked for, and why.

    Told where a split has none of a kind or is off by more than 5 of 100 pairs of that kind.
    """
    found = []
    for (split, kind), share in split_shares(records).items():
        asked = fractions.get(split, 0.0)
        if abs(share - asked) > TOLERANCE or not share:
            found.append(f"{split} holds {share:.0%} of the {kind} pairs, not {asked:.0%}")
    if found:
        pairs = sorted({(one.audio, one.text) for one in records})
        largest = Counter(connected_groups(pairs)).most_common(1)[0][1]
        found.append(
            f"pairs that share a clip or a caption stay together; the largest such group has "
            f"{largest} of {len(pairs)} pairs"
        )
    return found


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
