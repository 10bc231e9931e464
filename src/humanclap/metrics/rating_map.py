"""From a metric's score to the rating people would give, and how far off that will be.

Pair i has a score s_i and an observed mean y_i of n_i ratings, taken as

    y_i = m(s_i) + d_i + l_i,    d_i ~ N(0, e(s_i)^2),    l_i ~ N(0, v_i / n_i)

m: a rising, piecewise-linear map, kept on the scale; d: what the score does not know of the pair;
l: the luck of these few listeners, v_i being the variance of one rating about its pair's mean. The
error of a predicted rating is the standard deviation of (the mean that ever more listeners would
give) minus (the predicted rating): e(s), and how uncertain m itself is after so few pairs.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize

from humanclap.errors import InputError
from humanclap.metrics.agreement import MIN_PAIRS, paired
from humanclap.metrics.weighted import cluster_codes

PAIRS_PER_KNOT = 20
"""Fewer pairs than this a knot, and a bent map is not tried."""
ERROR_QUANTILES = (0.1, 0.5, 0.9)
"""Where in the scores the error e has its knots."""
POOLED = 20
"""The error of a stretch of scores is drawn to the common one as by this many groups of pairs."""
LEAST_GROUPS = 10
"""With fewer groups of pairs the error is a guess."""
_STEPS = 400
"""Values of e that are weighed."""
_APART = 1e-6
"""Least distance of two knots, as a share of the range of the scores."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class RatingMap:
    """What was fitted: at each knot of `scores` (increasing) the predicted rating (never falling)
    and its standard error (positive), both linear between knots; beyond the outer ones the outer
    segments of the map go on (to the ends of the scale) and the error stays. A single knot is a
    constant map. map_errors: at each knot the part u of the error that is the map's own
    uncertainty, which all predictions share; empty for a guess. guess: the pairs were too few to
    say anything of the errors.
    """

    scores: tuple[float, ...]
    ratings: tuple[float, ...]
    errors: tuple[float, ...]
    map_errors: tuple[float, ...] = ()
    guess: bool = False


def rating_variance(n: ArrayLike, standard_error: ArrayLike) -> float:
    """Variance of one rating about its pair's mean, pooled over the pairs; >= 0.

    n: ratings behind each mean, shape (k,); standard_error: of each mean, shape (k,), NaN where
    unknown. The sum of (n_i - 1) n_i se_i^2 over the sum of n_i - 1, the mean square within pairs
    of the one-way analysis of variance; NaN where no pair with n > 1 has its standard error.

    >>> rating_variance([2, 2, 1], [1.0, 3.0, float("nan")])  # of (2, 4), (1, 7) and one more
    10.0
    """
    count, error = np.asarray(n, np.float64), np.asarray(standard_error, np.float64)
    known = np.isfinite(error) & (count > 1)
    if not known.any():
        return math.nan
    freedom = count[known] - 1
    return float((freedom * count[known] * error[known] ** 2).sum() / freedom.sum())


