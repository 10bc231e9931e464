"""Files that are fetched at first use and then kept in the user's cache folder."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from humanclap.download.resumable import Wait, download
from humanclap.errors import InputError
from humanclap.fingerprint import sha256_file
from humanclap.progress import Progress, silent

log = logging.getLogger(__name__)

CACHE_VARIABLE = "HUMANCLAP_CACHE"
"""Environment variable with the folder to keep fetched files in."""
TRIES = 2
"""Connections without data before giving up; few, because somebody waits for the model."""


def cache_folder() -> Path:
    """Where fetched files are kept; it may not exist yet.

    HUMANCLAP_CACHE where it is set; else `humanclap` below XDG_CACHE_HOME (XDG Base Directory
    specification: relative paths do not count), LOCALAPPDATA on Windows, ~/Library/Caches on
    macOS, ~/.cache elsewhere. Raises InputError where the user has no home.
    """
    try:
        if chosen := os.environ.get(CACHE_VARIABLE):
            return Path(chosen).expanduser().absolute()
        shared = Path(os.environ.get("XDG_CACHE_HOME", ""))
        if shared.is_absolute():
            return shared / "humanclap"
        if sys.platform == "win32":
            local = os.environ.get("LOCALAPPDATA")
            return (Path(local) if local else Path.home() / "AppData/Local") / "humanclap/Cache"
        if sys.platform == "darwin":
            return Path.home() / "Library/Caches/humanclap"
        return Path.home() / ".cache/humanclap"
    except RuntimeError as error:
        raise InputError(f"no folder to cache files in ({error}); set {CACHE_VARIABLE}") from error


def cached_file(
    url: str,
    path: str | Path,
    *,
    sha256: str,
    offline: bool = False,
    progress: Progress = silent,
    wait: Wait = time.sleep,
) -> Path:
    """`path`, a file with this hash, fetched from `url` where it is missing or damaged.

    A whole file is used without network and without writing, so the folder may be read-only.
    Processes that need the same file wait for the first one to fetch it. Raises InputError where
    the file is missing and `offline`, or cannot be fetched or written. No other file ever gets its
    name.
    """
    path = Path(path)
    try:
        if _is_whole(path, sha256):
            return path
        if offline:
            state = "damaged (its SHA-256 is another)" if path.exists() else "not there yet"
            raise InputError(f"{path}: {state}, and must not be fetched offline")
        with _only_one(path, progress):
            if not _is_whole(path, sha256):
                _fetch(url, path, sha256, progress, wait)
    except OSError as error:
        raise InputError(
            f"{error.filename or path}: {error.strerror or error}; {CACHE_VARIABLE} names another "
            "folder for fetched files"
        ) from error
    return path


def _is_whole(path: Path, sha256: str) -> bool:
    return path.is_file() and sha256_file(path) == sha256


@contextmanager
def _only_one(path: Path, progress: Progress) -> Iterator[None]:
    """Hold the lock beside `path`; the system frees it should the process die."""
    from filelock import FileLock, Timeout

    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path.with_name(f"{path.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        _say(f"waiting for another process that fetches {path}", progress)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _fetch(url: str, path: Path, sha256: str, progress: Progress, wait: Wait) -> None:
    if path.is_file():
        log.warning("%s is damaged (its SHA-256 is another) and is fetched again", path)
        path.unlink()
    _say(f"fetching {url} -> {path}", progress)
    download(
        url,
        path,
        sha256=sha256,
        keep_other=False,
        tries=TRIES,
        progress=lambda done, total, note: progress(done, total, f"{note} of {path.name}"),
        wait=wait,
    )


def _say(message: str, progress: Progress) -> None:
    log.info("%s", message)
    progress(0, 0, message)
