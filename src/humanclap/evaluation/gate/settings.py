"""What a gate asks; everything that changes its verdict is here."""

from __future__ import annotations

import math
from dataclasses import dataclass

from humanclap.errors import SettingsError
from humanclap.metrics.one_sided import REPLICATES, check_bound
from humanclap.settings import check_least

MIN_PROMPTS = 20
"""With fewer, bounds pass too much where few prompts lose a lot (benchmarks/gate_simulation.py)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GateSettings:
    """Settings of a gate.

    metric: the column that is judged, by its direction; margin: how much worse the new mean may be
    than that of the baseline, 0 or above; min_score, max_score: limit of the mean of the metric,
    the latter where lower is better; min_rating: limit of the mean predicted rating, on 0..10.
    systems: only these of the new table, all where empty; baseline_system: the one of the baseline
    that the new one is set against, told by its name where None. confidence: of each one-sided
    bound; power: of the number of prompts needed; min_prompts: with fewer the answer is
    never pass or fail; max_failed: rows of the new systems that may lack a score; shared_only:
    leave out prompts that one side lacks; worst: prompts named.
    """

    metric: str = "score"
    lower_is_better: bool = False
    margin: float | None = None
    min_score: float | None = None
    max_score: float | None = None
    min_rating: float | None = None
    systems: tuple[str, ...] = ()
    baseline_system: str | None = None
    shared_only: bool = False
    force: bool = False
    max_failed: int = 0
    min_prompts: int = MIN_PROMPTS
    confidence: float = 0.95
    power: float = 0.8
    replicates: int = REPLICATES
    seed: int = 0
    worst: int = 5

    def __post_init__(self) -> None:
        self._check_limits()
        for name in ("confidence", "power"):
            if not 0.5 < getattr(self, name) < 1.0:
                value = getattr(self, name)
                raise SettingsError(f"{name} is {value}; expected a number between 0.5 and 1")
        for name, least in (("max_failed", 0), ("min_prompts", 2), ("worst", 0), ("seed", 0)):
            check_least(name, getattr(self, name), least)
        check_bound(self.confidence, self.replicates)

    def _check_limits(self) -> None:
        for name in ("margin", "min_score", "max_score", "min_rating"):
            value = getattr(self, name)
            if value is not None and not math.isfinite(value):
                raise SettingsError(f"{name} is {value}; expected a finite number")
        if self.margin is not None and self.margin < 0:
            raise SettingsError(f"margin is {self.margin}; a loss that is allowed is 0 or above")
        if self.min_rating is not None and not 0 <= self.min_rating <= 10:
            raise SettingsError(
                f"min_rating is {self.min_rating}; predicted ratings lie on 0..10 (a limit of the "
                "metric itself is min_score)"
            )
        if self.lower_is_better and self.min_score is not None:
            raise SettingsError("lower is better, so the mean has a max_score and no min_score")
        if not self.lower_is_better and self.max_score is not None:
            raise SettingsError(
                "max_score limits a column where lower is better; say so (lower_is_better), or "
                "give min_score"
            )
        if self.lower_is_better and self.metric in ("score", "rating"):
            raise SettingsError(f"higher is better for the column {self.metric}")

    @property
    def limit(self) -> float | None:
        """The limit of the metric's mean, in its direction."""
        return self.max_score if self.lower_is_better else self.min_score
