"""Sittings of listeners: found by their tokens, their state, what listeners say of themselves."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from humanclap.errors import InputError
from humanclap.listening.study.database import insert, now, row, rows, run, value
from humanclap.listening.study.study import Study

MAX_HEADPHONE_TRIES = 2


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


SILENT = (
    "NOT EXISTS (SELECT 1 FROM trials t JOIN answers a ON a.trial_id = t.trial_id "
    "WHERE t.session_id = sessions.session_id)"
)
"""In a query of sessions: nothing has been answered in the session."""
_SESSION = (
    "SELECT s.session_id, s.listener_id, s.state, s.completion_code, s.seed, l.simulated, "
    "l.excluded, s.headphone_tries, s.headphone_right "
    "FROM sessions s JOIN listeners l ON l.listener_id = s.listener_id "
)


def token_hash(token: str) -> str:
    """What the database keeps of a session's token: enough to recognise it, not to forge it."""
    return hashlib.sha256(token.encode()).hexdigest()


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


def set_session_state(connection: Connection, session_id: str, state: str, **times: float) -> None:
    """Change a session's state, which also counts as a sign of life.

    times: columns of the session -> seconds since 1970.
    """
    sets = "".join(f", {name} = :{name}" for name in times)
    run(
        connection,
        f"UPDATE sessions SET state = :state, seen_at = :now{sets} WHERE session_id = :id",
        state=state,
        now=now(connection),
        id=session_id,
        **times,
    )


def open_trials(connection: Connection, session_id: str) -> int:
    """How many trials of a session still wait for an answer."""
    query = "SELECT COUNT(*) FROM trials WHERE session_id = :id AND state = 'open'"
    return int(value(connection, query, id=session_id))


def answered_trials(connection: Connection, session_id: str) -> int:
    """How many trials of a session hold an answer, whether it counts or not."""
    query = "SELECT COUNT(*) FROM trials JOIN answers USING (trial_id) WHERE session_id = :id"
    return int(value(connection, query, id=session_id))


def finish_if_done(connection: Connection, session_id: str) -> None:
    """Finish an active session that has answered something and has nothing left to answer.

    Questions about the listener that come after the last sound are not waited for: the ratings
    are complete without them.
    """
    session = session_of(connection, session_id)
    if session.state != "active" or session.excluded or open_trials(connection, session_id):
        return
    if answered_trials(connection, session_id):
        set_session_state(connection, session_id, "finished", finished_at=now(connection))


def store_attributes(connection: Connection, listener_id: str, given: Mapping[str, str]) -> None:
    """Keep a listener's answers about themselves; the first answer stands."""
    known = attributes_of(connection, listener_id)
    new = [
        {"listener_id": listener_id, "name": name, "value": answer}
        for name, answer in given.items()
        if name not in known
    ]
    insert(connection, "attributes", *new)


def attributes_of(connection: Connection, listener_id: str) -> dict[str, str]:
    """A listener's answers about themselves."""
    query = "SELECT name, value FROM attributes WHERE listener_id = :id"
    return {item["name"]: item["value"] for item in rows(connection, query, id=listener_id)}


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
            set_session_state(connection, session.session_id, "screened_out")
        return session_of(connection, session.session_id)
