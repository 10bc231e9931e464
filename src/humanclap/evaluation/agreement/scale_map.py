"""From a metric's score to a rating people could have given: stated, before any MSE."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from humanclap.errors import InputError
from humanclap.evaluation.settings import ScaleMapChoice
from humanclap.records import Score
from humanclap.scale import RatingScale

PREDICTED = RatingScale()
"""Scale of the column `rating` of score tables."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaleMap:
    """A map to the human scale and what it gives.

    formula: in words, to stand beside the MSE; optimistic: fitted on the very pairs it is judged
    on; predicted: shape (n,), NaN throughout where `reason` says why the map does not apply.
    """

    name: str
    formula: str
    predicted: NDArray[np.float64]
    optimistic: bool = False
    reason: str | None = None


def scale_map(
    choice: ScaleMapChoice,
    scores: Sequence[Score],
    human: NDArray[np.float64],
    rating_scale: RatingScale,
) -> ScaleMap:
    """Map scores to the human scale.

    rating: the calibrated 0..10 column, moved to the human scale; unit: low + (high - low) *
    max(score, 0), for cosines; linear-fit: least squares on these very pairs, so its error is a
    lower bound of what a map fitted elsewhere would give; auto: rating where every row has it,
    else unit. Raises InputError for `rating` where a row has none, and for ratings outside 0..10.
    """
    ratings = np.array([row.rating for row in scores], dtype=np.float64)
    values = np.array([row.score for row in scores], dtype=np.float64)
    lacking = int((~np.isfinite(ratings)).sum())
    if choice == "rating" and lacking:
        raise InputError(
            f"scale map 'rating': {lacking} of {len(scores)} scores have no rating; "
            "score with a calibrated model, or take --scale-map unit"
        )
    if choice == "linear-fit":
        return _linear_fit(values, human)
    if choice == "rating" or (choice == "auto" and not lacking):
        _check_ratings(scores)
        return ScaleMap(
            name="rating",
            formula=f"the model's calibrated rating, on {rating_scale}",
            predicted=_to_scale(ratings / 10, rating_scale),
        )
    return _unit(values, rating_scale)


def _check_ratings(scores: Sequence[Score]) -> None:
    """Predicted ratings are on 0..10, whatever the scale of the study."""
    outside = [row for row in scores if not PREDICTED.low <= row.rating <= PREDICTED.high]
    if outside:
        first = outside[0]
        raise InputError(
            f"{len(outside)} of {len(scores)} predicted ratings are outside {PREDICTED}, for "
            f"example {first.rating:g} of {first.audio!r} with {first.text!r}; the column rating "
            f"is on {PREDICTED} whatever the study's scale is: score again with this version, or "
            "take --scale-map unit"
        )


def _to_scale(unit: NDArray[np.float64], scale: RatingScale) -> NDArray[np.float64]:
    return scale.low + unit * (scale.high - scale.low)


def _unit(values: NDArray[np.float64], scale: RatingScale) -> ScaleMap:
    stretch = f"{scale.high - scale.low:g} · max(score, 0)"
    formula = stretch if scale.low == 0 else f"{scale.low:g} + {stretch}"
    if np.abs(values).max() > 1 + 1e-6:
        reason = (
            "scores lie outside -1..1, so the map 'unit' does not apply; "
            "give a rating column, or take --scale-map linear-fit"
        )
        return ScaleMap(
            name="unit", formula=formula, predicted=np.full_like(values, np.nan), reason=reason
        )
    return ScaleMap(name="unit", formula=formula, predicted=_to_scale(np.maximum(values, 0), scale))


def _linear_fit(values: NDArray[np.float64], human: NDArray[np.float64]) -> ScaleMap:
    words = "least squares on these very pairs: optimistic"
    if values.size < 3 or np.ptp(values) == 0:
        why = "fewer than 3 pairs" if values.size < 3 else "the metric is constant"
        return ScaleMap(
            name="linear-fit",
            formula=words,
            predicted=np.full_like(values, np.nan),
            optimistic=True,
            reason=f"no line can be fitted: {why}",
        )
    centred = values - values.mean()
    slope = float(centred @ human / (centred @ centred))
    offset = float(human.mean() - slope * values.mean())
    return ScaleMap(
        name="linear-fit",
        formula=f"{offset:.4g} {'+' if slope >= 0 else '-'} {abs(slope):.4g} · score ({words})",
        predicted=offset + slope * values,
        optimistic=True,
    )
