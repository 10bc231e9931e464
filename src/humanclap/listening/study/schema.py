"""The tables of a study, as numbered migrations that SQLite and PostgreSQL both run.

Times are seconds since 1970, UTC. Flags are 0 or 1. Ids are random texts, so that neither an id
nor its order tells anything.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from sqlalchemy import Connection, text

from humanclap.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """One step of the schema; `sqlite` and `postgresql` hold what the two say differently."""

    number: int
    name: str
    statements: tuple[str, ...]
    sqlite: tuple[str, ...] = ()
    postgresql: tuple[str, ...] = ()


_TABLES = (
    "CREATE TABLE study (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
    """CREATE TABLE stimuli (
        stimulus_id TEXT PRIMARY KEY,
        kind TEXT NOT NULL CHECK (kind IN ('pair', 'anchor')),
        audio TEXT NOT NULL, text TEXT NOT NULL,
        system TEXT, subset TEXT, split TEXT,
        wanted INTEGER NOT NULL, position INTEGER NOT NULL,
        duration_s DOUBLE PRECISION NOT NULL)""",
    """CREATE TABLE listeners (
        listener_id TEXT PRIMARY KEY,
        simulated INTEGER NOT NULL, excluded INTEGER NOT NULL DEFAULT 0,
        reason TEXT, created_at DOUBLE PRECISION NOT NULL)""",
    """CREATE TABLE recruitment (
        listener_id TEXT PRIMARY KEY REFERENCES listeners (listener_id),
        site TEXT NOT NULL, worker TEXT NOT NULL, task TEXT, submission TEXT,
        UNIQUE (site, worker))""",
    """CREATE TABLE attributes (
        listener_id TEXT NOT NULL REFERENCES listeners (listener_id),
        name TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (listener_id, name))""",
    """CREATE TABLE sessions (
        session_id TEXT PRIMARY KEY, token_hash TEXT NOT NULL UNIQUE,
        listener_id TEXT NOT NULL REFERENCES listeners (listener_id),
        seed TEXT NOT NULL,
        state TEXT NOT NULL CHECK (state IN
            ('preparing', 'active', 'expired', 'finished', 'screened_out')),
        completion_code TEXT NOT NULL,
        created_at DOUBLE PRECISION NOT NULL, seen_at DOUBLE PRECISION NOT NULL,
        begun_at DOUBLE PRECISION, finished_at DOUBLE PRECISION,
        headphone_tries INTEGER NOT NULL DEFAULT 0, headphone_right INTEGER)""",
    """CREATE TABLE trials (
        trial_id TEXT PRIMARY KEY,
        session_id TEXT NOT NULL REFERENCES sessions (session_id),
        simulated INTEGER NOT NULL, number INTEGER NOT NULL,
        kind TEXT NOT NULL CHECK (kind IN
            ('practice', 'rating', 'anchor', 'attention_check', 'repeat')),
        stimulus_id TEXT NOT NULL REFERENCES stimuli (stimulus_id),
        text TEXT NOT NULL, expected DOUBLE PRECISION,
        state TEXT NOT NULL CHECK (state IN
            ('open', 'answered', 'released', 'surplus', 'excluded')),
        UNIQUE (session_id, number))""",
    """CREATE TABLE answers (
        answer_id TEXT PRIMARY KEY,
        trial_id TEXT NOT NULL UNIQUE REFERENCES trials (trial_id),
        received_at DOUBLE PRECISION NOT NULL, answered_at DOUBLE PRECISION NOT NULL,
        play_count INTEGER NOT NULL, heard_to_end INTEGER NOT NULL,
        trial_s DOUBLE PRECISION NOT NULL, digest TEXT NOT NULL)""",
    """CREATE TABLE answer_values (
        answer_id TEXT NOT NULL REFERENCES answers (answer_id),
        question TEXT NOT NULL, score DOUBLE PRECISION, comment TEXT,
        PRIMARY KEY (answer_id, question))""",
    """CREATE TABLE events (
        event_id TEXT PRIMARY KEY, at DOUBLE PRECISION NOT NULL,
        action TEXT NOT NULL, subject TEXT NOT NULL, detail TEXT NOT NULL)""",
)

_INDEXES = (
    "CREATE INDEX trials_by_load ON trials (simulated, kind, state, stimulus_id)",
    "CREATE INDEX sessions_by_state ON sessions (state, seen_at)",
    "CREATE INDEX sessions_by_listener ON sessions (listener_id)",
)

_APPEND_ONLY = ("answers", "answer_values", "events")

_FINAL_ANSWERS = """CREATE VIEW final_answers AS
    SELECT g.* FROM given_answers g WHERE NOT EXISTS
        (SELECT 1 FROM revisions r WHERE r.trial_id = g.trial_id AND r.number > g.number)"""

_REVISIONS = (
    """CREATE TABLE revisions (
        revision_id TEXT PRIMARY KEY,
        trial_id TEXT NOT NULL REFERENCES answers (trial_id),
        number INTEGER NOT NULL, revises TEXT NOT NULL,
        received_at DOUBLE PRECISION NOT NULL, answered_at DOUBLE PRECISION NOT NULL,
        play_count INTEGER NOT NULL, heard_to_end INTEGER NOT NULL,
        trial_s DOUBLE PRECISION NOT NULL, digest TEXT NOT NULL,
        UNIQUE (trial_id, number))""",
    """CREATE TABLE revision_values (
        revision_id TEXT NOT NULL REFERENCES revisions (revision_id),
        question TEXT NOT NULL, score DOUBLE PRECISION, comment TEXT,
        PRIMARY KEY (revision_id, question))""",
    """CREATE VIEW given_answers AS
        SELECT answer_id, trial_id, 0 AS number, received_at, answered_at, play_count,
            heard_to_end, trial_s, digest FROM answers
        UNION ALL
        SELECT revision_id, trial_id, number, received_at, answered_at, play_count,
            heard_to_end, trial_s, digest FROM revisions""",
    """CREATE VIEW given_values AS
        SELECT answer_id, question, score, comment FROM answer_values
        UNION ALL
        SELECT revision_id, question, score, comment FROM revision_values""",
    _FINAL_ANSWERS,
)
"""A revised answer is kept beside the first one; the last one given is final."""

_COMPARISONS = (
    *(
        f"ALTER TABLE stimuli ADD COLUMN {column} TEXT"
        for column in ("audio_b", "text_b", "system_b", "label", "expected")
    ),
    "ALTER TABLE trials ADD COLUMN text_b TEXT",
    "ALTER TABLE trials ADD COLUMN swapped INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE answers ADD COLUMN play_count_second INTEGER",
    "ALTER TABLE revisions ADD COLUMN play_count_second INTEGER",
    "DROP VIEW final_answers",
    "DROP VIEW given_answers",
    """CREATE VIEW given_answers AS
        SELECT answer_id, trial_id, 0 AS number, received_at, answered_at, play_count,
            play_count_second, heard_to_end, trial_s, digest FROM answers
        UNION ALL
        SELECT revision_id, trial_id, number, received_at, answered_at, play_count,
            play_count_second, heard_to_end, trial_s, digest FROM revisions""",
    _FINAL_ANSWERS,
)
"""A comparison's second side; of a trial, whether that side stood first (at A) on the page."""


