"""Formats of tables: the name of a file tells its format; cells come in and go out as text.

`-` is standard input or standard output. `.gz` behind another suffix is compressed.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import IO, Any

from humanclap.errors import InputError, TableError
from humanclap.extras import require
from humanclap.files import atomic_bytes, atomic_writer, is_standard, opened_text
from humanclap.json_values import finite

_FORMATS = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".parquet": "parquet",
}
TABLE_SUFFIXES = (*_FORMATS, *(f"{name}.gz" for name in _FORMATS if name != ".parquet"))
"""Suffixes of tables; a name without a suffix is CSV."""
SHEET_SUFFIXES = frozenset({".xlsx", ".xls", ".xlsm", ".ods", ".numbers"})
_SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab"}

_ROWS_AT_ONCE, _MOST_SHARED = 20_000, 100_000


class Cells:
    """The cells of a table by column, as text; a row needs one pointer for each cell.

    columns: name -> cells, all of one length, in order; equal texts are mostly held once. lines:
    the line on which each row starts, or the number of the item in .json and .parquet. others: by
    row and column, what a cell was that was neither a text nor a number.
    """

    def __init__(self) -> None:
        self.columns: dict[str, list[str]] = {}
        self.lines = array("q")
        self.others: dict[int, Mapping[str, str]] = {}
        self._shared: dict[str, dict[str, str]] = {}

    def name(self, columns: Iterable[str]) -> None:
        """Add columns; the rows read before have empty cells there."""
        for column in columns:
            if column not in self.columns:
                self.columns[column] = [""] * len(self.lines)
                self._shared[column] = {}

    def extend(self, lines: Iterable[int], cells: Mapping[str, Sequence[str]]) -> None:
        """Add rows: every column's cells."""
        self.lines.extend(lines)
        for name, given in cells.items():
            column, shared = self.columns[name], self._shared.get(name)
            if shared is None:
                column.extend(given)
                continue
            column.extend(map(shared.setdefault, given, given))
            if len(shared) > _MOST_SHARED and 2 * len(shared) > len(column):
                del self._shared[name]

    def extend_values(self, lines: Sequence[int], values: Mapping[str, Sequence[object]]) -> None:
        """Add rows of JSON or Parquet: every column's values, of any type."""
        for name, given in values.items():
            for place, value in enumerate(given, start=len(self.lines)):
                if what := _other(value):
                    self.others[place] = {**self.others.get(place, {}), name: what}
        self.extend(lines, {name: list(map(_text_of, given)) for name, given in values.items()})

    def done(self) -> Cells:
        """Forget what was for building only."""
        self._shared = {}
        return self


def table_format(path: str | Path) -> str | None:
    """The format that a file's name tells: csv, tsv, jsonl, json or parquet; None for others.

    >>> table_format("a.csv.gz"), table_format("scores"), table_format("a.xlsx")
    ('csv', 'csv', None)
    """
    suffix = suffix_of(path)
    return _FORMATS.get(suffix.removesuffix(".gz") or ".csv") if suffix != ".parquet.gz" else None


def suffix_of(path: str | Path) -> str:
    """The last suffix in lower case, with the one before `.gz`; `.gz` alone is a suffix too."""
    path = Path(path)
    suffix = path.suffix.lower()
    return path.with_suffix("").suffix.lower() + suffix if suffix == ".gz" else suffix


def check_output(path: str | Path) -> None:
    """Raise InputError where a table cannot be written under this name, before the work is done."""
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{path}: is a folder; name a file")
    kind = table_format(path)
    if kind is None:
        raise InputError(
            f"{path}: a table cannot be written as {suffix_of(path)}; name it "
            f"{', '.join(_FORMATS)}, or .csv.gz and the like"
        )
    if kind == "parquet":
        require("pyarrow", extra="parquet")


# -- reading --------------------------------------------------------------------------------


