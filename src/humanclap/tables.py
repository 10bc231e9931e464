"""Tables of pairs, targets and scores, read and written; errors name file and line."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar, overload

from humanclap.errors import InputError, TableError
from humanclap.files import is_standard
from humanclap.formats import Cells, read_cells, write_cells, write_delimited
from humanclap.records import Pair, Score, Target
from humanclap.scale import RatingScale

Record = TypeVar("Record")

_NOTHING: Mapping[str, str] = MappingProxyType({})
_OTHER_SCALES = (RatingScale(high=10.0), RatingScale(high=100.0), RatingScale(low=-100, high=100))


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a table: its cells by column name and the line it starts on (header = 1).

    others: by column, what a cell of a JSON or Parquet table was that was neither a text nor a
    number, such as `a list`.
    """

    path: Path
    line: int
    cells: Mapping[str, str]
    others: Mapping[str, str] = field(default_factory=lambda: _NOTHING)

    def error(self, message: str) -> TableError:
        """An error that names this row."""
        return TableError(self.path, message, self.line)

    def text(self, column: str) -> str:
        """The cell, stripped; raises where it is empty or was neither text nor number in JSON."""
        if column in self.others:
            raise self.error(f"column {column!r} is {self.others[column]}; expected a text")
        value = self.cells.get(column, "").strip()
        if not value:
            raise self.error(f"column {column!r} is empty")
        return value

    def optional(self, column: str) -> str | None:
        """The cell, stripped, or None where the column is absent or the cell empty."""
        if self.others.get(column, "true or false") != "true or false":
            raise self.error(f"column {column!r} is {self.others[column]}; expected a text")
        return self.cells.get(column, "").strip() or None

    def number(self, column: str) -> float:
        """The cell as a finite float."""
        value = self.text(column)
        try:
            number = float(value)
        except ValueError:
            comma = " (with a decimal point, not a comma)" if "," in value else ""
            raise self.error(f"column {column!r} is {value!r}; expected a number{comma}") from None
        if not math.isfinite(number):
            raise self.error(f"column {column!r} is {value!r}; expected a finite number")
        return number

    def count(self, column: str) -> int:
        """The cell as a whole number."""
        number = self.number(column)
        if number != int(number):
            raise self.error(f"column {column!r} is {number:g}; expected a whole number")
        return int(number)

    def rating(self, column: str, scale: RatingScale) -> float:
        """The cell as a rating; raises where it is outside the scale."""
        rating = self.number(column)
        if rating in scale:
            return rating
        wider = next((other for other in _OTHER_SCALES if rating in other), None)
        hint = f" (is this file on a {wider.low:g}-{wider.high:g} scale?)" if wider else ""
        raise self.error(f"rating {rating:g} is outside {scale}{hint}")

    def optional_count(self, column: str) -> int | None:
        """As `count`, None where the column is absent or the cell empty."""
        return None if self.optional(column) is None else self.count(column)

    def optional_number(self, column: str) -> float:
        """As `number`, NaN where the column is absent or the cell empty."""
        return math.nan if self.optional(column) is None else self.number(column)

    def make(self, build: Callable[[], Record]) -> Record:
        """Build a record from this row; name file and line where the record refuses a value."""
        try:
            return build()
        except TableError:
            raise
        except InputError as error:
            raise self.error(str(error)) from error


class Rows(Sequence[Row]):
    """The rows of a file; each is made when asked for, so that a million rows need little room."""

    def __init__(self, path: Path, cells: Cells) -> None:
        self._path, self._cells, self._names = path, cells, tuple(cells.columns)

    def __len__(self) -> int:
        return len(self._cells.lines)

    def __iter__(self) -> Iterator[Row]:
        columns = self._cells.columns.values()
        cells: Iterable[tuple[str, ...]] = zip(*columns, strict=True)
        for place, (line, row) in enumerate(zip(self._cells.lines, cells, strict=True)):
            yield self._row(place, line, row)

    @overload
    def __getitem__(self, place: int) -> Row: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[Row, ...]: ...
    def __getitem__(self, place: int | slice) -> Row | tuple[Row, ...]:
        places = range(len(self))[place]
        if isinstance(places, range):
            return tuple(self[one] for one in places)
        cells = [column[places] for column in self._cells.columns.values()]
        return self._row(places, self._cells.lines[places], cells)

    def column(self, name: str) -> Sequence[str]:
        """The cells of one column."""
        return self._cells.columns[name]

    def _row(self, place: int, line: int, cells: Sequence[str]) -> Row:
        named = dict(zip(self._names, cells, strict=True))
        return Row(self._path, line, named, self._cells.others.get(place, _NOTHING))


