"""How simulated listeners choose in an A/B study: Bradley–Terry strengths, ties by Davidson."""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Mapping, Sequence
from pathlib import Path

from humanclap.errors import InputError, listed
from humanclap.listening.design.assignment import Stimulus
from humanclap.listening.design.clips import ClipCache
from humanclap.listening.design.comparisons import EQUAL, A, B
from humanclap.listening.design.design import CHOICE, StudyDesign
from humanclap.listening.rehearsal.bots import HeardByBot
from humanclap.listening.study.study import Study, stimuli_of
from humanclap.tables import read_table

Strengths = Mapping[tuple[str, str], float]
"""(SHA-256 of the clip as served, text) -> strength; what is missing is a plain mismatch."""
Side = tuple[str | None, str, str]
"""System, clip and text."""


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


def strengths_of(study: Study, clips: ClipCache, seed: int, table: Path | None) -> Strengths:
    """The strength of every side of the study's comparisons, by what a bot will hear and read.

    table: `system,strength`, or `audio,text,strength`; without one they are drawn by the seed from
    a normal distribution of deviation 1, for each system, or for each side that has none. Raises
    TableError or InputError where the table does not name every side.
    """
    with study.database.read() as connection:
        sides = _sides(stimuli_of(connection))
    known = _drawn(sides, seed) if table is None else _read(table, sides)
    names = {
        audio: hashlib.sha256(clips.content(audio, "flac")).hexdigest()
        for audio in dict.fromkeys(audio for _, audio, _ in sides)
    }
    return {
        (names[audio], text): value for (_, audio, text), value in zip(sides, known, strict=True)
    }


def _sides(stimuli: Sequence[Stimulus]) -> list[Side]:
    sides: list[Side] = []
    for s in stimuli:
        if s.kind == "pair":
            sides.append((s.system, s.audio, s.text))
            sides.append((s.system_b, s.audio_b or s.audio, s.text_b or s.text))
    return list(dict.fromkeys(sides))


def _drawn(sides: Sequence[Side], seed: int) -> list[float]:
    names = [system or f"{audio}\0{text}" for system, audio, text in sides]
    return [random.Random(f"strength {seed} {name}").gauss(0.0, 1.0) for name in names]


def _read(path: Path, sides: Sequence[Side]) -> list[float]:
    table = read_table(path)
    by_system = "system" in table.columns and "audio" not in table.columns
    key = ("system",) if by_system else ("audio", "text")
    table.require(*key, "strength")
    given = {tuple(row.text(name) for name in key): row.number("strength") for row in table.rows}
    wanted = [(side[0],) if by_system else side[1:] for side in sides]
    missing = [item for item in dict.fromkeys(wanted) if item not in given]
    if missing:
        raise InputError(f"{path}: no strength for {listed(missing, 3, show=_shown)}")
    return [given[item] for item in wanted]  # type: ignore[index]


def _shown(key: tuple[str | None, ...]) -> str:
    return " with ".join("a side without a system" if name is None else repr(name) for name in key)


class Chooser:
    """One simulated listener's choices.

    Checks are obeyed and plain mismatches turned down by those who are not careless; careless
    ones press any button.
    """

    def __init__(
        self,
        design: StudyDesign,
        strengths: Strengths,
        *,
        generator: random.Random,
        ties: float,
        careless: bool,
    ) -> None:
        self._design, self._strengths = design, strengths
        self._random, self._careless = generator, careless
        self._ties = ties if design.n_buttons == 3 else 0.0
        checks = design.wording["attention"]
        self._checks = {checks.format(answer=design.button(c)): c for c in design.scale.choices}

    def __call__(self, heard: HeardByBot) -> Mapping[str, float | str]:
        """The answers to the choice and to what else must be answered."""
        return {
            question.id: self._choice(heard) if question.id == CHOICE else "simulated"
            for question in self._design.questions
            if question.rated or question.required
        }

    def _choice(self, heard: HeardByBot) -> float:
        buttons = self._design.scale.choices
        if self._careless:
            return self._random.choice(buttons)
        for text in heard.texts:
            if text in self._checks:
                return self._checks[text]
        first, second = self._sides(heard)
        if first is None or second is None:
            return self._random.choice(buttons) if first == second else (B if first is None else A)
        odds = chances(first, second, self._ties)
        return self._random.choices(buttons, [odds[button] for button in buttons])[0]

    def _sides(self, heard: HeardByBot) -> list[float | None]:
        """The strengths at A and at B."""
        clips = [hashlib.sha256(clip).hexdigest() for clip in heard.clips]
        clips, texts = (clips * 2)[:2], (list(heard.texts) * 2)[:2]
        return [self._strengths.get(side) for side in zip(clips, texts, strict=True)]
