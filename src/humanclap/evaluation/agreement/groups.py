"""Places and their numbers: every group and level of pairs, every table, every difference."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray

from humanclap.evaluation.agreement.members import Members
from humanclap.evaluation.agreement.result import (
    BETWEEN,
    CAPTIONS,
    LEVEL_STATISTICS,
    PARTIAL,
    STATISTICS,
    WITHIN,
    Group,
)
from humanclap.evaluation.agreement.scale_map import ScaleMap
from humanclap.evaluation.settings import EvaluationSettings
from humanclap.evaluation.statistic import Statistic, intervals_of
from humanclap.metrics import agreement, levels
from humanclap.metrics.bootstrap import Interval, Statistics
from humanclap.metrics.influence import (
    Influence,
    WithinSystemsInfluence,
    agreement_influence,
    by_influence,
    partial_influence,
)
from humanclap.metrics.pairwise import pairwise_accuracy, tie_threshold
from humanclap.metrics.weighted import DENSE_CLUSTERS, WeightedAgreement, cluster_codes
from humanclap.progress import Progress

Floats = NDArray[np.float64]
Places = NDArray[np.intp]

RANKS = ("srcc", "lcc", "ktau")
ERRORS = ("mse", "mae")


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One table's numbers: scores and predicted ratings, shape (n,)."""

    name: str
    scores: Floats
    scale_map: ScaleMap


@dataclass(frozen=True, slots=True)
class _Side:
    """One metric at one place: values and reasons by statistic, and where intervals come from.

    engine: of the bootstrap, or of very many pairs their influence; pairs: how many count for a
    statistic, where those are not all of the place.
    """

    values: Mapping[str, float]
    reasons: Mapping[str, str]
    engine: Statistics | Influence | WithinSystemsInfluence
    pairs: Mapping[str, int] = field(default_factory=dict)


