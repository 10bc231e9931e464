"""The rated pairs and choices of a recipe, and their parts: who trains, chooses and judges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from humanclap.errors import InputError, SettingsError, TableError
from humanclap.experiments.recipe import DataRecipe
from humanclap.grouping import (
    check_leakage,
    grouped_folds,
    listener_overlap,
    without_shared,
)
from humanclap.metrics.agreement import MIN_PAIRS
from humanclap.ratings.aggregate import aggregate
from humanclap.ratings.read import read_ratings, table_kind
from humanclap.ratings.screening import screen
from humanclap.ratings.standardise import standardise_on_scale
from humanclap.records import Rating, Target
from humanclap.scale import RatingScale, ask_for_scale, check_targets_scale
from humanclap.tables import read_targets
from humanclap.training.data.choices import ChoiceExample, Side, read_choice_examples, sides_of
from humanclap.training.data.dataset import Example, example_of
from humanclap.training.data.pool import Pool
from humanclap.training.data.splits import Splits
from humanclap.training.settings import TrainingSettings
from humanclap.xacle import read_averages


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One way to divide the pairs: `train` and `validation` for the run, `test` to judge it.

    left_out, choices_left_out: pairs and choices that could train but share a clip or a caption
    with the test.
    """

    name: str
    train: tuple[Example, ...]
    validation: tuple[Example, ...]
    test: tuple[Example, ...]
    left_out: int = 0
    train_choices: tuple[ChoiceExample, ...] = ()
    validation_choices: tuple[ChoiceExample, ...] = ()
    test_choices: tuple[ChoiceExample, ...] = ()
    choices_left_out: int = 0

    def splits(self, settings: TrainingSettings) -> Splits:
        """What `training.loop.loop.train` takes: of the tables that the objective learns from."""
        return Splits(
            train=self.train if settings.rating_coefficients else (),
            validation=self.validation,
            validation_name=f"validation, {self.name}",
            train_choices=self.train_choices if settings.learns_choices else (),
            validation_choices=self.validation_choices,
        )

    def choices(self) -> tuple[ChoiceExample, ...]:
        """Those of all three."""
        return (*self.train_choices, *self.validation_choices, *self.test_choices)

    def overlap(self) -> dict[str, dict[str, float]] | None:
        """`grouping.listener_overlap` of the three; None where listeners are not known."""
        sides = {"train": self.train, "validation": self.validation, "test": self.test}
        listeners = {
            name: [listener_id for item in side for listener_id, _ in item.answers]
            for name, side in sides.items()
        }
        return listener_overlap(listeners) if any(listeners.values()) else None


_SCALE_OPTION = "[settings] rating_scale ="


def read_data(data: DataRecipe, folder: Path, root: Path, scale: RatingScale) -> list[Example]:
    """Every rated pair of the recipe's tables, below `folder`; anchors are left out.

    root: where audio paths start.
    Raises InputError and its kinds as the readers do, and where a pair stands in two tables.
    """
    found: list[tuple[str, Target]] = []
    answers: dict[str, list[tuple[str, float]]] = {}
    for name, split in data.tables.items():
        path = folder / name
        targets = _targets(path, data, scale, answers)
        if split:
            targets = [replace(target, split=split) for target in targets]
        found += [(str(path), target) for target in targets if target.kind == "rating"]
    seen: dict[str, str] = {}
    for table, target in found:
        if seen.setdefault(target.pair_id, table) != table:
            raise TableError(table, f"pair {target.pair_id!r} stands in {seen[target.pair_id]} too")
    if not root.is_dir():
        raise InputError(f"{root}: no such folder of audio")
    return [
        example_of(
            target,
            root=root,
            where=f"{table} ({target.pair_id})",
            answers=tuple(answers.get(target.pair_id, ())),
        )
        for table, target in found
    ]


def read_recipe_choices(data: DataRecipe, folder: Path, root: Path) -> list[ChoiceExample]:
    """Every question of the recipe's tables of choices, below `folder`; root: of audio paths."""
    found = []
    for name, split in data.choices.items():
        choices = read_choice_examples(folder / name, audio_root=root)
        found += [replace(choice, split=split) for choice in choices] if split else choices
    return found


