import math

import numpy as np
import pytest
from scipy import integrate, stats

from humanclap.errors import InputError
from humanclap.metrics.prediction_quality import coverage
from humanclap.metrics.rating_map import LEAST_GROUPS, POOLED, fit_rating_map, rating_variance


def study(rng, size, *, rating, error, variance=4.0):
    """Scores, observed means and their n, from a known map, error and variance of one rating."""
    scores = rng.uniform(-0.2, 0.8, size)
    n = rng.integers(2, 8, size)
    misses = error(scores) * rng.normal(size=size)
    luck = np.sqrt(variance / n) * rng.normal(size=size)
    return scores, (rating(scores) + misses + luck).clip(0, 10), n


def line(scores):
    return 3.5 + 4 * scores


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
    assert (found.scores[0], found.scores[-1]) == (scores.min(), scores.max())
    ends = [expected.intercept + expected.slope * score for score in found.scores]
    assert found.ratings == pytest.approx(np.clip(ends, 0, 10))


@pytest.mark.parametrize("scores", [[0.9, 0.5, 0.1], [0.2, 0.2, 0.2]])
def test_a_falling_or_constant_score_predicts_the_mean(scores):
    found = fit_rating_map(scores, [1.0, 5.0, 9.0], [3, 3, 3], 0.0)
    assert found.ratings == pytest.approx([5.0] * len(found.scores))


@pytest.mark.parametrize("groups", [None, [i % (LEAST_GROUPS - 1) for i in range(90)]])
def test_with_fewer_than_ten_groups_the_error_is_that_of_a_uniform_rating_and_a_guess(groups):
    size = 90 if groups else LEAST_GROUPS - 1
    scores = np.arange(size) / size
    found = fit_rating_map(scores, 2 + scores, [3] * size, 0.0, groups=groups, low=1, high=5)
    assert found.guess
    assert found.errors == pytest.approx([stats.uniform(1, 4).std()] * len(found.scores))


def error_of_a_constant_score(means, noise):
    """sqrt(e^2 + u^2) by numerical integration, of means (k,) with one noise variance for all."""
    k = len(means)
    unsure = np.var(means, ddof=1) / k  # the jackknife's variance of a mean
    misses = (means - means.mean()) * k / (k - 1)  # from the mean of the others

    def likelihood(e):
        return stats.norm.pdf(misses, scale=math.sqrt(e * e + unsure + noise)).prod() * 1e30

    def mean_square(density):
        total, first = (
            integrate.quad(lambda e, p=p: e**p * density(e), 0, 5, limit=200)[0] for p in (0, 2)
        )
        return first / total

    common = mean_square(likelihood)

    def pooled(e):
        if e == 0:
            return 0.0
        prior = (POOLED + 1) * math.log(e / math.sqrt(common)) + POOLED * common / (2 * e * e)
        return likelihood(e) * math.exp(-prior)

    return math.sqrt(mean_square(pooled) + unsure)


def test_the_error_is_the_posterior_one_worked_by_integration():
    means = np.random.default_rng(1).normal(5, 1.5, 15)
    for variance in (0.0, 6.0):
        found = fit_rating_map([0.3] * 15, means, [4] * 15, variance)
        assert not found.guess
        expected = error_of_a_constant_score(means, variance / 4)
        assert found.errors == pytest.approx([expected], rel=1e-4)


