"""Segments of 5 s for judging an audio student: mixes of held-out clips, as waveforms.

What is done to them is more than training does (`mels.py` mixes spectrograms): speed, gain,
equaliser, low-pass, noise, crop, repetition.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.fft
from bank import SAMPLE_RATE, Clip, draw_odds, load_waveform

SEGMENT_SAMPLES = 5 * SAMPLE_RATE


def stretch(waveform: np.ndarray, speed: float) -> np.ndarray:
    """Play faster or slower (pitch moves along), by linear interpolation."""
    positions = np.arange(0, len(waveform) - 1.001, speed)
    left = positions.astype(np.int32)
    share = (positions - left).astype(np.float32)
    return waveform[left] * (1 - share) + waveform[left + 1] * share


def cut(waveform: np.ndarray, length: int, random: np.random.Generator) -> np.ndarray:
    """A random crop of at most `length` samples, as float32."""
    start = random.integers(0, max(len(waveform) - length, 0) + 1)
    return waveform[start : start + length].astype(np.float32)


def place(waveform: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """A whole segment: a shorter clip repeated, or set in silence."""
    missing = SEGMENT_SAMPLES - len(waveform)
    if missing <= 0:
        return waveform[:SEGMENT_SAMPLES]
    if random.random() < 0.5:
        repeated = np.resize(waveform, SEGMENT_SAMPLES)
        return np.roll(repeated, random.integers(0, len(waveform)))
    segment = np.zeros(SEGMENT_SAMPLES, np.float32)
    start = random.integers(0, missing + 1)
    segment[start : start + len(waveform)] = waveform
    return segment


def equalise(segment: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """A smooth random gain over frequency (up to about 12 dB), sometimes a low-pass."""
    spectrum = scipy.fft.rfft(segment)
    knots = random.normal(0, 5, 8)
    octave = np.linspace(0, 7, 512) ** 0.5 * 7**0.5
    gain_db = np.interp(octave, np.arange(8), knots)
    if random.random() < 0.3:
        gain_db[random.integers(100, 400) :] -= 60
    gain = np.interp(np.linspace(0, 511, len(spectrum)), np.arange(512), 10 ** (gain_db / 20))
    return scipy.fft.irfft(spectrum * gain.astype(np.float32), len(segment))


def one_source(waveform: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """One augmented source, at a random level."""
    if random.random() < 0.5:
        speed = float(np.exp(random.uniform(-0.35, 0.35)))
        waveform = stretch(cut(waveform, int(SEGMENT_SAMPLES * speed) + 4, random), speed)
    else:
        waveform = cut(waveform, SEGMENT_SAMPLES, random)
    segment = place(waveform, random)
    if random.random() < 0.5:
        level = np.exp(random.uniform(np.log(0.005), np.log(0.2)))
        power = float(np.dot(segment, segment)) / len(segment)
        return segment * np.float32(level / max(power**0.5, 1e-4))
    return segment * np.float32(10 ** (random.uniform(-9, 6) / 20))


def segment_of(bank: Bank, random: np.random.Generator) -> np.ndarray:
    """A mix of one to three sources, equalised, with noise now and then, in [-1, 1]."""
    count = random.choice([1, 2, 3], p=[0.45, 0.4, 0.15])
    chosen = np.searchsorted(bank.cumulated, random.random(count))
    mix = sum(one_source(bank.waveforms[index], random) for index in chosen)
    if random.random() < 0.35:
        mix = equalise(mix, random)
    if random.random() < 0.15:
        noise = random.standard_normal(len(mix), dtype=np.float32)
        mix = mix + noise * np.float32(10 ** random.uniform(-3.5, -1.5))
    return np.clip(mix, -1, 1).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Bank:
    """Waveforms (float16, 32 kHz) and the cumulated odds of choosing each."""

    waveforms: list[np.ndarray]
    cumulated: np.ndarray


def load_bank(clips: list[Clip]) -> Bank:
    """The clips, drawn by `draw_odds`."""
    waveforms = [load_waveform(clip.path).astype(np.float16) for clip in clips]
    odds = np.array([draw_odds(clip) for clip in clips])
    return Bank(waveforms, np.cumsum(odds / odds.sum()))
