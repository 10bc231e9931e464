"""The rated pairs of a recipe, and their parts: who trains, who chooses, who judges."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from humanclap.errors import InputError, SettingsError, TableError
from humanclap.experiments.recipe import DataRecipe
from humanclap.grouping import (
    check_leakage,
    grouped_folds,
    grouped_split,
    listener_overlap,
    without_shared,
)
from humanclap.metrics.agreement import MIN_PAIRS
from humanclap.ratings.aggregate import aggregate
from humanclap.ratings.read import read_ratings, table_kind
from humanclap.ratings.screening import screen
from humanclap.ratings.standardise import standardise_on_scale
from humanclap.ratings.xacle import read_targets_xacle
from humanclap.records import Rating, Target
from humanclap.scale import RatingScale, ask_for_scale, check_targets_scale
from humanclap.tables import read_targets
from humanclap.training.dataset import Example, example_of
from humanclap.training.splits import Splits


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One way to divide the pairs: `train` and `validation` for the run, `test` to judge it.

    left_out: pairs that could train but share a clip or a caption with the test.
    """

    name: str
    train: tuple[Example, ...]
    validation: tuple[Example, ...]
    test: tuple[Example, ...]
    left_out: int = 0

    def splits(self) -> Splits:
        """What `training.loop.train` takes."""
        return Splits(
            train=self.train, validation=self.validation, validation_name=f"validation, {self.name}"
        )

    def overlap(self) -> dict[str, dict[str, float]] | None:
        """`grouping.listener_overlap` of the three; None where listeners are not known."""
        sides = {"train": self.train, "validation": self.validation, "test": self.test}
        listeners = {
            name: [listener_id for item in side for listener_id, _ in item.answers]
            for name, side in sides.items()
        }
        return listener_overlap(listeners) if any(listeners.values()) else None


_SCALE_OPTION = "[settings] rating_scale ="


@dataclass(slots=True)
class _Read:
    targets: list[tuple[str, Target]] = field(default_factory=list)
    answers: dict[str, list[tuple[str, float]]] = field(default_factory=dict)


def read_data(data: DataRecipe, folder: Path, root: Path, scale: RatingScale) -> list[Example]:
    """Every rated pair of the recipe's tables, below `folder`; anchors are left out.

    root: where audio paths start.
    Raises InputError and its kinds as the readers do, and where a pair stands in two tables.
    """
    read = _Read()
    for name, split in data.tables.items():
        path = folder / name
        targets = _targets(path, data, scale, read.answers)
        if split:
            targets = [replace(target, split=split) for target in targets]
        read.targets += [(str(path), target) for target in targets if target.kind == "rating"]
    seen: dict[str, str] = {}
    for table, target in read.targets:
        if seen.setdefault(target.pair_id, table) != table:
            raise TableError(table, f"pair {target.pair_id!r} stands in {seen[target.pair_id]} too")
    if not root.is_dir():
        raise InputError(f"{root}: no such folder of audio")
    return [_example(table, target, root, read.answers) for table, target in read.targets]


def _targets(
    path: Path, data: DataRecipe, scale: RatingScale, answers: dict[str, list[tuple[str, float]]]
) -> list[Target]:
    kind = table_kind(path)
    if kind == "targets":
        targets = read_targets(path)
        units, means = [item.target for item in targets], [item.mos for item in targets]
        check_targets_scale(units, means, scale, where=str(path), option=_SCALE_OPTION)
        ask_for_scale(means, scale, where=str(path), option=_SCALE_OPTION)
        return targets
    stated = RatingScale(low=scale.low, high=scale.high)
    if kind == "averages":
        targets = read_targets_xacle(path, scale=stated)
        means = [item.mos for item in targets]
        ask_for_scale(means, scale, where=str(path), option=_SCALE_OPTION)
        return targets
    every = read_ratings(path, question=data.question, scale=stated)
    scores = [rating.score for rating in every]
    ask_for_scale(scores, scale, where=str(path), option=_SCALE_OPTION)
    ratings: Sequence[Rating] = [r for r in every if r.question == data.question]
    ratings = screen(ratings, data.screen).kept
    if data.standardise:
        ratings, _ = standardise_on_scale(ratings, scale)
    for rating in ratings:
        if rating.kind == "rating":
            answer = (rating.listener_id, scale.to_unit(rating.score))
            answers.setdefault(rating.pair_id, []).append(answer)
    return aggregate(ratings, scale=stated)


def _example(
    table: str, target: Target, root: Path, answers: dict[str, list[tuple[str, float]]]
) -> Example:
    return example_of(
        target,
        root=root,
        where=f"{table} ({target.pair_id})",
        answers=tuple(answers.get(target.pair_id, ())),
    )


