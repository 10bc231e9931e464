"""Judge metrics against people: the numbers of the report, with their intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from humanclap.errors import InputError
from humanclap.evaluation.join import Joined, ScoreTable, join
from humanclap.evaluation.result import (
    STATISTICS,
    Comparison,
    Difference,
    Evaluation,
    Group,
    JudgedPair,
    Statistic,
    TargetCounts,
)
from humanclap.evaluation.scale_map import ScaleMap, scale_map
from humanclap.evaluation.settings import EvaluationSettings
from humanclap.grouping import caption_key
from humanclap.metrics import agreement
from humanclap.metrics.bootstrap import Interval, Statistics, cluster_bootstrap
from humanclap.metrics.weighted import WeightedAgreement
from humanclap.progress import Progress, silent
from humanclap.records import Score, Target

NOT_STATED = "(not stated)"
"""Group of the pairs whose subset, system or split no table names."""


def evaluate(
    scores: Sequence[Score],
    targets: Sequence[Target],
    settings: EvaluationSettings | None = None,
    *,
    name: str = "scores",
    progress: Progress = silent,
) -> Evaluation:
    """Judge one metric; see `compare`.

    >>> targets = [Target(audio=f"{i}.wav", text=f"sound {i}", target=i / 10, mos=float(i), n=4)
    ...            for i in range(5)]
    >>> scores = [Score(audio=t.audio, text=t.text, score=t.target / 2) for t in reversed(targets)]
    >>> found = evaluate(scores, targets).overall
    >>> found.n, found.statistics["srcc"].value, found.statistics["mse"].value
    (5, 1.0, 1.5)
    """
    table = ScoreTable(name=name, scores=scores)
    return compare([table], targets, settings, progress=progress).evaluations[0]


def compare(
    tables: Sequence[ScoreTable],
    targets: Sequence[Target],
    settings: EvaluationSettings | None = None,
    *,
    targets_where: str = "targets",
    notes: Sequence[str] = (),
    progress: Progress = silent,
) -> Comparison:
    """Judge metrics on the pairs all of them scored, each against people and the first.

    Correlations are with `mos`; MSE and MAE after the stated scale map. Intervals are percentiles
    of a bootstrap that draws captions whole, the same draws for every metric, so differences are
    paired. Anchors are judged only with `include_anchors`, attention checks never.
    Raises InputError as `join`, and for a MOS outside the rating scale.
    """
    settings = settings or EvaluationSettings()
    if not tables:
        raise InputError("give at least one score table")
    judged, left_out = _judged(targets, settings, targets_where)
    joined = join(
        tables,
        judged,
        left_out=left_out,
        key=settings.key,
        allow_missing=settings.allow_missing,
        force=settings.force,
        targets_where=targets_where,
    )
    human = np.array([target.mos for target in joined.targets])
    maps = {
        name: scale_map(settings.scale_map, rows, human, settings.rating_scale)
        for name, rows in joined.scores.items()
    }
    found = _Judge(joined, human, maps, settings, progress).groups()
    counts = _counts(targets, joined.targets)
    return Comparison(
        evaluations=tuple(
            _evaluation(name, joined, maps[name], found[_alone(name)], counts, settings)
            for name in joined.scores
        ),
        differences=tuple(
            Difference(name=name, baseline=tables[0].name, groups=tuple(found[_versus(name)]))
            for name in list(joined.scores)[1:]
        ),
        settings=settings,
        notes=tuple(notes),
    )


def _judged(
    targets: Sequence[Target], settings: EvaluationSettings, where: str
) -> tuple[list[Target], list[Target]]:
    kinds = {"rating", "anchor"} if settings.include_anchors else {"rating"}
    judged = [target for target in targets if target.kind in kinds]
    if not judged:
        hint = "" if settings.include_anchors else "; --include-anchors adds anchors"
        raise InputError(f"{where}: none of the {len(targets)} targets is a rating{hint}")
    for target in judged:
        if target.mos not in settings.rating_scale:
            raise InputError(
                f"{where}: pair {target.pair_id!r} has mos {target.mos:g}, outside "
                f"{settings.rating_scale}; name the study's scale with --rating-scale low..high"
            )
    return judged, [target for target in targets if target.kind not in kinds]


def _counts(targets: Sequence[Target], judged: Sequence[Target]) -> TargetCounts:
    return TargetCounts(
        total=len(targets),
        judged=len(judged),
        anchors=sum(target.kind == "anchor" for target in targets),
        anchors_judged=sum(target.kind == "anchor" for target in judged),
        attention_checks=sum(target.kind == "attention_check" for target in targets),
    )


class _Judge:
    """Works group by group; every table meets the same bootstrap draws."""

    def __init__(
        self,
        joined: Joined,
        human: NDArray[np.float64],
        maps: Mapping[str, ScaleMap],
        settings: EvaluationSettings,
        progress: Progress,
    ) -> None:
        self._joined = joined
        self._human = human
        self._maps = maps
        self._settings = settings
        self._progress = progress
        self._captions = [caption_key(target.text) for target in joined.targets]
        self._scores = {
            name: np.array([row.score for row in rows]) for name, rows in joined.scores.items()
        }

    def groups(self) -> dict[str, list[Group]]:
        """Groups of each table (`_alone`) and of each difference from the first (`_versus`)."""
        members = _members(self._joined, self._settings)
        total = self._settings.replicates * len(members)
        found: dict[str, list[Group]] = {}
        for done, ((level, name), index) in enumerate(members.items()):

            def step(now: int, of: int, note: str, done: int = done, level: str = level) -> None:
                self._progress(done * of + now, total, level)

            for key, statistics in self._group(index, step).items():
                group = Group(
                    level=level,
                    name=name,
                    n=index.size,
                    captions=len({self._captions[i] for i in index}),
                    statistics=statistics,
                )
                found.setdefault(key, []).append(group)
        return found

    def _group(
        self, index: NDArray[np.intp], progress: Progress
    ) -> dict[str, dict[str, Statistic]]:
        values, reasons = self._values(index)
        intervals = cluster_bootstrap(
            self._replicates(index),
            [self._captions[i] for i in index],
            rng=np.random.default_rng(self._settings.seed),
            replicates=self._settings.replicates,
            confidence=self._settings.confidence,
            progress=progress,
        )
        return {
            key: {
                name: _statistic(
                    value, intervals[f"{key}/{name}"], reasons[key].get(name), index.size
                )
                for name, value in of_table.items()
            }
            for key, of_table in values.items()
        }

    def _values(
        self, index: NDArray[np.intp]
    ) -> tuple[dict[str, dict[str, float]], dict[str, dict[str, str]]]:
        """Value and reason of each statistic, keyed as `groups`."""
        values: dict[str, dict[str, float]] = {}
        reasons: dict[str, dict[str, str]] = {}
        human = self._human[index]
        for table, scores in self._scores.items():
            mapped = self._maps[table]
            key = _alone(table)
            values[key] = _statistics(scores[index], human, mapped.predicted[index])
            why = agreement.undefined_reason(scores[index], human)
            reasons[key] = dict.fromkeys(STATISTICS[:3], why) if why else {}
            if mapped.reason:
                reasons[key] |= dict.fromkeys(STATISTICS[3:], mapped.reason)
        first, *others = self._scores
        base = values[_alone(first)]
        for table in others:
            key, own = _versus(table), values[_alone(table)]
            values[key] = {name: own[name] - base[name] for name in STATISTICS}
            reasons[key] = reasons[_alone(first)] | reasons[_alone(table)]
            if self._maps[first].name != self._maps[table].name:
                differ = (
                    f"the scale maps differ ({self._maps[first].name}, {self._maps[table].name})"
                )
                values[key] |= dict.fromkeys(STATISTICS[3:], math.nan)
                reasons[key] |= dict.fromkeys(STATISTICS[3:], differ)
        return values, reasons

    def _replicates(self, index: NDArray[np.intp]) -> Statistics:
        engines = {
            name: WeightedAgreement(
                scores[index], self._human[index], self._maps[name].predicted[index]
            )
            for name, scores in self._scores.items()
        }
        first = next(iter(engines))

        def statistics(weights: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
            by_table = {name: engine(weights) for name, engine in engines.items()}
            found = {}
            for name, values in by_table.items():
                for key, value in values.items():
                    found[f"{_alone(name)}/{key}"] = value
                    if name != first:
                        found[f"{_versus(name)}/{key}"] = value - by_table[first][key]
            return found

        return statistics


def _alone(table: str) -> str:
    return f"table:{table}"


def _versus(table: str) -> str:
    return f"difference:{table}"


def _statistics(
    scores: NDArray[np.float64], human: NDArray[np.float64], predicted: NDArray[np.float64]
) -> dict[str, float]:
    mapped = bool(np.isfinite(predicted).all())
    return {
        "srcc": agreement.srcc(scores, human),
        "lcc": agreement.lcc(scores, human),
        "ktau": agreement.ktau(scores, human),
        "mse": agreement.mse(predicted, human) if mapped else math.nan,
        "mae": agreement.mae(predicted, human) if mapped else math.nan,
    }


def _statistic(value: float, interval: Interval, reason: str | None, n: int) -> Statistic:
    defined = math.isfinite(value)
    return Statistic(
        value=value,
        low=interval.low if defined else math.nan,
        high=interval.high if defined else math.nan,
        n=n,
        captions=interval.clusters,
        replicates=interval.replicates,
        undefined=interval.undefined,
        reason=reason or (f"no interval: {interval.reason}" if interval.reason else None),
    )


def _members(
    joined: Joined, settings: EvaluationSettings
) -> dict[tuple[str, str], NDArray[np.intp]]:
    """Rows of each group; a level of which all pairs share one value is no group."""
    everyone = np.arange(len(joined.targets))
    found = {("overall", ""): everyone}
    for level in settings.by:
        values = _of_level(joined, level)
        names = sorted(set(values) - {NOT_STATED}) + [NOT_STATED] * (NOT_STATED in values)
        if len(names) > 1:
            for name in names:
                index = [i for i, value in enumerate(values) if value == name]
                found[level, name] = everyone[index]
    return found


def _of_level(joined: Joined, level: str) -> list[str]:
    """What the target says of each pair, else what the first table that says anything does."""
    columns: list[Sequence[Target] | Sequence[Score]] = [joined.targets, *joined.scores.values()]
    return [
        next((said for column in columns if (said := getattr(column[i], level))), NOT_STATED)
        for i in range(len(joined.targets))
    ]


def _evaluation(
    name: str,
    joined: Joined,
    mapped: ScaleMap,
    groups: Sequence[Group],
    counts: TargetCounts,
    settings: EvaluationSettings,
) -> Evaluation:
    return Evaluation(
        name=name,
        groups=tuple(groups),
        counts=counts,
        coverage=joined.coverage[name],
        scale_map=mapped.name,
        scale_map_formula=mapped.formula,
        optimistic=mapped.optimistic,
        settings=settings,
        per_pair=_pairs(name, joined, mapped),
    )


def _pairs(name: str, joined: Joined, mapped: ScaleMap) -> tuple[JudgedPair, ...]:
    levels = zip(
        *(_of_level(joined, level) for level in ("system", "subset", "split")), strict=True
    )
    rows = zip(joined.targets, joined.scores[name], mapped.predicted, levels, strict=True)
    return tuple(
        JudgedPair(
            pair_id=target.pair_id,
            audio=target.audio,
            text=target.text,
            human=target.mos,
            n=target.n,
            standard_error=target.standard_error,
            score=row.score,
            predicted=float(predicted),
            kind=target.kind,
            system=_stated(system),
            subset=_stated(subset),
            split=_stated(split),
        )
        for target, row, predicted, (system, subset, split) in rows
    )


def _stated(value: str) -> str | None:
    return None if value == NOT_STATED else value
