"""Metrics judged by people's choices, in sentences and rows; shared by every kind of report."""

from __future__ import annotations

import math

from humanclap.evaluation.choices.accuracy_result import (
    BEST,
    CEILINGS,
    ONE_JUDGE,
    ChoiceDifference,
    ChoiceMetric,
    JudgedChoices,
)
from humanclap.evaluation.noted import noted_in_words
from humanclap.evaluation.report.common_words import (
    bootstrap_words,
    difference_in_words,
    met_in_training,
    not_shown,
    rows_line,
    signature_line,
    strength,
)
from humanclap.evaluation.report.comparability import choices_signature
from humanclap.evaluation.report.document import Rows, Section
from humanclap.evaluation.report.metric_names import model_line
from humanclap.evaluation.short_forms import (
    UNDEFINED,
    counted,
    number,
    p_value,
    signed,
    with_interval,
)

FEW_CLUSTERS = 30
"""With fewer clips or texts than this a report warns."""


def title(judged: JudgedChoices) -> str:
    """What a report of choices alone is called."""
    if not judged.metrics:
        return "Ceiling and floor of these choices"
    return f"Agreement with people's choices: {', '.join(item.name for item in judged.metrics)}"


def about(judged: JudgedChoices) -> str:
    """How much data the judgement is based on, in a few words."""
    group = judged.overall
    asked = f"{counted(group.questions, 'question')}, {group.decided:,} of them decided"
    return f"{asked}, {counted(group.clusters, judged.cluster)}"


def models(judged: JudgedChoices) -> list[str]:
    """Name, model and table of each metric."""
    return [model_line(m.name, m.coverage.signature, m.table) for m in judged.metrics]


def headline(judged: JudgedChoices) -> list[str]:
    """The finding in one or two sentences: the best metric, and whether it beats the others."""
    names = [item.name for item in judged.metrics]
    found = judged.overall.accuracy
    best = max(names, key=lambda name: found[name].value, default="")
    rivals = [one for one in judged.overall.differences if one.name == best]
    told = [_agreement(best, judged)] if best else _ceiling(judged)
    return told + [_difference(one, judged) for one in rivals[:1]]


def summary(judged: JudgedChoices) -> list[str]:
    """What was found, in sentences, the most important first."""
    told = [_agreement(item.name, judged) for item in judged.metrics] + _ceiling(judged)
    told += [_difference(one, judged) for one in judged.overall.differences]
    return [*told, coverage(judged)]


def _agreement(name: str, judged: JudgedChoices) -> str:
    group = judged.overall
    right = group.accuracy[name]
    asked = f"{counted(group.decided, 'decided question')} "
    asked += f"({counted(group.clusters, judged.cluster)})"
    if math.isnan(right.value):
        return f"{name}: agreement with people's choices is undefined: {right.reason}."
    beyond = strength(
        right,
        chance=0.5,
        above="better than a coin",
        below="it runs against people's choices",
        within="the interval holds 0.5, so it is not shown to beat a coin",
    )
    return (
        f"{name} chooses as people do in {with_interval(right)} of {asked}: "
        f"{beyond}. It meets {with_interval(group.votes_met[name])} of the single votes."
    )


def _ceiling(judged: JudgedChoices) -> list[str]:
    best, judge = (judged.overall.accuracy[name] for name in CEILINGS)
    told = []
    if not math.isnan(judge.value):
        told.append(f"One judge sides with the others in {with_interval(judge)} of the votes.")
    if not math.isnan(best.value):
        told.append(
            f"Knowing what most people prefer would reach {with_interval(best)} of the decided "
            "questions, as so few votes decide them."
        )
    return told


def _difference(one: ChoiceDifference, judged: JudgedChoices) -> str:
    return difference_in_words(
        f"{one.name} against {one.baseline}",
        one.accuracy,
        judged.test(one.name, one.baseline),
        measure="accuracy",
        on="questions",
        by="sign-flip test",
    )


