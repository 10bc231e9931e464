"""How simulated listeners answer: by a stated model, from what each side of a trial is worth.

Ratings follow relevances; choices follow Bradley-Terry strengths, with ties by Davidson.
"""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from humanclap.errors import InputError, listed
from humanclap.listening.design.assignment import Stimulus
from humanclap.listening.design.clips import ClipCache
from humanclap.listening.design.comparisons import EQUAL, A, B
from humanclap.listening.design.design import StudyDesign
from humanclap.listening.rehearsal.bots import HeardByBot, Rate
from humanclap.listening.study.study import Study, stimuli_of
from humanclap.tables import read_table

Side = tuple[str | None, str, str]
"""System, clip and text."""
Worths = Mapping[tuple[str, str], float]
"""(SHA-256 of the clip as served, text) -> relevance or strength; a mismatch where missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RaterModel:
    """How a simulated listener answers.

    On the unit scale: relevance * spread + bias + noise, then the nearest button. Bias is normal
    with deviation `bias`, spread uniform in 0.75..1.1, both of the listener; noise is normal with
    deviation `noise`, of the answer. Of two sides, one is chosen by their strengths, with
    Davidson's `ties` (see `chances`). A share `careless` of listeners answers at random.
    Attention checks are obeyed by those who are not careless. Free text stays empty. Bots do not
    wait; the seconds they send are those of a person who hears the clips once (session_length).
    """

    seed: int = 0
    bias: float = 0.12
    noise: float = 0.15
    careless: float = 0.1
    ties: float = 0.5


def raters_of(
    study: Study, clips: ClipCache, model: RaterModel, table: Path | None
) -> Callable[[int], Rate]:
    """What makes the listener of a number, for trials of the study's kind.

    table: `audio,text,relevance` (0..1), or of an A/B study `system,strength` or
    `audio,text,strength`. Without one, worths are drawn by the seed: a relevance from 0.3..1 for
    each pair, a strength from a normal distribution of deviation 1 for each system, or for each
    side that has none. Raises TableError or InputError where the table does not name every side.
    """
    rated = study.design.between is None
    with study.database.read() as connection:
        sides = _sides(stimuli_of(connection))
    column = "relevance" if rated else "strength"
    known = _drawn(sides, model.seed, rated) if table is None else _read(table, sides, column)
    names = {audio: _name(clips.content(audio, "flac")) for audio in {side[1] for side in sides}}
    worths = {
        (names[audio], text): worth for (_, audio, text), worth in zip(sides, known, strict=True)
    }
    return lambda number: _SimulatedListener(study.design, worths, model, number)


def _sides(stimuli: Sequence[Stimulus]) -> list[Side]:
    sides: list[Side] = []
    for s in stimuli:
        if s.kind == "pair":
            sides.append((s.system, s.audio, s.text))
            if s.audio_b is not None:
                sides.append((s.system_b, s.audio_b, s.text_b or s.text))
    return list(dict.fromkeys(sides))


def _name(clip: bytes) -> str:
    return hashlib.sha256(clip).hexdigest()


def _drawn(sides: Iterable[Side], seed: int, rated: bool) -> list[float]:
    if rated:
        return [0.3 + 0.7 * random.Random(f"{seed}\0{a}\0{t}").random() for _, a, t in sides]
    names = [system or f"{audio}\0{text}" for system, audio, text in sides]
    return [random.Random(f"strength {seed} {name}").gauss(0.0, 1.0) for name in names]


def _read(path: Path, sides: Sequence[Side], column: str) -> list[float]:
    table = read_table(path)
    by_system = column == "strength" and "system" in table.columns and "audio" not in table.columns
    key = ("system",) if by_system else ("audio", "text")
    table.require(*key, column)
    given: dict[tuple[str | None, ...], float] = {}
    for row in table.rows:
        value = row.number(column)
        if column == "relevance" and not 0 <= value <= 1:
            raise row.error(f"relevance is {value:g}; expected 0..1")
        given[tuple(row.text(name) for name in key)] = value
    wanted: list[tuple[str | None, ...]] = [(s[0],) if by_system else s[1:] for s in sides]
    if missing := [item for item in dict.fromkeys(wanted) if item not in given]:
        raise InputError(f"{path}: no {column} for {listed(missing, 3, show=_shown)}")
    return [given[item] for item in wanted]


def _shown(key: tuple[str | None, ...]) -> str:
    return " with ".join("a side without a system" if name is None else repr(name) for name in key)


class _SimulatedListener:
    """One listener, who answers every question that must be answered, as RaterModel says."""

    def __init__(self, design: StudyDesign, worths: Worths, model: RaterModel, number: int) -> None:
        self._design, self._worths, self._model = design, worths, model
        self._random = random.Random(f"{model.seed}:{number}")
        if design.between is None:
            self._bias = self._random.gauss(0.0, model.bias)
            self._spread = self._random.uniform(0.75, 1.1)
        self._careless = self._random.random() < model.careless
        check = design.wording["attention"]
        self._checks = {check.format(answer=design.button(c)): c for c in design.scale.choices}

    def __call__(self, heard: HeardByBot) -> Mapping[str, float | str]:
        return {
            question.id: self._button(heard) if question.rated else "simulated"
            for question in self._design.questions
            if question.rated or question.required
        }

    def _button(self, heard: HeardByBot) -> float:
        if self._careless:
            return self._random.choice(self._design.scale.choices)
        for text in heard.texts:
            if text in self._checks:
                return self._checks[text]
        clips, texts = ((list(part) * 2)[:2] for part in (map(_name, heard.clips), heard.texts))
        first, second = map(self._worths.get, zip(clips, texts, strict=True))
        if self._design.between is None:
            return self._rate(first or 0.0)
        return self._choose(first, second)

    def _rate(self, relevance: float) -> float:
        noise = self._random.gauss(0.0, self._model.noise)
        # a plain mismatch is heard as one: its bias and noise are small
        steady = 1.0 if relevance > 0 else 0.2
        unit = relevance * self._spread + steady * (self._bias + noise)
        wanted = self._design.scale.rating_scale.from_unit(min(max(unit, 0.0), 1.0))
        return min(self._design.scale.choices, key=lambda choice: math.fabs(choice - wanted))

    def _choose(self, first: float | None, second: float | None) -> float:
        """The button, by the strengths of the sides at A and B; None is a plain mismatch."""
        buttons = self._design.scale.choices
        if first is None or second is None:
            return self._random.choice(buttons) if first == second else (B if first is None else A)
        odds = chances(first, second, self._model.ties if EQUAL in buttons else 0.0)
        return self._random.choices(buttons, [odds[button] for button in buttons])[0]


def chances(first: float, second: float, ties: float) -> dict[float, float]:
    """Probability of each button where A has the strength `first` and B `second`.

    Strengths are natural logarithms of the worths p of Bradley and Terry (1952). With Davidson's
    ties (1970) A is chosen with p_a / Z, equal with ties * sqrt(p_a * p_b) / Z and B with p_b / Z.

    >>> round(chances(math.log(3.0), 0.0, ties=0.0)[A], 9)
    0.75
    """
    middle = 0.5 * (first + second)  # taken out, so that no strength overflows
    worth = {A: math.exp(first - middle), EQUAL: ties, B: math.exp(second - middle)}
    total = math.fsum(worth.values())
    return {button: value / total for button, value in worth.items()}
