"""What a clip sounds like in a few dozen bytes, and which known clips a clip was made of.

A code of 32 bits stands for a moment of sound: whether, from a moment to the one `LAG` frames
later, the energy of each of 33 bands rises against that of its upper neighbour. That is the
sub-fingerprint of Haitsma & Kalker 2002 (A Highly Robust Audio Fingerprinting System, ISMIR), with
mel bands up to 6.5 kHz for sounds that are not music, and a wider step in time so that the few
codes kept of a clip say unlike things. Signs of differences of logarithms do not see level. Codes
survive lossy coding and resampling; the energies of a moment hardly depend on where frames begin.

Of a known clip every `stride`-th code is kept; a clip in question is coded at every frame, so one
of its frames is within half a hop of each code kept, however it was cut. Two clips are of one
recording where their codes, laid over each other, differ in far fewer bits than chance would have
it. A constant tone and silence have no codes and match nothing.
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
"""Hz at which a clip is decoded where nothing else decodes it; any rate from `MIN_RATE` will do."""
MIN_RATE = 14_000
"""Hz below which the upper bands would be empty: there are no codes."""
HOP_S = 0.032
FRAME_HOPS = 2
SMOOTH = 6
"""Frames over which energies are averaged (Hann), 0.19 s."""
LAG = 6
"""Frames between the two moments a code compares."""
LOW_HZ, HIGH_HZ, BANDS = 150.0, 6500.0, 33
FLOOR = 1e-3
"""Share of a moment's mean energy below which a band counts as empty (-30 dB)."""
QUIET = 1e-6
"""Share of the loudest moment's energy below which a moment has no code (-60 dB)."""
SILENT = 1e-14
"""Energy below which a moment has no code, however quiet the rest is (about -110 dB)."""
STEADY = 0.02
"""Mean change, in natural logarithms, below which a moment is a constant tone: no code."""

CODES_KEPT = 32
"""Codes kept of a clip of up to 12 s; 4 bytes each."""
MIN_STRIDE, MAX_STRIDE = 3, 12
MIN_CODES = 6
"""Codes two clips must have in common, and a clip must have to be known at all."""
MAX_ERROR_RATE = 0.24
MIN_DEVIATION = 9.0
"""Standard deviations by which equal bits must outnumber chance, were all bits independent."""
OTHER_BITS = 6
"""Bits that may differ in one half of a code where the other half agrees, for an alignment to be
tried: of chance hits 77 % go, of hits with a quarter of the bits wrong 8 %."""
_SHIFTS = 1 << 32
_ONE_THREAD = 1 << 18
"""Multiplications of a product of matrices up to which OpenBLAS uses one thread."""

Codes = NDArray[np.uint32]
"""Shape (frames,): the code of each frame; 0 where there is none."""

_BIT_COUNTS = np.array([bin(number).count("1") for number in range(1 << 16)], dtype=np.uint8)
_WEIGHTS = (1 << np.arange(32, dtype=np.uint64)).astype(np.uint32)


RealTransform = Callable[[NDArray[np.float32]], NDArray[np.complex64]]
"""Rows (n, length) to the first half of their discrete Fourier transforms, (n, length // 2 + 1)."""


class Hearing:
    """Codes of a clip that comes in blocks; holds band energies only, whatever its length.

    transform: that of whoever has one at hand, None: scipy's, which takes a while to import.
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
        """Codes of all that was heard."""
        if not self._energies:
            return np.zeros(0, np.uint32)
        return _codes(np.concatenate(self._energies))


def clip_codes(source: Source, *, sample_rate: int = IDENTITY_RATE) -> Codes:
    """Codes of a whole clip; of a silent one none. Raises as `audio_blocks`."""
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
    """The least number from `length` on without prime factors above 5: it transforms quickly."""
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

    For larger ones it wakes a thread for each processor, which then wait for each other and for the
    next product, busily, and take the processors from those that decode and encode.
    """
    part = max(1, _ONE_THREAD // matrix.size)
    parts = [rows[start : start + part] @ matrix for start in range(0, len(rows), part)]
    return np.concatenate(parts)


@lru_cache(maxsize=8)
def _filters(rate: int, length: int, n_fft: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Hann window, and the share of each bin that lies in each band (mel-spaced, edge to edge)."""
    low, high = (2595 * np.log10(1 + hz / 700) for hz in (LOW_HZ, HIGH_HZ))
    edges = 700 * (10 ** (np.linspace(low, high, BANDS + 1) / 2595) - 1)  # Hz
    width = rate / n_fft
    bins = np.arange(min(n_fft // 2, int(HIGH_HZ / width) + 1) + 1)[:, None] * width
    upper = np.minimum(edges[1:], bins + width / 2)
    inside = np.maximum(upper - np.maximum(edges[:-1], bins - width / 2), 0) / width
    window = np.hanning(length + 1)[:-1]
    return window.astype(np.float32), (inside / length**2).astype(np.float32)


def _codes(energies: NDArray[np.float32]) -> Codes:
    """(frames, BANDS) to (frames - SMOOTH - LAG + 1,), 0 for moments without a code."""
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
    """What is kept of a known clip: every `stride`-th code, 0 where there is none."""

    codes: Codes
    stride: int


def keep(codes: Codes) -> KeptClip | None:
    """About 32 codes of a clip; None where it is too short, too silent or too steady to be known.

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
    """Known clips, to be asked for a clip's codes.

    An alignment is tried where 16 bits of a code agree and most of its others, then judged by all
    codes.
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
        """Numbers of the known clips that share a recording with a clip of these codes."""
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
        """Whether the codes, laid over those kept of each clip at each shift, are of one sound."""
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
    """Kept codes by 16 of their bits, with the other 16."""

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
        """Clip times `_SHIFTS`, plus half of it and the frame at which its first code would lie."""
        first, counts = self._bounds[half], self._bounds[half + 1] - self._bounds[half]
        asked = np.repeat(np.arange(len(half)), counts)
        places = np.arange(len(asked)) - np.repeat(np.cumsum(counts) - counts - first, counts)
        near = _BIT_COUNTS[self._other[places] ^ other[asked]] <= OTHER_BITS
        found: NDArray[np.int64] = self._places[places[near]] + frames[asked[near]]
        return found


def _halves(codes: Codes) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    return (codes & 0xFFFF).astype(np.int64), (codes >> 16).astype(np.int64)


def _both_ways(codes: Codes) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Each half of the codes, with the other."""
    low, high = _halves(codes)
    return [(low, high), (high, low)]


def _bits_set(codes: Codes) -> NDArray[np.uint8]:
    low, high = _halves(codes)
    bits: NDArray[np.uint8] = _BIT_COUNTS[low] + _BIT_COUNTS[high]
    return bits
