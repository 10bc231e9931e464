"""What a reader must know before quoting a figure of metrics judged by ratings."""

from __future__ import annotations

import math

from humanclap.evaluation.agreement.result import WITHIN, Comparison, Difference, Evaluation
from humanclap.evaluation.noted import noted_in_words
from humanclap.evaluation.report.common_words import not_shown
from humanclap.evaluation.short_forms import between, counted, number, signed, with_interval
from humanclap.evaluation.statistic import Statistic
from humanclap.metrics.ceiling import NoiseCeiling

LEAST_SIDED = 6
"""Pairs from which predictions on one side of people's are told: by chance 1 in 32 at most."""


def warnings(comparison: Comparison) -> list[str]:
    """Each warning as a sentence."""
    metrics, refused = comparison.metrics, comparison.settings.refuse_trained_on
    found = [_met(evaluation, comparison) for evaluation in metrics]
    found += [
        not_shown(f"the model of {m.name}", m.exposure, "judged pairs", refused=refused)
        for m in metrics
    ]
    found += [_above_ceiling(evaluation, comparison) for evaluation in metrics]
    found += [_no_ceiling(comparison), _floor_knows(comparison)]
    found += [noted_in_words(m.noted, m.exposure.total) for m in metrics]
    found += [_one_sided(evaluation) for evaluation in metrics]
    found += [_against_trivial(item) for item in comparison.against_trivial]
    found += [_tells_systems_only(evaluation) for evaluation in metrics]
    found += [_gain_between_only(difference) for difference in comparison.differences]
    found += [_unmet(evaluation) for evaluation in metrics]
    return [sentence for sentence in found if sentence]


def ceiling_in_words(ceiling: NoiseCeiling) -> str:
    """`0.774 [0.752, 0.795]`, the interval being that of its estimate."""
    return between(ceiling.srcc.value, ceiling.srcc_low, ceiling.srcc_high)


def _met(evaluation: Evaluation, comparison: Comparison) -> str:
    """What the metric's model met of the judged pairs, and the figure without those."""
    if not evaluation.exposure.met:
        return ""
    told = f"The model of {evaluation.name} met {evaluation.exposure.in_words()} before. "
    with_them = with_interval(evaluation.overall.statistics["srcc"])
    if evaluation.unmet is None:
        return f"{told}Its SRCC {with_them} is not from unseen pairs: no unseen pair is left."
    others = "the pairs that any metric's model met" if len(comparison.metrics) > 1 else "them"
    rank = evaluation.unmet.statistics["srcc"]
    return (
        f"{told}Without {others}, its SRCC is {with_interval(rank)} over "
        f"{counted(evaluation.unmet.n, 'pair')}, with them {with_them}."
    )


def _above_ceiling(evaluation: Evaluation, comparison: Comparison) -> str:
    ceiling = comparison.ceilings.get("overall")
    rank = evaluation.overall.statistics["srcc"].value
    if ceiling is None or ceiling.reason or not rank > ceiling.srcc.value:
        return ""
    inside = rank <= ceiling.srcc_high
    beyond = ", though within the interval of its estimate" if inside else ""
    return (
        f"{evaluation.name} lies above the noise ceiling (SRCC {number(rank)} against "
        f"{ceiling_in_words(ceiling)}){beyond}: on unseen pairs no metric is expected there. "
        "Has its model met these pairs or ratings?"
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
    noise = [pair.predicted_error**2 for pair in pairs]
    noise += [pair.standard_error**2 for pair in pairs if not math.isnan(pair.standard_error)]
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


def _between_only(of: Evaluation | Difference) -> Statistic | None:
    """SRCC within systems where it is not shown to be above 0 though that over all pairs is."""
    within = of.at(WITHIN)
    if within is None or not of.overall.statistics["srcc"].low > 0:
        return None
    rank = within.statistics["srcc"]
    return rank if rank.low <= 0 else None


def _tells_systems_only(evaluation: Evaluation) -> str:
    rank = _between_only(evaluation)
    if rank is None:
        return ""
    return (
        f"{evaluation.name} is only shown to tell systems apart: within systems its SRCC is "
        f"{with_interval(rank)}, and the interval holds 0."
    )


def _gain_between_only(difference: Difference) -> str:
    rank = _between_only(difference)
    if rank is None:
        return ""
    return (
        f"The gain of {difference.name} over {difference.baseline} is only shown between systems: "
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
