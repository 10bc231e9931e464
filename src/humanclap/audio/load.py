"""Audio files and arrays to float32 mono at one rate, whole or as a stream of blocks.

Decoding is libsndfile's (soundfile), resampling soxr's at its quality HQ. The stream gives the
same samples whatever its block size, and nothing here holds more than a few blocks in memory.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr
from numpy.typing import NDArray

from humanclap.audio.decode import SoundBytes, file_blocks, open_sound
from humanclap.audio.level import CANCELLED, Level
from humanclap.audio.names import shown
from humanclap.errors import AudioError, SettingsError

MIN_DURATION_S = 0.010
"""Shorter clips are refused; they have fewer samples than one frame of analysis."""
PEAK_LIMIT = 8.0
"""Floats beyond this (18 dB over full scale) are taken for integers that were stored as floats."""
BLOCK_S = 2.0
MOST_CHANNELS = 64
_FULL_SCALE = {  # dtype: (zero, full scale)
    "float16": (0.0, 1.0),
    "float32": (0.0, 1.0),
    "float64": (0.0, 1.0),
    "int8": (0.0, 2.0**7),
    "int16": (0.0, 2.0**15),
    "int32": (0.0, 2.0**31),
    "uint8": (128.0, 128.0),
}


class SilentAudioWarning(UserWarning):
    """A clip holds nothing but silence; its score says nothing about the text."""


class CancellingChannelsWarning(SilentAudioWarning):
    """The channels of a clip cancel when averaged, so its score does not say what people hear."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Waveform:
    """Samples in memory with their rate.

    samples: shape (n,) or (n, channels); float16, float32 or float64 in [-1, 1], or int8, int16,
    int32 or uint8 over their whole range. sample_rate: Hz, at least 1. name: what errors call it.

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
                f"samples are {samples.dtype.name}; expected one of {', '.join(_FULL_SCALE)}, "
                "which tell the full scale (16-bit values in another type? give x.astype('int16'))",
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
        if samples.ndim == 2 and samples.shape[1] > MOST_CHANNELS:
            raise AudioError(
                self.name,
                f"{samples.shape[1]} channels; expected at most {MOST_CHANNELS} "
                "(is this a batch of clips? pass them one at a time)",
            )
        rate = self.sample_rate
        if isinstance(rate, bool) or not isinstance(rate, int | np.integer) or rate < 1:
            raise AudioError(self.name, f"sample_rate is {rate!r}; expected Hz, a whole number > 0")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Decoded:
    """A clip that was decoded before, perhaps elsewhere; `audio_blocks` treats it like its file.

    samples: float32 mono (n,) at `sample_rate` Hz, up to the fault where there is one. note: what
    should be known of it. error: why it cannot be used.
    """

    samples: NDArray[np.float32]
    sample_rate: int
    name: str
    note: str | None = None
    error: str | None = None


Source = str | Path | Waveform | SoundBytes | Decoded


def name_of(source: Source) -> str | Path:
    """What errors and warnings call a clip."""
    return source.name if isinstance(source, Waveform | SoundBytes | Decoded) else source


Remark = Callable[[str], None]
"""Called with what should be known of a clip that can be read, such as that it is silent."""


def audio_blocks(
    source: Source,
    *,
    sample_rate: int,
    block_s: float = BLOCK_S,
    remark: Remark | None = None,
) -> Generator[NDArray[np.float32]]:
    """Yield a clip as float32 mono blocks at `sample_rate` Hz, from its start to its end.

    block_s: seconds of source read at a time; changes memory, never the samples. Channels are
    averaged. The blocks together have the length and values of one-shot soxr.

    Raises AudioError, when the fault is reached, on a clip that is missing, undecodable,
    truncated, empty, shorter than 10 ms, or holds NaN, infinite or absurdly large samples;
    SettingsError on a bad `sample_rate` or `block_s`. At the end of a silent clip, or of one whose
    channels cancel, calls `remark` with the reason, or without one warns SilentAudioWarning or
    CancellingChannelsWarning.
    """
    check_rate(sample_rate)
    if not (math.isfinite(block_s) and block_s > 0):
        raise SettingsError(f"block_s is {block_s}; expected seconds > 0")
    if isinstance(source, Decoded):
        return _decoded_blocks(source, sample_rate, remark)
    return _telling_blocks(source, sample_rate, block_s, remark)


def decode(source: Source, *, sample_rate: int, most_s: float = math.inf) -> Decoded | None:
    """Decode a whole clip for use elsewhere; None where it is longer than `most_s` seconds.

    A fault is kept in the clip, and raised where the clip is used.
    """
    blocks: list[NDArray[np.float32]] = [np.zeros(0, np.float32)]
    notes: list[str] = []
    error, left = None, most_s * sample_rate
    with closing(audio_blocks(source, sample_rate=sample_rate, remark=notes.append)) as read:
        try:
            for block in read:
                blocks.append(block)
                left -= len(block)
                if left < 0:
                    return None
        except AudioError as fault:
            error = fault.reason
    return Decoded(
        samples=np.concatenate(blocks),
        sample_rate=sample_rate,
        name=str(name_of(source)),
        note=notes[0] if notes else None,
        error=error,
    )


def _decoded_blocks(
    clip: Decoded, sample_rate: int, remark: Remark | None
) -> Generator[NDArray[np.float32]]:
    if clip.sample_rate != sample_rate:
        raise SettingsError(f"{clip.name}: decoded at {clip.sample_rate} Hz, not {sample_rate}")
    length = round(BLOCK_S * sample_rate)
    for start in range(0, len(clip.samples), length):
        yield clip.samples[start : start + length]
    if clip.error is not None:
        raise AudioError(clip.name, clip.error)
    if clip.note is not None:
        tell(clip.name, clip.note, remark, stacklevel=2)


def _telling_blocks(
    source: Source, sample_rate: int, block_s: float, remark: Remark | None
) -> Generator[NDArray[np.float32]]:
    level = Level()
    yield from levelled_blocks(source, sample_rate, block_s, level)
    if level.note is not None:
        tell(name_of(source), level.note, remark, stacklevel=2)


def tell(name: str | Path, what: str, remark: Remark | None, *, stacklevel: int = 2) -> None:
    """Call `remark`, or without one warn SilentAudioWarning with the name of the clip."""
    if remark is not None:
        remark(what)
        return
    kind = CancellingChannelsWarning if what == CANCELLED else SilentAudioWarning
    warnings.warn(f"{shown(name)}: {what}", kind, stacklevel=stacklevel + 1)


def load_audio(
    source: Source, *, sample_rate: int, first_s: float = math.inf
) -> NDArray[np.float32]:
    """Read a clip: float32 mono, shape (samples,), at `sample_rate` Hz.

    Full scale is [-1, 1]; resampling and float files may exceed it a little. first_s: seconds from
    the start, above 0; at most one block more is decoded, and faults further on are not found.
    Errors and warnings as for `audio_blocks`.
    """
    if not first_s > 0:
        raise SettingsError(f"first_s is {first_s}; expected seconds > 0")
    blocks = audio_blocks(source, sample_rate=sample_rate)
    if math.isinf(first_s):
        return np.concatenate(list(blocks))
    wanted = round(first_s * sample_rate)
    read: list[NDArray[np.float32]] = []
    with closing(blocks):
        for block in blocks:
            read.append(block)
            wanted -= len(block)
            if wanted <= 0:
                break
    samples = np.concatenate(read)
    return samples[: len(samples) + wanted] if wanted < 0 else samples


def check_rate(sample_rate: int) -> None:
    """Raise SettingsError unless `sample_rate` is a whole number of Hz above 0."""
    whole = isinstance(sample_rate, int | np.integer) and not isinstance(sample_rate, bool)
    if not whole or sample_rate < 1:
        raise SettingsError(f"sample_rate is {sample_rate!r}; expected Hz, a whole number > 0")


def levelled_blocks(
    source: Source, sample_rate: int | None, block_s: float, level: Level
) -> Generator[NDArray[np.float32]]:
    """As `audio_blocks`, without warnings; `level` measures the clip.

    sample_rate: Hz; None for the source's own.
    """
    if isinstance(source, Waveform):
        rate = level.sample_rate = int(source.sample_rate)
        raw = _array_blocks(source.samples, max(1, round(block_s * rate)))
        yield from _resampled(raw, source.name, sample_rate or rate, level)
        return
    if not isinstance(source, str | Path | SoundBytes):
        raise AudioError(
            f"<{type(source).__name__}>",
            "expected a path or a Waveform (an array needs its rate: "
            "Waveform(samples=array, sample_rate=16000))",
        )
    file = source if isinstance(source, SoundBytes) else Path(source)
    name = name_of(file)
    with open_sound(file) as sound:
        rate = level.sample_rate = int(sound.samplerate)
        raw = file_blocks(sound, name, max(1, round(block_s * rate)))
        yield from _resampled(raw, name, sample_rate or rate, level)


def _array_blocks(samples: NDArray[np.generic], frames: int) -> Iterator[NDArray[np.floating]]:
    """Slices of an array as (frames, channels) floats, full scale 1.0."""
    shaped = samples[:, None] if samples.ndim == 1 else samples
    zero, full = _FULL_SCALE[samples.dtype.name]
    for start in range(0, len(shaped), frames):
        block = shaped[start : start + frames]
        yield (block.astype(np.float64) - zero) / full


def _resampled(
    raw: Iterator[NDArray[np.floating]], name: str | Path, sample_rate: int, level: Level
) -> Iterator[NDArray[np.float32]]:
    """Check, mix to mono and resample (frames, channels) blocks."""
    resampler, source_rate = None, level.sample_rate
    if source_rate != sample_rate:
        resampler = soxr.ResampleStream(source_rate, sample_rate, 1, dtype="float32", quality="HQ")
    for block in raw:
        peak = _checked_peak(block, name, level.frames, source_rate)
        mono = _mono(block)
        level.add(block, mono, peak)
        out = resampler.resample_chunk(mono) if resampler else mono
        if len(out):
            yield out
    _check_duration(name, level.frames, source_rate)
    if resampler and len(rest := resampler.resample_chunk(np.zeros(0, np.float32), last=True)):
        yield rest


def _mono(block: NDArray[np.floating]) -> NDArray[np.float32]:
    """Mean of the channels, (frames, channels) to (frames,); the same digits as `block.mean`.

    Adding whole channels is twenty times as fast as adding two numbers for each frame. From eight
    channels on numpy adds in another order.
    """
    channels = block.shape[1]
    if not 1 <= channels < 8:
        mean: NDArray[np.float32] = block.mean(axis=1).astype(np.float32, copy=False)
        return mean
    mono = block[:, 0].copy()
    for channel in range(1, channels):
        mono += block[:, channel]
    mono /= channels
    single: NDArray[np.float32] = mono.astype(np.float32, copy=False)
    return single


def _checked_peak(
    block: NDArray[np.floating], name: str | Path, frames_before: int, source_rate: int
) -> float:
    """The greatest absolute sample; AudioError where one is NaN, infinite or absurdly large."""
    peak = max(float(block.max()), -float(block.min())) if block.size else 0.0
    if not math.isfinite(peak):  # NaN goes through both, infinity through one
        finite = np.isfinite(block).all(axis=1)  # (frames,)
        at = frames_before + int(np.argmin(finite))
        raise AudioError(
            name,
            f"sample {at} (at {at / source_rate:.3f} s) is NaN or infinite; "
            "export the clip again, or replace such samples by 0",
        )
    if peak > PEAK_LIMIT:
        raise AudioError(
            name,
            f"samples reach {peak:g}, full scale is 1.0 (are these integers stored as floats? "
            "divide 16-bit values by 32768)",
        )
    return peak


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
