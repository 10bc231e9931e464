import math

import numpy as np
import pytest

from humanclap.errors import InputError
from humanclap.metrics.prediction_quality import calibration, coverage


def test_bins_of_equal_size_worked_by_hand():
    found = calibration([1, 2, 3, 10], [2, 2, 5, 5], bins=2)
    assert [(b.predicted, b.human, b.n) for b in found.bins] == [(1.5, 2.0, 2), (6.5, 5.0, 2)]
    assert found.expected_error == (2 * 0.5 + 2 * 1.5) / 4
    assert found.bias == 4.0 - 3.5
    assert found.bins[1].standard_error == 0.0


def test_a_calibrated_prediction_errs_by_noise_only():
    rng = np.random.default_rng(0)
    predicted = rng.uniform(2, 9, size=20_000)
    human = predicted + rng.normal(size=predicted.size)
    found = calibration(predicted, human)
    assert len(found.bins) == 10
    assert found.expected_error < 0.05
    assert abs(found.bias) < 0.03


def test_equal_predictions_stay_in_one_bin():
    found = calibration([5] * 8 + [6] * 2, range(10), bins=5)
    assert [b.n for b in found.bins] == [8, 2]
    assert len(calibration([5, 5, 5], [1, 2, 3]).bins) == 1


def test_the_coverage_of_predicted_intervals_is_their_share_that_holds_the_rating():
    rng = np.random.default_rng(1)
    centre = rng.uniform(3, 7, size=4000)
    human = centre + rng.normal(size=4000)
    low, high = centre - 1.2816, centre + 1.2816  # 80 % of a normal
    low[:1000] = math.nan
    found = calibration(centre, human, low=low, high=high)
    assert found.n_intervals == 3000
    assert found.coverage == pytest.approx(0.8, abs=0.02)
    assert found.width == pytest.approx(2.5632)


def test_without_intervals_there_is_no_coverage():
    assert math.isnan(calibration([1, 2], [1, 2]).coverage)


@pytest.mark.parametrize("level", [0.5, 0.8, 0.95])
def test_true_errors_cover_as_often_as_the_level_says(level):
    rng = np.random.default_rng(2)
    predicted, error = rng.uniform(2, 8, 40_000), rng.uniform(0.5, 2, 40_000)
    n = rng.integers(1, 9, 40_000)
    true_mean = predicted + error * rng.normal(size=n.size)
    observed = true_mean + np.sqrt(5.0 / n) * rng.normal(size=n.size)
    found = coverage(predicted, error, observed, n, 5.0, level)
    assert (found.level, found.n) == (level, 40_000)
    assert found.share == pytest.approx(level, abs=0.01)
    assert coverage(predicted, error / 3, observed, n, 5.0, level).share < level - 0.05
    assert coverage(predicted, error, true_mean, n, 0.0, level).share == pytest.approx(
        level, abs=0.01
    )


def test_pairs_without_a_predicted_error_do_not_count():
    nan = math.nan
    found = coverage([5, 5, nan], [1, nan, 1], [5.5, 5, 5], [2, 2, 2], 0.0, 0.5)
    assert (found.share, found.n) == (1.0, 1)
    nothing = coverage([5.0], [nan], [5.0], [2], 0.0, 0.5)
    assert math.isnan(nothing.share)
    assert nothing.n == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"level": 95}, "expected between 0 and 1"),
        ({"error": [0.0, 1.0]}, "must be above 0"),
        ({"n": [0, 1]}, "n must be at least 1"),
        ({"rating_variance": -1.0}, "0 or above"),
        ({"observed": [1.0]}, r"one shape \(k,\), not \(2,\), \(2,\), \(1,\), \(2,\)"),
    ],
)
def test_coverage_refuses_what_means_nothing(changes, message):
    given = {"predicted": [1.0, 2.0], "error": [1.0, 1.0], "observed": [1.0, 2.0], "n": [2, 2],
             "rating_variance": 1.0, "level": 0.5}  # fmt: skip
    with pytest.raises(InputError, match=message):
        coverage(**{**given, **changes})
