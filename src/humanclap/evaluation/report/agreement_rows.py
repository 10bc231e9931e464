"""Metrics judged by ratings in rows: their groups and levels, and their differences."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from humanclap.evaluation.agreement.result import (
    HEADINGS,
    STATISTICS,
    Comparison,
    Difference,
    Evaluation,
    Group,
)
from humanclap.evaluation.report.document import Rows
from humanclap.evaluation.short_forms import p_value, signed, with_interval
from humanclap.evaluation.statistic import Statistic


def places(of: Evaluation | Difference) -> Sequence[Group]:
    """Groups and levels, and of a metric all pairs but those of one system."""
    left_out = of.without if isinstance(of, Evaluation) else ()
    return (*of.groups, *of.levels, *left_out)


def cells(group: Group, names: Iterable[str], form: Callable[[Statistic], str]) -> list[str]:
    """Statistics of a group as `form` writes them, empty where it has none."""
    found = group.statistics
    return [form(found[name]) if name in found else "" for name in names]


def group_rows(evaluation: Evaluation) -> Rows:
    """Every statistic with its interval at every place."""
    heads = ["group", "n", "captions", *(HEADINGS[name] for name in STATISTICS)]
    return heads, [
        [g.label, f"{g.n:,}", f"{g.captions:,}", *cells(g, STATISTICS, with_interval)]
        for g in places(evaluation)
    ]


def difference_rows(
    comparison: Comparison, differences: Sequence[Difference], names: Sequence[str] = STATISTICS
) -> Rows:
    """The statistics `names` of differences at every place, with the test over all pairs."""
    heads = ["difference", "group", "n", *(f"Δ\u00a0{HEADINGS[name]}" for name in names)]
    rows = []
    for difference in differences:
        test = comparison.test(difference.name, difference.baseline)
        name = f"{difference.name} - {difference.baseline}"
        for group in places(difference):
            p = p_value(test) if test is not None and group.level == "overall" else ""
            rows.append([name, group.label, f"{group.n:,}", *cells(group, names, signed), p])
    return [*heads, "p of SRCC"], rows
