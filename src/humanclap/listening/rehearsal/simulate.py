"""A rehearsal: bots with a stated rater model take the study through real HTTP."""

from __future__ import annotations

import hashlib
import math
import random
import secrets
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from humanclap.errors import InputError
from humanclap.listening.design.clips import ClipCache
from humanclap.listening.design.design import StudyDesign
from humanclap.listening.rehearsal.bots import Bot, Browser, HeardByBot, Rate, TurnedAwayError
from humanclap.listening.rehearsal.simulated_choices import Chooser, strengths_of
from humanclap.listening.study.session_length import session_length
from humanclap.listening.study.study import Study, stimuli_of
from humanclap.listening.web.app import serving
from humanclap.listening.web.listener import SIMULATED_HEADER
from humanclap.listening.web.settings import ServeSettings
from humanclap.progress import Progress, silent
from humanclap.tables import read_table

AT_ONCE = 16
Truth = Mapping[tuple[str, str], float]
"""(SHA-256 of the clip as served, text) -> relevance in [0, 1]; what is missing is a mismatch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RaterModel:
    """How a simulated listener answers.

    On the unit scale: relevance * spread + bias + noise, then the nearest button. Bias is normal
    with deviation `bias`, spread uniform in 0.75..1.1, both of the listener; noise is normal with
    deviation `noise`, of the answer. Of two sides, one is chosen by their strengths, with
    Davidson's `ties` (see simulated_choices). A share `careless` of listeners answers at random.
    Attention checks are obeyed by those who are not careless. Free text stays empty. Bots do not
    wait; the seconds they send are those of a person who hears the clips once (session_length).
    """

    seed: int = 0
    bias: float = 0.12
    noise: float = 0.15
    careless: float = 0.1
    ties: float = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsed:
    """What a rehearsal did, and what it says of a session: sounds, and minutes for people."""

    listeners: int
    finished: int
    turned_away: int
    answers: int
    session_sounds: int = 0
    session_minutes: int = 0


def pair_relevance(seed: int, audio: str, text: str) -> float:
    """A relevance for a pair of which none is known: 0.3..1, drawn from its name."""
    return 0.3 + 0.7 * random.Random(f"{seed}\0{audio}\0{text}").random()


def truth_of(study: Study, clips: ClipCache, model: RaterModel, table: Path | None) -> Truth:
    """What every pair of the study is worth, by the bytes a bot will get to hear."""
    given: dict[tuple[str, str], float] = {}
    if table is not None:
        rows = read_table(table)
        rows.require("audio", "text", "relevance")
        for row in rows.rows:
            value = row.number("relevance")
            if not 0 <= value <= 1:
                raise row.error(f"relevance is {value:g}; expected 0..1")
            given[row.text("audio"), row.text("text")] = value
    with study.database.read() as connection:
        pairs = [s for s in stimuli_of(connection) if s.kind == "pair"]
    names = {s.audio: hashlib.sha256(clips.content(s.audio, "flac")).hexdigest() for s in pairs}
    missing = [s.audio for s in pairs if given and (s.audio, s.text) not in given]
    if missing:
        raise InputError(f"{table}: no relevance for {len(missing)} pairs, first {missing[0]!r}")
    return {
        (names[s.audio], s.text): given.get(
            (s.audio, s.text), pair_relevance(model.seed, s.audio, s.text)
        )
        for s in pairs
    }


class Rater:
    """One simulated listener's judgement."""

    def __init__(self, model: RaterModel, number: int, design: StudyDesign, truth: Truth) -> None:
        self._random = random.Random(f"{model.seed}:{number}")
        self._model = model
        self._design = design
        self._truth = truth
        self._bias = self._random.gauss(0.0, model.bias)
        self._spread = self._random.uniform(0.75, 1.1)
        self._careless = self._random.random() < model.careless
        checks = design.wording["attention"]
        self._checks = {checks.format(answer=f"{c:g}"): c for c in design.scale.choices}

    def __call__(self, heard: HeardByBot) -> Mapping[str, float | str]:
        """The answers to every question on the scale; careless ones are uniform."""
        [clip], [text] = heard.clips, heard.texts
        return {
            question.id: self._score(clip, text) if question.rated else "simulated"
            for question in self._design.questions
            if question.rated or question.required
        }

    def _score(self, clip: bytes, text: str) -> float:
        choices = self._design.scale.choices
        if self._careless:
            return self._random.choice(choices)
        if text in self._checks:
            return self._checks[text]
        relevance = self._truth.get((hashlib.sha256(clip).hexdigest(), text), 0.0)
        noise = self._random.gauss(0.0, self._model.noise)
        # a plain mismatch is heard as one: its bias and noise are small
        steady = 1.0 if relevance > 0 else 0.2
        unit = relevance * self._spread + steady * (self._bias + noise)
        wanted = self._design.scale.rating_scale.from_unit(min(max(unit, 0.0), 1.0))
        return min(choices, key=lambda choice: math.fabs(choice - wanted))