def fit_rating_map(
    scores: ArrayLike,
    observed: ArrayLike,
    n: ArrayLike,
    variance: ArrayLike,
    *,
    groups: Sequence[Hashable] | None = None,
    low: float = 0.0,
    high: float = 10.0,
    max_knots: int = 2,
) -> RatingMap:
    """Fit the map m of the module's model, and the error of predicting with it.

    scores, observed, n: of k >= 3 pairs, shape (k,); observed: mean ratings on low..high; n:
    ratings behind each, at least 1. variance: v, of one rating about its pair's mean, one for all
    or shape (k,) (see `rating_variance`); 0 where it is unknown, and then the error is that of
    predicting means of so few listeners, which is larger. groups: of each pair, equal for pairs
    that share a clip or a caption; None: each pair stands for itself.

    m is the least-squares line, its slope held at 0 or above, cut off at low and high. With
    `max_knots` above 2, rising maps of 3 up to `max_knots` knots at equally spaced quantiles of the
    scores are fitted too, as far as there are 20 pairs a knot, and the lowest BIC of least squares,
    k log(mean square) + p log k with p free values, is taken.

    The error has two parts. u(s)^2, how uncertain m is: the jackknife variance of m(s) over fits
    that each leave one group out. e(s)^2, how far people are from m: by the misses of each group
    from the fit without it, r_i ~ N(0, e^2 + u^2 + v_i / n_i). First one e for all scores: the
    posterior mean of e^2, e being equally likely anywhere between 0 and half the scale before the
    misses are seen. Then an e at the 10 %, 50 % and 90 % quantiles of the scores, by the misses
    near each (with weights that fall to 0 at its neighbours), drawn to the common one as by 20
    further groups: so a few lucky pairs cannot make it small, where a likelihood alone would say 0.
    Pairs of a group weigh together as one, on average. The error is sqrt(e^2 + u^2), at most half
    the scale; with fewer than 10 groups it is a guess: that of a rating equally likely anywhere on
    the scale, (high - low) / sqrt(12).

    Raises InputError for unlike shapes, values that are not finite or out of range, or k < 3.
    Sources: regression with known sampling variances, DerSimonian & Laird 1986; flat prior on the
    standard deviation and scaled inverse chi-squared prior, Gelman 2006; misses weighted by
    nearness, Tibshirani & Hastie 1987; jackknife, Efron & Stein 1981; BIC, Schwarz 1978;
    non-negative least squares, Lawson & Hanson 1974.

    >>> found = fit_rating_map([0, 0, 1, 1], [2, 4, 6, 8], [9, 9, 9, 9], 9.0)
    >>> found.scores, found.ratings
    ((0.0, 1.0), (3.0, 7.0))
    >>> found.guess, found.errors[0] == 10 / math.sqrt(12)
    (True, True)
    """
    x, y = paired(scores, observed)
    noise = _noise(variance, n, x.size)
    _check_observed(y, low, high, max_knots)
    group = _numbered(groups, x.size)
    knots = min(_map_knots(x, max_knots), key=lambda one: _bic(x, y, one))
    rising = _rising(x, y, knots)[0]
    guess = len(set(group.tolist())) < LEAST_GROUPS
    error_knots = _distinct(np.quantile(x, [] if guess else ERROR_QUANTILES), x)
    ends = [float(np.interp(end, rising, knots)) for end in (low, high)]  # where m leaves the scale
    at = _distinct(np.concatenate([knots, error_knots, ends]), knots)
    # A knot put in between may come out above the next by one rounding.
    ratings = np.maximum.accumulate(np.interp(at, knots, rising).clip(low, high))
    unsure = np.empty(0)
    if guess:
        errors = np.full(at.size, (high - low) / math.sqrt(12))
    else:
        misses, unsure = _left_out(x, y, group, knots, at, (low, high))
        left = noise + np.interp(x, at, unsure)
        squares = _squares(x, misses, left, error_knots, group, (high - low) / 2)
        errors = np.sqrt(np.interp(at, error_knots, squares) + unsure)
    largest = (high - low) / 2
    return RatingMap(
        scores=tuple(at.tolist()),
        ratings=tuple(ratings.tolist()),
        errors=tuple(np.minimum(errors, largest).tolist()),
        map_errors=tuple(np.minimum(np.sqrt(unsure), largest).tolist()),
        guess=guess,
    )


def _check_observed(observed: Floats, low: float, high: float, max_knots: int) -> None:
    """Raise InputError where no map can be fitted to these ratings on this scale."""
    if observed.size < MIN_PAIRS:
        raise InputError(f"{observed.size} pairs; a rating map needs at least {MIN_PAIRS}")
    if max_knots < 2:
        raise InputError(f"max_knots is {max_knots}; a line has 2")
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise InputError(f"the scale is {low:g}..{high:g}; expected low below high")
    slack = 1e-9 * (high - low)  # of moving ratings from one scale to another
    if observed.min() < low - slack or observed.max() > high + slack:
        raise InputError(
            f"mean ratings from {observed.min():g} to {observed.max():g} leave the scale "
            f"{low:g}..{high:g} (are they on another scale?)"
        )


def _numbered(groups: Sequence[Hashable] | None, size: int) -> NDArray[np.int64]:
    """Group of each pair as a number 0, 1, ...; each pair its own where none are given."""
    if groups is None:
        return np.arange(size)
    if len(groups) != size:
        raise InputError(f"{len(groups)} groups of {size} pairs; expected one for each pair")
    return cluster_codes(groups)


