import json
import math
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from humanclap.evaluation import (
    EvaluationSettings,
    ScoreTable,
    compare,
    html_report,
    json_report,
    markdown_report,
    write_reports,
)
from humanclap.evaluation.markup.charts import ticks
from humanclap.evaluation.report.pair_plots import MAX_POINTS, scatter
from humanclap.records import Score

QUICK = EvaluationSettings(replicates=40)


class Tags(HTMLParser):
    """Checks that elements close in order; collects what the page holds."""

    def __init__(self):
        super().__init__()
        self.open, self.seen, self.attributes = [], [], []

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        self.attributes += attrs
        if tag not in ("meta", "wbr"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.seen.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def parsed(page):
    tags = Tags()
    tags.feed(page)
    assert tags.open == []
    return tags


@pytest.fixture
def comparison(targets, anchors, scores_of):
    everything = [*targets, *anchors]
    tables = [
        ScoreTable(name="clapscore", scores=scores_of(everything, noise=0.5)),
        ScoreTable(name="human-clap", scores=scores_of(everything, rating=True)),
    ]
    settings = replace(QUICK, include_anchors=True)
    return compare(tables, everything, settings, notes=["SIMULATED ratings"])


@pytest.fixture
def hostile(targets, scores_of):
    """User text everywhere that tries to be HTML."""
    bad = '<script>alert("x")</script>'
    nasty = [
        replace(t, text=f"{t.text} {bad}", system=f"{t.system} {bad}", pair_id="") for t in targets
    ]
    scores = [replace(s, signature=bad) for s in scores_of(nasty)]
    return compare(
        [ScoreTable(name=f"a|b {bad}", scores=scores)], nasty, QUICK, notes=[f"note {bad}"]
    )


def test_json_holds_the_figures_with_null_for_undefined_and_the_reason(targets):
    scores = [Score(audio=t.audio, text=t.text, score=0.5) for t in targets]
    found = compare([ScoreTable(name="constant", scores=scores)], targets, QUICK)
    text = json_report(found)
    assert "NaN" not in text
    rank = json.loads(text)["evaluations"][0]["groups"][0]["statistics"]["srcc"]
    assert rank["value"] is None
    assert rank["reason"] == "the metric is constant"


def test_json_says_how_the_figures_were_made(comparison):
    found = json.loads(json_report(comparison))
    assert found["settings"]["replicates"] == 40
    assert found["settings"]["rating_scale"] == "0..10"
    assert found["cluster"] == "caption"
    first, second = found["evaluations"]
    assert first["scale_map"] == {
        "name": "unit", "formula": "10 · max(score, 0)", "optimistic": False
    }  # fmt: skip
    assert second["scale_map"]["name"] == "rating"
    assert first["signature"].startswith("humanclap:0.1.0|model:mini@")
    assert first["counts"]["anchors_judged"] == 6
    assert found["differences"][0]["baseline"] == "clapscore"
    assert found["notes"] == ["SIMULATED ratings"]


def test_markdown_has_the_note_the_summary_and_well_formed_tables(comparison):
    text = markdown_report(comparison)
    assert "> **SIMULATED ratings**" in text
    assert "- human-clap against clapscore on the same pairs: SRCC +" in text
    for block in re.findall(r"(?:^\|.*\n)+", text, flags=re.M):
        assert len({line.count("|") for line in block.splitlines()}) == 1


def test_markdown_escapes_html_and_table_signs(hostile):
    text = markdown_report(hostile)
    assert "<script>" not in text
    assert "## a\\|b &lt;script&gt;" in text


def test_html_escapes_everything_from_the_input(hostile):
    page = html_report(hostile)
    assert page.count("<script") == 1  # the page's own, which sorts tables
    assert "&lt;script&gt;" in page
    assert parsed(page).seen.count("script") == 1


def test_html_is_well_formed_and_has_no_reference_outside_itself(comparison):
    page = html_report(comparison)
    tags = parsed(page)
    assert not {"link", "img", "iframe", "audio"} & set(tags.seen)
    assert not {"src", "xlink:href"} & {name for name, _ in tags.attributes}
    assert {value[0] for name, value in tags.attributes if name == "href"} <= {"#"}
    assert not re.search(r"https?:|//|url\(|@import", page.replace("<!doctype html>", ""))


def test_html_shows_the_note_before_anything_else(comparison):
    page = html_report(comparison)
    banner = page.index('<div class="banner" role="note"><p>SIMULATED ratings</p></div>')
    assert banner < page.index('<div class="summary">') < page.index("<figure>")


def test_html_follows_light_and_dark(comparison):
    assert "prefers-color-scheme: dark" in html_report(comparison)


def test_the_scatter_plot_has_one_mark_a_pair_by_kind(comparison):
    svg = scatter(comparison.evaluations[0])
    assert svg.count('class="mark natural"') == 12
    assert svg.count('class="mark synthetic"') == 12
    assert svg.count('class="mark anchor"') == 6


def test_a_very_large_scatter_plot_is_thinned_and_says_so(comparison):
    found = comparison.evaluations[0]
    many = replace(found, per_pair=found.per_pair * (MAX_POINTS // len(found.per_pair) + 1))
    assert scatter(many).count("<title>") == MAX_POINTS
    page = html_report(replace(comparison, evaluations=(many,), differences=()))
    assert "5,000 drawn at random" in page


def test_undefined_figures_are_dashes_and_their_reason_stands_in_every_report(targets):
    scores = [Score(audio=t.audio, text=t.text, score=0.5) for t in targets]
    found = compare([ScoreTable(name="constant", scores=scores)], targets, QUICK)
    for text in (markdown_report(found), html_report(found)):
        assert "–" in text
        assert "SRCC, LCC, KTAU (all groups): the metric is constant" in text
        assert "nan" not in text.lower().replace("dominan", "")


def test_missing_and_failed_rows_stand_in_the_summary(targets, scores_of):
    first, *rest = scores_of(targets)
    lost = [replace(first, score=math.nan, error="broken"), *rest[:20]]
    table = ScoreTable(name="ours", scores=lost)
    found = compare([table], targets, replace(QUICK, allow_missing=True))
    sentence = "Judged 20 of 24 targets; no anchors among them; 3 targets without a score and 1"
    assert sentence in markdown_report(found)


def test_reports_are_written_under_the_names_given(comparison, tmp_path):
    write_reports(
        comparison,
        json_path=tmp_path / "report.json",
        markdown_path=tmp_path / "report.md",
        html_path=tmp_path / "new" / "report.html",
    )
    assert json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert (tmp_path / "report.md").read_text(encoding="utf-8") == markdown_report(comparison)
    assert (tmp_path / "new" / "report.html").is_file()


def test_a_full_disk_leaves_no_partial_report(comparison, tmp_path, monkeypatch):
    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("humanclap.files.os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_reports(comparison, html_path=tmp_path / "report.html")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (-0.23, 0.71, [-0.2, 0, 0.2, 0.4, 0.6]),
        (1, 5, [1, 2, 3, 4, 5]),
        (3, 3, [3]),
    ],
)
def test_ticks_are_round_numbers_within_the_range(low, high, expected):
    assert ticks(low, high) == pytest.approx(expected)


def test_every_report_says_what_it_was_judged_by_and_how(comparison, targets, scores_of):
    signature = json.loads(json_report(comparison))["signature"]
    assert signature.startswith("humanclap:")
    assert "|judged-by:30@" in signature
    assert "|anchors:yes|" in signature
    assert signature in markdown_report(comparison).replace("\\|", "|")
    assert signature in html_report(comparison)
    moved = [replace(targets[0], mos=5.55, target=0.555), *targets[1:]]
    tables = [ScoreTable(name="m", scores=scores_of(targets))]
    plain, other = (
        json.loads(json_report(compare(tables, these, QUICK)))["signature"]
        for these in (targets, moved)
    )
    assert plain != other
    again = json.loads(json_report(compare(tables, targets[::-1], QUICK)))["signature"]
    assert again == plain


def test_a_page_says_below_each_table_why_its_figures_are_missing(targets, scores_of):
    flat = [Score(audio=t.audio, text=t.text, score=0.5) for t in targets]
    tables = [
        ScoreTable(name="ours", scores=scores_of(targets)),
        ScoreTable(name="flat", scores=flat),
    ]
    page = html_report(compare(tables, targets, QUICK))
    titles, sections = re.findall(r"<h2>(.*?)</h2>", page), re.split(r"<h2>", page)[1:]
    of = dict(zip(titles, sections, strict=True))
    for name in ("Against ours", "flat"):
        table, below = of[name].split("</table>", 1)
        assert "the metric is constant" in below
        assert "the metric is constant" not in table
    assert "the metric is constant" not in of["ours"] + of["How this was computed"]


def test_each_difference_has_its_own_table_whose_first_column_is_the_group(comparison):
    against = re.split(r"<h2>", html_report(comparison))
    section = next(part for part in against if part.startswith("Against clapscore"))
    assert "<h3>human-<wbr>clap - clapscore</h3>" in section
    assert '<th class="t first">group</th>' in section
