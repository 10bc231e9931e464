"""Agreement on many weighted samples at once: the engine of the bootstrap.

A bootstrap replicate is a sample in which pair i stands w_i times. Nothing is repeated in memory:
the statistics are written in terms of the weights, for all replicates in one array operation.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from humanclap.errors import InputError
from humanclap.metrics.agreement import MIN_PAIRS

Floats = NDArray[np.float64]

PAIR_BLOCK = 512
"""Columns of the (n, n) sign matrix that are held at one time."""


class WeightedAgreement:
    """SRCC, LCC, KTAU-b, MSE and MAE of a metric with people, as functions of pair weights.

    metric, human: shape (n,), finite. predicted: the metric mapped to the human scale, shape (n,),
    for MSE and MAE; without it (or where it is NaN) these two are NaN.

    >>> agreement = WeightedAgreement([1, 2, 3, 4], [1, 3, 2, 4])
    >>> agreement(np.array([[1, 1, 1, 1], [3, 0, 0, 1]]))["srcc"].round(3)
    array([0.8, 1. ])
    """

    def __init__(
        self, metric: ArrayLike, human: ArrayLike, predicted: ArrayLike | None = None
    ) -> None:
        self._metric = _Ranked(metric)
        self._human = _Ranked(human)
        if self._metric.values.shape != self._human.values.shape:
            raise InputError("metric and human must have one length")
        unknown = np.full_like(self._human.values, np.nan)
        mapped = unknown if predicted is None else np.asarray(predicted, dtype=np.float64)
        if mapped.shape != self._human.values.shape:
            raise InputError("predicted and human must have one length")
        self._error = mapped - self._human.values

    def __call__(self, weights: ArrayLike) -> dict[str, Floats]:
        """All statistics under whole-number weights of shape (replicates, n).

        Returns name -> shape (replicates,). A correlation is NaN where the sample has fewer than
        3 pairs or one side is constant; exactly what the functions of `metrics.agreement` return
        for the sample written out.
        """
        w = np.asarray(weights, dtype=np.float64)  # (replicates, n)
        if w.ndim != 2 or w.shape[1] != self._error.size:
            raise InputError(f"weights must have shape (replicates, {self._error.size})")
        total = w.sum(axis=1)  # (replicates,)
        pairs = total * (total - 1) / 2
        metric_groups = self._metric.group_weights(w)
        human_groups = self._human.group_weights(w)
        untied_metric = pairs - _ties(metric_groups)
        untied_human = pairs - _ties(human_groups)
        defined = (total >= MIN_PAIRS) & (untied_metric > 0) & (untied_human > 0)
        metric_ranks = self._metric.ranks(metric_groups)
        human_ranks = self._human.ranks(human_groups)
        with np.errstate(divide="ignore", invalid="ignore"):
            values = {
                "srcc": _correlation(w, metric_ranks, human_ranks),
                "lcc": _correlation(
                    w,
                    self._metric.scaled - (w @ self._metric.scaled / total)[:, None],
                    self._human.scaled - (w @ self._human.scaled / total)[:, None],
                ),
                "ktau": self._concordance(w) / np.sqrt(untied_metric) / np.sqrt(untied_human),
            }
            values = {name: np.where(defined, value, np.nan) for name, value in values.items()}
            values["mse"] = w @ self._error**2 / total
            values["mae"] = w @ np.abs(self._error) / total
        return values

    def _concordance(self, weights: Floats) -> Floats:
        """Weighted concordant minus discordant pairs, shape (replicates,).

        Half of w A w for the sign matrix A; single precision is exact here, since every partial
        sum is a whole number below 2**24.
        """
        single = weights.astype(np.float32 if weights.sum(axis=1).max() < 2**24 else np.float64)
        balance = np.zeros(len(weights))
        for start in range(0, self._error.size, PAIR_BLOCK):
            block = slice(start, start + PAIR_BLOCK)
            signs = self._metric.signs(block) * self._human.signs(block)  # (n, block)
            reach = single @ signs.astype(single.dtype)  # (replicates, block)
            balance += np.einsum("rb,rb->r", reach.astype(np.float64), weights[:, block])
        return balance / 2


class _Ranked:
    """Values with their order and ties worked out once."""

    def __init__(self, values: ArrayLike) -> None:
        self.values = np.asarray(values, dtype=np.float64)
        if self.values.ndim != 1 or not self.values.size or not np.isfinite(self.values).all():
            raise InputError("values must be finite, at least one, of shape (n,)")
        spread = float(np.ptp(self.values)) or 1.0
        self.scaled = (self.values - self.values.mean()) / spread
        distinct, codes = np.unique(self.values, return_inverse=True)
        self._codes = codes.astype(np.int32)  # (n,), position among the distinct values
        self._order = np.argsort(self._codes, kind="stable")
        self._starts = np.searchsorted(self._codes[self._order], np.arange(distinct.size))

    def group_weights(self, weights: Floats) -> Floats:
        """Weight of each distinct value, ascending: (replicates, distinct)."""
        return np.add.reduceat(weights[:, self._order], self._starts, axis=1)

    def ranks(self, groups: Floats) -> Floats:
        """Average rank of each pair, minus the mean rank: (replicates, n)."""
        upto = np.cumsum(groups, axis=1)
        centred = upto - groups / 2 - upto[:, -1:] / 2
        return centred[:, self._codes]

    def signs(self, block: slice) -> NDArray[np.int8]:
        """Sign of value i minus value j for j in the block: (n, block)."""
        here, there = self._codes[:, None], self._codes[None, block]
        return (here > there).view(np.int8) - (here < there).view(np.int8)


def _ties(groups: Floats) -> Floats:
    ties: Floats = np.einsum("rg,rg->r", groups, groups - 1)
    return ties / 2


def _correlation(weights: Floats, x: Floats, y: Floats) -> Floats:
    """Weighted correlation of two centred arrays (replicates, n), within [-1, 1]."""
    weighted = weights * x
    covariance = np.einsum("rn,rn->r", weighted, y)
    spread_x = np.einsum("rn,rn->r", weighted, x)
    spread_y = np.einsum("rn,rn->r", weights * y, y)
    found: Floats = covariance / np.sqrt(spread_x) / np.sqrt(spread_y)
    return found.clip(-1.0, 1.0)
