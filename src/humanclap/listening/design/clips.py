"""Clips examined before a study, and as browsers get them: one format, no names, no metadata."""

from __future__ import annotations

import hashlib
import io
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import soundfile
from numpy.typing import NDArray

from humanclap.audio.check import check_clip
from humanclap.audio.decode import file_blocks, open_sound
from humanclap.audio.load import BLOCK_S
from humanclap.errors import AudioError, naming_file

Form = Literal["flac", "wav"]
FORMS = get_args(Form)
MEDIA_TYPES = {"flac": "audio/flac", "wav": "audio/wav"}

Samples = NDArray[np.int16]


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """A clip that can be used: its length, and what a researcher should know of it ("" if nothing).

    duration_s: seconds.
    """

    duration_s: float
    note: str


def examine_clip(source: Path) -> Examined:
    """Decode a clip from start to end by the rules of `humanclap score`.

    Raises AudioError where `score` would: missing, of an unknown format, truncated, shorter than
    10 ms, holding NaN. A silent clip can be used; the note says that it is silent.
    """
    found = check_clip(source)
    if found.fault:
        raise AudioError(source, found.fault)
    return Examined(duration_s=found.duration_s, note=found.note or "")


def file_state(source: Path) -> str:
    """Size and time of a clip's file, which tell whether it was mended; "" where it has none."""
    try:
        state = source.stat()
    except OSError:
        return ""
    return f"{state.st_size}:{state.st_mtime_ns}"


class ClipCache:
    """16-bit FLAC or WAV copies of the study's clips, made when first asked for.

    Every clip is decoded and written anew, whatever it was: no tag, chunk or file type of the
    original tells where it came from. Sample rate and channels stay; samples beyond full scale
    are clipped, as a sound card does.
    """

    def __init__(self, audio_root: Path, folder: Path) -> None:
        self._root = audio_root
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def path(self, audio: str, form: Form) -> Path:
        """File of the copy. Raises AudioError where the clip cannot be read."""
        source = self._root / audio
        try:
            state = source.stat()
        except OSError as error:
            raise AudioError(source, error.strerror or "cannot be read") from error
        key = hashlib.sha256(f"{source}\0{state.st_size}\0{state.st_mtime_ns}".encode()).hexdigest()
        copy = self._folder / f"{key[:32]}.{form}"
        if not copy.is_file():
            self._write(source, copy, form)
        return copy

    def content(self, audio: str, form: Form) -> bytes:
        """The copy's bytes."""
        return self.path(audio, form).read_bytes()

    def _write(self, source: Path, copy: Path, form: Form) -> None:
        samples, sample_rate = read_clip(source)
        content = io.BytesIO()  # written to a file, libsndfile would wait for the disk
        soundfile.write(content, samples, sample_rate, format=form.upper(), subtype="PCM_16")
        handle, temporary = tempfile.mkstemp(suffix=f".{form}", dir=self._folder)
        try:
            with naming_file(copy), open(handle, "wb") as file:
                file.write(content.getvalue())
            Path(temporary).replace(copy)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise


def read_clip(source: Path) -> tuple[Samples, int]:
    """A clip as 16-bit samples, shape (n, channels), and its rate in Hz.

    16-bit samples stay as they are. Raises AudioError where the clip cannot be decoded to its end,
    is empty or holds NaN: what a listener hears is the whole clip or nothing.
    """
    try:
        with open_sound(source) as sound:
            rate = int(sound.samplerate)
            blocks = [
                _sixteen_bits(source, block)
                for block in file_blocks(sound, source, max(1, round(BLOCK_S * rate)))
            ]
    except OSError as error:
        raise AudioError(source, error.strerror or "cannot be read") from error
    if not blocks:
        raise AudioError(source, "holds no sound")
    return np.concatenate(blocks), rate


def _sixteen_bits(source: Path, block: NDArray[np.floating]) -> Samples:
    if not np.isfinite(block).all():
        raise AudioError(source, "holds NaN or infinite samples")
    samples: Samples = np.clip(np.rint(block * 32768.0), -32768, 32767).astype(np.int16)
    return samples
