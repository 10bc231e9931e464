"""Audio files and arrays to float32 mono at one rate, whole or as a stream of blocks.

Decoding is libsndfile's (soundfile), resampling soxr's at its quality HQ. The stream gives the
same samples whatever its block size, and nothing here holds more than a few blocks in memory.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr
from numpy.typing import NDArray

from humanclap.audio.decode import file_blocks, open_sound
from humanclap.errors import AudioError, SettingsError

MIN_DURATION_S = 0.010
"""Shorter clips are refused: fewer samples than one analysis frame tell nothing."""
SILENCE_PEAK = 1e-5
"""A clip that never exceeds this (-100 dB of full scale) is called silent; half a 16-bit step is
1.5e-5."""
PEAK_LIMIT = 8.0
"""Floating samples beyond this (18 dB over full scale) are taken for integers stored as floats."""
BLOCK_S = 2.0
_MAX_CHANNELS = 64
_FULL_SCALE = {  # dtype: (zero, full scale)
    "float32": (0.0, 1.0),
    "float64": (0.0, 1.0),
    "int16": (0.0, 2.0**15),
    "int32": (0.0, 2.0**31),
    "uint8": (128.0, 128.0),
}


class SilentAudioWarning(UserWarning):
    """A clip holds nothing but silence; its score says nothing about the text."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Waveform:
    """Samples in memory with their rate.

    samples: shape (n,) or (n, channels); float32 or float64 in [-1, 1], or int16, int32 or uint8
    over their whole range. sample_rate: Hz, at least 1. name: what errors call it.

    Raises AudioError on another type or shape; the values are checked where they are read.

    >>> Waveform(samples=np.zeros((2, 16000), np.float32), sample_rate=16000)
    Traceback (most recent call last):
    humanclap.errors.AudioError: <array>: shape (2, 16000) has more channels than ... transpose it
    """

    samples: NDArray[np.generic]
    sample_rate: int
    name: str = "<array>"

    def __post_init__(self) -> None:
        samples = self.samples
        if not isinstance(samples, np.ndarray):
            raise AudioError(
                self.name, f"samples are a {type(samples).__name__}; expected a numpy array"
            )
        if samples.dtype.name not in _FULL_SCALE:
            raise AudioError(
                self.name,
                f"samples are {samples.dtype.name}; expected one of {', '.join(_FULL_SCALE)}",
            )
        if samples.ndim not in (1, 2):
            raise AudioError(
                self.name, f"shape {samples.shape}; expected (samples,) or (samples, channels)"
            )
        if samples.ndim == 2 and samples.size and samples.shape[1] > len(samples):
            raise AudioError(
                self.name,
                f"shape {samples.shape} has more channels than samples; expected "
                "(samples, channels): transpose it",
            )
        if samples.ndim == 2 and samples.shape[1] > _MAX_CHANNELS:
            raise AudioError(
                self.name,
                f"{samples.shape[1]} channels; expected at most {_MAX_CHANNELS} "
                "(is this a batch of clips? pass them one at a time)",
            )
        rate = self.sample_rate
        if isinstance(rate, bool) or not isinstance(rate, int | np.integer) or rate < 1:
            raise AudioError(self.name, f"sample_rate is {rate!r}; expected Hz, a whole number > 0")


Source = str | Path | Waveform


Remark = Callable[[str], None]
"""Told what a listener should know of a clip that can be read, such as that it is silent."""


def audio_blocks(
    source: Source,
    *,
    sample_rate: int,
    block_s: float = BLOCK_S,
    remark: Remark | None = None,
) -> Iterator[NDArray[np.float32]]:
    """Yield a clip as float32 mono blocks at `sample_rate` Hz, from its start to its end.

    block_s: seconds of source read at a time; changes memory, never the samples. Channels are
    averaged. The blocks together have the length and values of one-shot soxr.

    Raises AudioError, when the fault is reached, on a clip that is missing, undecodable,
    truncated, empty, shorter than 10 ms, or holds NaN, infinite or absurdly large samples;
    SettingsError on a bad `sample_rate` or `block_s`. At the end of a silent clip calls `remark`
    with the reason, or without one warns SilentAudioWarning.
    """
    check_rate(sample_rate)
    if not (math.isfinite(block_s) and block_s > 0):
        raise SettingsError(f"block_s is {block_s}; expected seconds > 0")
    return _audio_blocks(source, sample_rate, block_s, remark)


