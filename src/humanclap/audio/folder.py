"""Which files of a folder are clips: one list of formats for all commands.

A table names its clips, so they are decoded whatever their ending. In a folder, files count as
clips by their ending. The list has all formats that libsndfile decodes by itself.
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
"""Its other formats. Files of HTK and MATLAB mostly hold other data, RAW does not say how to decode
it, SD2 needs a second file, and a WAVEX ends as a WAV."""

SOUND_SUFFIXES = frozenset(suffix for suffixes in FORMATS.values() for suffix in suffixes)
# fmt: off
OTHER_SOUND_SUFFIXES = frozenset({
    ".3ga", ".3gp", ".aac", ".ac3", ".adts", ".alac", ".amr", ".ape", ".dff", ".dsf", ".dts",
    ".eac3", ".m4a", ".m4b", ".m4r", ".mka", ".mp4", ".mpc", ".ra", ".spx", ".tta", ".weba",
    ".webm", ".wma", ".wv",
})
# fmt: on
"""Endings of sound that libsndfile does not decode; such files are named, with the remedy."""
_ARCHIVE_LEFTOVERS = "__MACOSX"
_NOT_ENTERED = frozenset({".git"})
"""The store of a repository; git-annex keeps a second copy of every clip there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderClips:
    """The sounds of a folder: paths below the folder, sorted.

    clips: sounds that can be decoded, by their ending. other_sounds: sounds of formats that are not
    decoded. hidden: sounds left out, because they or their folder have a name that begins with a
    dot (such as `._dog.wav`, made by macOS), or because they are in `__MACOSX`.
    """

    folder: Path
    clips: tuple[Path, ...]
    other_sounds: tuple[Path, ...]
    hidden: tuple[Path, ...]


def list_clips(folder: str | Path) -> FolderClips:
    """List the sounds below a folder; links to files and folders are followed.

    A broken link is listed by its own ending, so that its clip is reported and not forgotten.
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
    """Every file below a folder, as its path below it; links that lead back up are not followed."""
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
