"""A gate's verdict in sentences, in tables, and in the forms that GitHub shows."""

from __future__ import annotations

import math
from collections.abc import Sequence

from humanclap.errors import listed
from humanclap.evaluation.gate.result import Check, Gate, PromptChange, Verdict
from humanclap.evaluation.noted import noted_in_words
from humanclap.evaluation.short_forms import counted
from humanclap.typeset import markdown_cell, markdown_table

FEW_PROMPTS = 50
MAX_NAMED = 3
MANY = 100_000
TITLES: dict[Verdict, str] = {
    "pass": "PASS",
    "fail": "FAIL",
    "undecided": "NOT ENOUGH PROMPTS TO TELL",
}

Section = tuple[str, tuple[Sequence[str], Sequence[Sequence[str]]]]
"""Title, and head and rows of a table."""


def sentences(gate: Gate) -> list[str]:
    """The verdict first, with its reason; then one sentence a check where there are several."""
    told = [_told(check, gate) for check in gate.checks]
    failed = []
    if gate.too_many_failed:
        failed = [_clips_failed(gate)]
    if len(told) == 1 and not (failed and gate.checks[0].verdict != "fail"):
        return [f"{TITLES[gate.verdict]}: {told[0]}", *failed]
    named = [f"{TITLES[c.verdict]}: {line}" for c, line in zip(gate.checks, told, strict=True)]
    if failed:
        return [f"{TITLES['fail']}: {failed[0]}", *named]
    count = sum(check.verdict == gate.verdict for check in gate.checks)
    return [f"{TITLES[gate.verdict]} by {count} of {len(told)} checks.", *named]


def _told(check: Check, gate: Gate) -> str:
    what = "mean predicted rating" if check.kind == "rating" else f"mean {gate.settings.metric}"
    what += "" if check.system is None else f" of {check.system}"
    if not check.prompts:
        return f"the {what} is unknown, since no prompt has a score."
    seen = "it is" if check.kind != "margin" else "the mean difference is"
    seen += f" {_number(check, check.estimate)} over {counted(check.prompts, 'prompt')}"
    if check.verdict != "undecided":
        good = check.verdict == "pass"
        bound = _at_least(check) if good != check.lower_is_better else _at_most(check)
        return f"the {what} is {_claim(check, good=good)}: {seen}, {bound}."
    why = f" ({check.reason})" if check.reason else ""
    both = "" if math.isnan(check.lower) else f", {_at_least(check)} and {_at_most(check)}"
    needed = _needed(check, gate)
    claim = f"it is open whether the {what} is {_claim(check, good=True)}"
    return f"{claim}. {seen[0].upper()}{seen[1:]}{why}{both}.{needed}"


def _claim(check: Check, *, good: bool) -> str:
    """What a pass, or a fail, says of the mean."""
    worse = "above" if check.lower_is_better else "below"
    better = "below" if check.lower_is_better else "above"
    if check.kind != "margin":
        return f"{better if good else worse} {check.limit:g}"
    if check.limit == 0:
        return f"{better if good else worse} the baseline's"
    return f"{'no ' if good else ''}more than {abs(check.limit):g} {worse} the baseline's"


def _number(check: Check, value: float) -> str:
    return f"{value:{'+.3f' if check.kind == 'margin' else '.3f'}}"


def _at_least(check: Check) -> str:
    sure = check.fail_confidence if check.lower_is_better else check.pass_confidence
    if math.isinf(check.lower):
        return "without a lower bound"
    return f"at least {_number(check, check.lower)} with {100 * sure:.4g} % confidence"


def _at_most(check: Check) -> str:
    sure = check.pass_confidence if check.lower_is_better else check.fail_confidence
    if math.isinf(check.upper):
        return "without an upper bound"
    return f"at most {_number(check, check.upper)} with {100 * sure:.4g} % confidence"


def _needed(check: Check, gate: Gate) -> str:
    """How many prompts would be enough, and for what."""
    power = f"{100 * gate.settings.power:g} % power"
    seen, equal = check.needed_as_seen, check.needed_if_equal
    if math.isnan(seen):
        return " A single prompt does not say how many would be enough."
    if check.kind == "margin" and check.limit != 0:
        told = f" {_about(equal)} would decide with {power} if new and old are equal"
        return f"{told}, {_about(seen).lower()} if the difference is as seen."
    if math.isinf(seen) and check.map_error:
        return (
            " More prompts would not decide: the error of the map from score to rating, "
            f"{check.map_error:.2f}, stays."
        )
    subject = "difference" if check.kind == "margin" else "mean"
    return f" {_about(seen)} would decide with {power} if the {subject} is as seen."


def _about(count: float) -> str:
    if math.isinf(count):
        return "No number of prompts"
    if count > MANY:
        return f"More than {MANY:,} prompts"
    return f"About {count:,.0f} prompts in all"


def _clips_failed(gate: Gate) -> str:
    named = listed(
        gate.failed,
        MAX_NAMED,
        show=lambda clip: f"{clip.audio} ({clip.where}: {clip.error})",
        between="; ",
        rest="; and {} more",
    )
    told = f"{counted(len(gate.failed), 'clip')} of {gate.new_where} could not be scored: {named}"
    return f"{told}. --max-failed allows {gate.settings.max_failed}."


def warnings(gate: Gate) -> list[str]:
    """What a reader must know before trusting the verdict, in sentences."""
    found = [*_of_prompts(gate), *_of_scores(gate)]
    if gate.failed and not gate.too_many_failed:
        found.append(_clips_failed(gate))
    if gate.baseline_failed:
        found.append(
            f"{counted(gate.baseline_failed, 'clip')} of {gate.baseline_where} could not be scored."
        )
    return found


