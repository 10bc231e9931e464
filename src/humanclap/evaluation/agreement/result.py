"""What an evaluation found: frozen records, readable without the code that made them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from humanclap.evaluation.agreement.rating_intervals import PredictedIntervals
from humanclap.evaluation.choices.accuracy_result import JudgedChoices
from humanclap.evaluation.exposure import Exposure
from humanclap.evaluation.join import Coverage
from humanclap.evaluation.noted import Noted
from humanclap.evaluation.settings import EvaluationSettings
from humanclap.evaluation.statistic import UNMET, PairedTest, Statistic
from humanclap.json_values import plain
from humanclap.metrics.ceiling import NoiseCeiling
from humanclap.metrics.prediction_quality import PredictionQuality

STATISTICS = ("srcc", "lcc", "ktau", "accuracy", "mse", "mae")
"""Names of the statistics, in the order of the tables."""

HEADINGS = {
    "srcc": "SRCC",
    "lcc": "LCC",
    "ktau": "KTAU",
    "accuracy": "pairwise",
    "mse": "MSE",
    "mae": "MAE",
}
"""Statistic -> heading of its column."""

LEVEL_STATISTICS = ("srcc", "lcc", "ktau", "accuracy")
"""Those of the levels: between systems, within systems, within captions."""

BETWEEN, WITHIN = "between systems", "within systems, averaged"
PARTIAL, CAPTIONS = "within systems, partial", "within captions"
LEVELS = (BETWEEN, WITHIN, PARTIAL, CAPTIONS)
WITHOUT = "without system"


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Some of the judged pairs: all (`level` = overall), the `unmet pairs`, one subset, system or
    split, or all `without system` name; or all pairs seen at one of `LEVELS`. n: pairs, but systems
    in the level `between systems` and clips of captions with several in `within captions`.
    """

    level: str
    name: str
    n: int
    captions: int
    statistics: Mapping[str, Statistic]

    @property
    def label(self) -> str:
        """As a table writes it: `overall`, or `system tango`."""
        return f"{self.level} {self.name}".rstrip()


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedPair:
    """One pair with both sides: a row of the table behind the plots.

    human: MOS on the study's scale; n, standard_error: of it; score: the metric's;
    predicted: the score after the scale map, NaN where the map does not apply; predicted_error:
    its standard error on the study's scale, NaN where there is none; met: what of the pair the
    metric's model met before (`records.roles_met`), None where nothing is said.
    """

    pair_id: str
    audio: str
    text: str
    human: float
    n: int
    standard_error: float
    score: float
    predicted: float
    kind: str
    system: str | None
    subset: str | None
    split: str | None
    predicted_error: float = math.nan
    met: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetCounts:
    """How many targets were judged, how many of these are anchors, and how many were left out."""

    total: int
    judged: int
    anchors: int
    anchors_judged: int
    attention_checks: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """One metric judged against people.

    groups: all pairs first, then (where some were met) the unmet ones, subsets, systems, splits;
    exposure: what the model met; noted: judged pairs whose score has a note; levels: see
    `LEVELS`; without: all pairs but those of one system; tie_threshold: of pairwise accuracy,
    chosen on all these pairs;
    intervals: coverage of predicted ratings with a standard error, None where there are none;
    trivial: a predictor that hears nothing, made here to compare with; table: the metric's own name
    where `name` is its model's (`naming.by_model`).
    """

    name: str
    groups: tuple[Group, ...]
    counts: TargetCounts
    coverage: Coverage
    scale_map: str
    scale_map_formula: str
    optimistic: bool
    settings: EvaluationSettings
    per_pair: tuple[JudgedPair, ...] = field(repr=False)
    levels: tuple[Group, ...] = ()
    without: tuple[Group, ...] = ()
    tie_threshold: float = math.nan
    calibration: PredictionQuality | None = None
    intervals: PredictedIntervals | None = None
    trivial: bool = False
    exposure: Exposure = field(default_factory=lambda: Exposure(total=0))
    noted: tuple[Noted, ...] = ()
    table: str = ""

    @property
    def overall(self) -> Group:
        """The group of all judged pairs."""
        return self.groups[0]

    @property
    def unmet(self) -> Group | None:
        """The group of the pairs no metric's model met, None where none or all were met."""
        return next((group for group in self.groups if group.level == UNMET), None)

    def at(self, level: str) -> Group | None:
        """The group of one of `LEVELS`, None where there are not several systems or clips."""
        return next((group for group in self.levels if group.level == level), None)

    def reasons(self) -> list[str]:
        """Why numbers are undefined, and which stand on fewer pairs than their place has."""
        groups = (*self.groups, *self.levels, *self.without)
        return [*_reasons(groups), *_fewer_pairs(self.levels)]

    def to_dict(self) -> dict[str, object]:
        """Plain values, ready for JSON: NaN is None. Without `per_pair`."""
        return {
            "name": self.name,
            "signature": self.coverage.signature,
            "scale_map": {
                "name": self.scale_map,
                "formula": self.scale_map_formula,
                "optimistic": self.optimistic,
            },
            "counts": {
                **asdict(self.counts),
                "missing": len(self.coverage.missing),
                "failed": len(self.coverage.failed),
                "extra": len(self.coverage.extra),
                "signatures": self.coverage.signatures,
                "unsigned": self.coverage.unsigned,
            },
            "met": plain(asdict(self.exposure)),
            "noted": [asdict(item) for item in self.noted],
            "trivial": self.trivial,
            "tie_threshold": plain(self.tie_threshold),
            "groups": [plain(asdict(group)) for group in self.groups],
            "levels": [plain(asdict(group)) for group in self.levels],
            "without_one_system": [plain(asdict(group)) for group in self.without],
            "calibration": self.calibration and plain(asdict(self.calibration)),
            "predicted_intervals": self.intervals and plain(asdict(self.intervals)),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """`name` minus `baseline` on the same pairs, by group; positive correlations favour `name`."""

    name: str
    baseline: str
    groups: tuple[Group, ...]
    levels: tuple[Group, ...] = ()
    without: tuple[Group, ...] = ()

    @property
    def overall(self) -> Group:
        """The difference over all judged pairs."""
        return self.groups[0]

    def at(self, level: str) -> Group | None:
        """The difference at one of `LEVELS`."""
        return next((group for group in self.levels if group.level == level), None)

    def reasons(self) -> list[str]:
        """Why differences are undefined, one line each."""
        return _reasons((*self.groups, *self.levels, *self.without))


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Several metrics judged on the same pairs; the first is the baseline.

    evaluations: the metrics given, then the trivial predictors; differences: of each metric from
    the first; against_trivial: of each metric from the best trivial predictor; tests: of all
    these differences; ceilings: by label of a group or level, empty without ratings;
    floor_captions: judged captions on which the trivial predictors were fitted; choices: the same
    metrics judged by people's choices, None where there are none.
    """

    evaluations: tuple[Evaluation, ...]
    differences: tuple[Difference, ...]
    settings: EvaluationSettings
    notes: tuple[str, ...] = ()
    against_trivial: tuple[Difference, ...] = ()
    tests: tuple[PairedTest, ...] = ()
    ceilings: Mapping[str, NoiseCeiling] = field(default_factory=dict)
    floor_captions: int = 0
    choices: JudgedChoices | None = None

    @property
    def metrics(self) -> tuple[Evaluation, ...]:
        """The metrics given, without the trivial predictors."""
        return tuple(item for item in self.evaluations if not item.trivial)

    @property
    def trivial(self) -> tuple[Evaluation, ...]:
        """The trivial predictors."""
        return tuple(item for item in self.evaluations if item.trivial)

    def test(self, name: str, baseline: str) -> PairedTest | None:
        """The paired test of two metrics, None where none was made."""
        return next((t for t in self.tests if (t.name, t.baseline) == (name, baseline)), None)

    def to_dict(self) -> dict[str, object]:
        """Plain values, ready for JSON: NaN is None."""
        settings = asdict(self.settings)
        settings["rating_scale"] = str(self.settings.rating_scale)
        return {
            "notes": list(self.notes),
            "settings": plain(settings),
            "cluster": "caption",
            "ceilings": {label: plain(asdict(found)) for label, found in self.ceilings.items()},
            "evaluations": [evaluation.to_dict() for evaluation in self.evaluations],
            "differences": [plain(asdict(difference)) for difference in self.differences],
            "against_trivial": [plain(asdict(item)) for item in self.against_trivial],
            "paired_tests": [plain(asdict(test)) for test in self.tests],
        }


def _reasons(groups: tuple[Group, ...]) -> list[str]:
    """`SRCC, LCC (places): why`; statistics of one reason and the same places share a line."""
    by_name: dict[tuple[str, str], list[str]] = {}
    for group in groups:
        for name, statistic in group.statistics.items():
            if statistic.reason:
                by_name.setdefault((statistic.reason, name), []).append(group.label)
    lines: dict[tuple[str, str], list[str]] = {}
    for (why, name), labels in by_name.items():
        everywhere = [group for group in groups if name in group.statistics]
        places = "all groups" if len(labels) == len(everywhere) > 1 else ", ".join(labels)
        lines.setdefault((why, places), []).append(HEADINGS[name])
    return [f"{', '.join(names)} ({places}): {why}" for (why, places), names in lines.items()]


def _fewer_pairs(levels: tuple[Group, ...]) -> list[str]:
    """`SRCC, LCC (within systems, averaged): 15 of 30 pairs count`, where some have no value."""
    lines: dict[tuple[str, int, int], list[str]] = {}
    for group in levels:
        for name, statistic in group.statistics.items():
            if 0 < statistic.n < group.n:
                place = (group.label, statistic.n, group.n)
                lines.setdefault(place, []).append(HEADINGS[name])
    return [
        f"{', '.join(names)} ({label}): {n:,} of {of:,} pairs count, those of "
        f"{'captions' if label == CAPTIONS else 'systems'} in which it is defined"
        for (label, n, of), names in lines.items()
    ]
