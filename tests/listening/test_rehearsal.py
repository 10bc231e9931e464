"""Bots take a study through real HTTP; what comes out is read, screened and aggregated."""

from __future__ import annotations

import csv
import json
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from humanclap.errors import InputError
from humanclap.listening.design.design import ScaleDesign
from humanclap.listening.rehearsal.bots import Bot, BotError, Browser
from humanclap.listening.rehearsal.raters import RaterModel
from humanclap.listening.rehearsal.simulate import rehearse
from humanclap.listening.results.all_answers import Answered, answered
from humanclap.listening.results.export import export_recruitment, export_study
from humanclap.listening.results.monitor import MeanInterval, SystemProgress, interval, overview
from humanclap.listening.study.study import Study, create_study, open_study
from humanclap.listening.web.app import serving
from humanclap.listening.web.interval_chart import interval_chart
from humanclap.listening.web.settings import ServeSettings
from humanclap.metrics.reliability import icc1
from humanclap.ratings.aggregate import aggregate
from humanclap.ratings.read import read_ratings
from humanclap.ratings.screening import screen

from .conftest import MakeStudy

DESIGN = """
title = "Rehearsal"
seed = 2
[quota]
ratings_per_pair = 4
[session]
pairs = 12
anchors = 3
attention_checks = 1
repeats = 2
practice = 1
headphone_check = "record"
[[question]]
id = "REL"
[[question]]
id = "OVERALL"
[[question]]
id = "COMMENT"
required = false
[listener]
preset = "relate"
"""
TOKEN = "an-admin-token-of-the-tests"
N_SESSIONS = 8  # 24 pairs x 4 ratings / 12 pairs a session


@pytest.fixture(scope="module")
def rehearsed(tmp_path_factory: pytest.TempPathFactory, clips) -> Iterator[Study]:
    """A study that bots have filled; tests only read it."""
    folder = tmp_path_factory.mktemp("rehearsed")
    where = str(folder / "study.sqlite")
    create_study(where, design_text=DESIGN, pairs=clips[1], audio_root=clips[0])
    study = open_study(where)
    model = RaterModel(seed=1, careless=0.0)
    done = rehearse(study, n_listeners=N_SESSIONS + 2, model=model, cache=folder / "cache")
    assert (done.finished, done.turned_away) == (N_SESSIONS, 2)
    yield study
    study.close()


