from __future__ import annotations

import secrets
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from humanclap.errors import InputError
from humanclap.listening.results.all_answers import answered
from humanclap.listening.results.monitor import overview
from humanclap.listening.study import admin_actions as steering
from humanclap.listening.study.answers import Answer, store_answer
from humanclap.listening.study.database import Database, rows, run
from humanclap.listening.study.schema import MIGRATIONS, migrate, version_of
from humanclap.listening.study.session_start import Recruit, start_session
from humanclap.listening.study.session_trials import (
    StudyFullError,
    begin_session,
    pair_load,
    return_to_session,
)
from humanclap.listening.study.sessions import Session, find_session
from humanclap.listening.study.study import Study, create_study, open_study

from .conftest import DESIGN, MakeStudy


def begun(study: Study, recruit: Recruit | None = None) -> Session:
    _, session = start_session(study, recruit=recruit)
    return begin_session(study, session)


def trials(study: Study, session: Session, kind: str | None = None) -> list[dict]:
    with study.database.read() as connection:
        found = rows(
            connection,
            "SELECT * FROM trials WHERE session_id = :id ORDER BY number",
            id=session.session_id,
        )
    return [item for item in found if kind in (None, item["kind"])]


def answer(trial: dict, score: float = 7.0, **changes: object) -> Answer:
    values = {
        "answer_id": secrets.token_hex(16),
        "trial_id": trial["trial_id"],
        "values": {"REL": score},
        "play_count": 1,
        "heard_to_end": True,
        "trial_s": 4.0,
        **changes,
    }
    return Answer(**values)


def answer_all(study: Study, session: Session, score: float = 7.0) -> None:
    for trial in trials(study, session):
        if trial["state"] == "open":
            assert store_answer(study, session, answer(trial, score)) == "stored"


def state_of(study: Study, session: Session) -> str:
    return return_to_session(study, session).state


def fall_idle(study: Study, session: Session) -> None:
    with study.database.write() as connection:
        run(
            connection,
            "UPDATE sessions SET seen_at = :then WHERE session_id = :id",
            then=time.time() - 7200,
            id=session.session_id,
        )


