"""Humanclap's own form of ratings: one answer a row."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from humanclap.records import Rating
from humanclap.scale import RatingScale
from humanclap.tables import Row, Table, optional_columns, write_rows

COLUMNS = ("audio", "text", "score", "listener_id")
OPTIONAL_COLUMNS = ("question", "kind", "system", "subset", "split", "expected")


def read_plain(table: Table, question: str | None, scale: RatingScale) -> list[Rating]:
    """The ratings of a plain table; rows without a question answer `question`, REL unless given."""
    table.require(*COLUMNS)
    return table.make(lambda row: _rating(row, question or "REL", scale))


def _rating(row: Row, question: str, scale: RatingScale) -> Rating:
    kind = row.optional("kind") or "rating"
    expected = None if row.optional("expected") is None else row.number("expected")
    if kind == "attention_check" and expected is None:
        raise row.error("an attention check needs its right answer in the column 'expected'")
    return Rating(
        audio=row.text("audio"),
        text=row.text("text"),
        listener_id=row.text("listener_id"),
        score=row.rating("score", scale),
        question=row.optional("question") or question,
        kind=kind,
        **optional_columns(row, "system", "subset", "split"),
        line=row.line,
        expected=expected,
    )


def write_plain(path: str | Path, ratings: Sequence[Rating]) -> None:
    """Write ratings so that `read_ratings` reads them; whole or not at all."""
    columns = (*COLUMNS, *OPTIONAL_COLUMNS)
    write_rows(
        path, columns, ({name: getattr(rating, name) for name in columns} for rating in ratings)
    )
