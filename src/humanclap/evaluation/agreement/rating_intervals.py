"""Do predicted ratings with a standard error hold people's mean ratings as often as they say?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from humanclap.metrics.prediction_quality import IntervalCoverage, coverage
from humanclap.metrics.rating_map import rating_variance
from humanclap.records import Score, Target
from humanclap.scale import RatingScale

LEVELS = (0.5, 0.8, 0.95)
"""Levels of the intervals whose coverage is reported."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictedIntervals:
    """Coverage of the intervals rating ± z sqrt(rating_error^2 + rating_variance / n).

    coverage: at each of `LEVELS`; rating_variance: of one rating about its pair's mean, from the
    targets' standard errors, on the study's scale; without: judged pairs that lack `rating` or
    `rating_error`; reason: why the shares are NaN. covers: kinds of sound that the calibration met,
    as the scores say; unmet: other kinds (systems or subsets) among the judged pairs, of which
    there are `n_unmet`.
    """

    coverage: tuple[IntervalCoverage, ...]
    rating_variance: float
    without: int = 0
    reason: str | None = None
    covers: str | None = None
    unmet: tuple[str, ...] = ()
    n_unmet: int = 0


def predicted_intervals(
    scores: Sequence[Score], targets: Sequence[Target], scale: RatingScale
) -> PredictedIntervals | None:
    """Coverage for the scores of as many targets, in the same order; None where no score has both
    `rating` and `rating_error` (on 0..10, moved to `scale`).
    """
    width = scale.high - scale.low
    predicted = scale.low + width * np.array([row.rating for row in scores]) / 10
    error = width * np.array([row.rating_error for row in scores]) / 10
    usable = int((np.isfinite(predicted) & np.isfinite(error)).sum())
    if not usable:
        return None
    human = np.array([target.mos for target in targets])
    n = np.array([target.n for target in targets])
    variance = rating_variance(n, [target.standard_error for target in targets])
    known = PredictedIntervals(
        coverage=tuple(IntervalCoverage(level=x, share=math.nan, n=usable) for x in LEVELS),
        rating_variance=variance,
        without=len(scores) - usable,
        **_unmet(scores, targets),
    )
    if math.isnan(variance):
        return replace(
            known,
            reason="no target has n above 1 and the standard_error of its mean rating, so the "
            "noise of the mean ratings is unknown",
        )
    found = (coverage(predicted, error, human, n, variance, level) for level in LEVELS)
    return replace(known, coverage=tuple(found))


def _unmet(scores: Sequence[Score], targets: Sequence[Target]) -> dict[str, Any]:
    """What the calibration met, and which kinds of the rated pairs it did not."""
    rated = [
        (score.rating_covers, target)
        for score, target in zip(scores, targets, strict=True)
        if score.rating_covers and math.isfinite(score.rating)
    ]
    met = {kind for covers, _ in rated for kind in covers.split("; ")}
    unmet = [
        target.system or target.subset or ""
        for _, target in rated
        if (target.system or target.subset) and not {target.system, target.subset} & met
    ]
    return {
        "covers": "; ".join(sorted(met)) or None,
        "unmet": tuple(sorted(set(unmet))),
        "n_unmet": len(unmet),
    }
