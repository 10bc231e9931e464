"""PostgreSQL as a study's database: its address, its connections, and what may be tried again."""

from __future__ import annotations

from typing import Any, Literal

from sqlalchemy import URL, Connection, event, make_url, text
from sqlalchemy.engine import Engine
from sqlalchemy.exc import (
    DBAPIError,
    InterfaceError,
    OperationalError,
    SQLAlchemyError,
    TimeoutError,
)

from humanclap.errors import InputError

CONNECTIONS = 8
"""Most connections of one server process: one for each of its threads, and two to spare."""
_WRITER_LOCK = 0x68756D63
"""Key of the advisory lock by which writers of all processes take turns, as SQLite's do."""
_LIBPQ = {"connect_timeout": 5, "tcp_user_timeout": 15_000, "application_name": "humanclap"}
"""Defaults where the URL gives none: seconds to connect, milliseconds until a lost host shows."""
_SESSION = (
    "SET lock_timeout = '30s'",
    "SET tcp_keepalives_idle = 30",
    "SET tcp_keepalives_interval = 10",
    "SET tcp_keepalives_count = 3",
)
"""With these, a host that is gone does not hold the writers' lock for ever."""
_TURN = (
    "SELECT pg_advisory_xact_lock(:key), "
    "set_config('idle_in_transaction_session_timeout', '60s', true)"
)
"""With this, a process that hangs does not hold it either. Readers have no such limit."""
_UNDONE = ("40001", "40P01")
"""SQLSTATE of a serialisation failure and of a deadlock."""
_AWAY = ("08", "53", "55P03", "57P", "25P03")
"""Beginnings of SQLSTATE: no connection, no resources, no lock in time, shut down, idle."""

Failure = Literal["undone", "away"]
"""The database rolled the transaction back and asks for another try; or it cannot be reached now,
and nobody knows whether a commit on its way was made."""


def postgres_url(where: str) -> URL:
    """The URL for SQLAlchemy; psycopg is the driver where it names none.

    Raises InputError for another kind of database, sqlalchemy.exc.ArgumentError for no URL.

    >>> postgres_url("postgresql://me@host/study").drivername
    'postgresql+psycopg'
    """
    url = make_url(where)
    kind = url.get_backend_name()
    if kind == "sqlite":
        raise InputError(f"{where}: give the file of a study in SQLite, without sqlite://")
    if kind not in ("postgresql", "postgres"):
        raise InputError(f"a study is kept in SQLite or PostgreSQL, not in {kind!r}")
    if url.drivername in ("postgresql", "postgres"):
        return url.set(drivername="postgresql+psycopg")
    return url


def connect_arguments(url: URL) -> dict[str, Any]:
    """Limits of time for a driver of libpq, where the URL gives none."""
    if url.get_driver_name() not in ("psycopg", "psycopg2"):
        return {}
    return {name: value for name, value in _LIBPQ.items() if name not in url.query}


def prepare_connections(engine: Engine) -> None:
    """Give every connection its limits of time."""

    def prepare(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        for statement in _SESSION:
            cursor.execute(statement)
        cursor.close()
        connection.commit()

    event.listen(engine, "connect", prepare)


def take_turn(connection: Connection) -> None:
    """Wait until no other process writes; the turn ends with the transaction."""
    connection.execute(text(_TURN), {"key": _WRITER_LOCK})


def failure_of(error: SQLAlchemyError) -> Failure | None:
    """Whether the same may be tried again; None where the statement itself is at fault."""
    if isinstance(error, TimeoutError):  # no connection of this process became free
        return "away"
    if not isinstance(error, DBAPIError):
        return None
    code = _code(error)
    if code in _UNDONE:
        return "undone"
    lost = error.connection_invalidated or code.startswith(_AWAY)
    unreached = not code and isinstance(error, OperationalError | InterfaceError)
    return "away" if lost or unreached else None


def _code(error: DBAPIError) -> str:
    """SQLSTATE; empty where no connection was made, and with SQLite."""
    found = getattr(error.orig, "sqlstate", None) or getattr(error.orig, "pgcode", None)
    return str(found or "")


def reason(error: SQLAlchemyError) -> str:
    """What the database said, in one line, with the remedy where connections ran out."""
    said = " ".join(str(getattr(error, "orig", None) or error).split())
    if isinstance(error, DBAPIError) and (_code(error) == "53300" or "too many" in said):
        return (
            f"{said}; PostgreSQL takes no more connections: raise its max_connections, or give "
            f"fewer --workers (each keeps up to {CONNECTIONS})"
        )
    return said


def check_connections(connection: Connection, workers: int) -> None:
    """Raise InputError where PostgreSQL can never give the workers their connections."""
    most, reserved = (
        int(str(connection.execute(text(f"SHOW {name}")).scalar_one()))
        for name in ("max_connections", "superuser_reserved_connections")
    )
    if workers * CONNECTIONS > most - reserved:
        raise InputError(
            f"{workers} workers need up to {workers * CONNECTIONS} connections ({CONNECTIONS} "
            f"each), and PostgreSQL gives {most - reserved} (max_connections = {most}, {reserved} "
            "of them reserved): raise max_connections, or give fewer --workers"
        )
