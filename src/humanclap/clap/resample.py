"""Sample-rate conversion in torch, with a gradient and on any device: soxr's filter at quality HQ.

Scoring resamples by soxr, whose filter has linear phase and stops at the lower Nyquist frequency.
Its response is read from what soxr makes of an impulse, and applied in the frequency domain.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import soxr
import torch
from numpy.typing import NDArray
from scipy.fft import next_fast_len
from torch import Tensor

_TAIL = 128
"""Half the length of the impulse response, in samples at the lower rate (soxr's: about 110)."""
_POINTS = 1 << 15
"""Points of the response between 0 and the lower Nyquist frequency."""
_STEEP = 64
"""For steps up of this factor or more (500 Hz to 32 kHz) there are fewer points, to save memory."""


def resample(waveforms: Tensor, from_rate: int, to_rate: int) -> Tensor:
    """(..., samples) at `from_rate` Hz -> (..., floor(samples * to_rate / from_rate + 0.5)).

    The result has the type of the waveforms, float32 or float64, under autocast too. Samples before
    the first and after the last count as 0, and the length is that of soxr. It is linear, so its
    gradient is exact. Time and memory are those of two Fourier transforms.
    """
    if from_rate == to_rate:
        return waveforms
    samples = waveforms.shape[-1]
    length = math.floor(samples * to_rate / from_rate + 0.5)
    common = math.gcd(from_rate, to_rate)
    tail = math.ceil(_TAIL * from_rate / min(from_rate, to_rate))
    blocks = next_fast_len(math.ceil((samples + tail) * common / from_rate), real=True)
    padded, made = blocks * from_rate // common, blocks * to_rate // common
    response = _response(from_rate, to_rate, min(padded, made), waveforms.device, waveforms.dtype)
    with torch.autocast(waveforms.device.type, enabled=False):
        spectrum = torch.fft.rfft(waveforms, n=padded)[..., : len(response)] * response
        resampled: Tensor = torch.fft.irfft(spectrum, n=made)[..., :length]
    return resampled


@lru_cache(maxsize=32)
def _response(
    from_rate: int, to_rate: int, period: int, device: torch.device, dtype: torch.dtype
) -> Tensor:
    """The filter at the frequencies of a transform of `period` samples at the lower rate, with the
    factor between the two transforms: (period // 2 + 1,).

    Never an inference tensor, since a gradient may be asked for later.
    """
    shares = np.arange(period // 2 + 1) / (period / 2)  # of the lower Nyquist frequency
    measured = _soxrs_response(from_rate, to_rate)
    values = np.interp(shares, np.linspace(0, 1, len(measured)), measured)
    with torch.inference_mode(False):
        return torch.from_numpy(values * (to_rate / from_rate)).to(device, dtype)


@lru_cache(maxsize=32)
def _soxrs_response(from_rate: int, to_rate: int) -> NDArray[np.float64]:
    """Gain of soxr's filter at equal steps from 0 to the lower Nyquist frequency."""
    lower = min(from_rate, to_rate)
    seconds = math.ceil(_TAIL / lower)  # behind a whole second an impulse falls on a sample
    impulse = np.zeros(2 * seconds * from_rate, np.float32)
    impulse[seconds * from_rate] = 0.5
    made = soxr.resample(impulse, from_rate, to_rate, quality="HQ").astype(np.float64)
    reach = _TAIL * to_rate // lower
    centre = seconds * to_rate
    half = made[centre : centre + reach] + made[centre : centre - reach : -1]  # it is even
    half[0] = made[centre]
    points = max(2 * _TAIL, min(_POINTS, _POINTS * _STEEP * lower // to_rate))
    transform = np.fft.rfft(half, n=2 * points * to_rate // lower).real[: points + 1]
    transform[-1] = 0.0
    gain: NDArray[np.float64] = transform / transform[0]
    return gain
