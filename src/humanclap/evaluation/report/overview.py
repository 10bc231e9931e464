"""Ceiling, metrics and floor in one table: what could be reached, what is, what needs no ears."""

from __future__ import annotations

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
from humanclap.evaluation.report.document import Section
from humanclap.evaluation.short_forms import number, percent, with_interval
from humanclap.evaluation.statistic import UNMET

CEILING, ONE_LISTENER = "noise ceiling", "one listener, against the rest"


def overview(comparison: Comparison) -> Section:
    """SRCC overall, as a share of the noise ceiling, over unmet pairs, by subset and at
    each level there is; rows of the kinds ceiling, listener, metric and trivial.
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
    rows, kinds = [], []
    if ceilings:
        overall = ceilings["overall"]
        found = [ceilings.get(place) for place in places]
        cells = ["" if item is None else ceiling_in_words(item) for item in found]
        rows.append([CEILING, cells[0], "100 %", *cells[1:]])
        cells = ["" if item is None else number(item.one_listener_srcc) for item in found]
        share = percent(overall.one_listener_srcc / overall.srcc.value)
        rows.append([ONE_LISTENER, cells[0], share, *cells[1:]])
        kinds += ["ceiling", "listener"]
    for item in (*comparison.metrics, *comparison.trivial):
        rows.append(_row(item, comparison, places))
        kinds.append("trivial" if item.trivial else "metric")
    return Section(title="Ceiling, metrics, floor", rows=(columns, rows), kinds=kinds)


def _row(evaluation: Evaluation, comparison: Comparison, places: list[str]) -> list[str]:
    by_place: dict[str, Group] = {g.label: g for g in (*evaluation.groups, *evaluation.levels)}
    srcc = [by_place[place].statistics["srcc"] for place in places]
    first, *further = map(with_interval, srcc)
    ceiling = comparison.ceilings.get("overall")
    share = [] if ceiling is None else [percent(srcc[0].value / ceiling.srcc.value)]
    return [evaluation.name, first, *share, *further]
