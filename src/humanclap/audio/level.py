"""How loud a clip is as it is read: is there anything to hear in the average of its channels?"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from humanclap.audio.names import shown

SILENCE_PEAK = 1e-5
"""A clip that never exceeds this (-100 dB of full scale) is called silent; half a 16-bit step is
1.5e-5."""
CANCELLED_SHARE = 1e-3
"""Channels cancel where less than this share (-30 dB) of their mean energy is left in their
average; of n unlike channels 1/n is left, of 64 of them -18 dB."""

Note = Literal["silent", "channels cancel"]
"""Why the score of a clip that could be read says nothing."""


class SilentAudioWarning(UserWarning):
    """A clip holds nothing but silence; its score says nothing about the text."""


class CancellingChannelsWarning(SilentAudioWarning):
    """A clip's channels cancel when averaged: nobody hears what its score is of."""


@dataclass(slots=True)
class Level:
    """What was read of a clip: its rate in Hz, its length, its peaks, its energies."""

    sample_rate: int = 0
    frames: int = 0
    peak: float = 0.0
    mono_peak: float = 0.0
    energy: float = 0.0
    mono_energy: float = 0.0

    def add(self, block: NDArray[np.floating], mono: NDArray[np.float32]) -> None:
        """Hear the next samples: block (frames, channels), mono their average (frames,)."""
        if not len(mono):
            return
        self.frames += len(mono)
        self.mono_peak = max(self.mono_peak, float(np.abs(mono).max()))
        if block.shape[1] == 1:
            self.peak = self.mono_peak
            return
        self.peak = max(self.peak, float(np.abs(block).max()))
        self.energy += float(np.mean(block**2, dtype=np.float64)) * len(mono)
        self.mono_energy += float(np.mean(mono**2, dtype=np.float64)) * len(mono)

    @property
    def note(self) -> Note | None:
        """What is to be said of a clip that was read to its end."""
        if self.peak < SILENCE_PEAK:
            return "silent"
        cancelled = self.mono_energy < CANCELLED_SHARE * self.energy
        return "channels cancel" if cancelled or self.mono_peak < SILENCE_PEAK else None

    def warn(self, name: str | Path) -> None:
        """Warn of what `note` says."""
        if self.note == "silent":
            message = "silent from start to end; its score says nothing"
            warnings.warn(f"{shown(name)}: {message}", SilentAudioWarning, stacklevel=2)
        elif self.note == "channels cancel":
            message = (
                "its channels cancel each other when they are averaged (opposite phase?); its "
                "score says nothing. Use one of them: ffmpeg -i IN -af 'pan=mono|c0=c0' OUT"
            )
            warnings.warn(f"{shown(name)}: {message}", CancellingChannelsWarning, stacklevel=2)
