from __future__ import annotations

import math
import tracemalloc

import numpy as np
import pytest
from scipy import stats

from humanclap.errors import InputError
from humanclap.metrics.reliability import (
    icc1,
    leave_one_out_srcc,
    reliability,
    spearman_brown,
    split_half_srcc,
)

SHROUT_FLEISS = np.array(
    [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]
)
"""Table 2 of Shrout & Fleiss 1979: six targets rated by four judges."""


def simulated(n_pairs: int, seed: int, noise: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    pairs = np.repeat(np.arange(n_pairs), generator.integers(1, 6, n_pairs))
    true = generator.standard_normal(n_pairs)
    return true[pairs] + noise * generator.standard_normal(pairs.size), pairs


def test_icc1_equals_the_published_example():
    ratings, pairs = SHROUT_FLEISS.ravel(), np.repeat(np.arange(6), 4)
    assert icc1(ratings, pairs) == pytest.approx(0.17, abs=0.005)


def test_icc1_with_unequal_n_equals_a_hand_calculation():
    # means 2 and 8, grand mean 4.4; SSB = 3 * 2.4**2 + 2 * 3.6**2 = 43.2, SSW = 2 + 2 = 4
    # MSB = 43.2, MSW = 4 / 3, n0 = 5 - 13 / 5 = 2.4
    expected = (43.2 - 4 / 3) / (43.2 + 1.4 * 4 / 3)
    assert icc1([1, 2, 3, 7, 9], [4, 4, 4, -1, -1]) == pytest.approx(expected)


def test_icc1_recovers_a_known_share_of_variance():
    ratings, pairs = simulated(4000, seed=1, noise=1.0)
    assert icc1(ratings, pairs) == pytest.approx(0.5, abs=0.03)


def test_leave_one_out_equals_a_plain_loop_over_scipy():
    ratings, pairs = simulated(60, seed=2)
    ratings = np.round(ratings)
    own, others = [], []
    for i, (x, pair) in enumerate(zip(ratings, pairs, strict=True)):
        rest = [r for j, r in enumerate(ratings) if pairs[j] == pair and j != i]
        if rest:
            own.append(x)
            others.append(sum(rest) / len(rest))
    expected = stats.spearmanr(own, np.round(others, 9)).statistic
    assert leave_one_out_srcc(ratings, pairs) == pytest.approx(expected)


def test_split_half_of_two_ratings_a_pair_is_near_the_true_correlation():
    generator = np.random.default_rng(3)
    true = generator.standard_normal(3000)
    ratings = np.concatenate([true + generator.standard_normal(3000) for _ in range(2)])
    pairs = np.tile(np.arange(3000), 2)
    pearson_half = 0.5
    expected = 6 / math.pi * math.asin(pearson_half / 2)  # Spearman of a bivariate normal
    assert split_half_srcc(ratings, pairs) == pytest.approx(expected, abs=0.03)


def test_split_half_depends_on_the_seed_and_not_on_the_order_of_rows():
    ratings, pairs = simulated(200, seed=4)
    order = np.random.default_rng(0).permutation(ratings.size)
    value = split_half_srcc(ratings, pairs, seed=1)
    assert split_half_srcc(ratings[order], pairs[order], seed=1) == value
    assert split_half_srcc(ratings, pairs, seed=2) != value


def test_spearman_brown_steps_up_and_back():
    assert spearman_brown(0.52) == pytest.approx(0.684, abs=0.0005)
    assert spearman_brown(spearman_brown(0.3, 5), 1 / 5) == pytest.approx(0.3)
    assert spearman_brown(0.0) == 0
    for disagreeing in (-1.0, -0.411, -0.01):  # -0.411 came out as -1.395
        assert math.isnan(spearman_brown(disagreeing))
    assert math.isnan(spearman_brown(1.5, 0.5))
    assert math.isnan(spearman_brown(math.nan))
    with pytest.raises(InputError, match="factor is 0"):
        spearman_brown(0.5, 0)


@pytest.mark.parametrize(
    ("ratings", "pairs", "name", "reason"),
    [
        ([], [], "icc", "0 pairs, fewer than 2"),
        ([], [], "split_half_srcc", "no pair has two ratings"),
        ([1, 2], [0, 0], "icc", "1 pairs, fewer than 2"),
        ([1, 2, 3], [0, 1, 2], "icc", "no pair has two ratings"),
        ([1, 2, 3], [0, 1, 2], "leave_one_out_srcc", "no pair has two ratings"),
        ([5, 5, 5, 5], [0, 0, 1, 1], "icc", "the ratings are constant"),
        ([5, 5, 5, 5], [0, 0, 1, 1], "leave_one_out_srcc", "the ratings are constant"),
        ([1, 5, 5, 2], [0, 0, 1, 1], "split_half_srcc", "2 pairs with two ratings, fewer than 3"),
        ([1] * 6, [0, 0, 1, 1, 2, 2], "spearman_brown", "the ratings are constant"),
    ],
)
def test_what_is_undefined_is_nan_with_its_reason(ratings, pairs, name, reason):
    result = reliability(ratings, pairs)
    assert math.isnan(getattr(result, name))
    assert result.undefined[name] == reason


def test_defined_values_carry_no_reason():
    result = reliability(*simulated(50, seed=5))
    assert result.undefined == {}
    assert result.n_pairs == 50


def test_bad_arrays_are_refused():
    with pytest.raises(InputError, match=r"must both have shape \(n,\)"):
        icc1([1, 2], [0])
    with pytest.raises(InputError, match="must be finite"):
        leave_one_out_srcc([1, math.nan], [0, 0])
    with pytest.raises(InputError, match="repeats is 0"):
        split_half_srcc([1, 2], [0, 0], repeats=0)


def test_thirty_thousand_ratings_take_little_memory():
    ratings, pairs = simulated(10_000, seed=6)
    tracemalloc.start()
    try:
        assert reliability(ratings, pairs).undefined == {}
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 100 << 20  # a matrix of all ratings against all would take 7 GB


def test_halves_that_disagree_have_no_reliability_and_say_so():
    ratings, pairs = [0, 9, 1, 8, 2, 7, 3, 6], [0, 0, 1, 1, 2, 2, 3, 3]
    result = reliability(ratings, pairs)
    assert result.split_half_srcc < 0
    assert math.isnan(result.spearman_brown)
    told = result.undefined["spearman_brown"]
    assert told.startswith(f"the halves disagree (split-half SRCC {result.split_half_srcc:.3f})")


def test_a_repeat_whose_half_has_constant_means_does_not_count():
    # Of four ratings of two pairs rated (9, 9, 10, 10), and 28 pairs rated 10 throughout, a half
    # of one 9 in each of both pairs, or of two 9s in either, orders the pairs; a half of tens
    # alone in both has constant means. All repeats that count are by scipy.
    ratings = np.full((30, 4), 10.0)
    ratings[[3, 7], :2] = 9
    pairs = np.repeat(np.arange(30), 4)
    found = reliability(ratings.ravel(), pairs, repeats=200)
    possible = []
    splits = [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]
    for one in splits:
        for other in splits:
            first = np.full((2, 30), 10.0)
            for place, kept in ((3, one), (7, other)):
                rest = [i for i in range(4) if i not in kept]
                first[0, place] = ratings[place, list(kept)].mean()
                first[1, place] = ratings[place, rest].mean()
            if np.ptp(first[0]) and np.ptp(first[1]):
                possible.append(stats.spearmanr(*first).statistic)
    assert len(possible) == 34  # of 36: twice all nines fall into one half, in both pairs
    assert found.split_half_srcc == pytest.approx(np.mean(possible), abs=0.05)
    assert found.undefined == {}


def test_where_most_repeats_have_constant_means_there_is_no_split_half_value():
    ratings = np.full((5, 2), 10.0)
    ratings[2, 0] = 9  # one nine: the half without it has constant means, always
    found = reliability(ratings.ravel(), np.repeat(np.arange(5), 2))
    assert math.isnan(found.split_half_srcc)
    assert found.undefined["split_half_srcc"] == "the means of a half are constant in most repeats"
