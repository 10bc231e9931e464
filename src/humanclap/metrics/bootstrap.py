"""Intervals by cluster bootstrap: captions are drawn whole, since their pairs are not independent.

Sources: Efron & Tibshirani 1993, ch. 13 (percentile), ch. 14 (BCa); Field & Welsh 2007 (clusters).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from humanclap.errors import InputError
from humanclap.metrics.weighted import WeightedAgreement, cluster_codes
from humanclap.progress import Progress, silent

REPLICATES_AT_ONCE, COUNTS_AT_ONCE = 250, 10_000_000
"""Replicates held in memory at one time, as an array (250, C); of very many clusters fewer."""

Statistics = Callable[[NDArray[np.float64]], Mapping[str, NDArray[np.float64]]]
"""How often each cluster stands (replicates, C) -> name -> value in each replicate (replicates,).

In `cluster_bootstrap` the weights are those of the pairs, (replicates, n)."""

IntervalMethod = Literal["percentile", "bca"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A bootstrap interval and what it stands on.

    low, high: NaN where `reason` says why. replicates: how many were drawn; undefined: how many of
    them had no value (for example, one side constant) and were left out of the percentiles.
    """

    low: float
    high: float
    confidence: float
    replicates: int
    undefined: int
    clusters: int
    reason: str | None = None


def expanded_tail(confidence: float, clusters: int) -> float:
    """Share of the replicates to leave out at each end, less where there are few clusters.

    Plain percentiles are too narrow by sqrt((C - 1) / C) and take the normal for the t
    distribution; the tail that mends both is Phi(-sqrt(C / (C - 1)) t_{C-1}).
    Source: Hesterberg 2015, "What Teachers Should Know About the Bootstrap" (expanded percentile).

    >>> round(expanded_tail(0.95, 20), 4), round(expanded_tail(0.95, 10_000), 4)
    (0.0159, 0.025)
    """
    quantile = float(stats.t.ppf((1 + confidence) / 2, clusters - 1))
    return float(stats.norm.cdf(-math.sqrt(clusters / (clusters - 1)) * quantile))


def replicates_needed(confidence: float) -> int:
    """Fewest replicates whose percentiles can carry an interval: one beyond each end.

    >>> replicates_needed(0.95)
    40
    """
    return math.ceil(round(2 / (1 - confidence), 6))


def bootstrap(
    statistics: Statistics,
    n_clusters: int,
    *,
    rng: np.random.Generator,
    replicates: int = 1000,
    confidence: float = 0.95,
    method: IntervalMethod = "percentile",
    progress: Progress = silent,
) -> dict[str, Interval]:
    """Intervals of several statistics, from the same replicates.

    A replicate draws as many clusters as there are, with replacement. method: percentile, or bca
    (bias-corrected and accelerated, the acceleration from leaving out one cluster at a time); both
    widened for few clusters (`expanded_tail`).
    With fewer than 2 clusters, or where more than half of the replicates are undefined, the
    interval is NaN with its reason.
    Raises InputError for a confidence outside (0, 1) or too few replicates to carry it.
    """
    if not 0.0 < confidence < 1.0:
        raise InputError(f"confidence is {confidence}; expected a number between 0 and 1")
    if replicates < replicates_needed(confidence):
        raise InputError(
            f"{replicates} replicates cannot carry a {100 * confidence:g} % interval; "
            f"take at least {replicates_needed(confidence)}"
        )
    if n_clusters < 2:
        names = statistics(np.ones((1, n_clusters)))
        reason = "fewer than 2 clusters"
        return {name: _no_interval(n_clusters, confidence, reason) for name in names}
    drawn = _collect(statistics, draws(n_clusters, replicates, rng), replicates, progress)
    if method == "percentile":
        return {
            name: _percentile_interval(values, n_clusters, confidence)
            for name, values in drawn.items()
        }
    observed = statistics(np.ones((1, n_clusters)))
    without = _collect(statistics, _leave_one_out(n_clusters), n_clusters, silent)
    return {
        name: _bca_interval(values, float(observed[name][0]), without[name], n_clusters, confidence)
        for name, values in drawn.items()
    }


def standard_error(replicates: NDArray[np.float64], clusters: int) -> float:
    """Standard error from a statistic's values in the replicates of a cluster bootstrap.

    Their standard deviation, which is too small by sqrt((C - 1) / C), put right; NaN for fewer than
    2 clusters or defined values. Source: Hesterberg 2015.

    >>> round(standard_error(np.array([1.0, 2.0, 3.0, np.nan]), clusters=4), 4)
    1.1547
    """
    defined = replicates[np.isfinite(replicates)]
    if defined.size < 2 or clusters < 2:
        return math.nan
    return float(defined.std(ddof=1)) * math.sqrt(clusters / (clusters - 1))


def cluster_bootstrap(
    statistics: Statistics,
    clusters: Sequence[Hashable],
    *,
    rng: np.random.Generator,
    replicates: int = 1000,
    confidence: float = 0.95,
    method: IntervalMethod = "percentile",
    progress: Progress = silent,
) -> dict[str, Interval]:
    """As `bootstrap`, of statistics that take weights of the pairs, (replicates, n).

    clusters: shape (n,), the cluster of each pair; each is taken whole.

    >>> agreement = WeightedAgreement([1, 2, 3, 4, 5, 6], [1, 3, 2, 5, 4, 6])
    >>> found = cluster_bootstrap(agreement, list("aabbcd"), rng=np.random.default_rng(0))
    >>> found["srcc"].clusters, found["srcc"].low <= 0.886 <= found["srcc"].high
    (4, True)
    """
    if not len(clusters):
        raise InputError("there are no pairs to draw from")
    codes = cluster_codes(clusters)
    return bootstrap(
        lambda times: statistics(times[:, codes]),
        int(codes.max()) + 1,
        rng=rng,
        replicates=replicates,
        confidence=confidence,
        method=method,
        progress=progress,
    )


