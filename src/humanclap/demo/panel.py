"""Invented text-to-audio systems and a simulated panel of listeners. Nothing here is human.

The true relevance of a clip is the share of its caption's events that it really holds, lowered
by noise and by a wrong order. A simulated listener hears it through a bias, a scale and noise of
their own; some are careless and answer at random. Anchors are clips with another pair's text.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from humanclap.demo.sounds import EVENTS, SAMPLE_RATE, Samples, noise, normalised, synthesise
from humanclap.errors import naming_file
from humanclap.progress import Progress, silent
from humanclap.records import Pair, Rating

NOTE = (
    "SIMULATED: the sounds are synthesised and the ratings come from a simulated panel; "
    "these figures show that the tool works, not how well a model agrees with people."
)
CLIP_S = 4.0
SYSTEMS = {"reference": 0.0, "careful": 0.2, "middling": 0.5, "sloppy": 0.8}
"""Invented system -> how likely each of its faults is."""
ANCHORS_PER_LISTENER = 3
RATINGS_PER_LISTENER = 18
CARELESS = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A caption and the events it names, in order."""

    text: str
    events: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MadePair:
    """A pair with the relevance (0 to 1) that the simulation knows and listeners approximate."""

    pair: Pair
    relevance: float


def scenes(n: int, generator: np.random.Generator) -> list[Scene]:
    """n distinct captions of one or two events."""
    names = list(EVENTS)
    single = [Scene(text=name.capitalize(), events=(name,)) for name in names]
    joins = ("{} followed by {}", "{} and then {}", "{}, after that {}")
    double = [
        Scene(text=join.format(first.capitalize(), second), events=(first, second))
        for first in names
        for second in names
        if first != second
        for join in joins
    ]
    chosen = generator.permutation(len(double))[: max(0, n - len(single))]
    return (single + [double[i] for i in chosen])[:n]


def render(
    scene: Scene, fault_rate: float, generator: np.random.Generator
) -> tuple[Samples, float]:
    """A clip of a scene by a system that errs, and its true relevance in [0, 1]."""
    part_s = CLIP_S / len(scene.events)
    parts, right = [], 0
    for event in scene.events:
        wrong = generator.random() < 0.7 * fault_rate
        heard = str(generator.choice([e for e in EVENTS if e not in scene.events]))
        parts.append(synthesise(heard if wrong else event, part_s, generator))
        right += not wrong
    relevance = right / len(scene.events)
    if len(parts) > 1 and right == len(parts) and generator.random() < 0.3 * fault_rate:
        parts.reverse()
        relevance -= 0.25
    clip = np.concatenate(parts)
    if generator.random() < fault_rate:
        level = float(generator.uniform(0.2, 0.6))
        clip = normalised(clip + level * noise(CLIP_S, generator))
        relevance *= 1 - 0.5 * level
    return clip, relevance


def make_pairs(
    folder: Path, *, n_scenes: int, generator: np.random.Generator, progress: Progress = silent
) -> list[MadePair]:
    """Write every system's clip of every scene below `folder`; 16-bit FLAC, paths relative."""
    made = []
    for number, scene in enumerate(scenes(n_scenes, generator)):
        progress(number, n_scenes, "")
        for system, fault_rate in SYSTEMS.items():
            clip, relevance = render(scene, fault_rate, generator)
            audio = f"{system}/{number:03d}.flac"
            path = folder / audio
            path.parent.mkdir(parents=True, exist_ok=True)
            content = io.BytesIO()  # libsndfile does not say why a file could not be written
            soundfile.write(content, clip, SAMPLE_RATE, format="FLAC", subtype="PCM_16")
            with naming_file(path):
                path.write_bytes(content.getvalue())
            subset = "natural" if system == "reference" else "synthetic"
            pair = Pair(audio=audio, text=scene.text, system=system, subset=subset)
            made.append(MadePair(pair=pair, relevance=relevance))
    return made


def simulate_ratings(
    made: list[MadePair], *, ratings_per_pair: int, generator: np.random.Generator
) -> list[Rating]:
    """Answers of as many simulated listeners as `ratings_per_pair` asks for, anchors included."""
    n_listeners = max(1, -(-len(made) * ratings_per_pair // RATINGS_PER_LISTENER))
    slots = np.concatenate(
        [generator.permutation(len(made)) for _ in range(ratings_per_pair)]
    )  # (len(made) * ratings_per_pair,), consecutive runs hold distinct pairs but at the seams
    ratings: list[Rating] = []
    for listener in range(n_listeners):
        mine = slots[listener * RATINGS_PER_LISTENER : (listener + 1) * RATINGS_PER_LISTENER]
        ratings += _answers(made, dict.fromkeys(mine.tolist()), f"sim{listener:03d}", generator)
    return ratings


def _answers(
    made: list[MadePair], mine: dict[int, None], listener_id: str, generator: np.random.Generator
) -> Iterator[Rating]:
    careless = generator.random() < CARELESS
    bias, spread = generator.normal(0.0, 1.2), generator.uniform(0.75, 1.1)
    heard = [(made[index], "rating") for index in mine]
    heard += [(anchor, "anchor") for anchor in _anchors(made, generator)]
    for item, kind in heard:
        score = 10 * item.relevance * spread + bias + generator.normal(0.0, 1.5)
        answer = generator.integers(0, 11) if careless else np.clip(np.rint(score), 0, 10)
        names = ("audio", "text", "system", "subset")
        of_pair = {name: getattr(item.pair, name) for name in names}
        yield Rating(listener_id=listener_id, score=float(answer), kind=kind, **of_pair)


def _anchors(made: list[MadePair], generator: np.random.Generator) -> list[MadePair]:
    """Reference clips under a caption that names other events."""
    references = [item for item in made if item.pair.system == "reference"]
    anchors: list[MadePair] = []
    picks: NDArray[np.int64] = generator.permutation(len(references))[:ANCHORS_PER_LISTENER]
    for index in picks:
        clip = references[index].pair
        strangers = [r.pair.text for r in references if not _share(r.pair.text, clip.text)]
        if strangers:
            text = str(generator.choice(strangers))
            anchors.append(MadePair(pair=replace(clip, text=text, pair_id=""), relevance=0.0))
    return anchors


def _share(text: str, other: str) -> bool:
    """Whether two captions name an event in common."""
    both = text.lower(), other.lower()
    return any(all(event in caption for caption in both) for event in EVENTS)
