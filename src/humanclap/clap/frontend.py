"""Log-mel spectrograms in torch: one STFT, three mel scales.

Formulas: HTK mel 2595 log10(1 + f/700) (HTK book); Slaney's Auditory Toolbox scale, linear below
1 kHz and logarithmic above; Kaldi's 1127 ln(1 + f/700) with triangles drawn on the mel axis.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from torch import Tensor, nn

MelScale = Literal["slaney", "htk", "kaldi"]

_SLANEY_HZ_PER_MEL = 200.0 / 3.0
_SLANEY_BREAK_HZ = 1000.0
_SLANEY_BREAK_MEL = _SLANEY_BREAK_HZ / _SLANEY_HZ_PER_MEL
_SLANEY_LOG_STEP = math.log(6.4) / 27.0


def hz_to_mel(frequency: Tensor, scale: MelScale) -> Tensor:
    """Frequencies in Hz, any shape, to mels on `scale`."""
    if scale == "htk":
        return 2595.0 * torch.log10(1.0 + frequency / 700.0)
    if scale == "kaldi":
        return 1127.0 * torch.log1p(frequency / 700.0)
    linear = frequency / _SLANEY_HZ_PER_MEL
    above = frequency.clamp(min=_SLANEY_BREAK_HZ) / _SLANEY_BREAK_HZ
    logarithmic = _SLANEY_BREAK_MEL + torch.log(above) / _SLANEY_LOG_STEP
    return torch.where(frequency >= _SLANEY_BREAK_HZ, logarithmic, linear)


def mel_to_hz(mel: Tensor, scale: MelScale) -> Tensor:
    """Inverse of `hz_to_mel`."""
    if scale == "htk":
        return 700.0 * (10.0 ** (mel / 2595.0) - 1.0)
    if scale == "kaldi":
        return 700.0 * torch.expm1(mel / 1127.0)
    linear = mel * _SLANEY_HZ_PER_MEL
    logarithmic = _SLANEY_BREAK_HZ * torch.exp((mel - _SLANEY_BREAK_MEL) * _SLANEY_LOG_STEP)
    return torch.where(mel >= _SLANEY_BREAK_MEL, logarithmic, linear)


def mel_filterbank(
    *,
    sample_rate: int,
    n_fft: int,
    n_mels: int,
    f_min: float,
    f_max: float,
    scale: MelScale,
) -> Tensor:
    """Triangular filters, shape (n_fft // 2 + 1, n_mels), float32.

    slaney: triangles in Hz, each of area 2 / width (Slaney's norm). htk: triangles in Hz with
    peak 1. kaldi: triangles in mel with peak 1.
    """
    edges = torch.linspace(0.0, 1.0, n_mels + 2, dtype=torch.float64)
    bounds = hz_to_mel(torch.tensor([f_min, f_max], dtype=torch.float64), scale)
    mel_points = bounds[0] + edges * (bounds[1] - bounds[0])  # (n_mels + 2,)
    bins_hz = torch.linspace(0.0, sample_rate / 2, n_fft // 2 + 1, dtype=torch.float64)
    if scale == "kaldi":
        points, bins = mel_points, hz_to_mel(bins_hz, scale)
    else:
        points, bins = mel_to_hz(mel_points, scale), bins_hz
    rising = (bins[:, None] - points[None, :-2]) / (points[1:-1] - points[:-2])
    falling = (points[None, 2:] - bins[:, None]) / (points[2:] - points[1:-1])
    filters = torch.minimum(rising, falling).clamp(min=0.0)  # (n_fft // 2 + 1, n_mels)
    if scale == "slaney":
        filters = filters * (2.0 / (points[2:] - points[:-2]))
    return filters.float()


class PowerMel(nn.Module):
    """Waveform (batch, samples) -> mel power (batch, frames, n_mels); centred, Hann window.

    Power is float32 whatever autocast says: it spans more decades than bfloat16 has digits. A
    module made float64 (`double()`) gives float64. fft_dtype: of the transform; float32 where a
    device (mps) has no float64.
    """

    window: Tensor
    filters: Tensor

    def __init__(
        self,
        *,
        sample_rate: int,
        n_fft: int,
        window_length: int,
        hop_length: int,
        n_mels: int,
        f_min: float,
        f_max: float,
        scale: MelScale,
        periodic: bool = True,
        fft_dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        self.n_fft = n_fft
        self.window_length = window_length
        self.hop_length = hop_length
        self.periodic = periodic
        self.fft_dtype = fft_dtype
        window = torch.hann_window(window_length, periodic=periodic)
        filters = mel_filterbank(
            sample_rate=sample_rate,
            n_fft=n_fft,
            n_mels=n_mels,
            f_min=f_min,
            f_max=f_max,
            scale=scale,
        )
        self.register_buffer("window", window, persistent=False)
        self.register_buffer("filters", filters, persistent=False)

    def forward(self, waveforms: Tensor) -> Tensor:
        """(batch, samples) -> (batch, 1 + samples // hop_length, n_mels)."""
        if waveforms.device.type == "cpu" and len(waveforms) > 1:
            # the same digits, one clip at a time: it stays in the processor's cache, and its
            # buffers are small enough for the allocator to keep; twice as fast
            return torch.cat([self._of_batch(waveform[None]) for waveform in waveforms])
        return self._of_batch(waveforms)

    def _of_batch(self, waveforms: Tensor) -> Tensor:
        window = self._window_on(waveforms.device)
        with torch.autocast(waveforms.device.type, enabled=False):
            spectrum = torch.stft(
                waveforms.to(window.dtype),
                n_fft=self.n_fft,
                hop_length=self.hop_length,
                win_length=self.window_length,
                window=window,
                center=True,
                pad_mode="reflect",
                return_complex=True,
            ).to(self.filters.dtype.to_complex())  # (batch, n_fft // 2 + 1, frames)
            power = spectrum.real.square().add_(spectrum.imag.square())
            return power.transpose(1, 2) @ self.filters  # (batch, frames, n_mels)

    def _window_on(self, device: torch.device) -> Tensor:
        """The window in fft_dtype. A float64 one is not a buffer: `to("mps")` would fail."""
        if self.fft_dtype == torch.float32 or device.type == "mps":
            return self.window
        return torch.hann_window(
            self.window_length, periodic=self.periodic, dtype=self.fft_dtype, device=device
        )


class DecibelMel(PowerMel):
    """Waveform (batch, samples) -> mel power in dB re 1, (batch, frames, n_mels), at least -100.

    The front end of transformers' ClapFeatureExtractor: periodic Hann window, centred frames,
    10 log10(max(power, 1e-10)) and no limit below the peak. The transform is float64: in float32
    the rounding of a loud tone stands above the -100 dB floor and moves quiet bands by whole
    decibels (measured: 8 dB). settings: the others of `PowerMel`.
    """

    FLOOR_POWER = 1e-10

    def __init__(self, *, n_fft: int, **settings: Any) -> None:
        super().__init__(n_fft=n_fft, window_length=n_fft, fft_dtype=torch.float64, **settings)

    def forward(self, waveforms: Tensor) -> Tensor:
        """(batch, samples) -> (batch, 1 + samples // hop_length, n_mels), float32 or float64."""
        return 10.0 * torch.log10(super().forward(waveforms).clamp(min=self.FLOOR_POWER))
