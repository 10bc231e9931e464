"""Values with their intervals, a row each, for the charts of pages and for figures."""

from __future__ import annotations

import math
from collections.abc import Iterable

from humanclap.drawing import BLUE, GREY, Mark
from humanclap.evaluation.agreement.result import Comparison, Group
from humanclap.evaluation.choices.accuracy_result import BEST, JudgedChoices
from humanclap.evaluation.choices.ranking_result import PeopleRanking
from humanclap.evaluation.leaderboard.result import Leaderboard
from humanclap.evaluation.statistic import Statistic


def _mark(label: str, found: Statistic, *, limit: float = math.nan, heard: bool = True) -> Mark:
    """heard: False for what hears nothing, which is grey."""
    return Mark(
        label=label,
        value=found.value,
        low=found.low,
        high=found.high,
        limit=limit,
        colour=BLUE if heard else GREY,
    )


def group_marks(rows: Iterable[tuple[str, Group]], comparison: Comparison) -> list[Mark]:
    """SRCC of each labelled group, and the noise ceiling of its place."""
    deaf = {item.name for item in comparison.trivial}
    limits = {label: found.srcc.value for label, found in comparison.ceilings.items()}
    return [
        _mark(
            label,
            group.statistics["srcc"],
            limit=limits.get(group.label, math.nan),
            heard=label not in deaf,
        )
        for label, group in rows
    ]


def choice_marks(judged: JudgedChoices) -> list[Mark]:
    """Accuracy of each metric and floor, and what knowing people's preference would reach."""
    found = judged.overall.accuracy
    return [
        _mark(name, found[name], limit=found[BEST].value, heard=name not in judged.floors)
        for name in (*(item.name for item in judged.metrics), *judged.floors)
    ]


def ranking_marks(ranking: PeopleRanking) -> list[Mark]:
    """Log strength of each system."""
    return [_mark(one.system, one.strength) for one in ranking.systems]


def system_marks(board: Leaderboard) -> list[Mark]:
    """Mean of each system."""
    return [Mark(label=s.system, value=s.mean, low=s.low, high=s.high) for s in board.standings]
