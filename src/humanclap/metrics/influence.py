"""Intervals of very large tables: what each caption adds to a statistic, in place of replicates.

Every statistic is a smooth function of how often each pair is drawn. Its derivative by a pair's
weight, summed over the pairs of a caption, is the caption's influence; with very many pairs the
bootstrap's variance is the sum of the squared influences, and no replicate need be drawn. Sources:
infinitesimal jackknife, Jaeckel 1972; Efron & Tibshirani 1993, ch. 21; sums over clusters, Field &
Welsh 2007.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from humanclap.metrics import agreement
from humanclap.metrics.bootstrap import Interval
from humanclap.metrics.dominance import Relations

LARGE_PAIRS = 20_000
"""Tables of more pairs than this have intervals by influence ..."""
SMALL_PLACE = 1_000
"""... but for their groups of no more pairs than this, which keep the bootstrap."""

Floats = NDArray[np.float64]
Places = NDArray[np.intp]


def by_influence(n: int, *, of: int) -> bool:
    """Whether a group of n pairs, of all the judged ones, has its intervals by influence.

    >>> by_influence(20_000, of=20_000), by_influence(2_000, of=30_000), by_influence(9, of=30_000)
    (False, True, False)
    """
    return of > LARGE_PAIRS and n > SMALL_PLACE


@dataclass(frozen=True, slots=True)
class Influence:
    """Values of statistics and each cluster's influence on them, shape (C,); no entry for NaN."""

    values: Mapping[str, float]
    of_clusters: Mapping[str, Floats]

    def minus(self, baseline: Influence) -> Influence:
        """The difference from another metric on the same pairs."""
        return Influence(
            {name: value - baseline.values[name] for name, value in self.values.items()},
            {
                name: own - baseline.of_clusters[name]
                for name, own in self.of_clusters.items()
                if name in baseline.of_clusters
            },
        )

    def intervals(self, confidence: float) -> dict[str, Interval]:
        """value -/+ t(C - 1) times the standard error, which is that of the cluster bootstrap."""
        return {
            name: _interval(value, self.of_clusters.get(name), confidence)
            for name, value in self.values.items()
        }


def _interval(value: float, influence: Floats | None, confidence: float) -> Interval:
    clusters = 0 if influence is None else influence.size
    half, reason = math.nan, None
    if influence is None:
        reason = "undefined"
    elif clusters < 2:
        reason = "fewer than 2 clusters"
    else:
        spread = influence - influence.mean()
        error = math.sqrt(float(spread @ spread) * clusters / (clusters - 1))
        half = float(stats.t.ppf((1 + confidence) / 2, clusters - 1)) * error
    low, high = value - half, value + half
    return Interval(low=low, high=high, confidence=confidence, clusters=clusters, reason=reason)


def agreement_influence(
    metric: Floats, human: Floats, predicted: Floats, clusters: Places, threshold: float
) -> Influence:
    """SRCC, LCC, KTAU-b, pairwise accuracy, MSE and MAE of many pairs.

    metric, human, predicted: shape (n,), predicted NaN where there is none; clusters: shape (n,),
    numbers 0..C-1; threshold: largest difference of scores that accuracy calls a tie. Values are
    those of `metrics.agreement` and `pairwise_accuracy`.
    """
    n = metric.size
    error = predicted - human
    values = {
        "srcc": agreement.srcc(metric, human), "lcc": agreement.lcc(metric, human),
        "ktau": math.nan, "accuracy": math.nan,
        "mse": float(np.mean(error**2)), "mae": float(np.mean(np.abs(error))),
    }  # fmt: skip
    of_pairs: dict[str, Floats] = {}
    if n > 1:
        relations = Relations(metric, human)
        right = relations.right(threshold)
        pairs = n * (n - 1) / 2
        values["accuracy"] = (int(right.sum(dtype=np.int64)) - n) / (n * (n - 1))
        of_pairs["accuracy"] = np.asarray(
            (right - 0.5 - values["accuracy"] * (n - 0.5)) / pairs, np.float64
        )
    if not math.isnan(values["srcc"]):
        of_pairs["srcc"] = _of_srcc(metric, human)
        of_pairs["lcc"] = _of_lcc(metric - metric.mean(), human - human.mean())
        values["ktau"], of_pairs["ktau"] = _of_ktau(metric, human, relations.balance())
    if not math.isnan(values["mse"]):
        of_pairs["mse"] = (error**2 - values["mse"]) / n
        of_pairs["mae"] = (np.abs(error) - values["mae"]) / n
    return Influence(values, summed(of_pairs, clusters))


def summed(of_pairs: Mapping[str, Floats], clusters: Places) -> dict[str, Floats]:
    """Influence of each cluster from that of its pairs."""
    count = int(clusters.max()) + 1
    return {
        name: np.asarray(np.bincount(clusters, own, count), np.float64)
        for name, own in of_pairs.items()
    }


def partial_influence(
    metric: Floats, human: Floats, systems: Places, clusters: Places
) -> Influence:
    """SRCC and LCC within systems, as `levels.PartialOfSystems`."""
    sides = [stats.rankdata(side) for side in (metric, human)]
    ranks = [_within(side, systems) for side in sides]
    plain = [_within(side - side.mean(), systems) for side in (metric, human)]
    values, of_pairs = {}, {}
    for name, (x, y), whole in (("srcc", ranks, sides), ("lcc", plain, (metric, human))):
        spread = [float(np.sum((side - side.mean()) ** 2)) for side in whole]
        defined = x @ x > 1e-12 * spread[0] and y @ y > 1e-12 * spread[1]
        values[name] = float(x @ y / math.sqrt((x @ x) * (y @ y))) if defined else math.nan
        if defined and name == "srcc":
            of_pairs[name] = _of_ranks(x, y, metric, human)
        elif defined:
            of_pairs[name] = _of_lcc(x, y)
    return Influence(values, summed(of_pairs, clusters))


