"""Files read and written safely: UTF-8 or gzip, standard input and output, whole or not at all."""

from __future__ import annotations

import gzip
import io
import os
import sys
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import IO, BinaryIO, cast

from humanclap.errors import TableError, naming_file

STANDARD = "-"
"""The name of standard input where something is read, of standard output where it is written."""


def is_standard(path: str | Path) -> bool:
    """Whether this names standard input or output."""
    return str(path) == STANDARD


def read_text(path: Path) -> str:
    """All of a text file, of a `.gz` file or of standard input. Raises as `opened_text`."""
    with opened_text(path) as lines:
        return lines.read()


@contextmanager
def opened_text(path: Path) -> Iterator[IO[str]]:
    """Open a text file, a `.gz` file or standard input for reading; line ends stay as they are.

    Raises TableError where the bytes are not UTF-8, or the gzip file is damaged.
    """
    try:
        with _opened_bytes(path) as raw:
            yield io.TextIOWrapper(raw, encoding="utf-8-sig", newline="")
    except UnicodeDecodeError as error:
        raise TableError(path, f"not UTF-8 text ({error.reason}); save it as UTF-8") from error
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise TableError(path, f"damaged gzip ({error}); copy it again") from error


def _opened_bytes(path: Path) -> BinaryIO:
    if is_standard(path):
        return io.BytesIO(_standard_input(sys.stdin))
    return cast(
        BinaryIO, gzip.open(path) if Path(path).suffix.lower() == ".gz" else open(path, "rb")
    )


@lru_cache(maxsize=1)
def _standard_input(stream: IO[str]) -> bytes:
    """All of it, kept: it can be read only once, and a table may be looked at twice."""
    raw = getattr(stream, "buffer", None)
    return stream.read().encode() if raw is None else cast(bytes, raw.read())


@contextmanager
def atomic_writer(path: str | Path) -> Iterator[IO[str]]:
    """Open a text file that appears under its name only when the block ends without an error.

    A link keeps pointing to its file. A device or pipe (/dev/null, /dev/stdout) is written to, and
    so is standard output under the name `-`. A name that ends in .gz is compressed. The text is
    UTF-8; bytes of a file name that are not UTF-8 are written as \\udcxx. OSErrors name the file.
    """
    if is_standard(path):
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
    """Open a file of bytes; otherwise as `atomic_writer`, but never standard output or gzip."""
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
