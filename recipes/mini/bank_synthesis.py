"""Sounds made from nothing: machines, weather, things struck, animals, each kind with its text."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from bank_sound import SAMPLE_RATE, SILENCE_TEXT, Sound
from sound_parts import (
    Random,
    band,
    between,
    burst,
    buzz,
    hump,
    in_room,
    modal,
    noise,
    passing,
    poisson,
    pool,
    resonate,
    response,
    scatter,
    sine,
    size_of,
    steady,
    times,
    vocal,
    wander,
)

ORIGIN, LICENCE = "synthesis", "Apache-2.0"
RESPONSES = 240


def engine(r: Random, seconds: float, firing: np.ndarray | float, rough: float) -> np.ndarray:
    """A piston engine firing so many times a second, with its exhaust's resonances."""
    rate = np.broadcast_to(firing, size_of(seconds)) * (1 + 0.03 * (wander(r, seconds, 8) - 0.5))
    pulses = np.maximum(buzz(rate, seconds, 30, 0.6), 0) ** 1.5
    pulses *= 1 + rough * noise(r, seconds, 1)
    body = sum(resonate(pulses, r.uniform(60, 900), r.uniform(40, 200)) for _ in range(4))
    return body + 0.02 * rough * noise(r, seconds, 1) * body.std()


def idling(r: Random, s: float):
    """An engine at one speed."""
    return engine(r, s, between(r, 12, 60), r.uniform(0.1, 0.6))


def revving(r: Random, s: float):
    """An engine whose speed follows a foot."""
    return engine(r, s, 20 + between(r, 60, 250) * wander(r, s, 0.8) ** 1.5, r.uniform(0.1, 0.4))


def car_passing(r: Random, s: float):
    """An engine and tyres going by."""
    firing, tyres = between(r, 40, 120), band(noise(r, s, 1), 200, 3000)
    return passing(r, lambda shift: engine(r, s, firing * shift, 0.3) * 3 + tyres * 0.1, s)


def motorcycle(r: Random, s: float):
    """A rough engine changing gears as it goes by."""
    gears = 1 - 0.4 * (times(s) * r.uniform(0.3, 0.8) % 1)
    return passing(r, lambda shift: engine(r, s, 110 * shift * gears, 0.5), s)


def helicopter(r: Random, s: float):
    """Blade slaps on a turbine's whine and rush."""
    rate = between(r, 9, 22)
    slap = np.maximum(sine(rate, s), 0) ** r.uniform(3, 9)
    rush = band(noise(r, s, 1), 40, 800) * (0.15 + slap)
    return rush + 0.03 * sine(between(r, 900, 4000), s) + 0.1 * band(noise(r, s), 500, 4000) * slap


def propeller(r: Random, s: float):
    """A propeller aircraft, sometimes flying by."""
    blades = between(r, 50, 130)

    def make(shift: np.ndarray) -> np.ndarray:
        two = buzz(blades * shift, s, 25, 0.9) + buzz(blades * 1.013 * shift, s, 25, 0.9)
        return two + 0.4 * band(noise(r, s, 1), 80, 2500)

    return passing(r, make, s) if r.random() < 0.5 else make(np.ones(size_of(s)))


def jet(r: Random, s: float):
    """A jet: broad rush and a whine."""
    return passing(
        r,
        lambda shift: noise(r, s, 1) + 0.15 * sine(between(r, 1500, 5000) * shift, s),
        s,
    )


def train(r: Random, s: float):
    """Wheels over rail joints, rumble, sometimes a horn of a chord."""
    joints = np.concatenate(
        [m + np.array([0, 0.12]) for m in steady(r, s, r.uniform(0.5, 1.2), 0.02)]
    )
    clacks = scatter(r, s, joints, lambda: burst(r, 0.15, 0.03, 150, 1800))
    total = clacks + 0.15 * band(noise(r, s, 2), 30, 500)
    if r.random() < 0.5:
        horn = sum(buzz(f, s, 12, 0.7) for f in between(r, 220, 330) * np.array([1, 1.25, 1.5]))
        on = (times(s) % 4 < r.uniform(0.6, 2)) * 1.0
        total = total + 0.3 * np.convolve(on, np.ones(800) / 800, "same") * horn
    return total


def wind(r: Random, s: float):
    """Gusts: noise through a wandering band."""
    gust = wander(r, s, r.uniform(0.3, 1.2))
    low, high = band(noise(r, s, 1.5), 60, 500), band(noise(r, s, 1), 400, 2500)
    whistle = sum(resonate(noise(r, s), f, 25) for f in r.uniform(400, 1400, 2))
    return low * (0.3 + gust) + high * gust**2 + r.choice([0, 1]) * whistle * gust**3