def _of_prompts(gate: Gate) -> list[str]:
    found = []
    fewest = min(check.prompts for check in gate.checks)
    if fewest < FEW_PROMPTS:
        found.append(
            f"With fewer than {FEW_PROMPTS} prompts (here {fewest}) a gate passes wrongly up "
            "to two and a half times as often as stated where a few prompts lose a lot."
        )
    for texts, why in (
        (gate.left_out, "left out, since one table lacks them"),
        (gate.unscored, "left out, since one side has no scored clip of them"),
    ):
        if texts:
            named = listed(texts, MAX_NAMED, show=repr)
            found.append(f"{counted(len(texts), 'prompt')} {why}: {named}.")
    if gate.identical:
        found.append(
            "Both tables have the same values for every prompt: is the baseline the table that is "
            "judged?"
        )
    return found


def _of_scores(gate: Gate) -> list[str]:
    found = []
    if gate.unsigned:
        found.append("Some scores carry no signature, so they may have been made in other ways.")
    elif gate.settings.force and gate.signature is None:
        found.append("No common signature: the scores may have been made in unlike ways.")
    if gate.exposure.met:
        named = listed(gate.met, MAX_NAMED, between="; ", rest="; and {} more")
        found.append(f"The metric's model met {gate.exposure.in_words()} before: {named}.")
    if told := noted_in_words(gate.noted, gate.exposure.total):
        found.append(told)
    if gate.settings.min_rating is not None:
        if gate.covers:
            found.append(f"The map to predicted ratings was fitted on {gate.covers} sound only.")
        if not gate.map_known:
            found.append(
                "Which part of the rating's error all clips share is not known, so all of it is "
                "taken as shared; --model names the model whose map it is."
            )
    return found


def sections(gate: Gate) -> list[Section]:
    """The figures of the checks, and the prompts that lost the most."""
    heads = ("check", "system", "prompts", "clips", "new", "baseline", "estimate", "at least",
             "at most", "limit", "sd", "needed if equal", "needed as seen")  # fmt: skip
    rows = [
        (
            _CHECKS[check.kind],
            check.system or "–",
            f"{check.prompts:,}",
            f"{check.clips:,}" + (f" / {check.baseline_clips:,}" if check.baseline_clips else ""),
            *(_cell(x, ".3f") for x in (check.new_mean, check.baseline_mean)),
            *(_cell(x, "+.3f" if check.kind == "margin" else ".3f")
              for x in (check.estimate, check.lower, check.upper)),
            f"{check.limit:g}",
            _cell(check.sd, ".3f"),
            *(_cell(x, ",.0f") for x in (check.needed_if_equal, check.needed_as_seen)),
        )
        for check in gate.checks
    ]  # fmt: skip
    found: list[Section] = [("Checks", (heads, rows))]
    if gate.worst:
        compared = gate.baseline_where is not None
        title = "Prompts that lost the most" if compared else "Prompts with the worst mean"
        columns = ("new", "baseline", "difference", "prompt") if compared else ("new", "prompt")
        found.append((title, (columns, _lost(gate.worst, compared=compared))))
    return found


_CHECKS = {"margin": "difference", "limit": "mean", "rating": "rating"}


def _lost(worst: Sequence[PromptChange], *, compared: bool) -> list[tuple[str, ...]]:
    named = len({change.system for change in worst}) > 1
    return [
        (
            _cell(change.new, ".3f"),
            *(
                [_cell(change.baseline, ".3f"), _cell(change.difference, "+.3f")]
                if compared
                else []
            ),
            " ".join(change.text.split()) + (f" ({change.system})" if named else ""),
        )
        for change in worst
    ]


def _cell(value: float, form: str) -> str:
    if math.isnan(value):
        return "–"
    return f"{value:{form}}" if math.isfinite(value) else ("∞" if value > 0 else "-∞")


def method_line(gate: Gate) -> str:
    """How the numbers were made, in one line."""
    settings = gate.settings
    better = "lower" if settings.lower_is_better else "higher"
    return (
        f"{settings.metric}, {better} is better; means over prompts, a prompt being the mean of "
        f"its clips; one-sided bounds by studentised bootstrap, {settings.replicates:,} "
        f"replicates, seed {settings.seed}"
    )


def markdown(gate: Gate) -> str:
    """A section for GitHub's job summary; all text is escaped."""
    first, *more = sentences(gate)
    lines = [f"### {_SIGNS[gate.verdict]} {markdown_cell(first)}", ""]
    lines += [f"- {markdown_cell(line)}" for line in more] + [""] * bool(more)
    for title, (heads, rows) in sections(gate):
        lines += [f"**{title}**", "", *markdown_table(heads, rows)]
    for line in warnings(gate):
        lines += [f"> {markdown_cell(line)}", ""]
    lines.append(markdown_cell(f"{method_line(gate)}; signature {gate.signature or 'none'}"))
    return "\n".join(lines) + "\n"


_SIGNS: dict[Verdict, str] = {"pass": "✅", "fail": "❌", "undecided": "❔"}


def annotation(gate: Gate, *, stops: bool) -> str:
    """A workflow command of GitHub, one line; stops: whether the verdict fails the step.

    Source: "Workflow commands for GitHub Actions", docs.github.com: %, CR and LF are escaped.
    """
    level = "error" if stops else "notice" if gate.verdict == "pass" else "warning"
    told = " ".join(sentences(gate))
    for sign, code in (("%", "%25"), ("\r", "%0D"), ("\n", "%0A")):
        told = told.replace(sign, code)
    return f"::{level} title=humanclap gate::{told}"
