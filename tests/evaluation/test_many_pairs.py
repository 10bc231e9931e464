"""What is done otherwise with very many pairs, shown on few by lowering the limit."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from humanclap.errors import TableError
from humanclap.evaluation import EvaluationSettings, compare, json_report
from humanclap.evaluation.join import ScoreTable
from humanclap.evaluation.leaderboard.rank import leaderboard
from humanclap.evaluation.report import agreement_words as report_words
from humanclap.evaluation.report.comparability import judgement_signature
from humanclap.evaluation.report.leaderboard_words import noted_rows
from humanclap.evaluation.settings import LeaderboardSettings
from humanclap.records import Score, Target
from humanclap.tables import read_scores, write_rows

N, SYSTEMS = 720, 3


@pytest.fixture(scope="module")
def simulated():
    """Targets and two metrics of 300 prompts by three systems (simulated)."""
    rng = np.random.default_rng(0)
    quality = rng.normal(size=N)
    mos = np.clip(5 + 2 * (quality + rng.normal(size=N)), 0, 10).round(1)
    names = [(f"{i}.wav", f"sound {i // SYSTEMS}", f"s{i % SYSTEMS}") for i in range(N)]
    targets = [
        Target(audio=a, text=t, system=s, target=m / 10, mos=m, n=4)
        for (a, t, s), m in zip(names, mos.tolist(), strict=True)
    ]
    tables = [
        ScoreTable(
            name=name,
            scores=[
                Score(audio=a, text=t, system=s, score=v)
                for (a, t, s), v in zip(
                    names, np.tanh(0.3 * quality + noise * rng.normal(size=N)).tolist(), strict=True
                )
            ],
        )
        for name, noise in (("one", 0.3), ("two", 0.6))
    ]
    return tables, targets


@pytest.fixture
def large(monkeypatch):
    """Make 500 pairs very many, and a place of 100 a small one."""
    for module in ("influence", "levels", "permutation"):
        monkeypatch.setattr(f"humanclap.metrics.{module}.LARGE_PAIRS", 500)
    monkeypatch.setattr("humanclap.metrics.influence.SMALL_PLACE", 100)
    monkeypatch.setattr("humanclap.evaluation.report.agreement_words.LARGE_PAIRS", 500)


def _statistics(comparison):
    for found in (*comparison.evaluations, *comparison.differences):
        for group in (*found.groups, *found.levels, *found.without):
            for name, statistic in group.statistics.items():
                yield (found.name, group.label, name), statistic


def test_many_pairs_have_the_same_values_and_intervals_of_like_width(simulated, request):
    settings = EvaluationSettings(replicates=600, permutations=200)
    plain = dict(_statistics(compare(*simulated, settings)))
    request.getfixturevalue("large")
    found = dict(_statistics(compare(*simulated, settings)))
    assert found.keys() == plain.keys()
    for place, statistic in found.items():
        expected = plain[place]
        assert statistic.n == expected.n
        assert statistic.value == pytest.approx(expected.value, abs=1e-9, nan_ok=True), place
        if place[1] in ("between systems", "within captions"):
            assert statistic.low == pytest.approx(expected.low, abs=1e-9, nan_ok=True)
        elif np.isfinite(expected.value):
            assert statistic.replicates == 0
            width = expected.high - expected.low
            assert statistic.high - statistic.low == pytest.approx(width, rel=0.15), place


def test_reports_say_what_was_done_otherwise(simulated, large):
    comparison = compare(*simulated, EvaluationSettings(replicates=40, permutations=50))
    assert "more than 500 pairs: intervals" in report_words.bootstrap_line(comparison)
    assert "is not ranked anew" in report_words.tests_line(comparison)
    assert "|interval:influence/percentile-95%|" in judgement_signature(comparison)
    assert json.loads(json_report(comparison))["evaluations"][0]["groups"][0]["n"] == N


def test_reports_of_few_pairs_say_nothing_of_it(simulated):
    comparison = compare(*simulated, EvaluationSettings(replicates=40, permutations=50))
    assert "influence" not in report_words.bootstrap_line(comparison)
    assert "anew" not in report_words.tests_line(comparison)
    assert "|interval:percentile-95%|" in judgement_signature(comparison)


def test_a_large_leaderboard_is_the_small_one(simulated, monkeypatch):
    tables, _ = simulated
    rows, settings = {"one": tables[0].scores}, LeaderboardSettings(permutations=500)
    plain = leaderboard(rows, settings)
    monkeypatch.setattr("humanclap.evaluation.leaderboard.duels.LARGE_PAIRS", 100)
    told = []
    found = leaderboard(rows, settings, progress=lambda *step: told.append(step))
    assert [step[0] for step in told] == [0, 1, 2, 3]
    for one, other in zip(found.duels, plain.duels, strict=True):
        assert (one.better, one.p, one.p_holm) == (other.better, other.p, other.p_holm)
        assert one.low == pytest.approx(other.low, abs=1e-12)
        assert one.high == pytest.approx(other.high, abs=1e-12)
    assert found.standings == plain.standings
    assert found.worst == plain.worst


def test_a_table_of_many_notes_is_cut_and_says_so(simulated, monkeypatch):
    monkeypatch.setattr("humanclap.evaluation.report.leaderboard_words.MAX_NOTED", 5)
    rows = [replace(row, note="clip is silent") for row in simulated[0][0].scores]
    board = leaderboard({"one": rows}, LeaderboardSettings(permutations=50, replicates=100))
    _, listed = noted_rows(board)
    assert len(listed) == 6
    assert listed[-1][1] == f"and {N - 5} more; --json lists all"


@pytest.mark.parametrize("suffix", ["csv", "csv.gz", "jsonl", "parquet"])
def test_a_bad_row_far_down_is_named(tmp_path, monkeypatch, suffix):
    monkeypatch.setattr("humanclap.formats._ROWS_AT_ONCE", 100)
    path, count = tmp_path / f"scores.{suffix}", 450
    rows = [
        {"audio": f"{i}.wav", "text": "rain", "score": "n/a" if i == 405 else "0.1"}
        for i in range(count)
    ]
    write_rows(path, ["audio", "text", "score"], rows)
    line = 407 if suffix.startswith("csv") else 406
    with pytest.raises(TableError, match=f"{path.name}:{line}: column 'score' is 'n/a'"):
        read_scores(path)


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_rows_that_fail_while_written_leave_no_file(tmp_path, suffix):
    def rows():
        yield {"audio": "a.wav"}
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        write_rows(tmp_path / f"pairs.{suffix}", ["audio"], rows())
    assert list(tmp_path.iterdir()) == []