def rain(r: Random, s: float):
    """A hiss of far drops and single near ones."""
    near = pool(
        r, s, poisson(r, s, between(r, 10, 300)), lambda: drop(r, between(r, 1500, 8000)), 30
    )
    return (
        0.06 * band(noise(r, s, r.uniform(0, 0.8)), 800, 12_000) * between(r, 0.2, 3) + 0.5 * near
    )


def drop(r: Random, frequency: float, seconds: float = 0.06) -> np.ndarray:
    """A bubble: a decaying sine whose pitch rises. Source: Van den Doel 2005, liquid sounds."""
    at = times(seconds)
    rising = frequency * (1 + r.uniform(0, 6) * at)
    return np.exp(-at / r.uniform(0.004, 0.02)) * sine(rising, seconds)


def dripping(r: Random, s: float):
    """Single drops, as under a tap."""
    moments = steady(r, s, r.uniform(0.25, 1.5), r.uniform(0, 0.6))
    return scatter(r, s, moments, lambda: drop(r, between(r, 400, 2500), 0.15))


def stream(r: Random, s: float):
    """Many bubbles over a soft rush."""
    bubbles = pool(
        r, s, poisson(r, s, between(r, 60, 500)), lambda: drop(r, between(r, 300, 3500)), 40
    )
    return bubbles + r.uniform(0.02, 0.3) * band(noise(r, s, 0.5), 300, 6000)


def pouring(r: Random, s: float):
    """A vessel filling: the resonance of the air above the water rises."""
    rush = stream(r, s)
    parts = np.array_split(rush, 60)
    tops = np.geomspace(300, between(r, 900, 2500), 60)
    filled = np.concatenate([resonate(p, f, 80) for p, f in zip(parts, tops, strict=True)])
    return 0.3 * rush + 3 * filled


def waves(r: Random, s: float):
    """Swell and wash."""
    swell = (
        np.maximum(np.sin(2 * np.pi * times(s) / r.uniform(4, 9) + r.uniform(0, 6)), -0.6) + 0.65
    )
    return (band(noise(r, s, 1.2), 60, 1200) + 0.4 * band(noise(r, s), 1500, 9000) * swell) * swell


def fire(r: Random, s: float):
    """Crackles over a low roar."""
    crackle = pool(
        r, s, poisson(r, s, between(r, 8, 80)), lambda: burst(r, 0.03, 0.003, 900, 9000), 40
    )
    return crackle + 0.08 * band(noise(r, s, 1.5), 40, 700) * (0.5 + wander(r, s, 4))


def thunder(r: Random, s: float):
    """A crack, then rumbling echoes."""
    moments = r.exponential(s / 6, 25)
    rumble = scatter(r, s, moments[moments < s - 1], lambda: burst(r, 1.5, 0.4, 25, 180))
    crack = np.pad(burst(r, 1.0, 0.08, 200, 6000), (0, size_of(s) - size_of(1.0)))
    return rumble + r.uniform(0, 0.6) * crack + 0.05 * band(noise(r, s, 2), 20, 120)


def explosion(r: Random, s: float):
    """A blast and its tail."""
    total = np.zeros(size_of(s))
    for moment in r.uniform(0, s * 0.6, r.integers(1, 4)):
        rest = s - moment
        low = burst(r, rest, between(r, 0.2, 0.8), 25, between(r, 150, 500))
        high = burst(r, rest, 0.06, 300, 7000)
        piece = np.tanh(4 * (low + 0.5 * high))[: len(total) - size_of(moment)]
        total[size_of(moment) : size_of(moment) + len(piece)] += piece
    return total


def gunshots(r: Random, s: float):
    """Sharp cracks with an echo."""
    gap = r.choice([0.09, 0.14, 0.7, 1.6])

    def crack():
        return np.tanh(6 * burst(r, 0.6, between(r, 0.02, 0.09), 120, 9000))

    dry = pool(r, s, steady(r, s, float(gap), 0.05 if gap < 0.5 else 0.5), crack, 6)
    lag = size_of(r.uniform(0.1, 0.4))
    return dry + 0.25 * band(np.pad(dry, (lag, 0))[: len(dry)], 80, 1200)


def fireworks(r: Random, s: float):
    """Whistling rockets, bangs and crackles."""
    total = scatter(r, s, poisson(r, s, 0.8), lambda: np.tanh(5 * burst(r, 1, 0.12, 40, 1500)))

    def rocket():
        return 0.15 * sine(np.linspace(900, between(r, 2000, 4000), size_of(1.0)), 1.0)

    total += scatter(r, s, poisson(r, s, 0.3), lambda: rocket() * hump(1.0))
    return total + 0.4 * pool(r, s, poisson(r, s, 15), lambda: burst(r, 0.04, 0.005, 1500, 12_000))


