"""How loud the sounds of a study are, so that a noise can stand for them in the volume check."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from humanclap.errors import AudioError
from humanclap.listening.design.clips import Samples, read_clip
from humanclap.listening.design.headphones import USUAL_LEVELS_DB
from humanclap.listening.study.study import Study, stimuli_of

MOMENT_S = 0.4
"""Length of a moment, as in EBU R 128's momentary loudness (without its filter)."""
CLIPS_MEASURED = 40
_LOUD = 0.95


def momentary_level(samples: Samples, sample_rate: int) -> float:
    """Level of a clip's loudest moment: dB below full scale, -inf for silence.

    samples: 16-bit, shape (n, channels). The root mean square over channels and 0.4 s (over all
    of a shorter clip), at its largest.
    """
    power = np.mean((samples / 32768.0) ** 2, axis=1)  # (n,)
    if not len(power):
        return -math.inf
    n = min(len(power), max(1, round(MOMENT_S * sample_rate)))
    total = np.concatenate([[0.0], np.cumsum(power)])
    loudest = float(np.max(total[n:] - total[:-n])) / n
    return 10.0 * math.log10(loudest) if loudest > 0 else -math.inf


def reference_levels(study: Study) -> tuple[float, float]:
    """Levels of a usual and of a loud sound of the study: median and 95th percentile.

    Of up to 40 clips, spread evenly over the study; clips that are silent or cannot be read are
    left out, and usual levels are given where none is left.
    """
    with study.database.read() as connection:
        clips = list(dict.fromkeys(s.audio for s in stimuli_of(connection) if s.kind == "pair"))
    n = min(len(clips), CLIPS_MEASURED)
    levels = [_level(study, clips[i * len(clips) // n]) for i in range(n)]
    heard: NDArray[np.float64] = np.array([level for level in levels if math.isfinite(level)])
    if not len(heard):
        return USUAL_LEVELS_DB
    return float(np.median(heard)), float(np.quantile(heard, _LOUD))


def _level(study: Study, audio: str) -> float:
    try:
        return momentary_level(*read_clip(study.audio_root / audio))
    except AudioError:
        return -math.inf
