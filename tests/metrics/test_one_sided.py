import math

import numpy as np
import pytest
from scipy import stats

from humanclap.errors import InputError
from humanclap.metrics.one_sided import clusters_needed, studentised_bounds


def bounds(values, **given):
    return studentised_bounds(values, rng=np.random.default_rng(0), **given)


def test_bounds_of_many_normal_values_are_those_of_student():
    values = np.random.default_rng(3).normal(0.4, 2.0, size=400)
    step = values.std(ddof=1) / math.sqrt(400)
    for level in (0.9, 0.95, 0.99):
        low, high = bounds(values, lower_confidence=level, upper_confidence=level)
        reach = stats.t.ppf(level, 399) * step
        assert low == pytest.approx(values.mean() - reach, abs=0.15 * step)
        assert high == pytest.approx(values.mean() + reach, abs=0.15 * step)


def test_bounds_agree_with_the_studentised_bootstrap_worked_by_hand():
    values = np.array([0.0, 1.0, 5.0, 2.0, 2.5, 0.3, 9.0, 1.0, 4.0, 0.7, 3.0, 6.0])
    rng = np.random.default_rng(9)
    drawn = rng.choice(values, size=(20_000, values.size))
    with np.errstate(divide="ignore"):
        t = (drawn.mean(axis=1) - values.mean()) / (drawn.std(axis=1, ddof=1) / math.sqrt(12))
    step = values.std(ddof=1) / math.sqrt(12)
    low, high = bounds(values, replicates=20_000)
    assert low == pytest.approx(values.mean() - np.quantile(t, 0.95) * step, abs=0.05)
    assert high == pytest.approx(values.mean() - np.quantile(t, 0.05) * step, abs=0.15)
    assert high - values.mean() > values.mean() - low  # skewed to the right


def test_equal_values_have_no_width_and_one_value_has_no_bounds():
    assert bounds(np.full(7, 0.25)) == (0.25, 0.25)
    assert all(math.isnan(end) for end in bounds([0.3]))
    assert all(math.isnan(end) for end in bounds([]))


def test_where_one_value_alone_differs_nothing_is_claimed_on_the_side_it_lies_on():
    """Every third replicate misses it: how far it may pull the mean down is not known."""
    low, high = bounds([0.0] * 19 + [-1.0])
    assert low == -math.inf
    assert -0.05 < high <= 0.05


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"lower_confidence": 1.0}, "confidence is 1.0"),
        ({"upper_confidence": 0.4}, "confidence is 0.4"),
        ({"replicates": 100}, "at least 200"),
    ],
)
def test_a_bound_that_cannot_be_drawn_is_refused(given, message):
    with pytest.raises(InputError, match=message):
        bounds([1.0, 2.0], **given)


@pytest.mark.parametrize(("spread", "distance"), [(0.117, 0.02), (0.1, 0.05), (1.5, 1.0)])
def test_prompts_needed_have_the_power_of_the_noncentral_t(spread, distance):
    count = int(clusters_needed(spread, distance, power=0.8))

    def power(n):
        critical = stats.t.ppf(0.95, n - 1)
        return stats.nct.sf(critical, n - 1, distance / spread * math.sqrt(n))

    assert power(count) == pytest.approx(0.8, abs=0.02)
    assert power(count + 1) > 0.8 > power(count - 2)


def test_an_error_that_stays_takes_more_prompts_and_may_make_them_useless():
    alone = clusters_needed(1.0, 1.0)
    assert alone < clusters_needed(1.0, 1.0, error=0.3) < clusters_needed(1.0, 1.0, error=0.5)
    assert clusters_needed(1.0, 1.0, error=0.61) == math.inf  # 1.645 * 0.61 > 1
    n = clusters_needed(1.0, 1.0, error=0.5) - stats.norm.ppf(0.95) ** 2 / 2
    step = 1.0 / math.sqrt(n)
    reach = stats.norm.ppf(0.95) * math.hypot(step, 0.5) + stats.norm.ppf(0.8) * step
    assert reach == pytest.approx(1.0, abs=0.01)
    assert clusters_needed(1.0, 0.0) == math.inf
    assert clusters_needed(0.0, 1.0) == 2.0
