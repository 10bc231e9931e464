"""The trials of a session: given out, given back where it idles, taken up again, left out."""

from __future__ import annotations

import random
import secrets

from sqlalchemy import Connection

from humanclap.errors import InputError
from humanclap.listening.design.assignment import Trial, choose_pairs, plan_session
from humanclap.listening.design.sides import Shown, draw_sides
from humanclap.listening.study.database import insert, now, rows, run, run_each, value
from humanclap.listening.study.failed_clips import PLAYABLE, forget_mended, without_failed
from humanclap.listening.study.sessions import (
    SILENT,
    Session,
    answered_trials,
    finish_if_done,
    open_trials,
    session_of,
    set_session_state,
)
from humanclap.listening.study.study import Study


class StudyFullError(InputError):
    """No pair that this listener has not heard wants another rating."""


_LOAD = (
    "SELECT stimulus_id, COUNT(*) AS n FROM trials WHERE simulated = :simulated "
    "AND kind = 'rating' AND state IN ('open', 'answered') GROUP BY stimulus_id"
)


def pair_load(connection: Connection, *, simulated: bool) -> dict[str, int]:
    """Ratings each pair has or has been promised, by stimulus_id; people and bots apart."""
    found = rows(connection, _LOAD, simulated=int(simulated))
    return {item["stimulus_id"]: int(item["n"]) for item in found}


def has_room(connection: Connection, *, simulated: bool) -> bool:
    """Whether any pair whose clip can be played wants another rating."""
    query = (
        f"SELECT 1 FROM stimuli p LEFT JOIN ({_LOAD}) held ON held.stimulus_id = p.stimulus_id "
        f"WHERE p.kind = 'pair' AND p.wanted > COALESCE(held.n, 0) AND {PLAYABLE} LIMIT 1"
    )
    return value(connection, query, simulated=int(simulated)) is not None


def expire_idle(connection: Connection, study: Study) -> int:
    """Take the open trials back from sessions that keep others waiting; returns how many sessions.

    These were idle for slot_minutes, or answered nothing within first_answer_minutes and the length
    of the longest clip. Loading pages does not help the latter: pairs are kept for people who
    listen, not for those who open many sessions.
    """
    at, design = now(connection), study.design.session
    longest = value(connection, "SELECT MAX(duration_s) FROM stimuli") or 0.0
    n = run(
        connection,
        "UPDATE sessions SET state = 'expired' WHERE state = 'active' AND (seen_at < :idle "
        f"OR (COALESCE(promised_at, begun_at) < :silent AND {SILENT}))",
        idle=at - 60.0 * design.slot_minutes,
        silent=at - 60.0 * design.first_answer_minutes - longest,
    )
    if n:
        run(
            connection,
            "UPDATE trials SET state = 'released' WHERE state = 'open' AND session_id IN "
            "(SELECT session_id FROM sessions WHERE state = 'expired')",
        )
    return n


def begin_session(study: Study, session: Session) -> Session:
    """Give a prepared session its trials, in one transaction; anything else is left as it is.

    Raises StudyFullError where nothing is left for this listener.
    """
    forget_mended(study)
    with study.database.write() as connection:
        session = session_of(connection, session.session_id)
        if session.state != "preparing" or session.excluded:
            return session
        expire_idle(connection, study)
        stimuli = without_failed(connection, study.stimuli(connection))
        heard = _heard(connection, session.listener_id)
        generator = random.Random(session.seed)
        load = pair_load(connection, simulated=session.simulated)
        chosen = choose_pairs(stimuli, load, heard, study.design.session.pairs, generator)
        if not chosen:
            raise StudyFullError("no pair is left for this listener")
        trials = plan_session(chosen, stimuli, heard, study.design, generator)
        if study.design.between is not None:
            held, ever = _shown(connection, simulated=session.simulated)
            trials = draw_sides(trials, stimuli, held, ever, generator)
        insert(connection, "trials", *(_trial_row(session, n, t) for n, t in enumerate(trials, 1)))
        at = now(connection)
        set_session_state(connection, session.session_id, "active", begun_at=at, promised_at=at)
        return session_of(connection, session.session_id)


