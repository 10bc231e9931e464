"""Embeddings of clips and texts, kept in one SQLite file of the user's cache folder.

The cache never costs a result. When something goes wrong with it (a full disk, a read-only folder,
a damaged file), that is logged once, and the work goes on without it.
"""

from __future__ import annotations

import hashlib
import logging
import os
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from humanclap.download.cache import CACHE_VARIABLE, cache_folder
from humanclap.errors import InputError, SettingsError

log = logging.getLogger(__name__)

SIZE_VARIABLE = "HUMANCLAP_CACHE_MB"
"""Environment variable: the most megabytes (10^6 bytes) of embeddings to keep; 0 keeps none."""
DEFAULT_MB = 1000
"""Room for about 150,000 clips of 10 s: 4 KB of embedding and 1 KB of acoustic codes each."""
FILE = "embeddings-1.sqlite"
"""In the cache folder; another layout of its table gets another number."""
FILLED_TO = 0.9
"""Entries are dropped down to this share of the cap."""
LARGEST_SHARE = 0.25
"""An entry that needs a larger share of the cap is not kept."""
WAIT_S = 10.0
"""This process waits so long for another that writes, then it goes on without the cache."""
USED_AGAIN_S = 3600.0
"""The time at which an entry was used is not written more often than this."""
_AT_ONCE = 500
"""Keys in one query; older versions of SQLite take at most 999."""
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR})
_TABLE = (
    "CREATE TABLE entries (id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, kind TEXT NOT NULL, "
    "value BLOB NOT NULL, digest BLOB NOT NULL, used REAL NOT NULL)",
    "CREATE INDEX by_use ON entries (used)",
)

