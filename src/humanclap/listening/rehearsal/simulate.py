"""A rehearsal: bots with a stated rater model take the study through real HTTP."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from humanclap.listening.design.clips import ClipCache
from humanclap.listening.rehearsal.bots import Rate, TurnedAwayError, bot_session
from humanclap.listening.rehearsal.raters import RaterModel, raters_of
from humanclap.listening.study.session_length import session_length
from humanclap.listening.study.study import Study
from humanclap.listening.web.app import serving
from humanclap.listening.web.settings import ServeSettings
from humanclap.progress import Progress, silent

AT_ONCE = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsed:
    """What a rehearsal did, and what it says of a session: sounds, and minutes for people."""

    listeners: int
    finished: int
    turned_away: int
    answers: int
    session_sounds: int
    session_minutes: int


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

    truth: table of what they hear, as `raters_of` reads it. url: a running server of this study
    that allows simulated listeners; without it one is started.
    """
    rater_of = raters_of(study, ClipCache(study.audio_root, cache), model, truth)
    settings = ServeSettings(
        admin_token=secrets.token_urlsafe(18),
        port=0,
        allow_simulated=True,
        starts_per_minute=1_000_000,
        requests_per_minute=10_000_000,
    )
    with ExitStack() as stack:
        address = url or stack.enter_context(serving(study, settings, cache=cache))
        pool = stack.enter_context(ThreadPoolExecutor(min(AT_ONCE, n_listeners)))
        tasks = [
            pool.submit(_answers, study, address, rater_of, number) for number in range(n_listeners)
        ]
        for n_done, task in enumerate(as_completed(tasks), start=1):
            task.result()
            progress(n_done, n_listeners, "")
    answers = [n for task in tasks if (n := task.result()) is not None]
    with study.database.read() as connection:
        length = session_length(connection, study.design)
    return Rehearsed(
        listeners=n_listeners,
        finished=len(answers),
        turned_away=n_listeners - len(answers),
        answers=sum(answers),
        session_sounds=length.sounds,
        session_minutes=length.minutes,
    )


def _answers(
    study: Study, address: str, rater_of: Callable[[int], Rate], number: int
) -> int | None:
    """One bot, from the first page to the code: how many answers it gave; None if turned away."""
    asked = study.design.listener_questions
    try:
        return len(list(bot_session(address, rate=rater_of(number), questions=asked)))
    except TurnedAwayError:
        return None
