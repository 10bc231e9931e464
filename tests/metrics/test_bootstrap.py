import math

import numpy as np
import pytest
from scipy import stats

from humanclap.errors import InputError
from humanclap.metrics import agreement
from humanclap.metrics.bootstrap import (
    agreement_intervals,
    cluster_bootstrap,
    paired_difference,
)
from humanclap.metrics.pairwise import pairwise_accuracy
from humanclap.metrics.weighted import WeightedAgreement

NAMES = ["srcc", "lcc", "ktau", "mse", "mae"]


def ratings(n=120, seed=0, decimals=1):
    rng = np.random.default_rng(seed)
    human = rng.normal(6, 2, size=n).round(decimals)
    metric = (human + rng.normal(0, 3, size=n)).round(decimals)
    return metric, human


def generator(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("decimals", [8, 0])
def test_weighted_statistics_equal_scipy_on_the_sample_written_out(decimals):
    metric, human = ratings(decimals=decimals)
    predicted = metric + 1
    weights = generator(5).integers(0, 4, size=(3, metric.size))
    found = WeightedAgreement(metric, human, predicted)(weights)
    for row, times in enumerate(weights):
        drawn = np.repeat(np.arange(metric.size), times)
        x, y, p = metric[drawn], human[drawn], predicted[drawn]
        expected = [
            stats.spearmanr(x, y).statistic,
            stats.pearsonr(x, y).statistic,
            stats.kendalltau(x, y, variant="b").statistic,
            np.mean((p - y) ** 2),
            np.mean(np.abs(p - y)),
        ]
        assert [found[name][row] for name in NAMES] == pytest.approx(expected, abs=1e-12)


def test_weights_of_one_give_the_plain_statistics():
    metric, human = ratings(700)  # more than one block of the sign matrix
    found = WeightedAgreement(metric, human, metric)(np.ones((1, metric.size)))
    for name in NAMES:
        expected = getattr(agreement, name)(metric, human)
        assert found[name][0] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("weights", [[5, 0, 0, 0], [1, 1, 0, 0], [0, 0, 3, 3]])
def test_a_replicate_with_one_value_or_two_pairs_is_undefined(weights):
    found = WeightedAgreement([1, 2, 3, 3], [1, 2, 3, 4])(np.array([weights]))
    assert all(math.isnan(found[name][0]) for name in ("srcc", "lcc", "ktau"))


def test_clusters_that_stand_across_blocks_of_rows_count_once(monkeypatch):
    monkeypatch.setattr("humanclap.metrics.pairwise._BLOCK", 1)  # 16 rows at a time
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=130).round(1), rng.normal(size=130).round()
    clusters = np.concatenate([np.arange(20), rng.integers(20, size=110) // 3])
    times = rng.integers(0, 3, size=(4, 20))
    found = WeightedAgreement(x, y, clusters=clusters, threshold=0.25)(times)
    for row, counts in enumerate(times):
        sample = np.repeat(np.arange(130), counts[clusters])
        accuracy = pairwise_accuracy(x[sample], y[sample], threshold=0.25)
        assert found["accuracy"][row] == pytest.approx(accuracy, abs=1e-12)
        tau = stats.kendalltau(x[sample], y[sample]).statistic
        assert found["ktau"][row] == pytest.approx(tau, abs=1e-12)


def test_without_a_map_to_the_human_scale_errors_are_nan():
    found = WeightedAgreement([1, 2, 3], [1, 2, 3])(np.ones((2, 3)))
    assert np.isnan(found["mse"]).all()
    assert np.isnan(found["mae"]).all()


def test_weighted_agreement_refuses_nan_and_unlike_lengths():
    with pytest.raises(InputError, match="finite"):
        WeightedAgreement([1, math.nan], [1, 2])
    with pytest.raises(InputError, match="one length"):
        WeightedAgreement([1, 2], [1, 2, 3])
    with pytest.raises(InputError, match="one length"):
        WeightedAgreement([1, 2], [1, 2], [1])
    with pytest.raises(InputError, match=r"\(replicates, 2\)"):
        WeightedAgreement([1, 2], [1, 2])(np.ones((4, 3)))


def test_the_same_seed_gives_the_same_interval_and_another_seed_another():
    metric, human = ratings()
    clusters = list(range(metric.size))
    first = agreement_intervals(metric, human, clusters, rng=generator(1), replicates=100)
    again = agreement_intervals(metric, human, clusters, rng=generator(1), replicates=100)
    other = agreement_intervals(metric, human, clusters, rng=generator(2), replicates=100)
    assert first == again
    assert first["srcc"] != other["srcc"]


def test_the_global_random_state_is_neither_read_nor_changed():
    metric, human = ratings()
    np.random.seed(0)
    before = np.random.get_state()[1].copy()
    agreement_intervals(metric, human, list(human), rng=generator(), replicates=40)
    assert (np.random.get_state()[1] == before).all()


def test_an_interval_says_what_it_stands_on():
    metric, human = ratings(30)
    clusters = [i // 3 for i in range(30)]
    found = agreement_intervals(metric, human, clusters, rng=generator(), replicates=300)["srcc"]
    assert (found.clusters, found.replicates, found.undefined) == (10, 300, 0)
    assert found.confidence == 0.95
    assert found.reason is None
    assert found.low < agreement.srcc(metric, human) < found.high


def test_the_interval_of_a_mean_is_that_of_the_normal_theory():
    values = generator(7).normal(size=400)

    def mean(weights):
        return {"mean": weights @ values / weights.sum(axis=1)}

    found = cluster_bootstrap(mean, range(400), rng=generator(), replicates=4000)["mean"]
    error = values.std() / math.sqrt(400)
    assert found.low == pytest.approx(values.mean() - 1.96 * error, abs=0.1 * error)
    assert found.high == pytest.approx(values.mean() + 1.96 * error, abs=0.1 * error)


def test_clusters_are_drawn_whole():
    seen = []

    def spy(weights):
        seen.append(weights)
        return {"n": weights.sum(axis=1)}

    cluster_bootstrap(spy, list("aabbbc"), rng=generator(), replicates=50)
    weights = np.concatenate(seen)
    assert (weights[:, 0] == weights[:, 1]).all()
    assert (weights[:, 2] == weights[:, 4]).all()
    assert (weights[:, [0, 2, 5]].sum(axis=1) == 3).all()


def clustered(rng, clusters=40, size=5):
    """Pairs of one caption share most of their quality and most of the metric's error."""
    shared_human, shared_metric = rng.normal(size=(2, clusters)).repeat(size, axis=1)
    own = 0.3 * rng.normal(size=(2, clusters * size))
    return 0.5 * shared_human + shared_metric + own[0], shared_human + own[1]


def test_clustered_data_have_a_wider_interval_than_independent_draws_would_say():
    metric, human = clustered(generator(4))
    by_caption = [i // 5 for i in range(metric.size)]
    whole = agreement_intervals(metric, human, by_caption, rng=generator())["lcc"]
    single = agreement_intervals(metric, human, range(metric.size), rng=generator())["lcc"]
    assert whole.high - whole.low > 1.5 * (single.high - single.low)


def test_intervals_of_clustered_data_cover_the_truth_about_as_often_as_they_say():
    rng = generator(11)
    truth = 0.5 / math.sqrt((0.25 + 1 + 0.09) * (1 + 0.09))
    by_caption = [i // 5 for i in range(200)]
    covered = 0
    for _ in range(200):
        metric, human = clustered(rng)
        found = agreement_intervals(metric, human, by_caption, rng=rng, replicates=200)["lcc"]
        covered += found.low <= truth <= found.high
    assert 0.88 <= covered / 200 <= 0.99


def test_undefined_replicates_are_counted_and_left_out():
    metric, human = [0, 0, 0, 0, 0, 1], [1, 2, 3, 4, 5, 6]
    found = agreement_intervals(metric, human, range(6), rng=generator(), replicates=1000)["srcc"]
    assert found.undefined == pytest.approx(1000 * (5 / 6) ** 6, abs=60)
    assert math.isfinite(found.low)


def test_a_statistic_undefined_in_most_replicates_has_no_interval_but_a_reason():
    found = agreement_intervals([1, 1, 1], [1, 2, 3], range(3), rng=generator(), replicates=40)
    assert math.isnan(found["srcc"].low)
    assert found["srcc"].reason == "undefined in 40 of 40 replicates"


def test_one_cluster_gives_no_interval_and_says_so():
    found = agreement_intervals([1, 2, 3], [1, 2, 3], ["rain"] * 3, rng=generator())
    assert set(found) == set(NAMES)
    assert math.isnan(found["srcc"].high)
    assert found["srcc"].reason == "fewer than 2 clusters"
    assert found["srcc"].replicates == 0


def test_a_paired_difference_is_narrower_than_the_difference_of_two_intervals():
    rng = generator(8)
    human = rng.normal(size=200)
    first = human + rng.normal(size=200)
    second = first + 0.1 * rng.normal(size=200)
    engines = [WeightedAgreement(metric, human) for metric in (first, second)]
    alone = cluster_bootstrap(engines[0], range(200), rng=generator())["srcc"]
    paired = cluster_bootstrap(paired_difference(*engines), range(200), rng=generator())["srcc"]
    assert paired.high - paired.low < 0.5 * (alone.high - alone.low)
    assert paired.low < 0 < paired.high


def test_a_metric_against_itself_differs_by_nothing():
    engine = WeightedAgreement(*ratings())
    found = cluster_bootstrap(paired_difference(engine, engine), range(120), rng=generator())
    assert (found["ktau"].low, found["ktau"].high) == (0.0, 0.0)


def test_progress_reaches_its_total():
    calls = []
    agreement_intervals(
        [1, 2, 3],
        [1, 3, 2],
        range(3),
        rng=generator(),
        replicates=600,
        progress=lambda done, total, note: calls.append((done, total)),
    )
    assert calls == [(250, 600), (500, 600), (600, 600)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"replicates": 39}, "39 replicates cannot carry a 95 % interval; take at least 40"),
        ({"confidence": 1.0}, "confidence is 1.0"),
        ({"confidence": 95}, "confidence is 95"),
    ],
)
def test_bootstrap_settings_that_cannot_be_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        agreement_intervals([1, 2, 3], [1, 2, 3], range(3), rng=generator(), **options)


def test_no_pairs_are_refused():
    with pytest.raises(InputError, match="no pairs"):
        cluster_bootstrap(lambda weights: {}, [], rng=generator())


@pytest.mark.parametrize(("metric_values", "human_values"), [(2, 3), (3, 200), (200, 2), (9, 9)])
def test_tau_of_coarse_ratings_equals_scipy_whichever_side_is_the_coarser(
    metric_values, human_values
):
    rng = generator(metric_values)
    metric, human = rng.integers(metric_values, size=90), rng.integers(human_values, size=90)
    found = WeightedAgreement(metric, human)(np.ones((1, 90)))["ktau"][0]
    assert found == pytest.approx(stats.kendalltau(metric, human).statistic, abs=1e-12)


def test_the_interval_of_a_mean_of_few_values_is_that_of_students_t():
    values = generator(7).normal(size=12)

    def mean(weights):
        return {"mean": weights @ values / weights.sum(axis=1)}

    found = cluster_bootstrap(mean, range(12), rng=generator(), replicates=20_000)["mean"]
    expected = stats.t.interval(0.95, 11, values.mean(), stats.sem(values))
    width = expected[1] - expected[0]
    assert found.high - found.low == pytest.approx(width, rel=0.05)
