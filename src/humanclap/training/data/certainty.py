"""How certain a mean rating is, from the number of its ratings and their spread."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

PRIOR_RATINGS = 4.0
"""Degrees of freedom with which the common spread of ratings stands in for a pair's own."""


def certainties(relevance: ArrayLike, n: ArrayLike, standard_error: ArrayLike) -> list[float]:
    """Weight of each pair by the certainty of its mean rating, averaging 1 over the pairs.

    relevance: (n_pairs,) in [0, 1]; n: (n_pairs,), ratings behind each; standard_error:
    (n_pairs,), of `relevance` itself, NaN where n < 2. The weight is proportional to
    1 / (between + s_i^2 / n_i): `between` is the variance of the true means, s_i^2 the variance of
    the ratings of pair i, shrunk to the common one as if by `PRIOR_RATINGS` further ones (three
    equal answers are not certainty). Where no pair has two ratings every weight is by n alone; with
    equal n then 1.
    Source: random effects, DerSimonian & Laird 1986; shrinkage of variances, Smyth 2004.

    >>> certainties([0.0, 1.0, 0.5], [4, 4, 4], [0.1, 0.1, 0.1])
    [1.0, 1.0, 1.0]
    """
    mean, count = np.asarray(relevance, np.float64), np.asarray(n, np.float64)
    error = np.asarray(standard_error, np.float64)
    known = np.isfinite(error) & (count > 1)
    freedom = np.where(known, count - 1, 0.0)
    own = np.where(known, error**2 * count, 0.0)  # variance of one rating of the pair
    common = float((freedom * own).sum() / freedom.sum()) if known.any() else float(mean.var())
    spread = (PRIOR_RATINGS * common + freedom * own) / (PRIOR_RATINGS + freedom)
    squared_error = spread / count
    between = max(float(mean.var() - squared_error.mean()), 0.1 * float(mean.var()))
    total = between + squared_error
    weights = 1.0 / total if (total > 0).all() else np.ones_like(mean)
    scaled: list[float] = (weights / weights.mean()).tolist()
    return scaled
