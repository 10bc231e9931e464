"""What a reproduction found: every model judged on the same pairs, and answers to its questions."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from humanclap.evaluation.agreement.rating_intervals import PredictedIntervals
from humanclap.evaluation.floors import trivial_tables
from humanclap.experiments.grid import BEFORE, PREDICTIONS, Done
from humanclap.experiments.submission import validation_srcc
from humanclap.grouping import listener_overlap
from humanclap.metrics.ceiling import NoiseCeiling, noise_ceiling
from humanclap.metrics.permutation import holm
from humanclap.records import Score, Target
from humanclap.reproduce.agreement import Estimate, Judged
from humanclap.reproduce.calibrated import Calibrated, judge_ratings
from humanclap.reproduce.data import RatedPairs
from humanclap.reproduce.grids import Grids
from humanclap.reproduce.models import values
from humanclap.reproduce.request import MAIN_OBJECTIVE, QUICK_REPLICATES, Request
from humanclap.scale import RatingScale

Floats = NDArray[np.float64]
Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingRow:
    """One model, or one predictor that hears nothing.

    kind: `plain`, `released`, `trained` or `floor`; srcc, gain: by the name of the view, gain over
    the base before training; seeds: runs behind it; p, p_holm: permutation test of the gain over
    all judged pairs, NaN where none was made.
    """

    name: str
    kind: str
    srcc: dict[str, Estimate]
    gain: dict[str, Estimate] = field(default_factory=dict)
    seeds: int = 1
    p: float = math.nan
    p_holm: float = math.nan


@dataclass(frozen=True, slots=True, kw_only=True)
class Fewer:
    """The main objective on `pairs` rated pairs: gain over the base, and over training on all."""

    pairs: int
    ratings: float
    srcc: Estimate
    gain: Estimate
    against_all: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A system that training did not meet: gain over the base within its judged pairs."""

    system: str
    n: int
    srcc: Estimate
    gain: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """Everything the report says, in figures.

    ceilings: of a perfect metric, by view; wins: gain of the best objective over each other, with
    Holm's p; intervals, calibrated: coverage and errors of the final checkpoint's predicted
    ratings, None where it has none; overlap: share of the judged pairs' ratings that came from
    listeners who also rated training pairs.
    """

    request: Request
    views: dict[str, int]
    rows: list[FindingRow]
    ceilings: dict[str, NoiseCeiling]
    best: str
    wins: dict[str, tuple[Estimate, float]]
    fewer: list[Fewer]
    left_out: list[LeftOut]
    not_left_out: str | None
    intervals: PredictedIntervals | None
    calibrated: Calibrated | None
    chosen: Path
    overlap: float
    train_pairs: int
    judged_pairs: int
    read: int
    kept: int

    def row(self, name: str) -> FindingRow:
        """The row of this name. Raises KeyError."""
        return next(row for row in self.rows if row.name == name)

    @property
    def base(self) -> FindingRow:
        """The model that training began with."""
        return self.row(self.base_name)

    @property
    def base_name(self) -> str:
        """Of the model that training began with."""
        return self.request.labels[self.request.base]

    @property
    def main(self) -> FindingRow:
        """The main objective's."""
        return self.row(MAIN_OBJECTIVE)


def find(
    request: Request,
    pairs: RatedPairs,
    published: Mapping[str, Sequence[Score]],
    grids: Grids,
    folder: Path,
) -> Findings:
    """Judge everything on the judged pairs.

    published: scores of models by their names, the base among them, in the order of the judged
    pairs; folder: of the runs.
    """
    replicates = QUICK_REPLICATES if request.quick else 1000
    scale = RatingScale.parse(request.scale)
    judged = Judged(pairs.judged, replicates=replicates)
    base = published[request.base]
    trained = _by_objective(grids.grid, judged.targets)
    rows = _rows(request, pairs, judged, published, trained)
    best = max(trained, key=lambda name: _overall(rows, name))
    chosen = _chosen_run(grids.grid, folder)
    intervals, calibrated = judge_ratings(
        chosen / PREDICTIONS, pairs.judged, scale=scale, replicates=replicates
    )
    return Findings(
        request=request,
        views={view.name: view.n for view in judged.views},
        rows=rows,
        ceilings=_ceilings(pairs, judged),
        best=best,
        wins=_wins(judged, best, trained),
        fewer=_fewer(judged, grids.fewer, trained[MAIN_OBJECTIVE], [values(base)]),
        left_out=_left_out(grids.left_out, base, pairs.judged, replicates),
        not_left_out=grids.not_left_out,
        intervals=intervals,
        calibrated=calibrated,
        chosen=chosen,
        overlap=_overlap(pairs),
        train_pairs=len(pairs.train),
        judged_pairs=len(pairs.judged),
        read=pairs.read,
        kept=pairs.kept,
    )


def _rows(
    request: Request,
    pairs: RatedPairs,
    judged: Judged,
    published: Mapping[str, Sequence[Score]],
    trained: Mapping[str, Sequence[Floats]],
) -> list[FindingRow]:
    """Published models, trained ones and floors, with Holm's correction over every gain tested."""
    base = [values(published[request.base])]
    rows = []
    for name, scores in published.items():
        kind = "released" if name in request.released else "plain"
        rows.append(_row(judged, request.labels[name], kind, [values(scores)], base))
    rows += [_row(judged, name, "trained", runs, base) for name, runs in trained.items()]
    rows += _floors(pairs, judged, RatingScale.parse(request.scale))
    p_holm = holm([row.p for row in rows])
    return [replace(row, p_holm=p) for row, p in zip(rows, p_holm, strict=True)]


