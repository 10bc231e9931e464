import itertools
import math

import numpy as np
import pytest
from scipy import stats

from humanclap.errors import InputError
from humanclap.metrics.pairwise import pairwise_accuracy, tie_threshold
from humanclap.metrics.weighted import WeightedAgreement


def by_definition(metric, human, threshold=0.0):
    """acc_eq of Deutsch et al. 2023, pair by pair: (C + T_hm) / all."""
    right = 0
    pairs = list(itertools.combinations(range(len(metric)), 2))
    for i, j in pairs:
        d, h = metric[i] - metric[j], human[i] - human[j]
        called = 0 if abs(d) <= threshold else (1 if d > 0 else -1)
        right += called == int(np.sign(h))
    return right / len(pairs)


def samples(n=40, seed=0):
    rng = np.random.default_rng(seed)
    human = rng.integers(0, 6, size=n).astype(float)
    return (human + 2 * rng.normal(size=n)).round(1), human


@pytest.mark.parametrize("threshold", [0.0, 0.25, 1.05, 100.0])
def test_accuracy_is_that_of_its_definition(threshold):
    metric, human = samples()
    expected = by_definition(metric, human, threshold)
    assert pairwise_accuracy(metric, human, threshold=threshold) == pytest.approx(expected)


def test_worked_by_hand_with_a_tie_on_each_side():
    # Pairs: (1,2) right, (1,3) right, (1,4) right, (2,3) tied for people only,
    # (2,4) tied for the metric only, (3,4) wrong order.
    assert pairwise_accuracy([1, 3, 4, 3], [0, 2, 2, 5]) == pytest.approx(3 / 6)


def test_without_ties_it_is_kendalls_tau_in_other_units():
    rng = np.random.default_rng(2)
    metric, human = rng.normal(size=(2, 60))
    tau = stats.kendalltau(metric, human).statistic
    assert pairwise_accuracy(metric, human) == pytest.approx((tau + 1) / 2)


@pytest.mark.parametrize("seed", range(4))
def test_the_threshold_is_the_best_of_all_differences(seed):
    metric, human = samples(25, seed)
    gaps = {0.0} | {abs(a - b) for a, b in itertools.combinations(metric, 2)}
    best = max(by_definition(metric, human, gap) for gap in gaps)
    found = tie_threshold(metric, human)
    assert found.accuracy == pytest.approx(best)
    assert pairwise_accuracy(metric, human, threshold=found.threshold) == pytest.approx(best)
    smaller = [g for g in gaps if g < found.threshold]
    assert all(by_definition(metric, human, g) < best for g in smaller)


def test_with_very_many_pairs_a_sample_gives_nearly_the_same_threshold(monkeypatch):
    metric, human = samples(300, 5)
    whole = tie_threshold(metric, human)
    monkeypatch.setattr("humanclap.metrics.pairwise.MAX_PAIRS", 20_000)
    sampled = tie_threshold(metric, human)
    assert sampled.accuracy == pytest.approx(whole.accuracy, abs=0.02)


def test_fewer_than_two_items_are_undefined_and_a_negative_threshold_is_refused():
    assert math.isnan(pairwise_accuracy([1.0], [2.0]))
    assert math.isnan(tie_threshold([1.0], [2.0]).threshold)
    with pytest.raises(InputError, match="0 or above"):
        pairwise_accuracy([1, 2], [1, 2], threshold=-1)


@pytest.mark.parametrize("threshold", [0.0, 0.3])
def test_the_engine_gives_the_accuracy_of_the_clusters_written_out(threshold):
    metric, human = samples(30)
    clusters = np.arange(30) % 7
    engine = WeightedAgreement(metric, human, clusters=clusters, threshold=threshold)
    times = np.random.default_rng(1).integers(0, 4, size=(5, 7))
    found = engine(times)
    for row, t in enumerate(times):
        drawn = np.repeat(np.arange(30), t[clusters])
        x, y = metric[drawn], human[drawn]
        expected = by_definition(x, y, threshold)
        assert found["accuracy"][row] == pytest.approx(expected, abs=1e-12)
        assert found["ktau"][row] == pytest.approx(stats.kendalltau(x, y).statistic, abs=1e-12)
        assert found["srcc"][row] == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-12)
        assert found["lcc"][row] == pytest.approx(stats.pearsonr(x, y).statistic, abs=1e-12)


def test_many_clusters_count_inversions_and_give_the_same_tau(monkeypatch):
    metric, human = samples(50)
    clusters = np.arange(50) // 2
    times = np.random.default_rng(1).integers(0, 3, size=(6, 25))
    dense = WeightedAgreement(metric, human, clusters=clusters, threshold=0.0)(times)
    monkeypatch.setattr("humanclap.metrics.weighted.DENSE_CLUSTERS", 5)
    sparse = WeightedAgreement(metric, human, clusters=clusters, threshold=0.0)(times)
    assert sparse["ktau"] == pytest.approx(dense["ktau"], abs=1e-12)
    assert sparse["srcc"] == pytest.approx(dense["srcc"], abs=1e-12)
    assert "accuracy" not in sparse


def test_a_large_offset_costs_no_digits_of_a_linear_correlation():
    metric, human = samples(20)
    metric = np.append(metric + 1e9, 0.0)  # one outlier, absent from the sample
    human = np.append(human, 3.0)
    times = np.append(np.ones(20), 0)[None]
    expected = stats.pearsonr(metric[:20], human[:20]).statistic
    assert WeightedAgreement(metric, human)(times)["lcc"][0] == pytest.approx(expected, abs=1e-9)
