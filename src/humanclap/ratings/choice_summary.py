"""Summaries of choices: how many, how far people agree, what the order on the page does."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from humanclap.errors import InputError
from humanclap.metrics.bootstrap import Statistics, cluster_bootstrap
from humanclap.metrics.choice_accuracy import one_judge
from humanclap.metrics.vote_agreement import KrippendorffAlpha, exact_share, ratio, wilson
from humanclap.ratings.choice_screening import side_answers
from humanclap.ratings.summary import groups_of
from humanclap.records import Choice, Votes
from humanclap.votes import votes_of

REPLICATES = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class VoteEstimate:
    """A value with its 95 % interval and n; NaN where undefined, and `reason` says why."""

    value: float = math.nan
    low: float = math.nan
    high: float = math.nan
    n: int
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoiceSummary:
    """One group of questions, without attention checks.

    n_listeners: 0 where the table names none; n_decided: questions with more votes for one side;
    share_equal: of the votes; one_judge: share of n single votes that agree with the sum of the
    others (equal votes, and votes whose others are even, do not count); alpha_ordinal and
    alpha_nominal: Krippendorff's, over n questions with two votes or more, each entered in both
    orders; shown_first: share of n answers for a side that were for the side shown first, p_order
    its exact test against a half; repeats: share of n repeats with the same answer as before.
    """

    split: str
    kind: str
    n_questions: int
    n_votes: int
    n_listeners: int
    n_decided: int
    share_equal: float
    one_judge: VoteEstimate
    alpha_ordinal: VoteEstimate
    alpha_nominal: VoteEstimate
    shown_first: VoteEstimate
    p_order: float
    repeats: VoteEstimate


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoosingListener:
    """How one listener chose.

    n_choices: all answers except attention checks; n_checks_failed: of n_checks with a right
    answer; share_first: of n_sides answers for a side, where what was shown first is known;
    p_one_side: its exact test against a half; n_same: of n_repeats; median_s: seconds to an answer.
    """

    listener_id: str
    n_choices: int
    n_checks: int
    n_checks_failed: int
    n_sides: int
    share_first: float
    p_one_side: float
    n_repeats: int
    n_same: int
    median_s: float


def summarise_choices(
    records: Sequence[Choice] | Sequence[Votes], *, path: str | Path | None = None
) -> list[ChoiceSummary]:
    """Summaries by split and kind, with totals where there are several.

    Intervals of agreement: a bootstrap with 2,000 replicates and seed 0 that draws whole clips, or
    whole texts for choices between clips. path: of the table, for messages.
    Raises InputError as `votes_of`, and where there are only attention checks.
    """
    choices = [one for one in records if isinstance(one, Choice) and not one.is_check]
    votes = [one for one in records if isinstance(one, Votes) and not one.is_check]
    votes = votes or votes_of(choices, path=path)
    if not votes:
        raise InputError("there are only attention checks; nothing is left to summarise")
    answers: dict[str, list[Choice]] = {}
    for one in choices:
        answers.setdefault(one.choice_id, []).append(one)
    return [
        _summary(split, kind, of_kind, answers)
        for split, of_split in groups_of(votes, "split")
        for kind, of_kind in groups_of(of_split, "kind")
    ]


def _summary(
    split: str, kind: str, votes: Sequence[Votes], answers: Mapping[str, Sequence[Choice]]
) -> ChoiceSummary:
    choices = [one for question in votes for one in answers.get(question.choice_id, ())]
    agreed = _agreement(votes)
    order, p_order = _order(choices)
    return ChoiceSummary(
        split=split,
        kind=kind,
        n_questions=len(votes),
        n_votes=sum(one.n for one in votes),
        n_listeners=len({one.listener_id for one in choices}),
        n_decided=sum(one.decided for one in votes),
        share_equal=sum(one.n_equal for one in votes) / sum(one.n for one in votes),
        **agreed,
        shown_first=order,
        p_order=p_order,
        repeats=_steadiness(choices),
    )


def _agreement(votes: Sequence[Votes]) -> dict[str, VoteEstimate]:
    first, equal, second = (
        np.array([getattr(one, name) for one in votes], dtype=np.float64)
        for name in ("n_first", "n_equal", "n_second")
    )
    agree, counted = one_judge(first, second)
    many = int((first + equal + second > 1).sum())
    counts = np.stack([first, equal, second], axis=1)
    few = "no question has two votes" if not many else "all votes are equal"
    found = {
        "one_judge": _estimate(
            ratio(agree, counted),
            votes,
            int(counted.sum()),
            "no vote for a side has others that lean to one side",
        )
    }
    for level in ("ordinal", "nominal"):
        alpha = KrippendorffAlpha(counts, level, both_orders=True)
        found[f"alpha_{level}"] = _estimate(alpha, votes, many, few)
    return found


def _estimate(
    statistics: Statistics, votes: Sequence[Votes], n: int, undefined: str
) -> VoteEstimate:
    """A statistic of the questions with its interval, drawn by clip (or text)."""
    (value,) = statistics(np.ones((1, len(votes)))).values()
    if not np.isfinite(value[0]):
        return VoteEstimate(n=n, reason=undefined)
    clusters = [one.audio_a if one.between == "texts" else one.text_a for one in votes]
    rng = np.random.default_rng(0)
    (interval,) = cluster_bootstrap(statistics, clusters, rng=rng, replicates=REPLICATES).values()
    return VoteEstimate(
        value=float(value[0]), low=interval.low, high=interval.high, n=n, reason=interval.reason
    )


def _order(choices: Sequence[Choice]) -> tuple[VoteEstimate, float]:
    """Share of the answers for a side that were for the side shown first, and its exact test."""
    answers = sum(side_answers(choices).values(), Counter[str]())
    found = exact_share(answers["first"], answers["first"] + answers["second"])
    reason = None
    if not found.n:
        known = any(one.shown_first for one in choices)
        reason = "all answers are equal" if known else "no answer says which side was shown first"
    estimate = VoteEstimate(
        value=found.share, low=found.low, high=found.high, n=found.n, reason=reason
    )
    return estimate, found.p_value


def _steadiness(choices: Sequence[Choice]) -> VoteEstimate:
    """Share of the repeats with the same answer as before, with Wilson's interval."""
    alike = repeats_alike(choices)
    if not alike:
        return VoteEstimate(n=0, reason="no repeats")
    low, high = wilson(sum(alike), len(alike))
    return VoteEstimate(
        value=sum(alike) / len(alike), low=float(low), high=float(high), n=len(alike)
    )


