"""Codes of what a clip sounds like, and a search for known clips that share its recording.

A copy of a clip that was cut, resampled or stored as MP3 has almost the same codes as the clip. So
a model can recognise the clips it was trained on by about a hundred bytes each, from which nobody
can hear them.

A code has 32 bits and belongs to one frame of sound. For that, the energies of 33 mel bands are
measured in each frame. Bit n says whether band n gains energy against band n + 1 from one frame to
the frame `LAG` frames later. This is the sub-fingerprint of Haitsma & Kalker 2002 (A Highly Robust
Audio Fingerprinting System, ISMIR) with two changes: the bands reach up to 6.5 kHz, as most clips
are not music, and the step in time is longer, so that the few codes of a clip say different things.
The level of a clip does not matter, because it cancels out in differences of logarithms.

A known clip keeps every `stride`-th code. A clip that is looked for has a code at every frame, so
each kept code has a frame of it within half a hop, wherever the clip was cut. Two clips share a
recording if their codes, laid over each other, differ in far fewer bits than by chance. Silence and
constant tones have no codes and match nothing.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from humanclap.audio.load import SilentAudioWarning, Source, audio_blocks

IDENTITY_RATE = 32_000
"""Hz at which a clip is decoded only for its codes; any rate from `MIN_RATE` on would do."""
MIN_RATE = 14_000
"""Hz; a clip below this rate has no codes, because its upper bands would be empty."""
HOP_S = 0.032
FRAME_HOPS = 2
SMOOTH = 6
"""Frames over which energies are averaged with Hann weights: 0.19 s."""
LAG = 6
"""Frames between the two moments that a code compares."""
LOW_HZ, HIGH_HZ, BANDS = 150.0, 6500.0, 33
FLOOR = 1e-3
"""A band below this share of the mean energy of its frame counts as empty (-30 dB)."""
QUIET = 1e-6
"""A frame below this share of the energy of the loudest frame has no code (-60 dB)."""
SILENT = 1e-14
"""A frame below this energy has no code, however quiet the others are (about -110 dB)."""
STEADY = 0.02
"""A frame that changes less, on average and in natural logarithms, is a constant tone: no code."""

CODES_KEPT = 32
"""About as many codes are kept of a clip of up to 12 s; 4 bytes each."""
MIN_STRIDE, MAX_STRIDE = 3, 12
MIN_CODES = 6
"""A clip needs so many codes to be recognised, and two clips must have so many in common."""
MAX_ERROR_RATE = 0.24
"""Greatest share of bits that may differ between two clips with the same recording."""
MIN_DEVIATION = 9.0
"""Equal bits must exceed chance by so many standard deviations of independent bits."""
OTHER_BITS = 6
"""Where one half of a code agrees, the two clips are compared if at most so many bits differ in the
other half. That drops 77 % of chance hits, and 8 % of hits with a quarter of the bits wrong."""
_SHIFTS = 1 << 32
"""A clip's number times this, plus half of it and a shift in frames, is an alignment."""
_ONE_THREAD = 1 << 18
"""OpenBLAS uses one thread for a product of matrices with at most so many multiplications."""

Codes = NDArray[np.uint32]
"""Shape (frames,): the code of each frame, 0 for a frame without one."""

_BIT_COUNTS = np.array([bin(number).count("1") for number in range(1 << 16)], dtype=np.uint8)
_WEIGHTS = (1 << np.arange(32, dtype=np.uint64)).astype(np.uint32)

RealTransform = Callable[[NDArray[np.float32]], NDArray[np.complex64]]
"""Rows (n, length) to the first half of their Fourier transforms, (n, length // 2 + 1)."""


class Hearing:
    """Makes the codes of a clip that comes in blocks; only its band energies stay in memory.

    transform: computes spectra; None: scipy's, which takes a while to import.
    """

    def __init__(self, sample_rate: int, transform: RealTransform | None = None) -> None:
        self._rate = sample_rate
        self._transform = transform or _scipys
        self._hop = round(sample_rate * HOP_S)
        self._pending = np.zeros(0, np.float32)
        self._energies: list[NDArray[np.float32]] = []

    def add(self, block: NDArray[np.float32]) -> None:
        """Hear the next samples, shape (n,)."""
        if self._rate < MIN_RATE:
            return
        samples = np.concatenate((self._pending, block))
        count = max(0, len(samples) // self._hop - FRAME_HOPS + 1)
        if count:
            self._energies.append(
                _band_energies(samples, self._rate, self._hop, count, self._transform)
            )
        self._pending = samples[count * self._hop :]

    def codes(self) -> Codes:
        """Codes of all blocks so far."""
        if not self._energies:
            return np.zeros(0, np.uint32)
        return _codes(np.concatenate(self._energies))


def clip_codes(source: Source, *, sample_rate: int = IDENTITY_RATE) -> Codes:
    """Codes of a whole clip; a silent one has none. Raises as `audio_blocks`."""
    hearing = Hearing(sample_rate)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SilentAudioWarning)
        for block in audio_blocks(source, sample_rate=sample_rate):
            hearing.add(block)
    return hearing.codes()


