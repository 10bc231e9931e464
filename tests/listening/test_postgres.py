"""The same study in PostgreSQL, where its server can be started."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("psycopg", reason="psycopg is not installed (the extra listen-postgres)")

from sqlalchemy.exc import DatabaseError

from humanclap.choices import read_choices
from humanclap.errors import InputError
from humanclap.listening.rehearsal.raters import RaterModel
from humanclap.listening.rehearsal.simulate import rehearse
from humanclap.listening.results.export import export_study
from humanclap.listening.results.monitor import overview
from humanclap.listening.study.admin_actions import exclude_listener, record, top_up
from humanclap.listening.study.database import Database, rows, run
from humanclap.listening.study.study import create_study, open_study
from humanclap.ratings.read import read_ratings

from .conftest import DESIGN
from .postgres_server import PostgresServer
from .test_comparisons import CLIPS, of_clips


@pytest.fixture(scope="module")
def url(postgres: PostgresServer) -> str:
    return postgres.new_database()


def test_a_study_by_url_is_filled_steered_and_exported_as_in_sqlite(
    url: str, clips, tmp_path: Path
) -> None:
    folder, pairs = clips
    create_study(url, design_text=DESIGN, pairs=pairs, audio_root=folder)
    with pytest.raises(InputError, match="never overwritten"):
        create_study(url, design_text=DESIGN, pairs=pairs, audio_root=folder)
    study = open_study(url)
    try:
        done = rehearse(study, n_listeners=9, model=RaterModel(), cache=tmp_path / "cache")
        assert (done.finished, done.turned_away) == (8, 1)
        view = overview(study, simulated=True)
        assert {(pair.answered, pair.promised) for pair in view.pairs} == {(2, 0)}
        export_study(study, tmp_path, simulated=True)
        assert len(read_ratings(tmp_path / "ratings.csv")) == 48 + 8 + 8
        exclude_listener(study, view.listeners[0].listener_id, "a test")
        assert top_up(study, 1) == 24
        assert overview(study, simulated=True).set_aside["excluded"] == 8
        with pytest.raises(InputError, match="72 answers of bots"):
            create_study(
                url, design_text=DESIGN, pairs=pairs, audio_root=folder, replace_empty=True
            )
    finally:
        study.close()


def test_an_a_b_study_by_url_is_filled_and_exported_as_in_sqlite(
    url: str, clips, tmp_path: Path
) -> None:
    database = Database(url)
    with database.write() as connection:  # an empty database again
        run(connection, "DROP SCHEMA public CASCADE")
        run(connection, "CREATE SCHEMA public")
    database.close()
    design = CLIPS.replace("comparison = 4", "comparison = 2")
    create_study(url, design_text=design, pairs=of_clips(clips[1]), audio_root=clips[0])
    study = open_study(url)
    try:
        done = rehearse(study, n_listeners=8, model=RaterModel(), cache=tmp_path / "cache")
        assert (done.finished, done.turned_away) == (8, 0)
        view = overview(study, simulated=True)
        assert {(pair.answered, pair.promised) for pair in view.pairs} == {(2, 0)}
        assert {(system.answered, system.led) for system in view.systems} == {(16, 8)}
        assert top_up(study, 1, system="alpha vs beta") == 8
        export_study(study, tmp_path, simulated=True)
        choices = read_choices(tmp_path / "choices.csv")
        assert sum(not one.is_check and not one.repeat for one in choices) == 48
    finally:
        study.close()


def test_a_view_stays_the_same_whatever_others_commit(url: str) -> None:
    database = Database(url)
    count = "SELECT COUNT(*) AS n FROM events"
    try:
        with database.read() as connection:
            before = rows(connection, count)
            with database.write() as other:
                record(other, "test", "study")
            assert rows(connection, count) == before
        with database.read() as connection:
            assert rows(connection, count)[0]["n"] == before[0]["n"] + 1
        with pytest.raises(DatabaseError, match="read-only"), database.read() as connection:
            record(connection, "test", "study")
        with database.write() as connection:
            record(connection, "test", "study")
    finally:
        database.close()


def test_answers_are_append_only_there_too(url: str) -> None:
    database = Database(url)
    try:
        with pytest.raises(DatabaseError, match="append-only"), database.write() as connection:
            run(connection, "DELETE FROM answers")
    finally:
        database.close()
