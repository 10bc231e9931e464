"""Agreement between systems, within systems and within captions, on many resamples at once.

A pooled correlation mixes two questions: which system is better, and which clip of one system fits
its caption better. Each class here answers one, as a function of how often each cluster (caption)
stands: weights of shape (replicates, C) -> name -> (replicates,).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import sparse, stats

from humanclap.metrics import agreement
from humanclap.metrics.agreement import MIN_PAIRS, ktau_rows
from humanclap.metrics.influence import LARGE_PAIRS
from humanclap.metrics.pairwise import pairwise_accuracy
from humanclap.metrics.weighted import WeightedAgreement, scaled

Floats = NDArray[np.float64]
Places = NDArray[np.intp]

MIN_SYSTEMS = 3
DENSE_SUMS = 4_000_000
_TABLE_ITEMS = 4_000_000
_LONG_CAPTION = 300
"""Captions of more clips than this are taken one by one."""


class BetweenSystems:
    """SRCC, LCC, KTAU-b and pairwise accuracy of the systems' mean scores and mean ratings.

    systems, clusters: shape (n,), numbers 0..S-1 and 0..C-1. NaN where a sample lacks a system,
    correlations also for fewer than 3 systems or constant means.
    Source of the accuracy: Kocmi et al. 2021 (share of system pairs ordered as people do).
    """

    def __init__(self, metric: Floats, human: Floats, systems: Places, clusters: Places) -> None:
        shape = (int(clusters.max()) + 1, int(systems.max()) + 1)
        sides = (scaled(metric), scaled(human), np.ones(metric.size))
        self._sums = [_sums(values, clusters, systems, shape) for values in sides]
        self._upper = np.triu_indices(shape[1], 1)

    def __call__(self, times: Floats) -> dict[str, Floats]:
        """The statistics where cluster c is drawn times[r, c] times."""
        with np.errstate(divide="ignore", invalid="ignore"):
            count = times @ self._sums[2]
            x, y = (np.round(times @ total / count, 12) for total in self._sums[:2])  # (r, S)
        of_x = np.sign(x[:, :, None] - x[:, None, :])  # (replicates, S, S)
        of_y = np.sign(y[:, :, None] - y[:, None, :])
        pairs = of_x[:, *self._upper], of_y[:, *self._upper]
        found = {
            "srcc": _correlation(of_x.sum(axis=2), of_y.sum(axis=2)),  # twice the centred ranks
            "lcc": _correlation(x - x.mean(axis=1)[:, None], y - y.mean(axis=1)[:, None]),
            "ktau": _correlation(*pairs),
        }
        # Means that are equal have no correlation; what is left of them is rounding.
        found["lcc"] = np.where(np.isnan(found["srcc"]), np.nan, found["lcc"])
        if x.shape[1] < MIN_SYSTEMS:
            found = {name: np.full(len(times), np.nan) for name in found}
        lacking = np.isnan(x).any(axis=1) | (x.shape[1] < 2)
        right = np.mean(pairs[0] == pairs[1], axis=1) if x.shape[1] > 1 else np.nan
        return found | {"accuracy": np.where(lacking, np.nan, right)}


def _sums(
    values: Floats, clusters: Places, systems: Places, shape: tuple[int, int]
) -> Floats | sparse.csr_matrix:
    """By cluster and system, (C, S); sparse where most of very many are empty."""
    if shape[0] * shape[1] > DENSE_SUMS:
        return sparse.csr_matrix((values, (clusters, systems)), shape=shape)
    total = np.zeros(shape)
    np.add.at(total, (clusters, systems), values)
    return total


def _correlation(x: Floats, y: Floats) -> Floats:
    """Of rows that are centred already, or signs: (replicates, k) -> (replicates,)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        found: Floats = (x * y).sum(axis=1) / np.sqrt((x**2).sum(axis=1) * (y**2).sum(axis=1))
    return found.clip(-1.0, 1.0)


