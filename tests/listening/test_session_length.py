"""What the first page says of the sounds and minutes of a session."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from humanclap.listening.rehearsal.raters import RaterModel
from humanclap.listening.rehearsal.simulate import rehearse
from humanclap.listening.results.monitor import overview
from humanclap.listening.study.session_length import reading_s, session_length, trial_seconds
from humanclap.listening.study.study import Study

from .conftest import DESIGN, MakeStudy


def length_of(study: Study) -> tuple[int, int, int, str]:
    with study.database.read() as connection:
        found = session_length(connection, study.design)
    return found.sounds, found.practice, found.minutes, found.source


def test_a_sound_takes_its_length_its_text_and_an_answer() -> None:
    assert reading_s("word " * 238) == pytest.approx(60.0)
    assert reading_s("") == 0.0
    assert reading_s("犬が吠える") == pytest.approx(60 * 2.5 / 238)
    assert trial_seconds(10.0, "word " * 238, 2) == pytest.approx(10 + 60 + 8)


def test_without_a_rehearsal_the_minutes_follow_from_the_clips(make_study: MakeStudy) -> None:
    study = make_study(DESIGN.replace("pairs = 6", "pairs = 10"))
    # 10 pairs, 1 practice, 1 anchor, 1 check, each 0.2 s, 3.4 words (0.85 s) and an answer (4 s):
    # 66 s, and some 50 words (13 s) of the first page
    assert length_of(study) == (13, 1, 2, "clips")


def test_a_small_study_has_fewer_sounds_and_says_so(make_study: MakeStudy) -> None:
    study = make_study(n_pairs=3)
    assert length_of(study)[:2] == (3 + 1 + 1, 0)


def test_a_rehearsal_measures_what_the_bots_were_served(
    make_study: MakeStudy, tmp_path: Path
) -> None:
    study = make_study()
    done = rehearse(study, n_listeners=2, model=RaterModel(), cache=tmp_path / "cache")
    assert length_of(study) == (done.session_sounds, 1, done.session_minutes, "rehearsal")
    for listener in overview(study, simulated=True).listeners:
        # 0.2 s of sound, 2 to 12 words, one answer of 4 s
        assert 4.2 + 2 * 60 / 238 <= listener.median_trial_s <= 4.2 + 12 * 60 / 238


def test_the_design_has_the_last_word(make_study: MakeStudy) -> None:
    study = make_study("minutes = 12" + DESIGN)
    assert length_of(study)[2:] == (12, "design")


def test_drop_outs_and_the_median_time_are_counted(make_study: MakeStudy) -> None:
    from humanclap.listening.study.answers import store_answer
    from humanclap.listening.study.database import run
    from humanclap.listening.study.session_start import start_session

    from .test_answers import answer, answer_all, begun, fall_idle, trials

    study = make_study()
    assert math.isnan(overview(study).attendance.median_minutes)
    _, consented = start_session(study)
    fall_idle(study, consented)
    stopped = begun(study)
    for trial in trials(study, stopped)[:3]:
        store_answer(study, stopped, answer(trial))
    fall_idle(study, stopped)
    finished = begun(study)
    answer_all(study, finished)
    with study.database.write() as connection:
        run(
            connection,
            "UPDATE sessions SET created_at = finished_at - 90 WHERE session_id = :id",
            id=finished.session_id,
        )
    begun(study)
    seen = overview(study).attendance
    assert (seen.agreed, seen.finished, seen.under_way, seen.n_dropped_out) == (4, 1, 1, 2)
    assert seen.dropped_out == {"before the first sound": 1, "during the sounds": 1}
    assert seen.sounds_at_drop_out == 1.5, "median of 0 and 3"
    assert seen.median_minutes == pytest.approx(1.5)
