"""What an evaluation found: frozen records, readable without the code that made them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from humanclap.evaluation.join import Coverage
from humanclap.evaluation.settings import EvaluationSettings

STATISTICS = ("srcc", "lcc", "ktau", "mse", "mae")
"""Names of the statistics, in the order of the tables."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistic:
    """One number with its interval.

    value, low, high: NaN where undefined, and then `reason` says why; n: pairs; captions: clusters
    of the bootstrap; undefined: replicates of `replicates` left out because they had no value.
    """

    value: float
    low: float
    high: float
    n: int
    captions: int
    replicates: int
    undefined: int
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Some of the judged pairs: all (`level` = overall), or one subset, system or split."""

    level: str
    name: str
    n: int
    captions: int
    statistics: Mapping[str, Statistic]

    @property
    def label(self) -> str:
        """As a table writes it: `overall`, or `system tango`."""
        return self.level if self.level == "overall" else f"{self.level} {self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedPair:
    """One pair with both sides: a row of the table behind the plots.

    human: MOS on the study's scale; n, standard_error: of it; score: the metric's;
    predicted: the score after the scale map, NaN where the map does not apply.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetCounts:
    """What became of the targets: judged (of which anchors), and left out by kind."""

    total: int
    judged: int
    anchors: int
    anchors_judged: int
    attention_checks: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """One metric judged against people."""

    name: str
    groups: tuple[Group, ...]
    counts: TargetCounts
    coverage: Coverage
    scale_map: str
    scale_map_formula: str
    optimistic: bool
    settings: EvaluationSettings
    per_pair: tuple[JudgedPair, ...] = field(repr=False)

    @property
    def overall(self) -> Group:
        """The group of all judged pairs."""
        return self.groups[0]

    def reasons(self) -> list[str]:
        """Why numbers are undefined, one line each."""
        return _reasons(self.groups)

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
            "groups": [plain(asdict(group)) for group in self.groups],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """`name` minus `baseline` on the same pairs, by group; positive correlations favour `name`."""

    name: str
    baseline: str
    groups: tuple[Group, ...]

    @property
    def overall(self) -> Group:
        """The difference over all judged pairs."""
        return self.groups[0]

    def reasons(self) -> list[str]:
        """Why differences are undefined, one line each."""
        return _reasons(self.groups)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Several metrics judged on the same pairs; the first is the baseline."""

    evaluations: tuple[Evaluation, ...]
    differences: tuple[Difference, ...]
    settings: EvaluationSettings
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, object]:
        """Plain values, ready for JSON: NaN is None."""
        settings = asdict(self.settings)
        settings["rating_scale"] = str(self.settings.rating_scale)
        return {
            "notes": list(self.notes),
            "settings": plain(settings),
            "cluster": "caption",
            "evaluations": [evaluation.to_dict() for evaluation in self.evaluations],
            "differences": [plain(asdict(difference)) for difference in self.differences],
        }


def plain(value: object) -> object:
    """Dicts, lists and scalars only; NaN and infinities become None."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def _reasons(groups: tuple[Group, ...]) -> list[str]:
    found: dict[tuple[str, str], list[str]] = {}
    for group in groups:
        by_reason: dict[str, list[str]] = {}
        for name, statistic in group.statistics.items():
            if statistic.reason:
                by_reason.setdefault(statistic.reason, []).append(name.upper())
        for why, names in by_reason.items():
            found.setdefault((", ".join(names), why), []).append(group.label)
    return [
        f"{names} ({'all groups' if len(labels) == len(groups) > 1 else ', '.join(labels)}): {why}"
        for (names, why), labels in found.items()
    ]
