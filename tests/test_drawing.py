from __future__ import annotations

import importlib
import logging
import re

import pytest

from humanclap import drawing
from humanclap.drawing import Mark, distributions, file_name, forest, points, reliability, save
from humanclap.errors import InputError, MissingExtraError

MARKS = [
    Mark(label="tango $2_a$", value=0.3, low=0.2, high=0.4, limit=0.6),
    Mark(label="a name that is much too long for one line of a figure", value=0.1),
]
KINDS = {
    "forest": forest(MARKS, title="score", limit="noise ceiling", zero=True),
    "distributions": distributions([("tango", [0.1, 0.2, 0.9]), ("one", [0.3])], title="score"),
    "points": points(
        [("natural", [0.1, 0.2], [3.0, 4.0]), ("synthetic", [0.3], [9.0])],
        labels=("score", "rating"),
        y_range=(0, 10),
    ),
    "ranks": points([("pair", [10.0, 90.0], [20.0, 80.0])], labels=("x", "y"), diagonal=True),
    "reliability": reliability(
        [(2.0, 3.0, 0.5), (8.0, 7.0, float("nan"))], (0, 10), labels=("predicted", "people")
    ),
}


@pytest.fixture(autouse=True)
def matplotlib():
    return pytest.importorskip("matplotlib", reason="humanclap[figures] is not installed")


@pytest.mark.parametrize("kind", KINDS)
def test_a_figure_is_the_same_to_the_byte_and_has_no_date(tmp_path, kind):
    first = save(tmp_path / "a", "x", KINDS[kind], height=3)
    second = save(tmp_path / "b", "x", KINDS[kind], height=3)
    assert [path.name for path in first] == ["x.svg", "x.pdf"]
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes()
    svg = first[0].read_text(encoding="utf-8")
    assert svg.lstrip().startswith("<?xml")
    assert "dc:date" not in svg
    assert b"/CreationDate" not in first[1].read_bytes()


def test_the_folder_holds_nothing_but_the_figures(tmp_path):
    (tmp_path / "keep.txt").write_text("mine")
    save(tmp_path, "x", KINDS["forest"], height=3)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["keep.txt", "x.pdf", "x.svg"]


def test_labels_wrap_stay_inside_and_have_no_formulas(tmp_path):
    drawn = []

    def draw(figure):
        KINDS["forest"](figure)
        drawn.append(figure)

    save(tmp_path, "x", draw, height=3)
    drawn[0].draw_without_rendering()
    labels = drawn[0].axes[0].get_yticklabels()
    assert [label.get_text().count("\n") for label in labels] == [0, 1]
    assert labels[0].get_text() == "tango $2_a$"
    assert not labels[0].get_parse_math()
    assert min(label.get_window_extent().x0 for label in labels) >= 0


def test_a_sign_that_no_font_has_is_told_once(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        save(
            tmp_path,
            "x",
            forest([Mark(label="\U0001f9ff\U000f0000", value=1)], title="t"),
            height=2,
        )
    told = [record.getMessage() for record in caplog.records if record.name == drawing.__name__]
    assert len(told) == 1
    assert "no font here has" in told[0]
    assert not [record for record in caplog.records if "Font family" in record.getMessage()]


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "f").write_text("x")
    with pytest.raises(InputError, match="is a file; --figures takes a folder"):
        drawing.check_folder(tmp_path / "f")


def test_without_matplotlib_the_remedy_is_told(tmp_path, monkeypatch):
    def absent(name):
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(importlib, "import_module", absent)
    with pytest.raises(MissingExtraError, match=re.escape("pip install 'humanclap[figures]'")):
        drawing.check_folder(tmp_path)


def test_file_names_are_plain():
    assert file_name("../a b/c:d*é") == "a-b-c-d-é"
    assert file_name("///") == "figure"


def test_every_group_of_points_is_drawn_and_told_from_the_others(tmp_path):
    from matplotlib.figure import Figure

    figure = Figure()
    points([(f"set {n}", [n], [n]) for n in range(20)], labels=("x", "y"))(figure)
    drawn = figure.axes[0].collections
    assert len(drawn) == 20
    looks = {(tuple(d.get_facecolor()[0]), d.get_paths()[0].vertices.tobytes()) for d in drawn}
    assert len(looks) == 20