def test_pairs_told_twice_in_one_group_tell_no_more():
    means = np.random.default_rng(2).normal(5, 1.5, 15)
    once = fit_rating_map([0.3] * 15, means, [4] * 15, 6.0)
    twice = fit_rating_map(
        [0.3] * 30, np.repeat(means, 2), [4] * 30, 6.0, groups=[i // 2 for i in range(30)]
    )
    assert twice.errors == pytest.approx(once.errors)
    apart = fit_rating_map([0.3] * 30, np.repeat(means, 2), [4] * 30, 6.0)
    assert apart.errors[0] < once.errors[0]


def test_a_few_lucky_pairs_at_the_top_do_not_make_its_error_small():
    rng = np.random.default_rng(11)
    scores = np.linspace(0, 1, 100)
    means = 1 + 8 * scores + np.where(scores < 0.9, rng.normal(0, 2, 100), 0)
    found = fit_rating_map(scores, means.clip(0, 10), [4] * 100, 4.0)
    assert min(found.errors) > 1.0


def test_ratings_and_errors_stay_on_the_scale_where_the_line_leaves_it():
    rng = np.random.default_rng(12)
    scores = rng.uniform(0, 1, 60)
    means = (16 * scores - 3 + rng.normal(size=60)).clip(0, 10)
    found = fit_rating_map(scores, means, [4] * 60, 1.0)
    expected = stats.linregress(scores, means)
    assert (found.ratings[0], found.ratings[-1]) == (0, 10)
    inner = [s for s, r in zip(found.scores, found.ratings, strict=True) if 0 < r < 10]
    assert at(found, inner) == pytest.approx(expected.intercept + expected.slope * np.array(inner))
    leaves = (10 - expected.intercept) / expected.slope
    assert min(np.abs(np.array(found.scores) - leaves)) < 1e-9
    wild = fit_rating_map(scores, np.tile([0.0, 10.0], 30), [1] * 60, 0.0)
    assert max(wild.errors) <= 5


def test_the_map_is_less_certain_at_its_ends_and_after_few_pairs():
    rng = np.random.default_rng(13)
    few, many = (
        np.mean(
            [
                error_at(
                    fit_rating_map(*study(rng, size, rating=line, error=even), 4.0), [0.3, 0.8]
                )
                for _ in range(20)
            ],
            axis=0,
        )
        for size in (15, 300)
    )
    assert few[1] > few[0] > many[0]
    assert few[1] > 1.3 > many[1]


def test_simulated_studies_give_back_the_line_and_its_error():
    rng = np.random.default_rng(2)
    fits = [fit_rating_map(*study(rng, 200, rating=line, error=even), 4.0) for _ in range(60)]
    middle = [float(at(found, 0.3)) for found in fits]
    error = [float(error_at(found, 0.3)) for found in fits]
    assert np.mean(middle) == pytest.approx(line(0.3), abs=0.05)
    assert np.sqrt(np.mean(np.square(error))) == pytest.approx(1.2, abs=0.06)


@pytest.mark.parametrize("size", [12, 30])
def test_intervals_fitted_on_few_pairs_hold_as_often_as_they_say_or_a_little_oftener(size):
    rng = np.random.default_rng(3)
    shares = []
    for _ in range(150):
        found = fit_rating_map(*study(rng, size, rating=line, error=even), 4.0)
        scores, means, n = study(rng, 200, rating=line, error=even)
        predicted, error = at(found, scores), error_at(found, scores)
        shares.append(
            [coverage(predicted, error, means, n, 4.0, level).share for level in (0.5, 0.8, 0.95)]
        )
    assert np.mean(shares, axis=0) == pytest.approx((0.53, 0.83, 0.96), abs=0.04)


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
    scores = np.linspace(-0.2, 0.8, 1001)
    knots = (-0.1, 0.3, 0.7)
    for score, near in zip(knots, np.eye(3), strict=True):
        weights = np.interp(scores, knots, near)  # the error of a stretch, not of a point
        expected = math.sqrt(np.average(rising(scores) ** 2, weights=weights))
        assert float(error_at(found, score)) == pytest.approx(expected, rel=0.08)
        assert float(at(found, score)) == pytest.approx(line(score), abs=0.12)


def test_a_bent_map_is_found_and_a_line_stays_a_line():
    rng = np.random.default_rng(5)
    truth = {bent: 0, line: 0}
    for rating in truth:
        for _ in range(10):
            scores, means, n = study(rng, 600, rating=rating, error=even)
            found = fit_rating_map(scores, means, n, 4.0, max_knots=4)
            slopes = np.diff(found.ratings) / np.diff(found.scores)
            truth[rating] += bool(np.ptp(slopes) > 1e-6)
            probes = np.linspace(-0.15, 0.75, 10)
            assert np.abs(at(found, probes) - rating(probes)).max() < 0.6
    assert truth[bent] == 10
    assert truth[line] <= 2


def test_few_pairs_get_a_line_whatever_is_asked():
    rng = np.random.default_rng(6)
    scores, means, n = study(rng, 59, rating=bent, error=even)
    asked = fit_rating_map(scores, means, n, 4.0, max_knots=9)
    assert asked == fit_rating_map(scores, means, n, 4.0)


def test_a_map_never_falls_and_its_knots_rise():
    rng = np.random.default_rng(7)
    for _ in range(20):
        scores = np.round(rng.uniform(0, 1, 200), 1)  # many ties
        found = fit_rating_map(scores, rng.uniform(0, 10, 200), [3] * 200, 1.0, max_knots=8)
        assert (np.diff(found.scores) > 0).all()
        assert (np.diff(found.ratings) >= 0).all()


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
        ({"low": 10.0}, r"the scale is 10..10; expected low below high"),
        ({"high": 3.0}, r"mean ratings from 1 to 4 leave the scale 0..3 \(are they on another"),
        ({"groups": ["a.wav"]}, "1 groups of 3 pairs; expected one for each pair"),
        ({"max_knots": 1}, "a line has 2"),
        ({"scores": [0.1, 0.2], "observed": [1, 2], "n": [1, 1]}, "at least 3"),
    ],
)
def test_refuses_what_cannot_be_fitted(changes, message):
    given = {"scores": [0.1, 0.2, 0.3], "observed": [1, 2, 4], "n": [3, 3, 3], "variance": 1.0}
    with pytest.raises(InputError, match=message):
        fit_rating_map(**{**given, **changes})


def test_the_map_s_own_error_is_a_part_of_the_error_and_shrinks_with_the_pairs():
    rng = np.random.default_rng(4)

    def fitted(size):
        x = rng.uniform(0, 0.6, size)
        return fit_rating_map(x, 2 + 10 * x + rng.normal(0, 0.5, size), np.full(size, 4), 0.0)

    few, many = fitted(40), fitted(640)
    for found in (few, many):
        assert len(found.map_errors) == len(found.errors)
        assert all(0 <= u <= e for u, e in zip(found.map_errors, found.errors, strict=True))
    # by 1 / sqrt(16), but for chance; a line's standard error at its middle is e / sqrt(n)
    assert 2 < max(few.map_errors) / max(many.map_errors) < 8
    assert min(many.map_errors) == pytest.approx(0.5 / math.sqrt(640), rel=0.5)
    assert fit_rating_map([0, 0, 1, 1], [2, 4, 6, 8], np.full(4, 9), 9.0).map_errors == ()
