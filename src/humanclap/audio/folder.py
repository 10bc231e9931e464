"""Which files of a folder are clips: one list of formats, for whatever lists a folder.

A table names its clips itself, and a file it names is decoded whatever its ending; a folder is
listed by endings. The list has all formats that libsndfile decodes by itself.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from humanclap.audio.names import shown
from humanclap.errors import InputError

FORMATS = {
    "AIFF": (".aif", ".aiff", ".aifc"),
    "AU": (".au", ".snd"),
    "AVR": (".avr",),
    "CAF": (".caf",),
    "FLAC": (".flac",),
    "IRCAM": (".ircam",),
    "MP3": (".mp3", ".mp2", ".mp1"),
    "MPC2K": (".mpc2k",),
    "NIST": (".sph", ".nist"),
    "OGG": (".ogg", ".oga", ".opus"),
    "PAF": (".paf", ".fap"),
    "PVF": (".pvf",),
    "RF64": (".rf64", ".bw64"),
    "SDS": (".sds",),
    "SVX": (".8svx", ".svx"),
    "VOC": (".voc",),
    "W64": (".w64",),
    "WAV": (".wav", ".wave", ".bwf"),
    "WVE": (".wve",),
    "XI": (".xi",),
}
"""libsndfile's formats and the endings of their files."""
NOT_LISTED = frozenset({"HTK", "MAT4", "MAT5", "RAW", "SD2", "WAVEX"})
"""Its other formats: HTK's and MATLAB's files mostly hold other data, RAW cannot be decoded without
being told how, SD2 needs a second file, and WAVEX is a WAV by its ending."""

SOUND_SUFFIXES = frozenset(suffix for suffixes in FORMATS.values() for suffix in suffixes)
# fmt: off
OTHER_SOUND_SUFFIXES = frozenset({
    ".3ga", ".3gp", ".aac", ".ac3", ".adts", ".alac", ".amr", ".ape", ".dff", ".dsf", ".dts",
    ".eac3", ".m4a", ".m4b", ".m4r", ".mka", ".mp4", ".mpc", ".ra", ".spx", ".tta", ".weba",
    ".webm", ".wma", ".wv",
})
# fmt: on
"""Endings of sound that libsndfile does not decode: named, with how to convert it."""
_ARCHIVE_LEFTOVERS = "__MACOSX"
_NOT_ENTERED = frozenset({".git"})
"""A repository's own store; git-annex keeps a second copy of every clip there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderClips:
    """What of a folder is sound; paths below the folder, sorted.

    clips: what can be decoded by its ending. other_sounds: sound of a format that is not decoded.
    hidden: sounds passed over, whose name or folder begins with a point (`._dog.wav`, made by
    macOS) or that lie in `__MACOSX`.
    """

    folder: Path
    clips: tuple[Path, ...]
    other_sounds: tuple[Path, ...]
    hidden: tuple[Path, ...]


def list_clips(folder: str | Path) -> FolderClips:
    """List the sounds below a folder; links to files and folders are followed.

    A link to nothing is listed by its own ending: its clip cannot be read, and is not forgotten.
    Raises InputError where the folder, or one below it, cannot be listed.
    """
    folder = Path(folder)
    clips, others, hidden = [], [], []
    for path in sorted(_files(folder)):
        suffix = path.suffix.lower()
        if suffix not in SOUND_SUFFIXES and suffix not in OTHER_SOUND_SUFFIXES:
            continue
        if any(part.startswith(".") or part == _ARCHIVE_LEFTOVERS for part in path.parts):
            hidden.append(path)
        elif suffix in SOUND_SUFFIXES:
            clips.append(path)
        else:
            others.append(path)
    return FolderClips(
        folder=folder, clips=tuple(clips), other_sounds=tuple(others), hidden=tuple(hidden)
    )


def _files(folder: Path) -> Iterator[Path]:
    """Every file below a folder, by its path below it; a link that leads back up is not entered."""
    above: dict[Path, frozenset[tuple[int, int]]] = {folder: frozenset({_identity(folder)})}
    for name, folders, files in os.walk(folder, onerror=_refuse, followlinks=True):
        here = Path(name)
        met = above.pop(here)
        yield from ((here / file).relative_to(folder) for file in files)
        entered = []
        for below in folders:
            if below in _NOT_ENTERED:
                continue
            identity = _identity(here / below)
            if identity not in met:
                entered.append(below)
                above[here / below] = met | {identity}
        folders[:] = entered


def _identity(folder: Path) -> tuple[int, int]:
    try:
        status = folder.stat()
    except OSError as error:
        _refuse(error)
        raise
    return status.st_dev, status.st_ino


def _refuse(error: OSError) -> None:
    raise InputError(f"{shown(error.filename)}: cannot be listed: {error.strerror}") from error
