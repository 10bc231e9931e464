"""Ceiling, metrics and floor in one table: what could be reached, what is, what needs no ears."""

from __future__ import annotations

import math
from dataclasses import dataclass

from humanclap.evaluation.agreement.result import (
    BETWEEN,
    CAPTIONS,
    PARTIAL,
    WITHIN,
    Comparison,
    Evaluation,
    Group,
)
from humanclap.evaluation.report.agreement_warnings import ceiling_in_words
from humanclap.evaluation.short_forms import number, percent, with_interval
from humanclap.evaluation.statistic import UNMET
from humanclap.metrics.ceiling import NoiseCeiling

CEILING, ONE_LISTENER = "noise ceiling", "one listener, against the rest"


@dataclass(frozen=True, slots=True)
class OverviewRow:
    """One line: kind is ceiling, listener, metric or trivial; cells as the columns, label first."""

    kind: str
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Overview:
    """SRCC of everything, by place."""

    columns: tuple[str, ...]
    rows: tuple[OverviewRow, ...]


def overview(comparison: Comparison) -> Overview:
    """SRCC overall, as a share of the noise ceiling, over unmet pairs, by subset and at
    each level there is.
    """
    first = comparison.evaluations[0]
    groups = [g for g in first.groups if g.level in ("overall", UNMET, "subset")]
    places = [g.label for g in groups] + [g.level for g in first.levels]
    names = [g.name or ("all pairs" if g.level == "overall" else g.level) for g in groups]
    short = {WITHIN: "within systems", PARTIAL: "within, partial", BETWEEN: BETWEEN,
             CAPTIONS: CAPTIONS}  # fmt: skip
    names += [short[g.level] for g in first.levels]
    ceilings = comparison.ceilings
    columns = ["SRCC", names[0], *(["of ceiling"] if ceilings else []), *names[1:]]
    rows = []
    if ceilings:
        rows.append(_ceiling_row(comparison, places))
        rows.append(_listener_row(comparison, places))
    for kind, evaluations in (("metric", comparison.metrics), ("trivial", comparison.trivial)):
        rows += [OverviewRow(kind, _cells(item, comparison, places)) for item in evaluations]
    return Overview(tuple(columns), tuple(rows))


def share_of_ceiling(evaluation: Evaluation, comparison: Comparison) -> float:
    """Overall SRCC divided by the noise ceiling; NaN without one."""
    ceiling = comparison.ceilings.get("overall")
    if ceiling is None:
        return math.nan
    return evaluation.overall.statistics["srcc"].value / ceiling.srcc.value


def _ceiling_row(comparison: Comparison, places: list[str]) -> OverviewRow:
    def cell(ceiling: NoiseCeiling | None) -> str:
        return "" if ceiling is None else ceiling_in_words(ceiling)

    cells = [cell(comparison.ceilings.get(place)) for place in places]
    return OverviewRow("ceiling", (CEILING, cells[0], "100 %", *cells[1:]))


def _listener_row(comparison: Comparison, places: list[str]) -> OverviewRow:
    found = [comparison.ceilings.get(place) for place in places]
    cells = ["" if item is None else number(item.one_listener_srcc) for item in found]
    overall = comparison.ceilings["overall"]
    share = percent(overall.one_listener_srcc / overall.srcc.value)
    return OverviewRow("listener", (ONE_LISTENER, cells[0], share, *cells[1:]))


def _cells(evaluation: Evaluation, comparison: Comparison, places: list[str]) -> tuple[str, ...]:
    by_place: dict[str, Group] = {g.label: g for g in (*evaluation.groups, *evaluation.levels)}
    cells = [with_interval(by_place[place].statistics["srcc"]) for place in places]
    share = [percent(share_of_ceiling(evaluation, comparison))] if comparison.ceilings else []
    return (evaluation.name, cells[0], *share, *cells[1:])
