"""Sound files through libsndfile, with its silent failures made loud."""

from __future__ import annotations

import io
import os
import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
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
"""A decoder may have read so much beyond the last frame."""
_FLAC_HEAD = b"fLaC\0\0\0\x22"
_OPEN_END_FRAMES = 1 << 62
"""libsndfile gives at least this length for a FLAC whose header leaves it open (from a pipe)."""
_SAMPLE_BYTES = {"PCM_S8": 1, "PCM_U8": 1, "PCM_16": 2, "PCM_24": 3, "PCM_32": 4}
_SAMPLE_BYTES |= {"FLOAT": 4, "DOUBLE": 8, "ULAW": 1, "ALAW": 1}
_PLAIN = frozenset({"MAT4", "MAT5", "AVR", "IRCAM", "PVF", "HTK", "WVE", "MPC2K"})
"""Formats with a short header before the samples, whose structure `layout` does not know."""
_HEAD_BYTES = 1 << 13
"""Room for the header of a plain format."""
_BY_FILE = frozenset({"MP3", "FLAC"})
"""Formats read through an open file; its position shows afterwards how much was decoded."""
_NO_FORMAT = frozenset({1, 7})
"""libsndfile's errors for an unknown format; 7 is for a file that only looks like an MP3."""
_UNKNOWN = "not a sound file libsndfile can decode; {}"
_NO_NAME = re.compile(r"<.*>|audio\[\d+\]")
"""Names of sounds that were given without one."""
_JOIN = "export it again (files to be joined are joined by their samples, not by their bytes)"


class _Forward(soundfile.SoundFile):  # type: ignore[misc]
    """A sound file that is only read forward, without seeking.

    soundfile seeks to its own position after every block. In an MP3 with a variable bit rate that
    starts decoding anew, with wrong samples at each border between blocks; in a FLAC of unknown
    length it fails.
    """

    def seekable(self) -> bool:
        return False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SoundBytes:
    """A sound file in memory: all its bytes, and what errors call it."""

    data: bytes
    name: str = "<bytes>"


def read_sound(path: str | Path) -> SoundBytes:
    """All bytes of a sound file, without decoding; AudioError where it cannot be read."""
    found = existing(Path(path))
    _check_file(found)
    return SoundBytes(data=found.read_bytes(), name=shown(path))


@dataclass(frozen=True, slots=True)
class _Open:
    """A sound file that is open for reading: its name, its bytes, and how many they are."""

    name: str | Path
    file: BinaryIO
    size: int

    def head(self, count: int) -> bytes:
        self.file.seek(0)
        return self.file.read(count)


@contextmanager
def open_sound(source: Path | SoundBytes) -> Iterator[Any]:
    """Open a sound file for reading; yields a `soundfile.SoundFile`.

    Raises AudioError with the reason where the file is missing, a folder, unreadable, empty,
    of an unknown format, shorter than its own header says, or longer than what libsndfile decodes
    of it.
    """
    if isinstance(source, SoundBytes):
        if not source.data:
            raise AudioError(source.name, "the file is empty (0 bytes); fetch it again")
        memory = _Open(source.name, io.BytesIO(source.data), len(source.data))
        _check_structure(memory)
        with _decoder(memory) as sound:
            yield from _watched(memory, sound)
        return
    path = existing(source)
    _check_file(path)
    with open(path, "rb") as file:
        disk = _Open(path, file, path.stat().st_size)
        _check_structure(disk)
        sound = _decoder(disk, os.fsencode(path))
        if sound.format in _BY_FILE:
            sound.close()
            sound = _decoder(disk)
        with sound:
            yield from _watched(disk, sound)


def _watched(opened: _Open, sound: Any) -> Iterator[Any]:
    """The decoder, between checks of how much of the file it decodes."""
    _check_plain(opened, sound)
    yield sound
    if sound.format in _BY_FILE:
        _check_all_read(opened, sound.format)


def _decoder(opened: _Open, by_name: bytes | None = None) -> soundfile.SoundFile:
    """libsndfile's decoder of an open file, or of the name of one."""
    opened.file.seek(0)
    try:
        return _Forward(by_name or opened.file)
    except TypeError as error:  # a .raw file, of which nothing says how to read it
        raise AudioError(opened.name, _UNKNOWN.format(convert(opened.name))) from error
    except soundfile.LibsndfileError as error:
        raise AudioError(opened.name, _not_decodable(opened, error)) from error


def _not_decodable(opened: _Open, error: soundfile.LibsndfileError) -> str:
    """Why libsndfile does not open a file, in words."""
    head, told = opened.head(100), convert(opened.name)
    layout = layout_of(opened.file, opened.size)
    if head.startswith(b"version https://git-lfs.github.com/"):
        return "is a Git LFS pointer and not the sound itself; fetch it: git lfs pull"
    if error.code in _NO_FORMAT:
        return _UNKNOWN.format(told)
    if head.startswith(b"OggS") and b"\x7fFLAC" in head:
        return f"holds FLAC inside Ogg, which libsndfile cannot decode; {told}"
    if layout is not None and layout.announced is None:
        return (
            "its header leaves open how long it is (written to a pipe?), which libsndfile cannot "
            f"read in this format; {told}"
        )
    return f"libsndfile cannot decode it ({error.error_string.strip(' .')}); {told}"


