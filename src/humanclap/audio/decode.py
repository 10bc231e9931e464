"""Sound files through libsndfile, with its silent failures made loud."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import soundfile
from numpy.typing import NDArray

from humanclap.audio.layout import SLACK_BYTES, Layout, layout_of, ogg_fault, unheard_bytes
from humanclap.audio.names import existing, shown
from humanclap.errors import AudioError

_LENGTH_SLACK_S = 0.1
"""MP3 lengths are estimates by up to a few frames."""
_MP3_TAIL_BYTES = 8192
"""Room for tags behind the last MP3 frame."""
_READ_AHEAD_BYTES = 1 << 14
"""What a decoder may have read of a file beyond its last frame."""
_FLAC_HEAD = b"fLaC\0\0\0\x22"
_OPEN_END_FRAMES = 1 << 62
"""libsndfile's length, or more, of a FLAC whose header leaves it open (one written to a pipe)."""
_SAMPLE_BYTES = {"PCM_S8": 1, "PCM_U8": 1, "PCM_16": 2, "PCM_24": 3, "PCM_32": 4}
_SAMPLE_BYTES |= {"FLOAT": 4, "DOUBLE": 8, "ULAW": 1, "ALAW": 1}
_PLAIN = frozenset({"MAT4", "MAT5", "AVR", "IRCAM", "PVF", "HTK", "WVE", "MPC2K"})
"""Formats of a short header and then samples, whose structure `layout` does not know."""
_HEAD_BYTES = 1 << 13
"""Room for the header of a plain format."""
_NO_FORMAT = frozenset({1, 7})
"""libsndfile's errors for what is of no format it knows; 7 comes of what only looks like an MP3."""
_UNKNOWN = "not a sound file libsndfile can decode; {}"
_JOIN = "export it again (files to be joined are joined by their samples, not by their bytes)"


class _Forward(soundfile.SoundFile):  # type: ignore[misc]
    """A sound file that is read from its start to its end, and nowhere sought in.

    soundfile seeks to where it stands after every block. That starts MP3 decoding of a variable
    bit rate anew, with wrong samples at each border between blocks, and fails in a FLAC of unknown
    length.
    """

    def seekable(self) -> bool:
        return False


@contextmanager
def open_sound(path: Path) -> Iterator[Any]:
    """Open a sound file for reading; yields a `soundfile.SoundFile`.

    Raises AudioError with the reason where the file is missing, a folder, unreadable, empty,
    of an unknown format, shorter than its own header says, or longer than what libsndfile decodes
    of it.
    """
    path = existing(path)
    _check_file(path)
    with open(path, "rb") as file:
        _check_structure(path, file)
        sound = _opened(path, os.fsencode(path))
        if sound.format not in {"MP3", "FLAC"}:
            with sound:
                _check_plain(path, sound)
                yield sound
            return
        sound.close()
        file.seek(0)
        with _opened(path, file) as sound:
            yield sound
            _check_all_read(path, file, sound.format)


def _opened(path: Path, file: bytes | BinaryIO) -> soundfile.SoundFile:
    try:
        return _Forward(file)
    except TypeError as error:  # a .raw file, of which nothing says how to read it
        raise AudioError(path, _UNKNOWN.format(convert(path))) from error
    except soundfile.LibsndfileError as error:
        raise AudioError(path, _not_decodable(path, error)) from error


def _not_decodable(path: Path, error: soundfile.LibsndfileError) -> str:
    """What a file is that libsndfile does not open."""
    with open(path, "rb") as file:
        head = file.read(100)
        layout = layout_of(file, path.stat().st_size)
    if head.startswith(b"version https://git-lfs.github.com/"):
        return "is a Git LFS pointer and not the sound itself; fetch it: git lfs pull"
    if error.code in _NO_FORMAT:
        return _UNKNOWN.format(convert(path))
    if head.startswith(b"OggS") and b"\x7fFLAC" in head:
        return f"holds FLAC inside Ogg, which libsndfile cannot decode; {convert(path)}"
    if layout is not None and layout.announced is None:
        return (
            "its header leaves open how long it is (written to a pipe?), which libsndfile cannot "
            f"read in this format; {convert(path)}"
        )
    return f"libsndfile cannot decode it ({error.error_string.strip(' .')}); {convert(path)}"


def convert(path: str | Path, *options: str) -> str:
    """How to make a WAV of a sound file; options: ffmpeg's, before its input.

    >>> convert("clips/a dog.m4a")
    "convert it: ffmpeg -i 'a dog.m4a' 'a dog.wav'"
    """
    name = Path(shown(path))
    to = name.with_suffix(".wav").name
    if to == name.name:
        to = f"{name.stem}-whole.wav"
    words = ("ffmpeg", *options, "-i", name.name, to)
    return f"convert it: {shlex.join(words)}"


