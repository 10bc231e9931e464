"""Judge metrics against people: the numbers of the report, with their intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np

from humanclap.errors import InputError
from humanclap.evaluation.agreement.groups import Judge, Metric, alone, level_names, versus
from humanclap.evaluation.agreement.judged import (
    check_scale,
    judged_targets,
    shared_captions,
    target_counts,
    with_trivial,
)
from humanclap.evaluation.agreement.members import (
    Members,
    members_of,
    of_level,
    stated,
    system_codes,
    without_each,
)
from humanclap.evaluation.agreement.noise_ceiling import ceilings
from humanclap.evaluation.agreement.rating_intervals import predicted_intervals
from humanclap.evaluation.agreement.result import (
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
from humanclap.evaluation.join import Joined, ScoreTable, join_by
from humanclap.evaluation.noted import noted
from humanclap.evaluation.settings import EvaluationSettings
from humanclap.evaluation.statistic import PairedTest, paired_tests
from humanclap.grouping import Paired, caption_key
from humanclap.metrics import agreement
from humanclap.metrics.ceiling import NoiseCeiling
from humanclap.metrics.permutation import permutation_p
from humanclap.metrics.prediction_quality import PredictionQuality, calibration
from humanclap.metrics.weighted import cluster_codes
from humanclap.progress import Progress, silent
from humanclap.records import Rating, Score, Target, Votes
from humanclap.scale import RatingScale


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
    LeakageError where a judged clip or caption is in `train` (a caption may be, with
    `allow_shared_captions`), and with `refuse_trained_on` where a metric's model met judged pairs.
    """
    settings = settings or EvaluationSettings()
    if not tables and train is None:
        raise InputError("give at least one score table, or training targets")
    judged, left_out = judged_targets(targets, settings, targets_where)
    check_scale(targets, settings.rating_scale, targets_where)
    others: list[Paired] = [*left_out, *pairs_of(votes or ())]
    joined = join_by(settings, tables, judged, left_out=others, targets_where=targets_where)
    if settings.refuse_trained_on:
        refuse_met(joined.scores)
    trivial: tuple[str, ...] = ()
    floor_captions = 0
    if train is not None:
        floor_captions = shared_captions(train, joined.targets, settings, train_where)
        joined, trivial = with_trivial(joined, train, settings, train_where)
    members = members_of(joined, settings)
    ceiling = ceilings(ratings, joined.targets, members, ratings_where, seed=settings.seed)
    intervals = {table.name: table.intervals for table in tables}
    found = _Comparing(joined, trivial, intervals, settings, progress).comparison(
        members, target_counts(targets, joined.targets), ceiling, tuple(notes)
    )
    choices = None
    if votes is not None:
        choices = judge_choices(tables, votes, settings, others=targets, where=votes_where)
    return replace(found, floor_captions=floor_captions, choices=choices)


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
        systems = system_codes(self._joined, self._settings)
        without = without_each(members)
        places = level_names(systems, cluster_codes(self._captions))
        self._judge.expect(len(members) + len(without) + len(places))
        found = {
            "groups": self._judge.groups(members),
            "levels": self._judge.levels(systems),
            "without": self._judge.groups(without),
        }
        return Comparison(
            evaluations=tuple(self._evaluation(n, found, counts) for n in self._joined.scores),
            differences=_differences(found, self._against_first),
            against_trivial=_differences(found, self._against_trivial),
            tests=self._tests(),
            ceilings=ceiling,
            settings=self._settings,
            notes=notes,
        )

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
        apart = [srcc[name] - srcc[baseline] for name, baseline in wanted]
        return paired_tests(wanted, apart, p_values, self._settings.permutations)

    def _evaluation(
        self, name: str, found: Mapping[str, Mapping[str, list[Group]]], counts: TargetCounts
    ) -> Evaluation:
        mapped = self._metrics[name].scale_map
        return Evaluation(
            name=name,
            **_parts(found, alone(name)),
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


def _parts(found: Mapping[str, Mapping[str, list[Group]]], key: str) -> dict[str, Any]:
    """Groups, levels and those without a system, of one metric or difference."""
    return {part: tuple(by_key.get(key, ())) for part, by_key in found.items()}


def _differences(
    found: Mapping[str, Mapping[str, list[Group]]], wanted: Sequence[tuple[str, str]]
) -> tuple[Difference, ...]:
    return tuple(
        Difference(name=name, baseline=baseline, **_parts(found, versus(name, baseline)))
        for name, baseline in wanted
    )


def _pairs(
    name: str, joined: Joined[Target], mapped: ScaleMap, scale: RatingScale
) -> tuple[JudgedPair, ...]:
    levels = zip(*(of_level(joined, level) for level in ("system", "subset", "split")), strict=True)
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
            system=stated(system),
            subset=stated(subset),
            split=stated(split),
            predicted_error=math.nan  # one NaN, so that equal records are equal
            if math.isnan(row.rating_error)
            else (scale.high - scale.low) * row.rating_error / 10,
            met=row.met,
        )
        for target, row, predicted, (system, subset, split) in rows
    )