def repeats_alike(choices: Sequence[Choice]) -> list[bool]:
    """For each repeat whose first answer is there too: whether both answers are the same."""
    first = {(one.listener_id, one.choice_id): one for one in choices if not one.repeat}
    found = []
    for again in choices:
        before = first.get((again.listener_id, again.choice_id))
        if again.repeat and before is not None:
            turned = again.pair_id_a != before.pair_id_a
            found.append((again.swapped() if turned else again).choice == before.choice)
    return found


def summarise_listeners(choices: Sequence[Choice]) -> list[ChoosingListener]:
    """One row a listener, in order of first appearance."""
    of_listener: dict[str, list[Choice]] = {}
    for one in choices:
        of_listener.setdefault(one.listener_id, []).append(one)
    return [_listener(listener_id, own) for listener_id, own in of_listener.items()]


def _listener(listener_id: str, own: Sequence[Choice]) -> ChoosingListener:
    asked = [one for one in own if not one.is_check]
    checks = [one for one in own if one.expected is not None]
    places = side_answers(own).get(listener_id, Counter())
    sides = exact_share(places["first"], places["first"] + places["second"])
    alike = repeats_alike(asked)
    times = [one.duration_s for one in own if not math.isnan(one.duration_s)]
    return ChoosingListener(
        listener_id=listener_id,
        n_choices=len(asked),
        n_checks=len(checks),
        n_checks_failed=sum(one.choice != one.expected for one in checks),
        n_sides=sides.n,
        share_first=sides.share,
        p_one_side=sides.p_value,
        n_repeats=len(alike),
        n_same=sum(alike),
        median_s=round(statistics.median(times), 3) if times else math.nan,
    )