def file_blocks(sound: Any, path: Path, frames: int) -> Iterator[NDArray[np.floating]]:
    """Yield (frames, channels) float32 blocks to the end; AudioError where decoding stops early."""
    read = 0
    open_end = sound.frames >= _OPEN_END_FRAMES
    while open_end or read < sound.frames:
        count = frames if open_end else min(frames, sound.frames - read)
        try:
            block = sound.read(count, dtype="float32", always_2d=True)
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
    if not open_end and read < sound.frames - _LENGTH_SLACK_S * sound.samplerate:
        raise AudioError(
            path,
            f"ends after {read / sound.samplerate:.2f} s of the "
            f"{sound.frames / sound.samplerate:.2f} s it announces (truncated?); "
            f"fetch it again, or if it is whole, {convert(path)}",
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
    if path.is_symlink():
        target = str(path.readlink())
        annexed = "; fetch it: git annex get" if ".git/annex/" in target else ""
        return f"is a link to {target}, which is not there{annexed}"
    if not path.parent.is_dir():
        return f"no such file; the folder {shown(path.parent)} does not exist either"
    stem = path.stem.casefold()
    near = sorted(entry.name for entry in path.parent.iterdir() if entry.stem.casefold() == stem)
    if near:
        return f"no such file (did you mean {near[0]!r}?)"
    return "no such file (is the path relative to another folder?)"


def _check_structure(path: Path, file: BinaryIO) -> None:
    """Compare what a header announces with what the file holds."""
    size = path.stat().st_size
    _check_pages(path, file, size)
    layout = layout_of(file, size)
    if layout is None:
        return
    if layout.missing > SLACK_BYTES:
        raise AudioError(
            path,
            f"truncated: the header announces {layout.announced} bytes of samples, "
            f"{layout.present} are there; fetch the file again",
        )
    if layout.behind > SLACK_BYTES:
        raise AudioError(path, _behind(path, layout))


def _behind(path: Path, layout: Layout) -> str:
    said = (
        f"{layout.behind} bytes stand behind the {layout.samples} bytes of samples that its header "
        "announces, and would not be heard"
    )
    with open(path, "rb") as file:
        if file.read(4) != b"RIFF":
            return f"{said}; {_JOIN}"
    return (
        f"{said}; if it is one recording, {convert(path, '-ignore_length', '1')}; otherwise {_JOIN}"
    )


def _check_plain(path: Path, sound: Any) -> None:
    """Compare what libsndfile decodes of a plain format with the file's length."""
    width = _SAMPLE_BYTES.get(sound.subtype)
    if sound.format not in _PLAIN or width is None:
        return
    heard = sound.frames * sound.channels * width
    behind = path.stat().st_size - heard
    if behind > _HEAD_BYTES:
        raise AudioError(path, _behind(path, Layout(announced=heard, present=heard, behind=behind)))


def _check_pages(path: Path, file: BinaryIO, size: int) -> None:
    fault = ogg_fault(file, size)
    if fault == "cut":
        raise AudioError(path, "truncated: it ends within a page; fetch the file again")
    if fault == "chained":
        raise AudioError(
            path,
            "holds several streams one behind the other, of which only the first would be heard; "
            + convert(path),
        )
    if fault == "behind":
        raise AudioError(
            path, f"something else stands behind its Ogg stream, unheard; {convert(path)}"
        )


def _check_all_read(path: Path, file: BinaryIO, sound_format: str) -> None:
    """Where a stream was read to the end of what libsndfile decodes: is that the file's end?"""
    size, position = path.stat().st_size, file.tell()
    if sound_format == "MP3":
        _check_mp3_tail(path, size - position)
        return
    start = max(1, position - _READ_AHEAD_BYTES)
    file.seek(start)
    chained = _FLAC_HEAD in file.read(size - start)
    if chained or unheard_bytes(file, position, size) > SLACK_BYTES:
        raise AudioError(
            path,
            f"{size - position} bytes stand behind the length that its FLAC header announces, and "
            f"would not be heard; {_JOIN}",
        )


def _check_mp3_tail(path: Path, left: int) -> None:
    """libsndfile stops at an estimated length where a variable bit rate has no Xing header."""
    if left > _MP3_TAIL_BYTES:
        raise AudioError(
            path,
            f"{left} of its bytes lie behind the length its MP3 header lets expect (variable bit "
            f"rate without a Xing header, or files put one behind the other?); {convert(path)}",
        )