@dataclass(frozen=True, slots=True)
class Table:
    """A whole table: column names in order and rows."""

    path: Path
    columns: tuple[str, ...]
    rows: Sequence[Row]

    def column(self, name: str) -> Sequence[str]:
        """The cells of one column, empty where a row has none."""
        if isinstance(self.rows, Rows):
            return self.rows.column(name)
        return [row.cells.get(name, "") for row in self.rows]

    def make(self, build: Callable[[Row], Record]) -> list[Record]:
        """A record for each row; see `Row.make`."""
        return [row.make(partial(build, row)) for row in self.rows]

    def require(self, *columns: str) -> None:
        """Raise where a column is missing, naming those that are there."""
        missing = [column for column in columns if column not in self.columns]
        if missing:
            raise TableError(
                self.path,
                f"missing column {', '.join(map(repr, missing))}; "
                f"the table has {', '.join(map(repr, self.columns))}",
                1,
            )


def read_table(path: str | Path) -> Table:
    """Read a table in UTF-8 or Parquet; `-` is standard input.

    Formats: CSV, .tsv, .jsonl (an object a line), .json (an array of objects), each also with .gz
    behind, and .parquet (with pyarrow). CSV is separated by commas, or by semicolons or tabs where
    the header has only those. Rows with only empty cells, and empty cells beyond the header, are
    skipped. Raises TableError for a missing, empty or undecodable file, a repeated column name, a
    row with too many or too few cells, and for a table without rows.
    """
    path = Path(path)
    if not is_standard(path) and not path.is_file() and (path.is_dir() or not path.exists()):
        what = "is a folder, not a table" if path.is_dir() else "no such file"
        raise TableError(path, what)
    cells = read_cells(path)
    if not cells.lines:
        raise TableError(path, "has no rows")
    return Table(path, tuple(cells.columns), Rows(path, cells))


# -- typed tables ---------------------------------------------------------------------------


def optional_columns(row: Row, *columns: str) -> dict[str, Any]:
    """The row's text in each of the columns, None where it is empty or there is no such column."""
    return {column: row.optional(column) for column in columns}


def read_pairs(path: str | Path) -> list[Pair]:
    """Read a manifest: columns `audio`, `text` [, `pair_id`, `system`, `subset`, `split`].

    Raises TableError where a `pair_id` (or, without that column, a pair) appears twice.
    """
    return read_manifest(path)[0]


Further = Mapping[str, Mapping[str, str]]
"""Cells of a table's further columns, by `pair_id`; they are kept and otherwise not looked at."""


def read_manifest(path: str | Path) -> tuple[list[Pair], Further]:
    """As `read_pairs`, and the cells of the columns that a Pair has no place for."""
    table = read_table(path)
    table.require("audio", "text")
    pairs = table.make(
        lambda row: Pair(
            audio=row.text("audio"),
            text=row.text("text"),
            pair_id=row.optional("pair_id") or "",
            **optional_columns(row, "system", "subset", "split"),
        )
    )
    check_distinct((pair.pair_id for pair in pairs), table.rows, what="pair")
    return pairs, further_cells(table, pairs, placed=[field.name for field in fields(Pair)])


def further_cells(table: Table, pairs: Sequence[Pair | Score], *, placed: Iterable[str]) -> Further:
    """The cells of `table`, whose rows are `pairs`, in all columns but those `placed` in them."""
    taken = set(placed)
    names = [column for column in table.columns if column not in taken]
    if not names:
        return {}
    return {
        pair.pair_id: {name: row.cells.get(name, "") for name in names}
        for pair, row in zip(pairs, table.rows, strict=True)
    }


def kept_as(own: Sequence[str], further: Further) -> dict[str, str]:
    """Further column -> its name in a table whose own columns are `own`.

    A name that the table has itself gets `_before` behind it, and a number where that is taken
    too. Such a column is left out where all its cells are empty; no other column is.

    >>> kept_as(["score"], {"p1": {"score": "0.3", "prompt_id": "7"}})
    {'score': 'score_before', 'prompt_id': 'prompt_id'}
    """
    names = next(iter(further.values()), {})
    return further_names(own, {n: [cells[n] for cells in further.values()] for n in names})


