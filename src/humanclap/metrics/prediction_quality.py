"""Does a predicted rating mean what it says? Reliability, expected error, interval coverage."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from humanclap.errors import InputError
from humanclap.metrics.agreement import paired

BINS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """Pairs of like prediction: mean predicted and mean human rating, and the latter's error."""

    predicted: float
    human: float
    standard_error: float
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionQuality:
    """How far predicted ratings are from people's, on the human scale.

    expected_error: mean over bins, weighted by n, of |mean predicted - mean human|; bias: mean
    predicted minus mean human; coverage: share of pairs whose MOS lies in the predicted interval,
    with its mean width, NaN where the table predicts none.
    """

    bins: tuple[Bin, ...]
    expected_error: float
    bias: float
    coverage: float = math.nan
    width: float = math.nan
    n_intervals: int = 0


def calibration(
    predicted: ArrayLike,
    human: ArrayLike,
    *,
    low: ArrayLike | None = None,
    high: ArrayLike | None = None,
    bins: int = BINS,
) -> PredictionQuality:
    """Calibration of predicted ratings, shape (n,), n at least 1, against MOS on the same scale.

    bins: of equal size by rank of the prediction (equal predictions stay together, so there may be
    fewer); low, high: ends of predicted intervals, NaN where there is none.
    Source: reliability diagram and expected calibration error, Naeini et al. 2015, for a
    regression.

    >>> found = calibration([2, 2, 8, 8], [1, 3, 6, 8], bins=2)
    >>> [(bin.predicted, bin.human) for bin in found.bins], found.expected_error
    ([(2.0, 2.0), (8.0, 7.0)], 0.5)
    """
    x, y = paired(predicted, human)
    order = np.argsort(x, kind="stable")
    cuts = {round(k * x.size / bins) for k in range(1, bins)} - {0, x.size}
    moved = {int(np.searchsorted(x[order], x[order[cut]])) for cut in cuts} - {0}
    groups = [index for index in np.split(order, sorted(moved)) if index.size]
    found = tuple(_bin(x[index], y[index]) for index in groups)
    inside = _coverage(y, low, high)
    return PredictionQuality(
        bins=found,
        expected_error=math.fsum(b.n * abs(b.predicted - b.human) for b in found) / x.size,
        bias=float(x.mean() - y.mean()),
        coverage=inside[0],
        width=inside[1],
        n_intervals=inside[2],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class IntervalCoverage:
    """share: of the `n` pairs, those with their mean in its interval of `level`; NaN for n = 0."""

    level: float
    share: float
    n: int


def coverage(
    predicted: ArrayLike,
    error: ArrayLike,
    observed: ArrayLike,
    n: ArrayLike,
    rating_variance: ArrayLike,
    level: float,
) -> IntervalCoverage:
    """Share of observed means within their predicted intervals; `level` where the errors are true.

    predicted, error: rating and its standard error (that of the mean ever more listeners would
    give), shape (k,), NaN where a pair has none, and then it does not count; observed, n: mean
    rating and the ratings behind it, shape (k,); rating_variance: of one rating about its pair's
    mean, one for all or shape (k,) (`rating_map.rating_variance`); level: in (0, 1). A mean lies
    within where |observed - predicted| <= z sqrt(error^2 + rating_variance / n), z the normal
    quantile at (1 + level) / 2: it misses by the model's error and by its own noise.
    Raises InputError for unlike shapes, an error that is not positive, n below 1, a variance that
    is not 0 or above, or a level outside (0, 1).

    >>> coverage([5, 5, 5], [3, 3, 3], [5, 10, -4], [1, 1, 1], 16.0, 0.683)  # 5 = sqrt(9 + 16)
    IntervalCoverage(level=0.683, share=0.6666666666666666, n=3)
    """
    if not 0 < level < 1:
        raise InputError(f"level is {level}; expected between 0 and 1, for example 0.95")
    arrays = [np.asarray(values, np.float64) for values in (predicted, error, observed, n)]
    if any(values.ndim != 1 or values.shape != arrays[0].shape for values in arrays):
        shapes = ", ".join(str(values.shape) for values in arrays)
        raise InputError(f"predicted, error, observed and n must have one shape (k,), not {shapes}")
    centre, spread, human, count = arrays
    if (spread <= 0).any():
        raise InputError("a standard error must be above 0, or NaN where there is none")
    variance = np.asarray(rating_variance, np.float64)
    if not ((variance >= 0).all() and (count >= 1).all()):
        raise InputError("n must be at least 1, and the variance of one rating 0 or above")
    half = stats.norm.ppf((1 + level) / 2) * np.sqrt(spread**2 + variance / count)
    counted = np.isfinite(centre) & np.isfinite(half) & np.isfinite(human)
    inside = (np.abs(human - centre) <= half)[counted]
    share = float(inside.mean()) if inside.size else math.nan
    return IntervalCoverage(level=level, share=share, n=inside.size)


def _bin(predicted: NDArray[np.float64], human: NDArray[np.float64]) -> Bin:
    error = float(human.std(ddof=1)) / math.sqrt(human.size) if human.size > 1 else math.nan
    return Bin(
        predicted=float(predicted.mean()),
        human=float(human.mean()),
        standard_error=error,
        n=human.size,
    )


def _coverage(
    human: NDArray[np.float64], low: ArrayLike | None, high: ArrayLike | None
) -> tuple[float, float, int]:
    if low is None or high is None:
        return math.nan, math.nan, 0
    bottom, top = np.asarray(low, dtype=np.float64), np.asarray(high, dtype=np.float64)
    given = np.isfinite(bottom) & np.isfinite(top)
    if not given.any():
        return math.nan, math.nan, 0
    inside = (human >= bottom) & (human <= top)
    width = float(np.mean((top - bottom)[given]))
    return float(np.mean(inside[given])), width, int(given.sum())
