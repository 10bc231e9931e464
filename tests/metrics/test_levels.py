import math

import numpy as np
import pytest
from scipy import stats

from humanclap.metrics.levels import (
    BetweenSystems,
    PartialOfSystems,
    WithinCaptions,
    WithinSystems,
)
from humanclap.metrics.pairwise import pairwise_accuracy

PAIRS, SYSTEMS, CAPTIONS = 60, 4, 15


@pytest.fixture
def study():
    """(metric, human, systems, clusters): ties on both sides, four systems, fifteen captions."""
    rng = np.random.default_rng(0)
    systems = np.arange(PAIRS) % SYSTEMS
    human = np.round(systems + rng.normal(size=PAIRS), 1)
    metric = np.round(human + 2 * rng.normal(size=PAIRS), 1)
    return metric, human, systems, np.arange(PAIRS) // SYSTEMS


def drawn(clusters, times):
    """Places of the sample written out."""
    return np.repeat(np.arange(clusters.size), times[clusters])


@pytest.fixture
def times():
    rng = np.random.default_rng(1)
    return np.stack([np.bincount(rng.integers(CAPTIONS, size=CAPTIONS), minlength=CAPTIONS)
                     for _ in range(70)])  # fmt: skip


def test_between_systems_equals_scipy_on_the_means_of_the_sample(study, times):
    metric, human, systems, clusters = study
    found = BetweenSystems(metric, human, systems, clusters)(times)
    for row in (0, 35, 69):
        index = drawn(clusters, times[row])
        x, y = (
            np.array([side[index][systems[index] == s].mean() for s in range(SYSTEMS)])
            for side in (metric, human)
        )
        assert found["srcc"][row] == pytest.approx(stats.spearmanr(x, y).statistic)
        assert found["lcc"][row] == pytest.approx(stats.pearsonr(x, y).statistic)
        assert found["ktau"][row] == pytest.approx(stats.kendalltau(x, y).statistic)
        assert found["accuracy"][row] == pytest.approx(pairwise_accuracy(x, y))


def test_two_systems_have_an_accuracy_but_no_correlation(study):
    metric, human, systems, clusters = study
    found = BetweenSystems(metric, human, systems % 2, clusters)(np.ones((1, CAPTIONS)))
    assert math.isnan(found["srcc"][0])
    assert found["accuracy"][0] in (0.0, 1.0)


def test_systems_of_equal_means_have_no_correlation_though_rounding_differs():
    metric = np.array([0.2, 0.0, 0.1, 0.0, 0.2, 0.1, 0.1, 0.1, 0.1])  # 0.3 / 3 for each
    systems = np.array([0, 1, 2, 0, 1, 2, 0, 1, 2])
    human = np.array([1.0, 5.0, 9.0] * 3)
    found = BetweenSystems(metric, human, systems, np.arange(9))(np.ones((1, 9)))
    assert all(math.isnan(found[name][0]) for name in ("srcc", "lcc", "ktau"))
    assert found["accuracy"][0] == 0


def test_a_metric_of_very_small_numbers_is_judged_as_the_same_in_other_units(study):
    metric, human, systems, clusters = study
    once = np.ones((1, CAPTIONS))
    small = BetweenSystems(1e-14 * metric, human, systems, clusters)(once)
    for name, value in BetweenSystems(metric, human, systems, clusters)(once).items():
        assert small[name][0] == pytest.approx(value[0])


def test_within_systems_is_the_weighted_mean_of_scipys_figures(study, times):
    metric, human, systems, clusters = study
    systems = np.where(systems == 3, 2, systems)  # unequal sizes: 15, 15, 30
    found = WithinSystems(metric, human, systems, clusters, 0.0)(times)
    for row in (0, 69):
        index = drawn(clusters, times[row])
        total = 0.0
        for system, n in enumerate((15, 15, 30)):
            inside = index[systems[index] == system]
            total += n * stats.spearmanr(metric[inside], human[inside]).statistic
        assert found["srcc"][row] == pytest.approx(total / 60)


def test_a_system_without_a_correlation_does_not_count(study):
    metric, human, systems, clusters = study
    metric = np.where(systems == 0, 5.0, metric)
    found = WithinSystems(metric, human, systems, clusters, 0.0)(np.ones((1, CAPTIONS)))
    rest = [stats.spearmanr(metric[systems == s], human[systems == s]).statistic for s in (1, 2, 3)]
    assert found["srcc"][0] == pytest.approx(np.mean(rest))


