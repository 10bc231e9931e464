"""What an experiment is: a recipe in TOML, checked key by key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from humanclap.errors import SettingsError
from humanclap.scale import UNSTATED, RatingScale
from humanclap.settings import check_choice, read_toml, record_of
from humanclap.training.settings import TrainingSettings, build_settings

SPLITS = ("column", "each", "folds", "systems")
OF_THE_WHOLE_GRID = (
    "device",
    "seed",
    "rating_scale",
    "allow_shared_captions",
    "train_split",
    "validation_split",
)
"""Settings that an objective cannot have for itself: one model, one data set, one list of seeds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataRecipe:
    """Where the rated pairs and choices come from and how they are divided.

    tables: path -> split of its pairs, empty where the table says it itself; each a table of
    targets, of XACLE's averages or of ratings. choices: the same, of choices or votes. screen,
    standardise, question: for ratings. split:
    `column` (the tables' own), `each` (every value of the tables' column judged in turn), `folds`
    (k folds by caption and clip), `systems` (each left out in turn). validation_fraction: taken
    from the training pairs, by whole groups; 0: the split `validation`. submit: a table of pairs
    to score by the best run, in XACLE's form.
    """

    tables: dict[str, str] = field(default_factory=dict)
    choices: dict[str, str] = field(default_factory=dict)
    audio_root: str = "."
    screen: tuple[str, ...] = ()
    standardise: bool = False
    question: str = "REL"
    split: str = "column"
    test_split: str = "test"
    folds: int = 5
    validation_fraction: float = 0.0
    submit: str = ""

    def __post_init__(self) -> None:
        if not self.tables:
            raise SettingsError(
                "data.tables names no table; every model is judged on its rated pairs, and choices "
                "come beside them (humanclap train --choices learns from choices alone)"
            )
        for name, said in (("tables", self.tables), ("choices", self.choices)):
            if not isinstance(said, Mapping) or not all(isinstance(v, str) for v in said.values()):
                raise SettingsError(
                    f"data.{name} is {said!r}; expected tables and the split of each, such as "
                    '{ "table.csv" = "" }'
                )
        check_choice("data.split", self.split, SPLITS)
        if not 0 <= self.validation_fraction < 1:
            raise SettingsError(
                f"data.validation_fraction is {self.validation_fraction:g}; expected 0 to 1"
            )
        if self.split in ("each", "folds") and not self.validation_fraction:
            raise SettingsError(
                f"data.split = {self.split!r} needs a validation_fraction, such as 0.2"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A grid: objectives x models x systems x numbers of pairs x parts x seeds.

    objectives: name -> settings that differ from the common ones; systems: name -> the systems
    whose pairs are trained on, none: all; pairs: numbers of training pairs, 0: all; baseline: the
    objective the others are compared with; scale_stated: the file names its rating_scale.
    """

    title: str
    data: DataRecipe
    settings: TrainingSettings
    objectives: dict[str, TrainingSettings]
    baseline: str
    models: tuple[str, ...] = ("mini",)
    seeds: tuple[int, ...] = (0, 1, 2)
    systems: dict[str, tuple[str, ...]] = field(default_factory=lambda: {"all": ()})
    pairs: tuple[int, ...] = (0,)
    replicates: int = 1000
    keep_checkpoints: bool = False
    simulated: bool = False
    scale_stated: bool = False

    @property
    def rating_scale(self) -> RatingScale:
        """Scale of the ratings; `UNSTATED` where the file does not name it."""
        scale = RatingScale.parse(self.settings.rating_scale)
        return scale if self.scale_stated or scale != UNSTATED else UNSTATED

    def __post_init__(self) -> None:
        if self.baseline not in self.objectives:
            known = ", ".join(self.objectives)
            raise SettingsError(f"baseline {self.baseline!r} is no objective; there are {known}")
        for name, several in (("models", self.models), ("seeds", self.seeds)):
            if not several or len(set(several)) != len(several):
                raise SettingsError(f"{name} must be distinct and at least one")
        for name, settings in self.objectives.items():
            if settings.learns_choices and not self.data.choices:
                raise SettingsError(
                    f"objective {name!r} has the term 'choice'; name tables of choices in "
                    'data.choices, such as { "votes.csv" = "" }'
                )
        for seed in self.seeds:
            replace(self.settings, seed=seed)  # raises SettingsError where it is out of range
        if any(count < 0 for count in self.pairs):
            raise SettingsError("pairs are numbers of rated pairs; 0 stands for all")


def read_recipe(path: str | Path) -> Recipe:
    """Read a recipe. Raises SettingsError naming the file, and the key that is not known."""
    given = read_toml(path)
    try:
        return _recipe(given)
    except SettingsError as error:
        raise SettingsError(f"{path}: {error}") from error


def _recipe(given: Mapping[str, Any]) -> Recipe:
    values = dict(given)
    for needed in ("data", "objectives"):
        if needed not in values:
            raise SettingsError(f"{needed!r} is missing")
    common = _table(values.pop("settings", {}), "settings")
    values["settings"] = build_settings(common, where="settings: ")
    values["objectives"] = {
        name: _objective(name, said, common)
        for name, said in _table(values["objectives"], "objectives").items()
    }
    values["data"] = record_of(DataRecipe, _table(values["data"], "data"), where="data: ")
    if "systems" in values:
        values["systems"] = {
            name: tuple(of) for name, of in _table(values["systems"], "systems").items()
        }
    values["scale_stated"] = "rating_scale" in common
    return record_of(Recipe, values)


def _objective(name: str, said: object, common: Mapping[str, object]) -> TrainingSettings:
    own = {"objective": said} if isinstance(said, str) else _table(said, f"objectives.{name}")
    for key in OF_THE_WHOLE_GRID:
        if key in own:
            raise SettingsError(
                f"objectives.{name}: {key} holds for the whole grid; set it in [settings]"
                + (" (seeds: at the top of the recipe)" if key == "seed" else "")
            )
    return build_settings({**common, **own}, where=f"objectives.{name}: ")


def _table(value: object, where: str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise SettingsError(f"{where} must be a table [{where}]")
    return dict(value)
