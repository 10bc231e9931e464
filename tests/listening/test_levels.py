"""The noise of the volume check is as loud as the study's sounds."""

from __future__ import annotations

import io
import math
from pathlib import Path

import numpy as np
import pytest
import soundfile

from humanclap.listening.design.headphones import SAMPLE_RATE, USUAL_LEVELS_DB, volume_noise
from humanclap.listening.study.loudness import momentary_level, reference_levels
from humanclap.listening.study.study import create_study, open_study
from humanclap.records import Pair

from .conftest import DESIGN

RATE = 8000


def sine(amplitude: float, seconds: float) -> np.ndarray:
    wave = amplitude * np.sin(2 * np.pi * 100 * np.arange(int(seconds * RATE)) / RATE)
    return np.rint(32767 * wave).astype(np.int16)[:, None]


def test_the_level_is_that_of_the_loudest_moment() -> None:
    # a sine of amplitude 0.5 has a root mean square of 0.5 / sqrt(2): -9.03 dB
    tone, hush = sine(0.5, 0.4), np.zeros((5 * RATE, 1), np.int16)
    assert momentary_level(tone, RATE) == pytest.approx(-9.03, abs=0.01)
    between = np.concatenate([hush, tone, hush])
    assert momentary_level(between, RATE) == pytest.approx(-9.03, abs=0.01)
    assert momentary_level(hush, RATE) == -math.inf
    assert momentary_level(hush[:0], RATE) == -math.inf


def test_the_noise_has_the_levels_asked_for_and_is_never_clipped() -> None:
    samples, rate = soundfile.read(io.BytesIO(volume_noise((-30.0, -3.0))))
    n = int(2.5 * SAMPLE_RATE)
    bursts = samples[:n], samples[-n:]
    levels = [10 * math.log10(np.mean(burst**2)) for burst in bursts]
    assert rate == SAMPLE_RATE
    assert levels == pytest.approx([-30.0, -14.0], abs=0.05)
    assert np.max(np.abs(samples)) < 1.0


def test_the_reference_is_the_median_and_the_95th_percentile_of_the_studys_clips(
    tmp_path: Path,
) -> None:
    pairs = []
    for number, amplitude in enumerate((0.05, 0.1, 0.4)):
        soundfile.write(tmp_path / f"{number}.wav", sine(amplitude, 0.5), RATE)
        pairs.append(Pair(audio=f"{number}.wav", text=f"caption {number}", system="a"))
    design = DESIGN.replace("anchors = 1", "anchors = 0")
    create_study(str(tmp_path / "s.sqlite"), design_text=design, pairs=pairs, audio_root=tmp_path)
    study = open_study(tmp_path / "s.sqlite")
    levels = [20 * math.log10(a / math.sqrt(2)) for a in (0.05, 0.1, 0.4)]
    expected = (levels[1], np.quantile(levels, 0.95))
    assert reference_levels(study) == pytest.approx(expected, abs=0.01)
    for number in range(3):
        (tmp_path / f"{number}.wav").unlink()
    assert reference_levels(study) == USUAL_LEVELS_DB
    study.close()