def _targets(
    path: Path, data: DataRecipe, scale: RatingScale, answers: dict[str, list[tuple[str, float]]]
) -> list[Target]:
    kind, stated = table_kind(path), RatingScale(low=scale.low, high=scale.high)
    told = {"where": str(path), "option": _SCALE_OPTION}
    if kind in ("targets", "averages"):
        targets = read_targets(path) if kind == "targets" else read_averages(path, scale=stated)
        means = [item.mos for item in targets]
        if kind == "targets":
            check_targets_scale([item.target for item in targets], means, scale, **told)
        ask_for_scale(means, scale, **told)
        return targets
    every = read_ratings(path, question=data.question, scale=stated)
    ask_for_scale([rating.score for rating in every], scale, **told)
    ratings: Sequence[Rating] = [r for r in every if r.question == data.question]
    ratings = screen(ratings, data.screen).kept
    if data.standardise:
        ratings, _ = standardise_on_scale(ratings, scale)
    for rating in ratings:
        if rating.kind == "rating":
            answer = (rating.listener_id, scale.to_unit(rating.score))
            answers.setdefault(rating.pair_id, []).append(answer)
    return aggregate(ratings, scale=stated)


def make_parts(
    examples: Sequence[Example],
    data: DataRecipe,
    *,
    shared_captions: bool,
    choices: Sequence[ChoiceExample] = (),
) -> list[Part]:
    """The parts of the recipe's split; no clip (and no caption) is on two sides of any, be it in a
    rating or in a choice.

    shared_captions: the recipe allows captions on both sides. Raises LeakageError, SettingsError.
    """
    pool = Pool(tuple(examples), tuple(choices))
    if data.split == "folds":
        parts = _folds(pool, data, shared_captions)
    elif data.split == "each":
        parts = _each(pool, data, shared_captions)
    elif data.split == "systems":
        parts = _systems(pool, data, shared_captions)
    else:
        train = Pool(pool.of("train").rated, pool.of("train", None).choices)
        if not train.rated:
            there = ", ".join(repr(name) for name in sorted({one.split or "" for one in examples}))
            raise SettingsError(
                f"no pair has split 'train' (the tables have {there}); name each table's split in "
                "data.tables, or set data.split"
            )
        parts = [_part("test", train, pool.of(data.test_split), pool, data, shared=shared_captions)]
    for part in parts:
        _check(part, shared_captions)
    return parts


def _folds(pool: Pool, data: DataRecipe, shared: bool) -> list[Part]:
    folds = grouped_folds(pool.joined(captions=not shared), data.folds)
    tests = [pool.having(folds, fold) for fold in range(data.folds)]
    return [
        _part(f"fold {number}", pool.without(test), test, Pool(), data, shared=shared)
        for number, test in enumerate(tests, start=1)
    ]


def _each(pool: Pool, data: DataRecipe, shared: bool) -> list[Part]:
    names = sorted({item.split for item in pool.rated if item.split})
    nowhere = pool.of(None)
    if len(names) < 2 or nowhere.rated or nowhere.choices:
        raise SettingsError(
            "data.split = 'each' needs a split for every pair and choice, of at least two"
        )
    tests = {name: pool.of(name) for name in names}
    return [
        _part(f"fold {name}", pool.without(test), test, Pool(), data, shared=shared)
        for name, test in tests.items()
    ]


def _systems(pool: Pool, data: DataRecipe, shared: bool) -> list[Part]:
    systems = sorted({item.system for item in pool.rated if item.system})
    if len(systems) < 2:
        raise SettingsError("data.split = 'systems' needs pairs of at least two named systems")
    parts = []
    for system in systems:
        own = _made_by(pool, system)
        judged = own.of(data.test_split)
        test = Pool(judged.rated or own.rated, judged.choices or own.choices)
        others = pool.without(own)
        could = others.of(None, "train")
        train, kept = (_without(some, test, shared) for some in (could, others))
        part = _part(f"without {system}", train, test, kept, data, shared=shared)
        parts.append(
            replace(
                part,
                left_out=len(could.rated) - len(train.rated),
                choices_left_out=len(could.choices) - len(train.choices),
            )
        )
    return parts


