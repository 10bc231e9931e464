"""Rating scales: the range a listener answered on, and its map to [0, 1]."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from humanclap.errors import InputError, SettingsError


@dataclass(frozen=True, slots=True, kw_only=True)
class RatingScale:
    """A closed interval of ratings, `low` = no match at all, `high` = perfect match.

    >>> RatingScale(low=0, high=10).to_unit(7.5)
    0.75
    """

    low: float = 0.0
    high: float = 10.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise SettingsError(
                f"a rating scale needs finite low < high, not {self.low}..{self.high}"
            )

    def __contains__(self, rating: float) -> bool:
        return self.low <= rating <= self.high

    def __str__(self) -> str:
        return f"{self.low:g}..{self.high:g}"

    def to_unit(self, rating: float) -> float:
        """Map low..high linearly to 0..1."""
        return (rating - self.low) / (self.high - self.low)

    def from_unit(self, unit: float) -> float:
        """Map 0..1 linearly to low..high."""
        return self.low + unit * (self.high - self.low)

    @classmethod
    def parse(cls, text: str) -> RatingScale:
        """Read `low..high`, for example `0..10` or `1..5`."""
        low, _, high = text.partition("..")
        try:
            ends = {"low": float(low), "high": float(high)}
        except ValueError as error:
            raise SettingsError(f"a rating scale is written low..high, not {text!r}") from error
        return cls(**ends)


UNSTATED = RatingScale()
"""The scale where none is stated; a stated 0..10 is equal to it, but another object."""

ENOUGH_TO_DOUBT = 10
"""Fewer ratings than this may lie in a part of the scale by chance."""
_LIKELY_OTHERS = (RatingScale(low=0.0, high=1.0), RatingScale(low=1.0, high=5.0))
_ROUNDING = 0.01
"""How far rounded targets may lie from a line, on 0..1."""
_APART = 0.02


def other_scale(ratings: Sequence[float], scale: RatingScale) -> RatingScale | None:
    """The narrower scale, 0..1 or 1..5, that holds all ratings, where there are ten or more.

    None where neither does, and where `scale` was stated.

    >>> str(other_scale([4.0, 5.0] * 5, UNSTATED)), other_scale([4.0, 5.0] * 5, RatingScale())
    ('1..5', None)
    """
    if scale is not UNSTATED or len(ratings) < ENOUGH_TO_DOUBT:
        return None
    return next((one for one in _LIKELY_OTHERS if all(x in one for x in ratings)), None)


def ask_for_scale(
    ratings: Sequence[float], scale: RatingScale, *, where: str, option: str = "--rating-scale"
) -> None:
    """Raise InputError where the scale was not stated and the ratings may be on a narrower one.

    option: the name of the option that states it.
    """
    other = other_scale(ratings, scale)
    if other is not None:
        raise InputError(
            f"{where}: all {len(ratings)} ratings lie in {other} (from {min(ratings):g} to "
            f"{max(ratings):g}), and no scale was given: state it, "
            f"{option} {other} or {option} {UNSTATED}"
        )


def check_targets_scale(
    targets: Sequence[float],
    ratings: Sequence[float],
    scale: RatingScale,
    *,
    where: str,
    option: str = "--rating-scale",
) -> None:
    """Raise InputError where targets in 0..1 were made from mean ratings on another scale.

    targets, ratings: of the same pairs. Targets are refused where, but for rounding, they lie on
    the line of another scale and not on that of `scale`. Targets that lie on no line were made in
    another way; they pass, and so do targets with fewer than three values.
    """
    line = _scale_of(targets, ratings)
    if line is None:
        return
    low, high, spread = line
    given = [
        scale.to_unit(rating) - target for rating, target in zip(ratings, targets, strict=True)
    ]
    if _root_mean_square(given) <= max(_APART, 4 * spread) or spread > _ROUNDING:
        return
    worst = max(range(len(given)), key=lambda place: abs(given[place]))
    width = high - low
    ends = [round(x) if abs(x - round(x)) <= _APART * width else x for x in (low, high)]
    likely = f"{ends[0]:.3g}..{ends[1]:.3g}"
    raise InputError(
        f"{where}: the columns target and mos are of two scales: mos {ratings[worst]:g} has target "
        f"{targets[worst]:.3g}, on {scale} it would be {scale.to_unit(ratings[worst]):.3g}; the "
        f"targets fit ratings on {likely}: give {option} {likely}, or make the targets anew"
    )


def _scale_of(
    targets: Sequence[float], ratings: Sequence[float]
) -> tuple[float, float, float] | None:
    """(low, high) of the least-squares line rating = low + (high - low) target, and the root mean
    square of the residuals, on 0..1; None where there is no rising line.
    """
    from statistics import linear_regression

    if len(set(targets)) < 3:
        return None
    slope, low = linear_regression(targets, ratings)
    if not slope > 0:
        return None
    left = [(y - low) / slope - x for x, y in zip(targets, ratings, strict=True)]
    return low, low + slope, _root_mean_square(left)


def _root_mean_square(values: Sequence[float]) -> float:
    return math.sqrt(math.fsum(value * value for value in values) / len(values))
