"""Judge metrics against people: the numbers of the report, with their intervals."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from humanclap.errors import InputError, LeakageError
from humanclap.evaluation.agreement.groups import Judge, Members, Metric, alone, level_names, versus
from humanclap.evaluation.agreement.noise_ceiling import ceilings
from humanclap.evaluation.agreement.rating_intervals import predicted_intervals
from humanclap.evaluation.agreement.result import (
    WITHOUT,
    Comparison,
    Difference,
    Evaluation,
    Group,
    JudgedPair,
    TargetCounts,
)
from humanclap.evaluation.agreement.scale_map import ScaleMap, scale_map
from humanclap.evaluation.choices.accuracy import judge_choices, pairs_of
from humanclap.evaluation.exposure import exposure, refuse_met
from humanclap.evaluation.floors import trivial_tables
from humanclap.evaluation.join import Coverage, Joined, ScoreTable, join
from humanclap.evaluation.noted import noted
from humanclap.evaluation.settings import EvaluationSettings
from humanclap.evaluation.statistic import UNMET, PairedTest
from humanclap.grouping import caption_key, check_leakage
from humanclap.metrics import agreement
from humanclap.metrics.ceiling import NoiseCeiling
from humanclap.metrics.levels import MIN_SYSTEMS
from humanclap.metrics.permutation import holm, permutation_p
from humanclap.metrics.prediction_quality import PredictionQuality, calibration
from humanclap.metrics.weighted import cluster_codes
from humanclap.progress import Progress, silent
from humanclap.records import Rating, Score, Target, Votes, roles_met
from humanclap.scale import RatingScale, ask_for_scale, check_targets_scale

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
    ratings: Sequence[Rating] | None = None,
    train: Sequence[Target] | None = None,
    votes: Sequence[Votes] | None = None,
    targets_where: str = "targets",
    ratings_where: str = "ratings",
    train_where: str = "training targets",
    votes_where: str = "choices",
    notes: Sequence[str] = (),
    progress: Progress = silent,
) -> Comparison:
    """Judge metrics on the pairs all of them scored, each against people and the first.

    Correlations are with `mos`; MSE and MAE after the stated scale map. Intervals come from a
    bootstrap that draws captions whole, the same draws for every metric, so differences are
    paired. Anchors are judged only with `include_anchors`, attention checks never.
    ratings: those the targets were made of, for the noise ceiling; train: targets of other pairs,
    on which trivial predictors are fitted (then `tables` may be empty); votes: people's choices, by
    which the same tables are judged too (`judge_choices`).
    Raises InputError as `join`, `ceilings`, `trivial_tables` and `judge_choices`, for a MOS outside
    the scale, where `target` and `mos` are of two scales, or the scale is not stated and in doubt
    (`check_scale`);
    LeakageError where a judged clip or caption stands in `train` (a caption may, with
    `allow_shared_captions`), and with `refuse_trained_on` where a metric's model met judged pairs.
    """
    settings = settings or EvaluationSettings()
    if not tables and train is None:
        raise InputError("give at least one score table, or training targets")
    judged, left_out = judged_targets(targets, settings, targets_where)
    check_scale(targets, settings.rating_scale, targets_where)
    joined = join(
        tables,
        judged,
        left_out=[*left_out, *pairs_of(votes or ())],
        key=settings.key,
        allow_missing=settings.allow_missing,
        force=settings.force,
        targets_where=targets_where,
    )
    trivial: tuple[str, ...] = ()
    if settings.refuse_trained_on:
        refuse_met(joined.scores)
    floor_captions = 0
    if train is not None:
        floor_captions = _check_floor(train, joined.targets, settings, train_where)
        joined, trivial = _with_trivial(joined, train, settings, train_where)
    members = _members(joined, settings)
    ceiling = (
        ceilings(ratings, joined.targets, members, where=ratings_where, seed=settings.seed)
        if ratings is not None
        else {}
    )
    counts = _counts(targets, joined.targets)
    intervals = {table.name: table.intervals for table in tables}
    found = _Comparing(joined, trivial, intervals, settings, progress).comparison(
        members, counts, ceiling, tuple(notes)
    )
    choices = (
        None
        if votes is None
        else judge_choices(tables, votes, settings, others=targets, where=votes_where)
    )
    return replace(found, floor_captions=floor_captions, choices=choices)


def judged_targets(
    targets: Sequence[Target], settings: EvaluationSettings, where: str
) -> tuple[list[Target], list[Target]]:
    """The targets to judge, and those left out; raises InputError where there are none."""
    kinds = {"rating", "anchor"} if settings.include_anchors else {"rating"}
    judged = [target for target in targets if target.kind in kinds]
    if not judged:
        hint = "" if settings.include_anchors else "; --include-anchors adds anchors"
        raise InputError(f"{where}: none of the {len(targets)} targets is a rating{hint}")
    return judged, [target for target in targets if target.kind not in kinds]


def check_scale(targets: Sequence[Target], scale: RatingScale, where: str) -> None:
    """Raise InputError where mean ratings are outside the scale, or their scale is another one."""
    for target in targets:
        if target.kind != "attention_check" and target.mos not in scale:
            raise InputError(
                f"{where}: pair {target.pair_id!r} has mos {target.mos:g}, outside {scale}; name "
                "the study's scale with --rating-scale low..high"
            )
    units, ratings = [t.target for t in targets], [t.mos for t in targets]
    check_targets_scale(units, ratings, scale, where=where)
    ask_for_scale(ratings, scale, where=where)


def _counts(targets: Sequence[Target], judged: Sequence[Target]) -> TargetCounts:
    return TargetCounts(
        total=len(targets),
        judged=len(judged),
        anchors=sum(target.kind == "anchor" for target in targets),
        anchors_judged=sum(target.kind == "anchor" for target in judged),
        attention_checks=sum(target.kind == "attention_check" for target in targets),
    )


def _check_floor(
    train: Sequence[Target], judged: Sequence[Target], settings: EvaluationSettings, where: str
) -> int:
    """Refuse judged clips and captions among the floor's; how many captions are shared."""
    check_scale(train, settings.rating_scale, where)
    splits: dict[str, Sequence[Target]] = {
        "floor": [target for target in train if target.kind == "rating"],
        "judged": judged,
    }
    of_floor, of_judged = ({caption_key(t.text) for t in targets} for targets in splits.values())
    shared = of_floor & of_judged
    if shared and settings.allow_shared_captions:
        splits = {
            name: [replace(target, text=f"of {target.audio}") for target in targets]
            for name, targets in splits.items()
        }
    try:
        check_leakage(splits)
    except LeakageError as error:
        raise LeakageError(
            f"{where}: the floor must be fitted on pairs that are not judged: {error}; leave them "
            "out of it, or, where captions are shared by design, give --allow-shared-captions"
        ) from error
    return len(shared)