def _made_by(pool: Pool, system: str) -> Pool:
    return pool.where(
        lambda item: system in ((item.system,) if isinstance(item, Example) else item.systems)
    )


def _without(pool: Pool, test: Pool, shared: bool) -> Pool:
    """The pairs and choices that share no clip (and no caption) with the test."""
    held: list[Example | Side] = [*test.rated, *sides_of(test.choices)]
    rated, _ = without_shared(pool.rated, held, captions=not shared)
    choices = [
        choice
        for choice in pool.choices
        if not without_shared(choice.sides, held, captions=not shared)[1]
    ]
    return Pool(tuple(rated), tuple(choices))


def _part(
    name: str, train: Pool, test: Pool, others: Pool, data: DataRecipe, *, shared: bool
) -> Part:
    """With validation by the recipe's fraction of `train`, else the others' split `validation`."""
    validation = others.of("validation")
    if data.validation_fraction:
        train, validation = train.divided(
            data.validation_fraction, captions=not shared, by_kind=False
        )
    return Part(
        name=name,
        train=train.rated,
        validation=validation.rated,
        test=test.rated,
        train_choices=train.choices,
        validation_choices=validation.choices,
        test_choices=test.choices,
    )


def _check(part: Part, shared: bool) -> None:
    sides = {
        "train": (part.train, part.train_choices),
        "validation": (part.validation, part.validation_choices),
        "test": (part.test, part.test_choices),
    }
    for name, (rated, _) in sides.items():
        least = 2 if name == "train" else MIN_PAIRS
        if len(rated) < least:
            hint = ""
            if part.left_out:
                hint = f"; {part.left_out} share a clip or caption with the test"
            raise SettingsError(
                f"{part.name}: {len(rated)} {name} pairs; at least {least} are needed{hint}"
            )
    check_leakage(
        {name: Pool(*side).identities(captions=not shared) for name, side in sides.items()}
    )


def fewer_pairs(part: Part, count: int, seed: int) -> Part:
    """The part as if only `count` pairs had been rated for training and validation; 0: all.

    They keep the part's own share of validation pairs, at least MIN_PAIRS; a larger count holds
    the pairs of a smaller one of the same seed. Choices stay as they are. Raises SettingsError for
    too small or large counts.
    """
    if not count:
        return part
    total = len(part.train) + len(part.validation)
    validation = max(MIN_PAIRS, round(count * len(part.validation) / total))
    train = count - validation
    if train < 2 or train > len(part.train) or validation > len(part.validation):
        raise SettingsError(
            f"{part.name}: {count} pairs cannot be taken from {len(part.train)} training and "
            f"{len(part.validation)} validation pairs"
        )
    rng = np.random.default_rng([seed, 1])
    first = [part.train[place] for place in rng.permutation(len(part.train))[:train]]
    order = rng.permutation(len(part.validation))
    chosen = [part.validation[place] for place in order[:validation]]
    return replace(part, train=tuple(first), validation=tuple(chosen))


def only_systems(part: Part, systems: Sequence[str]) -> Part:
    """The part with training and validation pairs of these systems only; none: of all.

    Of choices those whose sides were made by these systems.
    """
    if not systems:
        return part
    train_choices, validation_choices = (
        tuple(one for one in side if one.systems and set(one.systems) <= set(systems))
        for side in (part.train_choices, part.validation_choices)
    )
    train = tuple(item for item in part.train if item.system in systems)
    validation = tuple(item for item in part.validation if item.system in systems)
    if len(train) < 2 or len(validation) < MIN_PAIRS:
        raise SettingsError(
            f"{part.name}: {len(train)} training and {len(validation)} validation pairs are of "
            f"{', '.join(systems)}"
        )
    return replace(
        part,
        train=train,
        validation=validation,
        train_choices=train_choices,
        validation_choices=validation_choices,
    )
