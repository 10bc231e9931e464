"""Names of sound files: which exist, how they are compared, and how they are shown."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path


def same_name(name: str) -> str:
    """A name as names are compared: in NFC, so that é is é whether macOS or Linux wrote it."""
    return unicodedata.normalize("NFC", name)


def existing(path: Path) -> Path:
    """The path of a file, by another Unicode form of its names where only that one exists.

    macOS stores `é` as two code points (NFD), most others as one (NFC); a table made on one and
    clips stored by the other mean the same file. Returns the path itself where nothing fits.
    """
    if os.path.lexists(path) or path.as_posix().isascii():
        return path
    found = Path(path.anchor)
    for part in path.parts[1:] if path.anchor else path.parts:
        step = found / part
        if not os.path.lexists(step):
            others = _of_one_name(found, part)
            if not others:
                return path
            step = found / others[0]
        found = step
    return found


def _of_one_name(folder: Path, name: str) -> list[str]:
    try:
        entries = [entry.name for entry in folder.iterdir()]
    except OSError:
        return []
    return sorted(entry for entry in entries if same_name(entry) == same_name(name))


def shown(path: str | Path) -> str:
    r"""A path that can be printed and stored as UTF-8; bytes that are not UTF-8 as \xE9.

    >>> print(shown("caf\udce9.wav"))
    caf\xe9.wav
    """
    try:
        return os.fsencode(path).decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # half of a pair of surrogates, which no file system holds
        return str(path).encode("utf-8", "backslashreplace").decode()


def is_utf8(path: str | Path) -> bool:
    """Whether a path is UTF-8, as tables and reports need it."""
    return shown(path) == str(path)