def beeps(r: Random, s: float):
    """An electronic alarm: one or two tones on and off."""
    period, tones = (
        between(r, 0.12, 1.2),
        between(r, 600, 3500) * np.array([1, r.choice([1, 1.25, 0.8])]),
    )
    at = times(s)
    which = (at / period).astype(int) % 2
    tone = buzz(tones[which], s, int(r.choice([1, 3, 9])), 1.0)
    return tone * (at % period < period * r.uniform(0.35, 1))


def siren(r: Random, s: float):
    """Wail, yelp or two-tone, sometimes driving past."""
    at, low = times(s), r.uniform(400, 700)
    kind, period = r.integers(3), between(r, 0.3, 5)
    sweep = [0.5 - 0.5 * np.cos(2 * np.pi * at / period), at / period % 1, (at / 0.6 % 2 < 1) * 0.4]
    pitch = low * (1 + sweep[kind] * r.uniform(0.6, 1.5))

    def make(shift):
        return buzz(pitch * shift, s, 8, 1.2)

    return passing(r, make, s) if r.random() < 0.5 else make(np.ones(size_of(s)))


def civil_siren(r: Random, s: float):
    """A siren winding up and down once."""
    pitch = between(r, 300, 520) * np.interp(times(s), [0, s * 0.4, s * 0.6, s], [0.3, 1, 1, 0.4])
    return buzz(pitch, s, 10, 0.9)


def phone(r: Random, s: float):
    """An electronic or a mechanical bell ringing in bursts."""
    at = times(s)
    on = np.convolve((at % r.uniform(2.5, 5) < r.uniform(0.9, 2)) * 1.0, np.ones(300) / 300, "same")
    if r.random() < 0.5:
        tones = between(r, 700, 2200) * np.array([1, 1.26])
        return buzz(tones[(at * r.uniform(12, 30)).astype(int) % 2], s, 3, 1) * on

    def strike():
        return modal(r, 0.3, 1300, (1, 1.52, 2.7, 4.1), 0.2)

    return pool(r, s, steady(r, s, 0.05, 0.02), strike, 6) * on


def dial(r: Random, s: float):
    """Dual-tone dialling. Source: ITU-T Q.23."""
    rows, columns = (697, 770, 852, 941), (1209, 1336, 1477)

    def keys():
        return sine(float(r.choice(rows)), 0.15) + sine(float(r.choice(columns)), 0.15)

    return scatter(r, s, steady(r, s, r.uniform(0.2, 0.5), 0.1), keys)


BELL = (0.5, 1, 1.2, 1.5, 2, 2.5, 3, 4.2, 5.4)  # hum, prime, tierce, quint, nominal, ...


def church_bell(r: Random, s: float):
    """A church bell's partials, struck again and again."""
    base, decay = between(r, 180, 900), r.uniform(0.8, 3)

    def strike():
        return modal(r, 4, base, BELL, decay, 0.6)

    return pool(r, s, steady(r, s, r.uniform(0.8, 3), 0.1), strike, 4)


def small_bells(r: Random, s: float):
    """Bicycle bells, jingles, wind chimes: small bright modes."""
    base, rate = between(r, 1200, 4000), between(r, 0.7, 20)

    def strike():
        return modal(r, 1.5, base * r.uniform(0.6, 1.6), (1, 2.76, 5.4), r.uniform(0.1, 0.6))

    return pool(r, s, poisson(r, s, rate), strike, 8)


def clock(r: Random, s: float):
    """Tick and tock."""
    gap, woods = float(r.choice([0.2, 0.5, 0.5, 1.0])), between(r, 900, 4500)

    def tick():
        return modal(r, 0.06, woods * r.choice([1, 0.86]), (1, 1.7, 2.9), 0.008) + 0.2 * burst(
            r, 0.06, 0.004, 2000, 9000
        )

    return pool(r, s, steady(r, s, gap, 0.0), tick, 4)


def struck(base: tuple[float, float], ratios, decay: tuple[float, float], click: float):
    """A maker of impacts on one material, one or several."""

    def make(r: Random, s: float) -> np.ndarray:
        pitch, ring = between(r, *base), between(r, *decay)

        def hit() -> np.ndarray:
            body = modal(r, 1.5, pitch * r.uniform(0.9, 1.1), ratios, ring, 0.5)
            return body + click * burst(r, 1.5, 0.006, 500, 9000)

        return pool(r, s, poisson(r, s, between(r, 0.3, 4)), hit, 5)

    return make


