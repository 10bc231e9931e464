"""Sittings of listeners: started, given their trials, idle, taken up again, finished."""

from __future__ import annotations

import hashlib
import hmac
import random
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from humanclap.errors import InputError
from humanclap.listening.design.assignment import Trial, choose_pairs, plan_session
from humanclap.listening.design.sides import Shown, draw_sides
from humanclap.listening.study.database import insert, now, row, rows, run, run_each
from humanclap.listening.study.failed_clips import PLAYABLE, forget_mended, without_failed
from humanclap.listening.study.study import Study, setting

MAX_HEADPHONE_TRIES = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Recruit:
    """Where a listener comes from, as the recruiting site's address says; kept apart."""

    site: str
    worker: str
    task: str = ""
    submission: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A session as every page needs it."""

    session_id: str
    listener_id: str
    state: str
    completion_code: str
    simulated: bool
    seed: str
    excluded: bool = False
    headphone_tries: int = 0
    headphone_right: int | None = None


class StudyFullError(InputError):
    """No pair that this listener has not heard wants another rating."""


class SessionElsewhereError(InputError):
    """The recruit's session goes on in another browser, and this one cannot show it is theirs."""


def token_hash(token: str) -> str:
    """What the database keeps of a session's token: enough to recognise it, not to forge it."""
    return hashlib.sha256(token.encode()).hexdigest()


def start_session(
    study: Study,
    *,
    recruit: Recruit | None = None,
    simulated: bool = False,
    token: str | None = None,
) -> tuple[str, Session]:
    """A new session and its secret token; a known recruit's unfinished session is taken up again.

    token: the browser's own, so that consent given twice in it is one session; made anew where
    None. The new session holds no pairs yet. Raises StudyFullError where nothing is left,
    SessionElsewhereError where the recruit's session belongs to another browser and the submission
    is not the one it was started with, InputError where the study is not open, or the recruit was
    excluded or has had all sessions one may have.
    """
    token = token or secrets.token_urlsafe(32)
    forget_mended(study)
    with study.database.write() as connection:
        if (state := setting(connection, "state")) != "open":
            raise InputError(f"the study is {state}")
        if (own := find_session(connection, token)) is not None:
            return token, own
        known = _known_listener(connection, recruit)
        if known is not None and recruit is not None:
            _check_not_excluded(connection, known)
            unfinished = _unfinished(connection, known)
            if unfinished is not None:
                _take_over(connection, study, unfinished, recruit, token)
                return token, session_of(connection, unfinished)
            _check_may_return(connection, study, known)
        expire_idle(connection, study)
        if not has_room(connection, simulated=simulated):
            raise StudyFullError("every pair has its ratings")
        listener_id = known or _new_listener(connection, recruit, simulated)
        session = _new_session(connection, study, listener_id, token)
        _set_submission(connection, session.session_id, recruit)
        return token, session


def _take_over(
    connection: Connection, study: Study, session_id: str, recruit: Recruit, token: str
) -> None:
    """Move a session to another browser. A worker's id is no secret, the submission's id is.

    Without it only a session that nobody has answered in or touched for a while is handed over,
    so that nobody is locked out by a stranger who started in their name.
    """
    if not _same_submission(connection, session_id, recruit.submission):
        abandoned = row(
            connection,
            f"SELECT 1 FROM sessions WHERE session_id = :id AND seen_at < :since AND {_SILENT}",
            id=session_id,
            since=now(connection) - 60.0 * study.design.session.first_answer_minutes,
        )
        if abandoned is None:
            raise SessionElsewhereError("this listener's session was started in another browser")
    run(
        connection,
        "UPDATE sessions SET token_hash = :hash, seen_at = :now WHERE session_id = :id",
        hash=token_hash(token),
        now=now(connection),
        id=session_id,
    )
    _set_submission(connection, session_id, recruit)


def _same_submission(connection: Connection, session_id: str, submission: str) -> bool:
    found = submission_of(connection, session_id)
    return bool(submission) and hmac.compare_digest(found.encode(), submission.encode())


def submission_of(connection: Connection, session_id: str) -> str:
    """The recruiting site's id of what a session was started for; empty where it named none."""
    found = row(
        connection, "SELECT submission FROM submissions WHERE session_id = :id", id=session_id
    )
    return "" if found is None else str(found["submission"])


def _set_submission(connection: Connection, session_id: str, recruit: Recruit | None) -> None:
    if recruit is None:
        return
    run(connection, "DELETE FROM submissions WHERE session_id = :id", id=session_id)
    given = {"session_id": session_id, "task": recruit.task, "submission": recruit.submission}
    insert(connection, "submissions", [given])


def _check_not_excluded(connection: Connection, listener_id: str) -> None:
    excluded = "SELECT 1 FROM listeners WHERE listener_id = :id AND excluded = 1"
    if row(connection, excluded, id=listener_id):
        raise InputError("this listener has been excluded")


