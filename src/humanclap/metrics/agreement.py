"""How well a metric agrees with people on a set of pairs: SRCC, LCC, KTAU-b, MSE, MAE."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from humanclap.errors import InputError

MIN_PAIRS = 3
"""Fewer pairs than this leave a correlation undefined (NaN)."""


def paired(metric: ArrayLike, human: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Both sides as float64 arrays (n,); raises InputError for unlike shapes or NaN."""
    x = np.asarray(metric, dtype=np.float64)
    y = np.asarray(human, dtype=np.float64)
    if x.ndim != 1 or x.shape != y.shape:
        raise InputError(f"metric and human must both have shape (n,), not {x.shape} and {y.shape}")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise InputError("metric and human must be finite; drop or mend the rows first")
    return x, y


def undefined_reason(metric: ArrayLike, human: ArrayLike) -> str | None:
    """Why a correlation of these two would be NaN, or None where it is defined."""
    x, y = paired(metric, human)
    if x.size < MIN_PAIRS:
        return f"n = {x.size}, fewer than {MIN_PAIRS}"
    if np.ptp(x) == 0:
        return "the metric is constant"
    if np.ptp(y) == 0:
        return "the human side is constant"
    return None


def srcc(metric: ArrayLike, human: ArrayLike) -> float:
    """Spearman rank correlation (average ranks for ties).

    metric, human: shape (n,). Returns a float in [-1, 1]; NaN where n < 3 or one side is constant.
    Raises InputError for unlike shapes or values that are not finite.
    Source: Spearman 1904; same definition as scipy.stats.spearmanr.

    >>> srcc([0.1, 0.4, 0.2], [2.0, 9.0, 3.5])
    1.0
    """
    x, y = paired(metric, human)
    return lcc(stats.rankdata(x), stats.rankdata(y))


def lcc(metric: ArrayLike, human: ArrayLike) -> float:
    """Pearson linear correlation.

    metric, human: shape (n,). Returns a float in [-1, 1]; NaN where n < 3 or one side is constant.
    Raises InputError as `srcc`. Source: Pearson 1895; same definition as scipy.stats.pearsonr.

    >>> round(lcc([1.0, 2.0, 3.0], [1.0, 2.0, 4.0]), 4)
    0.982
    """
    x, y = paired(metric, human)
    if undefined_reason(x, y):
        return math.nan
    x = (x - x.mean()) / np.ptp(x)
    y = (y - y.mean()) / np.ptp(y)
    r = float(x @ y / math.sqrt(float(x @ x) * float(y @ y)))
    return max(-1.0, min(1.0, r))


def ktau(metric: ArrayLike, human: ArrayLike) -> float:
    """Kendall's tau-b.

    metric, human: shape (n,). Returns a float in [-1, 1]; NaN where n < 3 or one side is constant.
    Raises InputError as `srcc`. Source: Kendall 1945; scipy.stats.kendalltau.

    >>> round(ktau([1, 2, 3, 4], [1, 3, 2, 4]), 4)
    0.6667
    """
    x, y = paired(metric, human)
    if undefined_reason(x, y):
        return math.nan
    return float(stats.kendalltau(x, y, variant="b").statistic)


def ktau_rows(first: ArrayLike, second: ArrayLike) -> NDArray[np.float64]:
    """Kendall's tau-b of each row of two arrays (rows, n), n being few: shape (rows,).

    NaN where one side of a row is constant, or a value is NaN.

    >>> ktau_rows([[3, 2, 1]], [[0.9, 0.1, 0.5]]).round(3)
    array([0.333])
    """
    one, other = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    a, b = np.triu_indices(one.shape[1], 1)
    x, y = np.sign(one[:, a] - one[:, b]), np.sign(other[:, a] - other[:, b])
    with np.errstate(divide="ignore", invalid="ignore"):
        found: NDArray[np.float64] = (x * y).sum(axis=1) / np.sqrt(
            (x**2).sum(axis=1) * (y**2).sum(axis=1)
        )
    return found


def mse(metric: ArrayLike, human: ArrayLike) -> float:
    """Mean squared error; both sides must be on one scale. NaN where n = 0.

    >>> mse([1.0, 2.0], [1.0, 4.0])
    2.0
    """
    x, y = paired(metric, human)
    return float(np.mean((x - y) ** 2)) if x.size else math.nan


def mae(metric: ArrayLike, human: ArrayLike) -> float:
    """Mean absolute error; both sides must be on one scale. NaN where n = 0.

    >>> mae([1.0, 2.0], [1.0, 4.0])
    1.0
    """
    x, y = paired(metric, human)
    return float(np.mean(np.abs(x - y))) if x.size else math.nan