def _within(values: Floats, systems: Places) -> Floats:
    """Values less the mean of their system."""
    count = np.bincount(systems)
    left: Floats = values - (np.bincount(systems, values) / count)[systems]
    return left


def _of_lcc(x: Floats, y: Floats) -> Floats:
    """Of a correlation of sides with mean 0 (in each system)."""
    x, y = x / math.sqrt(float(x @ x)), y / math.sqrt(float(y @ y))
    found: Floats = x * y - float(x @ y) / 2 * (x * x + y * y)
    return found


def _of_srcc(metric: Floats, human: Floats) -> Floats:
    x, y = (stats.rankdata(side) for side in (metric, human))
    return _of_ranks(x - x.mean(), y - y.mean(), metric, human)


def _of_ranks(x: Floats, y: Floats, metric: Floats, human: Floats) -> Floats:
    """Of a correlation of ranks x, y with mean 0 (in each system): a pair's weight moves the ranks
    of all others by half a place, up where they are above it and down where below."""
    xx, yy, xy = float(x @ x), float(y @ y), float(x @ y)
    by_metric, by_human = _Above(metric), _Above(human)
    of_xy = x * y + by_metric(y) + by_human(x)
    of_xx, of_yy = x * x + 2 * by_metric(x), y * y + 2 * by_human(y)
    found: Floats = of_xy - xy / 2 * (of_xx / xx + of_yy / yy)
    return found / math.sqrt(xx * yy)


class _Above:
    """Half of the sum over the items above each item, less half of that over those below."""

    def __init__(self, values: Floats) -> None:
        _, codes = np.unique(values, return_inverse=True)
        self._codes = codes.reshape(-1)

    def __call__(self, terms: Floats) -> Floats:
        of_value = np.bincount(self._codes, terms)
        upto = np.cumsum(of_value)
        found: Floats = ((upto[-1] - upto - (upto - of_value)) / 2)[self._codes]
        return found


def _of_ktau(metric: Floats, human: Floats, balance: NDArray[np.int32]) -> tuple[float, Floats]:
    """Kendall's tau-b and its influence, from each item's balance."""
    n = metric.size
    tied = [_ties(side) for side in (metric, human)]
    untied = [(n * n - int(own.sum())) / 2 for own in tied]  # pairs; an item is tied with itself
    tau = int(balance.sum(dtype=np.int64)) / 2 / math.sqrt(untied[0]) / math.sqrt(untied[1])
    tau = max(-1.0, min(1.0, tau))
    of_untied = [(n - own) / pairs for own, pairs in zip(tied, untied, strict=True)]
    found: Floats = balance / math.sqrt(untied[0]) / math.sqrt(untied[1])
    return tau, found - tau / 2 * (of_untied[0] + of_untied[1])


def _ties(values: Floats) -> NDArray[np.int64]:
    """Items equal to each item, itself too: shape (n,)."""
    _, codes, count = np.unique(values, return_inverse=True, return_counts=True)
    return count[codes.reshape(-1)].astype(np.int64)


class WithinSystemsInfluence:
    """`levels.WithinSystems` of many pairs: the mean over systems, weighted by their pairs."""

    def __init__(
        self, metric: Floats, human: Floats, systems: Places, clusters: Places, threshold: float
    ) -> None:
        self._clusters = int(clusters.max()) + 1
        self._parts: list[tuple[int, Places, Influence]] = []
        for system in range(int(systems.max()) + 1):
            index = np.flatnonzero(systems == system)
            if index.size < agreement.MIN_PAIRS:
                continue
            there, codes = np.unique(clusters[index], return_inverse=True)
            nothing = np.full(index.size, np.nan)
            found = agreement_influence(
                metric[index], human[index], nothing, codes.reshape(-1), threshold
            )
            self._parts.append((index.size, there, found))
        self.defined = {
            name: tuple(name in part.of_clusters for _, _, part in self._parts) for name in _RANKED
        }
        self.pairs = {
            name: sum(n for n, _, part in self._parts if name in part.of_clusters)
            for name in _RANKED
        }

    def influence(self, baseline: WithinSystemsInfluence | None = None) -> Influence:
        """Of the mean, or of the difference over the systems in which both metrics have a value."""
        parts = [
            (n, there, own if baseline is None else own.minus(baseline._parts[i][2]))
            for i, (n, there, own) in enumerate(self._parts)
        ]
        values, of_clusters = {}, {}
        for name in _RANKED:
            known = [part for part in parts if name in part[2].of_clusters]
            values[name] = math.nan
            if known:
                weights = [n for n, _, _ in known]
                own = [part.values[name] for _, _, part in known]
                values[name] = float(np.average(own, weights=weights))
                total = np.zeros(self._clusters)
                for n, there, part in known:
                    total[there] += n / sum(weights) * part.of_clusters[name]
                of_clusters[name] = total
        return Influence(values, of_clusters)


_RANKED = ("srcc", "lcc", "ktau", "accuracy")