def errors_at_once(take_part: Callable[[], None], n: int) -> list[Exception]:
    """What went wrong where n listeners take part at once; a study that is full is no error."""
    errors: list[Exception] = []

    def run_one() -> None:
        try:
            take_part()
        except StudyFullError:
            pass
        except Exception as error:  # a test looks at them in the main thread
            errors.append(error)

    threads = [threading.Thread(target=run_one) for _ in range(n)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return errors


def test_an_answer_sent_again_is_stored_once_and_a_second_opinion_is_refused(
    make_study: MakeStudy,
) -> None:
    study = make_study()
    session = begun(study)
    first = answer(trials(study, session)[0])
    assert store_answer(study, session, first) == "stored"
    assert store_answer(study, session, replace(first, waited_s=60.0)) == "repeated"
    assert store_answer(study, session, replace(first, values={"REL": 1.0})) == "conflict"
    assert store_answer(study, session, answer(trials(study, session)[0])) == "conflict"
    reused = replace(first, trial_id=trials(study, session)[1]["trial_id"])
    assert store_answer(study, session, reused) == "conflict"
    with study.database.read() as connection:
        assert [item.score for item in answered(connection, simulated=False)] == [7.0]


def test_nobody_answers_for_somebody_else(make_study: MakeStudy) -> None:
    study = make_study()
    mine, yours = begun(study), begun(study)
    assert store_answer(study, mine, answer(trials(study, yours)[0])) == "unknown"


@pytest.mark.parametrize(
    "changes",
    [
        {"values": {"REL": 7.5}},
        {"values": {"REL": 11.0}},
        {"values": {}},
        {"values": {"REL": 7.0, "IS": 3.0}},
        {"values": {"REL": "7"}},
        {"heard_to_end": False},
        {"play_count": 0},
    ],
)
def test_an_answer_that_breaks_the_rules_is_refused(make_study: MakeStudy, changes: dict) -> None:
    study = make_study()
    session = begun(study)
    with pytest.raises(InputError):
        store_answer(study, session, answer(trials(study, session)[0], **changes))


def test_stored_answers_cannot_be_changed_or_deleted(make_study: MakeStudy) -> None:
    study = make_study()
    session = begun(study)
    store_answer(study, session, answer(trials(study, session)[0]))
    with sqlite3.connect(study.database.where) as raw:
        for statement in ("UPDATE answer_values SET score = 1", "DELETE FROM answers"):
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                raw.execute(statement)
    raw.close()


def test_the_last_answer_finishes_the_session(make_study: MakeStudy) -> None:
    study = make_study()
    session = begun(study)
    answer_all(study, session)
    assert state_of(study, session) == "finished"


def test_an_idle_session_gives_its_pairs_back_and_quotas_end_exact(make_study: MakeStudy) -> None:
    study = make_study(n_pairs=8)
    idle = begun(study)
    store_answer(study, idle, answer(trials(study, idle, "rating")[0]))
    fall_idle(study, idle)
    while True:
        try:
            answer_all(study, begun(study))
        except StudyFullError:
            break
    with study.database.read() as connection:
        assert set(pair_load(connection, simulated=False).values()) == {2}
    late = trials(study, idle, "rating")[1]
    assert late["state"] == "released"
    assert store_answer(study, idle, answer(late)) == "stored", "nothing a listener says is lost"
    view = overview(study)
    assert {pair.answered for pair in view.pairs} == {2}
    assert view.set_aside["surplus"] == 1


def test_a_listener_who_comes_back_takes_up_what_nobody_took_over(make_study: MakeStudy) -> None:
    study = make_study()
    session = begun(study)
    fall_idle(study, session)
    begun(study)
    with study.database.read() as connection:
        [expired] = rows(connection, "SELECT session_id FROM sessions WHERE state = 'expired'")
    assert expired["session_id"] == session.session_id
    assert return_to_session(study, session).state == "active"
    assert {trial["state"] for trial in trials(study, session)} == {"open"}


def test_a_recruited_listener_resumes_and_never_hears_a_pair_twice(make_study: MakeStudy) -> None:
    study = make_study(DESIGN.replace("pairs = 6", "pairs = 6\nper_listener = 3"))
    heard = Counter[str]()
    for number in range(3):
        recruit = Recruit(site="prolific", worker="w1", submission=f"x{number}")
        token, session = start_session(study, recruit=recruit)
        session = begin_session(study, session)
        again, same = start_session(study, recruit=recruit)
        assert same.session_id == session.session_id
        with study.database.read() as connection:
            assert find_session(connection, token) is None, "a session has one holder"
            assert find_session(connection, again) == same
        heard.update(t["stimulus_id"] for t in trials(study, same) if t["kind"] != "repeat")
        answer_all(study, same)
    assert max(heard.values()) == 1
    with pytest.raises(InputError, match="every session"):
        start_session(study, recruit=recruit)


def test_simultaneous_listeners_never_promise_a_pair_too_often(make_study: MakeStudy) -> None:
    study = make_study()
    assert errors_at_once(lambda: answer_all(study, begun(study)), n=16) == []
    assert {(pair.answered, pair.promised) for pair in overview(study).pairs} == {(2, 0)}


def test_exclusion_keeps_the_answers_and_frees_the_pairs(make_study: MakeStudy) -> None:
    study = make_study(n_pairs=6)
    session = begun(study)
    answer_all(study, session)
    steering.exclude_listener(study, session.listener_id, "asked to be left out")
    view = overview(study)
    assert view.ratings_answered == 0
    assert view.set_aside["excluded"] >= 6
    assert view.listeners[0].reason == "asked to be left out"
    steering.reinstate_listener(study, session.listener_id)
    assert overview(study).ratings_answered == len(trials(study, session, "rating"))


def test_topping_up_wants_more_and_closing_lets_nobody_in(make_study: MakeStudy) -> None:
    study = make_study()
    assert steering.top_up(study, 3, system="alpha") == 8
    wanted = {pair.system: pair.wanted for pair in overview(study).pairs}
    assert wanted == {"natural": 2, "alpha": 5, "beta": 2}
    with pytest.raises(InputError, match="no system"):
        steering.top_up(study, 1, system="gamma")
    session = begun(study)
    steering.change_state(study, "closed")
    with pytest.raises(InputError, match="closed"):
        start_session(study)
    assert store_answer(study, session, answer(trials(study, session)[0])) == "stored"


def test_migrations_run_in_order_from_any_version_and_refuse_the_future(tmp_path: Path) -> None:
    for start in range(len(MIGRATIONS) + 1):
        database = Database(str(tmp_path / f"{start}.sqlite"))
        with database.write() as connection:
            assert migrate(connection, up_to=start) == start if start else True
        assert database.upgrade() == MIGRATIONS[-1].number
        with database.write() as connection:
            assert version_of(connection) == MIGRATIONS[-1].number
            run(connection, "INSERT INTO migrations VALUES (99, 'later', 0)")
        with pytest.raises(InputError, match="upgrade it"):
            database.upgrade()
        database.close()


def test_a_study_is_never_overwritten_and_bad_clips_are_named(
    make_study: MakeStudy, tmp_path: Path, clips
) -> None:
    study = make_study()
    folder, pairs = clips
    with pytest.raises(InputError, match="never overwritten"):
        create_study(study.database.where, design_text=DESIGN, pairs=pairs, audio_root=folder)
    where = str(tmp_path / "new.sqlite")
    with pytest.raises(InputError, match=r"(?s)24 clips .*natural/0.flac: no such file"):
        create_study(where, design_text=DESIGN, pairs=pairs, audio_root=tmp_path)


def test_a_file_that_is_no_study_is_said_to_be_none(tmp_path: Path) -> None:
    path = tmp_path / "notes.sqlite"
    path.write_bytes(b"this is not a database, but it is long enough to look like a file" * 20)
    with pytest.raises(InputError, match="not a study"):
        open_study(path)
    with pytest.raises(InputError, match="no such study"):
        open_study(tmp_path / "none.sqlite")
