"""Formats of tables, told by the name of the file: cells in, cells out; one file, whole or not.

`-` is standard input or standard output. `.gz` behind another suffix is compressed.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import math
import os
import re
import sys
import tempfile
import zlib
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

from humanclap.errors import InputError, TableError, naming_file
from humanclap.extras import require
from humanclap.json_values import finite

STANDARD = "-"
"""The name of standard input where something is read, of standard output where it is written."""
_FORMATS = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".parquet": "parquet",
}
TABLE_SUFFIXES = (*_FORMATS, *(f"{name}.gz" for name in _FORMATS if name != ".parquet"))
"""Suffixes of a table; a name without any is CSV."""
SHEET_SUFFIXES = frozenset({".xlsx", ".xls", ".xlsm", ".ods", ".numbers"})
_SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab"}

_ROWS_AT_ONCE, _MOST_SHARED = 20_000, 100_000


class Cells:
    """The cells of a table by column, as text; a row costs a pointer a cell.

    columns: name -> cells, all of one length, in order; a text that stands often is held once.
    lines: where each row starts (its line; the number of the item in .json and .parquet);
    others: by row, by column, what a cell is that was no text or number.
    """

    def __init__(self) -> None:
        self.columns: dict[str, list[str]] = {}
        self.lines = array("q")
        self.others: dict[int, Mapping[str, str]] = {}
        self._shared: dict[str, dict[str, str]] = {}

    def name(self, columns: Iterable[str]) -> None:
        """Add columns; in the rows that are there their cells are empty."""
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

    def done(self) -> Cells:
        """Forget what was for building only."""
        self._shared = {}
        return self


def table_format(path: str | Path) -> str | None:
    """csv, tsv, jsonl, json or parquet by the name of a file; None where it names no format.

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
    kind = table_format(path) or "csv"
    if suffix in SHEET_SUFFIXES:
        raise TableError(path, f"a {suffix} sheet is not read; save it as CSV (UTF-8) or .tsv")
    if kind == "parquet":
        return _parquet(path).done()
    if kind in ("csv", "tsv") and path.is_file() and not _is_standard(path):
        with _readable(path), _opened(path) as lines:
            return _delimited(path, lines, "\t" if kind == "tsv" else ",").done()
    text = read_text(path)
    if _is_standard(path):
        start = text.lstrip()[:1]
        kind = {"{": "jsonl", "[": "json"}.get(start, "csv")
    if kind == "jsonl":
        return _json_lines(path, text).done()
    if kind == "json":
        return _json_array(path, text).done()
    lines = io.StringIO(text, newline="")
    return _delimited(path, lines, "\t" if kind == "tsv" else ",").done()


def _is_standard(path: Path) -> bool:
    return str(path) == STANDARD


def read_text(path: Path) -> str:
    """All of a text file, of `.gz` or of standard input, as UTF-8; raises TableError otherwise."""
    with _readable(path):
        if _is_standard(path):
            data = _standard_input(sys.stdin)
        elif path.suffix.lower() == ".gz":
            data = gzip.decompress(path.read_bytes())
        else:
            data = path.read_bytes()
        return data.decode("utf-8-sig")


def _opened(path: Path) -> IO[str]:
    """A file, or what is compressed in it, to be read line by line."""
    raw = gzip.open(path) if path.suffix.lower() == ".gz" else open(path, "rb")  # noqa: SIM115
    return io.TextIOWrapper(cast(BinaryIO, raw), encoding="utf-8-sig", newline="")


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Say in words what is no UTF-8 text, or a damaged gzip."""
    try:
        yield
    except UnicodeDecodeError as error:
        raise TableError(path, f"not UTF-8 text ({error.reason}); save it as UTF-8") from error
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise TableError(path, f"damaged gzip ({error}); copy it again") from error


@lru_cache(maxsize=1)
def _standard_input(stream: IO[str]) -> bytes:
    """All of it, kept: it can be read once, and a table may be looked at twice."""
    raw = getattr(stream, "buffer", None)
    return stream.read().encode() if raw is None else cast(bytes, raw.read())


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
    """The first row names the columns of `found`; then (line, cells) of each that is not empty."""
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
    """The separator and the lines before the header.

    A line `sep=;`, which Excel reads and writes, names it. Else the usual one, unless the header
    lacks it and has exactly one of the others.
    """
    first = header.rstrip("\r\n")
    if named := re.fullmatch(r"sep=([,;\t])", first, flags=re.IGNORECASE):
        return named[1], 1
    header = re.sub(r'"[^"]*"', "", first)
    there = [mark for mark in _SEPARATORS if mark in header]
    return (there[0] if len(there) == 1 else usual), 0


def _header(path: Path, cells: Sequence[str], line: int) -> tuple[str, ...]:
    """Names of the columns; empty ones at the end, as spreadsheets leave them, stay empty."""
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
        raise TableError(path, f"column {', '.join(map(repr, repeated))} stands twice", line)


def _fitted(
    path: Path, columns: Sequence[str], cells: Sequence[str], line: int, separator: str
) -> Sequence[str]:
    """A cell a column; empty cells beyond the last column are a spreadsheet's and pass."""
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


