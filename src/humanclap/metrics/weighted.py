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

Places = NDArray[np.intp]


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
        both = self._metric.codes * (self._human.codes.max() + 1.0) + self._human.codes
        self._both = _Ranked(both)
        self._inversions = _Inversions(self._metric.codes, self._human.codes)
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
        tied_in_both = _ties(self._both.group_weights(w))
        # Concordant minus discordant pairs; whole numbers, exact below 2**53.
        balance = untied_metric + untied_human - pairs + tied_in_both
        balance -= 2 * self._inversions(np.ascontiguousarray(w.T))
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
                "ktau": balance / np.sqrt(untied_metric) / np.sqrt(untied_human),
            }
            values = {name: np.where(defined, value, np.nan) for name, value in values.items()}
            values["mse"] = w @ self._error**2 / total
            values["mae"] = w @ np.abs(self._error) / total
        return values


class _Inversions:
    """Weight of the discordant pairs, in O(n log v) for v distinct values of the coarser side.

    After Knight 1966: with pairs in order of one side, a discordant pair is an inversion of the
    other. Inversions are counted bit by bit of the codes: at each bit, among values equal in the
    higher bits, an inversion is a 1 that stands before a 0. The positions depend on the values
    only, so they are worked out once for all replicates.
    """

    def __init__(self, one: NDArray[np.int32], other: NDArray[np.int32]) -> None:
        fine, coarse = (one, other) if one.max() >= other.max() else (other, one)
        order = np.lexsort((coarse, fine))  # ties of the fine side hold no inversion
        self._levels = [
            self._level(order, coarse[order], bit) for bit in range(int(coarse.max()).bit_length())
        ]

    @staticmethod
    def _level(order: Places, codes: NDArray[np.int32], bit: int) -> tuple[Places, ...]:
        """Places of the ones and zeros, and the ones before each zero and before its group."""
        by_prefix = np.argsort(codes >> (bit + 1), kind="stable")
        order, codes = order[by_prefix], codes[by_prefix]
        prefix, is_one = codes >> (bit + 1), (codes >> bit) & 1 == 1
        ones_upto = np.concatenate([[0], np.cumsum(is_one)])
        group_start = np.searchsorted(prefix, prefix)
        zeros = np.flatnonzero(~is_one)
        return order[is_one], order[zeros], ones_upto[zeros], ones_upto[group_start[zeros]]

    def __call__(self, weights: Floats) -> Floats:
        """Weights (n, replicates), pair by pair -> weight of the inversions (replicates,)."""
        found = np.zeros(weights.shape[1])
        for ones, zeros, before, before_group in self._levels:
            upto = np.zeros((ones.size + 1, weights.shape[1]))
            np.cumsum(weights[ones], axis=0, out=upto[1:])
            found += np.einsum("zr,zr->r", weights[zeros], upto[before] - upto[before_group])
        return found


class _Ranked:
    """Values with their order and ties worked out once."""

    def __init__(self, values: ArrayLike) -> None:
        self.values = np.asarray(values, dtype=np.float64)
        if self.values.ndim != 1 or not self.values.size or not np.isfinite(self.values).all():
            raise InputError("values must be finite, at least one, of shape (n,)")
        spread = float(np.ptp(self.values)) or 1.0
        self.scaled = (self.values - self.values.mean()) / spread
        distinct, codes = np.unique(self.values, return_inverse=True)
        self.codes = codes.astype(np.int32)  # (n,), position among the distinct values
        self._order = np.argsort(self.codes, kind="stable")
        self._starts = np.searchsorted(self.codes[self._order], np.arange(distinct.size))

    def group_weights(self, weights: Floats) -> Floats:
        """Weight of each distinct value, ascending: (replicates, distinct)."""
        return np.add.reduceat(weights[:, self._order], self._starts, axis=1)

    def ranks(self, groups: Floats) -> Floats:
        """Average rank of each pair, minus the mean rank: (replicates, n)."""
        upto = np.cumsum(groups, axis=1)
        centred = upto - groups / 2 - upto[:, -1:] / 2
        return centred[:, self.codes]


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