wood = struck((120, 900), (1, 2.6, 4.9, 7.3), (0.02, 0.08), 0.5)
metal = struck((250, 3000), (1, 1.41, 2.09, 2.83, 3.9, 5.2, 7.1), (0.15, 1.2), 0.2)
glass = struck((1500, 5000), (1, 2.32, 4.25, 6.6), (0.05, 0.5), 0.3)
plastic = struck((300, 1500), (1, 1.8, 3.1), (0.01, 0.03), 0.8)


def breaking_glass(r: Random, s: float):
    """A crash, then falling splinters."""
    fall = np.minimum(r.exponential(0.4, 90), s - 0.1)

    def shard():
        return modal(r, 0.3, between(r, 2000, 7000), (1, 1.9, 3.1), r.uniform(0.01, 0.08))

    return pool(r, s, fall, shard, 40) + np.pad(
        burst(r, 0.4, 0.05, 800, 12_000), (0, size_of(s) - size_of(0.4))
    )


def coins(r: Random, s: float):
    """Coins jingling."""

    def ring():
        return modal(r, 0.3, between(r, 3500, 8000), (1, 1.6, 2.3), r.uniform(0.02, 0.1))

    return pool(r, s, poisson(r, s, between(r, 4, 30)), ring, 20)


def bouncing(r: Random, s: float):
    """A ball coming to rest: each bounce sooner and softer."""
    total, at, gap, level = np.zeros(size_of(s)), 0.1, r.uniform(0.4, 0.9), 1.0
    pitch, keep = between(r, 100, 900), r.uniform(0.7, 0.88)
    while gap > 0.02 and at < s - 0.15:
        hit = modal(r, 0.12, pitch, (1, 2.2, 3.7), 0.02) + 0.4 * burst(r, 0.12, 0.006, 300, 5000)
        total[size_of(at) : size_of(at) + len(hit)] += level * hit
        at, gap, level = at + gap, gap * keep, level * keep
    return total


def footsteps(r: Random, s: float):
    """Heel and sole on a hard floor."""
    pitch = between(r, 80, 400)

    def heel():
        return modal(r, 0.2, pitch, (1, 2.3, 4.1), 0.02) + 0.6 * burst(r, 0.2, 0.012, 200, 5000)

    return pool(r, s, steady(r, s, between(r, 0.28, 0.8), 0.06), heel, 6)


def gravel(r: Random, s: float):
    """Each step is a hundred small crunches."""

    def step() -> np.ndarray:
        length = r.uniform(0.2, 0.35)
        return pool(
            r, length, r.beta(2, 3, 90) * length, lambda: burst(r, 0.02, 0.003, 800, 11_000)
        )

    return pool(r, s, steady(r, s, between(r, 0.35, 0.8), 0.08), step, 5)


def knocking(r: Random, s: float):
    """Knocks on a door, in groups."""
    starts = steady(r, s, r.uniform(1.2, 2.5), 0.2)
    moments = [m + k * r.uniform(0.12, 0.22) for m in starts for k in range(r.integers(2, 6))]
    pitch = between(r, 90, 350)

    def hit():
        return modal(r, 0.25, pitch, (1, 2.1, 3.4, 5), 0.03) + 0.3 * burst(
            r, 0.25, 0.006, 300, 4000
        )

    return pool(r, s, [m for m in moments if m < s], hit, 5)


def typing(r: Random, s: float):
    """Key clicks, down and up."""

    def key():
        return burst(r, 0.09, 0.004, 900, 9000) + 0.5 * modal(
            r, 0.09, between(r, 250, 700), (1, 3.1), 0.01
        )

    return pool(r, s, poisson(r, s, between(r, 3, 14)), key, 12)


def hammering(r: Random, s: float):
    """Regular blows."""
    pitch, ratios = between(r, 200, 1500), (1, 1.6, 2.7, 4.4, 6.1)

    def blow():
        return modal(r, 0.5, pitch, ratios, r.uniform(0.02, 0.2)) + burst(r, 0.5, 0.01, 300, 8000)

    return pool(r, s, steady(r, s, r.uniform(0.25, 0.9), 0.1), blow, 4)


def sawing(r: Random, s: float):
    """Strokes forth and back of many teeth."""
    rate, teeth = between(r, 0.7, 2.5), between(r, 60, 250)
    stroke = np.abs(np.sin(np.pi * rate * times(s))) ** 0.7
    return (
        band(noise(r, s), between(r, 500, 1500), 7000)
        * stroke
        * (1 + sine(teeth * (0.3 + stroke), s))
    )


