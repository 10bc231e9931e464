"""Read the tables of a gate: the column that is judged, with the line of every row."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from humanclap.errors import TableError
from humanclap.grouping import caption_key
from humanclap.records import Score
from humanclap.tables import Row, optional_columns, read_table


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRow:
    """A clip with the metric's value as `score.score`; line: its line in the file."""

    line: int
    score: Score


@dataclass(frozen=True, slots=True, kw_only=True)
class GateTable:
    """Rows of one file, `where`, in its order."""

    where: str
    rows: tuple[GateRow, ...]

    def error(self, message: str, row: GateRow | None = None) -> TableError:
        """An error that names the file, and the row where one is to blame."""
        return TableError(self.where, message, None if row is None else row.line)

    def systems(self) -> list[str | None]:
        """Systems in order of appearance; None for rows that name none."""
        return list(dict.fromkeys(row.score.system for row in self.rows))


def read_gate_table(path: str | Path, metric: str = "score") -> GateTable:
    """Read a table of any metric: columns `audio`, `text` and `metric`, and those of `read_scores`.

    A cell of the metric may be empty only where the column `error` says why. Raises TableError,
    naming file and line, for a missing column, a cell that is no finite number, and for a clip of a
    system that stands twice with one prompt.
    """
    table = read_table(path)
    table.require("audio", "text", metric)
    rows = []
    for row in table.rows:
        score = row.make(lambda row=row: _score(row, metric))  # type: ignore[misc]
        rows.append(GateRow(line=row.line, score=score))
    found = GateTable(where=str(path), rows=tuple(rows))
    _refuse_twice(found)
    return found


def _score(row: Row, metric: str) -> Score:
    error = row.optional("error")
    return Score(
        audio=row.text("audio"),
        text=row.text("text"),
        score=row.optional_number(metric) if error else row.number(metric),
        rating=row.optional_number("rating"),
        rating_error=row.optional_number("rating_error"),
        error=error,
        **optional_columns(row, "system", "signature", "rating_covers", "met", "note"),
    )


def _refuse_twice(table: GateTable) -> None:
    first: dict[tuple[str | None, str, str], int] = {}
    for row in table.rows:
        score = row.score
        key = score.system, score.audio, caption_key(score.text)
        if key in first:
            raise table.error(
                f"{score.audio!r} with {score.text!r} is already on line {first[key]}; keep "
                "one row for each clip and prompt",
                row,
            )
        first[key] = row.line