def read_cells(path: Path) -> Cells:
    """All cells; raises TableError as `tables.read_table` says."""
    suffix = suffix_of(path)
    if suffix in SHEET_SUFFIXES:
        raise TableError(path, f"a {suffix} sheet is not read; save it as CSV (UTF-8) or .tsv")
    kind = table_format(path) or "csv"
    if kind == "parquet":
        return _parquet(path).done()
    with opened_text(path) as lines:
        if is_standard(path) or not path.is_file():
            lines = io.StringIO(lines.read(), newline="")  # a pipe can be read only once
        if is_standard(path):
            kind = {"{": "jsonl", "[": "json"}.get(lines.read().lstrip()[:1], "csv")
            lines.seek(0)
        if kind == "jsonl":
            return _json_lines(path, lines).done()
        if kind == "json":
            return _json_array(path, lines).done()
        return _delimited(path, lines, "\t" if kind == "tsv" else ",").done()


def _delimited(path: Path, lines: IO[str], separator: str) -> Cells:
    separator, skipped = _separator(lines.readline(), separator)
    lines.seek(0)
    for _ in range(skipped):
        lines.readline()
    found = Cells()
    rows = _fitting_rows(path, csv.reader(lines, delimiter=separator, strict=True), skipped, found)
    while block := list(islice(rows, _ROWS_AT_ONCE)):
        starts, cells = zip(*block, strict=True)
        found.extend(starts, dict(zip(found.columns, zip(*cells, strict=True), strict=True)))
    if not found.columns:
        raise TableError(path, "is empty")
    return found


def _fitting_rows(
    path: Path, reader: Any, skipped: int, found: Cells
) -> Iterator[tuple[int, Sequence[str]]]:
    """Name the columns of `found` by the first row; give (line, cells) of each row not empty."""
    columns: tuple[str, ...] = ()
    line = 1 + skipped
    try:
        for cells in reader:
            if not columns:
                columns = _header(path, cells, line)
                found.name(columns)
            elif "".join(cells).strip():
                yield line, _fitted(path, columns, cells, line, reader.dialect.delimiter)
            line = skipped + reader.line_num + 1
    except csv.Error as error:
        raise TableError(path, f"broken CSV: {error}", line) from error


def _separator(header: str, usual: str) -> tuple[str, int]:
    """The separator, and how many lines stand before the header.

    A line `sep=;`, which Excel reads and writes, names the separator. Else it is the usual one,
    unless the header lacks that and has exactly one of the others.
    """
    first = header.rstrip("\r\n")
    if named := re.fullmatch(r"sep=([,;\t])", first, flags=re.IGNORECASE):
        return named[1], 1
    header = re.sub(r'"[^"]*"', "", first)
    there = [mark for mark in _SEPARATORS if mark in header]
    return (there[0] if len(there) == 1 else usual), 0


def _header(path: Path, cells: Sequence[str], line: int) -> tuple[str, ...]:
    """Names of the columns, without the empty ones that spreadsheets leave at the end."""
    columns = tuple(name.strip() for name in cells)
    named = len(columns)
    while named and not columns[named - 1]:
        named -= 1
    if not named:
        raise TableError(path, "the first line must name the columns", line)
    if "" in columns[:named]:
        raise TableError(path, f"column {columns.index('') + 1} has no name", line)
    _check_distinct(path, columns[:named], line)
    return columns[:named]


def _check_distinct(path: Path, columns: Sequence[str], line: int | None = None) -> None:
    repeated = sorted({name for name in columns if columns.count(name) > 1})
    if repeated:
        raise TableError(path, f"column {', '.join(map(repr, repeated))} appears twice", line)


def _fitted(
    path: Path, columns: Sequence[str], cells: Sequence[str], line: int, separator: str
) -> Sequence[str]:
    """One cell for each column; empty cells behind them come from spreadsheets and are cut."""
    count = len(cells)
    while count > len(columns) and not cells[count - 1].strip():
        count -= 1
    if count != len(columns):
        name = _SEPARATORS[separator]
        raise TableError(
            path,
            f"{count} cells where the header has {len(columns)} (cells are separated by a {name}; "
            f"a {name} in a text needs quotes around the text)",
            line,
        )
    return cells if len(cells) == count else cells[:count]


def _json_lines(path: Path, lines: Iterable[str]) -> Cells:
    found: list[tuple[int, object]] = []
    for line, part in enumerate(lines, start=1):
        if not part.strip():
            continue
        try:
            found.append((line, json.loads(part)))
        except json.JSONDecodeError as error:
            raise TableError(path, f"not JSON: {error.msg}", line) from error
    return _objects(path, found, "each line")