def drill(r: Random, s: float):
    """A motor's whine with gears, loaded now and then."""
    load = 1 - 0.25 * wander(r, s, 1) * (wander(r, s, 2) > 0.4)
    pitch = between(r, 180, 600) * load
    return (
        buzz(pitch, s, 25, 0.7)
        + 0.5 * buzz(pitch * 5.3, s, 4, 1)
        + 0.4 * band(noise(r, s), 1500, 9000)
    )


def vacuum(r: Random, s: float):
    """A rush of air and a motor's tone."""
    tone = buzz(between(r, 150, 600), s, 20, 1) * r.uniform(0.1, 0.5)
    return band(noise(r, s, 0.7), 150, 8000) + tone * (1 + 0.05 * wander(r, s, 3))


def fan(r: Random, s: float):
    """A fan: soft noise beating at the blades' rate."""
    return band(noise(r, s, 1), 60, 3000) * (1 + r.uniform(0.05, 0.5) * sine(between(r, 4, 60), s))


def hum(r: Random, s: float):
    """Mains hum. 50 or 60 Hz and harmonics."""
    return buzz(float(r.choice([50, 60, 100, 120])), s, int(r.integers(3, 30)), r.uniform(0.4, 1.5))


def washing(r: Random, s: float):
    """A drum turning: slosh and motor."""
    turn = 0.5 + 0.5 * sine(between(r, 0.3, 1.2), s)
    return band(noise(r, s, 1), 100, 2500) * turn + 0.4 * buzz(between(r, 80, 200), s, 10, 1)


def lawn_mower(r: Random, s: float):
    """A small engine at speed with the blade's rush."""
    return engine(r, s, between(r, 45, 75), 0.5) * 4 + 0.2 * band(noise(r, s, 1), 300, 5000)


def chainsaw(r: Random, s: float):
    """A two-stroke engine pressed and let go."""
    return np.tanh(6 * engine(r, s, 50 + between(r, 60, 110) * wander(r, s, 1.5), 0.7))


def coloured(slope: float):
    """A maker of noise of one colour."""
    return lambda r, s: noise(r, s, slope) * between(r, 0.05, 1)


def sweep(r: Random, s: float):
    """A sine going up, down or both."""
    ends = np.array([between(r, 40, 400), between(r, 1500, 14_000)])
    return sine(np.geomspace(*(ends if r.random() < 0.5 else ends[::-1]), size_of(s)), s)


def tone(r: Random, s: float):
    """A steady tone: sine, square-like or sawtooth-like."""
    return buzz(between(r, 60, 6000), s, int(r.choice([1, 1, 9, 25])), 1.0)


def retro(r: Random, s: float):
    """An old video game: short square waves that jump and slide."""

    def blip() -> np.ndarray:
        length = between(r, 0.05, 0.5)
        slide = np.geomspace(between(r, 150, 1500), between(r, 150, 2500), size_of(length))
        return np.sign(sine(slide, length)) * hump(length, 0.02)

    return scatter(r, s, poisson(r, s, between(r, 1, 8)), blip)


def laser(r: Random, s: float):
    """Falling chirps."""

    def fall():
        return sine(np.geomspace(between(r, 2000, 7000), 150, size_of(0.25)), 0.25) * hump(
            0.25, 0.02
        )

    return scatter(r, s, poisson(r, s, between(r, 1, 6)), fall)


def crickets(r: Random, s: float):
    """Several crickets, each with its own pitch and pulse."""
    total = 0.01 * noise(r, s, 1)
    for _ in range(r.integers(1, 6)):
        pulse = np.maximum(sine(between(r, 15, 60), s), 0)
        chirp = times(s) * r.uniform(0.7, 3) % 1 < r.uniform(0.2, 0.8)
        total = total + sine(between(r, 2500, 7500), s) * pulse * chirp * r.uniform(0.1, 1)
    return total


def cicadas(r: Random, s: float):
    """A dense high buzz that swells."""
    body = band(noise(r, s), between(r, 3000, 5000), between(r, 7000, 11_000))
    return body * (0.4 + wander(r, s, 0.6)) * (1 + 0.8 * sine(between(r, 60, 250), s))


def insect(r: Random, s: float):
    """A fly, bee or mosquito coming and going."""
    pitch = between(r, 110, 650) * (1 + 0.12 * (wander(r, s, 3) - 0.5))
    return buzz(pitch, s, 18, r.uniform(0.3, 1)) * wander(r, s, 1.2) ** 2


