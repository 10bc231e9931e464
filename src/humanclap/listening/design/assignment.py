"""Who hears what: least-rated first, balanced over systems, in a seeded order. Pure."""

from __future__ import annotations

import random
import sys
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from humanclap.listening.design.comparisons import group_of
from humanclap.listening.design.design import StudyDesign

_REPEAT_DISTANCE = 4
"""Trials between a sound and its repeat, where the session is long enough."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stimulus:
    """A pair or an anchor of the study; `wanted`: ratings it is to get (0 for an anchor).

    In an A/B study it is a comparison: audio_b, text_b and system_b are its second side, label
    is the kind that its table gave, and expected is the side that fits, in an anchor. duration_s:
    seconds of its sounds, each heard once.
    """

    stimulus_id: str
    kind: str
    audio: str
    text: str
    wanted: int
    system: str | None = None
    subset: str | None = None
    split: str | None = None
    duration_s: float = 0.0
    audio_b: str | None = None
    text_b: str | None = None
    system_b: str | None = None
    label: str | None = None
    expected: Literal["first", "second"] | None = None

    @property
    def clips(self) -> tuple[str, ...]:
        """Its clips, each once."""
        return _distinct(self.audio, self.audio_b)

    @property
    def texts(self) -> tuple[str, ...]:
        """Its texts, each once."""
        return _distinct(self.text, self.text_b)

    @property
    def group(self) -> str | None:
        """The system that is rated, or the two that are compared."""
        return group_of(self.system, self.system_b)


def _distinct(first: str, second: str | None) -> tuple[str, ...]:
    return (first,) if second in (None, first) else (first, str(second))


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One sound or comparison of a session; `text` is what the page shows, of its first side.

    expected: the right answer; swapped: whether the second side stands first (at A).
    """

    kind: str
    stimulus: Stimulus
    text: str
    expected: float | None = None
    text_b: str | None = None
    swapped: bool = False


def choose_pairs(
    stimuli: Sequence[Stimulus],
    load: Mapping[str, int],
    heard: Collection[str],
    n: int,
    generator: random.Random,
) -> list[Stimulus]:
    """Up to n pairs that still want ratings and this listener has not heard.

    load: ratings given or promised, by stimulus_id. The least loaded come first; among equals the
    system (of comparisons: the pair of systems), then the caption, then the clip least used so far
    in this choice; then chance.
    """
    order = list(stimuli)
    generator.shuffle(order)
    free = [
        s for s in order if load.get(s.stimulus_id, 0) < s.wanted and s.stimulus_id not in heard
    ]
    levels: dict[int, dict[str | None, list[Stimulus]]] = {}
    for stimulus in free:
        level = levels.setdefault(load.get(stimulus.stimulus_id, 0), {})
        level.setdefault(stimulus.group, []).append(stimulus)
    chosen: list[Stimulus] = []
    systems: Counter[str | None] = Counter()
    texts: Counter[str] = Counter()
    clips: Counter[str] = Counter()
    for number in sorted(levels):
        by_system = levels[number]
        while by_system and len(chosen) < n:
            system = min(by_system, key=systems.__getitem__)
            candidates = by_system[system]
            chosen.append(candidates.pop(_least_used(candidates, texts, clips)))
            systems[system] += 1
            texts.update(chosen[-1].texts)
            clips.update(chosen[-1].clips)
            if not candidates:
                del by_system[system]
    return chosen


def _least_used(
    candidates: Sequence[Stimulus], texts: Mapping[str, int], clips: Mapping[str, int]
) -> int:
    """Place of the first candidate whose caption, then clip, was used least so far."""
    best, least = 0, (sys.maxsize, 0)
    for place, stimulus in enumerate(candidates):
        uses = (max(texts[text] for text in stimulus.texts), max(clips[c] for c in stimulus.clips))
        if uses < least:
            best, least = place, uses
        if least == (0, 0):
            break
    return best


def plan_session(
    chosen: Sequence[Stimulus],
    stimuli: Sequence[Stimulus],
    heard: Collection[str],
    design: StudyDesign,
    generator: random.Random,
) -> list[Trial]:
    """The trials of a session in their order: practice, then the rest mixed, repeats late.

    Practice and attention checks take clips of pairs that are neither chosen nor heard; where
    none are left, there are fewer practice trials, and checks reuse clips of the session. The
    first counted trial is an ordinary one.
    """
    session = design.session
    spare = _spare(stimuli, chosen, heard, generator)
    practice = [_plain("practice", s) for s in spare[: session.practice]]
    clips = spare[session.practice :] + generator.sample(list(chosen), len(chosen))
    checks = _attention_checks(clips, design, generator)
    anchors = [s for s in stimuli if s.kind == "anchor" and s.stimulus_id not in heard]
    picked = generator.sample(anchors, min(session.anchors, len(anchors)))
    body = [_plain("rating", s) for s in chosen]
    generator.shuffle(body)
    first, others = body[:1], body[1:] + [_plain("anchor", s) for s in picked] + checks
    generator.shuffle(others)
    body = first + others
    _add_repeats(body, session.repeats, generator)
    return practice + body


def _plain(kind: str, stimulus: Stimulus) -> Trial:
    return Trial(kind=kind, stimulus=stimulus, text=stimulus.text, text_b=stimulus.text_b)


def _spare(
    stimuli: Sequence[Stimulus],
    chosen: Sequence[Stimulus],
    heard: Collection[str],
    generator: random.Random,
) -> list[Stimulus]:
    """Pairs this listener will not rate, other clips than the chosen ones first."""
    taken = {s.stimulus_id for s in chosen} | set(heard)
    clips = {clip for s in chosen for clip in s.clips}
    spare = [s for s in stimuli if s.kind == "pair" and s.stimulus_id not in taken]
    generator.shuffle(spare)
    spare.sort(key=lambda s: not clips.isdisjoint(s.clips))
    return spare


def _attention_checks(
    clips: Sequence[Stimulus], design: StudyDesign, generator: random.Random
) -> list[Trial]:
    """Checks on distinct clips, each asking for another answer as far as the scale allows.

    Where two texts are compared, one stays: the same text twice would give the check away.
    """
    n = min(design.session.attention_checks, len(clips))
    choices = list(design.scale.choices)
    answers: list[float] = []
    while len(answers) < n:
        answers += generator.sample(choices, len(choices))
    checks = []
    for clip, answer in zip(clips[:n], answers[:n], strict=True):
        text = design.wording["attention"].format(answer=design.button(answer))
        other = text if design.between == "clips" else clip.text_b
        checks.append(
            Trial(kind="attention_check", stimulus=clip, text=text, text_b=other, expected=answer)
        )
    return checks


def _add_repeats(body: list[Trial], n: int, generator: random.Random) -> None:
    """Put n repeats of ordinary trials in, at least some trials after the first hearing."""
    places = [i for i, trial in enumerate(body) if trial.kind == "rating"]
    candidates = [i for i in places if i + _REPEAT_DISTANCE < len(body)]
    candidates = candidates if len(candidates) >= n else places
    for index in sorted(generator.sample(candidates, min(n, len(candidates))), reverse=True):
        first = body[index]
        earliest = min(index + _REPEAT_DISTANCE, len(body))
        place = generator.randint(earliest, len(body))
        body.insert(place, _plain("repeat", first.stimulus))