class Judge:
    """Works place by place; every metric meets the same bootstrap draws.

    captions: of each pair, shape (n,); versus: (name, baseline) of the differences wanted.
    tie_thresholds: of pairwise accuracy, by metric, chosen on all pairs.
    """

    def __init__(
        self,
        metrics: Sequence[Metric],
        human: Floats,
        captions: Sequence[str],
        versus: Sequence[tuple[str, str]],
        settings: EvaluationSettings,
        progress: Progress,
    ) -> None:
        self._metrics, self._human, self._versus = metrics, human, versus
        self._clusters = cluster_codes(captions)
        self._settings, self._progress = settings, progress
        self.tie_thresholds = {
            metric.name: tie_threshold(metric.scores, human).threshold for metric in metrics
        }
        self._done, self._total = 0, 0

    def expect(self, places: int) -> None:
        """Say how many places will be judged, for the progress."""
        self._total = places * self._settings.replicates

    def groups(self, members: Members) -> dict[str, list[Group]]:
        """Groups by metric (`alone`) and difference (`versus`), in the order of `members`."""
        found: dict[str, list[Group]] = {}
        for (level, name), index in members.items():
            _, codes = np.unique(self._clusters[index], return_inverse=True)
            sides = {
                metric.name: self._plain(metric, index, codes.reshape(-1))
                for metric in self._metrics
            }
            place = _Place(level, name, index.size, int(codes.max()) + 1, STATISTICS)
            for key, group in self._place(place, sides).items():
                found.setdefault(key, []).append(group)
        return found

    def levels(self, systems: Places | None) -> dict[str, list[Group]]:
        """Between, within and partial of systems (where there are several), within captions."""
        found: dict[str, list[Group]] = {}
        for level in level_names(systems, self._clusters):
            sides = {metric.name: self._level(level, metric, systems) for metric in self._metrics}
            n = self._counted(level, systems)
            only = ("srcc", "lcc") if level == PARTIAL else LEVEL_STATISTICS
            place = _Place(level, "", n, int(self._clusters.max()) + 1, only)
            for key, group in self._place(place, sides).items():
                found.setdefault(key, []).append(group)
        return found

    def _counted(self, level: str, systems: Places | None) -> int:
        if level == BETWEEN and systems is not None:
            return int(systems.max()) + 1
        if level == CAPTIONS:
            return int((np.bincount(self._clusters)[self._clusters] > 1).sum())
        return self._human.size

    def _plain(self, metric: Metric, index: Places, codes: Places) -> _Side:
        scores, human = metric.scores[index], self._human[index]
        predicted = metric.scale_map.predicted[index]
        threshold = self.tie_thresholds[metric.name]
        mapped = bool(np.isfinite(predicted).all())
        why = agreement.undefined_reason(scores, human)
        reasons = dict.fromkeys(RANKS, why) if why else {}
        if index.size < 2:
            reasons["accuracy"] = "n = 1, fewer than 2"
        if metric.scale_map.reason:
            reasons |= dict.fromkeys(ERRORS, metric.scale_map.reason)
        tied = float(np.nan_to_num(threshold))
        if by_influence(index.size, of=self._human.size):
            found = agreement_influence(scores, human, predicted, codes, tied)
            return _Side(found.values, reasons, found)
        values = {
            "srcc": agreement.srcc(scores, human),
            "lcc": agreement.lcc(scores, human),
            "ktau": agreement.ktau(scores, human),
            "accuracy": pairwise_accuracy(scores, human, threshold=tied)
            if index.size > 1
            else math.nan,
            "mse": agreement.mse(predicted, human) if mapped else math.nan,
            "mae": agreement.mae(predicted, human) if mapped else math.nan,
        }
        engine = WeightedAgreement(scores, human, predicted, clusters=codes, threshold=tied)
        return _Side(values, reasons, engine)

    def _level(self, level: str, metric: Metric, systems: Places | None) -> _Side:
        x, y, clusters = metric.scores, self._human, self._clusters
        engine = _engine(level, x, y, systems, clusters, self.tie_thresholds[metric.name])
        if isinstance(engine, WithinSystemsInfluence):
            values = engine.influence().values
        elif isinstance(engine, Influence):
            values = engine.values
        else:
            once = engine(np.ones((1, int(clusters.max()) + 1)))
            values = {name: float(value[0]) for name, value in once.items()}
        why = _level_reason(level, x, y, systems)
        reasons = {name: why for name, value in values.items() if math.isnan(value)}
        return _Side(values, reasons, engine, getattr(engine, "pairs", {}))

    def _place(self, place: _Place, sides: Mapping[str, _Side]) -> dict[str, Group]:
        intervals = self._intervals(place, sides)
        self._done += self._settings.replicates
        found = {}
        for name, side in sides.items():
            key = alone(name)
            found[key] = place.group(key, side.values, side.reasons, intervals, side.pairs)
        for name, baseline in self._versus:
            values, reasons = self._difference(sides, name, baseline, place.captions)
            key = versus(name, baseline)
            found[key] = place.group(key, values, reasons, intervals)
        return found

    def _intervals(self, place: _Place, sides: Mapping[str, _Side]) -> dict[str, Interval]:
        """By metric or difference, and statistic."""
        of_pairs = _influences(sides, self._versus)
        if of_pairs:
            self._progress(self._done + self._settings.replicates, self._total, place.level)
            return {
                f"{key}/{name}": interval
                for key, influence in of_pairs.items()
                for name, interval in influence.intervals(self._settings.confidence).items()
            }
        return intervals_of(
            self._replicates(sides),
            place.captions,
            self._settings,
            lambda now, of, note: self._progress(self._done + now, self._total, place.level),
        )

    def _difference(
        self, sides: Mapping[str, _Side], name: str, baseline: str, captions: int
    ) -> tuple[dict[str, float], dict[str, str]]:
        own, base = sides[name], sides[baseline]
        values = {key: own.values[key] - base.values[key] for key in own.values}
        reasons = {**base.reasons, **own.reasons}
        over_shared = _over_shared(own, base)
        if over_shared is not None:
            if isinstance(over_shared, Influence):
                values = dict(over_shared.values)
            else:
                once = over_shared(np.ones((1, captions)))
                values = {key: float(value[0]) for key, value in once.items()}
            undefined = [key for key, value in values.items() if math.isnan(value)]
            reasons = dict.fromkeys(undefined, "both are defined in no system or caption") | reasons
        maps = {metric.name: metric.scale_map.name for metric in self._metrics}
        if maps[name] != maps[baseline] and "mse" in values:
            values |= dict.fromkeys(ERRORS, math.nan)
            differ = f"the scale maps differ ({maps[baseline]}, {maps[name]})"
            reasons |= dict.fromkeys(ERRORS, differ)
        return values, reasons

    def _replicates(self, sides: Mapping[str, _Side]) -> Statistics:
        engines = {name: side.engine for name, side in sides.items() if callable(side.engine)}

        def statistics(times: Floats) -> dict[str, Floats]:
            by_table = {name: engine(times) for name, engine in engines.items()}
            found = {
                f"{alone(name)}/{key}": value
                for name, values in by_table.items()
                for key, value in values.items()
            }
            for name, baseline in self._versus:
                over_shared = _over_shared(sides[name], sides[baseline])
                differences = (
                    {key: v - by_table[baseline][key] for key, v in by_table[name].items()}
                    if not callable(over_shared)
                    else over_shared(times)
                )
                for key, value in differences.items():
                    found[f"{versus(name, baseline)}/{key}"] = value
            return found

        return statistics