def birdsong(r: Random, s: float):
    """Phrases of gliding whistles, repeated as birds do."""
    total = np.zeros(size_of(s))
    for _ in range(r.integers(1, 4)):
        base, syllable = between(r, 1800, 6000), r.uniform(0.04, 0.25)
        shape = base * np.exp(0.35 * (wander(r, syllable, 25) - 0.5) * r.uniform(0.3, 2.5))
        trill = 1 + r.choice([0, 0.05]) * sine(between(r, 20, 60), syllable)
        note = sine(shape * trill, syllable) * hump(syllable)
        starts = steady(r, s, r.uniform(1, 3), 0.3)
        moments = [m + k * syllable * 1.4 for m in starts for k in range(r.integers(1, 9))]
        total += scatter(r, s, [m for m in moments if m < s], lambda n=note: n)
    return total


def animal(pitch, length, gap, formants, breath):
    """A maker of calls from a throat of one size."""

    def make(r: Random, s: float) -> np.ndarray:
        base, size = between(r, *pitch), r.uniform(0.85, 1.2)

        def call() -> np.ndarray:
            lasting = between(r, *length)
            bend = base * np.interp(
                np.linspace(0, 1, size_of(lasting)), [0, 0.3, 1], [0.75, 1.1, 0.8]
            )
            bend = bend * (1 + 0.06 * (wander(r, lasting, 40) - 0.5))
            made = vocal(r, bend, lasting, [f * size for f in formants], breath) * hump(lasting)
            return made / (np.abs(made).max() + 1e-9)

        return pool(r, s, steady(r, s, r.uniform(*gap), 0.3), call, 4)

    return make


dog = animal((180, 600), (0.12, 0.3), (0.4, 1.5), (500, 1200, 2600), 1.2)
cow = animal((90, 180), (1.0, 2.2), (2.5, 4.0), (350, 800, 2200), 0.2)
sheep = animal((250, 450), (0.5, 1.1), (1.2, 2.5), (700, 1700, 2800), 0.4)
cat = animal((400, 800), (0.4, 1.1), (1.0, 2.5), (900, 1800, 3200), 0.15)
crow = animal((350, 600), (0.2, 0.5), (0.5, 1.5), (1100, 1900, 3300), 2.5)
frog = animal((80, 250), (0.1, 0.4), (0.3, 1.2), (450, 1300, 2500), 0.6)
duck = animal((180, 330), (0.1, 0.25), (0.25, 0.8), (900, 1500, 2700), 1.0)
baby = animal((350, 600), (0.6, 1.3), (1.2, 2.0), (900, 1700, 3500), 0.2)
wolf = animal((250, 500), (2.0, 3.5), (3.5, 4.5), (500, 1000, 2500), 0.05)
pig = animal((70, 140), (0.15, 0.5), (0.4, 1.2), (400, 1100, 2300), 2.0)


def heart(r: Random, s: float):
    """Two low thumps a beat."""
    moments = np.concatenate(
        [m + np.array([0, 0.28]) for m in steady(r, s, r.uniform(0.5, 1.1), 0.03)]
    )
    return scatter(r, s, moments[moments < s - 0.05], lambda: burst(r, 0.2, 0.04, 25, 120))


def breathing(r: Random, s: float):
    """In and out."""
    cycle = np.abs(np.sin(np.pi * times(s) / r.uniform(1, 2.5))) ** 1.5
    return resonate(noise(r, s), between(r, 500, 1800), 900) * cycle


def snoring(r: Random, s: float):
    """Breath with a rattling throat."""
    cycle = np.maximum(np.sin(2 * np.pi * times(s) / r.uniform(2.5, 4.5)), 0) ** 0.7
    rattle = np.maximum(sine(between(r, 25, 60), s), 0) ** 3
    return band(noise(r, s, 1), 80, 1500) * cycle * (0.15 + rattle)


def clap(r: Random) -> np.ndarray:
    """One pair of hands."""
    centre = between(r, 700, 2500)
    return burst(r, 0.1, r.uniform(0.006, 0.02), centre * 0.6, centre * 1.9)


def clapping(r: Random, s: float):
    """One person, or a few, in time."""
    return pool(r, s, steady(r, s, r.uniform(0.2, 0.6), 0.06), lambda: clap(r), 8)


def applause(r: Random, s: float):
    """A hall: a thousand claps."""
    rate = between(r, 60, 600)
    level = np.interp(times(s), [0, s * 0.15, s * 0.7, s], [0.3, 1, 0.9, 0.2])
    return pool(r, s, poisson(r, s, rate), lambda: clap(r), 60) * level


def whistling(r: Random, s: float):
    """A person whistling a tune."""
    notes = np.repeat(
        between(r, 700, 1500) * 2 ** (r.choice([0, 2, 4, 5, 7, 9, 12], 40) / 12), size_of(0.3)
    )
    glide = np.convolve(np.resize(notes, size_of(s)), np.ones(900) / 900, "same")
    return sine(glide * (1 + 0.01 * sine(5.5, s)), s) + 0.03 * band(noise(r, s), 800, 5000)