def further_names(own: Sequence[str], further: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """As `kept_as`, of cells by column."""
    taken = {*own, *further}
    found = {}
    for name, cells in further.items():
        kept, number = name, 2
        if name in own:
            if not any(cell.strip() for cell in cells):
                continue
            kept = f"{name}_before"
            while kept in taken:
                kept, number = f"{name}_before_{number}", number + 1
            taken.add(kept)
        found[name] = kept
    return found


def with_further(
    columns: Sequence[str], rows: Iterable[tuple[str, Mapping[str, object]]], further: Further
) -> tuple[list[str], list[Mapping[str, object]]]:
    """Columns and rows, each row given with its `pair_id`, with the further columns at the end."""
    names = kept_as(columns, further)
    kept = {
        pair_id: {name: cells[column] for column, name in names.items()}
        for pair_id, cells in further.items()
    }
    return [*columns, *names.values()], [{**kept.get(pair_id, {}), **row} for pair_id, row in rows]


def check_distinct(keys: Iterable[str], rows: Sequence[Row], *, what: str) -> None:
    """Raise TableError at the first row whose key an earlier row has."""
    first: dict[str, int] = {}
    for key, row in zip(keys, rows, strict=True):
        if key in first:
            raise row.error(f"{what} {key!r} is already on line {first[key]}")
        first[key] = row.line


def read_targets(path: str | Path) -> list[Target]:
    """Read targets; the table needs `audio`, `text`, `target`, `mos`, `n`."""
    table = read_table(path)
    table.require("audio", "text", "target", "mos", "n")
    targets = table.make(
        lambda row: Target(
            audio=row.text("audio"),
            text=row.text("text"),
            target=row.number("target"),
            mos=row.number("mos"),
            n=row.count("n"),
            standard_error=row.optional_number("standard_error"),
            pair_id=row.optional("pair_id") or "",
            kind=row.optional("kind") or "rating",
            **optional_columns(row, "system", "subset", "split"),
        )
    )
    check_distinct((target.pair_id for target in targets), table.rows, what="pair")
    return targets


def read_scores(path: str | Path) -> list[Score]:
    """Read scores of any metric: `audio`, `text`, `score` [, `rating`, `rating_error`, ...].

    Further columns: `pair_id`, `system`, `subset`, `split`, `signature`, `met`, `text_cut`,
    `text_unread`, `note`, `error`. A row whose `score` is empty must say why in `error`.
    """
    return scores_in(read_table(path))


def read_scored(path: str | Path) -> tuple[list[Score], Further]:
    """As `read_scores`, and the cells of the columns that a Score has no place for."""
    table = read_table(path)
    scores = scores_in(table)
    return scores, further_cells(table, scores, placed=[field.name for field in fields(Score)])


def scores_in(table: Table) -> list[Score]:
    """The scores of a table that has been read; see `read_scores`."""
    table.require("audio", "text", "score")
    labels = ("system", "subset", "split", "signature", "rating_covers", "met", "note", "error")
    named = [column for column in labels if column in table.columns]
    scores = table.make(
        lambda row: Score(
            audio=row.text("audio"),
            text=row.text("text"),
            score=row.optional_number("score") if row.optional("error") else row.number("score"),
            rating=row.optional_number("rating"),
            rating_error=row.optional_number("rating_error"),
            pair_id=row.optional("pair_id") or "",
            text_cut=row.optional_count("text_cut"),
            text_unread=row.optional_number("text_unread"),
            **optional_columns(row, *named),
        )
    )
    check_distinct((score.pair_id for score in scores), table.rows, what="pair")
    return scores


# -- writing --------------------------------------------------------------------------------


def write_rows(
    path: str | Path, columns: Sequence[str], rows: Iterable[Mapping[str, object]]
) -> None:
    """Write a table (format by suffix, as `read_table`); None and NaN become empty cells.

    Raises InputError for a name that tells no known format.
    """
    write_cells(Path(path), columns, rows)


def write_records(path: str | Path, records: Sequence[Any], *, record_type: type) -> None:
    """Write records of one dataclass, a column for each field."""
    columns = [field.name for field in fields(record_type)]
    rows = ({name: getattr(record, name) for name in columns} for record in records)
    write_rows(path, columns, rows)


def rows_as_csv(columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> str:
    """The CSV text that `write_rows` would write."""
    text = io.StringIO()
    write_delimited(text, columns, rows, ",")
    return text.getvalue()
