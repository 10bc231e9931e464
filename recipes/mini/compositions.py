"""Made scenes of a few known events, each with a true caption and captions that are nearly true.

What is wrong is one thing at a time: an event is another one, the order is reversed, the count is
another one, or something is denied that is heard (or said that is not). They teach the projections
what a mean over time and a bag of words cannot tell, and judge them on clips no student met.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from bank import SAMPLE_RATE, Clip, load_waveform, normalise

SCENE_SAMPLES = 10 * SAMPLE_RATE
KINDS = ("order", "event", "count", "negation")
COUNTS = ("once", "twice", "three times", "four times")
ORDERS = (
    "{0} followed by {1}",
    "{0}, then {1}",
    "{0} then {1}",
    "{0} and then {1}",
    "{0} before {1}",
    "{1} after {0}",
    "first {0}, then {1}",
)
TOGETHER = ("{0} and {1}", "{0} while {1}", "{0} with {1}", "{0} as {1} is heard", "{1} and {0}")
WITHOUT = ("{0} without {1}", "{0} with no {1}", "{0} but no {1}", "{0}, no {1}")
WITH = ("{0} with {1}", "{0} and {1}", "{0} together with {1}", "{0}, {1}")
LONGEST_EVENT = 60  # characters of a caption that may stand for one event
JOINED = {"and", "then", "followed", "while", "as", "with", "before", "after"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A waveform's plan, its caption, and wrong captions by kind.

    clips: rows of the list it was made from; starts: second at which each starts; lengths: seconds
    of it, 10 for one that fills the scene.
    """

    clips: tuple[int, ...]
    starts: tuple[float, ...]
    lengths: tuple[float, ...]
    text: str
    wrong: tuple[tuple[str, str], ...]


def is_event(clip: Clip) -> bool:
    """Whether the clip's caption names one event."""
    return len(clip.text) <= LONGEST_EVENT and not JOINED & set(normalise(clip.text).split())


def make_scenes(
    clips: Sequence[Clip], seconds: Sequence[float], count: int, seed: int
) -> list[Scene]:
    """`count` scenes of the clips, of which each is one event; seconds: their lengths."""
    maker = _Maker(clips, seconds, np.random.default_rng(seed))
    kinds = maker.random.choice(4, size=count, p=[0.5, 0.2, 0.15, 0.15])
    makers = (maker.one_after_the_other, maker.together, maker.counted, maker.alone)
    return [makers[kind]() for kind in kinds]


class _Maker:
    def __init__(
        self, clips: Sequence[Clip], seconds: Sequence[float], random: np.random.Generator
    ) -> None:
        self.clips, self.seconds, self.random = clips, seconds, random
        self.by_text: dict[str, list[int]] = {}
        for index, clip in enumerate(clips):
            self.by_text.setdefault(normalise(clip.text), []).append(index)
        self.names = sorted(self.by_text)

    def events(self, size: int) -> list[int]:
        """Clips of different captions."""
        chosen = self.random.choice(len(self.names), size=size, replace=False)
        return [int(self.random.choice(self.by_text[self.names[index]])) for index in chosen]

    def text_of(self, clip: int) -> str:
        text = self.clips[clip].text.strip(" .")
        return text[0].lower() + text[1:]

    def say(self, forms: Sequence[str], *clips: int) -> str:
        return self.pick(forms).format(*map(self.text_of, clips))

    def pick(self, forms: Sequence[str]) -> str:
        return forms[self.random.integers(len(forms))]

    def one_after_the_other(self) -> Scene:
        first, second, other = self.events(3)
        form = self.pick(ORDERS)
        said = {
            name: form.format(*map(self.text_of, pair))
            for name, pair in (
                ("text", (first, second)),
                ("order", (second, first)),
                ("event", (first, other) if self.random.random() < 0.5 else (other, second)),
            )
        }
        length = min(self.seconds[first], float(self.random.uniform(2.5, 6)))
        start = max(length, float(self.random.uniform(3.5, 6))) if length < 3.5 else length
        return Scene(
            clips=(first, second),
            starts=(0.0, start),
            lengths=(length, min(self.seconds[second], 10 - start)),
            text=said["text"],
            wrong=(("order", said["order"]), ("event", said["event"])),
        )

    def together(self) -> Scene:
        first, second, other = self.events(3)
        form = self.pick(TOGETHER)
        return Scene(
            clips=(first, second),
            starts=(0.0, 0.0),
            lengths=(10.0, 10.0),
            text=form.format(self.text_of(first), self.text_of(second)),
            wrong=(
                ("event", form.format(self.text_of(first), self.text_of(other))),
                ("negation", self.say(WITHOUT, first, second)),
            ),
        )

    def counted(self) -> Scene:
        (clip,) = self.events(1)
        times, others = self.random.permutation(4)[:2]
        length = min(self.seconds[clip], 2.0)
        gap = float(self.random.uniform(0.2, 0.6))
        starts = tuple(place * (length + gap) for place in range(int(times) + 1))
        said = self.text_of(clip)
        return Scene(
            clips=(clip,) * len(starts),
            starts=starts,
            lengths=(length,) * len(starts),
            text=f"{said} {COUNTS[times]}",
            wrong=(("count", f"{said} {COUNTS[others]}"),),
        )

    def alone(self) -> Scene:
        clip, other = self.events(2)
        return Scene(
            clips=(clip,),
            starts=(0.0,),
            lengths=(10.0,),
            text=self.say(WITHOUT, clip, other),
            wrong=(("negation", self.say(WITH, clip, other)),),
        )


def waveform_of(scene: Scene, waveforms: Sequence[np.ndarray], seed: int) -> np.ndarray:
    """The scene as 10 s of sound, (320000,) float32; a clip shorter than its time is repeated where
    it should fill the scene, each at about the same level, ends faded over 20 ms."""
    random = np.random.default_rng(seed)
    mix = np.zeros(SCENE_SAMPLES, np.float32)
    for clip, start, length in zip(scene.clips, scene.starts, scene.lengths, strict=True):
        first, size = round(start * SAMPLE_RATE), round(length * SAMPLE_RATE)
        sound = waveforms[clip].astype(np.float32)
        whole = np.resize(sound, size) if length >= 10 else loudest(sound, size)
        level = 0.06 * 10 ** (random.uniform(-4, 4) / 20)
        whole = whole * np.float32(level / max(float(np.sqrt(np.mean(whole**2))), 1e-4))
        fade = np.minimum(1, np.arange(1, len(whole) + 1, dtype=np.float32) / 640)
        part = (whole * fade * fade[::-1])[: SCENE_SAMPLES - first]
        mix[first : first + len(part)] += part
    noise = random.standard_normal(SCENE_SAMPLES, dtype=np.float32)
    return np.clip(mix + noise * np.float32(10 ** random.uniform(-4, -2.5)), -1, 1)


def loudest(sound: np.ndarray, size: int) -> np.ndarray:
    """The stretch of at most `size` samples with the most energy, in steps of a tenth of it."""
    if len(sound) <= size:
        return sound
    energy = np.concatenate([[0.0], np.cumsum(sound.astype(np.float64) ** 2)])
    starts = np.arange(0, len(sound) - size + 1, max(size // 10, 1))
    start = starts[np.argmax(energy[starts + size] - energy[starts])]
    return sound[start : start + size]


def load_all(clips: Sequence[Clip]) -> list[np.ndarray]:
    """Waveforms in float16, at most 10 s each (the loudest)."""
    return [
        loudest(load_waveform(clip.path).astype(np.float32), SCENE_SAMPLES).astype(np.float16)
        for clip in clips
    ]
