"""From a metric's score to the rating people would give, and how far off that will be.

Pair i has a score s_i and an observed mean y_i of n_i ratings, taken as

    y_i = m(s_i) + d_i + l_i,    d_i ~ N(0, e(s_i)^2),    l_i ~ N(0, v_i / n_i)

m: a rising, piecewise-linear map; d: what the score does not know of the pair; l: the luck of these
few listeners, v_i being the variance of one rating about its pair's mean. So e(s) is the standard
deviation of (the mean that ever more listeners would give) minus (the predicted rating).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize

from humanclap.errors import InputError
from humanclap.metrics.agreement import MIN_PAIRS, paired

PAIRS_PER_KNOT = 20
"""Fewer pairs than this a knot, and a bent map or an uneven error is not tried."""
ERROR_QUANTILES = (0.1, 0.5, 0.9)
"""Where in the scores an uneven error has its knots."""
_APART = 1e-6
"""Least distance of two knots, as a share of the range of the scores."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class RatingMap:
    """What was fitted: at each knot of `scores` (increasing) the predicted rating (never falling)
    and its standard error (positive), both linear between knots; beyond the outer ones the outer
    segments of the map go on and the error stays. A single knot is a constant map.
    """

    scores: tuple[float, ...]
    ratings: tuple[float, ...]
    errors: tuple[float, ...]


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
    max_knots: int = 2,
    floor: float = 0.1,
) -> RatingMap:
    """Fit the map m and the standard error e of the module's model.

    scores, observed, n: of k >= 3 pairs, shape (k,); observed: mean ratings; n: ratings behind
    each, at least 1. variance: v, of one rating about its pair's mean, one for all or shape (k,)
    (see `rating_variance`); 0 where it is unknown, and then e is that of predicting means of so
    few listeners, which is larger. floor: least e, in rating units: that listeners' luck explains
    all of the misses of a few pairs does not make a prediction certain.

    m is the least-squares line, its slope held at 0 or above. With `max_knots` above 2, rising
    maps of 3 up to `max_knots` knots at equally spaced quantiles of the scores are fitted too, as
    far as there are 20 pairs a knot. e maximises the normal likelihood of the misses
    r_i = y_i - m(s_i), whose log is -1/2 sum(log V_i + r_i^2 / V_i), V_i = e(s_i)^2 + v_i / n_i:
    one value, or with 60 pairs and more, values at the 10 %, 50 % and 90 % quantiles of the scores.
    Of all these the one with the lowest BIC = (p + q) log k - 2 log likelihood is taken, p the
    free values of m (a flat segment has none) and q those of e. As a fitted map misses its own
    pairs too little, e is at last fitted to r_i sqrt(k / (k - p)). How uncertain m itself is, is
    not in it.

    Raises InputError for unlike shapes, values that are not finite or out of range, or k < 3.
    Sources: regression with known sampling variances, DerSimonian & Laird 1986; BIC, Schwarz 1978;
    non-negative least squares, Lawson & Hanson 1974.

    >>> found = fit_rating_map([0, 0, 1, 1], [2, 4, 6, 8], [9, 9, 9, 9], 9.0)
    >>> found.scores, found.ratings, round(found.errors[0], 6)  # 4 misses of 1: sqrt(4/2 - 9/9)
    ((0.0, 1.0), (3.0, 7.0), 1.0)
    """
    x, y = paired(scores, observed)
    noise = _noise(variance, n, x.size)
    if x.size < MIN_PAIRS:
        raise InputError(f"{x.size} pairs; a rating map needs at least {MIN_PAIRS}")
    if max_knots < 2:
        raise InputError(f"max_knots is {max_knots}; a line has 2")
    if not (math.isfinite(floor) and floor > 0):
        raise InputError(f"floor is {floor}; expected a positive error in rating units")
    tried = [
        _Try(x, y, noise, knots, error_knots, floor)
        for knots in _map_knots(x, max_knots)
        for error_knots in _error_knots(x)
    ]
    return min(tried, key=lambda one: one.bic).rating_map()


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


def _error_knots(x: Floats) -> Iterator[Floats]:
    """A single knot for one error everywhere, then three."""
    yield x[:1]
    knots = np.quantile(x, ERROR_QUANTILES)
    if x.size >= knots.size * PAIRS_PER_KNOT and np.diff(knots).min() > _APART * np.ptp(x):
        yield knots


class _Try:
    """One choice of knots, fitted."""

    def __init__(
        self, x: Floats, y: Floats, noise: Floats, knots: Floats, error_knots: Floats, floor: float
    ) -> None:
        self._knots, self._error_knots = knots, error_knots
        self._ratings, free = _rising(x, y, knots)
        self._misses = y - np.interp(x, knots, self._ratings)
        self._widened = self._misses * math.sqrt(x.size / (x.size - free))
        self._noise, self._basis, self._floor = noise, _hats(x, error_knots), floor
        found = _likeliest(self._misses, noise, self._basis, floor)
        self.bic = (free + error_knots.size) * math.log(x.size) + 2 * found[1]

    def rating_map(self) -> RatingMap:
        """Map and error at the knots of both."""
        errors = _likeliest(self._widened, self._noise, self._basis, self._floor)[0]
        least = _APART * float(np.ptp(self._knots))
        more = [k for k in self._error_knots if np.abs(self._knots - k).min() > least]
        at = self._knots
        if self._error_knots.size > 1:  # a single error needs no knot of its own
            at = np.sort(np.concatenate([at, more]))
        # A knot put in between may come out above the next by one rounding.
        ratings = np.maximum.accumulate(np.interp(at, self._knots, self._ratings))
        return RatingMap(
            scores=tuple(at.tolist()),
            ratings=tuple(ratings.tolist()),
            errors=tuple(np.interp(at, self._error_knots, errors).tolist()),
        )


def _rising(x: Floats, y: Floats, knots: Floats) -> tuple[Floats, int]:
    """Least-squares values at the knots, never falling, and how many of them are free."""
    if knots.size == 1:
        return np.array([y.mean()]), 1
    ramps = np.clip((x[:, None] - knots[:-1]) / np.diff(knots), 0, 1)  # (k, segments)
    rises, _ = optimize.nnls(ramps - ramps.mean(axis=0), y - y.mean())
    start = y.mean() - ramps.mean(axis=0) @ rises
    return start + np.concatenate([[0.0], np.cumsum(rises)]), 1 + int((rises > 0).sum())


def _hats(x: Floats, knots: Floats) -> Floats:
    """Weight of each knot at each score, shape (k, knots); constant beyond the outer ones."""
    return np.stack([np.interp(x, knots, row) for row in np.eye(knots.size)], axis=1)


def _likeliest(misses: Floats, noise: Floats, basis: Floats, floor: float) -> tuple[Floats, float]:
    """The errors at their knots, and minus the log likelihood but for its constant."""

    def loss(logarithms: Floats) -> tuple[float, Floats]:
        errors = np.exp(logarithms)
        error = basis @ errors  # (k,)
        total = error**2 + noise
        value = 0.5 * float(np.sum(np.log(total) + misses**2 / total))
        slope = (error * (1 / total - misses**2 / total**2)) @ basis * errors
        return value, slope

    start = max(floor, math.sqrt(float(np.mean(misses**2))))
    found = optimize.minimize(
        loss,
        np.full(basis.shape[1], math.log(start)),
        jac=True,
        method="L-BFGS-B",
        bounds=[(math.log(floor), None)] * basis.shape[1],
        options={"ftol": 1e-14, "gtol": 1e-9},
    )
    return np.maximum(np.exp(found.x), floor), float(found.fun)
