"""A small picture of a system's interval as ratings come in; points only, the page draws."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from humanclap.listening.design.design import ScaleDesign

if TYPE_CHECKING:
    from humanclap.listening.results.monitor import SystemProgress

WIDTH, HEIGHT, MARGIN = 220, 48, 4
SHARES = ScaleDesign(low=0.0, high=1.0, step=1.0)
"""Where the interval of a share lies."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Whisker:
    """One interval: x by the number of ratings, y from the scale's top."""

    x: float
    low: float
    high: float
    mean: float
    label: str


def interval_chart(system: SystemProgress, scale: ScaleDesign, most_ratings: int) -> list[Whisker]:
    """Whiskers of the system's history, in the coordinates of a WIDTH x HEIGHT picture."""

    def y(value: float) -> float:
        unit = min(max(scale.rating_scale.to_unit(value), 0.0), 1.0)
        return round(HEIGHT - MARGIN - unit * (HEIGHT - 2 * MARGIN), 1)

    return [
        Whisker(
            x=round(MARGIN + (WIDTH - 2 * MARGIN) * item.n_ratings / most_ratings, 1),
            low=y(item.mean - item.half_width),
            high=y(item.mean + item.half_width),
            mean=y(item.mean),
            label=f"{item.mean:.2f} ± {item.half_width:.2f} after {item.n_ratings} answers",
        )
        for item in system.history
        if not math.isnan(item.half_width)
    ]
