"""Rating scales: the range a listener answered on, and its map to [0, 1]."""

from __future__ import annotations

import math
from dataclasses import dataclass

from humanclap.errors import SettingsError


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
        low, dots, high = text.partition("..")
        try:
            if not dots:
                raise ValueError(text)
            ends = float(low), float(high)
        except ValueError as error:
            raise SettingsError(f"a rating scale is written low..high, not {text!r}") from error
        return cls(low=ends[0], high=ends[1])
