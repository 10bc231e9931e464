"""Metrics judged by ratings, in sentences and short lines, for every kind of report."""

from __future__ import annotations

import math

from humanclap.evaluation.agreement.result import (
    HEADINGS,
    Comparison,
    Difference,
    Evaluation,
)
from humanclap.evaluation.report import choices_words
from humanclap.evaluation.report.agreement_warnings import ceiling_in_words, warnings
from humanclap.evaluation.report.common_words import (
    bootstrap_words,
    difference_in_words,
    met_in_training,
    rows_line,
    signature_line,
    strength,
)
from humanclap.evaluation.report.metric_names import model_line
from humanclap.evaluation.short_forms import counted, number, with_interval
from humanclap.evaluation.statistic import PairedTest
from humanclap.metrics.ceiling import NoiseCeiling
from humanclap.metrics.influence import LARGE_PAIRS, SMALL_PLACE


def title(comparison: Comparison) -> str:
    """What a report of the comparison is called."""
    if not comparison.metrics:
        return "Ceiling and floor of these ratings"
    return f"Agreement with people: {', '.join(item.name for item in comparison.metrics)}"


def about(comparison: Comparison) -> str:
    """How much data the comparison is based on, in a few words."""
    overall = comparison.evaluations[0].overall
    return f"{counted(overall.n, 'pair')}, {counted(overall.captions, 'caption')}"


def models(comparison: Comparison) -> list[str]:
    """Name, model and table of each metric."""
    return [model_line(m.name, m.coverage.signature, m.table) for m in comparison.metrics]


def headline(comparison: Comparison) -> list[str]:
    """The finding in one or two sentences: the best metric, and whether it beats the others."""
    defined = [m for m in comparison.metrics if not math.isnan(m.overall.statistics["srcc"].value)]
    if not defined:
        return [_agreement(m, subsets=False) for m in comparison.metrics] or _ceiling(comparison)
    best = max(defined, key=lambda item: item.overall.statistics["srcc"].value)
    told = [_agreement(best, subsets=False)]
    ceiling = comparison.ceilings.get("overall")
    if ceiling is not None and not ceiling.reason:
        share = best.overall.statistics["srcc"].value / ceiling.srcc.value
        told.append(
            f"That is {100 * share:.0f} % of the noise ceiling, {number(ceiling.srcc.value)}."
        )
    rivals = [
        difference
        for difference in (*comparison.differences, *comparison.against_trivial)
        if difference.name == best.name
    ]
    return told + [_difference(item, None) for item in rivals[:1]]


def summary(comparison: Comparison) -> list[str]:
    """What was found, in sentences, the most important first: of ratings, then of choices."""
    sentences = [_agreement(evaluation) for evaluation in comparison.metrics]
    sentences += _ceiling(comparison)
    for difference in (*comparison.differences, *comparison.against_trivial):
        test = comparison.test(difference.name, difference.baseline)
        sentences.append(_difference(difference, test))
    choices = comparison.choices
    of_choices = [] if choices is None else choices_words.summary(choices)
    return [*sentences, coverage(comparison), *of_choices]


def every_warning(comparison: Comparison) -> list[str]:
    """What a reader must know before quoting a figure, of ratings or of choices, in sentences."""
    choices = comparison.choices
    return warnings(comparison) + ([] if choices is None else choices_words.warnings(choices))


def _ceiling(comparison: Comparison) -> list[str]:
    overall = comparison.ceilings.get("overall")
    if overall is None:
        return []
    if overall.reason:
        return [f"The noise ceiling of these ratings is undefined: {overall.reason}."]
    parts = [
        f"{label.partition(' ')[2]} {ceiling_in_words(ceiling)}"
        for label, ceiling in comparison.ceilings.items()
        if label.startswith("subset ")
    ]
    subsets = f" ({', '.join(parts)})" if parts else ""
    return [
        f"The noise ceiling of these ratings is SRCC {ceiling_in_words(overall)}{subsets}: a "
        "perfect metric would reach no more on average. One listener agrees with the others at "
        f"{number(overall.one_listener_srcc)}."
    ]


def _agreement(evaluation: Evaluation, *, subsets: bool = True) -> str:
    group = evaluation.overall
    rank = group.statistics["srcc"]
    pairs = f"{counted(group.n, 'pair')} ({counted(group.captions, 'caption')})"
    if math.isnan(rank.value):
        return f"{evaluation.name}: agreement on {pairs} is undefined: {rank.reason}."
    beyond = strength(
        rank,
        chance=0.0,
        above="agreement beyond chance",
        below="it runs against people's order",
        within="the interval holds 0, so no agreement is shown",
    )
    sentence = (
        f"{evaluation.name} orders {pairs} as people do with SRCC {with_interval(rank)}: {beyond}."
    )
    several = [g for g in evaluation.groups if g.level == "subset"] if subsets else []
    parts = [f"{g.name} {with_interval(g.statistics['srcc'])}" for g in several]
    return f"{sentence} By subset: {', '.join(parts)}." if parts else sentence


def tests_line(comparison: Comparison) -> str:
    """How the paired tests were made; nothing where there are none."""
    if not comparison.tests:
        return ""
    count = comparison.tests[0].permutations
    return (
        f"p: paired permutation test of SRCC on ranks, whole captions exchanged, {count:,} "
        f"permutations, two-sided; Holm's correction over {counted(len(comparison.tests), 'test')}"
        f"{_without_new_ranks(comparison)}"
    )


