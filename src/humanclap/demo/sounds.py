"""Sound events made with numpy alone, for the demo: no recording, no licence, any amount."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import signal

SAMPLE_RATE = 32000
"""Hz of everything made here."""

Signal = NDArray[np.float64]
Samples = NDArray[np.float32]
Synthesiser = Callable[[int, np.random.Generator], Signal]


def _time(n: int) -> Signal:
    return np.arange(n) / SAMPLE_RATE


def _band_noise(n: int, low_hz: float, high_hz: float, generator: np.random.Generator) -> Signal:
    sections = signal.butter(2, [low_hz, high_hz], "bandpass", fs=SAMPLE_RATE, output="sos")
    noise: Signal = signal.sosfilt(sections, generator.standard_normal(n))
    return np.asarray(noise / (np.abs(noise).max() + 1e-9))


def _tone(frequency: Signal | float, n: int) -> Signal:
    """A sine whose frequency (Hz) may change from sample to sample."""
    phase = np.cumsum(np.broadcast_to(frequency, (n,))) / SAMPLE_RATE
    return np.asarray(np.sin(2 * np.pi * phase))


def _repeated(
    n: int,
    period_s: float,
    make: Callable[[int], Signal],
    length_s: float,
    jitter: float,
    generator: np.random.Generator,
) -> Signal:
    """Copies of a short sound every `period_s`, each shifted by up to `jitter` of the period."""
    out = np.zeros(n)
    start_s = period_s * generator.uniform(0.05, 0.4)
    while (start := int(start_s * SAMPLE_RATE)) < n:
        short = make(int(length_s * SAMPLE_RATE))[: n - start]
        out[start : start + len(short)] += short
        start_s += period_s * (1 + generator.uniform(-jitter, jitter))
    return out


def _decay(n: int, half_life_s: float) -> Signal:
    return np.asarray(np.exp2(-_time(n) / half_life_s))


def _rain(n: int, g: np.random.Generator) -> Signal:
    drops = (g.random(n) < 0.004) * g.uniform(0.3, 1.0, n)
    splashes: Signal = signal.lfilter([1.0], [1.0, -0.6], drops)
    return 0.5 * _band_noise(n, 1000, 9000, g) + 0.7 * splashes * np.sign(g.random(n) - 0.5)


def _wind(n: int, g: np.random.Generator) -> Signal:
    gust = 0.6 + 0.4 * np.sin(2 * np.pi * g.uniform(0.15, 0.4) * _time(n) + g.uniform(0, 6))
    return gust * _band_noise(n, 80, 700, g)


def _siren(n: int, g: np.random.Generator) -> Signal:
    sweep = np.sin(2 * np.pi * g.uniform(0.3, 0.6) * _time(n))
    tone = _tone(900 + 350 * sweep, n)
    return tone + 0.3 * tone**3


def _alarm(n: int, g: np.random.Generator) -> Signal:
    pitch, rate = g.uniform(2000, 3200), g.uniform(3, 5)
    gate = (np.sin(2 * np.pi * rate * _time(n)) > 0).astype(float)
    return gate * np.sign(_tone(pitch, n)) * 0.5


def _engine(n: int, g: np.random.Generator) -> Signal:
    base = g.uniform(35, 70) * (1 + 0.05 * np.sin(2 * np.pi * 0.5 * _time(n)))
    harmonics = sum(_tone(base * k, n) / k for k in range(1, 12))
    return np.asarray(harmonics) + 0.3 * _band_noise(n, 60, 500, g)


def _bell(n: int, g: np.random.Generator) -> Signal:
    pitch = g.uniform(300, 600)
    partials = ((1.0, 1.0), (2.0, 0.6), (2.4, 0.5), (3.0, 0.35), (4.2, 0.25), (5.4, 0.2))

    def strike(m: int) -> Signal:
        parts = [a * _tone(pitch * r, m) * _decay(m, 0.5 / r**0.5) for r, a in partials]
        return np.asarray(sum(parts))

    return _repeated(n, g.uniform(1.2, 1.8), strike, 1.8, 0.02, g)


def _knock(n: int, g: np.random.Generator) -> Signal:
    pitch = g.uniform(110, 220)

    def hit(m: int) -> Signal:
        return _decay(m, 0.018) * (_tone(pitch, m) + 0.5 * g.standard_normal(m))

    return _repeated(n, g.uniform(0.25, 0.45), hit, 0.25, 0.1, g)


def _clock(n: int, g: np.random.Generator) -> Signal:
    def tick(m: int) -> Signal:
        return _decay(m, 0.003) * _band_noise(m, 2500, 7000, g)

    return _repeated(n, g.choice([0.5, 1.0]), tick, 0.05, 0.0, g)


def _crickets(n: int, g: np.random.Generator) -> Signal:
    pitch = g.uniform(4200, 5200)

    def chirp(m: int) -> Signal:
        return _tone(pitch, m) * (np.sin(2 * np.pi * 30 * _time(m)) > 0)

    return _repeated(n, g.uniform(0.4, 0.7), chirp, 0.2, 0.1, g)


def _bird(n: int, g: np.random.Generator) -> Signal:
    def chirp(m: int) -> Signal:
        low, high = g.uniform(2500, 3500), g.uniform(4000, 6000)
        return np.hanning(m) * _tone(np.linspace(low, high, m), m)

    return _repeated(n, g.uniform(0.25, 0.5), chirp, 0.12, 0.4, g)


def _thunder(n: int, g: np.random.Generator) -> Signal:
    start = int(g.uniform(0.0, 0.25) * n)
    rumble = _band_noise(n - start, 25, 220, g) * _decay(n - start, 0.9)
    return np.concatenate([np.zeros(start), rumble])


def _footsteps(n: int, g: np.random.Generator) -> Signal:
    def step(m: int) -> Signal:
        return _decay(m, 0.02) * _band_noise(m, 150, 1800, g)

    return _repeated(n, g.uniform(0.5, 0.7), step, 0.2, 0.05, g)


def _applause(n: int, g: np.random.Generator) -> Signal:
    claps = (g.random(n) < 0.003) * g.uniform(0.2, 1.0, n)
    body = _band_noise(int(0.012 * SAMPLE_RATE), 700, 3500, g)
    return np.asarray(signal.fftconvolve(claps, body * _decay(len(body), 0.004))[:n])


def _whistle(n: int, g: np.random.Generator) -> Signal:
    wobble = np.sin(2 * np.pi * g.uniform(0.8, 1.6) * _time(n))
    return _tone(1500 + 400 * wobble, n) + 0.05 * _band_noise(n, 1000, 3000, g)


def _telephone(n: int, g: np.random.Generator) -> Signal:
    def ring(m: int) -> Signal:
        tremolo = np.sin(2 * np.pi * 20 * _time(m)) > 0
        return (_tone(1300, m) + _tone(1650, m)) * tremolo

    return _repeated(n, g.uniform(1.4, 1.8), ring, 0.8, 0.0, g)


def _drill(n: int, g: np.random.Generator) -> Signal:
    pitch = g.uniform(160, 260)
    saw: Signal = signal.sawtooth(2 * np.pi * pitch * _time(n))
    return saw * (1 + 0.3 * _band_noise(n, 20, 80, g)) + 0.4 * _band_noise(n, 2000, 8000, g)


EVENTS: dict[str, Synthesiser] = {
    "rain falls": _rain,
    "wind blows": _wind,
    "a siren wails": _siren,
    "an alarm beeps": _alarm,
    "an engine idles": _engine,
    "a church bell rings": _bell,
    "someone knocks on a door": _knock,
    "a clock ticks": _clock,
    "crickets chirp": _crickets,
    "a bird sings": _bird,
    "thunder rumbles": _thunder,
    "footsteps on a floor": _footsteps,
    "a crowd applauds": _applause,
    "someone whistles": _whistle,
    "a telephone rings": _telephone,
    "a drill runs": _drill,
}
"""Caption of a single event -> its synthesiser."""


def synthesise(event: str, seconds: float, generator: np.random.Generator) -> Samples:
    """One event, float32 mono at SAMPLE_RATE, peak 0.5; never the same twice for one generator."""
    return normalised(EVENTS[event](int(seconds * SAMPLE_RATE), generator))


def normalised(samples: NDArray[np.floating], peak: float = 0.5) -> Samples:
    """Scale to a peak."""
    return np.asarray(samples * (peak / (np.abs(samples).max() + 1e-9)), dtype=np.float32)


def noise(seconds: float, generator: np.random.Generator) -> Samples:
    """Broad noise, as a bad vocoder leaves it."""
    return normalised(_band_noise(int(seconds * SAMPLE_RATE), 200, 12000, generator))
