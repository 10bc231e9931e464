"""Is one metric better than another? A paired permutation test, and Holm's correction.

Sources: permutation of both metrics' standardised scores, Deutsch, Dror & Roth 2021 (PERM-BOTH,
here whole captions are swapped); Holm 1979.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from humanclap.errors import InputError
from humanclap.metrics.agreement import paired, undefined_reason
from humanclap.metrics.bootstrap import COUNTS_AT_ONCE
from humanclap.metrics.influence import LARGE_PAIRS

PERMUTATIONS = 1000
_BLOCK, _FLIPS = 100, 500

Floats = NDArray[np.float64]


def permutation_p(
    first: ArrayLike,
    second: ArrayLike,
    human: ArrayLike,
    clusters: ArrayLike,
    *,
    rng: np.random.Generator,
    permutations: int = PERMUTATIONS,
) -> float:
    """Two-sided p-value of `SRCC(second) - SRCC(first)`, under the hypothesis of no difference.

    first, second, human: shape (n,); clusters: shape (n,), numbers 0..C-1. Both metrics are
    replaced by their ranks, then in each permutation the two are exchanged in about half of the
    clusters, whole. With more than 20,000 pairs the exchanged ranks are not ranked anew, which
    makes it a sign-flip test of the clusters' sums (`sign_flip_p`). p = (1 + permutations at least
    as far apart) / (1 + permutations); NaN where an SRCC is undefined or there are fewer than 2
    clusters.

    >>> human = np.arange(40.0)
    >>> noise = np.random.default_rng(0).normal(size=40)
    >>> p = permutation_p(human + 30 * noise, human, human, range(40), rng=np.random.default_rng(0))
    >>> p < 0.01
    True
    """
    run = PairedRun(first=first, second=second, human=human, clusters=clusters)
    if permutations > 0 and np.size(human) > LARGE_PAIRS:
        side = _ranked(run)
        if side is None or side.codes.max() < 1:
            return math.nan
        spread = [
            math.sqrt(float(np.sum((own - own.mean()) ** 2))) for own in (side.first, side.second)
        ]
        apart = (side.second / spread[1] - side.first / spread[0]) * side.target
        return sign_flip_p(np.bincount(side.codes, apart), rng=rng, permutations=permutations)
    return mean_permutation_p([run], rng=rng, permutations=permutations)


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedRun:
    """Two sets of scores of the same pairs, as `permutation_p` takes them: shape (n,) each."""

    first: ArrayLike
    second: ArrayLike
    human: ArrayLike
    clusters: ArrayLike


def mean_permutation_p(
    runs: Sequence[PairedRun], *, rng: np.random.Generator, permutations: int = PERMUTATIONS
) -> float:
    """As `permutation_p`, of the mean over runs (seeds, folds) of `SRCC(second) - SRCC(first)`.

    Clusters are numbered across the runs: one that is exchanged is exchanged in all of them. NaN
    where an SRCC of any run is undefined, without runs, or with fewer than 2 clusters in all.
    """
    if permutations < 1:
        raise InputError(f"permutations is {permutations}; expected at least 1")
    sides = [_ranked(run) for run in runs]
    known = [side for side in sides if side is not None]
    count = max((int(side.codes.max()) + 1 for side in known), default=0)
    if len(known) < len(sides) or count < 2:
        return math.nan
    if len(np.unique(np.concatenate([side.codes for side in known]))) < 2:
        return math.nan
    observed = abs(float(np.mean([side.difference() for side in known])))
    reached = 0
    for start in range(0, permutations, _BLOCK):
        swap = rng.integers(2, size=(min(_BLOCK, permutations - start), count)) == 1
        difference = np.mean([side.exchanged(swap) for side in known], axis=0)
        reached += int(np.count_nonzero(np.abs(difference) >= observed - 1e-12))
    return (1 + reached) / (1 + permutations)


@dataclass(frozen=True, slots=True)
class _Ranked:
    """Both metrics' ranks and unit centred ranks of the human side, shape (n,)."""

    first: Floats
    second: Floats
    target: Floats
    codes: NDArray[np.intp]

    def difference(self) -> float:
        return float(
            (_srcc(self.second[None], self.target) - _srcc(self.first[None], self.target))[0]
        )

    def exchanged(self, swap: NDArray[np.bool_]) -> Floats:
        """Differences where clusters are exchanged: (permutations, C) -> (permutations,)."""
        of_pairs = swap[:, self.codes]
        return _srcc(np.where(of_pairs, self.first, self.second), self.target) - _srcc(
            np.where(of_pairs, self.second, self.first), self.target
        )


