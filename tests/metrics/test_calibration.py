import math

import numpy as np
import pytest

from humanclap.metrics.calibration import calibration


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