def residual(values, systems):
    """What least squares on indicators of the systems leaves."""
    indicators = (systems[:, None] == np.unique(systems)).astype(float)
    return values - indicators @ np.linalg.lstsq(indicators, values, rcond=None)[0]


def test_pairs_of_systems_and_captions_without_a_value_are_not_counted(study):
    metric, human, systems, clusters = study
    flat = np.where(systems == 1, 5.0, human)  # no correlation in system 1, of 15 pairs
    within = WithinSystems(metric, flat, systems, clusters, 0.0)
    assert within.pairs == {"srcc": 45, "lcc": 45, "ktau": 45, "accuracy": 60}
    alike = np.where(clusters < 4, 5.0, human)  # four of 15 captions of four clips each
    captions = WithinCaptions(metric, alike, clusters, 0.0)
    assert captions.counted["srcc"] == 11
    assert captions.pairs == {"srcc": 44, "lcc": 44, "ktau": 44, "accuracy": 60}


def test_a_difference_is_over_the_systems_and_captions_in_which_both_have_a_value(study):
    metric, human, systems, clusters = study
    once = np.ones((1, CAPTIONS))
    flat = np.where(systems == 1, 0.0, human + np.sin(np.arange(PAIRS)))  # none in system 1
    own, base = (WithinSystems(side, human, systems, clusters, 0.0) for side in (metric, flat))
    gaps = []
    for system in (0, 2, 3):
        x, y, z = (side[systems == system] for side in (metric, flat, human))
        gaps.append(stats.spearmanr(x, z).statistic - stats.spearmanr(y, z).statistic)
    assert own.minus(base, once)["srcc"][0] == pytest.approx(np.mean(gaps))
    assert own(once)["srcc"][0] - base(once)["srcc"][0] != pytest.approx(np.mean(gaps))

    flat = np.where(clusters < 9, 0.0, metric[::-1])  # in the last six captions alone
    first, second = (WithinCaptions(side, human, clusters, 0.0) for side in (metric, flat))
    gaps = []
    for caption in range(9, CAPTIONS):
        x, y, z = (side[clusters == caption] for side in (metric, flat, human))
        gaps.append(stats.spearmanr(x, z).statistic - stats.spearmanr(y, z).statistic)
    assert first.minus(second, once)["srcc"][0] == pytest.approx(np.mean(gaps))


def test_the_partial_correlation_is_that_of_the_residuals(study, times):
    metric, human, systems, clusters = study
    found = PartialOfSystems(metric, human, systems, clusters)(times)
    for row in (0, 66):
        index = drawn(clusters, times[row])
        s = systems[index]
        ranks = [residual(stats.rankdata(side[index]), s) for side in (metric, human)]
        plain = [residual(side[index], s) for side in (metric, human)]
        assert found["srcc"][row] == pytest.approx(stats.pearsonr(*ranks).statistic)
        assert found["lcc"][row] == pytest.approx(stats.pearsonr(*plain).statistic)


def test_a_metric_that_knows_the_system_only_has_no_partial_correlation(study):
    _, human, systems, clusters = study
    found = PartialOfSystems(systems.astype(float), human, systems, clusters)
    assert math.isnan(found(np.ones((1, CAPTIONS)))["srcc"][0])
    assert math.isnan(found(np.ones((1, CAPTIONS)))["lcc"][0])


def test_within_captions_is_the_mean_over_captions_of_scipys_figures(study, times):
    metric, human, _, clusters = study
    engine = WithinCaptions(metric, human, clusters, 0.0)
    found = engine(times)
    of_caption = [
        stats.kendalltau(metric[clusters == c], human[clusters == c]).statistic
        for c in range(CAPTIONS)
    ]
    assert engine.counted["ktau"] == CAPTIONS
    assert found["ktau"][3] == pytest.approx(np.average(of_caption, weights=times[3]))


def test_captions_that_cannot_tell_do_not_count():
    metric, human = np.array([1.0, 2, 3, 1, 2, 5]), np.array([1.0, 2, 3, 4, 4, 4])
    clusters = np.array([0, 0, 0, 1, 1, 2])
    engine = WithinCaptions(metric, human, clusters, 0.0)
    assert engine.counted == {"srcc": 1, "lcc": 1, "ktau": 1, "accuracy": 2}
    found = engine(np.ones((1, 3)))
    assert found["srcc"][0] == 1.0
    assert found["accuracy"][0] == 0.5  # all three pairs right, and a tie of people missed