def _chosen_run(done: Sequence[Done], folder: Path) -> Path:
    """Folder of the main objective's run that agrees best on the pairs that chose its epoch."""
    runs = [one for one in done if one.run.objective == MAIN_OBJECTIVE]
    return max(runs, key=lambda one: validation_srcc(one, folder)).run.folder(folder)


def _row(
    judged: Judged, name: str, kind: str, runs: Sequence[Floats], base: Sequence[Floats] | None
) -> FindingRow:
    """A row; without `base`, or where it is the base itself, no gain."""
    srcc = {view.name: judged.agreement(runs, view) for view in judged.views}
    row = FindingRow(name=name, kind=kind, srcc=srcc, seeds=len(runs))
    if base is None or (len(runs) == 1 and np.array_equal(runs[0], base[0])):
        return row
    gain = {view.name: judged.gain(runs, base, view) for view in judged.views}
    return replace(row, gain=gain, p=judged.p_value(runs, base))


def _overall(rows: Sequence[FindingRow], name: str) -> float:
    value = next(row for row in rows if row.name == name).srcc["all judged"].value
    return -math.inf if math.isnan(value) else value


def _by_objective(done: Sequence[Done], judged: Sequence[Target]) -> dict[str, list[Floats]]:
    """Objective -> scores of its seeds, in the order of the judged pairs."""
    return {
        name: [_in_order(one, judged) for one in several]
        for name, several in _grouped(done, lambda one: one.run.objective).items()
    }


def _grouped(done: Sequence[Done], key: Callable[[Done], Key]) -> dict[Key, list[Done]]:
    """The runs that trained, by what they have in common."""
    found: dict[Key, list[Done]] = {}
    for one in done:
        if one.run.objective != BEFORE:
            found.setdefault(key(one), []).append(one)
    return found


def _in_order(one: Done, judged: Sequence[Target]) -> Floats:
    of_pair = {item.pair_id: s for item, s in zip(one.run.part.test, one.scores, strict=True)}
    return np.array([of_pair[target.pair_id] for target in judged])


def _floors(pairs: RatedPairs, judged: Judged, scale: RatingScale) -> list[FindingRow]:
    tables = trivial_tables(pairs.train, list(judged.targets), scale=scale)
    return [_row(judged, one.name, "floor", [values(one.scores)], None) for one in tables]


def _ceilings(pairs: RatedPairs, judged: Judged) -> dict[str, NoiseCeiling]:
    """Of every view that is one set of pairs."""
    place = {target.pair_id: number for number, target in enumerate(judged.targets)}
    answers = [one for one in pairs.ratings if one.pair_id in place]
    scores = np.array([one.score for one in answers])
    of_pair = np.array([place[one.pair_id] for one in answers], np.intp)
    found = {}
    for view in judged.views:
        if len(view.sets) == 1:
            inside = np.isin(of_pair, view.sets[0])
            codes = np.unique(of_pair[inside], return_inverse=True)[1]
            found[view.name] = noise_ceiling(scores[inside], codes)
    return found


def _wins(
    judged: Judged, best: str, trained: Mapping[str, Sequence[Floats]]
) -> dict[str, tuple[Estimate, float]]:
    """Gain of the best objective over each other over all judged pairs, and Holm's p."""
    view = judged.views[0]
    others = [name for name in trained if name != best]
    gains = [judged.gain(trained[best], trained[name], view) for name in others]
    p_holm = holm([judged.p_value(trained[best], trained[name]) for name in others])
    return {name: (gain, float(p)) for name, gain, p in zip(others, gains, p_holm, strict=True)}


def _fewer(
    judged: Judged, done: Sequence[Done], full: Sequence[Floats], base: Sequence[Floats]
) -> list[Fewer]:
    view = judged.views[0]
    found = []
    for number, several in sorted(_grouped(done, lambda one: one.run.pairs).items()):
        runs = [_in_order(one, judged.targets) for one in several]
        found.append(
            Fewer(
                pairs=number,
                ratings=float(np.mean([one.ratings for one in several])),
                srcc=judged.agreement(runs, view),
                gain=judged.gain(runs, base, view),
                against_all=judged.gain(runs, full, view),
            )
        )
    return found


def _left_out(
    done: Sequence[Done], base: Sequence[Score], targets: Sequence[Target], replicates: int
) -> list[LeftOut]:
    of_pair = {target.pair_id: target for target in targets}
    before = {score.pair_id: score.score for score in base}
    found = []
    for name, several in _grouped(done, lambda one: one.run.part.name).items():
        own = [of_pair[item.pair_id] for item in several[0].run.part.test]
        judged = Judged(own, replicates=replicates)
        view = judged.views[0]
        runs = [_in_order(one, own) for one in several]
        began = [np.array([before[target.pair_id] for target in own])]
        found.append(
            LeftOut(
                system=name.removeprefix("without "),
                n=len(own),
                srcc=judged.agreement(runs, view),
                gain=judged.gain(runs, began, view),
            )
        )
    return found


def _overlap(pairs: RatedPairs) -> float:
    train = {target.pair_id for target in pairs.train}
    sides: dict[str, list[str]] = {"train": [], "test": []}
    for rating in pairs.ratings:
        sides["train" if rating.pair_id in train else "test"].append(rating.listener_id)
    return listener_overlap(sides)["test"]["train"]