def load_audio(source: Source, *, sample_rate: int) -> NDArray[np.float32]:
    """Read a whole clip: float32 mono, shape (samples,), at `sample_rate` Hz.

    Full scale is [-1, 1]; resampling and float files may exceed it a little. Errors and warnings
    as for `audio_blocks`.
    """
    return np.concatenate(list(audio_blocks(source, sample_rate=sample_rate)))


def check_rate(sample_rate: int) -> None:
    """Raise SettingsError unless `sample_rate` is a whole number of Hz above 0."""
    whole = isinstance(sample_rate, int | np.integer) and not isinstance(sample_rate, bool)
    if not whole or sample_rate < 1:
        raise SettingsError(f"sample_rate is {sample_rate!r}; expected Hz, a whole number > 0")


def _audio_blocks(
    source: Source, sample_rate: int, block_s: float, remark: Remark | None
) -> Iterator[NDArray[np.float32]]:
    if isinstance(source, Waveform):
        name: str | Path = source.name
        source_rate = int(source.sample_rate)
        raw = _array_blocks(source.samples, max(1, round(block_s * source_rate)))
        yield from _resampled(raw, name, source_rate, sample_rate, remark)
        return
    if not isinstance(source, str | Path):
        raise AudioError(
            f"<{type(source).__name__}>",
            "expected a path or a Waveform (an array needs its rate: "
            "Waveform(samples=array, sample_rate=16000))",
        )
    path = Path(source)
    with open_sound(path) as sound:
        raw = file_blocks(sound, path, max(1, round(block_s * sound.samplerate)))
        yield from _resampled(raw, path, sound.samplerate, sample_rate, remark)


def _array_blocks(samples: NDArray[np.generic], frames: int) -> Iterator[NDArray[np.floating]]:
    """Slices of an array as (frames, channels) floats, full scale 1.0."""
    shaped = samples[:, None] if samples.ndim == 1 else samples
    zero, full = _FULL_SCALE[samples.dtype.name]
    for start in range(0, len(shaped), frames):
        block = shaped[start : start + frames]
        yield (block.astype(np.float64) - zero) / full


def _resampled(
    raw: Iterator[NDArray[np.floating]],
    name: str | Path,
    source_rate: int,
    sample_rate: int,
    remark: Remark | None,
) -> Iterator[NDArray[np.float32]]:
    """Check, mix to mono and resample (frames, channels) blocks."""
    resampler = None
    if source_rate != sample_rate:
        resampler = soxr.ResampleStream(source_rate, sample_rate, 1, dtype="float32", quality="HQ")
    frames, peak = 0, 0.0
    for block in raw:
        _check_values(block, name, frames, source_rate)
        mono = block.mean(axis=1).astype(np.float32)  # (frames,)
        frames += len(mono)
        peak = max(peak, float(np.abs(mono).max()))
        out = resampler.resample_chunk(mono) if resampler else mono
        if len(out):
            yield out
    _check_duration(name, frames, source_rate)
    if resampler and len(rest := resampler.resample_chunk(np.zeros(0, np.float32), last=True)):
        yield rest
    if peak < SILENCE_PEAK:
        tell(name, SILENT, remark)


SILENT = "silent from start to end; its score says nothing"


def tell(name: str | Path, what: str, remark: Remark | None, *, stacklevel: int = 2) -> None:
    """Say something of a clip: to `remark`, or as a SilentAudioWarning that names the clip."""
    if remark is not None:
        remark(what)
    else:
        warnings.warn(f"{name}: {what}", SilentAudioWarning, stacklevel=stacklevel + 1)


def _check_values(
    block: NDArray[np.floating], name: str | Path, frames_before: int, source_rate: int
) -> None:
    finite = np.isfinite(block).all(axis=1)  # (frames,)
    if not finite.all():
        at = frames_before + int(np.argmin(finite))
        raise AudioError(
            name,
            f"sample {at} (at {at / source_rate:.3f} s) is NaN or infinite; "
            "export the clip again, or replace such samples by 0",
        )
    peak = float(np.abs(block).max(initial=0.0))
    if peak > PEAK_LIMIT:
        raise AudioError(
            name,
            f"samples reach {peak:g}, full scale is 1.0 (are these integers stored as floats? "
            "divide 16-bit values by 32768)",
        )


def _check_duration(name: str | Path, frames: int, source_rate: int) -> None:
    if frames == 0:
        raise AudioError(name, "holds no samples; was the recording or generation interrupted?")
    if frames / source_rate < MIN_DURATION_S:
        raise AudioError(
            name,
            f"lasts {1000 * frames / source_rate:.3g} ms; at least "
            f"{1000 * MIN_DURATION_S:g} ms are needed (is its sample rate of "
            f"{source_rate} Hz right?)",
        )
