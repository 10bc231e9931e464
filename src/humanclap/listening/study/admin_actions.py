"""What the researcher does while a study runs; every action is recorded among its events."""

from __future__ import annotations

import secrets

from sqlalchemy import Connection

from humanclap.errors import InputError
from humanclap.listening.study.database import insert, now, run, run_each, value
from humanclap.listening.study.study import Study, set_state, setting, stimuli_of

MAX_TOP_UP = 1000


def record(connection: Connection, action: str, subject: str, detail: str = "") -> None:
    """Append to the study's events."""
    event = {
        "event_id": secrets.token_hex(8),
        "at": now(connection),
        "action": action,
        "subject": subject,
        "detail": detail,
    }
    insert(connection, "events", event)


def last_event(connection: Connection) -> str:
    """Id of the latest event, whichever process recorded it; empty where there is none."""
    return value(connection, "SELECT event_id FROM events ORDER BY at DESC, event_id LIMIT 1") or ""


def change_state(study: Study, state: str) -> None:
    """Open, pause or close the study; answers on their way are stored in any case."""
    with study.database.write() as connection:
        before = setting(connection, "state")
        set_state(connection, state)
        record(connection, state, "study", f"was {before}")


def exclude_listener(study: Study, listener_id: str, reason: str) -> None:
    """Set a listener's answers aside (kept, flagged) and give their pairs to others.

    The listener gets no further sound and no completion code, unless reinstated.
    Raises InputError for an unknown listener or an empty reason.
    """
    if not reason.strip():
        raise InputError("an exclusion needs a reason")
    with study.database.write() as connection:
        _check_listener(connection, listener_id)
        run(
            connection,
            "UPDATE listeners SET excluded = 1, reason = :reason WHERE listener_id = :id",
            reason=reason.strip()[:500],
            id=listener_id,
        )
        _set_trials(connection, listener_id, "answered", "excluded")
        _set_trials(connection, listener_id, "open", "released")
        run(
            connection,  # reinstated, the listener may take it up again
            "UPDATE sessions SET state = 'expired' WHERE listener_id = :id AND state = 'active'",
            id=listener_id,
        )
        record(connection, "exclude", listener_id, reason.strip()[:500])


def reinstate_listener(study: Study, listener_id: str) -> None:
    """Undo an exclusion; the listener's ratings count again, even where others replaced them."""
    with study.database.write() as connection:
        _check_listener(connection, listener_id)
        back = "UPDATE listeners SET excluded = 0, reason = NULL WHERE listener_id = :id"
        run(connection, back, id=listener_id)
        _set_trials(connection, listener_id, "excluded", "answered")
        record(connection, "reinstate", listener_id)


def top_up(study: Study, n: int, *, system: str | None = None) -> int:
    """Want n more ratings of every pair, or of one system's; returns how many pairs that is.

    system: in an A/B study the two that are compared, as the admin page names them.
    """
    if not 1 <= n <= MAX_TOP_UP:
        raise InputError(f"top-up is {n}; expected 1..{MAX_TOP_UP}")
    with study.database.write() as connection:
        touched = [
            stimulus
            for stimulus in stimuli_of(connection)
            if stimulus.kind == "pair" and system in (None, stimulus.group)
        ]
        if not touched:
            raise InputError(f"the study has no system {system!r}")
        more = "UPDATE stimuli SET wanted = wanted + :n WHERE stimulus_id = :id"
        run_each(connection, more, [{"n": n, "id": s.stimulus_id} for s in touched])
        record(connection, "top-up", system or "all pairs", f"{n} more ratings each")
    return len(touched)


def _check_listener(connection: Connection, listener_id: str) -> None:
    if not value(connection, "SELECT 1 FROM listeners WHERE listener_id = :id", id=listener_id):
        raise InputError(f"no listener {listener_id!r}")


def _set_trials(connection: Connection, listener_id: str, before: str, after: str) -> None:
    run(
        connection,
        "UPDATE trials SET state = :after WHERE state = :before AND session_id IN "
        "(SELECT session_id FROM sessions WHERE listener_id = :id)",
        before=before,
        after=after,
        id=listener_id,
    )
