import math

import numpy as np
import pytest
from scipy import stats

from humanclap.errors import InputError
from humanclap.metrics.agreement import ktau_rows
from humanclap.metrics.choice_accuracy import (
    MajorityCeiling,
    credit,
    one_judge,
    votes_met,
)
from humanclap.metrics.permutation import sign_flip_p


def test_ties_of_the_metric_count_half():
    assert credit([1, -1, 0, 2], [3, -1, 1, -4]).tolist() == [1.0, 1.0, 0.5, 0.0]
    assert credit([], []).tolist() == []
    with pytest.raises(InputError, match="without a decision"):
        credit([1.0], [0])


def test_single_votes_are_those_on_the_side_of_the_higher_score():
    met = votes_met([0.1, -0.1, 0.0], [3, 3, 3], [1, 1, 2])
    assert met.tolist() == [3, 1, 2.5]


def test_one_judge_is_counted_vote_by_vote():
    """Against each vote written out: 1 with the sum of the others, 0 against, left out at 0."""
    rng = np.random.default_rng(0)
    first, second = rng.integers(0, 6, (2, 50))
    agree, counted = one_judge(first, second)
    for row, (a, b) in enumerate(zip(first, second, strict=True)):
        votes = [1] * a + [-1] * b
        rests = [sum(votes) - vote for vote in votes]
        sides = [np.sign(rest) == vote for vote, rest in zip(votes, rests, strict=True) if rest]
        assert (agree[row], counted[row]) == (sum(sides), len(sides))


def test_the_ceiling_is_what_a_perfect_choice_reaches_in_simulation():
    """Shares of people drawn from Beta(a, a), five votes each: the true side against the vote."""
    rng = np.random.default_rng(1)
    share = rng.beta(1.5, 1.5, 4000)
    first = rng.binomial(5, share)
    reached = np.mean((first > 2.5) == (share > 0.5))
    found = MajorityCeiling(first, 5 - first)(np.ones((1, 4000)))["accuracy"][0]
    assert found == pytest.approx(reached, abs=0.02)


def test_the_ceiling_of_people_who_agree_is_1_and_that_of_coins_is_one_half():
    agree = np.repeat([9, 0], 50)
    assert MajorityCeiling(agree, 9 - agree)(np.ones((1, 100)))["accuracy"][0] > 0.999
    coins = np.random.default_rng(2).binomial(4, 0.5, 5000)
    assert MajorityCeiling(coins, 4 - coins)(np.ones((1, 5000)))["accuracy"][0] < 0.56


def test_the_ceiling_counts_weights_and_says_nothing_of_single_votes():
    first, second = np.array([4, 3, 1]), np.array([0, 1, 0])
    twice = MajorityCeiling(first[[0, 0, 1]], second[[0, 0, 1]])(np.ones((1, 3)))["accuracy"]
    assert MajorityCeiling(first, second)(np.array([[2.0, 1.0, 0.0]]))["accuracy"] == twice
    assert math.isnan(MajorityCeiling([1, 0], [0, 1])(np.ones((1, 2)))["accuracy"][0])
    assert math.isnan(MajorityCeiling([2], [2])(np.ones((1, 1)))["accuracy"][0])


def test_the_sign_flip_test_is_that_of_all_signs_written_out():
    given = np.array([0.3, -0.1, 0.5, 0.2, -0.4, 0.6])
    signs = np.array(np.meshgrid(*[[-1, 1]] * 6)).reshape(6, -1).T
    exact = np.mean(np.abs(signs @ given) >= abs(given.sum()) - 1e-12)
    p = sign_flip_p(given, rng=np.random.default_rng(0), permutations=20_000)
    assert p == pytest.approx(exact, abs=0.01)
    assert sign_flip_p(np.zeros(5), rng=np.random.default_rng(0), permutations=99) == 1.0


def test_kendalls_tau_of_rows_is_scipys():
    rng = np.random.default_rng(3)
    one, other = rng.integers(0, 4, (2, 30, 6))
    expected = [stats.kendalltau(a, b).statistic for a, b in zip(one, other, strict=True)]
    assert ktau_rows(one, other) == pytest.approx(expected, nan_ok=True)
    assert math.isnan(ktau_rows([[1, 1, 1]], [[1, 2, 3]])[0])
    assert math.isnan(ktau_rows([[1, np.nan, 1]], [[1, 2, 3]])[0])
