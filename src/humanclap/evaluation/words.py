"""The findings in words and short forms, shared by every kind of report."""

from __future__ import annotations

import math

from humanclap.evaluation.result import Comparison, Difference, Evaluation, Statistic

HEADINGS = {"srcc": "SRCC", "lcc": "LCC", "ktau": "KTAU", "mse": "MSE", "mae": "MAE"}
"""Statistic -> heading of its column."""

UNDEFINED = "–"


def number(value: float) -> str:
    """Three decimals; a dash where undefined.

    >>> number(0.34567), number(-0.0001), number(float("nan"))
    ('0.346', '0.000', '–')
    """
    return UNDEFINED if math.isnan(value) else f"{value:.3f}".replace("-0.000", "0.000")


def interval(statistic: Statistic) -> str:
    """`[low, high]`, or nothing where there is no interval."""
    if math.isnan(statistic.low):
        return ""
    return f"[{number(statistic.low)}, {number(statistic.high)}]"


def with_interval(statistic: Statistic) -> str:
    """`value [low, high]`."""
    return f"{number(statistic.value)} {interval(statistic)}".rstrip()


def signed(statistic: Statistic) -> str:
    """A difference with its sign and interval."""
    plus = "+" if statistic.value > 0 else ""
    return plus + with_interval(statistic)


def counted(count: int, noun: str) -> str:
    """`1 pair`, `1,287 pairs`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def summary(comparison: Comparison) -> list[str]:
    """What was found, in sentences, the most important first."""
    sentences = [_agreement(evaluation) for evaluation in comparison.evaluations]
    sentences += [_difference(difference) for difference in comparison.differences]
    return [*sentences, coverage(comparison)]


def _agreement(evaluation: Evaluation) -> str:
    group = evaluation.overall
    rank = group.statistics["srcc"]
    pairs = f"{counted(group.n, 'pair')} ({counted(group.captions, 'caption')})"
    if math.isnan(rank.value):
        return f"{evaluation.name}: agreement on {pairs} is undefined: {rank.reason}."
    sentence = (
        f"{evaluation.name} orders {pairs} as people do with SRCC {with_interval(rank)}: "
        f"{_strength(rank)}."
    )
    subsets = [g for g in evaluation.groups if g.level == "subset"]
    parts = [f"{g.name} {with_interval(g.statistics['srcc'])}" for g in subsets]
    return f"{sentence} By subset: {', '.join(parts)}." if parts else sentence


def _strength(rank: Statistic) -> str:
    if math.isnan(rank.low):
        return "no interval can be given"
    if rank.low > 0:
        return "agreement beyond chance"
    if rank.high < 0:
        return "it runs against people's order"
    return "the interval holds 0, so no agreement is shown"


def _difference(difference: Difference) -> str:
    rank = difference.overall.statistics["srcc"]
    names = f"{difference.name} against {difference.baseline}"
    if math.isnan(rank.value):
        return f"{names}: undefined: {rank.reason}."
    told = f"{names} on the same pairs: SRCC {signed(rank)}"
    if math.isnan(rank.low):
        return f"{told}, no interval can be given."
    if rank.low <= 0 <= rank.high:
        return f"{told}, no difference is shown."
    return f"{told}, {'better' if rank.low > 0 else 'worse'}."


def scale_map_line(evaluation: Evaluation) -> str:
    """How scores became ratings before MSE and MAE."""
    return f"MSE and MAE after scale map '{evaluation.scale_map}': {evaluation.scale_map_formula}"


def coverage(comparison: Comparison) -> str:
    """Which targets were judged and what was left out."""
    counts = comparison.evaluations[0].counts
    if counts.anchors_judged:
        anchors = f", of which {counted(counts.anchors_judged, 'anchor')}"
    elif counts.anchors:
        anchors = f"; {counted(counts.anchors, 'anchor')} left out (--include-anchors judges them)"
    else:
        anchors = "; no anchors among them"
    checks = counts.attention_checks
    left = f"; {counted(checks, 'attention check')} left out" if checks else ""
    lost = [
        f"{counted(len(found.missing), 'target')} without a score and "
        f"{len(found.failed):,} failed in {evaluation.name}"
        for evaluation in comparison.evaluations
        if (found := evaluation.coverage).missing or found.failed
    ]
    lost_too = f"; {', '.join(lost)}, so the figures speak for the rest only" if lost else ""
    total = counted(counts.total, "target")
    return f"Judged {counts.judged:,} of {total}{anchors}{left}{lost_too}."


def rows_line(evaluation: Evaluation) -> str:
    """Counts of targets without a score, of failed and of extra rows."""
    found = evaluation.coverage
    unsigned = f", {found.unsigned} without a signature" if found.unsigned else ""
    return (
        f"missing {len(found.missing)}, failed {len(found.failed)}, "
        f"extra {len(found.extra)}{unsigned}"
    )


def signature_line(evaluation: Evaluation) -> str:
    """The signature of the scores, or why there is none."""
    if evaluation.coverage.signatures > 1:
        return f"{evaluation.coverage.signatures} unlike signatures, mixed by --force"
    return evaluation.coverage.signature or "none in the table"


def bootstrap_line(comparison: Comparison) -> str:
    """How the intervals were made."""
    settings = comparison.settings
    undefined = {
        f"{group.label} {HEADINGS[name]} {statistic.undefined}"
        for evaluation in comparison.evaluations
        for group in evaluation.groups
        for name, statistic in group.statistics.items()
        if statistic.undefined and math.isfinite(statistic.value)
    }
    left = f"; undefined replicates left out: {', '.join(sorted(undefined))}" if undefined else ""
    return (
        f"{100 * settings.confidence:g} % percentile intervals, bootstrap of "
        f"{settings.replicates:,} replicates clustered by caption, seed {settings.seed}{left}"
    )


def reasons(comparison: Comparison) -> list[str]:
    """Why numbers are undefined, each once."""
    lines: dict[str, None] = {}
    several = len(comparison.evaluations) > 1
    for evaluation in comparison.evaluations:
        for reason in evaluation.reasons():
            lines[f"{evaluation.name}: {reason}" if several else reason] = None
    for difference in comparison.differences:
        for reason in difference.reasons():
            lines[f"{difference.name} - {difference.baseline}: {reason}"] = None
    return list(lines)
