"""The example of an A/B test makes tables the commands take, and clips that bots can prefer."""

from __future__ import annotations

import runpy
from itertools import groupby
from pathlib import Path

import pytest

from humanclap.listening.design.comparisons import read_comparisons
from humanclap.tables import read_table

SCRIPT = Path(__file__).resolve().parents[2] / "examples" / "ab_test.py"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ab")
    main = runpy.run_path(str(SCRIPT))["main"]
    main.__globals__["PROMPTS"] = 20
    main(folder)
    return folder


def rows(path):
    return [row.cells for row in read_table(path).rows]


def test_every_two_systems_are_compared_on_every_prompt(folder):
    asked = read_comparisons(folder / "comparisons.csv", "clips")
    assert len(asked) == 60
    for _, of_prompt in groupby(rows(folder / "comparisons.csv"), key=lambda row: row["text"]):
        pairs = [(row["system_a"], row["system_b"]) for row in of_prompt]
        assert pairs == [("careful", "middling"), ("careful", "sloppy"), ("middling", "sloppy")]
    clips = {row["audio"] for row in rows(folder / "pairs.csv")}
    assert len(clips) == 60
    assert all((folder / "clips" / clip).is_file() for clip in clips)


def test_bots_prefer_the_system_that_errs_least(folder):
    strengths = {"careful": 0.0, "middling": 0.0, "sloppy": 0.0}
    for row in rows(folder / "truth.csv"):
        strengths[row["audio"].partition("/")[0]] += float(row["strength"]) / 20
    assert strengths["careful"] > strengths["middling"] > strengths["sloppy"]
    assert 0 <= min(strengths.values()) <= max(strengths.values()) <= 3
