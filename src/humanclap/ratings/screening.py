"""Which ratings to trust: screening rules. Each says what it excluded, and why."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Generic, TypeVar

from humanclap.errors import InputError, SettingsError
from humanclap.records import Choice, Rating

RELATE_LIMITS = {"train": 2.0}
"""RELATE's limits of a listener's anchor mean, by split; a split not named has OTHER_LIMIT."""
RELATE_OTHER_LIMIT = 1.0
RELATE_ANCHORS = 3
SPO_TOLERANCE = 5.0

Answer = TypeVar("Answer", Rating, Choice)
Excluded = TypeVar("Excluded")


@dataclass(frozen=True, slots=True, kw_only=True)
class Exclusion:
    """One rating that a rule excluded; `line` is its line in the table."""

    listener_id: str
    rule: str
    detail: str
    audio: str
    text: str
    question: str
    kind: str
    line: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Screened(Generic[Answer, Excluded]):
    """What rules kept, in the order given, and what they excluded; together everything given."""

    kept: tuple[Answer, ...]
    exclusions: tuple[Excluded, ...] = ()


def part(
    answers: Sequence[Answer],
    rule: str,
    reason: Callable[[Answer], str | None],
    excluded: type[Excluded],
) -> Screened[Answer, Excluded]:
    """Divide answers into those that a rule keeps and those that it excludes.

    reason: why an answer is excluded, None where it is kept; excluded: the record of an exclusion,
    with `rule`, `detail` and fields of the answer.
    """
    taken: Any = excluded
    own = [field.name for field in fields(taken) if field.name not in ("rule", "detail")]
    kept, exclusions = [], []
    for answer in answers:
        detail = reason(answer)
        if detail is None:
            kept.append(answer)
        else:
            values = {name: getattr(answer, name) for name in own}
            exclusions.append(taken(rule=rule, detail=detail, **values))
    return Screened(kept=tuple(kept), exclusions=tuple(exclusions))


ScreenedRatings = Screened[Rating, Exclusion]


def screen_relate(
    ratings: Sequence[Rating],
    *,
    limits: Mapping[str, float] = RELATE_LIMITS,
    other_limit: float = RELATE_OTHER_LIMIT,
    n_anchors: int = RELATE_ANCHORS,
) -> ScreenedRatings:
    """RELATE's rule: a listener must have heard that the anchors do not match.

    A = mean of the listener's three anchor scores. An answer about a clip of the train split is
    kept iff A < 2, of any other split iff A < 1. So a listener may be kept for train only. The same
    rule keeps anchors (aggregation leaves them out unless asked). It agrees with the published
    column `in RELATE dataset` on all 24,660 rows that are not anchors.
    Raises InputError where a listener has not exactly `n_anchors` anchors of a question.
    Source: Kanamori et al., Interspeech 2025; the limits were found from the data.
    """
    anchors: dict[tuple[str, str], list[float]] = defaultdict(list)
    for rating in ratings:
        of_listener = anchors[rating.listener_id, rating.question]
        if rating.kind == "anchor":
            of_listener.append(rating.score)
    for (listener_id, question), scores in anchors.items():
        if len(scores) != n_anchors:
            raise InputError(
                f"listener {listener_id!r} has {len(scores)} anchors of question {question}; "
                f"RELATE's rule needs {n_anchors} (is this only a part of the table? "
                "the rule 'published' needs no anchors)"
            )
    means = {key: sum(scores) / len(scores) for key, scores in anchors.items()}

    def reason(rating: Rating) -> str | None:
        mean = means[rating.listener_id, rating.question]
        limit = limits.get(rating.split or "", other_limit)
        return None if mean < limit else f"anchor mean {mean:.2f}, limit {limit:g}"

    return part(ratings, "relate", reason, Exclusion)


def screen_published(ratings: Sequence[Rating]) -> ScreenedRatings:
    """The publisher's own screening, where the table has it (RELATE's `in RELATE dataset`).

    The publisher says nothing about anchors; an anchor is kept iff the publisher kept an ordinary
    answer of its listener. Raises InputError for an ordinary answer without a verdict.
    """
    trusted = {rating.listener_id for rating in ratings if rating.excluded is False}
    for rating in ratings:
        if rating.kind == "rating" and rating.excluded is None:
            raise InputError(
                f"line {rating.line}: the table does not tell its publisher's screening (only "
                "RELATE's REL table does); choose another rule"
            )

    def reason(rating: Rating) -> str | None:
        if rating.kind == "rating":
            return "excluded by the publisher" if rating.excluded else None
        trust = rating.listener_id in trusted
        return None if trust else "no answer of the listener was kept by the publisher"

    return part(ratings, "published", reason, Exclusion)


def screen_spo(ratings: Sequence[Rating], *, tolerance: float = SPO_TOLERANCE) -> ScreenedRatings:
    """SPO's rule: keep an answer iff another answer about the same pair lies within ±tolerance.

    So the only answer about a pair is excluded. Attention checks are kept.
    Source: SPO-CLAPScore (arXiv 2601.02900), τ = 5 on 0..10.
    """
    if not tolerance >= 0:
        raise SettingsError(f"tolerance is {tolerance:g}; expected a number from 0 up")
    scores: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    for rating in ratings:
        if rating.kind != "attention_check":
            scores[rating.audio, rating.text, rating.question].append(rating.score)
    for of_pair in scores.values():
        of_pair.sort()

    def reason(rating: Rating) -> str | None:
        if rating.kind == "attention_check":
            return None
        of_pair = scores[rating.audio, rating.text, rating.question]
        low = bisect_left(of_pair, rating.score - tolerance)
        high = bisect_right(of_pair, rating.score + tolerance)
        if high - low > 1:
            return None
        if len(of_pair) == 1:
            return "the only answer about its pair"
        return f"none of the other {len(of_pair) - 1} answers is within {tolerance:g}"

    return part(ratings, "spo", reason, Exclusion)


def screen_attention(ratings: Sequence[Rating], *, tolerance: float = 1.0) -> ScreenedRatings:
    """Exclude every answer of a listener who fails an attention check.

    A listener fails where the score is further than `tolerance` from the `expected` answer.
    Answers of listeners without checks are kept. Raises InputError for a check without `expected`.
    """
    failed: dict[str, str] = {}
    for rating in ratings:
        if rating.kind != "attention_check":
            continue
        if rating.expected is None:
            raise InputError(
                f"line {rating.line}: an attention check without its expected answer; "
                "write it in the column 'expected'"
            )
        if abs(rating.score - rating.expected) > tolerance:
            detail = f"attention check answered {rating.score:g}, expected {rating.expected:g}"
            failed.setdefault(rating.listener_id, detail)
    return part(ratings, "attention", lambda one: failed.get(one.listener_id), Exclusion)


SCREENS: dict[str, Callable[[Sequence[Rating]], ScreenedRatings]] = {
    "none": lambda ratings: Screened(kept=tuple(ratings)),
    "relate": screen_relate,
    "published": screen_published,
    "spo": screen_spo,
    "attention": screen_attention,
}
"""The rules by name, with their published settings."""


def screen(ratings: Sequence[Rating], rules: Sequence[str]) -> ScreenedRatings:
    """Apply rules one after the other; a later rule sees what the earlier ones kept."""
    kept, exclusions = tuple(ratings), tuple[Exclusion, ...]()
    for rule in rules:
        if rule not in SCREENS:
            raise SettingsError(f"no screening rule {rule!r}; known: {', '.join(SCREENS)}")
        screened = SCREENS[rule](kept)
        kept, exclusions = screened.kept, exclusions + screened.exclusions
    return Screened(kept=kept, exclusions=exclusions)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScreeningCount:
    """How much was kept, or excluded by a rule.

    n_ratings, n_pairs: of ordinary ratings; n_anchors: answers about anchors; n_listeners: all with
    an answer of any kind.
    """

    outcome: str
    n_ratings: int
    n_anchors: int
    n_pairs: int
    n_listeners: int


def count_screened(screened: ScreenedRatings) -> list[ScreeningCount]:
    """Counts of what was kept and of what each rule excluded."""
    by_rule: dict[str, list[Exclusion]] = defaultdict(list)
    for exclusion in screened.exclusions:
        by_rule[exclusion.rule].append(exclusion)
    return [
        _count("kept", screened.kept),
        *(_count(f"excluded by {rule}", excluded) for rule, excluded in by_rule.items()),
    ]


def _count(outcome: str, answers: Sequence[Rating] | Sequence[Exclusion]) -> ScreeningCount:
    ordinary = [answer for answer in answers if answer.kind == "rating"]
    return ScreeningCount(
        outcome=outcome,
        n_ratings=len(ordinary),
        n_anchors=sum(answer.kind == "anchor" for answer in answers),
        n_pairs=len({(answer.audio, answer.text) for answer in ordinary}),
        n_listeners=len({answer.listener_id for answer in answers}),
    )