def _known_listener(connection: Connection, recruit: Recruit | None) -> str | None:
    if recruit is None:
        return None
    found = row(
        connection,
        "SELECT listener_id FROM recruitment WHERE site = :site AND worker = :worker",
        site=recruit.site,
        worker=recruit.worker,
    )
    return None if found is None else str(found["listener_id"])


def _unfinished(connection: Connection, listener_id: str) -> str | None:
    found = row(
        connection,
        "SELECT session_id FROM sessions WHERE listener_id = :id "
        "AND state IN ('preparing', 'active', 'expired') ORDER BY created_at DESC",
        id=listener_id,
    )
    return None if found is None else str(found["session_id"])


def _check_may_return(connection: Connection, study: Study, listener_id: str) -> None:
    had = rows(connection, "SELECT state FROM sessions WHERE listener_id = :id", id=listener_id)
    if len(had) >= study.design.session.per_listener or any(
        session["state"] == "screened_out" for session in had
    ):
        raise InputError("this listener has taken every session one may take")


def _new_listener(connection: Connection, recruit: Recruit | None, simulated: bool) -> str:
    listener_id = ("sim-" if simulated else "") + secrets.token_hex(5)
    insert(
        connection,
        "listeners",
        [
            {
                "listener_id": listener_id,
                "simulated": int(simulated),
                "created_at": now(connection),
            }
        ],
    )
    if recruit is not None:
        insert(
            connection,
            "recruitment",
            [
                {
                    "listener_id": listener_id,
                    "site": recruit.site,
                    "worker": recruit.worker,
                    "task": recruit.task,
                    "submission": recruit.submission,
                }
            ],
        )
    return listener_id


def _new_session(connection: Connection, study: Study, listener_id: str, token: str) -> Session:
    session_id = secrets.token_hex(8)
    number = rows(connection, "SELECT COUNT(*) AS n FROM sessions")[0]["n"]
    at = now(connection)
    insert(
        connection,
        "sessions",
        [
            {
                "session_id": session_id,
                "token_hash": token_hash(token),
                "listener_id": listener_id,
                "seed": f"{study.design.seed}:{number}",
                "state": "preparing",
                "completion_code": study.design.completion.code or secrets.token_hex(4).upper(),
                "created_at": at,
                "seen_at": at,
            }
        ],
    )
    return session_of(connection, session_id)


_SILENT = (
    "NOT EXISTS (SELECT 1 FROM trials t JOIN answers a ON a.trial_id = t.trial_id "
    "WHERE t.session_id = sessions.session_id)"
)
"""Of a row of sessions: nothing has been answered in it."""
_SESSION = (
    "SELECT s.session_id, s.listener_id, s.state, s.completion_code, s.seed, l.simulated, "
    "l.excluded, s.headphone_tries, s.headphone_right "
    "FROM sessions s JOIN listeners l ON l.listener_id = s.listener_id "
)


def _session(found: Mapping[str, Any]) -> Session:
    flags = {name: bool(found[name]) for name in ("simulated", "excluded")}
    return Session(**{**found, **flags})


def session_of(connection: Connection, session_id: str) -> Session:
    """The session of an id. Raises InputError where there is none."""
    found = row(connection, _SESSION + "WHERE s.session_id = :id", id=session_id)
    if found is None:
        raise InputError(f"no session {session_id!r}")
    return _session(found)


def find_session(connection: Connection, token: str) -> Session | None:
    """The session a token belongs to."""
    found = row(connection, _SESSION + "WHERE s.token_hash = :hash", hash=token_hash(token))
    return None if found is None else _session(found)


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
    found = row(
        connection,
        f"SELECT 1 FROM stimuli p LEFT JOIN ({_LOAD}) held ON held.stimulus_id = p.stimulus_id "
        f"WHERE p.kind = 'pair' AND p.wanted > COALESCE(held.n, 0) AND {PLAYABLE} LIMIT 1",
        simulated=int(simulated),
    )
    return found is not None


