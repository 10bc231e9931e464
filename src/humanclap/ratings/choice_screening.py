"""Which listeners' choices to trust: screening rules. Each says whom it excluded, and why."""

from __future__ import annotations

import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from humanclap.errors import InputError, SettingsError
from humanclap.metrics.vote_agreement import exact_share
from humanclap.ratings.screening import Screened, part
from humanclap.records import Choice

ONE_SIDE_P = 0.001
"""Smallest p-value of the test for even sides that is kept. A listener with all of 10 answers on
one side is kept (p = 0.002); one with all of 11 is not (p = 0.00098)."""
MIN_MEDIAN_S = 2.0
"""Shortest median time from the start of a trial to its answer that is kept, in seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoiceExclusion:
    """One choice that a rule excluded; `line` is its line in the table."""

    listener_id: str
    rule: str
    detail: str
    audio_a: str
    text_a: str
    audio_b: str
    text_b: str
    choice: str
    kind: str | None = None
    line: int | None = None


ScreenedChoices = Screened[Choice, ChoiceExclusion]


def screen_attention(choices: Sequence[Choice]) -> dict[str, str]:
    """Listeners who answered an attention check otherwise than `expected`, with the detail.

    Listeners without checks pass. Raises InputError for a check without `expected`.
    """
    failed: dict[str, str] = {}
    for one in choices:
        if not one.is_check:
            continue
        if one.expected is None:
            raise InputError(
                f"line {one.line}: an attention check (kind anchor) without its right answer; "
                "write it in the column 'expected'"
            )
        if one.choice != one.expected:
            detail = f"attention check answered {one.choice}, expected {one.expected}"
            failed.setdefault(one.listener_id, detail)
    return failed


def screen_one_side(choices: Sequence[Choice], *, limit: float = ONE_SIDE_P) -> dict[str, str]:
    """Listeners who choose a place on the page and not what they hear, with the detail.

    The rule counts a listener's answers for a side (no attention checks, no equal answers) that
    were for the side shown first. It excludes the listener where the exact two-sided binomial test
    against a half has p < `limit`. A good listener may choose side a every time, so an answer
    counts only where it is known which side was shown first. Raises InputError where no answer
    says so.
    """
    if not any(one.shown_first for one in choices):
        raise InputError(
            "the rule one-side needs to know which side the page showed first; give it in the "
            "column shown_first: a or b"
        )
    if not 0 <= limit <= 1:
        raise SettingsError(f"the smallest p-value of one-side is {limit:g}; expected 0 to 1")
    excluded = {}
    for listener_id, answers in side_answers(choices).items():
        found = exact_share(answers["first"], answers["first"] + answers["second"])
        if found.p_value < limit:
            excluded[listener_id] = (
                f"{found.k} of {found.n} answers for the side shown first, "
                f"p = {found.p_value:.2g}, limit {limit:g}"
            )
    return excluded


def side_answers(choices: Sequence[Choice]) -> dict[str, Counter[str]]:
    """By listener, answers for the side shown first, for the second and for equal, where known.

    Attention checks do not count: the study knows their right side.
    """
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for one in choices:
        if one.shown_first is not None and not one.is_check:
            found[one.listener_id][one.shown] += 1
    return dict(found)


def screen_fast(choices: Sequence[Choice], *, limit_s: float = MIN_MEDIAN_S) -> dict[str, str]:
    """Listeners whose median time to an answer is below `limit_s` seconds, with the detail.

    Answers without a time do not count. Raises InputError where none has one.
    """
    if not 0 <= limit_s < math.inf:
        raise SettingsError(f"the shortest median time is {limit_s:g} s; expected 0 or more")
    times: dict[str, list[float]] = defaultdict(list)
    for one in choices:
        if not math.isnan(one.duration_s):
            times[one.listener_id].append(one.duration_s)
    if not times:
        raise InputError("the rule fast needs times; give them in the column duration_s")
    medians = {listener_id: statistics.median(of) for listener_id, of in times.items()}
    return {
        listener_id: f"median time {median:.2f} s, limit {limit_s:g} s"
        for listener_id, median in medians.items()
        if median < limit_s
    }


Rule = Callable[[Sequence[Choice]], Mapping[str, str]]

CHOICE_RULES: dict[str, Rule] = {
    "none": lambda choices: {},
    "attention": screen_attention,
    "one-side": screen_one_side,
    "fast": screen_fast,
}
"""The rules by name; each gives the listeners whose answers are all excluded, and why."""
LIMITS: dict[str, Callable[[float], Rule]] = {
    "one-side": lambda limit: partial(screen_one_side, limit=limit),
    "fast": lambda limit_s: partial(screen_fast, limit_s=limit_s),
}
"""The rules with a limit that may be set: `fast=1.5` (seconds), `one-side=0.01` (p-value)."""


def choice_rule(rule: str) -> tuple[str, Rule]:
    """Name of a rule and the rule with its limit, from `fast` or `fast=1.5`.

    Raises SettingsError for an unknown rule, a limit that is not a number, and a limit for a rule
    that has none.
    """
    name, given, limit = rule.partition("=")
    if name not in CHOICE_RULES:
        raise SettingsError(f"{name!r} is not a rule for choices; known: {', '.join(CHOICE_RULES)}")
    if not given:
        return name, CHOICE_RULES[name]
    if name not in LIMITS:
        raise SettingsError(f"{rule!r}: {name} has no limit to set; {' and '.join(LIMITS)} do")
    try:
        return name, LIMITS[name](float(limit))
    except ValueError:
        raise SettingsError(
            f"{rule!r}: the limit {limit!r} is not a number; write fast=SECONDS or one-side=P"
        ) from None


def screen_choices(choices: Sequence[Choice], rules: Sequence[str]) -> ScreenedChoices:
    """Apply rules one after the other; a later rule sees what the earlier ones kept.

    rules: names of `CHOICE_RULES`, by choice with a limit: `fast=1.5`, `one-side=0.01`. Raises
    SettingsError as `choice_rule`, InputError where the table lacks what a rule needs.
    """
    kept, exclusions = tuple(choices), tuple[ChoiceExclusion, ...]()
    for rule in rules:
        name, excluded_by = choice_rule(rule)
        why = excluded_by(kept)
        screened = part(kept, name, lambda one, why=why: why.get(one.listener_id), ChoiceExclusion)  # type: ignore[misc]
        kept, exclusions = screened.kept, exclusions + screened.exclusions
    return Screened(kept=kept, exclusions=exclusions)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoiceScreeningCount:
    """How much was kept, or excluded by a rule; n_checks: answers to attention checks."""

    outcome: str
    n_choices: int
    n_checks: int
    n_questions: int
    n_listeners: int


def count_screened_choices(
    choices: Sequence[Choice], screened: ScreenedChoices
) -> list[ChoiceScreeningCount]:
    """Counts of what was kept and of what each rule excluded; `choices` is what was screened."""
    rule_of = {one.listener_id: one.rule for one in screened.exclusions}
    groups: dict[str, list[Choice]] = {"kept": []}
    groups |= {f"excluded by {rule}": [] for rule in dict.fromkeys(rule_of.values())}
    for one in choices:
        rule = rule_of.get(one.listener_id)
        groups["kept" if rule is None else f"excluded by {rule}"].append(one)
    return [_count(outcome, of_outcome) for outcome, of_outcome in groups.items()]


def _count(outcome: str, choices: Sequence[Choice]) -> ChoiceScreeningCount:
    asked = [one for one in choices if not one.is_check]
    return ChoiceScreeningCount(
        outcome=outcome,
        n_choices=len(asked),
        n_checks=len(choices) - len(asked),
        n_questions=len({one.choice_id for one in asked}),
        n_listeners=len({one.listener_id for one in choices}),
    )
