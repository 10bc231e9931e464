"""Tables in and out: CSV, TSV and JSONL; errors name file and line, writing is all or nothing."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import IO, Any, TypeVar

from humanclap.errors import InputError, TableError, naming_file
from humanclap.records import Pair, Score, Target

Record = TypeVar("Record")


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a table: its cells by column name and the line it starts on (header = 1)."""

    path: Path
    line: int
    cells: Mapping[str, str]

    def error(self, message: str) -> TableError:
        """An error that names this row."""
        return TableError(self.path, message, self.line)

    def text(self, column: str) -> str:
        """The cell, stripped; raises where it is empty."""
        value = self.cells.get(column, "").strip()
        if not value:
            raise self.error(f"column {column!r} is empty")
        return value

    def optional(self, column: str) -> str | None:
        """The cell, stripped, or None where the column is absent or the cell empty."""
        return self.cells.get(column, "").strip() or None

    def number(self, column: str) -> float:
        """The cell as a finite float."""
        value = self.text(column)
        try:
            number = float(value)
        except ValueError:
            raise self.error(f"column {column!r} is {value!r}; expected a number") from None
        if not math.isfinite(number):
            raise self.error(f"column {column!r} is {value!r}; expected a finite number")
        return number

    def optional_number(self, column: str) -> float:
        """As `number`, NaN where the column is absent or the cell empty."""
        return math.nan if self.optional(column) is None else self.number(column)

    def make(self, build: Callable[[], Record]) -> Record:
        """Build a record from this row; what the record refuses is reported with file and line."""
        try:
            return build()
        except TableError:
            raise
        except InputError as error:
            raise self.error(str(error)) from error


@dataclass(frozen=True, slots=True)
class Table:
    """A whole table: column names in order and rows."""

    path: Path
    columns: tuple[str, ...]
    rows: tuple[Row, ...]

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
    """Read CSV (comma), TSV (by suffix .tsv) or JSON lines (by suffix .jsonl), UTF-8.

    Raises TableError for a missing, empty or undecodable file, a repeated column name, a row with
    too many or too few cells, or no rows at all.
    """
    path = Path(path)
    if not path.is_file():
        what = "is a folder, not a table" if path.is_dir() else "no such file"
        raise TableError(path, what)
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            table = _read_json_lines(path, file) if _is_json(path) else _read_delimited(path, file)
    except UnicodeDecodeError as error:
        raise TableError(path, f"not UTF-8 text ({error.reason}); save it as UTF-8") from error
    if not table.rows:
        raise TableError(path, "has no rows")
    return table


def _is_json(path: Path) -> bool:
    return path.suffix.lower() in {".jsonl", ".ndjson"}


def _read_delimited(path: Path, file: IO[str]) -> Table:
    delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    reader = csv.reader(file, delimiter=delimiter, strict=True)
    rows: list[Row] = []
    columns: tuple[str, ...] = ()
    line = 1
    try:
        for cells in reader:
            if not columns:
                if not cells:
                    raise TableError(path, "the first line must name the columns", 1)
                columns = tuple(name.strip() for name in cells)
                _check_columns(path, columns)
            elif cells:
                if len(cells) != len(columns):
                    raise TableError(
                        path,
                        f"{len(cells)} cells where the header has {len(columns)} "
                        "(a comma in a text needs quotes around the text)",
                        line,
                    )
                rows.append(Row(path, line, dict(zip(columns, cells, strict=True))))
            line = reader.line_num + 1
    except csv.Error as error:
        raise TableError(path, f"broken CSV: {error}", line) from error
    if not columns:
        raise TableError(path, "is empty")
    return Table(path, columns, tuple(rows))


def _check_columns(path: Path, columns: Sequence[str]) -> None:
    repeated = sorted({name for name in columns if columns.count(name) > 1})
    if repeated:
        raise TableError(path, f"column {', '.join(map(repr, repeated))} stands twice", 1)


def _read_json_lines(path: Path, file: IO[str]) -> Table:
    rows: list[Row] = []
    columns: dict[str, None] = {}
    for line, text in enumerate(file, start=1):
        if not text.strip():
            continue
        try:
            item = json.loads(text)
        except json.JSONDecodeError as error:
            raise TableError(path, f"not JSON: {error.msg}", line) from error
        if not isinstance(item, dict):
            raise TableError(path, "each line must be a JSON object", line)
        cells = {str(key): "" if value is None else str(value) for key, value in item.items()}
        columns.update(dict.fromkeys(cells))
        rows.append(Row(path, line, cells))
    return Table(path, tuple(columns), tuple(rows))


# -- typed tables ---------------------------------------------------------------------------


def _optional_columns(row: Row, *columns: str) -> dict[str, Any]:
    return {column: row.optional(column) for column in columns}


def read_pairs(path: str | Path) -> list[Pair]:
    """Read a manifest: columns `audio`, `text` [, `pair_id`, `system`, `subset`, `split`].

    Raises TableError where a `pair_id` (or, without that column, a pair) stands twice.
    """
    table = read_table(path)
    table.require("audio", "text")
    pairs = [
        row.make(
            lambda row=row: Pair(  # type: ignore[misc]
                audio=row.text("audio"),
                text=row.text("text"),
                pair_id=row.optional("pair_id") or "",
                **_optional_columns(row, "system", "subset", "split"),
            )
        )
        for row in table.rows
    ]
    check_distinct((pair.pair_id for pair in pairs), table.rows, what="pair")
    return pairs