def read_csv(path: Path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_rehearsal_fills_every_quota_exactly_and_is_never_taken_for_people(
    rehearsed: Study, tmp_path: Path
) -> None:
    view = overview(rehearsed, simulated=True)
    assert {(pair.answered, pair.promised) for pair in view.pairs} == {(4, 0)}
    assert overview(rehearsed).ratings_answered == 0
    with pytest.raises(InputError, match="all answers of this study are simulated"):
        export_study(rehearsed, tmp_path / "people")
    done = export_study(rehearsed, tmp_path / "bots", simulated=True)
    assert {row["simulated"] for row in read_csv(tmp_path / "bots/ratings.csv")} == {"1"}
    assert json.loads((tmp_path / "bots/export.json").read_text())["simulated"] is True
    assert done.listeners == N_SESSIONS


def test_people_and_bots_in_one_study_are_exported_apart(
    make_study: MakeStudy, tmp_path: Path
) -> None:
    study = make_study(DESIGN)
    rehearse(study, n_listeners=1, model=RaterModel(), cache=tmp_path / "cache")
    with serving(study, ServeSettings(admin_token=TOKEN, port=0), cache=tmp_path) as url:
        browser = Browser(url)
        bot = Bot(
            browser,
            rate=lambda heard: {"REL": 5.0, "OVERALL": 6.0},
            questions=study.design.listener_questions,
            recruit={"PROLIFIC_PID": "worker7", "STUDY_ID": "s", "SESSION_ID": "x"},
        )
        assert len(list(bot.take_part())) == 19
        browser.close()
    assert overview(study).mixed
    export_study(study, tmp_path / "people")
    rows = read_csv(tmp_path / "people/ratings.csv")
    assert {row["simulated"] for row in rows} == {"0"}
    assert {row["score"] for row in rows} == {"5.0"}
    assert export_recruitment(study, tmp_path / "recruitment.csv") == 1
    assert read_csv(tmp_path / "recruitment.csv")[0]["worker"] == "worker7"
    for path in (tmp_path / "people").iterdir():
        assert "worker7" not in path.read_text(), "who it was stays apart from the answers"


def test_the_export_is_the_long_form_that_the_ratings_stage_reads(
    rehearsed: Study, tmp_path: Path
) -> None:
    export_study(rehearsed, tmp_path, simulated=True)
    ratings = read_ratings(tmp_path / "ratings.csv")
    kinds = Counter(rating.kind for rating in ratings)
    assert kinds == {"rating": 96, "anchor": 24, "attention_check": 8}
    kept = screen(ratings, ["relate", "attention"]).kept
    targets = aggregate(kept)
    assert {target.n for target in aggregate(ratings)} == {4}
    assert len(targets) == 24
    assert {target.system for target in targets} == {"natural", "alpha", "beta"}
    aside = Counter(row["set_aside"] for row in read_csv(tmp_path / "set_aside.csv"))
    assert aside["practice"] == 2 * 8, "two questions each"
    assert aside["repeat"] == 2 * 2 * 8
    assert aside["other question"] == 96 + 24 + 8


def test_relate_and_xacle_forms_hold_the_same_ratings(rehearsed: Study, tmp_path: Path) -> None:
    export_study(rehearsed, tmp_path, simulated=True)

    def key(ratings, kinds):
        return sorted(
            (r.audio, r.text, r.listener_id, r.score, r.kind) for r in ratings if r.kind in kinds
        )

    plain = read_ratings(tmp_path / "ratings.csv")
    relate = read_ratings(tmp_path / "relate_REL.csv", question="REL")
    xacle = read_ratings(tmp_path / "xacle_REL.csv")
    assert key(plain, {"rating", "anchor"}) == key(relate, {"rating", "anchor"})
    assert key(plain, {"rating"}) == key(xacle, {"rating"})
    coded = read_csv(tmp_path / "relate_listeners.csv")
    assert list(coded[0])[1:] == [f"question{n}" for n in range(1, 13)]
    assert coded[0]["question1"] == "1"


def book_of_all_columns(folder: Path, files: Sequence[str]) -> list[dict[str, str]]:
    """The codebook, once it is seen to explain every column of the export's tables."""
    book = read_csv(folder / "codebook.csv")
    explained = {(row["file"], row["column"]) for row in book if row["meaning"]}
    for name in files:
        if name.endswith(".csv") and name != "codebook.csv":
            with open(folder / name, newline="", encoding="utf-8") as file:
                assert {(name, column) for column in next(csv.reader(file))} <= explained
    return book


def test_the_codebook_explains_every_column_and_every_code(
    rehearsed: Study, tmp_path: Path
) -> None:
    done = export_study(rehearsed, tmp_path, simulated=True)
    book = book_of_all_columns(tmp_path, done.files)
    codes = {
        (row["column"], row["value"]): row["value_means"]
        for row in book
        if row["file"] == "relate_listeners.csv" and row["value"]
    }
    assert codes["question2", "2"] == "Female"
    for row in read_csv(tmp_path / "relate_listeners.csv"):
        for column, value in row.items():
            if value and any(known == column for known, _ in codes):
                assert (column, value) in codes
    [nationality] = [
        row for row in book if (row["file"], row["column"]) == ("relate_listeners.csv", "question3")
    ]
    assert nationality["meaning"] == "asked before the first sound: Your nationality"
    kinds = {row["value"] for row in book if row["column"] == "kind"}
    assert {row["kind"] for row in read_csv(tmp_path / "ratings.csv")} <= kinds
    reasons = {row["value"] for row in book if row["column"] == "set_aside"}
    assert {row["set_aside"] for row in read_csv(tmp_path / "set_aside.csv")} <= reasons


def test_agreement_and_intervals_are_those_of_the_metrics_room_and_of_scipy(
    rehearsed: Study,
) -> None:
    from scipy import stats

    view = overview(rehearsed, simulated=True)
    with rehearsed.database.read() as connection:
        own = [
            item
            for item in answered(connection, simulated=True)
            if item.kind == "rating" and item.question == "REL"
        ]
    pairs = {item.stimulus_id: n for n, item in enumerate(own)}
    [agreement] = [item for item in view.agreement if item.question == "REL"]
    scores = [item.score for item in own]
    assert agreement.icc == pytest.approx(icc1(scores, [pairs[i.stimulus_id] for i in own]))
    assert 0.0 < agreement.leave_one_out_srcc < 1.0
    alpha = [item for item in own if item.system == "alpha"]
    means = [
        sum(i.score for i in alpha if i.stimulus_id == s) / 4
        for s in {i.stimulus_id for i in alpha}
    ]
    low, high = stats.t.interval(0.95, 7, sum(means) / 8, stats.sem(means))
    [system] = [item for item in view.systems if item.system == "alpha"]
    assert system.mos.mean - system.mos.half_width == pytest.approx(low)
    assert system.mos.mean + system.mos.half_width == pytest.approx(high)
    assert [part.n_ratings for part in system.history] == [4, 8, 16, 24, 32]


def test_an_interval_of_one_pair_is_undefined_not_zero() -> None:
    assert math.isnan(interval([]).mean)
    assert math.isnan(interval([]).half_width)


def test_bots_without_carelessness_pass_anchors_and_checks_and_careless_ones_are_flagged(
    rehearsed: Study, make_study: MakeStudy, tmp_path: Path
) -> None:
    assert not any(person.flags for person in overview(rehearsed, simulated=True).listeners)
    careless = make_study(DESIGN, name="careless")
    rehearse(careless, n_listeners=4, model=RaterModel(careless=1.0), cache=tmp_path / "cache")
    assert any("anchors" in p.flags for p in overview(careless, simulated=True).listeners)


def test_a_truth_table_that_misses_a_pair_is_refused(make_study: MakeStudy, tmp_path) -> None:
    table = tmp_path / "truth.csv"
    table.write_text("audio,text,relevance\nnatural/0.flac,A dog barks,0.9\n")
    study = make_study(DESIGN)
    with pytest.raises(InputError, match=r"no relevance for .* and 20 more"):
        rehearse(study, n_listeners=1, model=RaterModel(), cache=tmp_path, truth=table)


def test_a_bot_gives_up_where_no_study_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("humanclap.listening.rehearsal.bots.RETRIES", 2)
    monkeypatch.setattr("humanclap.listening.rehearsal.bots.RETRY_S", 0.0)
    with pytest.raises(BotError, match="does not answer"):
        Browser("http://127.0.0.1:9").get("/")


def test_whiskers_stay_inside_the_picture() -> None:
    wide = MeanInterval(n_ratings=10, n_pairs=2, mean=5.0, half_width=40.0)
    system = SystemProgress(system="a", answered=10, wanted=10, mos=wide, history=(wide,))
    [whisker] = interval_chart(system, ScaleDesign(), 10)
    assert (whisker.high, whisker.low, whisker.mean) == (4, 44, 24)


def test_what_is_set_aside_says_why() -> None:
    def item(kind: str, state: str) -> str | None:
        fields = dict.fromkeys(Answered.__slots__, None) | {"kind": kind, "trial_state": state}
        return Answered(**fields).set_aside  # type: ignore[arg-type]

    assert item("rating", "answered") is None
    assert item("anchor", "answered") is None
    assert item("practice", "answered") == "practice"
    assert item("repeat", "answered") == "repeat"
    assert item("rating", "surplus") == "surplus"
    assert item("rating", "excluded") == "excluded"