def _band_energies(
    samples: NDArray[np.float32], rate: int, hop: int, count: int, transform: RealTransform
) -> NDArray[np.float32]:
    """Mean square of each band in each frame, (count, BANDS)."""
    length = FRAME_HOPS * hop
    n_fft = _fast_length(length)
    window, bands = _filters(rate, length, n_fft)
    frames = np.lib.stride_tricks.sliding_window_view(samples, length)[: count * hop : hop]
    windowed = np.zeros((count, n_fft), np.float32)
    np.multiply(frames, window, out=windowed[:, :length])
    spectra = transform(windowed)[:, : len(bands)]
    return _product(spectra.real**2 + spectra.imag**2, bands)


def _scipys(rows: NDArray[np.float32]) -> NDArray[np.complex64]:
    from scipy import fft

    spectra: NDArray[np.complex64] = fft.rfft(rows, axis=1)
    return spectra


def _fast_length(length: int) -> int:
    """The least number from `length` on without prime factors above 5: quick to transform."""
    while True:
        rest = length
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return length
        length += 1


def _product(rows: NDArray[np.float32], matrix: NDArray[np.float32]) -> NDArray[np.float32]:
    """`rows @ matrix` in parts so small that OpenBLAS multiplies them in the calling thread.

    For larger ones it wakes a thread for each processor. These then keep the processors busy while
    they wait for each other, and the threads that decode and encode lose them.
    """
    part = max(1, _ONE_THREAD // matrix.size)
    parts = [rows[start : start + part] @ matrix for start in range(0, len(rows), part)]
    return np.concatenate(parts)


@lru_cache(maxsize=8)
def _filters(rate: int, length: int, n_fft: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Hann window, and the share of each bin in each band; bands touch and are mel-spaced."""
    low, high = (2595 * np.log10(1 + hz / 700) for hz in (LOW_HZ, HIGH_HZ))
    edges = 700 * (10 ** (np.linspace(low, high, BANDS + 1) / 2595) - 1)  # Hz
    width = rate / n_fft
    bins = np.arange(min(n_fft // 2, int(HIGH_HZ / width) + 1) + 1)[:, None] * width
    upper = np.minimum(edges[1:], bins + width / 2)
    inside = np.maximum(upper - np.maximum(edges[:-1], bins - width / 2), 0) / width
    window = np.hanning(length + 1)[:-1]
    return window.astype(np.float32), (inside / length**2).astype(np.float32)


def _codes(energies: NDArray[np.float32]) -> Codes:
    """Energies (frames, BANDS) to codes (frames - SMOOTH - LAG + 1,)."""
    count = len(energies) - SMOOTH + 1
    if count <= LAG:
        return np.zeros(0, np.uint32)
    weights = np.hanning(SMOOTH + 2)[1:-1]
    smooth = np.zeros((count, BANDS))
    for shift, weight in enumerate(weights / weights.sum()):
        smooth += weight * energies[shift : shift + count]
    mean = smooth.mean(axis=1)
    level = np.log(smooth + FLOOR * mean[:, None] + SILENT)
    slope = level[:, :-1] - level[:, 1:]
    change = slope[LAG:] - slope[:-LAG]  # (frames, 32)
    quieter = np.minimum(mean[LAG:], mean[:-LAG])
    loud = (quieter > QUIET * mean.max()) & (quieter > SILENT)
    told = loud & (np.abs(change).mean(axis=1) > STEADY)
    codes: Codes = np.where(told, (change > 0) @ _WEIGHTS, 0).astype(np.uint32)
    return codes


@dataclass(frozen=True, slots=True, eq=False)
class KeptClip:
    """What is kept of a known clip: every `stride`-th code, 0 where it has none."""

    codes: Codes
    stride: int


def keep(codes: Codes) -> KeptClip | None:
    """About 32 codes of a clip; None where it is too short, silent or steady to be recognised.

    A second of changing sound is enough; see `MIN_CODES`.
    """
    told = np.flatnonzero(codes)
    if not len(told):
        return None
    codes = codes[told[0] : told[-1] + 1]
    stride = int(np.clip(-(-len(told) // CODES_KEPT), MIN_STRIDE, MAX_STRIDE))
    kept = codes[::stride].copy()
    return KeptClip(kept, stride) if np.count_nonzero(kept) >= MIN_CODES else None


class ClipIndex:
    """A search for clips among the known ones.

    Where one half of a code agrees with a kept one, and the other half nearly, the two clips are
    laid over each other at that place, and all their codes decide.
    """

    def __init__(self, clips: Sequence[KeptClip]) -> None:
        lengths = np.array([len(clip.codes) for clip in clips], dtype=np.int64)
        self._codes = np.concatenate([np.zeros(0, np.uint32), *(clip.codes for clip in clips)])
        self._lengths = lengths
        self._starts = np.cumsum(lengths) - lengths
        self._strides = np.array([clip.stride for clip in clips], dtype=np.int64)
        owners = np.repeat(np.arange(len(clips)), lengths)
        places = np.arange(len(self._codes)) - self._starts[owners]
        offsets = places * self._strides[owners]  # frames from the clip's first kept code
        told = np.flatnonzero(self._codes)
        self._tables = [
            _Buckets(half, other, owners[told], offsets[told])
            for half, other in _both_ways(self._codes[told])
        ]

    def find(self, codes: Codes) -> NDArray[np.intp]:
        """Numbers of the known clips that share a recording with the clip of these codes."""
        told = np.flatnonzero(codes)
        if len(told) < MIN_CODES or not len(self._codes):
            return np.zeros(0, np.intp)
        asked = _both_ways(codes[told])
        found = [
            table.alignments(half, other, told)
            for table, (half, other) in zip(self._tables, asked, strict=True)
        ]
        clips, shifts = np.divmod(np.unique(np.concatenate(found)), _SHIFTS)
        shifts -= _SHIFTS // 2
        return np.unique(clips[self._same(codes, clips, shifts)])

    def _same(
        self, codes: Codes, clips: NDArray[np.int64], shifts: NDArray[np.int64]
    ) -> NDArray[np.bool_]:
        """Whether the codes agree with those of each clip, laid over them at its shift."""
        lengths = self._lengths[clips]
        row = np.repeat(np.arange(len(clips)), lengths)
        place = np.arange(len(row)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        known = self._codes[self._starts[clips][row] + place]
        frame = shifts[row] + place * self._strides[clips][row]
        inside = (frame >= 0) & (frame < len(codes))
        heard = codes[np.where(inside, frame, 0)]
        both = inside & (known != 0) & (heard != 0)
        wrong = np.where(both, _bits_set(known ^ heard), 0)
        common = np.bincount(row, both, len(clips))
        bits = np.maximum(32 * common, 1)
        rate = np.bincount(row, wrong, len(clips)) / bits
        deviation = (1 - 2 * rate) * np.sqrt(bits)
        return (common >= MIN_CODES) & (rate <= MAX_ERROR_RATE) & (deviation >= MIN_DEVIATION)


class _Buckets:
    """Kept codes, found by one half of their bits; with the other half."""

    def __init__(
        self,
        half: NDArray[np.int64],
        other: NDArray[np.int64],
        owners: NDArray[np.intp],
        offsets: NDArray[np.int64],
    ) -> None:
        order = np.argsort(half, kind="stable")
        self._bounds = np.searchsorted(half[order], np.arange((1 << 16) + 1))
        self._other = other[order]
        self._places = owners[order] * _SHIFTS + _SHIFTS // 2 - offsets[order]

    def alignments(
        self, half: NDArray[np.int64], other: NDArray[np.int64], frames: NDArray[np.intp]
    ) -> NDArray[np.int64]:
        """Where kept codes agree with those at `frames`: numbers as `_SHIFTS` says."""
        first, counts = self._bounds[half], self._bounds[half + 1] - self._bounds[half]
        asked = np.repeat(np.arange(len(half)), counts)
        places = np.arange(len(asked)) - np.repeat(np.cumsum(counts) - counts - first, counts)
        near = _BIT_COUNTS[self._other[places] ^ other[asked]] <= OTHER_BITS
        found: NDArray[np.int64] = self._places[places[near]] + frames[asked[near]]
        return found


def _both_ways(codes: Codes) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Each half of the codes, with the other."""
    low, high = (codes & 0xFFFF).astype(np.int64), (codes >> 16).astype(np.int64)
    return [(low, high), (high, low)]


def _bits_set(codes: Codes) -> NDArray[np.uint8]:
    bits: NDArray[np.uint8] = _BIT_COUNTS[codes & 0xFFFF] + _BIT_COUNTS[codes >> 16]
    return bits
