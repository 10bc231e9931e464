"""Rated pairs with their files, divided into training and validation without leakage."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from humanclap.errors import InputError, TableError, listed
from humanclap.fingerprint import fingerprint_text
from humanclap.grouping import check_leakage, grouped_split
from humanclap.metrics.agreement import MIN_PAIRS
from humanclap.records import Target
from humanclap.scale import RatingScale
from humanclap.tables import Row, read_table, read_targets
from humanclap.training.settings import TrainingSettings

MAX_NAMED = 5
"""How many missing files an error names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One rated pair and where its clip lies.

    audio: path as the table writes it; path: the file itself; relevance: in [0, 1]; mos: on the
    study's scale; where: `file:line` of its row; n: ratings behind the mean; standard_error: of
    `mos`, NaN where unknown; answers: (listener_id, answer in [0, 1]), where they were given.
    """

    audio: str
    text: str
    pair_id: str
    path: Path
    relevance: float
    mos: float
    where: str
    split: str | None = None
    n: int = 1
    standard_error: float = math.nan
    kind: str = "rating"
    system: str | None = None
    subset: str | None = None
    answers: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Splits:
    """What is trained on and what chooses the best epoch.

    validation_name: where the validation pairs came from, for reports; unused: rows of the tables
    that belong to neither.
    """

    train: tuple[Example, ...]
    validation: tuple[Example, ...]
    validation_name: str
    unused: int = 0

    def fingerprint(self) -> str:
        """Hash of the pairs and targets of both splits (not of the sound files' content)."""
        return fingerprint_text(
            part
            for name, examples in (("train", self.train), ("validation", self.validation))
            for example in examples
            for part in (
                name,
                example.audio,
                example.text,
                repr(example.relevance),
                *_further(example),
            )
        )


def _further(example: Example) -> list[str]:
    """The answers, where there are any."""
    return [f"{listener_id}={answer!r}" for listener_id, answer in example.answers]


def read_examples(table: str | Path, *, audio_root: str | Path | None = None) -> list[Example]:
    """Read targets (see `tables.read_targets`); relative paths start at `audio_root`.

    audio_root: the table's own folder where None. Files are not looked for yet. Raises TableError.
    """
    table = Path(table)
    root = table.parent if audio_root is None else Path(audio_root)
    if not root.is_dir():
        raise InputError(f"{root}: audio root is no folder")
    rows = read_table(table).rows
    return [
        example_of(target, root=root, where=f"{table}:{row.line}")
        for row, target in zip(rows, read_targets(table), strict=True)
    ]


def with_answers(
    examples: Sequence[Example],
    ratings: str | Path,
    scale: RatingScale,
    *,
    question: str | None = None,
) -> list[Example]:
    """The examples with the single answers about them, for the term `listener`.

    ratings: a table audio, text, listener_id, score, as `humanclap ratings screen` writes it, on
    `scale`; rows of pairs that are no example, of kinds other than `rating`, and of questions other
    than `question` are passed over. question: the one the targets are about (REL, IS, OS; an empty
    cell is REL); it may be left out where the rows answer one only.
    Raises TableError for a score outside the scale, a listener who answers a pair twice, several
    questions where none is chosen, or where no row is about any example.
    """
    table = read_table(ratings)
    table.require("audio", "text", "listener_id", "score")
    pairs = {(item.audio, item.text) for item in examples}
    rows = [
        row
        for row in table.rows
        if (row.text("audio"), row.text("text")) in pairs
        and (row.optional("kind") or "rating") == "rating"
    ]
    if not rows:
        raise TableError(ratings, "no row is about a pair of the targets (same audio and text?)")
    rows = _of_question(rows, question, ratings)
    answers: dict[tuple[str, str], dict[str, float]] = {pair: {} for pair in pairs}
    for row in rows:
        score, listener_id = row.number("score"), row.text("listener_id")
        if score not in scale:
            raise row.error(f"score {score:g} is outside the rating_scale {scale}")
        of_pair = answers[row.text("audio"), row.text("text")]
        if listener_id in of_pair:
            raise row.error(f"listener {listener_id!r} answers this pair a second time")
        of_pair[listener_id] = scale.to_unit(score)
    return [
        replace(item, answers=tuple(answers[item.audio, item.text].items())) for item in examples
    ]


def _of_question(rows: Sequence[Row], question: str | None, ratings: str | Path) -> list[Row]:
    """The rows that answer the question, which one answer to another question would mislead."""
    asked = [row.optional("question") or "REL" for row in rows]
    there = sorted(set(asked))
    if question is None and len(there) > 1:
        raise TableError(
            ratings,
            f"the ratings answer {len(there)} questions ({', '.join(there)}); name the one the "
            "targets are about: --question",
        )
    if question is not None and question not in there:
        raise TableError(ratings, f"no rating answers {question}; there are: {', '.join(there)}")
    return [row for row, one in zip(rows, asked, strict=True) if question in (None, one)]


def example_of(
    target: Target, *, root: Path, where: str, answers: tuple[tuple[str, float], ...] = ()
) -> Example:
    """A target as training takes it; relative clips start at `root`, `where` stands in errors."""
    return Example(
        audio=target.audio,
        text=target.text,
        pair_id=target.pair_id,
        path=root / target.audio,
        relevance=target.target,
        mos=target.mos,
        where=where,
        split=target.split,
        n=target.n,
        standard_error=target.standard_error,
        kind=target.kind,
        system=target.system,
        subset=target.subset,
        answers=answers,
    )


def make_splits(
    examples: Sequence[Example],
    settings: TrainingSettings,
    *,
    table: str | Path,
    validation: Sequence[Example] | None = None,
    validation_fraction: float | None = None,
) -> Splits:
    """Divide examples by `validation` if given, else by `validation_fraction`, else by their split.

    A given validation set leaves to training the examples whose split is empty or `train_split`.
    validation_fraction: share in (0, 1) of those, chosen by whole groups that share no clip and no
    caption (no clip, where captions may be shared), of each kind of pair alike; the same for every
    seed.
    table: named in errors. Raises TableError where a split comes out too small, LeakageError where
    training and validation share a clip or a caption.
    """
    usable = [item for item in examples if item.split in (None, settings.train_split)]
    if not usable and (validation is not None or validation_fraction is not None):
        raise TableError(table, _none_may_train(examples, settings))
    if validation is not None:
        train, name = usable, "validation table"
    elif validation_fraction is not None:
        train, validation = _by_fraction(usable, validation_fraction, settings)
        name = f"{validation_fraction:g} of the training pairs"
    else:
        train = [item for item in examples if item.split == settings.train_split]
        validation = [item for item in examples if item.split == settings.validation_split]
        name = f"split {settings.validation_split!r}"
        _check_named_splits(examples, train, validation, settings, table)
    taken = {id(item) for item in (*train, *validation)}
    splits = Splits(
        train=tuple(train),
        validation=tuple(validation),
        validation_name=name,
        unused=sum(id(item) not in taken for item in examples),
    )
    _check_sizes(splits, table)
    _check_leakage(splits, settings)
    return splits


def _none_may_train(examples: Sequence[Example], settings: TrainingSettings) -> str:
    there = ", ".join(repr(name) for name in sorted({item.split or "" for item in examples}))
    return (
        f"none of {len(examples)} rows may train: their split is {there}, and only rows whose "
        f"split is empty or {settings.train_split!r} are trained on or divided by "
        "--validation-fraction (empty the column `split`, or set train_split)"
    )


def _by_fraction(
    examples: Sequence[Example], fraction: float, settings: TrainingSettings
) -> tuple[list[Example], list[Example]]:
    if not 0 < fraction < 1:
        raise InputError(f"validation fraction is {fraction:g}; expected between 0 and 1")
    grouped = [
        _identity(item, with_caption=not settings.allow_shared_captions) for item in examples
    ]
    shares = {"train": 1 - fraction, "validation": fraction}
    split_of = grouped_split(grouped, shares, strata=[item.kind for item in grouped])
    halves: dict[str, list[Example]] = {"train": [], "validation": []}
    for item in examples:
        halves[split_of[item.pair_id]].append(item)
    return halves["train"], halves["validation"]


def _identity(example: Example, *, with_caption: bool) -> Example:
    """The example under its file's full path; without its caption it can share only its clip."""
    clip = str(example.path.resolve())
    return replace(example, audio=clip, text=example.text if with_caption else f"of {clip}")


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
        if not found:
            there = sorted({item.split for item in examples if item.split})
            column = f"the column has {', '.join(map(repr, there))}" if there else "it is empty"
            raise TableError(
                table,
                f"no row has split {name!r} ({column}); name the split in the settings, give "
                "a validation table (--validation) or a --validation-fraction",
            )


def _check_sizes(splits: Splits, table: str | Path) -> None:
    for name, found, least in (
        ("training", len(splits.train), 2),
        ("validation", len(splits.validation), MIN_PAIRS),
    ):
        if found < least:
            raise TableError(table, f"{found} {name} pairs; at least {least} are needed")
    if len({item.relevance for item in splits.validation}) == 1:
        raise TableError(
            table,
            f"all {len(splits.validation)} validation targets are "
            f"{splits.validation[0].relevance:g}, so no epoch can be told from another",
        )


def _check_leakage(splits: Splits, settings: TrainingSettings) -> None:
    with_caption = not settings.allow_shared_captions
    check_leakage(
        {
            name: [_identity(item, with_caption=with_caption) for item in examples]
            for name, examples in (("train", splits.train), ("validation", splits.validation))
        }
    )


def check_files(examples: Sequence[Example]) -> None:
    """Raise InputError where clips are missing, naming the first five and their rows."""
    missing: dict[Path, Example] = {}
    for item in examples:
        if item.path not in missing and not item.path.is_file():
            missing[item.path] = item
    if missing:
        named = listed(
            list(missing.values()),
            MAX_NAMED,
            show=lambda item: f"  {item.where}: {item.path}",
            between="\n",
            rest="\n  and {} more",
        )
        raise InputError(
            f"{len(missing)} audio file{'s are' if len(missing) > 1 else ' is'} missing "
            f"(is the audio root right?):\n{named}"
        )
