import math

import numpy as np
import pytest
from scipy import stats

from humanclap.errors import InputError
from humanclap.metrics.calibration import coverage
from humanclap.metrics.rating_map import fit_rating_map, rating_variance


def study(rng, size, *, rating, error, variance=4.0):
    """Scores, observed means and their n, from a known map, error and variance of one rating."""
    scores = rng.uniform(-0.2, 0.8, size)
    n = rng.integers(2, 8, size)
    misses = error(scores) * rng.normal(size=size)
    luck = np.sqrt(variance / n) * rng.normal(size=size)
    return scores, rating(scores) + misses + luck, n


def line(scores):
    return 2 + 7 * scores


def bent(scores):
    return np.interp(scores, [-0.2, 0.3, 0.8], [1, 2, 8])


def even(scores):
    return np.full_like(scores, 1.2)


def rising(scores):
    return 0.5 + 1.5 * (scores + 0.2)


def at(found, scores):
    return np.interp(scores, found.scores, found.ratings)


def error_at(found, scores):
    return np.interp(scores, found.scores, found.errors)


def test_without_more_knots_the_map_is_the_least_squares_line():
    rng = np.random.default_rng(0)
    scores, means, n = study(rng, 50, rating=line, error=even)
    found = fit_rating_map(scores, means, n, 4.0)
    expected = stats.linregress(scores, means)
    assert found.scores == (scores.min(), scores.max())
    ends = [expected.intercept + expected.slope * score for score in found.scores]
    assert found.ratings == pytest.approx(ends)


@pytest.mark.parametrize("scores", [[0.9, 0.5, 0.1], [0.2, 0.2, 0.2]])
def test_a_falling_or_constant_score_predicts_the_mean(scores):
    found = fit_rating_map(scores, [1.0, 5.0, 9.0], [3, 3, 3], 0.0)
    assert found.ratings == pytest.approx([5.0] * len(found.scores))
    assert found.errors[0] == pytest.approx(np.std([1, 5, 9], ddof=1), rel=1e-5)


def test_the_error_is_what_the_noise_of_the_means_leaves_worked_by_hand():
    # Misses of the line 3 + 4 s are +-1, +-1, so k / (k - 2) times their mean square is 2.
    for n, expected in ((2, 1.0), (4, math.sqrt(1.5))):
        found = fit_rating_map([0, 0, 1, 1], [2, 4, 6, 8], [n] * 4, 2.0)
        assert found.ratings == pytest.approx((3.0, 7.0))
        assert found.errors == pytest.approx((expected, expected), rel=1e-5)


def test_with_unlike_n_the_error_is_the_likeliest_of_all():
    rng = np.random.default_rng(1)
    scores, means, n = study(rng, 40, rating=line, error=even)
    found = fit_rating_map(scores, means, n, 4.0)
    misses = (means - at(found, scores)) * math.sqrt(40 / 38)
    grid = np.arange(0.2, 4, 0.0005)
    spread = np.sqrt(grid[:, None] ** 2 + 4.0 / n)
    likelihood = stats.norm.logpdf(misses, scale=spread).sum(axis=1)
    assert found.errors[0] == pytest.approx(grid[likelihood.argmax()], abs=0.001)


def test_simulated_studies_give_back_the_line_and_its_error():
    rng = np.random.default_rng(2)
    fits = [fit_rating_map(*study(rng, 200, rating=line, error=even), 4.0) for _ in range(60)]
    middle = [float(at(found, 0.3)) for found in fits]
    error = [float(error_at(found, 0.3)) for found in fits]
    assert np.mean(middle) == pytest.approx(line(0.3), abs=0.05)
    assert np.sqrt(np.mean(np.square(error))) == pytest.approx(1.2, abs=0.04)
    assert np.mean([len(found.scores) == 2 for found in fits]) > 0.9  # one error, as in truth


def test_the_error_is_not_too_small_on_few_pairs():
    rng = np.random.default_rng(3)
    squares = []
    for _ in range(2000):
        scores, means, _ = study(rng, 8, rating=line, error=even, variance=0.0)
        squares.append(fit_rating_map(scores, means, [5] * 8, 0.0).errors[0] ** 2)
    assert np.mean(squares) == pytest.approx(1.2**2, rel=0.06)