def check_distinct(keys: Iterable[str], rows: Sequence[Row], *, what: str) -> None:
    """Raise TableError at the first row whose key stood before."""
    first: dict[str, int] = {}
    for key, row in zip(keys, rows, strict=True):
        if key in first:
            raise row.error(f"{what} {key!r} stands already on line {first[key]}")
        first[key] = row.line


def read_targets(path: str | Path) -> list[Target]:
    """Read what `write_records` wrote of Targets. Needs `audio`, `text`, `target`, `mos`, `n`."""
    table = read_table(path)
    table.require("audio", "text", "target", "mos", "n")

    def build(row: Row) -> Target:
        n = row.number("n")
        if n != int(n):
            raise row.error(f"column 'n' is {n:g}; expected a whole number")
        return Target(
            audio=row.text("audio"),
            text=row.text("text"),
            target=row.number("target"),
            mos=row.number("mos"),
            n=int(n),
            standard_error=row.optional_number("standard_error"),
            pair_id=row.optional("pair_id") or "",
            kind=row.optional("kind") or "rating",
            **_optional_columns(row, "system", "subset", "split"),
        )

    targets = [row.make(lambda row=row: build(row)) for row in table.rows]  # type: ignore[misc]
    check_distinct((target.pair_id for target in targets), table.rows, what="pair")
    return targets


def read_scores(path: str | Path) -> list[Score]:
    """Read scores of any metric: `audio`, `text`, `score` [, `rating`, `rating_error`, ...].

    Further columns: `pair_id`, `system`, `subset`, `split`, `signature`, `met`, `error`. A row
    whose `score` is empty must say why in `error`.
    """
    table = read_table(path)
    table.require("audio", "text", "score")

    def build(row: Row) -> Score:
        error = row.optional("error")
        return Score(
            audio=row.text("audio"),
            text=row.text("text"),
            score=row.optional_number("score") if error else row.number("score"),
            rating=row.optional_number("rating"),
            rating_error=row.optional_number("rating_error"),
            pair_id=row.optional("pair_id") or "",
            error=error,
            **_optional_columns(
                row, "system", "subset", "split", "signature", "rating_covers", "met"
            ),
        )

    scores = [row.make(lambda row=row: build(row)) for row in table.rows]  # type: ignore[misc]
    check_distinct((score.pair_id for score in scores), table.rows, what="pair")
    return scores


# -- writing --------------------------------------------------------------------------------


@contextmanager
def atomic_writer(path: str | Path) -> Iterator[IO[str]]:
    """Open a text file that appears under its name only when the block ends without an error.

    A link keeps pointing to its file; a device or pipe (/dev/null, /dev/stdout) is written to.
    UTF-8; bytes of a file name that are none are written as \\udcxx. OSErrors name the file.
    """
    path = Path(path)
    if path.exists() and not path.is_file() and not path.is_dir():
        with (
            naming_file(path),
            open(path, "w", encoding="utf-8", errors="backslashreplace", newline="") as file,
        ):
            yield file
        return
    path = path.resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    with naming_file(path, always=True):
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with (
            naming_file(path),
            open(handle, "w", encoding="utf-8", errors="backslashreplace", newline="") as file,
        ):
            yield file
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o666 & ~_current_umask())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _current_umask() -> int:
    umask = os.umask(0)
    os.umask(umask)
    return umask


def write_rows(
    path: str | Path, columns: Sequence[str], rows: Iterable[Mapping[str, object]]
) -> None:
    """Write a table (format by suffix, as `read_table`); None and NaN become empty cells."""
    path = Path(path)
    with atomic_writer(path) as file:
        if _is_json(path):
            for row in rows:
                cells = {column: _json_value(row.get(column)) for column in columns}
                file.write(json.dumps(cells, ensure_ascii=False) + "\n")
        else:
            _write_delimited(file, columns, rows, "\t" if path.suffix.lower() == ".tsv" else ",")


def _write_delimited(
    file: IO[str], columns: Sequence[str], rows: Iterable[Mapping[str, object]], delimiter: str
) -> None:
    plain = csv.writer(file, delimiter=delimiter, lineterminator="\n")
    quoting = csv.writer(file, delimiter=delimiter, lineterminator="\n", quoting=csv.QUOTE_ALL)
    plain.writerow(columns)
    for row in rows:
        cells = [_cell(row.get(column)) for column in columns]
        bare_return = any("\r" in cell for cell in cells)  # csv does not quote it, nor read it bare
        (quoting if bare_return else plain).writerow(cells)


def _json_value(value: object) -> object:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _cell(value: object) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return repr(float(value)) if isinstance(value, float) else str(value)


def _rows_of(records: Iterable[Any], columns: Sequence[str]) -> Iterator[dict[str, object]]:
    return ({name: getattr(record, name) for name in columns} for record in records)


def write_records(path: str | Path, records: Sequence[Any], *, record_type: type) -> None:
    """Write records of one dataclass, one column a field; readable by the reader of that type."""
    columns = [field.name for field in fields(record_type)]
    write_rows(path, columns, _rows_of(records, columns))


def records_as_csv(records: Sequence[Any], *, record_type: type) -> str:
    """The CSV text that `write_records` would write."""
    columns = [field.name for field in fields(record_type)]
    text = io.StringIO()
    _write_delimited(text, columns, _rows_of(records, columns), ",")
    return text.getvalue()