def zipper(r: Random, s: float):
    """Teeth ever faster."""
    starts = steady(r, s, r.uniform(0.8, 1.6), 0.2)
    total = np.zeros(size_of(s))
    for start in starts:
        moments = start + np.sort(r.uniform(0, 0.5, 70)) ** 0.8
        total += pool(r, s, moments[moments < s], lambda: burst(r, 0.02, 0.002, 1500, 11_000), 6)
    return total


def paper(r: Random, s: float):
    """Crumpling: clusters of crackles."""
    activity = wander(r, s, 3) ** 2
    moments = poisson(r, s, 220)
    moments = moments[r.random(len(moments)) < activity[(moments * SAMPLE_RATE).astype(int)]]
    return pool(r, s, moments, lambda: burst(r, 0.04, between(r, 0.001, 0.008), 1000, 12_000), 30)


def creaking(r: Random, s: float):
    """A hinge that sticks and slips."""
    rate = 15 + between(r, 40, 160) * wander(r, s, 2)
    clicks = np.diff(np.floor(np.cumsum(rate) / SAMPLE_RATE), prepend=0)
    return sum(resonate(clicks, f, 60) for f in r.uniform(400, 3000, 5)) * wander(r, s, 1)


def static(r: Random, s: float):
    """A badly tuned radio."""
    crackle = pool(
        r, s, poisson(r, s, between(r, 5, 120)), lambda: burst(r, 0.03, 0.002, 500, 9000)
    )
    whistle = sine(between(r, 300, 2500) * (1 + 0.3 * wander(r, s, 1)), s)
    return 0.3 * band(noise(r, s), 300, 5000) + crackle + r.choice([0, 0.1]) * whistle


