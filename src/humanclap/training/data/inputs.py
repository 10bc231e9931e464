"""From the tables a user names to splits that may be trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from humanclap.errors import SettingsError
from humanclap.scale import UNSTATED, RatingScale, ask_for_scale, check_targets_scale
from humanclap.training.data.choices import read_choice_examples
from humanclap.training.data.dataset import Example, check_files, read_examples, with_answers
from humanclap.training.data.splits import ChoiceRows, Splits, make_splits
from humanclap.training.settings import TrainingSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Tables:
    """What is trained and validated on.

    targets, validation: tables of targets; choices, validation_choices: of choices or votes
    (`humanclap.choices.read_votes`); validation_fraction: see `splits.make_splits`; ratings: the
    single answers, for the term `listener`; question: which of theirs the targets are about
    (`dataset.with_answers`); audio_root: where relative paths start, each table's folder where
    None; scale_stated: the settings' rating_scale was chosen, so mean ratings may all lie in 1..5.
    """

    targets: str | Path | None = None
    choices: str | Path | None = None
    validation: str | Path | None = None
    validation_choices: str | Path | None = None
    validation_fraction: float | None = None
    ratings: str | Path | None = None
    question: str | None = None
    audio_root: str | Path | None = None
    scale_stated: bool = False

    def __post_init__(self) -> None:
        if self.targets is None and self.choices is None:
            raise SettingsError("there is nothing to train on; give targets, --choices or both")


def read_splits(tables: Tables, settings: TrainingSettings) -> Splits:
    """Read, divide and check everything that can be checked without decoding."""
    scale = RatingScale.parse(settings.rating_scale)
    validation = None
    if tables.validation is not None:
        validation = _read_rated(tables.validation, tables, scale)
    examples = [] if tables.targets is None else _read_rated(tables.targets, tables, scale)
    if tables.ratings is not None:
        examples = with_answers(examples, tables.ratings, scale, question=tables.question)
    splits = make_splits(
        examples,
        settings,
        table=tables.targets or tables.validation or str(tables.choices),
        validation=validation,
        validation_fraction=tables.validation_fraction,
        choices=_read_choices(tables),
    )
    check_files(splits.heard)
    return splits


def _read_rated(table: str | Path, tables: Tables, scale: RatingScale) -> list[Example]:
    examples = read_examples(table, audio_root=tables.audio_root)
    _check_scale(examples, scale, tables.scale_stated, table)
    return examples


def _read_choices(tables: Tables) -> ChoiceRows:
    root, second = tables.audio_root, tables.validation_choices
    return ChoiceRows(
        examples=read_choice_examples(tables.choices, audio_root=root) if tables.choices else (),
        table=tables.choices or second or "choices",
        validation=None if second is None else read_choice_examples(second, audio_root=root),
    )


def _check_scale(
    examples: Sequence[Example], scale: RatingScale, stated: bool, table: str | Path
) -> None:
    """Raise SettingsError for a mean rating outside the scale; InputError where `target` and `mos`
    are of two scales, or the scale is in doubt.
    """
    for item in examples:
        if item.mos not in scale:
            raise SettingsError(
                f"{item.where}: mos {item.mos:g} is outside the rating_scale {scale}; set "
                "rating_scale to the study's scale"
            )
    relevances, ratings = [item.relevance for item in examples], [item.mos for item in examples]
    check_targets_scale(relevances, ratings, scale, where=str(table))
    ask_for_scale(
        ratings, UNSTATED if not stated and scale == UNSTATED else scale, where=str(table)
    )
