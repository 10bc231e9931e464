"""What is asked of a system: a mean over its prompts against a limit, higher being better."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from humanclap.evaluation.gate.pairing import PairedPrompts
from humanclap.evaluation.gate.result import Kind
from humanclap.evaluation.gate.settings import GateSettings
from humanclap.evaluation.gate.table import GateTable
from humanclap.grouping import caption_key
from humanclap.metrics.mean_rating import MapError, rating_errors
from humanclap.metrics.one_sided import clusters_needed, studentised_bounds

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """values: of each prompt, (prompts,), in the order of their keys; sign: -1 where they, and the
    limit, were turned; shared: standard error that no prompt makes smaller; own: one that shrinks
    with prompts, beside that of drawing them.
    """

    values: Floats
    limit: float
    sign: float = 1.0
    shared: float = 0.0
    own: float = 0.0

    @property
    def mean(self) -> float:
        """Over prompts; NaN where there is none."""
        return float(self.values.mean()) if self.values.size else math.nan

    @property
    def spread(self) -> float:
        """Standard deviation between prompts; NaN for fewer than 2."""
        return float(self.values.std(ddof=1)) if self.values.size > 1 else math.nan

    def bounds(self, settings: GateSettings, fail_confidence: float) -> tuple[float, float]:
        """Lower bound of the settings' confidence and upper one of `fail_confidence`; NaN for fewer
        than 2 prompts. Half widths of independent errors are added in squares (MOVER, Zou & Donner
        2008).
        """
        lower, upper = studentised_bounds(
            self.values,
            rng=np.random.default_rng(settings.seed),
            lower_confidence=settings.confidence,
            upper_confidence=fail_confidence,
            replicates=max(settings.replicates, math.ceil(10.1 / (1 - fail_confidence))),
        )
        error = math.hypot(self.shared, self.own)
        if error == 0 or math.isnan(lower):
            return lower, upper
        low, high = (float(stats.norm.ppf(x)) for x in (settings.confidence, fail_confidence))
        return (
            self.mean - math.hypot(self.mean - lower, low * error),
            self.mean + math.hypot(upper - self.mean, high * error),
        )

    def needed(self, distance: float, settings: GateSettings, confidence: float) -> float:
        """Prompts at which a bound of this confidence clears a limit so far from the truth,
        `min_prompts` at least; NaN where the spread is unknown.
        """
        if math.isnan(self.spread):
            return math.nan
        count = clusters_needed(
            math.hypot(self.spread, self.own * math.sqrt(self.values.size)),
            distance,
            error=self.shared,
            confidence=confidence,
            power=settings.power,
        )
        return max(count, float(settings.min_prompts))


def question(
    kind: Kind,
    pair: PairedPrompts,
    settings: GateSettings,
    new: GateTable,
    map_error: MapError | None,
) -> Question:
    """What is asked; raises TableError at a clip without the rating that is wanted."""
    if kind == "rating":
        return _of_ratings(pair, float(settings.min_rating or 0), new, map_error)
    sign = -1.0 if settings.lower_is_better else 1.0
    if kind == "limit":
        return Question(values=sign * pair.new, limit=sign * float(settings.limit or 0), sign=sign)
    margin = float(settings.margin or 0)
    return Question(values=sign * (pair.new - pair.baseline), limit=0.0 - margin, sign=sign)


def _of_ratings(
    pair: PairedPrompts, limit: float, new: GateTable, map_error: MapError | None
) -> Question:
    for row in pair.rows:
        if not (math.isfinite(row.score.rating) and math.isfinite(row.score.rating_error)):
            raise new.error(
                "has no rating with its rating_error: the model that scored it is not calibrated; "
                "set a limit of the score instead, or score with a calibrated model",
                row,
            )
    if not pair.rows:
        return Question(values=np.empty(0), limit=limit)
    place = {key: i for i, key in enumerate(pair.prompts)}
    of = np.array([place[caption_key(row.score.text)] for row in pair.rows], dtype=np.int64)
    clips = np.bincount(of)
    ratings = np.bincount(of, weights=[row.score.rating for row in pair.rows]) / clips
    weights = 1 / (len(place) * clips[of])
    shared, own = rating_errors([row.score for row in pair.rows], weights, map_error)
    return Question(values=ratings, limit=limit, shared=shared, own=own)