def _raters(
    study: Study, clips: ClipCache, model: RaterModel, table: Path | None
) -> Callable[[int], Rate]:
    """What makes the listener of a number, for trials of the study's kind."""
    design = study.design
    if design.between is None:
        truth = truth_of(study, clips, model, table)
        return lambda number: Rater(model, number, design, truth)
    strengths = strengths_of(study, clips, model.seed, table)

    def chooser(number: int) -> Rate:
        generator = random.Random(f"{model.seed}:{number}")
        careless = generator.random() < model.careless
        return Chooser(design, strengths, generator=generator, ties=model.ties, careless=careless)

    return chooser


class _Crowd:
    """Bots at one address, and what has become of them so far."""

    def __init__(
        self,
        study: Study,
        address: str,
        rater_of: Callable[[int], Rate],
        n: int,
        progress: Progress,
    ) -> None:
        self._study, self._address, self._rater_of = study, address, rater_of
        self._progress = progress
        self._lock = threading.Lock()
        self.done = Rehearsed(listeners=n, finished=0, turned_away=0, answers=0)

    def take_part(self, number: int) -> None:
        """One bot, from the welcome page to the end."""
        browser = Browser(self._address, headers={SIMULATED_HEADER: "1"})
        asked = self._study.design.listener_questions
        bot = Bot(browser, rate=self._rater_of(number), questions=asked)
        answers, finished = 0, 1
        try:
            answers = sum(1 for _ in bot.take_part())
        except TurnedAwayError:
            finished = 0
        finally:
            browser.close()
        with self._lock:
            self.done = replace(
                self.done,
                finished=self.done.finished + finished,
                turned_away=self.done.turned_away + 1 - finished,
                answers=self.done.answers + answers,
            )
            self._progress(self.done.finished + self.done.turned_away, self.done.listeners, "")


def rehearse(
    study: Study,
    *,
    n_listeners: int,
    model: RaterModel,
    cache: Path,
    truth: Path | None = None,
    url: str = "",
    progress: Progress = silent,
) -> Rehearsed:
    """Let n_listeners bots take part; their sessions are marked as simulated by the server.

    url: a running server of this study that allows simulated listeners; without it one is started.
    """
    rater_of = _raters(study, ClipCache(study.audio_root, cache), model, truth)
    settings = ServeSettings(
        admin_token=secrets.token_urlsafe(18),
        port=0,
        allow_simulated=True,
        starts_per_minute=1_000_000,
        requests_per_minute=10_000_000,
    )
    with ExitStack() as stack:
        address = url or stack.enter_context(serving(study, settings, cache=cache))
        crowd = _Crowd(study, address, rater_of, n_listeners, progress)
        pool = stack.enter_context(ThreadPoolExecutor(min(AT_ONCE, n_listeners)))
        for task in [pool.submit(crowd.take_part, number) for number in range(n_listeners)]:
            task.result()
    with study.database.read() as connection:
        length = session_length(connection, study.design)
    return replace(crowd.done, session_sounds=length.sounds, session_minutes=length.minutes)