class WithinSystems:
    """Mean over systems, weighted by their number of pairs, of SRCC, LCC, KTAU-b and accuracy.

    Systems in which a statistic is undefined (fewer than 3 pairs, a constant side) do not count;
    `pairs` says how many pairs do, by statistic.
    """

    def __init__(
        self, metric: Floats, human: Floats, systems: Places, clusters: Places, threshold: float
    ) -> None:
        self._parts: list[tuple[int, Places, WeightedAgreement]] = []
        for system in range(int(systems.max()) + 1):
            index = np.flatnonzero(systems == system)
            if index.size < MIN_PAIRS:
                continue
            there, codes = np.unique(clusters[index], return_inverse=True)
            engine = WeightedAgreement(
                metric[index], human[index], clusters=codes.reshape(-1), threshold=threshold
            )
            self._parts.append((index.size, there, engine))
        once = np.ones((1, int(clusters.max()) + 1))
        parts = self._by_statistic(once)
        self.pairs = {
            name: sum(n for n, value in of_systems if np.isfinite(value[0]))
            for name, of_systems in parts.items()
        }
        self.defined = {
            name: tuple(bool(np.isfinite(value[0])) for _, value in of_systems)
            for name, of_systems in parts.items()
        }

    def _by_statistic(self, times: Floats) -> dict[str, list[tuple[int, Floats]]]:
        """Pairs and value of each system, by statistic."""
        values = [(n, engine(times[:, there])) for n, there, engine in self._parts]
        return {
            name: [(n, part[name]) for n, part in values if name in part]
            for name in ("srcc", "lcc", "ktau", "accuracy")
        }

    def __call__(self, times: Floats) -> dict[str, Floats]:
        """The statistics where cluster c is drawn times[r, c] times."""
        return {
            name: _mean_over_systems(of_systems, len(times))
            for name, of_systems in self._by_statistic(times).items()
        }

    def minus(self, baseline: WithinSystems, times: Floats) -> dict[str, Floats]:
        """Difference from another metric on the same pairs, over systems in which both have one."""
        own, base = self._by_statistic(times), baseline._by_statistic(times)
        return {
            name: _mean_over_systems(
                [(n, x - y) for (n, x), (_, y) in zip(own[name], base[name], strict=True)],
                len(times),
            )
            for name in own
        }


def _mean_over_systems(of_systems: Sequence[tuple[int, Floats]], replicates: int) -> Floats:
    """Weighted by pairs, over the systems whose value is defined in the replicate."""
    weight, total = np.zeros(replicates), np.zeros(replicates)
    for n, value in of_systems:
        defined = np.isfinite(value)
        weight += n * defined
        total += np.where(defined, n * np.nan_to_num(value), 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        found: Floats = total / weight
    return found


class PartialOfSystems:
    """SRCC and LCC of what is left when the mean of each system is taken out of both sides.

    For SRCC the ranks are over all pairs, then each system's mean rank is subtracted (the partial
    correlation given the system).
    """

    def __init__(self, metric: Floats, human: Floats, systems: Places, clusters: Places) -> None:
        self._sides = (metric, human)
        self._clusters = clusters
        self._member = np.zeros((metric.size, int(systems.max()) + 1))
        self._member[np.arange(metric.size), systems] = 1.0
        self._ranked = [_RankOrder(side) for side in self._sides]

    def __call__(self, times: Floats) -> dict[str, Floats]:
        """The statistics where cluster c is drawn times[r, c] times."""
        parts = [self._block(times[start : start + 64]) for start in range(0, len(times), 64)]
        return {name: np.concatenate([part[name] for part in parts]) for name in ("srcc", "lcc")}

    def _block(self, times: Floats) -> dict[str, Floats]:
        w = times.take(self._clusters, axis=1)
        of_systems = w @ self._member  # (replicates, S)
        centred = [side - side.mean() for side in self._sides]
        plain = [np.broadcast_to(side, w.shape) for side in centred]
        ranks = [ranked(w) for ranked in self._ranked]
        return {
            "srcc": self._partial(w, of_systems, ranks[0], ranks[1]),
            "lcc": self._partial(w, of_systems, plain[0], plain[1]),
        }

    def _partial(self, w: Floats, of_systems: Floats, x: Floats, y: Floats) -> Floats:
        def left(a: Floats, b: Floats) -> Floats:
            sums = ((w * a) @ self._member) * ((w * b) @ self._member)
            between = np.divide(sums, of_systems, out=np.zeros_like(sums), where=of_systems > 0)
            total: Floats = np.einsum("rn,rn,rn->r", w, a, b) - between.sum(axis=1)
            return total

        xx, yy = left(x, x), left(y, y)
        small = [1e-12 * np.einsum("rn,rn,rn->r", w, side, side) for side in (x, y)]
        with np.errstate(divide="ignore", invalid="ignore"):
            found = left(x, y) / np.sqrt(xx * yy)
        undefined = (xx <= small[0]) | (yy <= small[1]) | (w.sum(axis=1) < MIN_PAIRS)
        return np.where(undefined, np.nan, found.clip(-1.0, 1.0))


class _RankOrder:
    """Average ranks of items under weights, minus their mean: (replicates, n) both ways."""

    def __init__(self, values: Floats) -> None:
        codes = np.unique(values, return_inverse=True)[1].reshape(-1)
        self._order, self._codes = np.argsort(codes, kind="stable"), codes
        ordered = codes[self._order]
        self._starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))

    def __call__(self, weights: Floats) -> Floats:
        groups = np.add.reduceat(weights[:, self._order], self._starts, axis=1)
        upto = np.cumsum(groups, axis=1)
        return (upto - groups / 2 - upto[:, -1:] / 2).take(self._codes, axis=1)


