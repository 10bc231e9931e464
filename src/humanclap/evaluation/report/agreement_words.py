"""The findings in words and short forms, shared by every kind of report."""

from __future__ import annotations

import math

from humanclap.evaluation.agreement.result import (
    HEADINGS,
    WITHIN,
    Comparison,
    Difference,
    Evaluation,
)
from humanclap.evaluation.exposure import Exposure
from humanclap.evaluation.noted import noted_in_words
from humanclap.evaluation.report.metric_names import model_line
from humanclap.evaluation.settings import EvaluationSettings
from humanclap.evaluation.statistic import PairedTest, Statistic
from humanclap.metrics.ceiling import NoiseCeiling
from humanclap.metrics.influence import LARGE_PAIRS, SMALL_PLACE

UNDEFINED = "–"
LEAST_SIDED = 6
"""Pairs from which predictions on one side of people's are told: by chance 1 in 32 at most."""


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


def title(comparison: Comparison) -> str:
    """What a report of the comparison is called."""
    if not comparison.metrics:
        return "Ceiling and floor of these ratings"
    return f"Agreement with people: {', '.join(item.name for item in comparison.metrics)}"


def about(comparison: Comparison) -> str:
    """On how much the comparison stands, in a few words."""
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
    """What was found, in sentences, the most important first."""
    sentences = [_agreement(evaluation) for evaluation in comparison.metrics]
    sentences += _ceiling(comparison)
    for difference in (*comparison.differences, *comparison.against_trivial):
        test = comparison.test(difference.name, difference.baseline)
        sentences.append(_difference(difference, test))
    return [*sentences, coverage(comparison)]


def warnings(comparison: Comparison) -> list[str]:
    """What a reader must know before quoting a figure, in sentences."""
    found = [_met(evaluation, comparison) for evaluation in comparison.metrics]
    found += [_not_shown(evaluation, comparison) for evaluation in comparison.metrics]
    found += [_above_ceiling(evaluation, comparison) for evaluation in comparison.metrics]
    found += [_no_ceiling(comparison), _floor_knows(comparison)]
    found += [_noted(evaluation) for evaluation in comparison.metrics]
    found += [_one_sided(evaluation) for evaluation in comparison.metrics]
    found += [_against_trivial(item) for item in comparison.against_trivial]
    found += [_between_only(evaluation) for evaluation in comparison.metrics]
    found += [_gain_between_only(difference) for difference in comparison.differences]
    found += [_unmet(evaluation) for evaluation in comparison.metrics]
    return [sentence for sentence in found if sentence]


def _met(evaluation: Evaluation, comparison: Comparison) -> str:
    """What the metric's model met of the judged pairs, and the figure without those."""
    if not evaluation.exposure.met:
        return ""
    told = f"The model of {evaluation.name} met {evaluation.exposure.in_words()} before. "
    with_them = with_interval(evaluation.overall.statistics["srcc"])
    if evaluation.unmet is None:
        return f"{told}Its SRCC {with_them} is not one on unseen pairs: none is left without them."
    others = "those that any metric's model met" if len(comparison.metrics) > 1 else "them"
    rank = evaluation.unmet.statistics["srcc"]
    return (
        f"{told}Without {others} its SRCC is {with_interval(rank)} over "
        f"{counted(evaluation.unmet.n, 'pair')}, with them {with_them}."
    )


def _noted(evaluation: Evaluation) -> str:
    return noted_in_words(evaluation.noted, evaluation.exposure.total)


def _not_shown(evaluation: Evaluation, comparison: Comparison) -> str:
    """Where met pairs were to be refused, pairs of which nothing is known are no proof."""
    found = evaluation.exposure
    if not (comparison.settings.refuse_trained_on and (found.unknown or found.unsaid)):
        return ""
    return (
        f"That the model of {evaluation.name} met none of the judged pairs is not shown: of "
        f"{found.unknown + found.unsaid:,} of {found.total:,} it is unknown."
    )


def met_line(evaluation: Evaluation) -> str:
    """What the metric's model met of the judged pairs; nothing where its table does not say."""
    return met_in_training(evaluation.exposure)