def _heard(connection: Connection, listener_id: str) -> set[str]:
    """Everything in this listener's sessions, whether they got that far or not."""
    found = rows(
        connection,
        "SELECT DISTINCT t.stimulus_id FROM trials t "
        "JOIN sessions s ON s.session_id = t.session_id WHERE s.listener_id = :id",
        id=listener_id,
    )
    return {item["stimulus_id"] for item in found}


def _shown(connection: Connection, *, simulated: bool) -> tuple[Shown, Shown]:
    """How often each comparison was shown with which side first: answered or promised, and ever."""
    found = rows(
        connection,
        "SELECT stimulus_id, swapped, COUNT(*) AS n, "
        "COUNT(CASE WHEN state IN ('open', 'answered') THEN 1 END) AS held FROM trials "
        "WHERE simulated = :simulated AND kind = 'rating' GROUP BY stimulus_id, swapped",
        simulated=int(simulated),
    )
    counted = [((item["stimulus_id"], bool(item["swapped"])), item) for item in found]
    return {key: item["held"] for key, item in counted}, {key: item["n"] for key, item in counted}


def _trial_row(session: Session, number: int, trial: Trial) -> dict[str, object]:
    return {
        "trial_id": secrets.token_urlsafe(16),
        "session_id": session.session_id,
        "simulated": int(session.simulated),
        "number": number,
        "kind": trial.kind,
        "stimulus_id": trial.stimulus.stimulus_id,
        "text": trial.text,
        "expected": trial.expected,
        "text_b": trial.text_b,
        "swapped": int(trial.swapped),
        "state": "open",
    }


def return_to_session(study: Study, session: Session) -> Session:
    """A listener is back: an expired session goes on with what others have not taken over.

    So does one in which no clip could be played. A session with nothing left to answer is
    finished. Raises StudyFullError where nothing was answered and all pairs were taken over.
    """
    forget_mended(study)
    with study.database.write() as connection:
        session = session_of(connection, session.session_id)
        if session.excluded or session.state not in ("active", "expired"):
            return session
        silent = answered_trials(connection, session.session_id) == 0
        waiting = open_trials(connection, session.session_id)
        if session.state == "expired" or (silent and not waiting):
            n_ratings = take_up(connection, session)
            if silent and not n_ratings and not _lacks_clips(connection, session.session_id):
                raise StudyFullError("others have taken over every pair of this session")
        else:
            set_session_state(connection, session.session_id, "active")
        finish_if_done(connection, session.session_id)
        return session_of(connection, session.session_id)


def take_up(connection: Connection, session: Session) -> int:
    """Make a session active again with those trials it gave back that are still wanted.

    Returns how many of them are ratings.
    """
    load = pair_load(connection, simulated=session.simulated)
    again = [
        trial
        for trial in rows(
            connection,
            "SELECT t.trial_id, t.kind, t.stimulus_id, p.wanted FROM trials t "
            "JOIN stimuli p ON p.stimulus_id = t.stimulus_id "
            "WHERE t.session_id = :id AND t.state = 'released' "
            f"AND {PLAYABLE} ORDER BY t.number",
            id=session.session_id,
        )
        if trial["kind"] != "rating" or load.get(trial["stimulus_id"], 0) < trial["wanted"]
    ]
    opened = "UPDATE trials SET state = 'open' WHERE trial_id = :id"
    run_each(connection, opened, [{"id": trial["trial_id"]} for trial in again])
    set_session_state(connection, session.session_id, "active", promised_at=now(connection))
    return sum(trial["kind"] == "rating" for trial in again)


def _lacks_clips(connection: Connection, session_id: str) -> bool:
    """Whether a session's trials wait for clips that cannot be played."""
    query = (
        "SELECT 1 FROM trials t JOIN stimuli p ON p.stimulus_id = t.stimulus_id "
        "JOIN failed_clips f ON f.audio IN (p.audio, p.audio_b) "
        "WHERE t.session_id = :id AND t.kind = 'rating' AND t.state = 'released'"
    )
    return value(connection, query, id=session_id) is not None


def skip_trial(connection: Connection, session: Session, trial_id: str) -> None:
    """Give an open trial back whose clip cannot be played."""
    run(
        connection,
        "UPDATE trials SET state = 'released' "
        "WHERE trial_id = :trial AND session_id = :session AND state = 'open'",
        trial=trial_id,
        session=session.session_id,
    )
    finish_if_done(connection, session.session_id)
