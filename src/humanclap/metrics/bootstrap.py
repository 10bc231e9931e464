"""Intervals by cluster bootstrap: captions are drawn whole, since their pairs are not independent.

Source: Efron & Tibshirani 1993, ch. 13 (percentile interval); Field & Welsh 2007 (clusters).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from humanclap.errors import InputError
from humanclap.metrics.weighted import WeightedAgreement
from humanclap.progress import Progress, silent

REPLICATES_AT_ONCE = 250
"""Replicates held in memory at one time, as an array (250, n)."""

Statistics = Callable[[NDArray[np.float64]], Mapping[str, NDArray[np.float64]]]
"""Weights (replicates, n) -> name -> value in each replicate (replicates,)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A percentile interval and what it stands on.

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


def replicates_needed(confidence: float) -> int:
    """Fewest replicates whose percentiles can carry an interval: one beyond each end.

    >>> replicates_needed(0.95)
    40
    """
    return math.ceil(round(2 / (1 - confidence), 6))


def cluster_bootstrap(
    statistics: Statistics,
    clusters: Sequence[Hashable],
    *,
    rng: np.random.Generator,
    replicates: int = 1000,
    confidence: float = 0.95,
    progress: Progress = silent,
) -> dict[str, Interval]:
    """Percentile intervals of several statistics, from the same replicates.

    clusters: shape (n,), the cluster of each pair; a replicate draws as many clusters as there
    are, with replacement, and takes each whole. With fewer than 2 clusters, or where more than
    half of the replicates are undefined, the interval is NaN with its reason.
    Raises InputError for a confidence outside (0, 1) or too few replicates to carry it.

    >>> agreement = WeightedAgreement([1, 2, 3, 4, 5, 6], [1, 3, 2, 5, 4, 6])
    >>> found = cluster_bootstrap(agreement, list("aabbcd"), rng=np.random.default_rng(0))
    >>> found["srcc"].clusters, found["srcc"].low <= 0.886 <= found["srcc"].high
    (4, True)
    """
    if not 0.0 < confidence < 1.0:
        raise InputError(f"confidence is {confidence}; expected a number between 0 and 1")
    if replicates < replicates_needed(confidence):
        raise InputError(
            f"{replicates} replicates cannot carry a {100 * confidence:g} % interval; "
            f"take at least {replicates_needed(confidence)}"
        )
    codes = _cluster_codes(clusters)
    count = int(codes.max()) + 1
    if count < 2:
        names = statistics(np.ones((1, codes.size)))
        return {name: _no_interval(count, confidence, "fewer than 2 clusters") for name in names}
    values: dict[str, list[NDArray[np.float64]]] = {}
    done = 0
    for weights in _weights(codes, count, replicates, rng):
        for name, value in statistics(weights).items():
            values.setdefault(name, []).append(value)
        done += len(weights)
        progress(done, replicates, "")
    return {
        name: _percentile_interval(np.concatenate(parts), count, confidence)
        for name, parts in values.items()
    }


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
    return cluster_bootstrap(
        WeightedAgreement(metric, human, predicted),
        clusters,
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


def _cluster_codes(clusters: Sequence[Hashable]) -> NDArray[np.intp]:
    if not len(clusters):
        raise InputError("there are no pairs to draw from")
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(cluster, len(numbers)) for cluster in clusters], np.intp)


def _weights(
    codes: NDArray[np.intp], count: int, replicates: int, rng: np.random.Generator
) -> Iterator[NDArray[np.float64]]:
    """How often each pair stands in each replicate, by blocks (replicates at once, n)."""
    for start in range(0, replicates, REPLICATES_AT_ONCE):
        size = min(REPLICATES_AT_ONCE, replicates - start)
        drawn = rng.integers(count, size=(size, count))
        drawn += count * np.arange(size)[:, None]
        times = np.bincount(drawn.ravel(), minlength=size * count).reshape(size, count)
        yield times[:, codes].astype(np.float64)


def _percentile_interval(values: NDArray[np.float64], clusters: int, confidence: float) -> Interval:
    defined = values[np.isfinite(values)]
    undefined = values.size - defined.size
    if 2 * undefined > values.size:
        reason = f"undefined in {undefined} of {values.size} replicates"
        return _no_interval(clusters, confidence, reason, values.size, undefined)
    tail = (1 - confidence) / 2
    low, high = np.quantile(defined, [tail, 1 - tail])
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