def met_in_training(found: Exposure) -> str:
    """What a metric's model met of judged pairs; nothing where its table does not say."""
    if found.unsaid == found.total:
        return ""
    line = f"Met in training: {found.in_words()}"
    if not found.met:
        line = f"Met in training: none of {counted(found.total - found.unsaid, 'judged pair')}"
    if found.unknown:
        line = "" if found.unknown + found.unsaid == found.total else f"{line}; "
        line = line or "Met in training: "
        line += (
            f"unknown of {counted(found.unknown, 'judged pair')}, as the checkpoint does not name "
            "all it was trained on or the clip has too little sound to be known"
        )
    return line


def _above_ceiling(evaluation: Evaluation, comparison: Comparison) -> str:
    ceiling = comparison.ceilings.get("overall")
    rank = evaluation.overall.statistics["srcc"].value
    if ceiling is None or ceiling.reason or not rank > ceiling.srcc.value:
        return ""
    inside = rank <= ceiling.srcc_high
    beyond = ", though within the interval of its estimate" if inside else ""
    return (
        f"{evaluation.name} lies above the noise ceiling (SRCC {number(rank)} against "
        f"{ceiling_in_words(ceiling)}){beyond}: no metric of unseen pairs is expected there. Has "
        "its model met these pairs or ratings?"
    )


def _no_ceiling(comparison: Comparison) -> str:
    ceiling = comparison.ceilings.get("overall")
    if ceiling is None or not ceiling.srcc_low <= 0:
        return ""
    return (
        f"The interval of the noise ceiling reaches 0 ({ceiling_in_words(ceiling)}): these ratings "
        "do not show that listeners agree, so no figure here says how good a metric is."
    )


def _floor_knows(comparison: Comparison) -> str:
    if not comparison.floor_captions:
        return ""
    return (
        f"The trivial predictors were fitted on {counted(comparison.floor_captions, 'caption')} "
        "that are judged too: those that read words are optimistic."
    )


def _one_sided(evaluation: Evaluation) -> str:
    """Predicted ratings all above or all below people's, by more than their errors allow."""
    pairs = [pair for pair in evaluation.per_pair if math.isfinite(pair.predicted_error)]
    if evaluation.scale_map != "rating" or len(pairs) < LEAST_SIDED:
        return ""
    gaps = [pair.predicted - pair.human for pair in pairs]
    noise = [
        pair.predicted_error**2 + (0.0 if math.isnan(error) else error**2)
        for pair in pairs
        for error in (pair.standard_error,)
    ]
    mean, allowed = math.fsum(gaps) / len(gaps), 1.96 * math.sqrt(math.fsum(noise)) / len(gaps)
    if not (min(gaps) > 0 or max(gaps) < 0) or abs(mean) <= allowed:
        return ""
    return (
        f"All {len(pairs):,} ratings predicted by {evaluation.name} lie "
        f"{'above' if mean > 0 else 'below'} people's, by {abs(mean):.2f} on average where their "
        f"errors allow {allowed:.2f}: its calibration does not hold for these pairs."
    )


def _against_trivial(difference: Difference) -> str:
    rank = difference.overall.statistics["srcc"]
    told = f"{difference.baseline!r}, a predictor that hears nothing"
    told += f" (difference in SRCC {signed(rank)})"
    if rank.high < 0:
        return f"{difference.name} is worse than {told}."
    if not rank.low > 0:
        return f"{difference.name} is not shown to beat {told}."
    return ""


def _between_only(evaluation: Evaluation) -> str:
    within = evaluation.at(WITHIN)
    if within is None or not evaluation.overall.statistics["srcc"].low > 0:
        return ""
    rank = within.statistics["srcc"]
    if not rank.low <= 0:
        return ""
    return (
        f"{evaluation.name} is shown to tell systems apart only: within systems its SRCC is "
        f"{with_interval(rank)}, and the interval holds 0."
    )


def _gain_between_only(difference: Difference) -> str:
    within = difference.at(WITHIN)
    if within is None or not difference.overall.statistics["srcc"].low > 0:
        return ""
    rank = within.statistics["srcc"]
    if not rank.low <= 0:
        return ""
    return (
        f"The gain of {difference.name} over {difference.baseline} is shown between systems only: "
        f"within systems it is SRCC {signed(rank)}, and the interval holds 0."
    )