def coverage(judged: JudgedChoices) -> str:
    """Which questions were judged and what was left out."""
    counts = judged.counts
    told = f"Judged {counts.judged:,} of {counted(counts.total, 'question')}"
    if counts.anchors_judged:
        told += f", of which {counted(counts.anchors_judged, 'anchor')}"
    elif counts.anchors:
        told += f"; {counted(counts.anchors, 'anchor')} left out (--include-anchors judges them)"
    if counts.unscored:
        told += (
            f"; {counts.unscored:,} left out, as a side has no score, so the figures speak for "
            "the rest only"
        )
    undecided = judged.overall.questions - judged.overall.decided
    return f"{told}; {counted(undecided, 'question')} undecided." if undecided else f"{told}."


# -- warnings -------------------------------------------------------------------------------


def warnings(judged: JudgedChoices) -> list[str]:
    """What a reader must know before quoting a figure, in sentences."""
    found = [_met(item, judged) for item in judged.metrics]
    found += [
        not_shown(
            f"the model of {item.name}",
            item.exposure,
            "pairs of the choices",
            refused=judged.settings.refuse_trained_on,
        )
        for item in judged.metrics
    ]
    found += [_few(judged)]
    found += [_above_ceiling(item.name, judged) for item in judged.metrics]
    found += [_no_ceiling(judged)]
    found += [_ties(item, judged) for item in judged.metrics]
    found += [noted_in_words(item.noted, item.exposure.total) for item in judged.metrics]
    found += [_floor(one, judged) for one in judged.overall.differences]
    return [sentence for sentence in found if sentence]


def _met(item: ChoiceMetric, judged: JudgedChoices) -> str:
    if not item.exposure.met:
        return ""
    told = f"The model of {item.name} met {item.exposure.in_words()} of the choices before. "
    with_them = with_interval(judged.overall.accuracy[item.name])
    unmet = judged.unmet
    if unmet is None:
        return f"{told}Its accuracy {with_them} is not from unseen pairs: no question is left."
    others = "the pairs that any metric's model met" if len(judged.metrics) > 1 else "them"
    return (
        f"{told}Without the questions about {others}, its accuracy is "
        f"{with_interval(unmet.accuracy[item.name])} over "
        f"{counted(unmet.decided, 'decided question')}, with them {with_them}."
    )


def _few(judged: JudgedChoices) -> str:
    group = judged.overall
    if group.clusters >= FEW_CLUSTERS:
        return ""
    return (
        f"The choices are of {counted(group.clusters, judged.cluster)} only: others may well "
        "say something else, and the intervals are wide."
    )


def _above_ceiling(name: str, judged: JudgedChoices) -> str:
    right, best = judged.overall.accuracy[name], judged.overall.accuracy[BEST]
    if not right.value > best.value:
        return ""
    inside = right.value <= best.high
    beyond = ", though within the interval of its estimate" if inside else ""
    return (
        f"{name} lies above what knowing people's preference would reach ({number(right.value)} "
        f"against {with_interval(best)}){beyond}: has its model met these choices?"
    )


def _no_ceiling(judged: JudgedChoices) -> str:
    best = judged.overall.accuracy[BEST]
    if not math.isnan(best.value) or not judged.overall.decided:
        return ""
    return (
        "Each question has the vote of one person at most: how far people agree is not known, and "
        "so neither is what could be reached."
    )


def _ties(item: ChoiceMetric, judged: JudgedChoices) -> str:
    if not 20 * item.ties > judged.overall.decided:
        return ""
    return (
        f"{item.name} gives both sides of {item.ties:,} of "
        f"{counted(judged.overall.decided, 'decided question')} the same score; each counts half."
    )


def _floor(one: ChoiceDifference, judged: JudgedChoices) -> str:
    if one.baseline not in judged.floors:
        return ""
    told = f"{one.baseline!r}, which hears nothing"
    told += f" (difference in accuracy {signed(one.accuracy)})"
    if one.accuracy.high < 0:
        return f"{one.name} chooses worse than {told}."
    if not one.accuracy.low > 0:
        return f"{one.name} is not shown to choose better than {told}."
    return ""


# -- rows -----------------------------------------------------------------------------------


