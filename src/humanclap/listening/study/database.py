"""Where a study is kept: SQLite in one file, or PostgreSQL by its URL. Writers take turns."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, TextClause, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DatabaseError

from humanclap.errors import HumanCLAPError, InputError, MissingExtraError
from humanclap.listening.study import postgres
from humanclap.listening.study.schema import migrate

Rows = list[dict[str, Any]]
_BUSY_MS = 30_000
_CANNOT_WRITE = ("disk is full", "disk I/O error", "readonly database")
"""What SQLite says where a study's file is none the worse, but cannot be written."""


class Database:
    """Transactions over one study.

    SQLite runs in WAL mode with synchronous=FULL: what `write` has committed survives the death
    of the process and of the machine. A writer holds the lock from its first statement, so what
    it reads cannot change under it.
    """

    def __init__(self, where: str) -> None:
        self.where = where
        self._lock = threading.Lock()
        self._sqlite = "://" not in where
        try:
            self._engine = _sqlite_engine(where) if self._sqlite else _postgres_engine(where)
        except ModuleNotFoundError as error:
            raise MissingExtraError(
                f"{error.name} is not installed; run: pip install 'humanclap[listen-postgres]'"
            ) from error
        except HumanCLAPError:
            raise
        except Exception as error:
            raise InputError(f"{shown(where)}: neither a file nor a database URL") from error

    def __reduce__(self) -> tuple[type[Database], tuple[str]]:
        """Another process opens connections of its own."""
        return Database, (self.where,)

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One transaction that may write; committed at the end of the block, else undone."""
        with self._lock, self._engine.connect() as connection:
            if self._sqlite:
                connection = connection.execution_options(humanclap_write=True)
            with connection.begin():
                if not self._sqlite:
                    postgres.take_turn(connection)
                yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One consistent view, even if others commit meanwhile; nothing may be written.

        SQLite's transactions are such views; PostgreSQL's only at this isolation level.
        """
        with self._engine.connect() as connection:
            if not self._sqlite:
                connection = connection.execution_options(
                    isolation_level="REPEATABLE READ", postgresql_readonly=True
                )
            with connection.begin():
                yield connection

    def upgrade(self) -> int:
        """Bring the schema up to date; returns its number."""
        try:
            with self.write() as connection:
                return migrate(connection)
        except DatabaseError as error:
            raise InputError(f"{shown(self.where)}: {self._fault(error)}") from error

    def _fault(self, error: DatabaseError) -> str:
        if not self._sqlite and postgres.failure_of(error):
            return f"the database cannot be reached ({postgres.reason(error)})"
        full = any(word in str(error.orig) for word in _CANNOT_WRITE)
        return f"{'cannot be written' if full else 'not a study'} ({error.orig})"

    def check_workers(self, workers: int) -> None:
        """Raise InputError where so many server processes cannot share the study."""
        if self._sqlite and workers > 1:
            raise InputError(
                f"{self.where}: several server processes need a study in PostgreSQL, where writers "
                "queue; SQLite serves one (make it with: humanclap listen new ... --database "
                "postgresql://..., or leave --workers at 1)"
            )
        if not self._sqlite:
            with self.read() as connection:
                postgres.check_connections(connection, workers)

    def close(self) -> None:
        """Close every connection; the last one folds SQLite's WAL into its file."""
        self._engine.dispose()


def _sqlite_engine(where: str) -> Engine:
    engine = create_engine(f"sqlite:///{where}", pool_size=10, max_overflow=40)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _postgres_engine(where: str) -> Engine:
    url = postgres.postgres_url(where)
    engine = create_engine(
        url,
        pool_size=postgres.CONNECTIONS,
        max_overflow=0,
        isolation_level="READ COMMITTED",  # whoever got the turn sees what those before committed
        connect_args=postgres.connect_arguments(url),
    )
    postgres.prepare_connections(engine)
    return engine


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # transactions begin where _begin_sqlite says so
    for pragma in (
        f"busy_timeout = {_BUSY_MS}",
        "journal_mode = WAL",
        "synchronous = FULL",
        "foreign_keys = ON",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    write = connection.get_execution_options().get("humanclap_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


@cache
def _parsed(statement: str) -> TextClause:
    """Statements are few and fixed, so each is parsed once."""
    return text(statement)


def now(connection: Connection) -> float:
    """Seconds since 1970 by the clock that all processes of a study share.

    PostgreSQL's own, so that hosts whose clocks differ agree; of a file, the machine's.
    """
    if connection.dialect.name == "sqlite":
        return time.time()
    clock = "SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) AS DOUBLE PRECISION) AS now"
    return float(value(connection, clock))


def each_row(connection: Connection, query: str, **values: object) -> Iterator[dict[str, Any]]:
    """One row of a query after the other, each a dict."""
    found = connection.execute(_parsed(query), values)
    names = tuple(found.keys())
    for each in found:
        yield dict(zip(names, each, strict=True))


def rows(connection: Connection, query: str, **values: object) -> Rows:
    """All rows of a query, each a dict."""
    return list(each_row(connection, query, **values))


def row(connection: Connection, query: str, **values: object) -> dict[str, Any] | None:
    """The first row of a query, or None."""
    found = connection.execute(_parsed(query), values).mappings().first()
    return None if found is None else dict(found)


def value(connection: Connection, query: str, **values: object) -> Any:
    """The first column of a query's first row, or None where it finds nothing."""
    return connection.execute(_parsed(query), values).scalar()


def run(connection: Connection, statement: str, **values: object) -> int:
    """Execute a statement; returns how many rows it touched."""
    return int(connection.execute(_parsed(statement), values).rowcount)


def run_each(
    connection: Connection, statement: str, records: Sequence[Mapping[str, object]]
) -> None:
    """Execute a statement with each record's values, in one exchange where the driver can."""
    if records:
        connection.execute(_parsed(statement), [dict(record) for record in records])


def insert(connection: Connection, table: str, *records: Mapping[str, object]) -> None:
    """Insert records that share their columns."""
    if records:
        columns = list(records[0])
        names, places = ", ".join(columns), ", ".join(f":{name}" for name in columns)
        run_each(connection, f"INSERT INTO {table} ({names}) VALUES ({places})", records)


def shown(where: str) -> str:
    """A place fit for a message: a URL without its password.

    >>> shown("postgresql+psycopg://me:secret@host/study")
    'postgresql+psycopg://me:***@host/study'
    """
    if "://" not in where:
        return where
    try:
        return make_url(where).render_as_string(hide_password=True)
    except ArgumentError:
        return "the database URL"


def where_of(study: Path | str) -> str:
    """The place a user names: a URL as it is, a file that must exist."""
    place = str(study)
    if "://" not in place and not Path(place).is_file():
        raise InputError(
            f"{place}: no such study (make one: humanclap listen new STUDY.toml --pairs pairs.csv)"
        )
    return place
