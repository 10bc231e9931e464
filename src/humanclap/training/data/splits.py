"""Rated pairs and choices, divided into training and validation without leakage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from humanclap.errors import SettingsError, TableError
from humanclap.fingerprint import fingerprint_text
from humanclap.grouping import check_leakage
from humanclap.metrics.agreement import MIN_PAIRS
from humanclap.training.data.choices import ChoiceExample, sides_of
from humanclap.training.data.dataset import Example, HeardClip
from humanclap.training.data.pool import Pool
from humanclap.training.settings import TrainingSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Splits:
    """What is trained on and what chooses the best epoch.

    train, validation: rated pairs, either empty where only choices teach or judge; validation_name:
    where what validates came from, for reports; unused, unused_choices: rows of the tables that
    belong to neither.
    """

    train: tuple[Example, ...]
    validation: tuple[Example, ...]
    validation_name: str
    unused: int = 0
    train_choices: tuple[ChoiceExample, ...] = ()
    validation_choices: tuple[ChoiceExample, ...] = ()
    unused_choices: int = 0

    @property
    def trained(self) -> tuple[HeardClip, ...]:
        """Every pair that teaches, rated or a side of a choice."""
        return (*self.train, *sides_of(self.train_choices))

    @property
    def validated(self) -> tuple[HeardClip, ...]:
        """Every pair that validates, rated or a side of a choice."""
        return (*self.validation, *sides_of(self.validation_choices))

    @property
    def heard(self) -> tuple[HeardClip, ...]:
        """Every pair that teaches or validates."""
        return (*self.trained, *self.validated)

    def fingerprint(self) -> str:
        """Hash of pairs, targets and votes of both splits (not of the sound files' content)."""
        return fingerprint_text(
            part
            for name, examples, choices in (
                ("train", self.train, self.train_choices),
                ("validation", self.validation, self.validation_choices),
            )
            for parts in (
                *([name, *_said_of(example)] for example in examples),
                *([name, "choice", *_chosen_of(choice)] for choice in choices),
            )
            for part in parts
        )


def _said_of(example: Example) -> list[str]:
    """The pair, its target, and the answers where there are any."""
    answers = [f"{listener_id}={answer!r}" for listener_id, answer in example.answers]
    return [example.audio, example.text, repr(example.relevance), *answers]


def _chosen_of(choice: ChoiceExample) -> list[str]:
    sides = [part for side in choice.sides for part in (side.audio, side.text)]
    return [*sides, repr(choice.share), str(choice.votes)]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoiceRows:
    """Choices of a run before they are divided.

    examples: of the table named `table`; validation: of a second table, None where there is none.
    """

    examples: Sequence[ChoiceExample] = ()
    table: str | Path = "choices"
    validation: Sequence[ChoiceExample] | None = None


def make_splits(
    examples: Sequence[Example],
    settings: TrainingSettings,
    *,
    table: str | Path,
    validation: Sequence[Example] | None = None,
    validation_fraction: float | None = None,
    choices: ChoiceRows | None = None,
) -> Splits:
    """Divide rated pairs and choices by `validation` if given, else by `validation_fraction`, else
    by their split.

    A given validation set leaves to training the rows whose split is empty or `train_split`.
    validation_fraction: share in (0, 1) of those, chosen by whole groups that share no clip and no
    caption (no clip, where captions may be shared), of each kind of pair and of choices alike; the
    same for every seed. By split, choices whose split is empty train. Rated pairs that no term of
    the objective learns from do not train.
    table: named in errors. Raises TableError where a split comes out too small, SettingsError where
    the objective and the tables do not fit, LeakageError where training and validation share a clip
    or a caption, be it in a rating or a choice.
    """
    rows, captions = choices or ChoiceRows(), not settings.allow_shared_captions
    pool = Pool(tuple(examples), tuple(rows.examples))
    train, judging = pool.of(None, settings.train_split), pool.of(settings.validation_split)
    name = f"split {settings.validation_split!r}"
    divided = validation is not None or validation_fraction is not None
    if examples and divided and not train.rated and settings.rating_coefficients:
        raise TableError(table, _none_may_train(examples, settings))
    if validation_fraction is not None:
        name = f"{validation_fraction:g} of the training {_kinds_of(train)}"
        train, judging = train.divided(validation_fraction, captions=captions, by_kind=True)
    elif validation is not None:
        name, judging = "validation table", replace(judging, rated=tuple(validation))
    else:
        train = replace(train, rated=pool.of(settings.train_split).rated)
        if examples:
            _check_named_splits(examples, train.rated, judging.rated, settings, table)
    if rows.validation is not None:
        judging = replace(judging, choices=tuple(rows.validation))
    if not settings.rating_coefficients:
        train = replace(train, rated=())
    splits = _splits(train, judging, name, pool)
    _check_objective(splits, settings, rows)
    _check_sizes(splits, settings, table, rows.table)
    check_leakage(
        {
            "train": train.identities(captions=captions),
            "validation": judging.identities(captions=captions),
        }
    )
    return splits


def _kinds_of(pool: Pool) -> str:
    there = ["pairs"] * bool(pool.rated) + ["choices"] * bool(pool.choices)
    return " and ".join(there) or "pairs"


def _splits(train: Pool, judging: Pool, name: str, pool: Pool) -> Splits:
    """The splits, with the number of rows that are in neither."""
    unused = pool.without(train).without(judging)
    return Splits(
        train=train.rated,
        validation=judging.rated,
        validation_name=name,
        unused=len(unused.rated),
        train_choices=train.choices,
        validation_choices=judging.choices,
        unused_choices=len(unused.choices),
    )


def _none_may_train(
    rows: Sequence[Example] | Sequence[ChoiceExample], settings: TrainingSettings
) -> str:
    there = ", ".join(repr(name) for name in sorted({item.split or "" for item in rows}))
    return (
        f"none of {len(rows)} rows may train: their split is {there}, and only rows whose "
        f"split is empty or {settings.train_split!r} are trained on or divided by "
        "--validation-fraction (empty the column `split`, or set train_split)"
    )


def _check_named_splits(
    examples: Sequence[Example],
    train: Sequence[Example],
    validation: Sequence[Example],
    settings: TrainingSettings,
    table: str | Path,
) -> None:
    for name, found in (
        (settings.train_split, train),
        (settings.validation_split, validation),
    ):
        if not found and not (found is train and not settings.rating_coefficients):
            there = sorted({item.split for item in examples if item.split})
            column = f"the column has {', '.join(map(repr, there))}" if there else "it is empty"
            raise TableError(
                table,
                f"no row has split {name!r} ({column}); name the split in the settings, give "
                "a validation table (--validation) or a --validation-fraction",
            )


def _check_objective(splits: Splits, settings: TrainingSettings, rows: ChoiceRows) -> None:
    """Every term has something to learn from, and everything given is learned from."""
    if settings.rating_coefficients and not splits.train:
        raise SettingsError(
            f"objective {settings.objective!r} learns from ratings and there are none; give a "
            "table of targets, or --objective choice to learn from choices alone"
        )
    if settings.learns_choices and not splits.train_choices:
        if rows.examples:
            raise TableError(rows.table, _none_may_train(rows.examples, settings))
        raise SettingsError(
            f"the term 'choice' of objective {settings.objective!r} needs people's choices; give "
            "them with --choices"
        )
    if splits.train_choices and not settings.learns_choices:
        raise SettingsError(
            f"{len(splits.train_choices)} choices may train and objective "
            f"{settings.objective!r} has no term for them; add one, as in --objective "
            f"{settings.objective}+choice"
        )


def _check_sizes(
    splits: Splits, settings: TrainingSettings, table: str | Path, choice_table: str | Path
) -> None:
    if settings.rating_coefficients and len(splits.train) < 2:
        raise TableError(table, f"{len(splits.train)} training pairs; at least 2 are needed")
    if splits.validation or settings.rating_coefficients:
        _check_validation(splits, table)
    decided = sum(choice.decided for choice in splits.validation_choices)
    judging = settings.best_by == "accuracy" or not splits.validation
    if judging and decided < MIN_PAIRS:
        raise TableError(
            choice_table,
            f"{decided} validation choices have a majority for one side; at least {MIN_PAIRS} are "
            "needed to choose the epoch (name them in the column `split`, or give "
            "--validation-choices or --validation-fraction)",
        )
    if settings.best_by == "srcc" and not splits.validation:
        raise SettingsError("best_by = 'srcc' needs rated validation pairs, and there are none")


def _check_validation(splits: Splits, table: str | Path) -> None:
    if len(splits.validation) < MIN_PAIRS:
        raise TableError(
            table,
            f"{len(splits.validation)} validation pairs; at least {MIN_PAIRS} are needed",
        )
    if len({item.relevance for item in splits.validation}) == 1:
        raise TableError(
            table,
            f"all {len(splits.validation)} validation targets are "
            f"{splits.validation[0].relevance:g}, so no epoch can be told from another",
        )
