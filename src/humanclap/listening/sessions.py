"""Sittings of listeners: started, given their trials, idle, taken up again, finished."""

from __future__ import annotations

import hashlib
import random
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from humanclap.errors import InputError
from humanclap.listening.assignment import Trial, choose_pairs, plan_session
from humanclap.listening.database import insert, row, rows, run
from humanclap.listening.study import Study, setting, stimuli_of

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
    headphone_tries: int = 0
    headphone_right: int | None = None


class StudyFullError(InputError):
    """No pair that this listener has not heard wants another rating."""


def token_hash(token: str) -> str:
    """What the database keeps of a session's token: enough to recognise it, not to forge it."""
    return hashlib.sha256(token.encode()).hexdigest()


def start_session(
    study: Study, *, recruit: Recruit | None = None, simulated: bool = False
) -> tuple[str, Session]:
    """A new session and its secret token; a known recruit's unfinished session is taken up again.

    It holds no pairs yet. Raises StudyFullError where nothing is left, InputError where the study
    is not open or the recruit has had all sessions one may have.
    """
    token = secrets.token_urlsafe(32)
    with study.database.write() as connection:
        if (state := setting(connection, "state")) != "open":
            raise InputError(f"the study is {state}")
        known = _known_listener(connection, recruit)
        if known is not None:
            unfinished = _unfinished(connection, known)
            if unfinished is not None:
                run(
                    connection,
                    "UPDATE sessions SET token_hash = :hash WHERE session_id = :id",
                    hash=token_hash(token),
                    id=unfinished,
                )
                return token, _by_id(connection, unfinished)
            _check_may_return(connection, study, known)
        expire_idle(connection, study)
        if not has_room(connection, simulated=simulated):
            raise StudyFullError("every pair has its ratings")
        listener_id = known or _new_listener(connection, recruit, simulated)
        return token, _new_session(connection, study, listener_id, token)


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
        [{"listener_id": listener_id, "simulated": int(simulated), "created_at": time.time()}],
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
    now = time.time()
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
                "created_at": now,
                "seen_at": now,
            }
        ],
    )
    return _by_id(connection, session_id)


_SESSION = (
    "SELECT s.session_id, s.listener_id, s.state, s.completion_code, s.seed, l.simulated, "
    "s.headphone_tries, s.headphone_right "
    "FROM sessions s JOIN listeners l ON l.listener_id = s.listener_id "
)


def _session(found: Mapping[str, Any]) -> Session:
    return Session(**{**found, "simulated": bool(found["simulated"])})


def _by_id(connection: Connection, session_id: str) -> Session:
    found = row(connection, _SESSION + "WHERE s.session_id = :id", id=session_id)
    if found is None:
        raise InputError(f"no session {session_id!r}")
    return _session(found)


def find_session(connection: Connection, token: str) -> Session | None:
    """The session a token belongs to."""
    found = row(connection, _SESSION + "WHERE s.token_hash = :hash", hash=token_hash(token))
    return None if found is None else _session(found)


def pair_load(connection: Connection, *, simulated: bool) -> dict[str, int]:
    """Ratings each pair has or has been promised, by stimulus_id; people and bots apart."""
    found = rows(
        connection,
        "SELECT stimulus_id, COUNT(*) AS n FROM trials WHERE simulated = :simulated "
        "AND kind = 'rating' AND state IN ('open', 'answered') GROUP BY stimulus_id",
        simulated=int(simulated),
    )
    return {item["stimulus_id"]: int(item["n"]) for item in found}


def has_room(connection: Connection, *, simulated: bool) -> bool:
    """Whether any pair wants another rating."""
    load = pair_load(connection, simulated=simulated)
    wanted = rows(connection, "SELECT stimulus_id, wanted FROM stimuli WHERE kind = 'pair'")
    return any(load.get(item["stimulus_id"], 0) < item["wanted"] for item in wanted)