def _with_trivial(
    joined: Joined[Target], train: Sequence[Target], settings: EvaluationSettings, where: str
) -> tuple[Joined[Target], tuple[str, ...]]:
    """The joined tables with those of the trivial predictors behind them, and their names."""
    systems = _of_level(joined, "system")
    judged = [
        replace(target, system=_stated(system))
        for target, system in zip(joined.targets, systems, strict=True)
    ]
    tables = trivial_tables(train, judged, scale=settings.rating_scale, where=where)
    taken = {table.name for table in tables} & joined.scores.keys()
    if taken:
        raise InputError(f"a score table is named {min(taken)!r}, as a trivial predictor is")
    scores = {**joined.scores, **{table.name: tuple(table.scores) for table in tables}}
    coverage = {**joined.coverage, **{table.name: Coverage() for table in tables}}
    names = tuple(table.name for table in tables)
    return Joined(targets=joined.targets, scores=scores, coverage=coverage), names


class _Comparing:
    """One comparison at work."""

    def __init__(
        self,
        joined: Joined[Target],
        trivial: tuple[str, ...],
        intervals: Mapping[str, Mapping[str, tuple[float, float]]],
        settings: EvaluationSettings,
        progress: Progress,
    ) -> None:
        self._joined, self._trivial, self._settings = joined, trivial, settings
        self._intervals = intervals
        self._human = np.array([target.mos for target in joined.targets])
        self._captions = [caption_key(target.text) for target in joined.targets]
        self._metrics = {name: self._metric(name) for name in joined.scores}
        given = [name for name in joined.scores if name not in trivial]
        self._against_first = [(name, given[0]) for name in given[1:]]
        best = self._best_trivial()
        self._against_trivial = [(name, best) for name in given if best]
        self._judge = Judge(
            list(self._metrics.values()),
            self._human,
            self._captions,
            [*self._against_first, *self._against_trivial],
            settings,
            progress,
        )

    def _metric(self, name: str) -> Metric:
        rows = self._joined.scores[name]
        choice = "rating" if name in self._trivial else self._settings.scale_map
        return Metric(
            name=name,
            scores=np.array([row.score for row in rows]),
            scale_map=scale_map(choice, rows, self._human, self._settings.rating_scale),
        )

    def _best_trivial(self) -> str:
        found = {n: agreement.srcc(self._metrics[n].scores, self._human) for n in self._trivial}
        defined = {name: value for name, value in found.items() if not math.isnan(value)}
        return max(defined, key=lambda name: defined[name], default="")

    def comparison(
        self,
        members: Members,
        counts: TargetCounts,
        ceiling: Mapping[str, NoiseCeiling],
        notes: tuple[str, ...],
    ) -> Comparison:
        """All numbers of all places."""
        systems = self._systems()
        without = _without(members)
        places = level_names(systems, cluster_codes(self._captions))
        self._judge.expect(len(members) + len(without) + len(places))
        found = {
            "groups": self._judge.groups(members),
            "levels": self._judge.levels(systems),
            "without": self._judge.groups(without),
        }
        return Comparison(
            evaluations=tuple(self._evaluation(n, found, counts) for n in self._joined.scores),
            differences=tuple(_differences(found, self._against_first)),
            against_trivial=tuple(_differences(found, self._against_trivial)),
            tests=self._tests(),
            ceilings=ceiling,
            settings=self._settings,
            notes=notes,
        )

    def _systems(self) -> NDArray[np.intp] | None:
        """Number of each pair's system; None unless every pair states one and there are several."""
        systems = _of_level(self._joined, "system")
        if "system" not in self._settings.by or NOT_STATED in systems or len(set(systems)) < 2:
            return None
        return cluster_codes(systems)

    def _tests(self) -> tuple[PairedTest, ...]:
        """Every two of the metrics given, and each with the best trivial predictor; Holm."""
        if not self._settings.permutations:
            return ()
        given = [name for name in self._metrics if name not in self._trivial]
        wanted = [(second, first) for first, second in combinations(given, 2)]
        wanted += self._against_trivial
        codes = cluster_codes(self._captions)
        p_values = [
            permutation_p(
                self._metrics[baseline].scores,
                self._metrics[name].scores,
                self._human,
                codes,
                rng=np.random.default_rng(self._settings.seed),
                permutations=self._settings.permutations,
            )
            for name, baseline in wanted
        ]
        srcc = {n: agreement.srcc(m.scores, self._human) for n, m in self._metrics.items()}
        return tuple(
            PairedTest(
                name=name,
                baseline=baseline,
                difference=srcc[name] - srcc[baseline],
                p=p,
                p_holm=corrected,
                permutations=self._settings.permutations,
            )
            for (name, baseline), p, corrected in zip(wanted, p_values, holm(p_values), strict=True)
        )

    def _evaluation(
        self, name: str, found: Mapping[str, Mapping[str, list[Group]]], counts: TargetCounts
    ) -> Evaluation:
        mapped = self._metrics[name].scale_map
        groups, levels, without = (
            tuple(found[part].get(alone(name), ())) for part in ("groups", "levels", "without")
        )
        return Evaluation(
            name=name,
            groups=groups,
            levels=levels,
            without=without,
            tie_threshold=self._judge.tie_thresholds[name],
            calibration=self._calibration(name, mapped),
            intervals=predicted_intervals(
                self._joined.scores[name], self._joined.targets, self._settings.rating_scale
            ),
            trivial=name in self._trivial,
            exposure=exposure(self._joined.scores[name]),
            noted=noted({name: self._joined.scores[name]}),
            counts=counts,
            coverage=self._joined.coverage[name],
            scale_map=mapped.name,
            scale_map_formula=mapped.formula,
            optimistic=mapped.optimistic,
            settings=self._settings,
            per_pair=_pairs(name, self._joined, mapped, self._settings.rating_scale),
        )

    def _calibration(self, name: str, mapped: ScaleMap) -> PredictionQuality | None:
        if not np.isfinite(mapped.predicted).all():
            return None
        ends = self._intervals.get(name, {})
        rows = [ends.get(s.pair_id, (math.nan,) * 2) for s in self._joined.scores[name]]
        low, high = np.array(rows).T
        return calibration(mapped.predicted, self._human, low=low, high=high)


