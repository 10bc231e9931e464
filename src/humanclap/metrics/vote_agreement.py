"""How far voters agree, and intervals of shares: Krippendorff's alpha, Wilson, exact binomial."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from humanclap.errors import InputError
from humanclap.metrics.bootstrap import Statistics

Floats = NDArray[np.float64]
Level = Literal["nominal", "ordinal"]


class KrippendorffAlpha:
    """Krippendorff's alpha, 1 - observed / expected disagreement, as a function of weights.

    counts: votes per question and value, shape (n, values), values in order; questions with fewer
    than two votes do not count. level: nominal (any two unlike values disagree alike) or ordinal
    (values further apart disagree more). both_orders: enter each question a second time with its
    values in reverse order, so that alpha of choices does not rest on which side is called first.
    Calls take weights (replicates, n) and give "alpha", shape (replicates,): at most 1, 0 where
    voters agree by chance, NaN where no question has two votes or all votes are alike.
    Raises InputError for counts that are negative, not finite or of another shape.
    Source: Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability".

    >>> KrippendorffAlpha([[3, 0], [0, 3], [2, 1]], "nominal")(np.ones((1, 3)))["alpha"].round(3)
    array([0.6])
    """

    def __init__(
        self, counts: ArrayLike, level: Level = "ordinal", *, both_orders: bool = False
    ) -> None:
        given = np.asarray(counts, dtype=np.float64)
        if given.ndim != 2 or not np.isfinite(given).all() or (given < 0).any():
            raise InputError("counts must have shape (questions, values), each from 0 up")
        if level not in ("nominal", "ordinal"):
            raise InputError(f"level is {level!r}; expected nominal or ordinal")
        self._level, self._values = level, given.shape[1]
        votes = given.sum(axis=1)
        within = given[:, :, None] * given[:, None, :]
        diagonal = np.arange(self._values)
        within[:, diagonal, diagonal] -= given
        within /= np.where(votes > 1, votes - 1, np.inf)[:, None, None]
        if both_orders:
            within = within + within[:, ::-1, ::-1]
        self._coincidences = within.reshape(len(given), -1)

    def __call__(self, weights: Floats) -> Mapping[str, Floats]:
        """Alpha where question i is drawn weights[r, i] times."""
        met = (weights @ self._coincidences).reshape(-1, self._values, self._values)
        margins = met.sum(axis=2)  # (replicates, values)
        total = margins.sum(axis=1)
        apart = self._distances(margins)
        observed = (met * apart).sum(axis=(1, 2))
        expected = (margins[:, :, None] * margins[:, None, :] * apart).sum(axis=(1, 2))
        with np.errstate(divide="ignore", invalid="ignore"):
            alpha = 1 - (total - 1) * observed / expected
        return {"alpha": np.where(expected > 0, alpha, np.nan)}

    def _distances(self, margins: Floats) -> Floats:
        """Squared distance of two values: (replicates, values, values)."""
        if self._level == "nominal":
            unlike: Floats = 1 - np.eye(self._values)
            return np.broadcast_to(unlike, (len(margins), self._values, self._values))
        middle = np.cumsum(margins, axis=1) - margins / 2
        apart: Floats = (middle[:, :, None] - middle[:, None, :]) ** 2
        return apart


def ratio(part: ArrayLike, whole: ArrayLike) -> Statistics:
    """Sum of `part` over sum of `whole`, shape (n,) each; item i is drawn weights[r, i] times.

    NaN where the whole is 0.

    >>> ratio([3, 0], [4, 2])(np.array([[1, 1], [0, 1]]))["ratio"]
    array([0.5, 0. ])
    """
    some, every = np.asarray(part, dtype=np.float64), np.asarray(whole, dtype=np.float64)

    def statistics(weights: Floats) -> Mapping[str, Floats]:
        total = weights @ every
        with np.errstate(divide="ignore", invalid="ignore"):
            return {"ratio": np.where(total > 0, weights @ some / total, np.nan)}

    return statistics


def wilson(
    successes: ArrayLike, n: ArrayLike, *, confidence: float = 0.95
) -> tuple[Floats, Floats]:
    """Wilson's interval of a share, low and high, in [0, 1]; NaN where n is 0.

    successes: may hold halves, for votes that are equal; the interval is then at least as wide as
    it must be, since such votes vary less than votes for a side.
    Source: Wilson 1927; without continuity correction, as scipy's `proportion_ci`.

    >>> [round(float(end), 4) for end in wilson(8, 10)]
    [0.4902, 0.9433]
    """
    k, count = np.asarray(successes, dtype=np.float64), np.asarray(n, dtype=np.float64)
    if (k < 0).any() or (k > count).any():
        raise InputError("successes must lie in 0..n")
    z = float(stats.norm.ppf((1 + confidence) / 2))
    with np.errstate(divide="ignore", invalid="ignore"):
        share = k / count
        centre = share + z**2 / (2 * count)
        half = z * np.sqrt(share * (1 - share) / count + z**2 / (4 * count**2))
        scale = 1 + z**2 / count
        low, high = (centre - half) / scale, (centre + half) / scale
    return np.clip(low, 0.0, 1.0), np.clip(high, 0.0, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """k of n, with the exact 95 % interval and the p-value of the exact test against a half."""

    k: int
    n: int
    share: float
    low: float
    high: float
    p_value: float


def exact_share(k: int, n: int) -> Share:
    """Share with Clopper and Pearson's interval and the two-sided binomial test against 1/2.

    All NaN where n is 0. The events must be independent for the test to hold: where the side is
    drawn anew for each answer, they are if order does not matter.
    Sources: Clopper & Pearson 1934; `scipy.stats.binomtest`.

    >>> exact_share(9, 10).p_value
    0.021484375
    """
    if n == 0:
        return Share(k=0, n=0, share=math.nan, low=math.nan, high=math.nan, p_value=math.nan)
    test = stats.binomtest(k, n)
    ends = test.proportion_ci(0.95, method="exact")
    return Share(
        k=k,
        n=n,
        share=k / n,
        low=float(ends.low),
        high=float(ends.high),
        p_value=float(test.pvalue),
    )
