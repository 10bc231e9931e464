"""What judging by people's choices found: frozen records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

from humanclap.evaluation.exposure import Exposure
from humanclap.evaluation.join import Coverage
from humanclap.evaluation.noted import Noted
from humanclap.evaluation.settings import EvaluationSettings
from humanclap.evaluation.statistic import UNMET, PairedTest, Statistic
from humanclap.json_values import plain

BEST, ONE_JUDGE = "best possible given the votes", "one judge, against the rest"
CEILINGS = (BEST, ONE_JUDGE)
"""Rows above the metrics, in the words of the reports."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoiceDifference:
    """Accuracy of `name` less that of `baseline` over the same decided questions."""

    name: str
    baseline: str
    accuracy: Statistic


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoiceGroup:
    """Some of the questions: all (`level` = overall), the `unmet` ones, or those of one kind.

    questions: asked; decided: those in which one side has more votes; votes: for one of two sides,
    equal ones left out; clusters: clips or texts of the questions. accuracy: share of the decided
    questions in which the higher score is on the people's side, equal scores counted half, by name
    of `CEILINGS`, metrics and floors; votes_met: share of single votes on the side of the higher
    score, likewise (for BEST: on the side with more of them). Statistics count clusters as
    `captions`.
    """

    level: str
    name: str
    questions: int
    decided: int
    votes: int
    clusters: int
    accuracy: Mapping[str, Statistic]
    votes_met: Mapping[str, Statistic]
    differences: tuple[ChoiceDifference, ...] = ()

    @property
    def label(self) -> str:
        """As a table writes it: `overall`, or `kind HC`."""
        return f"{self.level} {self.name}".rstrip()


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoiceMetric:
    """What became of one score table. ties: decided questions in which both scores are equal."""

    name: str
    coverage: Coverage
    exposure: Exposure
    ties: int
    noted: tuple[Noted, ...] = ()
    table: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoiceCounts:
    """What became of the questions of the table.

    total: all; anchors: attention checks among them, left out unless they were asked for;
    unscored: left out as a metric has no score of a side (`allow_missing`); one_vote: judged ones
    on which one person voted for a side.
    """

    total: int
    anchors: int
    anchors_judged: int
    unscored: int
    judged: int
    one_vote: int


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedChoices:
    """Metrics judged on the same choices; the first is the baseline.

    groups: all questions, then (where some were met) the unmet ones, then each kind where there are
    several; tests: every two metrics and each against the best floor; cluster: what a bootstrap
    draws whole, `clip` where texts of a clip were chosen between, `text` where clips of a text
    were; questions: a fingerprint of what was asked and answered.
    """

    metrics: tuple[ChoiceMetric, ...]
    floors: tuple[str, ...]
    groups: tuple[ChoiceGroup, ...]
    tests: tuple[PairedTest, ...]
    counts: ChoiceCounts
    cluster: str
    questions: str
    settings: EvaluationSettings
    notes: tuple[str, ...] = ()

    @property
    def overall(self) -> ChoiceGroup:
        """The group of all judged questions."""
        return self.groups[0]

    @property
    def unmet(self) -> ChoiceGroup | None:
        """The group of the questions no metric's model met, None where none or all were met."""
        return next((group for group in self.groups if group.level == UNMET), None)

    def test(self, name: str, baseline: str) -> PairedTest | None:
        """The paired test of two ways to choose, None where none was made."""
        return next((t for t in self.tests if (t.name, t.baseline) == (name, baseline)), None)

    def renamed(self, names: Mapping[str, str]) -> JudgedChoices:
        """The same with metrics under other names; the old name is then their `table`."""

        def of(name: str) -> str:
            return names.get(name, name)

        def group(found: ChoiceGroup) -> ChoiceGroup:
            return replace(
                found,
                accuracy={of(name): value for name, value in found.accuracy.items()},
                votes_met={of(name): value for name, value in found.votes_met.items()},
                differences=tuple(
                    replace(one, name=of(one.name), baseline=of(one.baseline))
                    for one in found.differences
                ),
            )

        return replace(
            self,
            metrics=tuple(
                replace(one, name=of(one.name), table=one.name) if of(one.name) != one.name else one
                for one in self.metrics
            ),
            groups=tuple(map(group, self.groups)),
            tests=tuple(
                replace(one, name=of(one.name), baseline=of(one.baseline)) for one in self.tests
            ),
        )

    def to_dict(self) -> dict[str, object]:
        """Plain values, ready for JSON: NaN is None."""
        return {
            "cluster": self.cluster,
            "counts": asdict(self.counts),
            "metrics": [_metric(one) for one in self.metrics],
            "floors": list(self.floors),
            "groups": [plain(asdict(group)) for group in self.groups],
            "paired_tests": [plain(asdict(test)) for test in self.tests],
        }


def _metric(one: ChoiceMetric) -> dict[str, object]:
    coverage = one.coverage
    return {
        "name": one.name,
        "signature": coverage.signature,
        "ties": one.ties,
        "missing": len(coverage.missing),
        "failed": len(coverage.failed),
        "extra": len(coverage.extra),
        "met": plain(asdict(one.exposure)),
        "noted": [asdict(item) for item in one.noted],
    }
