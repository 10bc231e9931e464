"""How far listeners agree: ICC(1), leave-one-out and split-half rank correlation.

Each takes the ratings, shape (n,), and for each the index of its pair, shape (n,), integers of
any values; equal index = same pair. Order does not matter.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from humanclap.errors import InputError
from humanclap.metrics.agreement import MIN_PAIRS, srcc

SPLIT_HALF_REPEATS = 20

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reliability:
    """The reliability of a set of ratings; `undefined` says why a value is NaN, by its name."""

    n_ratings: int
    n_pairs: int
    icc: float
    leave_one_out_srcc: float
    split_half_srcc: float
    spearman_brown: float
    undefined: dict[str, str]


@dataclass(frozen=True, slots=True)
class _Grouped:
    """Ratings with their pairs numbered 0..k-1; `count` is per pair."""

    ratings: Floats
    pair: Integers
    count: Integers

    def repeated(self) -> _Grouped:
        """Only the pairs with two or more ratings, which can agree or not."""
        keep = self.count[self.pair] > 1
        return _group(self.ratings[keep], self.pair[keep])

    def sums(self) -> Floats:
        """Sum of the ratings of each pair, shape (k,)."""
        return np.bincount(self.pair, self.ratings, self.count.size).astype(np.float64)


def _group(ratings: ArrayLike, pairs: ArrayLike) -> _Grouped:
    x, index = np.asarray(ratings, dtype=np.float64), np.asarray(pairs)
    if x.ndim != 1 or x.shape != index.shape:
        raise InputError(
            f"ratings and pairs must both have shape (n,), not {x.shape}, {index.shape}"
        )
    if not np.isfinite(x).all():
        raise InputError("ratings must be finite; drop or mend the rows first")
    _, pair, count = np.unique(index, return_inverse=True, return_counts=True)
    return _Grouped(x, pair.astype(np.int64).reshape(-1), count.astype(np.int64))


def icc1(ratings: ArrayLike, pairs: ArrayLike) -> float:
    """Intraclass correlation ICC(1): the share of a single rating's variance that is the pair's.

    (MSB - MSW) / (MSB + (n0 - 1) MSW), MSB and MSW the mean squares between and within pairs of
    the one-way analysis of variance, n0 = (N - sum n_i^2 / N) / (k - 1) for unequal n_i. Pairs
    with one rating count between pairs only. At most 1, may be negative; NaN for fewer than two
    pairs, no pair with two ratings, or ratings all equal.
    Sources: Shrout & Fleiss 1979 (case 1); n0 as in Donner 1986.

    >>> round(icc1([9, 2, 5, 8, 6, 1, 3, 2], [0, 0, 0, 0, 1, 1, 1, 1]), 4)
    0.2667
    """
    return _icc1(_group(ratings, pairs))


def _icc1(g: _Grouped) -> float:
    if _icc_reason(g):
        return math.nan
    n, k = g.ratings.size, g.count.size
    means = g.sums() / g.count
    between = float(g.count @ (means - g.ratings.mean()) ** 2) / (k - 1)
    within = float(np.sum((g.ratings - means[g.pair]) ** 2)) / (n - k)
    n0 = (n - float(g.count @ g.count) / n) / (k - 1)
    return (between - within) / (between + (n0 - 1) * within)


def _icc_reason(g: _Grouped) -> str | None:
    if g.count.size < 2:
        return f"{g.count.size} pairs, fewer than 2"
    if g.count.max() < 2:
        return "no pair has two ratings"
    if np.ptp(g.ratings) == 0:
        return "the ratings are constant"
    return None


def leave_one_out_srcc(ratings: ArrayLike, pairs: ArrayLike) -> float:
    """SRCC of each rating against the mean of the others on its pair, over all such ratings.

    Pairs with one rating have no others and do not count. NaN where undefined (`agreement.srcc`).

    >>> leave_one_out_srcc([1, 1, 5, 5, 9, 9], [0, 0, 1, 1, 2, 2])
    1.0
    """
    return srcc(*_leave_one_out(_group(ratings, pairs).repeated()))


def _leave_one_out(g: _Grouped) -> tuple[Floats, Floats]:
    """Each rating and the mean of the others, rounded so that equal means tie."""
    others = (g.sums()[g.pair] - g.ratings) / (g.count[g.pair] - 1)
    return g.ratings, np.round(others, 9)


def split_half_srcc(
    ratings: ArrayLike, pairs: ArrayLike, *, repeats: int = SPLIT_HALF_REPEATS, seed: int = 0
) -> float:
    """SRCC between the means of two random halves of each pair's ratings, averaged over repeats.

    Of an odd number the second half has one more. Pairs with one rating do not count. Repeats in
    which the means of a half are constant are left out; NaN where those are more than half. The
    same seed gives the same answer, whatever the order of the rows.

    >>> split_half_srcc([1, 1, 5, 5, 9, 9], [0, 0, 1, 1, 2, 2])
    1.0
    """
    return _split_half(_group(ratings, pairs).repeated(), repeats, seed)


def _split_half(g: _Grouped, repeats: int, seed: int) -> float:
    if repeats < 1:
        raise InputError(f"repeats is {repeats}; expected at least 1")
    if g.count.size == 0:
        return math.nan
    order = np.lexsort((g.ratings, g.pair))
    x, pair = g.ratings[order], g.pair[order]
    start = np.cumsum(g.count) - g.count
    generator = np.random.default_rng(seed)
    values = []
    for _ in range(repeats):
        shuffled = np.lexsort((generator.random(x.size), pair))
        first = np.arange(x.size) - start[pair] < (g.count // 2)[pair]
        a = np.bincount(pair[first], x[shuffled][first]) / (g.count // 2)
        b = np.bincount(pair[~first], x[shuffled][~first]) / (g.count - g.count // 2)
        values.append(srcc(np.round(a, 9), np.round(b, 9)))
    return mean_of_defined(values)


def mean_of_defined(values: Sequence[float]) -> float:
    """Mean of the values that are not NaN; NaN where there are none or more than half are NaN.

    >>> mean_of_defined([0.25, 0.75, math.nan]), mean_of_defined([0.25, math.nan, math.nan])
    (0.5, nan)
    """
    defined = [value for value in values if not math.isnan(value)]
    if not defined or 2 * len(defined) < len(values):
        return math.nan
    return float(np.mean(defined))


def spearman_brown(correlation: float, factor: float = 2.0) -> float:
    """Reliability of a mean over `factor` times as many ratings: f r / (1 + (f - 1) r).

    NaN in, NaN out. NaN also for r < 0 where f is above 1: a reliability is a share of variance, in
    0..1, and the formula takes a negative r to ever larger negative numbers and then through
    infinity; and for a value above 1.
    Sources: Spearman 1910; Brown 1910.

    >>> spearman_brown(0.5)
    0.6666666666666666
    """
    if factor <= 0:
        raise InputError(f"factor is {factor:g}; expected a positive number")
    below = 1 + (factor - 1) * correlation
    value = factor * correlation / below if below > 0 else math.nan
    return value if 0 <= value <= 1 else math.nan


def reliability(
    ratings: ArrayLike, pairs: ArrayLike, *, repeats: int = SPLIT_HALF_REPEATS, seed: int = 0
) -> Reliability:
    """All of the above at once, with the reason of each value that is NaN."""
    g = _group(ratings, pairs)
    many = g.repeated()
    half = _split_half(many, repeats, seed)
    values = {
        "icc": _icc1(g),
        "leave_one_out_srcc": srcc(*_leave_one_out(many)),
        "split_half_srcc": half,
        "spearman_brown": spearman_brown(half),
    }
    undefined = {name: _reason(name, g, many) for name, v in values.items() if math.isnan(v)}
    if half < 0:
        undefined["spearman_brown"] = (
            f"the halves disagree (split-half SRCC {half:.3f}), and no reliability is below 0"
        )
    return Reliability(
        n_ratings=g.ratings.size, n_pairs=g.count.size, undefined=undefined, **values
    )


def _reason(name: str, g: _Grouped, many: _Grouped) -> str:
    if name == "icc":
        return _icc_reason(g) or "undefined"
    if many.count.size == 0:
        return "no pair has two ratings"
    if np.ptp(many.ratings) == 0:
        return "the ratings are constant"
    if name == "leave_one_out_srcc":
        if many.ratings.size < MIN_PAIRS:
            return f"{many.ratings.size} ratings of pairs with two, fewer than {MIN_PAIRS}"
        return "the means of the others are constant"
    if many.count.size < 3:
        return f"{many.count.size} pairs with two ratings, fewer than 3"
    return "the means of a half are constant in most repeats"
