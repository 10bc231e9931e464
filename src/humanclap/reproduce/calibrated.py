"""How far predicted ratings are from people's means, and how often their intervals hold them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from humanclap.evaluation.agreement.rating_intervals import PredictedIntervals, predicted_intervals
from humanclap.grouping import caption_key
from humanclap.metrics.bootstrap import bootstrap
from humanclap.metrics.prediction_quality import coverage
from humanclap.metrics.weighted import cluster_codes
from humanclap.records import Score, Target
from humanclap.reproduce.agreement import Estimate
from humanclap.scale import RatingScale
from humanclap.tables import read_scores

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibrated:
    """On the study's scale. error: mean distance of predicted and mean ratings; bias: predicted
    less observed; shares: of the means within their intervals, by level, empty where unknown.
    """

    error: Estimate
    bias: Estimate
    shares: tuple[Estimate, ...]


def judge_ratings(
    predictions: Path, judged: Sequence[Target], *, scale: RatingScale, replicates: int
) -> tuple[PredictedIntervals | None, Calibrated | None]:
    """Of a table of predictions for the judged pairs; None where it predicts no ratings."""
    of_pair = {score.pair_id: score for score in read_scores(predictions)}
    ordered = [of_pair[target.pair_id] for target in judged]
    known = predicted_intervals(ordered, judged, scale)
    if known is None:
        return None, None
    off = np.array([scale.from_unit(one.rating / 10) for one in ordered]) - [t.mos for t in judged]
    columns = [np.abs(off), off]
    if known.reason is None:
        columns += [
            _held(ordered, judged, known, level=one.level, scale=scale) for one in known.coverage
        ]
    found = _averages(columns, judged, replicates)
    return known, Calibrated(error=found[0], bias=found[1], shares=tuple(found[2:]))


def _held(
    scores: Sequence[Score],
    judged: Sequence[Target],
    known: PredictedIntervals,
    *,
    level: float,
    scale: RatingScale,
) -> Floats:
    """1 where a pair's mean lies within its interval, else 0; NaN without one, (n,)."""
    width = (scale.high - scale.low) / 10
    return np.array(
        [
            coverage(
                [scale.from_unit(score.rating / 10)],
                [width * score.rating_error],
                [target.mos],
                [target.n],
                known.rating_variance,
                level,
            ).share
            for score, target in zip(scores, judged, strict=True)
        ]
    )


def _averages(
    columns: Sequence[Floats], judged: Sequence[Target], replicates: int
) -> list[Estimate]:
    """Means of the pairs that have a value, with intervals by a bootstrap over captions."""
    codes = cluster_codes([caption_key(target.text) for target in judged])
    held = np.array([np.nan_to_num(column) for column in columns])
    has = np.array([np.isfinite(column) for column in columns], np.float64)

    def statistic(times: Floats) -> dict[str, Floats]:
        often = times[:, codes]
        means = (often @ held.T) / (often @ has.T)
        return {str(number): means[:, number] for number in range(len(columns))}

    found = bootstrap(
        statistic, int(codes.max()) + 1, rng=np.random.default_rng(0), replicates=replicates
    )
    return [
        Estimate(value=float(np.nanmean(column)), low=one.low, high=one.high, reason=one.reason)
        for column, one in zip(columns, found.values(), strict=True)
    ]