def _noise(variance: ArrayLike, n: ArrayLike, size: int) -> Floats:
    """v_i / n_i, shape (k,)."""
    count, spread = np.asarray(n, np.float64), np.asarray(variance, np.float64)
    if count.shape != (size,) or spread.shape not in ((), (size,)):
        raise InputError(
            f"n must have shape ({size},) and the variance that or none, not {count.shape} and "
            f"{spread.shape}"
        )
    if not ((count >= 1) & np.isfinite(count)).all():
        raise InputError("n must be at least 1: a mean rating stands on one rating or more")
    if not ((spread >= 0) & np.isfinite(spread)).all():
        raise InputError("the variance of one rating must be a finite number, 0 or above")
    noise: Floats = spread / count
    return noise


def _map_knots(x: Floats, max_knots: int) -> Iterator[Floats]:
    """Knots of a line, then of bent maps; a single one where all scores are one."""
    least = _APART * float(np.ptp(x))
    if least == 0:
        yield x[:1]
        return
    for count in range(2, max_knots + 1):
        knots = np.quantile(x, np.linspace(0, 1, count))
        if count == 2 or (x.size >= count * PAIRS_PER_KNOT and np.diff(knots).min() > least):
            yield knots


def _distinct(knots: Floats, x: Floats) -> Floats:
    """The knots in order, of those that nearly coincide the first alone."""
    least = _APART * float(np.ptp(x))
    ordered = np.sort(knots)
    return ordered[np.diff(ordered, prepend=-np.inf) > least]


def _bic(x: Floats, y: Floats, knots: Floats) -> float:
    """Bayesian information criterion of the least-squares map, but for a constant."""
    ratings, free = _rising(x, y, knots)
    square = float(np.mean((y - np.interp(x, knots, ratings)) ** 2))
    return x.size * math.log(max(square, 1e-12)) + free * math.log(x.size)


def _rising(x: Floats, y: Floats, knots: Floats) -> tuple[Floats, int]:
    """Least-squares values at the knots, never falling, and how many of them are free."""
    if knots.size == 1:
        return np.array([y.mean()]), 1
    ramps = np.clip((x[:, None] - knots[:-1]) / np.diff(knots), 0, 1)  # (k, segments)
    rises, _ = optimize.nnls(ramps - ramps.mean(axis=0), y - y.mean())
    start = y.mean() - ramps.mean(axis=0) @ rises
    return start + np.concatenate([[0.0], np.cumsum(rises)]), 1 + int((rises > 0).sum())


def _left_out(
    x: Floats,
    y: Floats,
    group: NDArray[np.int64],
    knots: Floats,
    at: Floats,
    scale: tuple[float, float],
) -> tuple[Floats, Floats]:
    """Misses (k,) of each pair from the map without its group; variance of the map at `at`."""
    misses = np.empty(x.size)
    count = int(group.max()) + 1
    maps = np.empty((count, at.size))
    for one in range(count):
        out = group == one
        ratings = _rising(x[~out], y[~out], knots)[0]
        misses[out] = y[out] - np.interp(x[out], knots, ratings).clip(*scale)
        maps[one] = np.interp(at, knots, ratings).clip(*scale)
    return misses, (count - 1) * maps.var(axis=0)


def _squares(
    x: Floats,
    misses: Floats,
    noise: Floats,
    knots: Floats,
    group: NDArray[np.int64],
    largest: float,
) -> Floats:
    """e^2 at its knots: what the misses near each say, drawn to what they say together."""
    share = (int(group.max()) + 1) / x.size
    grid = largest * (np.arange(_STEPS) + 0.5) / _STEPS  # e, (steps,)
    total = grid[:, None] ** 2 + noise  # (steps, k)
    likelihood = -0.5 * share * (np.log(total) + misses**2 / total)

    def mean_square(logarithm: Floats) -> float:
        weight = np.exp(logarithm - logarithm.max())
        return float(weight @ grid**2 / weight.sum())

    common = mean_square(likelihood.sum(axis=1))
    prior = -(POOLED + 1) * np.log(grid) - POOLED * common / (2 * grid**2)
    near = (np.interp(x, knots, row) for row in np.eye(knots.size))  # weights of the pairs
    return np.array([mean_square(prior + likelihood @ weight) for weight in near])
