"""How scores are judged; everything that changes a number of the report is here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from humanclap.errors import SettingsError
from humanclap.metrics.bootstrap import replicates_needed
from humanclap.metrics.permutation import PERMUTATIONS
from humanclap.scale import UNSTATED, RatingScale
from humanclap.settings import check_choice, check_least, record_of

Key = Literal["pair_id", "audio+text", "audio-name+text"]
"""What names a pair in both tables; `audio-name` is the file's name without its folders."""

ScaleMapChoice = Literal["auto", "rating", "unit", "linear-fit"]
"""How a score becomes a predicted rating; `auto` = rating where all rows have it, else unit."""

Level = Literal["subset", "system", "split"]
"""What the pairs may be broken down by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationSettings:
    """Settings of an evaluation.

    replicates, seed, confidence: of the bootstrap, clustered by caption; key: how rows of the two
    tables find each other; include_anchors: judge deliberately mismatched pairs too;
    allow_missing: report targets without a score instead of refusing them; force: accept scores
    made in unlike ways; scale_map: before MSE and MAE; rating_scale: of the human side (`mos`),
    which must be stated where no mean rating leaves 1..5 or 0..1;
    permutations: of the paired tests, 0 for none;
    refuse_trained_on: refuse judged pairs that a metric's model met in its training;
    allow_shared_captions: trivial predictors may be fitted on captions that are judged.
    """

    replicates: int = 1000
    seed: int = 0
    confidence: float = 0.95
    key: Key = "pair_id"
    scale_map: ScaleMapChoice = "auto"
    rating_scale: RatingScale = UNSTATED
    by: tuple[Level, ...] = ("subset", "system", "split")
    include_anchors: bool = False
    allow_missing: bool = False
    force: bool = False
    permutations: int = PERMUTATIONS
    refuse_trained_on: bool = False
    allow_shared_captions: bool = False

    def __post_init__(self) -> None:
        check_choice("key", self.key, get_args(Key))
        check_choice("scale_map", self.scale_map, get_args(ScaleMapChoice))
        check_least("permutations", self.permutations, 0)
        check_least("seed", self.seed, 0)
        for level in self.by:
            check_choice("by", level, get_args(Level))
        _check_bootstrap(self.confidence, self.replicates)

    @classmethod
    def from_mapping(cls, given: Mapping[str, object]) -> EvaluationSettings:
        """Settings from plain values; `rating_scale` may be written `0..10`, `by` be a list.

        Raises SettingsError for an unknown key, with its likely spelling.

        >>> EvaluationSettings.from_mapping({"replicates": 200}).replicates
        200
        """
        values = dict(given)
        if isinstance(scale := values.get("rating_scale"), str):
            values["rating_scale"] = RatingScale.parse(scale)
        return record_of(cls, values)


def _check_share(name: str, value: float) -> None:
    if not 0.0 < value < 1.0:
        raise SettingsError(f"{name} is {value}; expected a number in (0, 1)")


def _check_bootstrap(confidence: float, replicates: int) -> None:
    _check_share("confidence", confidence)
    if replicates < (needed := replicates_needed(confidence)):
        raise SettingsError(
            f"replicates is {replicates}; a {100 * confidence:g} % interval needs at least {needed}"
        )


Value = Literal["score", "rating"]
"""What is compared: the metric's score, or the rating a calibrated model predicts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaderboardSettings:
    """Settings of a comparison of systems.

    systems: only these (all where empty); shared_only: leave out prompts some system lacks,
    instead of refusing; alpha, power: of tests and of the prompts needed; worst: clips named per
    system; refuse_trained_on: refuse clips or prompts the metric's model met in training.
    """

    value: Value = "score"
    systems: tuple[str, ...] = ()
    shared_only: bool = False
    force: bool = False
    replicates: int = 2000
    permutations: int = 10_000
    confidence: float = 0.95
    alpha: float = 0.05
    power: float = 0.8
    worst: int = 3
    seed: int = 0
    refuse_trained_on: bool = False

    def __post_init__(self) -> None:
        check_choice("value", self.value, get_args(Value))
        for name in ("alpha", "power"):
            _check_share(name, getattr(self, name))
        for name, least in (("permutations", 1), ("worst", 0), ("seed", 0)):
            check_least(name, getattr(self, name), least)
        _check_bootstrap(self.confidence, self.replicates)

    @classmethod
    def from_mapping(cls, given: Mapping[str, object]) -> LeaderboardSettings:
        """Settings from plain values; raises SettingsError for an unknown key."""
        return record_of(cls, given)