def test_intervals_fitted_on_some_pairs_hold_the_means_of_others():
    rng = np.random.default_rng(9)
    shares = []
    for _ in range(40):
        found = fit_rating_map(*study(rng, 200, rating=line, error=even), 4.0)
        scores, means, n = study(rng, 1000, rating=line, error=even)
        shares.append(
            coverage(at(found, scores), error_at(found, scores), means, n, 4.0, 0.8).share
        )
    assert np.mean(shares) == pytest.approx(0.8, abs=0.015)


def test_an_error_that_grows_with_the_score_is_found():
    rng = np.random.default_rng(4)
    found = fit_rating_map(*study(rng, 4000, rating=line, error=rising, variance=1.0), 1.0)
    assert len(found.scores) == 5  # the ends of the line and three quantiles
    for score in (-0.1, 0.3, 0.7):
        assert float(error_at(found, score)) == pytest.approx(rising(score), rel=0.08)
        assert float(at(found, score)) == pytest.approx(line(score), abs=0.12)


def test_a_bent_map_is_found_and_a_line_stays_a_line():
    rng = np.random.default_rng(5)
    truth = {bent: 0, line: 0}
    for rating in truth:
        for _ in range(10):
            scores, means, n = study(rng, 600, rating=rating, error=even)
            found = fit_rating_map(scores, means, n, 4.0, max_knots=4)
            truth[rating] += len(found.scores) > 2
            probes = np.linspace(-0.15, 0.75, 10)
            assert np.abs(at(found, probes) - rating(probes)).max() < 0.6
    assert truth[bent] == 10
    assert truth[line] <= 2


def test_few_pairs_get_a_line_and_one_error_whatever_is_asked():
    rng = np.random.default_rng(6)
    found = fit_rating_map(*study(rng, 59, rating=bent, error=rising), 4.0, max_knots=9)
    assert len(found.scores) == 2
    assert found.errors[0] == found.errors[1]


def test_a_map_never_falls_and_its_knots_rise():
    rng = np.random.default_rng(7)
    for _ in range(20):
        scores = np.round(rng.uniform(0, 1, 200), 1)  # many ties
        found = fit_rating_map(scores, rng.uniform(0, 10, 200), [3] * 200, 1.0, max_knots=8)
        assert (np.diff(found.scores) > 0).all()
        assert (np.diff(found.ratings) >= 0).all()


def test_where_luck_explains_every_miss_the_error_is_the_floor():
    found = fit_rating_map([0, 0, 1, 1], [2, 4, 6, 8], [1] * 4, 100.0, floor=0.25)
    assert found.errors == (0.25, 0.25)


def test_the_variance_of_one_rating_is_the_mean_square_within_pairs():
    rng = np.random.default_rng(8)
    answers = [rng.normal(i, 2, size) for i, size in enumerate([2, 3, 7, 1, 4])]
    n = [len(of_pair) for of_pair in answers]
    error = [stats.sem(a) if len(a) > 1 else math.nan for a in answers]
    within = sum(((a - a.mean()) ** 2).sum() for a in answers) / (sum(n) - len(n))
    assert rating_variance(n, error) == pytest.approx(within)
    assert math.isnan(rating_variance([1, 1], [math.nan, math.nan]))
    assert math.isnan(rating_variance([3, 3], [math.nan, math.nan]))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scores": [0.1, 0.2]}, r"shape \(n,\)"),
        ({"observed": [1.0, math.nan, 2.0]}, "must be finite"),
        ({"n": [1, 0, 2]}, "n must be at least 1"),
        ({"n": [1, 2]}, r"n must have shape \(3,\)"),
        ({"variance": -1.0}, "0 or above"),
        ({"variance": math.nan}, "finite number, 0 or above"),
        ({"floor": 0.0}, "floor is 0.0; expected a positive error"),
        ({"max_knots": 1}, "a line has 2"),
        ({"scores": [0.1, 0.2], "observed": [1, 2], "n": [1, 1]}, "at least 3"),
    ],
)
def test_refuses_what_cannot_be_fitted(changes, message):
    given = {"scores": [0.1, 0.2, 0.3], "observed": [1, 2, 4], "n": [3, 3, 3], "variance": 1.0}
    with pytest.raises(InputError, match=message):
        fit_rating_map(**{**given, **changes})