def convert(path: str | Path, *options: str) -> str:
    """How to make a WAV of a sound file; options: ffmpeg's, before its input.

    >>> convert("clips/a dog.m4a")
    "convert it: ffmpeg -i 'a dog.m4a' 'a dog.wav'"

    What has no name of a file, such as `<bytes>`, gets one:

    >>> convert("<bytes>")
    'convert it: ffmpeg -i IN OUT.wav'
    """
    name = Path(shown(path))
    if _NO_NAME.fullmatch(str(path)):
        return f"convert it: {shlex.join(('ffmpeg', *options, '-i', 'IN', 'OUT.wav'))}"
    to = name.with_suffix(".wav").name
    if to == name.name:
        to = f"{name.stem}-whole.wav"
    words = ("ffmpeg", *options, "-i", name.name, to)
    return f"convert it: {shlex.join(words)}"


def file_blocks(sound: Any, name: str | Path, frames: int) -> Iterator[NDArray[np.floating]]:
    """Yield (frames, channels) float32 blocks to the end; AudioError where decoding stops early."""
    read = 0
    open_end = sound.frames >= _OPEN_END_FRAMES
    while open_end or read < sound.frames:
        count = frames if open_end else min(frames, sound.frames - read)
        try:
            block = sound.read(count, dtype="float32", always_2d=True)
        except soundfile.SoundFileError as error:
            raise AudioError(
                name,
                f"decoding fails after {read / sound.samplerate:.2f} s (truncated or damaged?); "
                "fetch the file again",
            ) from error
        if not len(block):
            break
        read += len(block)
        yield block
    if not open_end and read < sound.frames - _LENGTH_SLACK_S * sound.samplerate:
        raise AudioError(
            name,
            f"ends after {read / sound.samplerate:.2f} s of the "
            f"{sound.frames / sound.samplerate:.2f} s it announces (truncated?); "
            f"fetch it again, or if it is whole, {convert(name)}",
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


def _check_structure(opened: _Open) -> None:
    """Compare what a header announces with what the file holds."""
    _check_pages(opened)
    layout = layout_of(opened.file, opened.size)
    if layout is None:
        return
    if layout.missing > SLACK_BYTES:
        raise AudioError(
            opened.name,
            f"truncated: the header announces {layout.announced} bytes of samples, "
            f"{layout.present} are there; fetch the file again",
        )
    if layout.behind > SLACK_BYTES:
        raise AudioError(opened.name, _behind(opened, layout))


def _behind(opened: _Open, layout: Layout) -> str:
    said = (
        f"{layout.behind} bytes follow the {layout.samples} bytes of samples that its header "
        "announces, and would not be heard"
    )
    if opened.head(4) != b"RIFF":
        return f"{said}; {_JOIN}"
    told = convert(opened.name, "-ignore_length", "1")
    return f"{said}; if it is one recording, {told}; otherwise {_JOIN}"


def _check_plain(opened: _Open, sound: Any) -> None:
    """Compare what libsndfile decodes of a plain format with the file's length."""
    width = _SAMPLE_BYTES.get(sound.subtype)
    if sound.format not in _PLAIN or width is None:
        return
    heard = sound.frames * sound.channels * width
    behind = opened.size - heard
    if behind > _HEAD_BYTES:
        layout = Layout(announced=heard, present=heard, behind=behind)
        raise AudioError(opened.name, _behind(opened, layout))


def _check_pages(opened: _Open) -> None:
    fault = ogg_fault(opened.file, opened.size)
    if fault == "cut":
        raise AudioError(opened.name, "truncated: it ends within a page; fetch the file again")
    if fault == "chained":
        raise AudioError(
            opened.name,
            "holds several streams in a row, and only the first would be heard; "
            + convert(opened.name),
        )
    if fault == "behind":
        raise AudioError(
            opened.name,
            "something else follows its Ogg stream, and would not be heard; "
            f"{convert(opened.name)}",
        )


def _check_all_read(opened: _Open, sound_format: str) -> None:
    """Check that the end of what libsndfile decodes is the end of the file."""
    size, position = opened.size, opened.file.tell()
    if sound_format == "MP3":
        _check_mp3_tail(opened.name, size - position)
        return
    start = max(1, position - _READ_AHEAD_BYTES)
    opened.file.seek(start)
    chained = _FLAC_HEAD in opened.file.read(size - start)
    if chained or unheard_bytes(opened.file, position, size) > SLACK_BYTES:
        raise AudioError(
            opened.name,
            f"{size - position} bytes follow after the length that its FLAC header announces, and "
            f"would not be heard; {_JOIN}",
        )


def _check_mp3_tail(name: str | Path, left: int) -> None:
    """libsndfile stops at an estimated length where a variable bit rate has no Xing header."""
    if left > _MP3_TAIL_BYTES:
        raise AudioError(
            name,
            f"{left} of its bytes lie after the length that its MP3 header suggests (variable bit "
            f"rate without a Xing header, or several files joined?); {convert(name)}",
        )
