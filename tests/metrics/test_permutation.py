import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from humanclap.errors import InputError
from humanclap.metrics.permutation import (
    PairedRun,
    holm,
    mean_permutation_p,
    permutation_p,
)


def test_p_is_that_of_all_exchanges_of_captions():
    rng = np.random.default_rng(0)
    human = rng.normal(size=16)
    first, second = human + 2 * rng.normal(size=16), human + 0.7 * rng.normal(size=16)
    clusters = np.arange(16) // 2
    a, b = stats.rankdata(first), stats.rankdata(second)

    def gap(x, y):
        return abs(stats.spearmanr(y, human).statistic - stats.spearmanr(x, human).statistic)

    observed, reached = gap(a, b), 0
    for swaps in itertools.product((False, True), repeat=8):
        swap = np.array(swaps)[clusters]
        reached += gap(np.where(swap, b, a), np.where(swap, a, b)) >= observed - 1e-12
    exact = reached / 2**8
    found = permutation_p(
        first, second, human, clusters, rng=np.random.default_rng(1), permutations=4000
    )
    assert found == pytest.approx(exact, abs=3 * math.sqrt(exact * (1 - exact) / 4000))


def two_runs():
    """Two seeds judged on pairs of the same eight captions, the second on some of them only."""
    rng = np.random.default_rng(3)
    runs = []
    for size in (16, 12):
        human = rng.normal(size=size)
        runs.append(
            PairedRun(
                first=human + 2 * rng.normal(size=size),
                second=human + rng.normal(size=size),
                human=human,
                clusters=np.arange(size) // 2,
            )
        )
    return runs


def test_p_of_a_mean_over_runs_is_that_of_all_exchanges_in_all_runs_at_once():
    runs = two_runs()

    def gap(swaps):
        found = []
        for run in runs:
            swap = np.array(swaps)[run.clusters]
            a, b = stats.rankdata(run.first), stats.rankdata(run.second)
            one, other = np.where(swap, b, a), np.where(swap, a, b)
            found.append(
                stats.spearmanr(other, run.human).statistic
                - stats.spearmanr(one, run.human).statistic
            )
        return abs(np.mean(found))

    observed = gap((False,) * 8)
    reached = sum(gap(s) >= observed - 1e-12 for s in itertools.product((False, True), repeat=8))
    exact = reached / 2**8
    found = mean_permutation_p(runs, rng=np.random.default_rng(1), permutations=4000)
    assert found == pytest.approx(exact, abs=3 * math.sqrt(exact * (1 - exact) / 4000))


def test_one_run_counted_twice_says_no_more_than_once():
    run = two_runs()[0]
    once = permutation_p(
        run.first, run.second, run.human, run.clusters, rng=np.random.default_rng(2)
    )
    assert mean_permutation_p([run, run], rng=np.random.default_rng(2)) == once
    assert 0 < once < 1


def test_a_mean_over_runs_is_undefined_where_one_of_them_is():
    good = two_runs()[0]
    flat = replace(good, second=np.ones(16))
    assert math.isnan(mean_permutation_p([good, flat], rng=np.random.default_rng(0)))
    assert math.isnan(mean_permutation_p([], rng=np.random.default_rng(0)))


def test_a_metric_against_itself_has_p_one():
    human = np.arange(12.0)
    p = permutation_p(human, human, human, np.arange(12), rng=np.random.default_rng(0))
    assert p == 1.0


def test_undefined_where_a_metric_is_constant_or_there_is_one_caption():
    human, rng = np.arange(6.0), np.random.default_rng(0)
    assert math.isnan(permutation_p(np.ones(6), human, human, np.arange(6), rng=rng))
    assert math.isnan(permutation_p(human[::-1], human, human, np.zeros(6), rng=rng))
    with pytest.raises(InputError, match="at least 1"):
        permutation_p(human, human, human, np.arange(6), rng=rng, permutations=0)


def test_holm_worked_by_hand():
    # Sorted .005 .01 .03 .04 times 4 3 2 1 = .02 .03 .06 .04, then never falling.
    assert holm([0.04, 0.01, 0.005, 0.03]) == pytest.approx([0.06, 0.03, 0.02, 0.06])
    assert holm([0.7, 0.6]) == [1.0, 1.0]
    assert holm([]) == []


def test_an_undefined_test_is_not_counted():
    found = holm([0.02, math.nan, 0.01])
    assert found[0] == pytest.approx(0.02)
    assert found[2] == pytest.approx(0.02)
    assert math.isnan(found[1])


def test_equal_metrics_are_called_different_about_as_often_as_the_level_says():
    # The light version of benchmarks/interval_simulation.py: 200 studies of 30 captions.
    rng, called = np.random.default_rng(0), 0
    clusters = np.repeat(np.arange(30), 3)
    for _ in range(200):
        shared = rng.normal(size=(3, 30)).repeat(3, axis=1)
        human, first, second = 0.8 * shared + 0.6 * rng.normal(size=(3, 90))
        p = permutation_p(human + first, human + second, human, clusters, rng=rng, permutations=99)
        called += p <= 0.05
    assert 0.02 <= called / 200 <= 0.09
