"""Which of the judged pairs belong to which place: groups, levels, systems left out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from humanclap.evaluation.agreement.result import WITHOUT
from humanclap.evaluation.join import Joined
from humanclap.evaluation.settings import EvaluationSettings
from humanclap.evaluation.statistic import UNMET
from humanclap.metrics.levels import MIN_SYSTEMS
from humanclap.metrics.weighted import cluster_codes
from humanclap.records import Score, Target, roles_met

NOT_STATED = "(not stated)"
"""Group of the pairs whose subset, system or split no table names."""

Places = NDArray[np.intp]
Members = dict[tuple[str, str], Places]
"""Rows of each group, by level and name."""


def members_of(joined: Joined[Target], settings: EvaluationSettings) -> Members:
    """Rows of each group. A level where all pairs share one value makes no group."""
    everyone = np.arange(len(joined.targets))
    found = {("overall", ""): everyone}
    tables = joined.scores.values()
    met = {i for table in tables for i, row in enumerate(table) if roles_met(row.met)}
    unmet = [i for i in everyone if i not in met] if met else everyone
    if 0 < len(unmet) < len(everyone):
        found[UNMET, ""] = everyone[unmet]
    for level in settings.by:
        values: dict[str, list[int]] = {}
        for i, value in enumerate(of_level(joined, level)):
            values.setdefault(value, []).append(i)
        names = sorted(values.keys() - {NOT_STATED}) + [NOT_STATED] * (NOT_STATED in values)
        if len(names) > 1:
            for name in names:
                found[level, name] = everyone[values[name]]
    return found


def without_each(members: Members) -> Members:
    """All pairs but those of one system, for each system, where there are three or more."""
    of_systems = {name: index for (level, name), index in members.items() if level == "system"}
    if len(of_systems) < MIN_SYSTEMS or NOT_STATED in of_systems:
        return {}
    everyone = members["overall", ""]
    return {(WITHOUT, name): np.setdiff1d(everyone, index) for name, index in of_systems.items()}


def system_codes(joined: Joined[Target], settings: EvaluationSettings) -> Places | None:
    """Number of each pair's system; None unless every pair states one and there are several."""
    systems = of_level(joined, "system")
    if "system" not in settings.by or NOT_STATED in systems or len(set(systems)) < 2:
        return None
    return cluster_codes(systems)


def of_level(joined: Joined[Target], level: str) -> list[str]:
    """What the target says of each pair, else what the first table that says anything does."""
    columns: list[Sequence[Target] | Sequence[Score]] = [joined.targets, *joined.scores.values()]
    said = [[getattr(row, level) for row in column] for column in columns]
    return [next(filter(None, of_pair), NOT_STATED) for of_pair in zip(*said, strict=True)]


def stated(value: str) -> str | None:
    """None for a value that no table names."""
    return None if value == NOT_STATED else value