def choice_section(judged: JudgedChoices) -> Section:
    """Accuracy of every way to choose: over all, of single votes, and by group."""
    first, *further = judged.groups
    heads = ["accuracy", "all decided", "single votes", *(group.label for group in further)]
    kinds = ["ceiling", "listener", *("metric" for _ in judged.metrics)]
    rows = []
    for name in (*CEILINGS, *(item.name for item in judged.metrics), *judged.floors):
        votes = first.votes_met.get(name)
        cells = [first.accuracy[name], votes, *(group.accuracy[name] for group in further)]
        rows.append([name, *("" if cell is None else with_interval(cell) for cell in cells)])
    decided = [f"{group.decided:,} of {group.questions:,}" for group in judged.groups]
    rows.append(["questions decided", decided[0], f"{first.votes:,} votes", *decided[1:]])
    kinds += [*("trivial" for _ in judged.floors), ""]
    return Section(title="People's choices", rows=(heads, rows), kinds=kinds)


def difference_rows(judged: JudgedChoices) -> Rows:
    """Differences in accuracy by group, from the same draws, and the tests over all questions."""
    heads = ["difference in accuracy", *(group.label for group in judged.groups), "p of all"]
    rows = []
    for place, one in enumerate(judged.overall.differences):
        cells = [signed(group.differences[place].accuracy) for group in judged.groups]
        test = judged.test(one.name, one.baseline)
        name = f"{one.name} - {one.baseline}"
        rows.append([name, *cells, UNDEFINED if test is None else p_value(test)])
    shown = {(one.name, one.baseline) for one in judged.overall.differences}
    for test in judged.tests:
        if (test.name, test.baseline) not in shown:
            plain = f"{'+' if test.difference > 0 else ''}{number(test.difference)}"
            blank = [""] * (len(judged.groups) - 1)
            rows.append([f"{test.name} - {test.baseline}", plain, *blank, p_value(test)])
    return heads, rows


def sections(judged: JudgedChoices) -> list[Section]:
    """Accuracies, and differences where there are some."""
    differences = Section(title="Choices against each other", rows=difference_rows(judged))
    return [choice_section(judged), *([differences] if differences.rows[1] else [])]


# -- how it was made ------------------------------------------------------------------------


def metric_lines(judged: JudgedChoices) -> list[str]:
    """What became of each score table."""
    found = []
    for item in judged.metrics:
        rows = f"signature {signature_line(item.coverage)}; {rows_line(item.coverage)}"
        lines = [met_in_training(item.exposure), rows]
        found += [f"{item.name}: {line}" for line in lines if line]
    return found


def method_lines(judged: JudgedChoices) -> list[str]:
    """How the numbers were made."""
    settings = judged.settings
    lines = [
        "Accuracy: share of the decided questions (one side has more votes) in which the higher "
        "score is on the people's side; equal scores count half. Single votes: share of all votes "
        "for a side that are on the side of the higher score. "
        f"{BEST.capitalize()}: accuracy of knowing which side most people would take, from a "
        "beta-binomial model of the votes, and of single votes the share on the side that has more "
        f"of them. {ONE_JUDGE.capitalize()}: share of votes that side with the sum of the "
        "question's other votes, ties left out",
        bootstrap_words(settings, judged.cluster),
    ]
    if judged.tests:
        lines.append(
            f"p: two-sided paired sign-flip test of accuracy, whole {judged.cluster}s exchanged, "
            f"{settings.permutations:,} permutations; Holm's correction over "
            f"{counted(len(judged.tests), 'test')}"
        )
    return lines


def facts(judged: JudgedChoices) -> list[str]:
    """How the figures were made, of what, and why some are undefined."""
    return [
        *metric_lines(judged),
        *method_lines(judged),
        f"Judged as {choices_signature(judged)}",
        *reasons(judged),
    ]


def reasons(judged: JudgedChoices) -> list[str]:
    """Why accuracies are undefined, each once."""
    return [
        f"{name} ({group.label}): {found.reason}"
        for group in judged.groups
        for name, found in group.accuracy.items()
        if found.reason
    ]
