from __future__ import annotations

import pytest

from humanclap.evaluation import EvaluationSettings, ScoreTable, compare
from humanclap.evaluation.leaderboard.rank import leaderboard
from humanclap.evaluation.report.figures import draw_evaluation, draw_leaderboard
from humanclap.evaluation.report.paper import evaluation_tables, leaderboard_tables
from humanclap.evaluation.settings import LeaderboardSettings
from humanclap.records import Score
from humanclap.typeset import latex, markdown

QUICK = EvaluationSettings(replicates=40, permutations=50)


@pytest.fixture
def comparison(targets, scores_of):
    tables = [
        ScoreTable(name="ours_1", scores=scores_of(targets)),
        ScoreTable(name="a|b", scores=scores_of(targets, noise=0.6, seed=2)),
    ]
    return compare(tables, targets, QUICK, notes=["Ratings are SIMULATED."])


@pytest.fixture
def board():
    tables = {
        name: [
            Score(audio=f"{name}/{i}.wav", text=f"sound {i}", score=level + 0.01 * (i % 5))
            for i in range(12)
        ]
        for name, level in (("tango_2", 0.4), ("other", 0.1))
    }
    return leaderboard(tables, LeaderboardSettings(replicates=60, permutations=100))


def test_the_tables_of_an_evaluation_have_its_figures_units_n_and_signatures(comparison):
    agreement, places, differences = evaluation_tables(comparison)
    assert "0..10" in agreement.caption
    assert "n = 24 pairs, 12 captions, with 95 % intervals" in agreement.caption
    assert [row[0] for row in agreement.rows] == ["ours_1", "a|b"]
    rank = comparison.evaluations[0].overall.statistics["srcc"]
    cell = f"{rank.value:.3f} [{rank.low:.3f}, {rank.high:.3f}]"
    assert agreement.rows[0][1] == places.rows[0][1] == cell
    assert places.columns[1] == "all pairs"
    assert differences.rows[0][0] == "a|b − ours_1"
    assert differences.rows[0][-1].startswith("p = ")
    assert agreement.notes[0] == "Ratings are SIMULATED."
    for table in (agreement, places, differences):
        assert any("ours_1: humanclap:0.1.0|model:mini@" in note for note in table.notes)
    assert r"ours\_1 & " in latex([agreement])
    assert r"| a\|b | " in markdown([agreement])


def test_one_metric_has_no_table_of_differences(targets, scores_of):
    alone = compare(
        [ScoreTable(name="ours", scores=scores_of(targets))],
        targets,
        EvaluationSettings(replicates=40, by=()),
    )
    assert [table.label for table in evaluation_tables(alone)][:1] == ["agreement"]
    assert not [table for table in evaluation_tables(alone) if "differences" in table.label]


def test_the_tables_of_a_leaderboard_have_unit_n_intervals_and_tests(board):
    standings, duels = leaderboard_tables(board)
    assert "cosine in −1..1, higher is better" in standings.caption
    assert "n = 12 prompts that all systems have" in standings.caption
    first = board.standings[0]
    assert standings.rows[0][:3] == [
        "1",
        "tango_2",
        f"{first.mean:.3f} [{first.low:.3f}, {first.high:.3f}]",
    ]
    assert duels.rows[0][:2] == ["tango_2", "other"]
    assert any("no signature in the tables" in note for note in standings.notes)
    assert any("sign-flip permutation test" in note for note in duels.notes)


def test_figures_of_an_evaluation_are_named_after_what_they_show(comparison, tmp_path):
    pytest.importorskip("matplotlib", reason="humanclap[figures] is not installed")
    names = [path.name for path in draw_evaluation(comparison, tmp_path) if path.suffix == ".svg"]
    kinds = ("groups", "ratings", "ranks", "reliability")
    expected = ["agreement.svg"]
    expected += [f"{name}-{kind}.svg" for name in ("ours_1", "a-b") for kind in kinds]
    assert names == expected
    assert all((tmp_path / name).with_suffix(".pdf").is_file() for name in names)


def test_metrics_of_like_names_have_figures_of_their_own(targets, scores_of, tmp_path):
    from humanclap.evaluation.report.figures import _file_names

    assert _file_names(["A b", "a/b", "a-b", "c"]) == ["A-b", "a-b-2", "a-b-3", "c"]


def test_figures_of_a_leaderboard(board, tmp_path):
    pytest.importorskip("matplotlib", reason="humanclap[figures] is not installed")
    paths = draw_leaderboard(board, tmp_path / "new" / "folder")
    assert [path.name for path in paths] == [
        "systems.svg",
        "systems.pdf",
        "differences.svg",
        "differences.pdf",
    ]
