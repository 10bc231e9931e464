from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from humanclap.metrics import agreement, influence, levels
from humanclap.metrics.bootstrap import bootstrap, standard_error
from humanclap.metrics.dominance import Relations
from humanclap.metrics.influence import (
    WithinSystemsInfluence,
    agreement_influence,
    partial_influence,
)
from humanclap.metrics.pairwise import pairwise_accuracy
from humanclap.metrics.permutation import permutation_p, sign_flip_p, sign_flips_p
from humanclap.metrics.weighted import WeightedAgreement


def tied_table(n=240, seed=1):
    """Scores in tenths, ratings in halves, captions of unlike size, four systems."""
    rng = np.random.default_rng(seed)
    quality = rng.normal(size=n)
    metric = (quality + rng.normal(size=n)).round(1)
    human = (2 * (quality + rng.normal(size=n))).round() / 2
    captions = np.unique(rng.integers(n // 3, size=n), return_inverse=True)[1]
    return metric, human, captions, rng.integers(4, size=n)


@pytest.mark.parametrize("threshold", [0.0, 0.1, 0.3, 7.0])
def test_counted_relations_are_those_written_out(threshold):
    metric, human, _, _ = tied_table()
    apart = metric[:, None] - metric
    signs = np.where(np.abs(apart) <= threshold, 0, np.sign(apart))
    expected = (signs == np.sign(human[:, None] - human)).sum(axis=1)
    assert Relations(metric, human).right(threshold).tolist() == expected.tolist()


def test_balance_is_concordant_less_discordant():
    metric, human, _, _ = tied_table()
    expected = (np.sign(metric[:, None] - metric) * np.sign(human[:, None] - human)).sum(axis=1)
    assert Relations(metric, human).balance().tolist() == expected.tolist()


def test_relations_of_one_item_and_of_constant_sides():
    assert Relations(np.array([0.5]), np.array([1.0])).right(0.0).tolist() == [1]
    assert Relations(np.zeros(4), np.zeros(4)).right(0.0).tolist() == [4] * 4
    assert Relations(np.zeros(4), np.arange(4.0)).right(0.0).tolist() == [1] * 4


def test_pairwise_accuracy_is_the_same_counted_and_written_out(monkeypatch):
    metric, human, _, _ = tied_table()
    written_out = [pairwise_accuracy(metric, human, threshold=t) for t in (0.0, 0.1, 0.25)]
    monkeypatch.setattr("humanclap.metrics.pairwise._COUNTED_ITEMS", 10)
    counted = [pairwise_accuracy(metric, human, threshold=t) for t in (0.0, 0.1, 0.25)]
    assert counted == written_out


def test_values_of_large_tables_are_scipys():
    metric, human, captions, _ = tied_table()
    found = agreement_influence(metric, human, 2 * metric, captions, 0.1).values
    assert found["srcc"] == pytest.approx(stats.spearmanr(metric, human).statistic, abs=1e-12)
    assert found["lcc"] == pytest.approx(stats.pearsonr(metric, human).statistic, abs=1e-12)
    assert found["ktau"] == pytest.approx(stats.kendalltau(metric, human).statistic, abs=1e-12)
    assert found["accuracy"] == pairwise_accuracy(metric, human, threshold=0.1)
    assert found["mse"] == pytest.approx(agreement.mse(2 * metric, human), abs=1e-12)


def _slopes(engine, count, step=2.0**-12):
    """Derivative of every statistic by each cluster's weight, from a small step to both sides."""
    once = np.ones((count, count))
    more, less = engine(once + step * np.eye(count)), engine(once - step * np.eye(count))
    return {name: (more[name] - less[name]) / (2 * step) for name in more}


def test_influence_is_the_derivative_by_a_captions_weight():
    metric, human, captions, systems = tied_table()
    count = captions.max() + 1
    pairs = (
        (
            WeightedAgreement(metric, human, 2 * metric, clusters=captions, threshold=0.1),
            agreement_influence(metric, human, 2 * metric, captions, 0.1),
        ),
        (
            levels.PartialOfSystems(metric, human, systems, captions),
            partial_influence(metric, human, systems, captions),
        ),
        (
            levels.WithinSystems(metric, human, systems, captions, 0.1),
            WithinSystemsInfluence(metric, human, systems, captions, 0.1).influence(),
        ),
    )
    for engine, found in pairs:
        slopes, values = _slopes(engine, count), engine(np.ones((1, count)))
        for name, value in found.values.items():
            assert value == pytest.approx(values[name][0], abs=1e-12), name
            assert found.of_clusters[name] == pytest.approx(slopes[name], abs=1e-6), name


def test_interval_by_influence_is_as_wide_as_the_bootstraps():
    metric, human, captions, _ = tied_table(n=1500)
    engine = WeightedAgreement(metric, human, 2 * metric, clusters=captions, threshold=0.1)
    rng = np.random.default_rng(0)
    drawn = bootstrap(engine, engine.n_clusters, rng=rng, replicates=4000)
    found = agreement_influence(metric, human, 2 * metric, captions, 0.1).intervals(0.95)
    for name, interval in found.items():
        width = drawn[name].high - drawn[name].low
        assert interval.high - interval.low == pytest.approx(width, rel=0.06), name
        assert abs(interval.low - drawn[name].low) < 0.1 * width, name


def test_influence_of_a_difference_is_as_wide_as_its_bootstrap():
    metric, human, captions, _ = tied_table(n=900)
    other = metric + np.random.default_rng(5).normal(size=900)
    one, two = (WeightedAgreement(side, human, clusters=captions) for side in (metric, other))
    times = np.random.default_rng(0).multinomial(
        captions.max() + 1, np.full(captions.max() + 1, 1 / (captions.max() + 1)), size=4000
    )
    drawn = one(times)["srcc"] - two(times)["srcc"]
    nothing = np.full(900, np.nan)
    found = agreement_influence(metric, human, nothing, captions, 0.0).minus(
        agreement_influence(other, human, nothing, captions, 0.0)
    )
    interval = found.intervals(0.95)["srcc"]
    expected = 2 * 1.96 * standard_error(drawn, int(captions.max()) + 1)
    assert interval.high - interval.low == pytest.approx(expected, rel=0.06)


def test_undefined_values_have_no_interval_and_one_caption_says_so():
    constant = agreement_influence(np.ones(30), np.arange(30.0), np.ones(30), np.arange(30), 0.0)
    assert np.isnan(constant.values["srcc"])
    assert "srcc" not in constant.of_clusters
    assert np.isnan(constant.intervals(0.95)["srcc"].low)
    metric, human, _, _ = tied_table()
    alone = agreement_influence(metric, human, metric, np.zeros(metric.size, int), 0.0)
    assert alone.intervals(0.95)["lcc"].reason == "fewer than 2 clusters"


def test_a_system_without_a_value_does_not_count_within_systems():
    metric, human, captions, systems = tied_table()
    human[systems == 2] = 3.0
    plain = levels.WithinSystems(metric, human, systems, captions, 0.1)
    found = WithinSystemsInfluence(metric, human, systems, captions, 0.1)
    assert found.pairs == plain.pairs
    assert found.defined == plain.defined
    once = np.ones((1, captions.max() + 1))
    assert found.influence().values["srcc"] == pytest.approx(plain(once)["srcc"][0], abs=1e-12)
    shuffled = human[::-1].copy()
    other = WithinSystemsInfluence(metric, shuffled, systems, captions, 0.1)
    expected = plain.minus(levels.WithinSystems(metric, shuffled, systems, captions, 0.1), once)[
        "srcc"
    ][0]
    assert found.influence(other).values["srcc"] == pytest.approx(expected, abs=1e-12)


def test_captions_at_once_are_those_one_by_one(monkeypatch):
    metric, human, captions, _ = tied_table()
    monkeypatch.setattr(levels, "_LONG_CAPTION", 4)
    one_by_one = levels.WithinCaptions(metric, human, captions, 0.1)
    monkeypatch.setattr(levels, "LARGE_PAIRS", 10)
    at_once = levels.WithinCaptions(metric, human, captions, 0.1)
    assert at_once.counted == one_by_one.counted
    assert at_once.pairs == one_by_one.pairs
    for name, values in one_by_one._values.items():
        np.testing.assert_allclose(at_once._values[name], values, atol=1e-12)


def test_sparse_sums_between_systems_are_the_dense_ones(monkeypatch):
    metric, human, captions, systems = tied_table()
    times = np.random.default_rng(0).integers(3, size=(20, captions.max() + 1)).astype(float)
    dense = levels.BetweenSystems(metric, human, systems, captions)(times)
    monkeypatch.setattr(levels, "DENSE_SUMS", 1)
    sparse = levels.BetweenSystems(metric, human, systems, captions)(times)
    for name, values in dense.items():
        np.testing.assert_allclose(sparse[name], values, atol=1e-9)


def test_permutation_test_of_many_pairs_is_near_that_of_few(monkeypatch):
    metric, human, captions, _ = tied_table(n=600)
    other = metric + 0.6 * np.random.default_rng(3).normal(size=600)
    found = []
    for large in (1000, 100):
        monkeypatch.setattr("humanclap.metrics.permutation.LARGE_PAIRS", large)
        rng = np.random.default_rng(0)
        found.append(permutation_p(metric, other, human, captions, rng=rng, permutations=2000))
    assert 0.01 < found[0] < 0.9
    assert found[1] == pytest.approx(found[0], abs=0.04)
    monkeypatch.setattr("humanclap.metrics.permutation.LARGE_PAIRS", 100)
    assert np.isnan(permutation_p(np.ones(600), other, human, captions, rng=rng))


def test_signs_drawn_once_give_each_pair_its_own_p():
    values = np.random.default_rng(2).normal(size=(50, 4)) + np.array([0, 0.1, 0.3, 0.3])
    pairs = [(3, 0), (2, 1), (1, 0)]
    together = sign_flips_p(values, pairs, rng=np.random.default_rng(7), permutations=500)
    alone = [
        sign_flip_p(values[:, a] - values[:, b], rng=np.random.default_rng(7), permutations=500)
        for a, b in pairs
    ]
    assert together == alone


def test_only_large_places_of_large_tables_go_by_influence():
    assert not influence.by_influence(20_000, of=20_000)
    assert influence.by_influence(1_001, of=20_001)
    assert not influence.by_influence(1_000, of=1_000_000)
