"""Clips as browsers get them: one format for all systems, without names or metadata."""

from __future__ import annotations

import hashlib
import io
import tempfile
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import soundfile
from numpy.typing import NDArray

from humanclap.errors import AudioError, naming_file

Form = Literal["flac", "wav"]
FORMS = get_args(Form)
MEDIA_TYPES = {"flac": "audio/flac", "wav": "audio/wav"}

Samples = NDArray[np.int16]


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
    """A clip as 16-bit samples, shape (n, channels), and its rate in Hz."""
    try:
        with soundfile.SoundFile(str(source)) as file:
            rate = int(file.samplerate)
            if file.subtype == "PCM_16":
                return file.read(dtype="int16", always_2d=True), rate
            data: NDArray[Any] = file.read(dtype="float64", always_2d=True)
    except (soundfile.LibsndfileError, OSError) as error:
        raise AudioError(source, str(error)) from error
    scaled = np.rint(np.nan_to_num(data) * 32768.0)
    return np.clip(scaled, -32768, 32767).astype(np.int16), rate
