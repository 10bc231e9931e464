"""Rated pairs with their files."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from humanclap.errors import InputError, TableError, listed
from humanclap.grouping import Paired
from humanclap.records import Target
from humanclap.scale import RatingScale
from humanclap.tables import Row, read_table, read_targets

MAX_NAMED = 5
"""How many missing files an error names."""


class HeardClip(Paired, Protocol):
    """A text and a clip that is played to the model: a rated pair, or a side of a choice."""

    @property
    def path(self) -> Path:
        """The clip's file."""

    @property
    def where(self) -> str:
        """Table and row, for errors."""


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


def audio_folder(table: str | Path, audio_root: str | Path | None) -> Path:
    """Where a table's relative paths start. Raises InputError where there is no such folder."""
    root = Path(table).parent if audio_root is None else Path(audio_root)
    if not root.is_dir():
        raise InputError(f"{root}: audio root is no folder")
    return root


def read_examples(table: str | Path, *, audio_root: str | Path | None = None) -> list[Example]:
    """Read targets (see `tables.read_targets`); relative paths start at `audio_root`.

    audio_root: the table's own folder where None. Files are not looked for yet. Raises TableError.
    """
    root = audio_folder(table, audio_root)
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
    """The rows that answer the question; answers to another question would mislead the model."""
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


def check_files(examples: Sequence[HeardClip]) -> None:
    """Raise InputError where clips are missing, naming the first five and their rows."""
    missing: dict[Path, HeardClip] = {}
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
