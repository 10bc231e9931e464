"""Groups, splits and folds of pairs that share no clip and no caption, and the check of them."""

from __future__ import annotations

import hashlib
import math
import random
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol, TypeVar

from humanclap.errors import InputError, LeakageError, SettingsError, listed

MAX_NAMED = 3
"""How many shared clips or captions a leakage error names."""


class Paired(Protocol):
    """Anything with a clip, a caption and a name of both: Pair, Rating, Target, Score."""

    @property
    def audio(self) -> str:
        """Path of the clip, as the table writes it."""

    @property
    def text(self) -> str:
        """The caption."""

    @property
    def pair_id(self) -> str:
        """Name of the pair."""


Grouped = TypeVar("Grouped", bound=Paired)


def caption_key(text: str) -> str:
    """The caption as splits compare it: NFKC, casefolded, each run of white space as one space.

    >>> caption_key("A  Dog\\nbarks ") == caption_key("a dog barks")
    True
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return " ".join(folded.split())


def caption_hash(text: str) -> int:
    """40 bits of the SHA-256 of `caption_key`: what a checkpoint remembers of a caption.

    With 50,000 captions remembered, another one is mistaken for one of them once in 20 million.

    >>> caption_hash("A  Dog") == caption_hash("a dog") < 2**40
    True
    """
    return int.from_bytes(hashlib.sha256(caption_key(text).encode()).digest()[:5], "big")


def connected_groups(pairs: Iterable[tuple[str, str]]) -> list[int]:
    """Group number of each (audio, text): two pairs that share a clip or a caption share a group.

    Groups are the connected components of the graph whose nodes are clips and captions
    (`caption_key`) and whose edges are pairs; they are numbered 0, 1, ... by first appearance.

    >>> connected_groups([("a.wav", "rain"), ("b.wav", "Rain"), ("c.wav", "a dog")])
    [0, 0, 1]
    """
    parent: dict[tuple[str, str], tuple[str, str]] = {}

    def root(node: tuple[str, str]) -> tuple[str, str]:
        parent.setdefault(node, node)
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    clips = []
    for audio, text in pairs:
        clip = ("clip", audio)
        parent[root(clip)] = root(("caption", caption_key(text)))
        clips.append(clip)
    numbers: dict[tuple[str, str], int] = {}
    return [numbers.setdefault(root(clip), len(numbers)) for clip in clips]


def grouped_split(
    records: Sequence[Paired],
    fractions: Mapping[str, float],
    seed: int = 0,
    *,
    strata: Sequence[str] | None = None,
) -> dict[str, str]:
    """Split of each pair, by `pair_id`, such that no clip and no caption is in two splits.

    fractions: split name -> share of the distinct pairs, positive, summing to 1. strata: a label
    for each record, such as its kind; each stratum is then divided by these shares. Both hold as
    closely as whole groups allow. The same records in any order and the same seed give the same
    answer. Raises SettingsError for bad fractions, InputError where there are fewer groups than
    splits, so that a split would be empty.
    """
    if not fractions or any(not 0 < share <= 1 for share in fractions.values()):
        raise SettingsError(f"each fraction must be in (0, 1], not {dict(fractions)}")
    if not math.isclose(sum(fractions.values()), 1.0, abs_tol=1e-6):
        raise SettingsError(f"fractions must sum to 1, not {sum(fractions.values()):g}")
    of_pair: dict[tuple[str, str], str] = {}
    for record, stratum in zip(records, strata or [""] * len(records), strict=True):
        pair = record.audio, record.text
        of_pair[pair] = min(stratum, of_pair.get(pair, stratum))
    pairs = sorted(of_pair)
    bins = _fill_bins(
        pairs, list(fractions.values()), seed, what="splits", strata=[of_pair[p] for p in pairs]
    )
    names = list(fractions)
    split_of = {pair: names[number] for pair, number in zip(pairs, bins, strict=True)}
    return {record.pair_id: split_of[record.audio, record.text] for record in records}


def grouped_folds(records: Sequence[Paired], n_folds: int, seed: int = 0) -> list[int]:
    """Fold number (0..n_folds - 1) of each record; no clip and no caption is in two folds.

    The same records in any order and the same seed give the same folds. Raises SettingsError for
    n_folds < 2, InputError where there are fewer groups than folds.
    """
    if n_folds < 2:
        raise SettingsError(f"n_folds is {n_folds}; cross-validation needs at least 2")
    pairs = sorted({(record.audio, record.text) for record in records})
    bins = _fill_bins(pairs, [1 / n_folds] * n_folds, seed, what="folds")
    fold_of = dict(zip(pairs, bins, strict=True))
    return [fold_of[record.audio, record.text] for record in records]


def _fill_bins(
    pairs: Sequence[tuple[str, str]],
    shares: Sequence[float],
    seed: int,
    *,
    what: str,
    strata: Sequence[str] | None = None,
) -> list[int]:
    """Bin of each pair: groups, largest first and otherwise shuffled, go where most room is.

    Room is what a bin lacks of its share of a stratum. Of the bins that a group fits into, or of
    all bins where it fits into none, it goes to the one with most room for the rarest stratum it
    holds, then for the next: the common ones can still be made up for. Source, for single records:
    stratification for several labels, Sechidis, Tsoumakas & Vlahavas 2011.
    """
    if not pairs:
        raise InputError(f"there are no pairs to divide into {len(shares)} {what}")
    strata = strata or [""] * len(pairs)
    groups = connected_groups(pairs)
    holds: dict[int, Counter[str]] = {}
    for group, stratum in zip(groups, strata, strict=True):
        holds.setdefault(group, Counter())[stratum] += 1
    if len(holds) < len(shares):
        raise InputError(
            f"{len(shares)} {what} need as many groups of pairs that share no clip or caption; "
            f"these {len(pairs)} pairs form {len(holds)}"
        )
    order = list(holds)
    random.Random(seed).shuffle(order)
    order.sort(key=lambda group: -holds[group].total())
    bins = _Bins(shares, Counter(strata))
    bin_of = {
        group: bins.add(holds[group], groups_left=len(order) - placed)
        for placed, group in enumerate(order)
    }
    return [bin_of[group] for group in groups]


class _Bins:
    """Bins being filled with groups of pairs; total: pairs of each stratum in all groups."""

    def __init__(self, shares: Sequence[float], total: Counter[str]) -> None:
        self._shares, self._total = shares, total
        self._filled: list[Counter[str]] = [Counter() for _ in shares]

    def add(self, held: Counter[str], *, groups_left: int) -> int:
        """Put a group into the bin that suits it best; returns the number of the bin.

        held: the group's pairs by stratum; groups_left: with this one, so that no bin stays empty.
        """
        empty = [number for number, count in enumerate(self._filled) if not count]
        choices = empty if groups_left <= len(empty) else list(range(len(self._shares)))
        rarest_first = sorted(held, key=lambda stratum: (self._total[stratum], stratum))
        room = {number: [self._room(number, one) for one in rarest_first] for number in choices}
        needed = [held[one] - 1e-9 for one in rarest_first]
        fitting = [
            number
            for number in choices
            if all(free >= need for free, need in zip(room[number], needed, strict=True))
        ]
        best = max(fitting or choices, key=lambda number: (room[number], -number))
        self._filled[best].update(held)
        return best

    def _room(self, number: int, stratum: str) -> float:
        return self._shares[number] * self._total[stratum] - self._filled[number][stratum]


def check_leakage(splits: Mapping[str, Sequence[Paired]]) -> None:
    """Raise LeakageError where two splits share a clip or a caption, naming up to three.

    splits: split name -> its records. Clips are compared by their path as written, captions by
    `caption_key`.
    """
    for kind in ("clip", "caption"):
        first: dict[str, str] = {}
        shared: dict[tuple[str, str], dict[str, None]] = {}
        for name, records in splits.items():
            for record in records:
                key = record.audio if kind == "clip" else caption_key(record.text)
                home = first.setdefault(key, name)
                if home != name:
                    shared.setdefault((home, name), {})[key] = None
        for (home, name), keys in shared.items():
            raise LeakageError(
                f"splits {home!r} and {name!r} share {len(keys)} {kind}"
                f"{'s' if len(keys) > 1 else ''}: "
                f"{listed(list(keys), MAX_NAMED, show=repr)} "
                "(make splits by clip and caption: humanclap ratings split)"
            )


def without_shared(
    records: Sequence[Grouped], held_out: Sequence[Paired], *, captions: bool = True
) -> tuple[list[Grouped], int]:
    """The records that share no clip (and no caption) with `held_out`, and how many do.

    To leave one system out needs this: other systems often made clips for the same captions.
    captions: False where captions may be shared (closed label sets).
    """
    clips = {record.audio for record in held_out}
    texts = {caption_key(record.text) for record in held_out} if captions else set()
    kept = [
        record
        for record in records
        if record.audio not in clips and caption_key(record.text) not in texts
    ]
    return kept, len(records) - len(kept)


def listener_overlap(splits: Mapping[str, Iterable[str]]) -> dict[str, dict[str, float]]:
    """Share of each split's ratings that come from listeners of another split, by that split.

    splits: split name -> the listener of each of its ratings. Listeners may overlap, because a
    metric must be judged on pairs that it has not met, not on people. But a reader should know.

    >>> listener_overlap({"train": ["a", "a", "b"], "test": ["a", "c"]})["test"]["train"]
    0.5
    """
    ids = {name: list(listeners) for name, listeners in splits.items()}
    known = {name: set(listeners) for name, listeners in ids.items()}
    return {
        name: {
            other: sum(one in known[other] for one in listeners) / len(listeners)
            if listeners
            else math.nan
            for other in ids
            if other != name
        }
        for name, listeners in ids.items()
    }
