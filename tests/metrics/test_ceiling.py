import math

import numpy as np
import pytest
from scipy import stats

from humanclap.errors import InputError
from humanclap.metrics import ceiling
from humanclap.metrics.ceiling import fit_ordinal, noise_ceiling
from humanclap.metrics.reliability import icc1


def study(share, pairs=400, ratings=4, seed=0, cut=None):
    """Ratings with a known share of the pair in the latent variance."""
    rng = np.random.default_rng(seed)
    pair = np.repeat(np.arange(pairs), ratings)
    latent = math.sqrt(share) * rng.standard_normal(pairs)[pair]
    latent += math.sqrt(1 - share) * rng.standard_normal(pair.size)
    return (latent if cut is None else cut(latent)), pair


def test_thresholds_reproduce_the_frequencies_and_the_share_the_icc():
    ratings, pair = study(0.5, pairs=3000, cut=lambda z: np.clip(np.round(6 + 3 * z), 0, 10))
    icc = icc1(ratings, pair)
    model = fit_ordinal(ratings, icc)
    rng = np.random.default_rng(1)
    quality = rng.standard_normal(100_000)
    drawn = np.stack([model.draw(quality, rng) for _ in range(2)])
    for value in range(11):
        assert np.mean(drawn == value) == pytest.approx(np.mean(ratings == value), abs=0.005)
    # ICC(1) of two ratings each is the correlation of the two.
    assert np.corrcoef(drawn)[0, 1] == pytest.approx(icc, abs=0.01)
    assert model.latent_icc == pytest.approx(0.5, abs=0.03)
    assert np.mean(model.mean_rating(quality)) == pytest.approx(ratings.mean(), abs=0.03)


def test_the_two_category_case_is_sheppards_formula():
    # Cut at the median, cov(sign, sign) of a bivariate normal is 2/pi arcsin(rho).
    ratings = np.tile([0.0, 1.0], 500)
    model = fit_ordinal(ratings, 2 / math.pi * math.asin(0.6))
    assert model.latent_icc == pytest.approx(0.6, abs=0.002)


def test_the_ceiling_of_fine_ratings_is_that_of_the_bivariate_normal():
    ratings, pair = study(0.4, pairs=2000, ratings=3, cut=lambda z: np.round(z, 1))
    found = noise_ceiling(ratings, pair, simulations=40)
    reliability = 3 * found.icc / (1 + 2 * found.icc)  # Spearman-Brown
    pearson = math.sqrt(reliability)
    assert found.lcc.value == pytest.approx(pearson, abs=0.005)
    assert found.srcc.value == pytest.approx(6 / math.pi * math.asin(pearson / 2), abs=0.005)
    assert found.ktau.value == pytest.approx(2 / math.pi * math.asin(pearson), abs=0.01)
    assert found.srcc.low < found.srcc.value < found.srcc.high


def test_a_perfect_predictor_of_the_model_reaches_its_ceiling():
    rng = np.random.default_rng(3)
    quality = rng.standard_normal(800)
    pair = np.repeat(np.arange(800), 3)
    latent = quality[pair] + rng.standard_normal(2400)
    ratings = np.clip(np.round(7 + 3 * latent), 0, 10)  # many tens, as in real ratings
    found = noise_ceiling(ratings, pair, simulations=60)
    means = ratings.reshape(800, 3).mean(axis=1)
    assert stats.spearmanr(quality, means).statistic == pytest.approx(found.srcc.value, abs=0.02)
    assert found.simulated_one_listener_srcc == pytest.approx(found.one_listener_srcc, abs=0.03)


def test_the_same_seed_gives_the_same_ceiling():
    ratings, pair = study(0.5, pairs=50, cut=np.round)
    assert noise_ceiling(ratings, pair, simulations=5, seed=2) == noise_ceiling(
        ratings, pair, simulations=5, seed=2
    )


@pytest.mark.parametrize(
    ("ratings", "pairs", "reason"),
    [
        ([1, 2, 3], [0, 1, 2], "no pair has two ratings"),
        ([1, 2, 3, 4], [0, 0, 1, 1], "2 pairs, fewer than 3"),
        ([1, 9, 1, 9, 1, 9], [0, 0, 1, 1, 2, 2], "do not agree beyond chance"),
        ([1, 1, 5, 5, 9, 9], [0, 0, 1, 1, 2, 2], "agree perfectly"),
        ([7, 7, 7, 7, 7, 7], [0, 0, 1, 1, 2, 2], "the ratings are constant"),
    ],
)
def test_a_ceiling_that_cannot_be_estimated_is_nan_with_its_reason(ratings, pairs, reason):
    found = noise_ceiling(ratings, pairs)
    assert math.isnan(found.srcc.value)
    assert reason in found.reason