def _ranked(run: PairedRun) -> _Ranked | None:
    """None where an SRCC is undefined."""
    x, y = paired(run.first, run.human)
    z, _ = paired(run.second, run.human)
    if undefined_reason(x, y) or undefined_reason(z, y):
        return None
    one, other, target = (stats.rankdata(side) for side in (x, z, y))
    target = (target - target.mean()) / math.sqrt(float(np.sum((target - target.mean()) ** 2)))
    return _Ranked(one, other, target, np.asarray(run.clusters, dtype=np.intp))


def _srcc(scores: Floats, target: Floats) -> Floats:
    """Rows (permutations, n) against unit centred ranks (n,)."""
    ranks = stats.rankdata(scores, axis=1)
    ranks -= ranks.mean(axis=1)[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        found: Floats = ranks @ target / np.sqrt(np.einsum("pn,pn->p", ranks, ranks))
    return np.nan_to_num(found)


def sign_flip_p(
    differences: ArrayLike, *, rng: np.random.Generator, permutations: int = PERMUTATIONS
) -> float:
    """Two-sided p-value of a paired difference whose expectation is 0 under the hypothesis.

    differences: shape (C,), the sum (or the mean, where clusters are of one size) of the paired
    differences in each cluster. In each permutation about half of the signs are turned; p = (1 +
    permutations at least as far from 0) / (1 + permutations). Source: Fisher 1935, paired
    randomisation.

    >>> sign_flip_p(np.ones(20), rng=np.random.default_rng(0), permutations=999)
    0.001
    """
    given = np.asarray(differences, dtype=np.float64)
    observed = abs(float(given.sum()))
    reached = sum(
        int(np.count_nonzero(np.abs(signs @ given) >= observed * (1 - 1e-12)))
        for signs in _signs(given.size, permutations, rng)
    )
    return (1 + reached) / (1 + permutations)


def sign_flips_p(
    values: ArrayLike,
    pairs: Sequence[tuple[int, int]],
    *,
    rng: np.random.Generator,
    permutations: int = PERMUTATIONS,
) -> list[float]:
    """`sign_flip_p` of the differences of two columns, for each pair of columns.

    values: shape (C, k). The signs are drawn once for all pairs; they are those that each pair
    would draw by itself from such a generator.

    >>> values = np.array([[1.0, 0.0, 1.0]] * 20)
    >>> rng = np.random.default_rng(0)
    >>> sign_flips_p(values, [(0, 1), (0, 2)], rng=rng, permutations=999)
    [0.001, 1.0]
    """
    given = np.asarray(values, dtype=np.float64)
    given = given - given.mean(axis=1, keepdims=True)
    flipped = np.concatenate([signs @ given for signs in _signs(len(given), permutations, rng)])
    sums = given.sum(axis=0)
    found = []
    for a, b in pairs:
        observed = abs(float(sums[a] - sums[b])) * (1 - 1e-9)
        reached = np.count_nonzero(np.abs(flipped[:, a] - flipped[:, b]) >= observed)
        found.append((1 + int(reached)) / (1 + permutations))
    return found


def _signs(count: int, permutations: int, rng: np.random.Generator) -> Iterator[Floats]:
    """Signs of each cluster, by blocks of permutations: (block, C)."""
    block = max(1, min(_FLIPS, COUNTS_AT_ONCE // max(1, count)))
    for start in range(0, permutations, block):
        size = min(block, permutations - start)
        yield np.asarray(2.0 * rng.integers(2, size=(size, count)) - 1, np.float64)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjusted p-values, in the order given; NaN stays NaN and does not count.

    >>> [round(p, 3) for p in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    order = sorted(
        (i for i, p in enumerate(p_values) if not math.isnan(p)), key=lambda i: p_values[i]
    )
    adjusted = [math.nan] * len(p_values)
    highest = 0.0
    for rank, i in enumerate(order):
        highest = max(highest, min(1.0, (len(order) - rank) * p_values[i]))
        adjusted[i] = highest
    return adjusted