def _append_only_sqlite(tables: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(
        f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
        f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
        for table in tables
        for verb in ("UPDATE", "DELETE")
    )


def _append_only_postgresql(tables: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(
        f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table} "
        "FOR EACH ROW EXECUTE FUNCTION refuse_change()"
        for table in tables
    )


MIGRATIONS = (
    Migration(number=1, name="tables", statements=_TABLES),
    Migration(number=2, name="indexes", statements=_INDEXES),
    Migration(
        number=3,
        name="answers are append-only",
        statements=(),
        sqlite=_append_only_sqlite(_APPEND_ONLY),
        postgresql=(
            "CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION USING MESSAGE = TG_TABLE_NAME || ' is append-only'; END $$",
            *_append_only_postgresql(_APPEND_ONLY),
        ),
    ),
    Migration(
        number=4,
        name="clips that fail, submissions of sessions, promises that end",
        statements=(
            """CREATE TABLE failed_clips (
                audio TEXT PRIMARY KEY, reason TEXT NOT NULL, file_state TEXT NOT NULL,
                at DOUBLE PRECISION NOT NULL)""",
            """CREATE TABLE submissions (
                session_id TEXT PRIMARY KEY REFERENCES sessions (session_id),
                task TEXT NOT NULL, submission TEXT NOT NULL)""",
            """INSERT INTO submissions (session_id, task, submission)
                SELECT s.session_id, COALESCE(r.task, ''), COALESCE(r.submission, '')
                FROM sessions s JOIN recruitment r ON r.listener_id = s.listener_id""",
            "ALTER TABLE sessions ADD COLUMN promised_at DOUBLE PRECISION",
        ),
    ),
    Migration(
        number=5,
        name="the last answer may be revised",
        statements=_REVISIONS,
        sqlite=_append_only_sqlite(("revisions", "revision_values")),
        postgresql=_append_only_postgresql(("revisions", "revision_values")),
    ),
    Migration(number=6, name="comparisons of two clips or two texts", statements=_COMPARISONS),
    Migration(
        number=7,
        name="limits that all server processes share",
        statements=(
            """CREATE TABLE rate_limits (
                name TEXT NOT NULL, client TEXT NOT NULL, tokens DOUBLE PRECISION NOT NULL,
                filled_at DOUBLE PRECISION NOT NULL, PRIMARY KEY (name, client))""",
        ),
    ),
)


def version_of(connection: Connection) -> int:
    """Number of the last migration applied; 0 for an empty database."""
    connection.execute(
        text(
            "CREATE TABLE IF NOT EXISTS migrations "
            "(number INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at DOUBLE PRECISION NOT NULL)"
        )
    )
    return int(
        connection.execute(text("SELECT COALESCE(MAX(number), 0) FROM migrations")).scalar_one()
    )


def migrate(connection: Connection, *, up_to: int | None = None) -> int:
    """Apply what is missing, in order, in the transaction of `connection`; returns the version.

    Raises InputError where a later version of humanclap has written the database.
    """
    version, newest = version_of(connection), MIGRATIONS[-1].number
    if version > newest:
        raise InputError(
            f"the study's database has schema {version}, this humanclap knows {newest}; upgrade it"
        )
    dialect = connection.dialect.name
    for migration in MIGRATIONS:
        if not version < migration.number <= (up_to or newest):
            continue
        own = migration.sqlite if dialect == "sqlite" else migration.postgresql
        for statement in (*migration.statements, *own):
            connection.exec_driver_sql(statement)
        connection.execute(
            text("INSERT INTO migrations (number, name, applied_at) VALUES (:number, :name, :at)"),
            {"number": migration.number, "name": migration.name, "at": time.time()},
        )
    return version_of(connection)