def expire_idle(connection: Connection, study: Study) -> int:
    """Sessions idle for longer than slot_minutes give their open trials back; how many did."""
    idle_since = time.time() - 60.0 * study.design.session.slot_minutes
    n = run(
        connection,
        "UPDATE sessions SET state = 'expired' WHERE state = 'active' AND seen_at < :since",
        since=idle_since,
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
    with study.database.write() as connection:
        session = _by_id(connection, session.session_id)
        if session.state != "preparing":
            return session
        expire_idle(connection, study)
        stimuli, heard = stimuli_of(connection), _heard(connection, session.listener_id)
        generator = random.Random(session.seed)
        load = pair_load(connection, simulated=session.simulated)
        chosen = choose_pairs(stimuli, load, heard, study.design.session.pairs, generator)
        if not chosen:
            raise StudyFullError("no pair is left for this listener")
        trials = plan_session(chosen, stimuli, heard, study.design, generator)
        insert(connection, "trials", [_trial_row(session, n, t) for n, t in enumerate(trials, 1)])
        _set_state(connection, session.session_id, "active", begun_at=time.time())
        return _by_id(connection, session.session_id)


def _heard(connection: Connection, listener_id: str) -> set[str]:
    """Everything this listener's sessions hold, whether they got that far or not."""
    found = rows(
        connection,
        "SELECT DISTINCT t.stimulus_id FROM trials t "
        "JOIN sessions s ON s.session_id = t.session_id WHERE s.listener_id = :id",
        id=listener_id,
    )
    return {item["stimulus_id"] for item in found}


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
        "state": "open",
    }


def _set_state(connection: Connection, session_id: str, state: str, **times: float) -> None:
    sets = "".join(f", {name} = :{name}" for name in times)
    run(
        connection,
        f"UPDATE sessions SET state = :state, seen_at = :now{sets} WHERE session_id = :id",
        state=state,
        now=time.time(),
        id=session_id,
        **times,
    )


def return_to_session(study: Study, session: Session) -> Session:
    """A listener is back: an expired session takes up again what others have not taken over."""
    with study.database.write() as connection:
        session = _by_id(connection, session.session_id)
        if session.state == "expired":
            load = pair_load(connection, simulated=session.simulated)
            for trial in rows(
                connection,
                "SELECT t.trial_id, t.kind, t.stimulus_id, p.wanted FROM trials t "
                "JOIN stimuli p ON p.stimulus_id = t.stimulus_id "
                "WHERE t.session_id = :id AND t.state = 'released' ORDER BY t.number",
                id=session.session_id,
            ):
                full = load.get(trial["stimulus_id"], 0) >= trial["wanted"]
                if trial["kind"] == "rating" and full:
                    continue
                run(
                    connection,
                    "UPDATE trials SET state = 'open' WHERE trial_id = :id",
                    id=trial["trial_id"],
                )
            _set_state(connection, session.session_id, "active")
        elif session.state == "active":
            _set_state(connection, session.session_id, "active")
        return _by_id(connection, session.session_id)


def open_trials(connection: Connection, session_id: str) -> int:
    """How many trials of a session still wait for an answer."""
    return int(
        rows(
            connection,
            "SELECT COUNT(*) AS n FROM trials WHERE session_id = :id AND state = 'open'",
            id=session_id,
        )[0]["n"]
    )


def finish_session(connection: Connection, session_id: str) -> None:
    """The listener has answered everything."""
    _set_state(connection, session_id, "finished", finished_at=time.time())


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
    """Store a headphone check; where they are required, the last failed try ends the session."""
    with study.database.write() as connection:
        run(
            connection,
            "UPDATE sessions SET headphone_tries = headphone_tries + 1, headphone_right = :n "
            "WHERE session_id = :id AND state = 'preparing'",
            n=n_right,
            id=session.session_id,
        )
        session = _by_id(connection, session.session_id)
        required = study.design.session.headphone_check == "require"
        if required and not passed and session.headphone_tries >= MAX_HEADPHONE_TRIES:
            _set_state(connection, session.session_id, "screened_out")
        return _by_id(connection, session.session_id)