Arrays = Mapping[str, NDArray[Any]]
"""What an entry holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheInfo:
    """What a cache holds: its file, bytes in use, the cap, and the number of entries of each kind.

    unused_since: when the least recently used entry was used, in seconds since 1970; None without
    an entry.
    """

    path: Path
    size: int = 0
    max_bytes: int
    entries: Mapping[str, int] = field(default_factory=dict)
    unused_since: float | None = None


class EmbeddingCache:
    """Arrays by key; beyond `max_bytes` the least recently used are dropped.

    Any number of processes and threads may use one file. Nothing stays open between calls, so an
    object also works after a fork. A damaged entry counts as absent, and a damaged file is made
    anew. The first failure is logged, and this object then writes no more. It goes on reading, as
    in a read-only folder, unless reading failed. Locks work on a network drive too (SQLite's
    rollback journal, not its write-ahead log).

    >>> import tempfile
    >>> cache = EmbeddingCache(Path(tempfile.mkdtemp()) / "c.sqlite", max_bytes=10**6)
    >>> cache.write({b"key": {"embedding": np.float32([0.6, 0.8])}}, kind="text")
    >>> cache.read([b"key", b"other"])
    {b'key': {'embedding': array([0.6, 0.8], dtype=float32)}}
    """

    def __init__(self, path: Path, *, max_bytes: int) -> None:
        self.path = path
        self.max_bytes = max_bytes
        self._reads = self._writes = True

    def read(self, keys: Sequence[bytes]) -> dict[bytes, dict[str, NDArray[Any]]]:
        """The entries that are there and whole, by their keys."""
        found: dict[bytes, dict[str, NDArray[Any]]] = {}
        for start in range(0, len(keys), _AT_ONCE):
            if not self._reads or not self.path.exists():
                break
            with self._forgiving("read"):
                self._read_some(keys[start : start + _AT_ONCE], found)
        return found

    def _read_some(
        self, keys: Sequence[bytes], found: dict[bytes, dict[str, NDArray[Any]]]
    ) -> None:
        places = ", ".join("?" * len(keys))
        with self._open("rw") as connection:
            if not _has_table(connection):
                return
            rows = connection.execute(
                f"SELECT key, value, digest, used FROM entries WHERE key IN ({places})", keys
            ).fetchall()
            now = time.time()
            stale = []
            for key, value, digest, used in rows:
                arrays = _unpacked(key, value, digest)
                if arrays is None:
                    log.info("%s: a damaged entry is made anew", self.path)
                    continue
                found[key] = arrays
                if abs(now - used) > USED_AGAIN_S:
                    stale.append((now, key))
            if stale and self._writes:
                with suppress(sqlite3.OperationalError):  # a read-only folder: read it all the same
                    connection.execute("BEGIN IMMEDIATE")
                    connection.executemany("UPDATE entries SET used = ? WHERE key = ?", stale)
                    connection.execute("COMMIT")

    def write(self, entries: Mapping[bytes, Arrays], *, kind: str) -> None:
        """Keep entries, and replace those with the same keys; kind: what `info` counts by."""
        if not (self._writes and entries):
            return
        rows = []
        for key, arrays in entries.items():
            value = save({name: np.ascontiguousarray(item) for name, item in arrays.items()})
            if len(value) <= LARGEST_SHARE * self.max_bytes:
                rows.append((key, kind, value, _digest(key, value), time.time()))
        with self._forgiving("written"):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self._open("rwc") as connection:
                connection.execute("PRAGMA synchronous = OFF")  # after a power cut: damaged, anew
                connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
                connection.execute("BEGIN IMMEDIATE")
                if not _has_table(connection):
                    for statement in _TABLE:
                        connection.execute(statement)
                connection.executemany(
                    "INSERT OR REPLACE INTO entries (key, kind, value, digest, used) "
                    "VALUES (?, ?, ?, ?, ?)",
                    rows,
                )
                self._drop_oldest(connection)
                connection.execute("COMMIT")
                connection.executescript("PRAGMA incremental_vacuum")  # `execute` frees one page

    def _drop_oldest(self, connection: sqlite3.Connection) -> None:
        if _bytes_used(connection) <= self.max_bytes:
            return
        wanted = FILLED_TO * self.max_bytes
        while (size := _bytes_used(connection)) > wanted:
            (count,) = connection.execute("SELECT COUNT(*) FROM entries").fetchone()
            if not count:
                return
            some = max(1, int(count * (size - wanted) / size))
            connection.execute(
                "DELETE FROM entries WHERE id IN (SELECT id FROM entries ORDER BY used LIMIT ?)",
                (some,),
            )

    def info(self) -> CacheInfo:
        """What is there now. Raises InputError where the file cannot be read."""
        found = CacheInfo(path=self.path, max_bytes=self.max_bytes)
        if not self.path.exists():
            return found
        try:
            with self._open("rw") as connection:
                found = replace(found, size=_bytes_used(connection))
                if not _has_table(connection):
                    return found
                counted = "SELECT kind, COUNT(*) FROM entries GROUP BY kind ORDER BY kind"
                counts = dict(connection.execute(counted).fetchall())
                (since,) = connection.execute("SELECT MIN(used) FROM entries").fetchone()
                return replace(found, entries=counts, unused_since=since)
        except (sqlite3.Error, OSError) as error:
            raise InputError(
                f"{self.path}: cannot be read ({error}); `humanclap cache clear` begins it anew"
            ) from error

    def clear(self) -> None:
        """Drop every entry. Raises InputError where the file cannot be written."""
        if not self.path.exists():
            return
        try:
            try:
                with self._open("rw") as connection:
                    if _has_table(connection):
                        connection.execute("DELETE FROM entries")
                    connection.executescript("PRAGMA incremental_vacuum")
            except sqlite3.DatabaseError as error:
                if not _is_damage(error):
                    raise
                self._start_over(_inode(self.path))
        except (sqlite3.Error, OSError, Timeout) as error:
            raise InputError(
                f"{self.path}: cannot be cleared ({error}); delete the file"
            ) from error

    @contextmanager
    def _open(self, mode: str) -> Iterator[sqlite3.Connection]:
        address = f"{self.path.absolute().as_uri()}?mode={mode}"
        connection = sqlite3.connect(address, uri=True, timeout=WAIT_S, isolation_level=None)
        try:
            yield connection
        finally:
            connection.close()

    @contextmanager
    def _forgiving(self, done: str) -> Iterator[None]:
        """Log errors of the cache instead of raising them; replace a damaged file."""
        before = _inode(self.path)
        try:
            yield
        except sqlite3.DatabaseError as error:
            if not _is_damage(error):
                self._give_up(done, error)
                return
            try:
                log.warning("%s: damaged (%s); the cache begins anew", self.path, error)
                self._start_over(before)
            except (OSError, Timeout) as further:
                self._give_up(done, further)
        except (sqlite3.Error, OSError) as error:
            self._give_up(done, error)

    def _give_up(self, done: str, error: Exception) -> None:
        told = not self._writes
        self._writes = False
        self._reads = self._reads and done == "written"
        if told:
            return
        log.warning(
            "the cache cannot be %s (%s: %s); results are the same without it, only slower. %s "
            "names another folder, %s=0 or --no-cache turns it off",
            *(done, self.path, error, CACHE_VARIABLE, SIZE_VARIABLE),
        )

    def _start_over(self, damaged: int | None) -> None:
        """Delete a damaged file, unless another process has already put a new one in its place."""
        with FileLock(self.path.with_name(f"{self.path.name}.lock"), timeout=WAIT_S):
            if _inode(self.path) == damaged:
                self.path.unlink(missing_ok=True)
                self.path.with_name(f"{self.path.name}-journal").unlink(missing_ok=True)


def default_cache() -> EmbeddingCache | None:
    """The user's cache; None where `HUMANCLAP_CACHE_MB` is 0 or the user has no folder for it.

    Raises SettingsError where that variable is no number of megabytes.
    """
    if not _max_bytes():
        return None
    try:
        return cache_of_user()
    except SettingsError:
        raise
    except InputError as error:
        log.warning("nothing is cached: %s", error)
        return None


def cache_of_user() -> EmbeddingCache:
    """The user's cache, also where it is turned off.

    Raises SettingsError as `default_cache`, and InputError where the user has no folder for it.
    """
    return EmbeddingCache(cache_folder() / FILE, max_bytes=_max_bytes())


def _max_bytes() -> int:
    given = os.environ.get(SIZE_VARIABLE, "").strip() or str(DEFAULT_MB)
    try:
        max_bytes = int(float(given) * 1e6)
    except (ValueError, OverflowError):
        max_bytes = -1
    if max_bytes < 0:
        raise SettingsError(
            f"{SIZE_VARIABLE} is {given!r}; expected megabytes, such as {DEFAULT_MB}, or 0 for none"
        )
    return max_bytes


def _is_damage(error: sqlite3.Error) -> bool:
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in _DAMAGED


def _has_table(connection: sqlite3.Connection) -> bool:
    asked = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'entries'"
    return connection.execute(asked).fetchone() is not None


def _bytes_used(connection: sqlite3.Connection) -> int:
    names = ("page_count", "freelist_count", "page_size")
    pages, free, size = (connection.execute(f"PRAGMA {name}").fetchone()[0] for name in names)
    return int((pages - free) * size)


def _inode(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except OSError:
        return None


def _digest(key: bytes, value: bytes) -> bytes:
    return hashlib.blake2b(key + value, digest_size=16).digest()


def _unpacked(key: object, value: object, digest: object) -> dict[str, NDArray[Any]] | None:
    """The arrays of an entry; None where it is not as it was written."""
    if not (isinstance(key, bytes) and isinstance(value, bytes)) or _digest(key, value) != digest:
        return None
    try:
        return dict(load(value))
    except (SafetensorError, ValueError, KeyError):
        return None
