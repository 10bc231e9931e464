"""Intervals by cluster bootstrap: captions are drawn whole, since their pairs are not independent.

Sources: Efron & Tibshirani 1993, ch. 13 (percentile); Field & Welsh 2007 (clusters).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from humanclap.errors import InputError
from humanclap.metrics.weighted import WeightedAgreement, cluster_codes
from humanclap.progress import Progress, silent

REPLICATES_AT_ONCE, COUNTS_AT_ONCE = 250, 10_000_000
"""Replicates held in memory at one time, as an array (250, C); of very many clusters fewer."""

Statistics = Callable[[NDArray[np.float64]], Mapping[str, NDArray[np.float64]]]
"""How often each cluster is drawn (replicates, C) -> name -> value in each replicate (replicates,).

In `cluster_bootstrap` the weights are those of the pairs, (replicates, n)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A bootstrap interval and what it is based on.

    low, high: NaN where `reason` says why. replicates: how many were drawn; undefined: how many of
    them had no value (for example, one side constant) and were left out of the percentiles.
    """

    low: float = math.nan
    high: float = math.nan
    confidence: float
    replicates: int = 0
    undefined: int = 0
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
    progress: Progress = silent,
) -> dict[str, Interval]:
    """Intervals of several statistics, from the same replicates.

    A replicate draws as many clusters as there are, with replacement. The ends are percentiles of
    the replicates, further out where there are few clusters (`expanded_tail`).
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
        none = Interval(confidence=confidence, clusters=n_clusters, reason="fewer than 2 clusters")
        return dict.fromkeys(statistics(np.ones((1, n_clusters))), none)
    drawn: dict[str, list[NDArray[np.float64]]] = {}
    done = 0
    for times in draws(n_clusters, replicates, rng):
        for name, value in statistics(times).items():
            drawn.setdefault(name, []).append(value)
        done += len(times)
        progress(done, replicates, "")
    return {
        name: _percentile_interval(np.concatenate(parts), n_clusters, confidence)
        for name, parts in drawn.items()
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


def draws(count: int, replicates: int, rng: np.random.Generator) -> Iterator[NDArray[np.float64]]:
    """How often each cluster is drawn in each replicate, by blocks (replicates at once, C)."""
    block = max(1, min(REPLICATES_AT_ONCE, COUNTS_AT_ONCE // count))
    for start in range(0, replicates, block):
        size = min(block, replicates - start)
        drawn = rng.integers(count, size=(size, count))
        drawn += count * np.arange(size)[:, None]
        times = np.bincount(drawn.ravel(), minlength=size * count).reshape(size, count)
        yield times.astype(np.float64)


def _percentile_interval(values: NDArray[np.float64], clusters: int, confidence: float) -> Interval:
    defined = values[np.isfinite(values)]
    undefined = values.size - defined.size
    low = high = math.nan
    reason = None
    if 2 * undefined > values.size:
        reason = f"undefined in {undefined} of {values.size} replicates"
    else:
        tail = expanded_tail(confidence, clusters)
        low, high = np.quantile(defined, [tail, 1 - tail]).tolist()
    return Interval(
        low=low,
        high=high,
        confidence=confidence,
        replicates=values.size,
        undefined=undefined,
        clusters=clusters,
        reason=reason,
    )
