"""One sound of the bank, as its maker hands it over."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SAMPLE_RATE = 32_000
LONGEST_S = 30.0
SILENCE_TEXT = "silence"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sound:
    """A sound and where it is from. `waveform`: mono, shape (samples,)."""

    waveform: np.ndarray
    rate: int = SAMPLE_RATE
    text: str = ""
    origin: str
    licence: str
