"""How loud a clip is, measured while it is read, and whether its channels cancel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SILENCE_PEAK = 1e-5
"""A clip is silent if it never exceeds this (-100 dB of full scale; half a 16-bit step: 1.5e-5)."""
CANCELLED_SHARE = 1e-3
"""Channels cancel if their average keeps less than this share (-30 dB) of their mean energy. The
average of n unrelated channels keeps 1/n: -18 dB for 64 of them."""

SILENT = "silent from start to end; its score says nothing"
CANCELLED = (
    "its channels cancel each other when they are averaged (opposite phase?); its score says "
    "nothing, use one of them: ffmpeg -i IN -af 'pan=mono|c0=c0' OUT"
)


@dataclass(slots=True)
class Level:
    """What was read of a clip: its rate in Hz, its length, its peaks, its energies."""

    sample_rate: int = 0
    frames: int = 0
    peak: float = 0.0
    mono_peak: float = 0.0
    energy: float = 0.0
    mono_energy: float = 0.0

    def add(self, block: NDArray[np.floating], mono: NDArray[np.float32], peak: float) -> None:
        """Measure the next samples.

        block: (frames, channels). mono: the average of its channels, (frames,). peak: its greatest
        absolute sample.
        """
        if not len(mono):
            return
        self.frames += len(mono)
        self.mono_peak = max(self.mono_peak, float(mono.max()), -float(mono.min()))
        if block.shape[1] == 1:
            self.peak = self.mono_peak
            return
        self.peak = max(self.peak, peak)
        self.energy += float(np.mean(block**2, dtype=np.float64)) * len(mono)
        self.mono_energy += float(np.mean(mono**2, dtype=np.float64)) * len(mono)

    @property
    def note(self) -> str | None:
        """What should be known of a clip that was read to its end: SILENT, CANCELLED or nothing."""
        if self.peak < SILENCE_PEAK:
            return SILENT
        cancelled = self.mono_energy < CANCELLED_SHARE * self.energy
        return CANCELLED if cancelled or self.mono_peak < SILENCE_PEAK else None