def _json_array(path: Path, file: IO[str]) -> Cells:
    try:
        items = json.load(file)
    except json.JSONDecodeError as error:
        raise TableError(
            path, f"not JSON: {error.msg} (one object a line? name it .jsonl)", error.lineno
        ) from error
    if not isinstance(items, list):
        raise TableError(path, "expected a JSON array of objects; one object a line is .jsonl")
    return _objects(path, list(enumerate(items, start=1)), "each item of the array")


def _objects(path: Path, items: Sequence[tuple[int, object]], each: str) -> Cells:
    found = Cells()
    for start in range(0, len(items), _ROWS_AT_ONCE):
        places, block = zip(*items[start : start + _ROWS_AT_ONCE], strict=True)
        for place, item in zip(places, block, strict=True):
            if not isinstance(item, dict):
                raise TableError(path, f"{each} must be a JSON object", place)
            found.name(item)
        values = {name: [item.get(name) for item in block] for name in found.columns}
        found.extend_values(places, values)
    return found


def _parquet(path: Path) -> Cells:
    pyarrow: Any = require("pyarrow", extra="parquet")
    parquet: Any = require("pyarrow.parquet", extra="parquet")
    found = Cells()
    try:
        file = parquet.ParquetFile(path)
        _check_distinct(path, file.schema_arrow.names)
        found.name(file.schema_arrow.names)
        for batch in file.iter_batches(_ROWS_AT_ONCE):
            start = len(found.lines) + 1
            columns = zip(found.columns, batch.columns, strict=True)
            values = {name: column.to_pylist() for name, column in columns}
            found.extend_values(range(start, start + batch.num_rows), values)
    except (pyarrow.ArrowException, OSError) as error:
        raise TableError(path, f"not a Parquet table ({error})") from error
    return found


def _text_of(value: object) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False, default=str)
    return value if isinstance(value, str) else str(value)


def _other(value: object) -> str | None:
    """What a value is, in words; None for texts, numbers and missing values."""
    if isinstance(value, bool):
        return "true or false"
    if value is None or isinstance(value, str | int | float):
        return None
    if isinstance(value, list):
        return "a list"
    return "an object" if isinstance(value, dict) else f"a {type(value).__name__}"


# -- writing --------------------------------------------------------------------------------


def write_cells(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> None:
    """Write a table in the format of its name; None and NaN become empty cells or null."""
    check_output(path)
    kind = table_format(path)
    if kind == "parquet":
        _write_parquet(path, columns, rows)
        return
    with atomic_writer(path) as file:
        if kind == "jsonl":
            for row in rows:
                file.write(_as_json(columns, row) + "\n")
        elif kind == "json":
            lines = ",\n".join(_as_json(columns, row) for row in rows)
            file.write(f"[\n{lines}\n]\n")
        else:
            write_delimited(file, columns, rows, "\t" if kind == "tsv" else ",")


def _as_json(columns: Sequence[str], row: Mapping[str, object]) -> str:
    cells = {column: finite(row.get(column)) for column in columns}
    return json.dumps(cells, ensure_ascii=False)


def _write_parquet(
    path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, object]]
) -> None:
    pyarrow: Any = require("pyarrow", extra="parquet")
    parquet: Any = require("pyarrow.parquet", extra="parquet")
    cells: dict[str, list[object]] = {name: [] for name in columns}
    for row in rows:
        for name, column in cells.items():
            column.append(finite(row.get(name)))
    with atomic_bytes(path) as file:
        parquet.write_table(pyarrow.table(cells), file)


def write_delimited(
    file: IO[str], columns: Sequence[str], rows: Iterable[Mapping[str, object]], separator: str
) -> None:
    """Write CSV, or TSV by its separator, to an open file."""
    plain = csv.writer(file, delimiter=separator, lineterminator="\n")
    quoting = csv.writer(file, delimiter=separator, lineterminator="\n", quoting=csv.QUOTE_ALL)
    plain.writerow(columns)
    for row in rows:
        cells = [_cell(row.get(column)) for column in columns]
        bare_return = any("\r" in cell for cell in cells)  # csv does not quote it, nor read it bare
        (quoting if bare_return else plain).writerow(cells)


def _cell(value: object) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return repr(float(value)) if isinstance(value, float) else str(value)
