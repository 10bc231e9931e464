"""How far the mean of predicted ratings is likely to lie from the mean that people would give."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from humanclap.grouping import connected_groups
from humanclap.records import Score

Floats = NDArray[np.float64]
MapError = Callable[[float], float]
"""The shared part of the rating's error at a score (`clap.calibration.Calibration.map_error`)."""


def mean_rating_error(
    rows: Sequence[Score], weights: Floats, map_error: MapError | None = None
) -> float:
    """Standard error of a weighted mean of predicted ratings: both parts of `rating_errors`."""
    return math.hypot(*rating_errors(rows, weights, map_error))


def rating_errors(
    rows: Sequence[Score], weights: Floats, map_error: MapError | None = None
) -> tuple[float, float]:
    """What a weighted mean of predicted ratings errs by, on 0..10; NaN without ratings.

    rows: scored pairs, with weights (n,) that sum to 1. The error of a predicted rating has two
    parts, rating_error^2 = e^2 + u^2 (`metrics.rating_map`). u, the map's own uncertainty, is
    common to all pairs and does not average out. e, what the score does not know of a pair, is
    taken as independent between pairs that share neither clip nor caption, and as common to those
    that do (groups g). Each common part has its largest value, by Cauchy and Schwarz:

        error^2 = (sum_i w_i u_i)^2 + sum_g (sum_{i in g} w_i e_i)^2

    The roots of the two terms are returned: the first does not shrink with more pairs. Of one pair
    they make up rating_error; without `map_error` u is all of it, and the first is the
    weighted mean of the rating_errors, an upper limit whatever is shared. What a whole system
    shares beyond that, such as a kind of sound that the map was not fitted on, is not in it.
    Source: variance of a mean of clusters, Kish 1965, ch. 5; parts as in DerSimonian & Laird 1986.
    """
    errors = np.array([row.rating_error for row in rows])
    if not np.isfinite(errors).all():
        return math.nan, math.nan
    shared = errors if map_error is None else np.array([map_error(row.score) for row in rows])
    shared = np.minimum(shared, errors)
    own = np.sqrt(errors**2 - shared**2)
    groups = np.array(connected_groups((row.audio, row.text) for row in rows), dtype=np.int64)
    sums = np.bincount(groups, weights=weights * own)
    return float(weights @ shared), float(np.linalg.norm(sums))
