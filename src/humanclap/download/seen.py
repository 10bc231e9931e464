"""Hashes of large files that were computed before, so that each file is read for it once."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

from humanclap.download.cache import cache_folder
from humanclap.errors import HumanCLAPError
from humanclap.files import atomic_writer
from humanclap.fingerprint import sha256_file

_FILE = "sha256.json"
"""In the cache folder: resolved path -> its stamp and hash."""


def sha256_once(path: Path) -> str:
    """SHA-256 of a file, in hex: the one remembered in the user's cache folder, else computed.

    Remembered by path, size, inode and times, so that a file that was written to is hashed anew. A
    folder that cannot be written, or a damaged record, costs the memory and nothing else.
    """
    where = path.resolve()
    found = where.stat()
    stamp = [found.st_size, found.st_ino, found.st_mtime_ns, found.st_ctime_ns]
    known = _read()
    entry = known.get(str(where))
    if isinstance(entry, list) and entry[:-1] == stamp and isinstance(entry[-1], str):
        return entry[-1]
    digest = sha256_file(where)
    with suppress(OSError, HumanCLAPError):
        record = cache_folder() / _FILE
        record.parent.mkdir(parents=True, exist_ok=True)
        kept = {name: value for name, value in known.items() if Path(name).exists()}
        with atomic_writer(record) as file:
            json.dump(kept | {str(where): [*stamp, digest]}, file)
    return digest


def _read() -> dict[str, object]:
    with suppress(OSError, ValueError, HumanCLAPError):
        record = json.loads((cache_folder() / _FILE).read_text(encoding="utf-8"))
        if isinstance(record, dict):
            return record
    return {}
