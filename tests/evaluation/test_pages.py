"""What every page promises: one summary, one picture, then detail; nothing cut off."""

import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from humanclap.drawing import Mark
from humanclap.evaluation import (
    EvaluationSettings,
    ScoreTable,
    compare,
    html_report,
    json_report,
    markdown_report,
)
from humanclap.evaluation.leaderboard.rank import leaderboard
from humanclap.evaluation.markup.charts import chart
from humanclap.evaluation.markup.html import broken, table
from humanclap.evaluation.markup.style import STYLE
from humanclap.evaluation.report.leaderboard_report import html_leaderboard, leaderboard_document
from humanclap.evaluation.report.leaderboard_words import win_rows
from humanclap.evaluation.report.metric_names import by_model
from humanclap.evaluation.settings import LeaderboardSettings
from humanclap.provenance import Provenance
from humanclap.records import Score

QUICK = EvaluationSettings(replicates=40, permutations=9)
LONG = "demo_mar_large_ACWC_wav"
SIGNATURE = (
    "humanclap:0.1.0|model:{}|rate:32000|window:10s|hop:10s|fill:wrap|pool:mean|precision:fp32"
)
MADE = Provenance(
    at=datetime(2026, 1, 1, tzinfo=UTC),
    command="humanclap evaluate scores.csv --targets t.csv",
    versions={"humanclap": "0.1.0", "numpy": "2.0"},
)


def metric(name, targets, scores_of, model="my-clap@12345678", **given):
    signature = SIGNATURE.format(model) if model else None
    return ScoreTable(name=name, scores=scores_of(targets, signature=signature, **given))


@pytest.fixture
def board():
    names = [LONG, "audioldm2-full", "tango"]
    rows = [
        Score(audio=f"{name}/{i}.wav", text=f"sound {i}", score=0.1 * place + 0.01 * (i * 7 % 5),
              system=name, signature=SIGNATURE.format("my-clap@12345678"))
        for place, name in enumerate(names)
        for i in range(12)
    ]  # fmt: skip
    return leaderboard({"s": rows}, LeaderboardSettings(replicates=40, permutations=99))


def test_summary_and_picture_come_before_warnings_and_tables(targets, scores_of, board):
    met = [replace(s, met="caption:tuned") for s in scores_of(targets)]
    found = compare([ScoreTable(name="m", scores=met)], targets, QUICK, notes=["a note"])
    for page in (html_report(found), html_leaderboard(replace(board, notes=("a note",)))):
        marks = ['class="banner"', 'class="summary"', "<figure>", 'id="warnings"', "<table"]
        places = [page.index(mark, page.index("<body>")) for mark in marks]
        assert places == sorted(places)
        assert page.count('class="banner"') == page.count('id="warnings"') == 1
        assert page.index('href="#warnings"') < page.index("<figure>")


def test_a_page_without_warnings_has_no_box_and_says_nothing_of_them(targets, scores_of):
    page = html_report(compare([metric("m", targets, scores_of)], targets, QUICK))
    assert 'id="warnings"' not in page
    assert "#warnings" not in page


def test_every_report_says_command_date_versions_and_model(targets, scores_of, board):
    found = by_model(compare([metric("scores", targets, scores_of)], targets, QUICK))
    for text in (
        html_report(found, made=MADE),
        markdown_report(found, made=MADE),
        html_leaderboard(board, made=MADE),
        leaderboard_document(board, made=MADE).markdown(),
    ):
        for said in (MADE.command, "2026-01-01 00:00 UTC", "numpy 2.0", "my-clap@12345678"):
            assert said in text
    assert '"date": "2026-01-01 00:00 UTC"' in json_report(found, made=MADE)


def test_a_report_is_called_after_the_model_not_after_the_file(targets, scores_of):
    found = by_model(compare([metric("scores", targets, scores_of)], targets, QUICK))
    assert "<title>Agreement with people: my-clap</title>" in html_report(found)
    assert markdown_report(found).startswith("# Agreement with people: my-clap\n")
    assert "my-clap@12345678 (scores: scores)" in html_report(found)


@pytest.mark.parametrize(
    ("models", "expected"),
    [
        (("mini@1", "laion/clap@2"), ["mini", "laion/clap"]),
        (("mini@1", "mini@2"), ["mini@1", "mini@2"]),
        (("mini@1", "mini@1"), ["mini (a)", "mini (b)"]),
        (("mini@1", None), ["mini", "b"]),
    ],
)
def test_models_of_one_name_are_told_apart(targets, scores_of, models, expected):
    tables = [
        metric(name, targets, scores_of, model, seed=seed)
        for seed, (name, model) in enumerate(zip("ab", models, strict=True))
    ]
    found = by_model(compare(tables, targets, QUICK))
    assert [item.name for item in found.metrics] == expected
    (difference,) = found.differences
    assert [difference.baseline, difference.name] == expected
    assert found.test(difference.name, difference.baseline) is not None


def test_long_names_stand_whole_and_may_wrap_where_their_words_end(board):
    assert broken(LONG) == "demo_<wbr>mar_<wbr>large_<wbr>ACWC_<wbr>wav"
    page = html_leaderboard(board)
    assert page.count(f'<span class="what">{broken(LONG)}</span>') == 1
    assert "…" not in page


@pytest.mark.parametrize("text", ["0.533 [-0.2, 0.9]", "-0.25", "p = 0.001", "a. b", "_x"])
def test_numbers_and_prose_are_never_broken(text):
    assert broken(text) == text


def test_the_win_matrix_numbers_its_columns_by_its_rows(board):
    heads, rows = win_rows(board)
    assert heads == ["wins against", "1.", "2.", "3."]
    assert [row[0] for row in rows] == ["1. tango", "2. audioldm2-full", f"3. {LONG}"]
    assert rows[0][1:] == ["", "100 %", "100 %"]


def test_a_chart_places_values_on_one_scale_and_says_them():
    found = chart([Mark(label="a", value=0.0, low=-1.0, high=1.0), Mark(label="b", value=1.0)])
    # Ends -1 and 1, and 4 % of their distance on each side: 0 is the middle, 1 at 2.08/2.16.
    assert re.findall(r'cx="([\d.]+)%"', found) == ["50.00", "96.30"]
    assert re.findall(r'class="span" x1="([\d.]+)%" x2="([\d.]+)%"', found) == [("3.70", "96.30")]
    assert "0.000 [-1.000, 1.000]" in found
    assert '<span class="value">1.000</span>' in found


def test_a_chart_of_undefined_values_draws_none():
    nan = float("nan")
    found = chart([Mark(label="a", value=nan, low=nan, high=nan)], zero=True)
    assert "<circle" not in found
    assert '<span class="value">–</span>' in found


def test_wide_tables_scroll_with_their_first_words_in_sight():
    found = table(["", "system", "mean"], [["1", "tango", "0.5 [0.4, 0.6]"]])
    assert found.startswith('<div class="wide"><table')
    assert '<td class="t first">tango</td>' in found
    assert "<td>0.5<small>[0.4, 0.6]</small></td>" in found
    assert ".wide { overflow-x: auto;" in STYLE
    assert "td.first { position: sticky; left: 0;" in STYLE


def test_a_column_is_of_words_where_most_of_its_cells_are():
    found = table(["more prompts"], [["settled"], ["46"], ["12"]])
    assert 'class="t' not in found
