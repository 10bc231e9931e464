"""The last answer may be changed until the next one; what counts is what was said last."""

from __future__ import annotations

import csv
import sqlite3
from collections import Counter
from pathlib import Path

import pytest

from humanclap.listening.results.all_answers import answered
from humanclap.listening.results.export import export_study
from humanclap.listening.results.monitor import overview
from humanclap.listening.study.answers import Answer, last_answer, store_answer
from humanclap.listening.study.sessions import Session
from humanclap.listening.study.study import Study
from humanclap.ratings.read import read_ratings

from .conftest import MakeStudy
from .test_answers import answer, begun, trials


def two_answers(study: Study) -> tuple[Session, Answer, Answer]:
    """A session that has answered its first two sounds with 7."""
    session = begun(study)
    first, second = (answer(trial, 7.0) for trial in trials(study, session)[:2])
    store_answer(study, session, first)
    store_answer(study, session, second)
    return session, first, second


def scores(study: Study) -> dict[int, float | None]:
    with study.database.read() as connection:
        return {item.number: item.score for item in answered(connection, simulated=False)}


def test_a_revision_counts_in_place_of_the_answer_which_is_kept(make_study: MakeStudy) -> None:
    study = make_study()
    session, _, second = two_answers(study)
    changed = answer(trials(study, session)[1], 2.0, revises=second.answer_id)
    assert store_answer(study, session, changed) == "revised"
    assert store_answer(study, session, changed) == "repeated", "sent again, stored once"
    again = answer(trials(study, session)[1], 9.0, revises=changed.answer_id)
    assert store_answer(study, session, again) == "revised"
    assert scores(study) == {1: 7.0, 2: 9.0}
    with sqlite3.connect(study.database.where) as raw:
        kept = raw.execute("SELECT score FROM given_values ORDER BY score").fetchall()
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            raw.execute("DELETE FROM revision_values")
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            raw.execute("UPDATE revisions SET number = 0")
    raw.close()
    assert kept == [(2.0,), (7.0,), (7.0,), (9.0,)], "nothing that was said is lost"


def test_an_answer_is_final_once_the_next_is_given(make_study: MakeStudy) -> None:
    study = make_study()
    session, first, _ = two_answers(study)
    late = answer(trials(study, session)[0], 1.0, revises=first.answer_id)
    assert store_answer(study, session, late) == "conflict"
    assert scores(study) == {1: 7.0, 2: 7.0}


def test_the_last_sound_makes_every_answer_final(make_study: MakeStudy) -> None:
    study = make_study()
    session = begun(study)
    for trial in trials(study, session):
        given = answer(trial, 7.0)
        store_answer(study, session, given)
    with study.database.read() as connection:
        assert last_answer(connection, session.session_id) is None
    late = answer(trials(study, session)[-1], 1.0, revises=given.answer_id)
    assert store_answer(study, session, late) == "conflict"
    assert set(scores(study).values()) == {7.0}


def test_a_revision_must_name_the_answer_it_replaces(make_study: MakeStudy) -> None:
    """A second tab that still shows the sound cannot change an answer without knowing of it."""
    study = make_study()
    session, other = begun(study), begun(study)
    given = answer(trials(study, session)[0], 7.0)
    store_answer(study, session, given)
    blind = answer(trials(study, session)[0], 1.0)
    elsewhere = answer(trials(study, session)[1], 1.0, revises=given.answer_id)
    strange = answer(trials(study, session)[0], 1.0, revises="f" * 32)
    foreign = answer(trials(study, other)[0], 1.0, revises=given.answer_id)
    assert store_answer(study, session, blind) == "conflict"
    assert store_answer(study, session, elsewhere) == "conflict"
    assert store_answer(study, session, strange) == "conflict"
    assert store_answer(study, other, foreign) == "conflict"
    assert scores(study) == {1: 7.0}


def test_the_export_holds_what_was_said_last_and_sets_the_rest_aside(
    make_study: MakeStudy, tmp_path: Path
) -> None:
    study = make_study()
    session = begun(study)
    [rated] = [trial for trial in trials(study, session) if trial["kind"] == "rating"][:1]
    for trial in trials(study, session):
        given = answer(trial, 7.0)
        store_answer(study, session, given)
        if trial["trial_id"] == rated["trial_id"]:
            store_answer(study, session, answer(trial, 3.0, revises=given.answer_id))
    done = export_study(study, tmp_path)
    ratings = [r for r in read_ratings(tmp_path / "ratings.csv") if r.kind == "rating"]
    assert Counter(rating.score for rating in ratings) == {7.0: 5, 3.0: 1}
    assert done.set_aside["revised"] == 1
    with open(tmp_path / "set_aside.csv", newline="") as file:
        [row] = [row for row in csv.DictReader(file) if row["set_aside"] == "revised"]
    assert (row["score"], row["trial_number"]) == ("7.0", str(rated["number"]))
    with open(tmp_path / "ratings.csv", newline="") as file:
        assert Counter(row["revision"] for row in csv.DictReader(file)) == {"0": 7, "1": 1}
    view = overview(study)
    assert view.ratings_answered == 6, "a changed answer is one answer"
    assert view.listeners[0].answered == 9