def agreement_intervals(
    metric: ArrayLike,
    human: ArrayLike,
    clusters: Sequence[Hashable],
    *,
    rng: np.random.Generator,
    predicted: ArrayLike | None = None,
    replicates: int = 1000,
    confidence: float = 0.95,
    method: IntervalMethod = "percentile",
    progress: Progress = silent,
) -> dict[str, Interval]:
    """Intervals of srcc, lcc, ktau, mse and mae; see `WeightedAgreement`, `cluster_bootstrap`."""
    codes = cluster_codes(clusters)
    engine = WeightedAgreement(metric, human, predicted, clusters=codes)
    return bootstrap(
        engine,
        engine.n_clusters,
        rng=rng,
        replicates=replicates,
        confidence=confidence,
        method=method,
        progress=progress,
    )


def paired_difference(first: Statistics, second: Statistics) -> Statistics:
    """Statistics of `second - first` in the same replicates: a paired comparison of two metrics.

    >>> human = [1, 2, 3, 4]
    >>> good, poor = WeightedAgreement(human, human), WeightedAgreement([2, 1, 4, 3], human)
    >>> paired_difference(poor, good)(np.ones((1, 4)))["srcc"].round(3)
    array([0.4])
    """

    def difference(weights: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        before, after = first(weights), second(weights)
        return {name: after[name] - before[name] for name in before if name in after}

    return difference


def _block(count: int) -> int:
    return max(1, min(REPLICATES_AT_ONCE, COUNTS_AT_ONCE // count))


def draws(count: int, replicates: int, rng: np.random.Generator) -> Iterator[NDArray[np.float64]]:
    """How often each cluster stands in each replicate, by blocks (replicates at once, C)."""
    block = _block(count)
    for start in range(0, replicates, block):
        size = min(block, replicates - start)
        drawn = rng.integers(count, size=(size, count))
        drawn += count * np.arange(size)[:, None]
        times = np.bincount(drawn.ravel(), minlength=size * count).reshape(size, count)
        yield times.astype(np.float64)


def _leave_one_out(count: int) -> Iterator[NDArray[np.float64]]:
    """All clusters once but one, for each one, by blocks."""
    block = _block(count)
    for start in range(0, count, block):
        size = min(block, count - start)
        times = np.ones((size, count))
        times[np.arange(size), start + np.arange(size)] = 0
        yield times


def _collect(
    statistics: Statistics,
    blocks: Iterator[NDArray[np.float64]],
    total: int,
    progress: Progress,
) -> dict[str, NDArray[np.float64]]:
    values: dict[str, list[NDArray[np.float64]]] = {}
    done = 0
    for times in blocks:
        for name, value in statistics(times).items():
            values.setdefault(name, []).append(value)
        done += len(times)
        progress(done, total, "")
    return {name: np.concatenate(parts) for name, parts in values.items()}


def _percentile_interval(values: NDArray[np.float64], clusters: int, confidence: float) -> Interval:
    tail = expanded_tail(confidence, clusters)
    return _interval_at(values, tail, 1 - tail, clusters, confidence)


def _bca_interval(
    values: NDArray[np.float64],
    observed: float,
    without: NDArray[np.float64],
    clusters: int,
    confidence: float,
) -> Interval:
    """Efron 1987; where bias or acceleration has no value, the percentile interval."""
    defined, left_out = values[np.isfinite(values)], without[np.isfinite(without)]
    tail = expanded_tail(confidence, clusters)
    ends = np.array([tail, 1 - tail])
    if defined.size and left_out.size and math.isfinite(observed):
        below = (np.mean(defined < observed) + np.mean(defined <= observed)) / 2
        gap = left_out.mean() - left_out
        largest = float(np.abs(gap).max())
        if 0 < below < 1 and largest > 0:
            unit = gap / largest
            acceleration = float(np.sum(unit**3)) / (6 * float(unit @ unit) ** 1.5)
            bias = float(stats.norm.ppf(below))
            lower = float(stats.norm.ppf(tail))
            shifted = bias + np.array([lower, -lower])
            shrunk = 1 - acceleration * shifted
            if (shrunk > 0).all():
                ends = stats.norm.cdf(bias + shifted / shrunk)
    return _interval_at(values, float(ends[0]), float(ends[1]), clusters, confidence)


def _interval_at(
    values: NDArray[np.float64], low_tail: float, high_tail: float, clusters: int, confidence: float
) -> Interval:
    defined = values[np.isfinite(values)]
    undefined = values.size - defined.size
    if 2 * undefined > values.size:
        reason = f"undefined in {undefined} of {values.size} replicates"
        return _no_interval(clusters, confidence, reason, values.size, undefined)
    low, high = np.quantile(defined, [low_tail, high_tail])
    return Interval(
        low=float(low),
        high=float(high),
        confidence=confidence,
        replicates=values.size,
        undefined=undefined,
        clusters=clusters,
    )


def _no_interval(
    clusters: int, confidence: float, reason: str, replicates: int = 0, undefined: int = 0
) -> Interval:
    return Interval(
        low=math.nan,
        high=math.nan,
        confidence=confidence,
        replicates=replicates,
        undefined=undefined,
        clusters=clusters,
        reason=reason,
    )