def expire_idle(connection: Connection, study: Study) -> int:
    """Sessions that have kept others waiting give their open trials back; how many did.

    Those are sessions idle for slot_minutes, and those that answer nothing for
    first_answer_minutes and the longest clip, however often their pages are loaded: pairs are
    kept for who listens, not for who opens many sessions.
    """
    at, design = now(connection), study.design.session
    longest = rows(connection, "SELECT MAX(duration_s) AS s FROM stimuli")[0]["s"] or 0.0
    n = run(
        connection,
        "UPDATE sessions SET state = 'expired' WHERE state = 'active' AND (seen_at < :idle "
        f"OR (COALESCE(promised_at, begun_at) < :silent AND {_SILENT}))",
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
        insert(connection, "trials", [_trial_row(session, n, t) for n, t in enumerate(trials, 1)])
        at = now(connection)
        _set_state(connection, session.session_id, "active", begun_at=at, promised_at=at)
        return session_of(connection, session.session_id)


def _heard(connection: Connection, listener_id: str) -> set[str]:
    """Everything this listener's sessions hold, whether they got that far or not."""
    found = rows(
        connection,
        "SELECT DISTINCT t.stimulus_id FROM trials t "
        "JOIN sessions s ON s.session_id = t.session_id WHERE s.listener_id = :id",
        id=listener_id,
    )
    return {item["stimulus_id"] for item in found}


def _shown(connection: Connection, *, simulated: bool) -> tuple[Shown, Shown]:
    """How often comparisons stand with which side first: as answered or promised, and ever."""
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


def _set_state(connection: Connection, session_id: str, state: str, **times: float) -> None:
    sets = "".join(f", {name} = :{name}" for name in times)
    run(
        connection,
        f"UPDATE sessions SET state = :state, seen_at = :now{sets} WHERE session_id = :id",
        state=state,
        now=now(connection),
        id=session_id,
        **times,
    )


def return_to_session(study: Study, session: Session) -> Session:
    """A listener is back: an expired session takes up again what others have not taken over.

    So does one in which no clip could be played. A session whose every trial is dealt with is
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
            _set_state(connection, session.session_id, "active")
        finish_if_done(connection, session.session_id)
        return session_of(connection, session.session_id)


def take_up(connection: Connection, session: Session) -> int:
    """Make a session active again with what it gave back and still has room; how many ratings."""
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
    _set_state(connection, session.session_id, "active", promised_at=now(connection))
    return sum(trial["kind"] == "rating" for trial in again)


def _lacks_clips(connection: Connection, session_id: str) -> bool:
    """Whether a session's trials wait for clips that cannot be played."""
    found = row(
        connection,
        "SELECT 1 FROM trials t JOIN stimuli p ON p.stimulus_id = t.stimulus_id "
        "JOIN failed_clips f ON f.audio IN (p.audio, p.audio_b) "
        "WHERE t.session_id = :id AND t.kind = 'rating' AND t.state = 'released'",
        id=session_id,
    )
    return found is not None


def open_trials(connection: Connection, session_id: str) -> int:
    """How many trials of a session still wait for an answer."""
    return int(
        rows(
            connection,
            "SELECT COUNT(*) AS n FROM trials WHERE session_id = :id AND state = 'open'",
            id=session_id,
        )[0]["n"]
    )


def answered_trials(connection: Connection, session_id: str) -> int:
    """How many trials of a session hold an answer, counted or not."""
    return int(
        rows(
            connection,
            "SELECT COUNT(*) AS n FROM trials t JOIN answers a ON a.trial_id = t.trial_id "
            "WHERE t.session_id = :id",
            id=session_id,
        )[0]["n"]
    )


def finish_if_done(connection: Connection, session_id: str) -> None:
    """Finish an active session that has answered something and has nothing left to answer.

    Questions about the listener that come after the last sound are not waited for: the ratings
    are complete without them.
    """
    session = session_of(connection, session_id)
    if session.state != "active" or session.excluded or open_trials(connection, session_id):
        return
    if answered_trials(connection, session_id):
        _set_state(connection, session_id, "finished", finished_at=now(connection))


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


def store_attributes(connection: Connection, listener_id: str, given: Mapping[str, str]) -> None:
    """Keep a listener's answers about themselves; the first answer stands."""
    known = attributes_of(connection, listener_id)
    insert(
        connection,
        "attributes",
        [
            {"listener_id": listener_id, "name": name, "value": value}
            for name, value in given.items()
            if name not in known
        ],
    )


def attributes_of(connection: Connection, listener_id: str) -> dict[str, str]:
    """A listener's answers about themselves."""
    found = rows(
        connection, "SELECT name, value FROM attributes WHERE listener_id = :id", id=listener_id
    )
    return {item["name"]: item["value"] for item in found}


def record_headphones(study: Study, session: Session, n_right: int, *, passed: bool) -> Session:
    """Store a headphone check; where they are required, the last failed try ends the session.

    A try that was stored meanwhile is not stored twice.
    """
    with study.database.write() as connection:
        run(
            connection,
            "UPDATE sessions SET headphone_tries = headphone_tries + 1, headphone_right = :n "
            "WHERE session_id = :id AND state = 'preparing' AND headphone_tries = :tries",
            n=n_right,
            id=session.session_id,
            tries=session.headphone_tries,
        )
        session = session_of(connection, session.session_id)
        required = study.design.session.headphone_check == "require"
        if required and not passed and session.headphone_tries >= MAX_HEADPHONE_TRIES:
            _set_state(connection, session.session_id, "screened_out")
        return session_of(connection, session.session_id)
