import math

import numpy as np
import pytest
from scipy import stats

from humanclap.errors import InputError
from humanclap.metrics.agreement import ktau, lcc, mae, mse, srcc, undefined_reason

CORRELATIONS = [
    (srcc, lambda x, y: stats.spearmanr(x, y).statistic),
    (lcc, lambda x, y: stats.pearsonr(x, y).statistic),
    (ktau, lambda x, y: stats.kendalltau(x, y, variant="b").statistic),
]
ALL = [srcc, lcc, ktau, mse, mae]


@pytest.mark.parametrize(("ours", "scipys"), CORRELATIONS)
@pytest.mark.parametrize("decimals", [8, 1, 0])
def test_correlations_equal_scipy_with_few_and_with_many_ties(ours, scipys, decimals):
    rng = np.random.default_rng(3)
    x = rng.normal(size=200).round(decimals)
    y = (x + rng.normal(size=200)).round(decimals)
    assert ours(x, y) == pytest.approx(scipys(x, y), abs=1e-12)


def test_rank_correlations_worked_by_hand():
    metric, human = [1, 2, 3, 4], [1, 3, 2, 4]
    assert srcc(metric, human) == pytest.approx(1 - 6 * 2 / (4 * 15))  # 1 - 6 sum d^2 / n(n^2-1)
    assert ktau(metric, human) == pytest.approx((5 - 1) / 6)


def test_tau_b_with_a_tie_worked_by_hand():
    # Pairs: (1,2) tied in the metric; (1,3) and (2,3) concordant: 2 / sqrt((3 - 1) * 3).
    assert ktau([1, 1, 2], [1, 2, 3]) == pytest.approx(2 / math.sqrt(6))


def test_errors_worked_by_hand():
    assert mse([0, 0, 3], [1, -2, 3]) == pytest.approx(5 / 3)
    assert mae([0, 0, 3], [1, -2, 3]) == pytest.approx(1.0)


@pytest.mark.parametrize("correlation", [srcc, lcc, ktau])
def test_reversed_order_is_minus_one(correlation):
    assert correlation([1, 2, 3], [3, 2, 1]) == pytest.approx(-1)


@pytest.mark.parametrize("correlation", [srcc, lcc, ktau])
@pytest.mark.parametrize(
    ("metric", "human", "reason"),
    [
        ([2, 2, 2, 2], [1, 2, 3, 4], "the metric is constant"),
        ([1, 2, 3, 4], [5, 5, 5, 5], "the human side is constant"),
        ([1, 2], [1, 2], "n = 2, fewer than 3"),
        ([], [], "n = 0, fewer than 3"),
    ],
)
def test_an_undefined_correlation_is_nan_and_says_why(correlation, metric, human, reason):
    assert math.isnan(correlation(metric, human))
    assert undefined_reason(metric, human) == reason


def test_errors_of_no_pairs_are_nan():
    assert math.isnan(mse([], []))
    assert math.isnan(mae([], []))


def test_a_defined_correlation_has_no_reason():
    assert undefined_reason([1, 2, 3], [1, 3, 2]) is None


@pytest.mark.parametrize("statistic", ALL)
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_values_that_are_not_finite_are_refused(statistic, bad):
    with pytest.raises(InputError, match="must be finite"):
        statistic([1, 2, bad], [1, 2, 3])


@pytest.mark.parametrize("statistic", ALL)
def test_sides_of_unlike_length_are_refused(statistic):
    with pytest.raises(InputError, match=r"\(3,\) and \(2,\)"):
        statistic([1, 2, 3], [1, 2])


@pytest.mark.parametrize("correlation", [srcc, lcc, ktau])
def test_correlations_ignore_scale_and_offset_of_the_metric(correlation):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=50), rng.normal(size=50)
    assert correlation(1e6 * x + 1e3, y) == pytest.approx(correlation(x, y), abs=1e-9)


def test_lcc_of_nearly_equal_values_stays_within_one():
    x = 1e9 + np.arange(5) * 1e-6
    assert -1 <= lcc(x, np.arange(5)) <= 1


@pytest.mark.parametrize("size", [1e-300, 1e300])
def test_lcc_of_very_small_or_large_values_neither_under_nor_overflows(size):
    assert lcc([0.0, size, 0.5 * size], [1, 3, 2]) == pytest.approx(1.0)