def _engine(
    level: str, x: Floats, y: Floats, systems: Places | None, clusters: Places, threshold: float
) -> Statistics | Influence | WithinSystemsInfluence:
    """What gives a level's values and intervals; those of means stay with the bootstrap."""
    if systems is None or level == CAPTIONS:
        return levels.WithinCaptions(x, y, clusters, threshold)
    if level == BETWEEN:
        return levels.BetweenSystems(x, y, systems, clusters)
    large = by_influence(x.size, of=x.size)
    if level == WITHIN:
        of_level = WithinSystemsInfluence if large else levels.WithinSystems
        return of_level(x, y, systems, clusters, threshold)
    if large:
        return partial_influence(x, y, systems, clusters)
    return levels.PartialOfSystems(x, y, systems, clusters)


def _influences(
    sides: Mapping[str, _Side], wanted: Sequence[tuple[str, str]]
) -> dict[str, Influence]:
    """By metric (`alone`) and difference (`versus`); none where the place has its bootstrap."""
    found = {}
    for name, side in sides.items():
        if isinstance(side.engine, WithinSystemsInfluence):
            found[alone(name)] = side.engine.influence()
        elif isinstance(side.engine, Influence):
            found[alone(name)] = side.engine
    for name, baseline in wanted if found else ():
        shared = _over_shared(sides[name], sides[baseline])
        apart = found[alone(name)].minus(found[alone(baseline)])
        found[versus(name, baseline)] = shared if isinstance(shared, Influence) else apart
    return found


def _over_shared(own: _Side, base: _Side) -> Statistics | Influence | None:
    """The difference over the systems, or captions, in which both sides have a value; None where
    these are those of each, and the means may be set against each other.
    """
    one, other = own.engine, base.engine
    if isinstance(one, levels.WithinSystems) and isinstance(other, levels.WithinSystems):
        return None if one.defined == other.defined else partial(one.minus, other)
    if isinstance(one, WithinSystemsInfluence) and isinstance(other, WithinSystemsInfluence):
        return None if one.defined == other.defined else one.influence(other)
    if isinstance(one, levels.WithinCaptions) and isinstance(other, levels.WithinCaptions):
        return None if one.defined == other.defined else partial(one.minus, other)
    return None


@dataclass(frozen=True, slots=True)
class _Place:
    level: str
    name: str
    n: int
    captions: int
    statistics: tuple[str, ...]

    def group(
        self,
        key: str,
        values: Mapping[str, float],
        reasons: Mapping[str, str],
        intervals: Mapping[str, Interval],
        pairs: Mapping[str, int] | None = None,
    ) -> Group:
        """The group of one metric or difference."""
        counted = pairs or {}
        return Group(
            level=self.level,
            name=self.name,
            n=self.n,
            captions=self.captions,
            statistics={
                name: self._statistic(
                    values.get(name, math.nan),
                    reasons.get(name),
                    intervals.get(f"{key}/{name}"),
                    counted.get(name, self.n),
                )
                for name in self.statistics
            },
        )

    def _statistic(
        self, value: float, reason: str | None, interval: Interval | None, n: int
    ) -> Statistic:
        if interval is None:
            why = f"no interval: more than {DENSE_CLUSTERS:,} captions"
            return Statistic(
                value=value, low=math.nan, high=math.nan, n=n, captions=self.captions,
                replicates=0, undefined=0, reason=reason or why,
            )  # fmt: skip
        defined = math.isfinite(value)
        return Statistic(
            value=value if defined else math.nan,
            low=interval.low if defined else math.nan,
            high=interval.high if defined else math.nan,
            n=n,
            captions=interval.clusters or self.captions,
            replicates=interval.replicates,
            undefined=interval.undefined,
            reason=reason or (f"no interval: {interval.reason}" if interval.reason else None),
        )


def alone(table: str) -> str:
    """Key of a metric's own groups."""
    return f"table:{table}"


def versus(table: str, baseline: str) -> str:
    """Key of the groups of a difference."""
    return f"difference:{table}\0{baseline}"


def level_names(systems: Places | None, clusters: Places) -> list[str]:
    """The levels there are: of systems where there are several, of captions with several clips."""
    found = [] if systems is None else [BETWEEN, WITHIN, PARTIAL]
    return [*found, CAPTIONS] if np.bincount(clusters).max() > 1 else found


def _level_reason(level: str, x: Floats, y: Floats, systems: Places | None) -> str:
    why = agreement.undefined_reason(x, y)
    if why:
        return why
    if level == BETWEEN and systems is not None and systems.max() < levels.MIN_SYSTEMS - 1:
        return f"{int(systems.max()) + 1} systems, fewer than {levels.MIN_SYSTEMS}"
    return {
        BETWEEN: "the means of the systems are constant",
        WITHIN: "undefined in every system",
        PARTIAL: "nothing is left within systems",
        CAPTIONS: "no caption has 3 clips that differ on both sides",
    }[level]
