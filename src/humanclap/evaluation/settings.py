"""How scores are judged; everything that changes a number of the report is here."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Literal, get_args

from humanclap.errors import SettingsError
from humanclap.metrics.bootstrap import IntervalMethod, replicates_needed
from humanclap.metrics.permutation import PERMUTATIONS
from humanclap.scale import UNSTATED, RatingScale

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
    interval: of the bootstrap, percentile or bca; permutations: of the paired tests, 0 for none;
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
    interval: IntervalMethod = "percentile"
    permutations: int = PERMUTATIONS
    refuse_trained_on: bool = False
    allow_shared_captions: bool = False

    def __post_init__(self) -> None:
        _check_choice("key", self.key, get_args(Key))
        _check_choice("scale_map", self.scale_map, get_args(ScaleMapChoice))
        _check_choice("interval", self.interval, get_args(IntervalMethod))
        if self.permutations < 0:
            raise SettingsError(f"permutations is {self.permutations}; expected 0 or above")
        for level in self.by:
            _check_choice("by", level, get_args(Level))
        if not 0.0 < self.confidence < 1.0:
            raise SettingsError(f"confidence is {self.confidence}; expected a number in (0, 1)")
        if self.seed < 0:
            raise SettingsError(f"seed is {self.seed}; expected 0 or above")
        needed = replicates_needed(self.confidence)
        if self.replicates < needed:
            raise SettingsError(
                f"replicates is {self.replicates}; a {100 * self.confidence:g} % interval needs "
                f"at least {needed}"
            )

    @classmethod
    def from_mapping(cls, given: Mapping[str, object]) -> EvaluationSettings:
        """Settings from plain values; `rating_scale` may be written `0..10`, `by` be a list.

        Raises SettingsError for an unknown key, with its likely spelling.

        >>> EvaluationSettings.from_mapping({"replicates": 200}).replicates
        200
        """
        known = [item.name for item in fields(cls)]
        values = dict(given)
        for name in values:
            if name not in known:
                close = difflib.get_close_matches(name, known, n=1)
                hint = f" (did you mean {close[0]}?)" if close else ""
                raise SettingsError(f"unknown setting {name!r}{hint}")
        scale, by = values.get("rating_scale"), values.get("by")
        if isinstance(scale, str):
            values["rating_scale"] = RatingScale.parse(scale)
        if isinstance(by, list):
            values["by"] = tuple(by)
        try:
            return cls(**values)  # type: ignore[arg-type]
        except TypeError as error:
            raise SettingsError(f"a setting has the wrong type: {error}") from error


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise SettingsError(f"{name} is {value!r}; expected one of {', '.join(choices)}")


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
        if self.value not in get_args(Value):
            raise SettingsError(f"value is {self.value!r}; expected score or rating")
        for name in ("confidence", "alpha", "power"):
            if not 0.0 < getattr(self, name) < 1.0:
                raise SettingsError(f"{name} is {getattr(self, name)}; expected a number in (0, 1)")
        for name, least in (("permutations", 1), ("worst", 0), ("seed", 0)):
            if getattr(self, name) < least:
                raise SettingsError(f"{name} is {getattr(self, name)}; expected at least {least}")
        needed = replicates_needed(self.confidence)
        if self.replicates < needed:
            raise SettingsError(f"replicates is {self.replicates}; expected at least {needed}")

    @classmethod
    def from_mapping(cls, given: Mapping[str, object]) -> LeaderboardSettings:
        """Settings from plain values; raises SettingsError for an unknown key."""
        known = {item.name for item in fields(cls)}
        unknown = sorted(set(given) - known)
        if unknown:
            raise SettingsError(f"unknown setting {unknown[0]!r}; there are {sorted(known)}")
        values = dict(given)
        if isinstance(values.get("systems"), list):
            values["systems"] = tuple(values["systems"])  # type: ignore[arg-type]
        return cls(**values)  # type: ignore[arg-type]
