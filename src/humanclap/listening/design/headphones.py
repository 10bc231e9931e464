"""Sounds of the sound check: noise to set the volume by, and tones that only headphones separate.

The headphone check asks which of three tones is the quietest. One is 6 dB below the others; of
the other two, one has its channels in opposite phase. These cancel in the air between two
loudspeakers, so that this tone seems the quietest, but not in headphones.
Source: Woods, Siegel, Traer & McDermott 2017, "Headphone screening to facilitate web-based
auditory experiments".
"""

from __future__ import annotations

import io
import random
from collections.abc import Sequence

import numpy as np
import soundfile
from numpy.typing import NDArray

SAMPLE_RATE = 44_100
ROWS = 6
PASS_AT = 5
"""Right answers that pass, of six (as published)."""
KINDS = ("plain", "opposite", "quiet")

_TONE_HZ = 200.0
_TONE_S = 1.0
_RAMP_S = 0.1
_LEVEL = 0.25
_QUIETER_DB = 6.0
_NOISE_S = 2.5
_GAP_S = 0.5
_LOUDEST_DB = -14.0
"""Noise louder than this would be clipped at its peaks."""
USUAL_LEVELS_DB = (-23.0, -15.0)
"""Levels of the reference noise where those of the study's sounds are not known."""


def rows_of(seed: str) -> list[tuple[str, ...]]:
    """The order of the three tones in each row, by the session's seed."""
    generator = random.Random(f"headphones {seed}")
    return [tuple(generator.sample(KINDS, len(KINDS))) for _ in range(ROWS)]


def n_right(seed: str, answers: list[int]) -> int:
    """How many rows were answered with the quiet tone (positions from 0)."""
    return sum(row[answer] == "quiet" for row, answer in zip(rows_of(seed), answers, strict=True))


def tone(kind: str) -> bytes:
    """A stereo WAV of one tone."""
    time_s = np.arange(int(_TONE_S * SAMPLE_RATE)) / SAMPLE_RATE
    ramp = np.minimum(1.0, np.minimum(time_s, _TONE_S - time_s) / _RAMP_S)
    left = _LEVEL * ramp * np.sin(2 * np.pi * _TONE_HZ * time_s)
    if kind == "quiet":
        left = left * 10 ** (-_QUIETER_DB / 20)
    return _wav(np.stack([left, -left if kind == "opposite" else left], axis=1))


def volume_noise(levels_db: Sequence[float] = USUAL_LEVELS_DB) -> bytes:
    """A mono WAV of pink noise (100 Hz to 10 kHz), one burst at each level.

    levels_db: root mean square in dB below full scale; above -14 dB it stays at -14.
    """
    burst, gap = _pink_noise(), np.zeros(int(_GAP_S * SAMPLE_RATE))
    parts = [burst * 10 ** (min(level, _LOUDEST_DB) / 20) for level in levels_db]
    spaced = [piece for part in parts for piece in (part, gap)][:-1]
    return _wav(np.concatenate(spaced)[:, None])


def _pink_noise() -> NDArray[np.float64]:
    """Noise with a root mean square of 1."""
    generator = np.random.default_rng(0)
    n = int(_NOISE_S * SAMPLE_RATE)
    spectrum = np.fft.rfft(generator.standard_normal(n))
    frequency = np.fft.rfftfreq(n, 1 / SAMPLE_RATE)
    audible = (frequency > 100) & (frequency < 10_000)
    spectrum = np.where(audible, spectrum / np.sqrt(np.maximum(frequency, 1.0)), 0)
    noise = np.fft.irfft(spectrum, n)
    return np.asarray(noise / np.sqrt(np.mean(noise**2)))


def _wav(samples: NDArray[np.float64]) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, SAMPLE_RATE, format="WAV", subtype="PCM_16")
    return file.getvalue()
