"""Files and folders, here or in a store (`s3://`, `gs://`), by fsspec, with clear errors."""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from humanclap.errors import HumanCLAPError, InputError, MissingExtraError
from humanclap.extras import require
from humanclap.files import atomic_bytes

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_GLOB = re.compile(r"[*?\[]")


def is_url(place: str) -> bool:
    """Whether a place is an address such as `s3://bucket/clips`, and no path.

    >>> is_url("s3://bucket/a.csv"), is_url("C:/a.csv"), is_url("a.csv")
    (True, False, False)
    """
    return _URL.match(place) is not None


def joined(root: str, name: str) -> str:
    """A name below a folder; an address or an absolute path stays as it is.

    >>> joined("s3://bucket/clips/", "dog.wav"), joined("s3://bucket", "gs://other/dog.wav")
    ('s3://bucket/clips/dog.wav', 'gs://other/dog.wav')
    """
    if is_url(name) or not is_url(root):
        return name if is_url(name) else str(Path(root).absolute() / name)
    return name if name.startswith("/") else f"{root.rstrip('/')}/{name}"


def folder_of(place: str) -> str:
    """The folder that holds a file."""
    return place.rpartition("/")[0] if is_url(place) else str(Path(place).absolute().parent)


def base_name(place: str) -> str:
    """The last part of a place."""
    return place.rstrip("/").rpartition("/")[2]


WAITS_S = (1.0, 2.0, 4.0)
"""Pauses between tries to read from a store; its own library also tries again."""


class StoreError(InputError):
    """A store cannot be reached now: network, time limit, its own fault, or expired keys."""


@contextmanager
def reaching(place: str) -> Iterator[None]:
    """Turn any error of a store into an InputError with the place and the likely remedy."""
    try:
        yield
    except (HumanCLAPError, MemoryError):
        raise
    except FileNotFoundError as error:
        raise InputError(f"{place}: no such file, folder or bucket") from error
    except ImportError as error:
        raise MissingExtraError(
            f"{place}: {error}; s3:// needs pip install s3fs, gs:// pip install gcsfs"
        ) from error
    except Exception as error:  # each store has exceptions of its own, which share no base
        said = f"{type(error).__name__}: {error}".strip(": ")
        if not is_url(place):
            raise InputError(f"{place}: cannot be reached ({said})") from error
        told = f"{place}: cannot be reached ({said}); are the credentials, the region and the "
        lasting = isinstance(error, PermissionError) and "expired" not in said.lower()
        kind = InputError if lasting else StoreError
        raise kind(f"{told}endpoint of the store set here?") from error


def file_system(place: str) -> tuple[Any, str]:
    """fsspec's file system of a place, and what the place is called in it."""
    fsspec: Any = require("fsspec", extra="ray")
    with reaching(place):
        system, path = fsspec.core.url_to_fs(place)
        return system, path


def files_at(place: str) -> list[str]:
    """A file, what fits a pattern, or the files right in a folder; by name, hidden ones left out.

    Raises InputError where there is none.
    """
    system, path = file_system(place)
    with reaching(place):
        if _GLOB.search(place):
            found = [name for name in system.glob(path) if not system.isdir(name)]
        elif system.isdir(path):
            found = [entry["name"] for entry in system.ls(path, detail=True)
                     if entry["type"] == "file"]  # fmt: skip
        elif system.exists(path):
            return [place]
        else:
            raise FileNotFoundError
    seen = sorted(name for name in found if base_name(name)[:1] not in "._")
    if not seen:
        raise InputError(f"{place}: no files are there")
    return [system.unstrip_protocol(name) if is_url(place) else name for name in seen]


def read_bytes(place: str, offset: int | None = None, size: int | None = None) -> bytes:
    """All bytes of a file, or `size` of them from `offset` on; StoreError after some tries."""
    system, path = file_system(place)
    end = None if offset is None or size is None else offset + size
    for wait in (*WAITS_S, None):
        try:
            with reaching(place):
                data: bytes = system.cat_file(path, start=offset, end=end)
                return data
        except StoreError:
            if wait is None:
                raise
            time.sleep(wait)
    raise AssertionError


def names_in(folder: str) -> list[str]:
    """Names of the files in a folder, sorted; none where it is not there."""
    system, path = file_system(folder)
    with reaching(folder):
        system.invalidate_cache()
        if not system.exists(path):
            return []
        return sorted(base_name(name) for name in system.ls(path, detail=False))


def write_whole(place: str, write: Callable[[BinaryIO], object]) -> None:
    """A file that appears under its name only once `write` has written all of it."""
    if not is_url(place):
        with atomic_bytes(place) as file:
            write(file)
        return
    system, path = file_system(place)
    with tempfile.TemporaryFile() as file:
        write(file)
        file.seek(0)
        with reaching(place), system.open(path, "wb") as out:  # a store shows what was closed
            while data := file.read(1 << 24):
                out.write(data)


def remove(place: str) -> None:
    """Remove a file, or a folder with what it holds; nothing where it is not there."""
    system, path = file_system(place)
    with reaching(place):
        if system.exists(path):
            system.rm(path, recursive=True)


@contextmanager
def local_copy(place: str) -> Iterator[Path]:
    """A file on this machine: the file itself, or a temporary copy of one in a store."""
    if not is_url(place):
        yield Path(place)
        return
    system, path = file_system(place)
    with tempfile.TemporaryDirectory(prefix="humanclap-") as folder:
        copy = Path(folder) / base_name(place)
        with reaching(place):
            system.get_file(path, str(copy))
        yield copy