def _unmet(evaluation: Evaluation) -> str:
    """Sounds of a kind that the calibration of the predicted ratings never met."""
    found = evaluation.intervals
    if found is None or not found.n_unmet:
        return ""
    return (
        f"Predicted ratings of {evaluation.name} were fitted on {found.covers} sound only: those "
        f"of {counted(found.n_unmet, 'pair')} ({', '.join(found.unmet)}) and their errors were "
        "never checked against people."
    )


def ceiling_in_words(ceiling: NoiseCeiling) -> str:
    """`0.774 [0.752, 0.795]`, the interval being that of its estimate."""
    value = number(ceiling.srcc.value)
    if math.isnan(ceiling.srcc_low):
        return value
    return f"{value} [{number(ceiling.srcc_low)}, {number(ceiling.srcc_high)}]"


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
    sentence = (
        f"{evaluation.name} orders {pairs} as people do with SRCC {with_interval(rank)}: "
        f"{_strength(rank)}."
    )
    several = [g for g in evaluation.groups if g.level == "subset"] if subsets else []
    parts = [f"{g.name} {with_interval(g.statistics['srcc'])}" for g in several]
    return f"{sentence} By subset: {', '.join(parts)}." if parts else sentence


def _strength(rank: Statistic) -> str:
    if math.isnan(rank.low):
        return "no interval can be given"
    if rank.low > 0:
        return "agreement beyond chance"
    if rank.high < 0:
        return "it runs against people's order"
    return "the interval holds 0, so no agreement is shown"


def _difference(difference: Difference, test: PairedTest | None) -> str:
    rank = difference.overall.statistics["srcc"]
    names = f"{difference.name} against {difference.baseline}"
    if math.isnan(rank.value):
        return f"{names}: undefined: {rank.reason}."
    told = f"{names} on the same pairs: SRCC {signed(rank)}"
    if test is not None:
        told += f", permutation test {p_value(test)}"
    if math.isnan(rank.low):
        return f"{told}, no interval can be given."
    if rank.low <= 0 <= rank.high:
        return f"{told}, no difference is shown."
    return f"{told}, {'better' if rank.low > 0 else 'worse'}."


def p_value(test: PairedTest) -> str:
    """`p = 0.012 (Holm 0.024)`."""
    if math.isnan(test.p):
        return "undefined"
    return f"p = {number(test.p)} (Holm {number(test.p_holm)})"


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
        f"{group.label} {HEADINGS[statistic_name]} {statistic.undefined}"
        for evaluation in comparison.evaluations
        for group in (*evaluation.groups, *evaluation.levels, *evaluation.without)
        for statistic_name, statistic in group.statistics.items()
        if statistic.undefined and math.isfinite(statistic.value)
    }
    left = f"; undefined replicates left out: {', '.join(sorted(undefined))}" if undefined else ""
    return (
        f"{bootstrap_name(settings)}, bootstrap of {settings.replicates:,} replicates clustered "
        f"by caption, seed {settings.seed}{left}{_many_pairs(comparison)}"
    )


def _many_pairs(comparison: Comparison) -> str:
    """What is done otherwise with very many pairs; empty where nothing is."""
    if comparison.evaluations[0].overall.n <= LARGE_PAIRS:
        return ""
    return (
        f"; more than {LARGE_PAIRS:,} pairs: intervals of places with more than {SMALL_PLACE:,} "
        "pairs are value ± t · standard error from each caption's influence, without replicates "
        "(those between systems and within captions are bootstrapped)"
    )


def bootstrap_name(settings: EvaluationSettings) -> str:
    """`95 % expanded percentile intervals`."""
    return f"{100 * settings.confidence:g} % expanded percentile intervals"


def reasons(comparison: Comparison) -> list[str]:
    """Why numbers are undefined, each once."""
    lines: dict[str, None] = {}
    several = len(comparison.evaluations) > 1
    for evaluation in comparison.evaluations:
        for reason in evaluation.reasons():
            lines[f"{evaluation.name}: {reason}" if several else reason] = None
    for difference in (*comparison.differences, *comparison.against_trivial):
        for reason in difference.reasons():
            lines[f"{difference.name} - {difference.baseline}: {reason}"] = None
    for label, ceiling in comparison.ceilings.items():
        lines |= dict.fromkeys(_ceiling_reasons(label, ceiling))
    return list(lines)


def _ceiling_reasons(label: str, ceiling: NoiseCeiling) -> list[str]:
    """Why figures of a noise ceiling are undefined, and which simulated studies did not count."""
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