def _without_new_ranks(comparison: Comparison) -> str:
    if comparison.evaluations[0].overall.n <= LARGE_PAIRS:
        return ""
    return f"; more than {LARGE_PAIRS:,} pairs: what was exchanged is not ranked anew"


def calibration_line(evaluation: Evaluation) -> str:
    """Expected calibration error, bias and the coverage of predicted intervals."""
    found = evaluation.calibration
    if found is None:
        return "Calibration: undefined, the scale map does not apply"
    line = (
        f"Calibration after that map: expected error {number(found.expected_error)} over "
        f"{counted(len(found.bins), 'bin')}, bias {found.bias:+.3f}"
    )
    if found.n_intervals:
        line += (
            f"; predicted intervals hold the MOS of {100 * found.coverage:.1f} % of "
            f"{counted(found.n_intervals, 'pair')}, mean width {number(found.width)}"
        )
    return line


def intervals_line(evaluation: Evaluation) -> str:
    """How often predicted intervals hold the mean ratings; nothing where none are predicted."""
    found = evaluation.intervals
    if found is None:
        return ""
    if found.reason:
        return f"Predicted intervals: how often they hold is undefined: {found.reason}"
    *first, last = [f"{100 * one.level:g} % hold {100 * one.share:.1f} %" for one in found.coverage]
    left = (
        f" ({counted(found.without, 'pair')} without rating_error left out)"
        if found.without
        else ""
    )
    return (
        f"Predicted intervals, of the model's error and the noise of the means (variance of one "
        f"rating {number(found.rating_variance)}): {', '.join(first)} and {last} of the mean "
        f"ratings of {counted(found.coverage[0].n, 'pair')}{left}"
    )


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


def bootstrap_line(comparison: Comparison) -> str:
    """How the intervals were made."""
    undefined = {
        f"{group.label} {HEADINGS[statistic_name]} {statistic.undefined}"
        for evaluation in comparison.evaluations
        for group in (*evaluation.groups, *evaluation.levels, *evaluation.without)
        for statistic_name, statistic in group.statistics.items()
        if statistic.undefined and math.isfinite(statistic.value)
    }
    left = f"; undefined replicates left out: {', '.join(sorted(undefined))}" if undefined else ""
    return bootstrap_words(comparison.settings, "caption") + left + _many_pairs(comparison)


def _many_pairs(comparison: Comparison) -> str:
    """What is done otherwise with very many pairs; empty where nothing is."""
    if comparison.evaluations[0].overall.n <= LARGE_PAIRS:
        return ""
    return (
        f"; more than {LARGE_PAIRS:,} pairs: intervals of places with more than {SMALL_PLACE:,} "
        "pairs are value ± t · standard error from each caption's influence, without replicates "
        "(those between systems and within captions are bootstrapped)"
    )


def reasons(comparison: Comparison) -> list[str]:
    """Why numbers are undefined, each once."""
    several = len(comparison.evaluations) > 1
    lines = [
        f"{evaluation.name}: {reason}" if several else reason
        for evaluation in comparison.evaluations
        for reason in evaluation.reasons()
    ]
    for difference in (*comparison.differences, *comparison.against_trivial):
        of = f"{difference.name} - {difference.baseline}"
        lines += [f"{of}: {reason}" for reason in difference.reasons()]
    return list(dict.fromkeys([*lines, *ceiling_reasons(comparison)]))


def ceiling_reasons(comparison: Comparison) -> list[str]:
    """Why figures of noise ceilings are undefined, and which simulated studies did not count."""
    return [
        line
        for label, ceiling in comparison.ceilings.items()
        for line in _ceiling_reasons(label, ceiling)
    ]


def _ceiling_reasons(label: str, ceiling: NoiseCeiling) -> list[str]:
    told = [f"noise ceiling ({label}): {ceiling.reason}"] if ceiling.reason else []
    if ceiling.constant and not ceiling.reason:
        told.append(
            f"noise ceiling ({label}): {ceiling.constant:,} of {ceiling.simulations:,} simulated "
            "studies left out, as all mean ratings are equal there"
        )
    names = {
        "srcc_low": "lower end of the noise ceiling",
        "srcc_high": "upper end of the noise ceiling",
        "one_listener_srcc": "one listener, against the rest",
    }
    told += [
        f"{names[name]} ({label}): {why}"
        for name, why in ceiling.undefined.items()
        if name in names
    ]
    return told


def _difference(difference: Difference, test: PairedTest | None) -> str:
    return difference_in_words(
        f"{difference.name} against {difference.baseline}",
        difference.overall.statistics["srcc"],
        test,
        measure="SRCC",
        on="pairs",
        by="permutation test",
    )


def metric_lines(evaluation: Evaluation) -> list[str]:
    """How one metric became ratings, what its model met, and what became of its rows."""
    found = [
        scale_map_line(evaluation),
        calibration_line(evaluation),
        intervals_line(evaluation),
        met_in_training(evaluation.exposure),
        f"Signature: {signature_line(evaluation.coverage)}",
        f"Rows: {rows_line(evaluation.coverage)}",
    ]
    return [line for line in found if line]
