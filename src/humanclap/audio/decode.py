"""Sound files through libsndfile, with its silent failures made loud."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from humanclap.errors import AudioError

_CONVERT = "convert it, for example: ffmpeg -i IN out.wav"
_STREAMED_BYTES = 0x7FFF0000
"""Sizes from here on are the placeholder of a WAV written to a pipe, not a promise."""
_HEADER_SLACK_BYTES = 1024
_LENGTH_SLACK_S = 0.1
"""MP3 lengths are estimates by up to a few frames."""
_MP3_TAIL_BYTES = 8192
"""Room for tags behind the last MP3 frame."""


@contextmanager
def open_sound(path: Path) -> Iterator[Any]:
    """Open a sound file for reading; yields a `soundfile.SoundFile`.

    Raises AudioError with the reason where the file is missing, a folder, unreadable, empty,
    of an unknown format, or shorter than its own header says.
    """
    _check_file(path)
    try:
        sound = soundfile.SoundFile(path)
    except (soundfile.SoundFileError, TypeError) as error:
        raise AudioError(path, f"not a sound file libsndfile can decode; {_CONVERT}") from error
    if sound.format != "MP3":
        with sound:
            _check_header(path, sound)
            yield sound
        return
    sound.close()
    with open(path, "rb") as file, soundfile.SoundFile(file) as sound:
        yield sound
        _check_all_read(path, file.tell())


def file_blocks(sound: Any, path: Path, frames: int) -> Iterator[NDArray[np.floating]]:
    """Yield (frames, channels) float32 blocks to the end; AudioError where decoding stops early."""
    read = 0
    while True:
        try:
            block = sound.read(frames, dtype="float32", always_2d=True)
        except soundfile.SoundFileError as error:
            raise AudioError(
                path,
                f"decoding fails after {read / sound.samplerate:.2f} s (truncated or damaged?); "
                "fetch the file again",
            ) from error
        if not len(block):
            break
        read += len(block)
        yield block
    if read < sound.frames - _LENGTH_SLACK_S * sound.samplerate:
        raise AudioError(
            path,
            f"ends after {read / sound.samplerate:.2f} s of the "
            f"{sound.frames / sound.samplerate:.2f} s it announces (truncated?); "
            f"fetch it again, or if it is whole, {_CONVERT}",
        )


def _check_file(path: Path) -> None:
    if path.is_dir():
        raise AudioError(path, "is a folder; expected one sound file")
    if not path.exists():
        raise AudioError(path, _missing(path))
    if not path.is_file():
        raise AudioError(path, "is a pipe or device; write it to a file first")
    try:
        with open(path, "rb") as file:
            if not file.read(1):
                raise AudioError(path, "the file is empty (0 bytes); fetch it again")
    except OSError as error:
        raise AudioError(path, f"cannot be read: {error.strerror}") from error


def _missing(path: Path) -> str:
    """Why a path does not exist: the nearest folder that does, or a name close to it."""
    if not path.parent.is_dir():
        return f"no such file; the folder {path.parent} does not exist either"
    stem = path.stem.casefold()
    near = sorted(entry.name for entry in path.parent.iterdir() if entry.stem.casefold() == stem)
    if near:
        return f"no such file (did you mean {near[0]!r}?)"
    return "no such file (is the path relative to another folder?)"


def _check_header(path: Path, sound: Any) -> None:
    """WAV and AIFF: libsndfile notes a data chunk longer than the file, and reads on silently."""
    for announced, present in re.findall(
        r"^\s*(?:data|SSND) : (\d+) \(should be (\d+)\)", sound.extra_info, re.MULTILINE
    ):
        missing = int(announced) - int(present)
        if missing > _HEADER_SLACK_BYTES and int(announced) < _STREAMED_BYTES:
            raise AudioError(
                path,
                f"truncated: the header announces {announced} bytes of samples, {present} are "
                "there; fetch the file again",
            )


def _check_all_read(path: Path, position: int) -> None:
    """MP3: libsndfile stops at an estimated length where a variable bit rate has no Xing header."""
    left = path.stat().st_size - position
    if left > _MP3_TAIL_BYTES:
        raise AudioError(
            path,
            f"{left} of its bytes lie behind the length its MP3 header lets expect (variable bit "
            f"rate without a Xing header?); {_CONVERT}",
        )
