"""What a metric's model met of the judged pairs before: in training, tuning or calibration."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from humanclap.errors import LeakageError, listed
from humanclap.records import UNKNOWN_MET, Score, roles_met

MAX_NAMED = 3
"""How many pairs a refusal names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """Counts over the scores of one table that were judged.

    total: scores; met: those of which the model met caption or clip; by: counts by what was met and
    as what, such as `clip, calibrated` (a pair may count several times); unknown: scores of which
    it cannot be told; unsaid: scores whose table says nothing.
    """

    total: int
    met: int = 0
    by: Mapping[str, int] = field(default_factory=dict)
    unknown: int = 0
    unsaid: int = 0

    def in_words(self) -> str:
        """`12 of 300 judged pairs (10 by caption, trained; 4 by clip, calibrated)`."""
        parts = "; ".join(f"{count:,} by {how}" for how, count in self.by.items())
        return f"{self.met:,} of {self.total:,} judged pairs ({parts})"


def exposure(scores: Sequence[Score]) -> Exposure:
    """Count what a table's column `met` says.

    >>> rows = [Score(audio="a", text="b", score=0.1, met=met)
    ...         for met in ("clip:tuned", "caption:trained+clip:tuned", "nothing", "unknown", None)]
    >>> exposure(rows).in_words(), exposure(rows).unknown, exposure(rows).unsaid
    ('2 of 5 judged pairs (2 by clip, tuned; 1 by caption, trained)', 1, 1)
    """
    by: Counter[str] = Counter()
    met = 0
    for row in scores:
        sides = roles_met(row.met)
        met += bool(sides)
        by.update(f"{side}, {role}" for side, roles in sides.items() for role in roles)
    return Exposure(
        total=len(scores),
        met=met,
        by=dict(by.most_common()),
        unknown=sum(row.met == UNKNOWN_MET for row in scores),
        unsaid=sum(row.met is None for row in scores),
    )


def refuse_met(tables: Mapping[str, Sequence[Score]]) -> None:
    """Raise LeakageError where a table's model met any of its pairs, naming the first three."""
    for name, scores in tables.items():
        met = [row for row in scores if roles_met(row.met)]
        if met:
            named = listed(
                met,
                MAX_NAMED,
                show=lambda row: f"{row.audio} | {row.text}: {row.met}",
                between="; ",
                rest="; and {} more",
            )
            raise LeakageError(
                f"{name}: its model met {len(met)} of {len(scores)} pairs before: {named} "
                "(leave them out of the table of pairs, or go without --refuse-trained-on and "
                "read the figures without them)"
            )