def nearly_all_tens():
    """30 pairs of four ratings; two pairs were rated 9 twice, everything else is 10."""
    ratings = np.full((30, 4), 10.0)
    ratings[[3, 7], :2] = 9
    return ratings.ravel(), np.repeat(np.arange(30), 4)


def test_simulated_studies_with_constant_means_are_left_out_and_counted():
    ratings, pair = nearly_all_tens()
    found = noise_ceiling(ratings, pair)
    model = fit_ordinal(ratings, icc1(ratings, pair))
    rng = np.random.default_rng(0)
    drawn = []
    for _ in range(400):
        quality = rng.standard_normal(30)
        means = model.draw(quality[pair], rng).reshape(30, 4).mean(axis=1)
        if np.ptp(means):
            drawn.append(stats.spearmanr(quality, means).statistic)
    assert 0 < found.constant == 400 - len(drawn)
    assert found.srcc.value == pytest.approx(np.mean(drawn), abs=1e-9)
    assert 0 <= found.srcc_low <= found.srcc.value <= found.srcc_high <= 1
    assert (found.srcc.low, found.srcc.high) == pytest.approx(
        tuple(np.quantile(drawn, [0.025, 0.975])), abs=1e-9
    )
    assert found.reason is None


def test_a_ceiling_whose_simulated_studies_are_mostly_constant_is_undefined_with_the_reason(
    monkeypatch,
):
    mostly = [math.nan] * 6 + [0.5] * 4
    names = ("srcc", "lcc", "ktau", "one")
    monkeypatch.setattr(ceiling, "_simulate", lambda *_, **__: dict.fromkeys(names, mostly))
    found = noise_ceiling(*nearly_all_tens(), simulations=10)
    assert math.isnan(found.srcc.value)
    assert found.reason == "all mean ratings are equal in 6 of 10 simulated studies"


def test_an_end_of_the_interval_that_is_undefined_says_why(monkeypatch):
    mostly = [math.nan] * 6 + [0.5] * 4
    drawn_srcc = ceiling._drawn_srcc
    calls = []

    def only_the_upper_end_fails(*given):
        calls.append(given)
        return mostly if len(calls) == 2 else drawn_srcc(*given)

    monkeypatch.setattr(ceiling, "_drawn_srcc", only_the_upper_end_fails)
    found = noise_ceiling(*nearly_all_tens(), simulations=40)
    assert math.isnan(found.srcc_high)
    assert 0 <= found.srcc_low <= found.srcc.value
    assert found.undefined == {
        "srcc_high": "all mean ratings are equal in 6 of 10 simulated studies"
    }


def test_no_ceiling_is_below_0():
    rng = np.random.default_rng(2)
    for seed in range(20):  # five pairs of hardly any agreement: the simulated mean may be below 0
        pair = np.repeat(np.arange(5), 2)
        ratings = rng.integers(0, 11, size=10).astype(float)
        found = noise_ceiling(ratings, pair, simulations=8, seed=seed)
        if found.reason:
            assert math.isnan(found.srcc.value)
        else:
            assert 0 < found.srcc.value <= 1
            assert 0 <= found.srcc_low <= found.srcc_high <= 1


def test_answers_of_a_fine_slider_are_refused_with_the_reason():
    ratings, pair = study(0.5)
    assert "more than 200 categories" in noise_ceiling(ratings, pair).reason
    with pytest.raises(InputError, match="2 to 200"):
        fit_ordinal(ratings, 0.5)


def test_settings_that_cannot_be_are_refused():
    with pytest.raises(InputError, match="at least 1"):
        noise_ceiling([1, 2], [0, 0], simulations=0)
    with pytest.raises(InputError, match="between 0 and 1"):
        fit_ordinal([1, 2, 3], 1.0)


def test_the_interval_is_that_of_the_icc_and_wide_for_few_pairs():
    widths = []
    for pairs in (40, 400):
        ratings, pair = study(0.4, pairs=pairs, cut=np.round)
        found = noise_ceiling(ratings, pair, simulations=40)
        assert found.srcc_low <= found.srcc.value <= found.srcc_high
        widths.append(found.srcc_high - found.srcc_low)
    assert widths[0] > 2 * widths[1]


def test_the_bootstrap_of_the_icc_resamples_whole_pairs():
    ratings, pair = study(0.5, pairs=60, cut=np.round)
    rng = np.random.default_rng(0)
    drawn = []
    for _ in range(400):
        chosen = rng.integers(60, size=60)
        index = np.concatenate([np.flatnonzero(pair == p) for p in chosen])
        drawn.append(icc1(ratings[index], np.repeat(np.arange(60), 4)))
    low, high = ceiling._icc_interval(ratings, pair, 0)
    assert (low, high) == pytest.approx(tuple(np.quantile(drawn, [0.025, 0.975])), abs=1e-9)
