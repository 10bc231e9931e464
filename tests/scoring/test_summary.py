from __future__ import annotations

import math

import numpy as np
import pytest

from humanclap.clap.calibration import Calibration
from humanclap.evaluation.leaderboard.rank import leaderboard
from humanclap.metrics.mean_rating import mean_rating_error
from humanclap.metrics.rating_map import fit_rating_map
from humanclap.records import Score
from humanclap.scoring.summary import lines, method, paper_table, summarise


def row(number, score, *, text=None, system=None, rating=math.nan, error=math.nan, failed=None):
    return Score(
        audio=f"{system}/{number}.wav",
        text=text or f"sound {number}",
        score=math.nan if failed else score,
        rating=rating,
        rating_error=error,
        system=system,
        error=failed,
    )


def test_each_prompt_counts_once_and_failures_count_apart():
    rows = [
        row(0, 0.2, text="rain"),
        row(1, 0.4, text="Rain "),  # the same prompt
        row(2, 0.9, text="a dog"),
        row(3, 0, text="wind", failed="no such file"),
    ]
    (found,) = summarise(rows)
    assert (found.clips, found.prompts, found.failed) == (3, 2, 1)
    assert found.score == pytest.approx((0.3 + 0.9) / 2)
    assert math.isnan(found.rating)
    assert lines([found]) == [
        "n = 3 clips of 2 prompts  score 0.600 [0.300, 0.900]  1 failed"
    ]  # with 2 prompts the widened interval ends at the extremes


def test_mean_and_interval_are_those_that_compare_gives():
    rng = np.random.default_rng(3)
    systems = {
        name: [row(i, float(rng.normal(0.3, 0.1)), system=name) for i in range(30)]
        for name in ("tango", "audioldm")
    }
    board = leaderboard(systems)
    found = {one.system: one for one in summarise([*systems["tango"], *systems["audioldm"]])}
    for standing in board.standings:
        one = found[standing.system]
        expected = (standing.mean, standing.low, standing.high)
        assert (one.score, one.low, one.high) == pytest.approx(expected, abs=1e-12)


def test_one_line_a_system_in_order_of_appearance_and_rows_of_none_by_themselves():
    rows = [row(0, 0.1, system="b"), row(1, 0.2, system="a"), row(2, 0.3), row(3, 0.4, system="b")]
    told = lines(summarise(rows))
    assert [line.split("  ")[0].strip() for line in told] == ["b", "a", "no system"]
    assert "1 clip of 1 prompt" in told[1]
    assert "score 0.200 [–]  " in told[1]
    assert told[1].endswith("  (a single prompt has no interval)")


def test_a_system_of_failures_alone_says_so():
    (found,) = summarise([row(0, 0, failed="silent"), row(1, 0, failed="silent")])
    assert (found.clips, found.failed) == (0, 2)
    assert lines([found]) == ["n = 0 clips of 0 prompts  score –  2 failed  (no clip scored)"]
    assert "–" in paper_table([found], signature="s").rows[0]


def test_the_error_of_one_rating_is_its_rating_error():
    one = [row(0, 0.3, rating=6, error=2.5)]
    for map_error in (None, lambda score: 0.7, lambda score: 9.0):
        assert mean_rating_error(one, np.ones(1), map_error) == pytest.approx(2.5)


def test_the_shared_part_of_the_error_does_not_average_out():
    rows = [row(i, 0.3, rating=6, error=2.5) for i in range(100)]
    weights = np.full(100, 0.01)
    # by hand: u = 1.5 is common, e = 2.0 is each pair's own
    assert mean_rating_error(rows, weights, lambda s: 1.5) == pytest.approx(
        math.sqrt(1.5**2 + 2.0**2 / 100)
    )
    assert mean_rating_error(rows, weights) == pytest.approx(2.5)  # nothing known: all is common


def test_pairs_of_one_prompt_share_what_the_score_does_not_know():
    rows = [row(i, 0.3, text=f"sound {i // 2}", rating=6, error=2.0) for i in range(4)]
    found = mean_rating_error(rows, np.full(4, 0.25), lambda s: 0.0)
    assert found == pytest.approx(2.0 / math.sqrt(2))  # two prompts, not four pairs


def test_a_rating_without_an_error_gives_none_of_the_mean():
    rows = [row(0, 0.3, rating=6, error=2.0), row(1, 0.3, rating=5)]
    (found,) = summarise(rows)
    assert found.rating == 5.5
    assert math.isnan(found.rating_error)
    assert "predicted rating 5.50 of 10" in lines([found])[0]


def test_the_error_holds_in_simulated_studies_where_the_one_by_n_alone_does_not():
    rng = np.random.default_rng(7)
    by_formula, by_n = [], []
    for _ in range(60):
        x = rng.normal(0.3, 0.15, 40)
        y = np.clip(5 + 6 * (x - 0.3) + rng.normal(0, 1.5, 40), 0, 10)
        fitted = fit_rating_map(x, y, np.full(40, 4), 0.0)
        calibration = Calibration(
            scores=fitted.scores,
            ratings=fitted.ratings,
            errors=fitted.errors,
            map_errors=fitted.map_errors,
            fitted_on="simulation",
            n=40,
        )
        new = rng.normal(0.4, 0.15, 200)
        true = np.clip(5 + 6 * (new - 0.3) + rng.normal(0, 1.5, 200), 0, 10)
        rows = [
            row(i, s, rating=calibration.rating(s), error=calibration.standard_error(s))
            for i, s in enumerate(new)
        ]
        (found,) = summarise(rows, calibration.map_error, replicates=40)
        missed = true.mean() - found.rating
        naive = math.sqrt(sum(r.rating_error**2 for r in rows)) / len(rows)
        by_formula.append(missed / found.rating_error)
        by_n.append(missed / naive)
    assert 0.6 < math.sqrt(np.mean(np.square(by_formula))) < 1.25  # 1 where errors are right
    assert math.sqrt(np.mean(np.square(by_n))) > 1.8


def test_the_table_for_a_paper_has_units_n_and_signature():
    rows = [row(i, 0.1 * i, system="tango", rating=5, error=2) for i in range(5)]
    table = paper_table(summarise(rows), signature="humanclap:0.1.0|x", covers="natural", met=2)
    assert "cosine in −1..1" in table.caption
    assert "0..10, ± standard error" in table.caption
    assert table.caption.endswith("n = 5 clips.")
    assert table.notes[0] == "Scores: humanclap:0.1.0|x."
    assert "fitted on natural sound only" in table.notes[1]
    assert "met 2 of these clips or their prompts" in table.notes[-1]
    assert table.columns == ("System", "clips", "prompts", "score [95 % CI]", "predicted rating")
    assert "failed" not in method(summarise(rows))


def test_the_table_says_what_each_dash_stands_for():
    rows = [row(0, 0.1, system="one"), row(1, 0, system="none", failed="gone")]
    notes = paper_table(summarise(rows), signature="humanclap:0.1.0|x").notes
    assert "[–]: a single prompt has no interval." in notes
    assert "–: no clip scored." in notes
