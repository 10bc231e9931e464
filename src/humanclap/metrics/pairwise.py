"""Pairwise accuracy: of all pairs of items, the share that a metric puts in people's order.

Ties count: two items people rate the same are right only where the metric calls them the same,
that is, where its scores differ by no more than a threshold. Source: Deutsch, Foster & Freitag
2023, "Ties Matter" (acc_eq and tie calibration).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from humanclap.errors import InputError
from humanclap.metrics.agreement import paired
from humanclap.metrics.dominance import Relations

MAX_PAIRS = 5_000_000
"""More pairs of items than this are sampled (seed 0) to choose a threshold."""
_BLOCK = 1_000_000
_COUNTED_ITEMS = 2_000
"""Of more items the pairs are counted in O(n log n); the counts are the same."""

Floats = NDArray[np.float64]
Signs = NDArray[np.int8]


@dataclass(frozen=True, slots=True, kw_only=True)
class TieThreshold:
    """The difference in score up to which two items are called tied, and the accuracy it gives."""

    threshold: float
    accuracy: float


def pairwise_accuracy(metric: ArrayLike, human: ArrayLike, *, threshold: float = 0.0) -> float:
    """Share of the pairs of items, of all n (n - 1) / 2, that the metric gets right.

    Right: the same strict order on both sides, or a tie on both. threshold: the largest
    difference of scores that is a tie. Returns a float in [0, 1]; NaN where n < 2.
    Raises InputError for unlike shapes, values that are not finite, a negative threshold.

    >>> pairwise_accuracy([1, 2, 3], [1, 3, 3])   # the third pair is tied for people only
    0.6666666666666666
    >>> pairwise_accuracy([1, 2.9, 3], [1, 3, 3], threshold=0.2)
    1.0
    """
    x, y = paired(metric, human)
    if threshold < 0:
        raise InputError(f"threshold is {threshold:g}; expected 0 or above")
    n = x.size
    if n < 2:
        return math.nan
    if n > _COUNTED_ITEMS:
        right = int(Relations(x, y).right(threshold).sum(dtype=np.int64))
    else:
        right = sum(
            int(np.count_nonzero(of_metric == of_human)) for _, of_metric, of_human in
            relations(x, y, threshold)
        )  # fmt: skip
    return (right - n) / (n * (n - 1))  # each pair stands twice, each item once with itself


def relations(
    metric: Floats, human: Floats, threshold: float
) -> Iterator[tuple[slice, Signs, Signs]]:
    """By blocks of rows: (rows, sign of metric_i - metric_j, sign of human_i - human_j)."""
    for rows in blocks(metric.size):
        yield rows, signs(metric, rows, threshold), signs(human, rows)


def blocks(n: int) -> Iterator[slice]:
    """Rows to be set against n items at one time."""
    step = max(16, min(512, _BLOCK // n))
    return (slice(start, min(start + step, n)) for start in range(0, n, step))


def signs(values: NDArray[np.number], rows: slice, threshold: float = 0.0, first: int = 0) -> Signs:
    """Sign of values_i - values_j, 0 up to the threshold: i in rows, j from `first` on."""
    one, other = values[rows, None], values[first:]
    if threshold == 0:  # needs no differences, which take most of the time
        return (one > other).view(np.int8) - (one < other).view(np.int8)
    difference = one - other
    above: Signs = (difference > threshold).view(np.int8)
    return above - (difference < -threshold).view(np.int8)


def tie_threshold(metric: ArrayLike, human: ArrayLike) -> TieThreshold:
    """The threshold with the highest pairwise accuracy on these very items (tie calibration).

    Of equally good thresholds the smallest. With more than 5,000,000 pairs it is chosen on that
    many drawn at random; the accuracy stated is over the pairs used.
    NaN where n < 2. Raises InputError as `pairwise_accuracy`.

    >>> tie_threshold([1.0, 2.9, 3.0], [1, 3, 3]).accuracy
    1.0
    """
    x, y = paired(metric, human)
    if x.size < 2:
        return TieThreshold(threshold=math.nan, accuracy=math.nan)
    one, other = _some_pairs(x.size)
    by_metric, by_human = x[one] - x[other], y[one] - y[other]
    gap = np.abs(by_metric)
    tied = np.sort(gap[by_human == 0])
    agree = np.sort(gap[by_metric * np.sign(by_human) > 0])
    # A higher threshold can only win at the gap of a pair that people call tied.
    thresholds = np.unique(np.append(tied, 0.0))
    right = np.searchsorted(tied, thresholds, side="right") + agree.size
    right -= np.searchsorted(agree, thresholds, side="right")
    best = int(np.argmax(right))
    return TieThreshold(threshold=float(thresholds[best]), accuracy=float(right[best]) / gap.size)


def _some_pairs(n: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    if n * (n - 1) // 2 <= MAX_PAIRS:
        return np.triu_indices(n, 1)
    rng = np.random.default_rng(0)
    one = rng.integers(n, size=MAX_PAIRS)
    other = (one + rng.integers(1, n, size=MAX_PAIRS)) % n
    return one, other