class WithinCaptions:
    """Mean over captions of SRCC, LCC, KTAU-b and pairwise accuracy among a caption's clips.

    Captions with one clip, and those where a statistic is undefined (two clips have no SRCC, clips
    rated alike no KTAU), do not count for it; `counted` says how many do, `pairs` how many clips
    they have.
    """

    def __init__(self, metric: Floats, human: Floats, clusters: Places, threshold: float) -> None:
        count = int(clusters.max()) + 1
        self._values = {name: np.full(count, np.nan) for name in ("srcc", "lcc", "ktau")}
        self._values["accuracy"] = np.full(count, np.nan)
        order = np.argsort(clusters, kind="stable")
        size = np.bincount(clusters, minlength=count)
        at_once = size <= _LONG_CAPTION if metric.size > LARGE_PAIRS else np.zeros(count, bool)
        starts = np.cumsum(size) - size
        for caption in np.flatnonzero((size > 1) & ~at_once):
            index = order[starts[caption] : starts[caption] + size[caption]]
            x, y = metric[index], human[index]
            self._values["accuracy"][caption] = pairwise_accuracy(x, y, threshold=threshold)
            if agreement.undefined_reason(x, y) is None:
                for name in ("srcc", "lcc", "ktau"):
                    self._values[name][caption] = getattr(agreement, name)(x, y)
        for clips in np.unique(size[at_once & (size > 1)]):
            captions = np.flatnonzero(size == clips)
            step = max(1, _TABLE_ITEMS // int(clips) ** 2)
            for some in np.split(captions, range(step, captions.size, step)):
                index = order[starts[some][:, None] + np.arange(clips)]
                for name, values in _of_rows(metric[index], human[index], threshold).items():
                    self._values[name][some] = values
        self.counted = {name: int(np.isfinite(v).sum()) for name, v in self._values.items()}
        self.pairs = {name: int(size[np.isfinite(v)].sum()) for name, v in self._values.items()}
        self.defined = {n: tuple(np.isfinite(v).tolist()) for n, v in self._values.items()}

    def __call__(self, times: Floats) -> dict[str, Floats]:
        """The statistics where cluster c is drawn times[r, c] times."""
        return {name: _mean_over_captions(v, times) for name, v in self._values.items()}

    def minus(self, baseline: WithinCaptions, times: Floats) -> dict[str, Floats]:
        """Difference from another metric on the same pairs, over captions that both have one in."""
        return {
            name: _mean_over_captions(values - baseline._values[name], times)
            for name, values in self._values.items()
        }


def _of_rows(x: Floats, y: Floats, threshold: float) -> dict[str, Floats]:
    """Agreement of each row: (captions, clips) both -> (captions,), NaN where undefined."""
    one, other = np.triu_indices(x.shape[1], 1)
    of_x, of_y = x[:, one] - x[:, other], y[:, one] - y[:, other]
    of_x[np.abs(of_x) <= threshold] = 0
    found = {"accuracy": np.mean(np.sign(of_x) == np.sign(of_y), axis=1)}
    if x.shape[1] < MIN_PAIRS:
        return found
    ranks = [stats.rankdata(side, axis=1) - (x.shape[1] + 1) / 2 for side in (x, y)]
    defined = (np.ptp(x, axis=1) > 0) & (np.ptp(y, axis=1) > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        scaled = [
            (side - side.mean(axis=1)[:, None]) / np.ptp(side, axis=1)[:, None] for side in (x, y)
        ]
    ranked = {"srcc": _correlation(*ranks), "lcc": _correlation(*scaled), "ktau": ktau_rows(x, y)}
    return found | {name: np.where(defined, v, np.nan) for name, v in ranked.items()}


def _mean_over_captions(values: Floats, times: Floats) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        found: Floats = (times @ np.nan_to_num(values)) / (
            times @ np.isfinite(values).astype(np.float64)
        )
    return found
