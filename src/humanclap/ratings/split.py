"""Give ratings, targets or choices a split that keeps clips and captions together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from humanclap.errors import InputError, SettingsError
from humanclap.grouping import connected_groups, grouped_split
from humanclap.ratings.summary import UNNAMED
from humanclap.records import (
    ANCHOR,
    ATTENTION_CHECK,
    Choice,
    Pair,
    Rating,
    Target,
    Votes,
    pair_id_of,
)

Splittable = TypeVar("Splittable", Rating, Target, Choice, Votes)

TOLERANCE = 0.05
"""A larger difference between a split's share of a kind and the share asked for is reported."""


def assign_splits(
    records: Sequence[Splittable], fractions: Mapping[str, float], seed: int = 0
) -> list[Splittable]:
    """The records with `split` set anew; no clip and no caption is in two splits.

    fractions: split name -> share of the pairs of every kind (ratings, anchors, FENSE's HC, ...),
    summing to 1. Both pairs of a choice are in its split. An attention check goes with its clip:
    its text is an instruction, which many clips share. The same pairs and seed give the same
    splits. Raises as `humanclap.grouping.grouped_split`, and says so where anchors are the cause.
    """
    grouped = [_grouped_pairs(one) for one in records]
    pairs = [pair for of_record in grouped for pair in of_record]
    strata = [kind_of(one) for one, own in zip(records, grouped, strict=True) for _ in own]
    try:
        split_of = grouped_split(pairs, fractions, seed, strata=strata)
    except SettingsError:
        raise
    except InputError as error:
        raise InputError(f"{error}{_without_anchors(records, len(fractions))}") from error
    return [
        replace(one, split=split_of[own[0].pair_id])
        for one, own in zip(records, grouped, strict=True)
    ]


def _grouped_pairs(record: Splittable) -> tuple[Pair, ...]:
    """The pairs that hold a record's group together; of an attention check, its clips alone."""
    pairs = pairs_of(record)
    if record.kind != ATTENTION_CHECK:
        return pairs
    return tuple(Pair(audio=pair.audio, text=f"attention check of {pair.audio}") for pair in pairs)


def _without_anchors(records: Sequence[Splittable], n_splits: int) -> str:
    """What to do where the records could be split without their anchors; else nothing."""
    rest = {
        (pair.audio, pair.text)
        for one in records
        if one.kind != ANCHOR
        for pair in _grouped_pairs(one)
    }
    n_groups = len(set(connected_groups(sorted(rest))))
    if n_groups < n_splits:
        return ""
    return (
        f". An anchor ties a clip to the text of another; without anchors there are {n_groups} "
        "groups: leave them out first (humanclap ratings screen --without-kind anchor), or make "
        "targets and split those (humanclap ratings aggregate)"
    )


def pairs_of(record: Rating | Target | Choice | Votes) -> tuple[Pair, ...]:
    """The pair of a rating or target, or the two pairs of a choice."""
    if isinstance(record, (Choice, Votes)):
        return (
            Pair(audio=record.audio_a, text=record.text_a),
            Pair(audio=record.audio_b, text=record.text_b),
        )
    return (Pair(audio=record.audio, text=record.text),)


def kind_of(record: Rating | Target | Choice | Votes) -> str:
    """The kind, or a dash for choices without one."""
    return record.kind or UNNAMED


def item_of(record: Rating | Target | Choice | Votes) -> str:
    """Name of what was answered: the pair, or the question of a choice."""
    if isinstance(record, (Choice, Votes)):
        return record.choice_id
    return pair_id_of(record.audio, record.text)


def split_shares(records: Sequence[Splittable]) -> dict[tuple[str, str], float]:
    """(split, kind) -> the split's share of the kind's distinct pairs, 0 where it holds none.

    For choices, distinct questions count.
    """
    items = {(one.split or "", kind_of(one), item_of(one)) for one in records}
    held = Counter((split, kind) for split, kind, _ in items)
    of_kind = Counter(kind for _, kind, _ in items)
    splits = sorted({split for split, _ in held})
    return {(s, kind): held[s, kind] / of_kind[kind] for s in splits for kind in sorted(of_kind)}


def unmet_shares(records: Sequence[Splittable], fractions: Mapping[str, float]) -> list[str]:
    """Sentences on splits with another share of a kind than was asked for, and why.

    A split is named where it has none of a kind, or misses its share by more than `TOLERANCE`.
    """
    found = []
    what = "questions" if isinstance(records[0], (Choice, Votes)) else "pairs"
    for (split, kind), share in split_shares(records).items():
        asked = fractions.get(split, 0.0)
        if abs(share - asked) > TOLERANCE or not share:
            found.append(f"{split} holds {share:.0%} of the {kind} {what}, not {asked:.0%}")
    if found:
        pairs = sorted({(pair.audio, pair.text) for one in records for pair in _grouped_pairs(one)})
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
