"""One-sided bounds of a mean over few, skewed clusters, and how many of them a bound needs.

Sources: studentised bootstrap, Efron 1979 and Hall 1988; number of clusters, Guenther 1981.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from humanclap.errors import InputError
from humanclap.metrics.bootstrap import draws

REPLICATES = 10_000
Floats = NDArray[np.float64]


def studentised_bounds(
    values: ArrayLike,
    *,
    rng: np.random.Generator,
    lower_confidence: float = 0.95,
    upper_confidence: float = 0.95,
    replicates: int = REPLICATES,
) -> tuple[float, float]:
    """A lower and an upper bound of the mean, each of which holds by itself with its confidence.

    values: shape (n,), one of each cluster. The bounds are mean - t s / sqrt(n) with t the upper
    (for the other bound the lower) quantile of the studentised bootstrap, (mean* - mean) sqrt(n) /
    s*, so that skewed values are allowed for. A replicate of equal values has an infinite t: where
    too many have one, the bound is infinite. All values equal: both bounds are that value; NaN for
    n < 2. Raises InputError for a confidence outside (0.5, 1) or replicates too few to carry it.

    >>> low, high = studentised_bounds(np.arange(21.0), rng=np.random.default_rng(0))
    >>> round(low), round(high)  # Student's t: 10 -+ 2.3
    (8, 12)
    """
    for confidence in (lower_confidence, upper_confidence):
        check_bound(confidence, replicates)
    given = np.asarray(values, dtype=np.float64)
    count = given.size
    if count < 2:
        return math.nan, math.nan
    mean, spread = float(given.mean()), float(given.std(ddof=1))
    if np.ptp(given) == 0:
        return mean, mean
    centred = (given - mean) / spread
    t = np.concatenate([_studentised(times, centred) for times in draws(count, replicates, rng)])
    high, low = (
        float(np.quantile(t, share, method="higher" if share > 0.5 else "lower"))
        for share in (lower_confidence, 1 - upper_confidence)
    )
    step = spread / math.sqrt(count)
    return mean - high * step, mean - low * step


def check_bound(confidence: float, replicates: int) -> None:
    """Raise InputError where so many replicates cannot carry a bound of this confidence."""
    if not 0.5 < confidence < 1.0:
        raise InputError(f"confidence is {confidence}; expected a number between 0.5 and 1")
    needed = math.ceil(round(10 / (1 - confidence), 6))
    if replicates < needed:
        raise InputError(
            f"{replicates} replicates cannot carry a bound of {100 * confidence:g} %; take at "
            f"least {needed}"
        )


def _studentised(times: Floats, centred: Floats) -> Floats:
    """(mean* - mean) sqrt(n) / s* of each replicate; times: (replicates, n), centred: (n,)."""
    count = centred.size
    means = times @ centred / count
    squares = times @ centred**2 / count - means**2
    squares[squares < 1e-12] = 0  # a replicate of equal values
    with np.errstate(divide="ignore", invalid="ignore"):
        t = means * math.sqrt(count - 1) / np.sqrt(squares)
    return np.where(np.isnan(t), 0.0, t)  # equal values, as far off as the mean is


def clusters_needed(
    spread: float,
    distance: float,
    *,
    error: float = 0.0,
    confidence: float = 0.95,
    power: float = 0.8,
) -> float:
    """Clusters at which a bound of the mean clears a limit that lies `distance` from the truth.

    spread: standard deviation of the clusters' values; power: probability of clearing it; error:
    standard error of what no further cluster makes surer (half widths are added in squares). The
    standard error x = spread / sqrt(n) must obey distance - z_power x >= z sqrt(x^2 + error^2);
    z^2 / 2 clusters are added for the spread being estimated. Rounded up; infinite where no number
    is enough, at least 2. Source: Guenther 1981, for error = 0.

    >>> clusters_needed(0.1, 0.02), clusters_needed(0.1, 0.0), clusters_needed(1, 0.5, error=0.4)
    (156.0, inf, inf)
    """
    z, z_power = float(stats.norm.ppf(confidence)), float(stats.norm.ppf(power))
    square = distance**2 - (z * error) ** 2
    if square <= 0 or distance <= 0:
        return math.inf
    root = (distance * z_power) ** 2 - (z_power**2 - z**2) * square
    step = square / (distance * z_power + math.sqrt(root))
    return max(2.0, float(math.ceil(round((spread / step) ** 2 + z**2 / 2, 9))))