def _differences(
    found: Mapping[str, Mapping[str, list[Group]]], wanted: Sequence[tuple[str, str]]
) -> Iterator[Difference]:
    for name, baseline in wanted:
        groups, levels, without = (
            tuple(found[part].get(versus(name, baseline), ()))
            for part in ("groups", "levels", "without")
        )
        yield Difference(
            name=name, baseline=baseline, groups=groups, levels=levels, without=without
        )


def _without(members: Members) -> dict[tuple[str, str], NDArray[np.intp]]:
    """All pairs but those of one system, for each system, where there are three or more."""
    of_systems = {name: index for (level, name), index in members.items() if level == "system"}
    if len(of_systems) < MIN_SYSTEMS or NOT_STATED in of_systems:
        return {}
    everyone = members["overall", ""]
    return {(WITHOUT, name): np.setdiff1d(everyone, index) for name, index in of_systems.items()}


def _members(
    joined: Joined[Target], settings: EvaluationSettings
) -> dict[tuple[str, str], NDArray[np.intp]]:
    """Rows of each group; a level of which all pairs share one value is no group."""
    everyone = np.arange(len(joined.targets))
    found = {("overall", ""): everyone}
    tables = joined.scores.values()
    met = {i for table in tables for i, row in enumerate(table) if roles_met(row.met)}
    unmet = [i for i in everyone if i not in met] if met else everyone
    if 0 < len(unmet) < len(everyone):
        found[UNMET, ""] = everyone[unmet]
    for level in settings.by:
        values: dict[str, list[int]] = {}
        for i, value in enumerate(_of_level(joined, level)):
            values.setdefault(value, []).append(i)
        names = sorted(values.keys() - {NOT_STATED}) + [NOT_STATED] * (NOT_STATED in values)
        if len(names) > 1:
            for name in names:
                found[level, name] = everyone[values[name]]
    return found


def _of_level(joined: Joined[Target], level: str) -> list[str]:
    """What the target says of each pair, else what the first table that says anything does."""
    columns: list[Sequence[Target] | Sequence[Score]] = [joined.targets, *joined.scores.values()]
    said = [[getattr(row, level) for row in column] for column in columns]
    return [next(filter(None, of_pair), NOT_STATED) for of_pair in zip(*said, strict=True)]


def _pairs(
    name: str, joined: Joined[Target], mapped: ScaleMap, scale: RatingScale
) -> tuple[JudgedPair, ...]:
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
            predicted_error=math.nan  # one NaN, so that equal records are equal
            if math.isnan(row.rating_error)
            else (scale.high - scale.low) * row.rating_error / 10,
            met=row.met,
        )
        for target, row, predicted, (system, subset, split) in rows
    )


def _stated(value: str) -> str | None:
    return None if value == NOT_STATED else value
