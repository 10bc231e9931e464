"""From a score to the rating that people would give: `Calibration`, a part of a checkpoint."""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass

import numpy as np

from humanclap.errors import CheckpointError


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """A rising, piecewise-linear map from a score to the predicted human rating, with its error.

    scores: knots, increasing. ratings: one for each knot, never falling. errors: one for each knot,
    the standard error of the predicted rating, above 0, in rating units. It is the standard
    deviation of (the mean rating of ever more listeners) minus (the predicted rating); the mean of
    a few listeners is further off, by its own noise. map_errors: one for each knot, the part of the
    error that is the map's own uncertainty, which all predictions share; empty where unknown.
    fitted_on, n: the pairs it was fitted on, and how many they were
    (`metrics.rating_map.fit_rating_map`). low, high: predictions are clipped to these. guess: the
    pairs were too few to estimate the errors. covers: the kinds of sound among them, by system or
    subset such as `natural`; empty where unknown. Raises CheckpointError for knots that break these
    rules.

    >>> bent = Calibration(scores=(0.0, 0.25, 0.5), ratings=(1.0, 2.0, 8.0), errors=(1.0, 1.5, 2.0),
    ...                    fitted_on="validation", n=500)
    >>> bent.rating(0.375), bent.standard_error(0.375)
    (5.0, 1.75)
    """

    scores: tuple[float, ...]
    ratings: tuple[float, ...]
    errors: tuple[float, ...]
    fitted_on: str
    n: int
    low: float = 0.0
    high: float = 10.0
    guess: bool = False
    covers: tuple[str, ...] = ()
    map_errors: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        for name in ("scores", "ratings", "errors", "map_errors"):  # JSON gives lists
            object.__setattr__(self, name, tuple(map(float, getattr(self, name))))
        object.__setattr__(self, "covers", tuple(self.covers))
        problem = self._problem()
        if problem:
            raise CheckpointError(f"calibration: {problem}")

    def _problem(self) -> str | None:
        sizes = len(self.scores), len(self.ratings), len(self.errors)
        if 0 in sizes or len(set(sizes)) > 1:
            counts = "{} scores, {} ratings and {} errors".format(*sizes)
            return f"{counts}; expected as many of each, one or more"
        numbers = (*self.scores, *self.ratings, *self.errors, self.low, self.high)
        if not all(map(math.isfinite, numbers)):
            return "expected finite numbers only"
        if not (np.diff(self.scores) > 0).all():
            return f"scores {self.scores} do not increase"
        if not (np.diff(self.ratings) >= 0).all():
            return f"ratings {self.ratings} fall"
        if min(self.errors) <= 0:
            return f"errors {self.errors} are not all above 0"
        if self.map_errors and not self._parts_fit():
            return f"map_errors {self.map_errors} are not a part of errors {self.errors}"
        if self.n < 1:
            return f"n is {self.n}; it is fitted on one pair or more"
        if not self.low < self.high:
            return f"low {self.low:g} is not below high {self.high:g}"
        return None

    def _parts_fit(self) -> bool:
        return len(self.map_errors) == len(self.errors) and all(
            0 <= part <= whole * (1 + 1e-9)
            for part, whole in zip(self.map_errors, self.errors, strict=True)
        )

    def rating(self, score: float) -> float:
        """Predicted rating on low..high; NaN for a NaN score.

        Beyond the outer knots the outer segments go on in a straight line; a single knot is a
        constant rating.
        """
        if math.isnan(score):
            return math.nan
        value = self.ratings[0]
        if len(self.scores) > 1:
            right = min(max(bisect_right(self.scores, score), 1), len(self.scores) - 1)
            start, end = self.scores[right - 1 : right + 1]
            first, last = self.ratings[right - 1 : right + 1]
            value = first + (score - start) / (end - start) * (last - first)
        return min(max(value, self.low), self.high)

    def standard_error(self, score: float) -> float:
        """Standard error of `rating(score)`, constant beyond the outer knots; NaN for NaN."""
        return float(np.interp(score, self.scores, self.errors))

    def map_error(self, score: float) -> float:
        """The part of `standard_error(score)` that predictions share; all of it where unknown."""
        parts = self.map_errors or self.errors
        return float(np.interp(score, self.scores, parts))
