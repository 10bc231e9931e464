"""Parts that made sounds are built of: noise, resonators, oscillators, grains, rooms."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from bank_sound import SAMPLE_RATE
from scipy.fft import irfft, next_fast_len, rfft, rfftfreq
from scipy.signal import butter, lfilter, sosfilt

Random = np.random.Generator
SOUND_SPEED = 343.0  # m/s


def size_of(seconds: float) -> int:
    """Samples in so many seconds."""
    return int(seconds * SAMPLE_RATE)


def times(seconds: float) -> np.ndarray:
    """Time of each sample, in seconds."""
    return np.arange(size_of(seconds)) / SAMPLE_RATE


def between(random: Random, low: float, high: float) -> float:
    """A number between two, even on a logarithmic scale."""
    return float(np.exp(random.uniform(np.log(low), np.log(high))))


def noise(random: Random, seconds: float, slope: float = 0.0) -> np.ndarray:
    """Noise of unit level whose power falls as frequency to the `-slope` (0 white, 2 brown)."""
    size = next_fast_len(size_of(seconds), real=True)
    spectrum = rfft(random.normal(size=size))
    frequency = np.maximum(rfftfreq(size, 1 / SAMPLE_RATE), 20)
    shaped = irfft(spectrum * frequency ** (-slope / 2), size)[: size_of(seconds)]
    return shaped / (shaped.std() + 1e-12)


def band(waveform: np.ndarray, low: float, high: float) -> np.ndarray:
    """Second-order Butterworth band-pass."""
    return sosfilt(
        butter(2, [low, min(high, 15_500)], "band", fs=SAMPLE_RATE, output="sos"), waveform
    )


def resonate(waveform: np.ndarray, frequency: float, width: float) -> np.ndarray:
    """A two-pole resonator (Hz, Hz)."""
    radius = np.exp(-np.pi * width / SAMPLE_RATE)
    angle = 2 * np.pi * min(frequency, 15_000) / SAMPLE_RATE
    return lfilter([1 - radius], [1, -2 * radius * np.cos(angle), radius**2], waveform)


def wander(random: Random, seconds: float, rate: float) -> np.ndarray:
    """A smooth random curve in 0..1, about `rate` changes a second."""
    knots = random.random(max(int(seconds * rate) + 2, 3))
    return np.interp(np.linspace(0, len(knots) - 1, size_of(seconds)), np.arange(len(knots)), knots)


def sine(frequency: np.ndarray | float, seconds: float) -> np.ndarray:
    """A sine of a fixed or changing frequency."""
    return np.sin(2 * np.pi * np.cumsum(np.broadcast_to(frequency, size_of(seconds))) / SAMPLE_RATE)


def buzz(frequency: np.ndarray | float, seconds: float, harmonics: int, tilt: float) -> np.ndarray:
    """Harmonics of a changing frequency, each `tilt` powers weaker than the one below."""
    phase = 2 * np.pi * np.cumsum(np.broadcast_to(frequency, size_of(seconds))) / SAMPLE_RATE
    top = min(harmonics, int(15_000 / max(float(np.max(frequency)), 1)))
    # sin kx = 2 cos x sin (k-1)x - sin (k-2)x: two sines computed, however many harmonics
    twice, before, this = 2 * np.cos(phase), np.zeros_like(phase), np.sin(phase)
    total = this.copy()
    for k in range(2, top + 1):
        before, this = this, twice * this - before
        total += this / k**tilt
    return total


def modal(random: Random, seconds: float, base: float, ratios, decay: float, tilt: float = 1.0):
    """A struck object: decaying sines at `ratios` of a base frequency (Hz), decay in s."""
    at, struck = times(seconds), np.zeros(size_of(seconds))
    for ratio in ratios:
        frequency = base * ratio * random.uniform(0.99, 1.01)
        if frequency < 15_500:
            level = random.uniform(0.4, 1) / ratio**tilt
            struck += level * np.exp(-at * ratio**0.7 / decay) * np.sin(2 * np.pi * frequency * at)
    return struck


def burst(random: Random, seconds: float, decay: float, low: float, high: float) -> np.ndarray:
    """Band-limited noise that dies away."""
    grain = band(random.normal(size=size_of(seconds)), low, high)
    return grain * np.exp(-times(seconds) / decay)


def scatter(random: Random, seconds: float, moments, grain: Callable[[], np.ndarray]) -> np.ndarray:
    """Grains laid at moments (s), at random levels."""
    total = np.zeros(size_of(seconds))
    for moment in moments:
        piece, at = grain(), size_of(float(moment))
        piece = piece[: max(len(total) - at, 0)]
        total[at : at + len(piece)] += piece * between(random, 0.3, 1)
    return total


def steady(random: Random, seconds: float, gap: float, jitter: float) -> np.ndarray:
    """Moments about `gap` seconds apart."""
    steps = gap * (
        1 + jitter * random.uniform(-1, 1, int(seconds / gap / max(1 - jitter, 0.2)) + 2)
    )
    moments = np.cumsum(steps) - steps[0] * random.random()
    return moments[(moments >= 0) & (moments < seconds - 0.02)]


def poisson(random: Random, seconds: float, rate: float) -> np.ndarray:
    """Moments at random, `rate` a second."""
    return np.sort(random.uniform(0, seconds, max(1, random.poisson(rate * seconds))))


def pool(random: Random, seconds, moments, make: Callable[[], np.ndarray], size: int = 12):
    """`scatter` from a few grains made once: for thousands of moments."""
    grains = [make() for _ in range(size)]
    return scatter(random, seconds, moments, lambda: grains[random.integers(size)])


def vocal(random: Random, pitch: np.ndarray, seconds: float, formants, breath: float) -> np.ndarray:
    """A throat: harmonics and breath through formants (Hz)."""
    source = buzz(pitch, seconds, 40, 0.8) + breath * random.normal(size=size_of(seconds))
    return sum(resonate(source, f, f * 0.12) / (1 + k) for k, f in enumerate(formants))


def hump(seconds: float, attack: float = 0.1) -> np.ndarray:
    """Up in `attack` of the time, then down to zero."""
    return np.interp(np.linspace(0, 1, size_of(seconds)), [0, attack, 0.7, 1], [0, 1, 0.8, 0])


def passing(random: Random, make: Callable[[np.ndarray], np.ndarray], seconds: float) -> np.ndarray:
    """A source driving past: Doppler shift and distance, from the geometry."""
    speed, nearest = random.uniform(8, 40), random.uniform(3, 20)
    where = speed * (times(seconds) - seconds * random.uniform(0.35, 0.65))
    distance = np.hypot(where, nearest)
    toward = -speed * where / distance
    return make(SOUND_SPEED / (SOUND_SPEED - toward)) * nearest / distance


def response(random: Random) -> np.ndarray:
    """A room: the direct sound, early reflections, noise whose high part dies sooner."""
    decay, seconds = between(random, 0.15, 3.0), 0.0
    seconds = max(0.5, min(decay, 3.0))
    at = times(seconds)
    low = band(noise(random, seconds), 60, 1500) * 10 ** (-3 * at / decay)
    high = band(noise(random, seconds), 1500, 12_000) * 10 ** (
        -3 * at / (decay * random.uniform(0.3, 0.8))
    )
    onset = 1 - np.exp(-at / random.uniform(0.002, 0.02))
    room = (low + 0.5 * high) * onset * between(random, 0.01, 0.12)
    room[0] += 1
    for delay in random.uniform(0.002, 0.06, random.integers(4, 14)):
        room[size_of(delay)] += random.choice([-1, 1]) * random.uniform(0.1, 0.5) / (1 + 30 * delay)
    return room


def in_room(waveform: np.ndarray, room: np.ndarray) -> np.ndarray:
    """The sound as heard in a room, as long as before."""
    size = next_fast_len(len(waveform) + len(room), real=True)
    return irfft(rfft(waveform, size) * rfft(room, size), size)[: len(waveform)]