def glitch(r: Random, s: float):
    """Cut, held and repeated digital fragments."""
    source = retro(r, s) + 0.3 * noise(r, s, 1)
    pieces = []
    for _ in range(int(s * 8)):
        length, at = size_of(between(r, 0.004, 0.1)), int(r.integers(0, len(source) // 2))
        pieces += [source[at : at + length]] * int(r.integers(1, 12))
    return np.resize(np.concatenate(pieces), size_of(s))


def silence(r: Random, s: float):
    """Nothing, or the faintest noise."""
    return noise(r, s) * (0 if r.random() < 0.5 else 1e-5)


def reversing(r: Random, s: float):
    """A lorry going back: engine and beeps."""
    return engine(r, s, 25, 0.4) * 2 + 0.4 * sine(1250, s) * (times(s) % 1 < 0.5)


def horn(r: Random, s: float):
    """A car's or ship's horn."""
    base, on = between(r, 70, 480), times(s) % r.uniform(1, 4) < r.uniform(0.3, 2)
    return (buzz(base, s, 25, 0.6) + buzz(base * 1.26, s, 25, 0.6)) * np.convolve(
        on, np.ones(500) / 500, "same"
    )


def steam(r: Random, s: float):
    """Hissing gas, let out in bursts or steadily."""
    return band(noise(r, s), between(r, 1500, 5000), 14_000) * (
        0.2 + wander(r, s, between(r, 0.3, 3)) ** 2
    )


def scratching(r: Random, s: float):
    """Something rough rubbed to and fro."""
    stroke = np.abs(sine(between(r, 1.5, 6), s)) ** 2
    return band(noise(r, s), between(r, 800, 2500), between(r, 4000, 9000)) * stroke


# Kind -> maker, the text, how many.
KINDS: dict[str, tuple[Callable, str, int]] = {
    "idling": (idling, "an engine idling", 30),
    "revving": (revving, "an engine revving", 30),
    "car-passing": (car_passing, "a car passing by", 30),
    "motorcycle": (motorcycle, "a motorcycle passing by", 25),
    "helicopter": (helicopter, "a helicopter flying", 30),
    "propeller": (propeller, "a propeller aeroplane flying", 30),
    "jet": (jet, "a jet flying over", 20),
    "train": (train, "a train running over rails", 30),
    "wind": (wind, "wind blowing", 30),
    "rain": (rain, "rain falling", 35),
    "dripping": (dripping, "water dripping", 25),
    "stream": (stream, "a stream of water", 30),
    "pouring": (pouring, "water poured into a vessel", 20),
    "waves": (waves, "ocean waves on a shore", 30),
    "fire": (fire, "a fire crackling", 30),
    "thunder": (thunder, "thunder rumbling", 30),
    "explosion": (explosion, "an explosion", 25),
    "gunshots": (gunshots, "gunshots", 30),
    "fireworks": (fireworks, "fireworks", 20),
    "beeps": (beeps, "an alarm beeping", 30),
    "siren": (siren, "a siren of an emergency vehicle", 35),
    "civil-siren": (civil_siren, "a civil defence siren", 15),
    "phone": (phone, "a telephone ringing", 25),
    "dial": (dial, "telephone keys dialling", 12),
    "church-bell": (church_bell, "a church bell ringing", 25),
    "small-bells": (small_bells, "small bells chiming", 25),
    "clock": (clock, "a clock ticking", 25),
    "wood": (wood, "something wooden struck", 25),
    "metal": (metal, "something metallic struck", 25),
    "glass": (glass, "glass clinking", 25),
    "plastic": (plastic, "something plastic struck", 20),
    "breaking-glass": (breaking_glass, "glass breaking", 20),
    "coins": (coins, "coins jingling", 20),
    "bouncing": (bouncing, "a ball bouncing", 20),
    "footsteps": (footsteps, "footsteps on a hard floor", 30),
    "gravel": (gravel, "footsteps on gravel", 25),
    "knocking": (knocking, "knocking on a door", 25),
    "typing": (typing, "typing on a keyboard", 25),
    "hammering": (hammering, "hammering", 25),
    "sawing": (sawing, "sawing wood by hand", 25),
    "drill": (drill, "an electric drill", 25),
    "vacuum": (vacuum, "a vacuum cleaner", 25),
    "fan": (fan, "a fan running", 20),
    "hum": (hum, "an electric hum", 20),
    "washing": (washing, "a washing machine", 20),
    "lawn-mower": (lawn_mower, "a lawn mower", 20),
    "chainsaw": (chainsaw, "a chainsaw", 20),
    "white-noise": (coloured(0), "white noise", 12),
    "pink-noise": (coloured(1), "pink noise", 12),
    "brown-noise": (coloured(2), "brown noise", 12),
    "sweep": (sweep, "a sine wave sweeping in pitch", 12),
    "tone": (tone, "a steady tone", 20),
    "retro": (retro, "sounds of an old video game", 20),
    "laser": (laser, "laser shots", 15),
    "crickets": (crickets, "crickets chirping", 30),
    "cicadas": (cicadas, "cicadas buzzing", 20),
    "insect": (insect, "an insect buzzing", 25),
    "birdsong": (birdsong, "birds chirping", 40),
    "dog": (dog, "a dog barking", 30),
    "cow": (cow, "a cow mooing", 20),
    "sheep": (sheep, "a sheep bleating", 20),
    "cat": (cat, "a cat meowing", 25),
    "crow": (crow, "a crow cawing", 20),
    "frog": (frog, "a frog croaking", 20),
    "duck": (duck, "a duck quacking", 20),
    "baby": (baby, "a baby crying", 20),
    "wolf": (wolf, "a wolf howling", 15),
    "pig": (pig, "a pig grunting", 15),
    "heart": (heart, "a heart beating", 20),
    "breathing": (breathing, "a person breathing", 20),
    "snoring": (snoring, "a person snoring", 20),
    "clapping": (clapping, "hands clapping", 20),
    "applause": (applause, "an audience applauding", 30),
    "whistling": (whistling, "a person whistling", 20),
    "zipper": (zipper, "a zipper", 15),
    "paper": (paper, "paper crumpling", 20),
    "creaking": (creaking, "a door creaking", 20),
    "static": (static, "radio static", 20),
    "glitch": (glitch, "digital glitches", 15),
    "silence": (silence, SILENCE_TEXT, 6),
    "reversing": (reversing, "a lorry reversing with beeps", 15),
    "horn": (horn, "a horn honking", 20),
    "steam": (steam, "steam hissing", 20),
    "scratching": (scratching, "scratching", 20),
}


def room_sounds(random: Random) -> Iterator[Sound]:
    """Room impulse responses, peak 1, to convolve others with."""
    for _ in range(RESPONSES):
        room = response(random)
        room = room / np.abs(room).max()
        yield Sound(waveform=room, text="", origin="room", licence=LICENCE)


def synthetic_sounds(kind: str, random: Random) -> Iterator[Sound]:
    """The sounds of one kind: 3-10 s, at random levels, a third of them in a room."""
    make, text, count = KINDS[kind]
    for _ in range(count):
        waveform = np.asarray(make(random, random.uniform(3, 10)), np.float64)
        if kind != "silence":
            if random.random() < 1 / 3:
                waveform = in_room(waveform, response(random))
            waveform = waveform * between(random, 0.08, 0.95) / (np.abs(waveform).max() + 1e-9)
        yield Sound(waveform=waveform, text=text, origin=ORIGIN, licence=LICENCE)