def make_parts(
    examples: Sequence[Example], data: DataRecipe, *, shared_captions: bool
) -> list[Part]:
    """The parts of the recipe's split; no clip (and no caption) is on two sides of any.

    shared_captions: the recipe allows captions on both sides. Raises LeakageError, SettingsError.
    """
    if data.split == "folds":
        parts = _folds(examples, data, shared_captions)
    elif data.split == "each":
        parts = _each(examples, data, shared_captions)
    elif data.split == "systems":
        parts = _systems(examples, data, shared_captions)
    else:
        train = _of(examples, "train")
        test = _of(examples, data.test_split)
        if not train:
            there = ", ".join(repr(name) for name in sorted({one.split or "" for one in examples}))
            raise SettingsError(
                f"no pair has split 'train' (the tables have {there}); name each table's split in "
                "data.tables, or set data.split"
            )
        parts = [_part("test", train, test, examples, data, shared=shared_captions)]
    for part in parts:
        _check(part, shared_captions)
    return parts


def _of(examples: Iterable[Example], split: str) -> list[Example]:
    return [item for item in examples if item.split == split]


def _folds(examples: Sequence[Example], data: DataRecipe, shared: bool) -> list[Part]:
    folds = grouped_folds([_identity(item, shared) for item in examples], data.folds)
    parts = []
    for fold in range(data.folds):
        rest = [item for item, own in zip(examples, folds, strict=True) if own != fold]
        test = [item for item, own in zip(examples, folds, strict=True) if own == fold]
        parts.append(_part(f"fold {fold + 1}", rest, test, (), data, shared=shared))
    return parts


def _each(examples: Sequence[Example], data: DataRecipe, shared: bool) -> list[Part]:
    names = sorted({item.split for item in examples if item.split})
    if len(names) < 2 or any(item.split is None for item in examples):
        raise SettingsError("data.split = 'each' needs a split for every pair, of at least two")
    return [
        _part(
            f"fold {name}",
            [item for item in examples if item.split != name],
            _of(examples, name),
            (),
            data,
            shared=shared,
        )
        for name in names
    ]


def _systems(examples: Sequence[Example], data: DataRecipe, shared: bool) -> list[Part]:
    systems = sorted({item.system for item in examples if item.system})
    if len(systems) < 2:
        raise SettingsError("data.split = 'systems' needs pairs of at least two named systems")
    parts = []
    for system in systems:
        own = [item for item in examples if item.system == system]
        test = _of(own, data.test_split) or own
        others = [item for item in examples if item.system != system]
        could = [item for item in others if item.split in (None, "train")]
        train, left_out = without_shared(could, test, captions=not shared)
        kept, _ = without_shared(others, test, captions=not shared)
        part = _part(f"without {system}", train, test, kept, data, shared=shared)
        parts.append(replace(part, left_out=left_out))
    return parts


def _part(
    name: str,
    train: Sequence[Example],
    test: Sequence[Example],
    others: Sequence[Example],
    data: DataRecipe,
    *,
    shared: bool = False,
) -> Part:
    """With validation by the recipe's fraction of `train`, else the others' split `validation`."""
    validation = _of(others, "validation")
    if data.validation_fraction:
        shares = {"train": 1 - data.validation_fraction, "validation": data.validation_fraction}
        split_of = grouped_split([_identity(item, shared) for item in train], shares)
        validation = [item for item in train if split_of[item.pair_id] == "validation"]
        train = [item for item in train if split_of[item.pair_id] == "train"]
    return Part(name=name, train=tuple(train), validation=tuple(validation), test=tuple(test))


def _identity(example: Example, shared: bool) -> Example:
    """Under its file's full path; where captions may be shared, only the clip counts."""
    clip = str(example.path.resolve())
    return replace(example, audio=clip, text=f"of {clip}" if shared else example.text)


def _check(part: Part, shared: bool) -> None:
    sides = {"train": part.train, "validation": part.validation, "test": part.test}
    for name, side in sides.items():
        least = 2 if name == "train" else MIN_PAIRS
        if len(side) < least:
            hint = ""
            if part.left_out:
                hint = f"; {part.left_out} share a clip or caption with the test"
            raise SettingsError(
                f"{part.name}: {len(side)} {name} pairs; at least {least} are needed{hint}"
            )
    check_leakage(
        {name: [_identity(item, shared) for item in side] for name, side in sides.items()}
    )


def fewer_pairs(part: Part, count: int, seed: int) -> Part:
    """The part as if only `count` pairs had been rated for training and validation; 0: all.

    They keep the part's own share of validation pairs, at least MIN_PAIRS; a larger count holds
    the pairs of a smaller one of the same seed. Raises SettingsError for too small or large counts.
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
    """The part with training and validation pairs of these systems only; none: of all."""
    if not systems:
        return part
    train = tuple(item for item in part.train if item.system in systems)
    validation = tuple(item for item in part.validation if item.system in systems)
    if len(train) < 2 or len(validation) < MIN_PAIRS:
        raise SettingsError(
            f"{part.name}: {len(train)} training and {len(validation)} validation pairs are of "
            f"{', '.join(systems)}"
        )
    return replace(part, train=train, validation=validation)
