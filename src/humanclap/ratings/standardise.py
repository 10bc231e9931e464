"""z-scores by listener: they take out how each listener uses the scale."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from humanclap.errors import InputError
from humanclap.records import Rating
from humanclap.scale import RatingScale


@dataclass(frozen=True, slots=True, kw_only=True)
class RatingHabit:
    """How a listener uses the scale: mean and standard deviation (ddof 0) of n ratings.

    A deviation of zero (always the same answer, or only one) becomes 1.
    """

    mean: float
    deviation: float
    n: int


def listener_habits(ratings: Sequence[Rating]) -> dict[str, RatingHabit]:
    """The habit of each listener, over the ordinary ratings given (anchors do not count)."""
    scores: dict[str, list[float]] = defaultdict(list)
    for rating in ratings:
        if rating.kind == "rating":
            scores[rating.listener_id].append(rating.score)
    return {listener_id: _habit(of_listener) for listener_id, of_listener in scores.items()}


def _habit(scores: Sequence[float]) -> RatingHabit:
    n = len(scores)
    mean = math.fsum(scores) / n
    constant = min(scores) == max(scores)
    variance = math.fsum((score - mean) ** 2 for score in scores) / n
    return RatingHabit(mean=mean, deviation=1.0 if constant else math.sqrt(variance), n=n)


def global_habit(habits: Mapping[str, RatingHabit]) -> RatingHabit:
    """One habit for all: mean of the means, root mean square of the deviations.

    Source: SPO-CLAPScore (arXiv 2601.02900), which standardises its validation ratings so.
    """
    if not habits:
        raise InputError("there are no ratings to take a mean and deviation from")
    k = len(habits)
    return RatingHabit(
        mean=math.fsum(habit.mean for habit in habits.values()) / k,
        deviation=math.sqrt(math.fsum(habit.deviation**2 for habit in habits.values()) / k),
        n=sum(habit.n for habit in habits.values()),
    )


def standardise(
    ratings: Sequence[Rating], habits: Mapping[str, RatingHabit] | None = None
) -> list[Rating]:
    """Each score as z = (score - mean) / deviation of its listener; anchors too.

    habits: those of `ratings` unless given. Raises InputError for a listener without one, who has
    answered only anchors or attention checks.
    """
    habits = listener_habits(ratings) if habits is None else habits
    missing = sorted({rating.listener_id for rating in ratings} - habits.keys())
    if missing:
        raise InputError(
            f"{len(missing)} listeners have no ordinary rating to standardise by, "
            f"for example {missing[0]!r}"
        )
    standardised = []
    for rating in ratings:
        habit = habits[rating.listener_id]
        standardised.append(replace(rating, score=(rating.score - habit.mean) / habit.deviation))
    return standardised


def back_to_scale(
    standardised: Sequence[Rating], habit: RatingHabit, scale: RatingScale
) -> tuple[list[Rating], int]:
    """Turn z-scores back into ratings, mean + deviation * z, by one habit. The step is our own.

    Returns the ratings and how many fell outside the scale and were set to its end.
    """
    ratings, n_clipped = [], 0
    for rating in standardised:
        score = habit.mean + habit.deviation * rating.score
        inside = min(max(score, scale.low), scale.high)
        n_clipped += inside != score
        ratings.append(replace(rating, score=inside))
    return ratings, n_clipped


def standardise_on_scale(ratings: Sequence[Rating], scale: RatingScale) -> tuple[list[Rating], int]:
    """z-scores by listener, put back on the scale by the global habit of the same ratings.

    A listener without ordinary ratings gets the global habit, so those scores stay. Returns the
    ratings and how many were set to an end of the scale.
    """
    habits = listener_habits(ratings)
    everyone = global_habit(habits)
    habits |= {r.listener_id: everyone for r in ratings if r.listener_id not in habits}
    return back_to_scale(standardise(ratings, habits), everyone, scale)
