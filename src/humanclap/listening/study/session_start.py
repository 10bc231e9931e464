"""Sessions begin here: consent given, recruits recognised, unfinished sessions taken up again."""

from __future__ import annotations

import hmac
import secrets
from dataclasses import asdict, dataclass

from sqlalchemy import Connection

from humanclap.errors import InputError
from humanclap.listening.study.database import insert, now, row, rows, run, value
from humanclap.listening.study.failed_clips import forget_mended
from humanclap.listening.study.session_trials import StudyFullError, expire_idle, has_room
from humanclap.listening.study.sessions import SILENT, Session, find_session, session_of, token_hash
from humanclap.listening.study.study import Study, setting


@dataclass(frozen=True, slots=True, kw_only=True)
class Recruit:
    """Where a listener comes from, by the recruiting site's address; kept apart from answers."""

    site: str
    worker: str
    task: str = ""
    submission: str = ""


class SessionElsewhereError(InputError):
    """The recruit's session is open in another browser, and this one cannot prove it is theirs."""


def start_session(
    study: Study,
    *,
    recruit: Recruit | None = None,
    simulated: bool = False,
    token: str | None = None,
) -> tuple[str, Session]:
    """A new session and its secret token; a known recruit's unfinished session is taken up again.

    token: the browser's own, so that consent given twice in it makes one session; None makes a new
    one. The new session holds no pairs yet. Raises StudyFullError where nothing is left,
    SessionElsewhereError where the recruit's session belongs to another browser and was started
    with another submission, InputError where the study is not open, or the recruit was excluded or
    may take no further session.
    """
    token = token or secrets.token_urlsafe(32)
    forget_mended(study)
    with study.database.write() as connection:
        if (state := setting(connection, "state")) != "open":
            raise InputError(f"the study is {state}")
        if (own := find_session(connection, token)) is not None:
            return token, own
        known = None if recruit is None else _known_listener(connection, recruit)
        unfinished = None if known is None else _unfinished(connection, study, known)
        if recruit is not None and unfinished is not None:
            _take_over(connection, study, unfinished, recruit, token)
            return token, session_of(connection, unfinished)
        expire_idle(connection, study)
        if not has_room(connection, simulated=simulated):
            raise StudyFullError("every pair has its ratings")
        listener_id = known or _new_listener(connection, recruit, simulated)
        session = _new_session(connection, study, listener_id, token)
        if recruit is not None:
            _set_submission(connection, session.session_id, recruit)
        return token, session


def _take_over(
    connection: Connection, study: Study, session_id: str, recruit: Recruit, token: str
) -> None:
    """Move a session to another browser. A worker's id is no secret, the submission's id is.

    Without it only a session that nobody has answered in or touched for a while is handed over,
    so that nobody is locked out by a stranger who started in their name.
    """
    known = submission_of(connection, session_id).encode()
    same = recruit.submission and hmac.compare_digest(known, recruit.submission.encode())
    if not same and not value(
        connection,
        f"SELECT 1 FROM sessions WHERE session_id = :id AND seen_at < :since AND {SILENT}",
        id=session_id,
        since=now(connection) - 60.0 * study.design.session.first_answer_minutes,
    ):
        raise SessionElsewhereError("this listener's session was started in another browser")
    run(
        connection,
        "UPDATE sessions SET token_hash = :hash, seen_at = :now WHERE session_id = :id",
        hash=token_hash(token),
        now=now(connection),
        id=session_id,
    )
    _set_submission(connection, session_id, recruit)


def submission_of(connection: Connection, session_id: str) -> str:
    """The recruiting site's id of what a session was started for; empty where it named none."""
    query = "SELECT submission FROM submissions WHERE session_id = :id"
    return str(value(connection, query, id=session_id) or "")


def _set_submission(connection: Connection, session_id: str, recruit: Recruit) -> None:
    run(connection, "DELETE FROM submissions WHERE session_id = :id", id=session_id)
    given = {"session_id": session_id, "task": recruit.task, "submission": recruit.submission}
    insert(connection, "submissions", given)


def _known_listener(connection: Connection, recruit: Recruit) -> str | None:
    """The listener that a recruit was before; raises InputError where that one is excluded."""
    found = row(
        connection,
        "SELECT l.listener_id, l.excluded FROM recruitment r "
        "JOIN listeners l ON l.listener_id = r.listener_id "
        "WHERE r.site = :site AND r.worker = :worker",
        site=recruit.site,
        worker=recruit.worker,
    )
    if found is not None and found["excluded"]:
        raise InputError("this listener has been excluded")
    return None if found is None else str(found["listener_id"])


def _unfinished(connection: Connection, study: Study, listener_id: str) -> str | None:
    """The session that a listener may go on with; raises InputError where they may have no more."""
    had = rows(
        connection,
        "SELECT session_id, state FROM sessions WHERE listener_id = :id ORDER BY created_at DESC",
        id=listener_id,
    )
    for session in had:
        if session["state"] in ("preparing", "active", "expired"):
            return str(session["session_id"])
    states = {session["state"] for session in had}
    if len(had) >= study.design.session.per_listener or "screened_out" in states:
        raise InputError("this listener has taken every session one may take")
    return None


def _new_listener(connection: Connection, recruit: Recruit | None, simulated: bool) -> str:
    listener_id = ("sim-" if simulated else "") + secrets.token_hex(5)
    at = now(connection)
    listener = {"listener_id": listener_id, "simulated": int(simulated), "created_at": at}
    insert(connection, "listeners", listener)
    if recruit is not None:
        insert(connection, "recruitment", {"listener_id": listener_id, **asdict(recruit)})
    return listener_id


def _new_session(connection: Connection, study: Study, listener_id: str, token: str) -> Session:
    session_id, at = secrets.token_hex(8), now(connection)
    number = value(connection, "SELECT COUNT(*) FROM sessions")
    session = {
        "session_id": session_id,
        "token_hash": token_hash(token),
        "listener_id": listener_id,
        "seed": f"{study.design.seed}:{number}",
        "state": "preparing",
        "completion_code": study.design.completion.code or secrets.token_hex(4).upper(),
        "created_at": at,
        "seen_at": at,
    }
    insert(connection, "sessions", session)
    return session_of(connection, session_id)