def _json_lines(path: Path, text: str) -> Cells:
    found: list[tuple[int, object]] = []
    for line, part in enumerate(io.StringIO(text, newline=""), start=1):
        if not part.strip():
            continue
        try:
            found.append((line, json.loads(part)))
        except json.JSONDecodeError as error:
            raise TableError(path, f"not JSON: {error.msg}", line) from error
    return _objects(path, found, "each line")


def _json_array(path: Path, text: str) -> Cells:
    try:
        items = json.loads(text)
    except json.JSONDecodeError as error:
        raise TableError(
            path, f"not JSON: {error.msg} (one object a line? name it .jsonl)", error.lineno
        ) from error
    if not isinstance(items, list):
        raise TableError(path, "expected a JSON array of objects; one object a line is .jsonl")
    return _objects(path, list(enumerate(items, start=1)), "each item of the array")


def _parquet(path: Path) -> Cells:
    pyarrow: Any = require("pyarrow", extra="parquet")
    parquet: Any = require("pyarrow.parquet", extra="parquet")
    found = Cells()
    try:
        file = parquet.ParquetFile(path)
        _check_distinct(path, file.schema_arrow.names)
        found.name(file.schema_arrow.names)
        for batch in file.iter_batches(_ROWS_AT_ONCE):
            start, cells = len(found.lines), {}
            for name, column in zip(found.columns, batch.columns, strict=True):
                values = column.to_pylist()
                cells[name] = [_text_of(value) for value in values]
                _note_others(found, name, start, values)
            found.extend(range(start + 1, start + batch.num_rows + 1), cells)
    except (pyarrow.ArrowException, OSError) as error:
        raise TableError(path, f"not a Parquet table ({error})") from error
    return found


def _note_others(found: Cells, name: str, start: int, values: Sequence[object]) -> None:
    """Keep what the values of a column are that are no text or number; start: their first row."""
    for place, value in enumerate(values, start):
        if what := _other(value):
            found.others[place] = {**found.others.get(place, {}), name: what}


def _objects(path: Path, items: Sequence[tuple[int, object]], each: str) -> Cells:
    found = Cells()
    for start in range(0, len(items), _ROWS_AT_ONCE):
        block: list[dict[str, object]] = []
        for place, item in items[start : start + _ROWS_AT_ONCE]:
            if not isinstance(item, dict):
                raise TableError(path, f"{each} must be a JSON object", place)
            block.append({str(key): value for key, value in item.items()})
            found.name(block[-1])
        cells = {}
        for name in found.columns:
            values = [item.get(name) for item in block]
            cells[name] = [_text_of(value) for value in values]
            _note_others(found, name, start, values)
        found.extend([place for place, _ in items[start : start + _ROWS_AT_ONCE]], cells)
    return found


def _text_of(value: object) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False, default=str)
    return value if isinstance(value, str) else str(value)


def _other(value: object) -> str | None:
    """What a value is that stands for no text and no number; None for those."""
    if isinstance(value, bool):
        return "true or false"
    if value is None or isinstance(value, str | int | float):
        return None
    if isinstance(value, list):
        return "a list"
    return "an object" if isinstance(value, dict) else f"a {type(value).__name__}"


# -- writing --------------------------------------------------------------------------------


@contextmanager
def atomic_writer(path: str | Path) -> Iterator[IO[str]]:
    """Open a text file that appears under its name only when the block ends without an error.

    A link keeps pointing to its file; a device or pipe (/dev/null, /dev/stdout) is written to, and
    so is standard output under the name `-`. A name that ends in .gz is compressed. UTF-8; bytes of
    a file name that are none are written as \\udcxx. OSErrors name the file.
    """
    if str(path) == STANDARD:
        with naming_file("standard output"):
            yield sys.stdout
            sys.stdout.flush()
        return
    with atomic_bytes(path) as raw:
        if Path(path).suffix.lower() == ".gz":
            with gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as packed:
                yield from _as_text(cast(BinaryIO, packed))
        else:
            yield from _as_text(raw)


def _as_text(raw: BinaryIO) -> Iterator[IO[str]]:
    text = io.TextIOWrapper(raw, encoding="utf-8", errors="backslashreplace", newline="")
    yield text
    text.flush()
    text.detach()


@contextmanager
def atomic_bytes(path: str | Path) -> Iterator[BinaryIO]:
    """As `atomic_writer`, for bytes."""
    path = Path(path)
    if path.exists() and not path.is_file() and not path.is_dir():
        with naming_file(path), open(path, "wb") as file:
            yield file
        return
    path = path.resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    with naming_file(path, always=True):
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with naming_file(path), open(handle, "wb") as file:
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
