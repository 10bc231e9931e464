"""Signs of how well a listener listens: anchors, checks, repeats, sides."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from humanclap.listening.design.comparisons import EQUAL, A
from humanclap.listening.design.design import StudyDesign
from humanclap.listening.results.all_answers import Answered, by_listener
from humanclap.listening.study.database import Rows
from humanclap.metrics.vote_agreement import exact_share

ANCHOR_LIMIT_UNIT = 0.2
"""An anchor mean at or above this share of the scale is flagged (RELATE's looser limit)."""
ANCHORS_RIGHT = 2 / 3
"""A share of an A/B study's anchors below this one is flagged."""
CHECK_TOLERANCE = 1.0
ONE_SIDE_P = 0.001
"""A listener is flagged whose lean to one side has a smaller probability than this by chance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerProgress:
    """One listener; `flags` say what a researcher should look at.

    anchor_mean, repeat_difference: of ratings. anchors_right, repeats_same: shares of an A/B
    study's anchors and repeats; chose_a: share of the choices of a side that took the one at A.
    NaN where the study has none.
    """

    listener_id: str
    state: str
    answered: int
    trials: int
    anchor_mean: float = math.nan
    anchors_right: float = math.nan
    checks_failed: int
    repeat_difference: float = math.nan
    repeats_same: float = math.nan
    chose_a: float = math.nan
    median_trial_s: float
    headphone_right: int | None
    excluded: bool
    reason: str | None
    flags: tuple[str, ...]


def listeners_of(
    sessions: Rows, design: StudyDesign, answers: Sequence[Answered]
) -> list[ListenerProgress]:
    """Every listener of these sessions (`session_rows`), in the order they came."""
    own = by_listener(answers)
    merged: dict[str, dict[str, Any]] = {}
    for record in sessions:  # a later session's state counts, and the trials of all
        before = merged.get(record["listener_id"], {"trials": 0})
        merged[record["listener_id"]] = {**record, "trials": before["trials"] + record["trials"]}
    return [_listener(design, record, own[listener]) for listener, record in merged.items()]


def signs_of(own: Sequence[Answered], design: StudyDesign) -> dict[str, float]:
    """What says how well one listener listens, by the fields of ListenerProgress."""
    if design.between is None:
        return {"anchor_mean": anchor_mean(own), "repeat_difference": repeat_difference(own)}
    return {
        "anchors_right": anchors_right(own),
        "repeats_same": repeats_same(own),
        "chose_a": chose_a(own),
    }


def _listener(
    design: StudyDesign, record: Mapping[str, Any], own: Sequence[Answered]
) -> ListenerProgress:
    failed = {item.answer_id for item in own if _failed(item, design)}
    seconds = [s for _, s in {(item.answer_id, item.trial_s) for item in own}]
    signs = signs_of(own, design)
    flags = []
    if design.between is None:
        if signs["anchor_mean"] >= design.scale.rating_scale.from_unit(ANCHOR_LIMIT_UNIT):
            flags.append("anchors")
    elif signs["anchors_right"] < ANCHORS_RIGHT:
        flags.append("anchors")
    flags += ["attention"] if failed else []
    flags += ["one side"] if design.between is not None and _one_sided(own) else []
    flags += ["not heard to the end"] if any(not item.heard_to_end for item in own) else []
    return ListenerProgress(
        listener_id=record["listener_id"],
        state=record["state"],
        answered=len({item.answer_id for item in own}),
        trials=record["trials"],
        checks_failed=len(failed),
        median_trial_s=statistics.median(seconds) if seconds else math.nan,
        headphone_right=record["headphone_right"],
        excluded=bool(record["excluded"]),
        reason=record["reason"],
        flags=tuple(flags),
        **signs,
    )


def _failed(item: Answered, design: StudyDesign) -> bool:
    """Whether a check was answered wrongly: on a scale, by more than one button."""
    if item.kind != "attention_check" or item.score is None or item.expected is None:
        return False
    off = abs(item.score - item.expected)
    return off > (CHECK_TOLERANCE * design.scale.step if design.between is None else 0.0)


def anchor_mean(own: Iterable[Answered]) -> float:
    """Mean score on anchors, over the questions on how well sound and text match; NaN without."""
    return _mean(
        item.score
        for item in own
        if item.kind == "anchor" and item.score is not None and item.question != "OVERALL"
    )


def repeat_difference(own: Sequence[Answered]) -> float:
    """Mean absolute difference between first and repeated ratings; NaN without repeats."""
    first = {(item.stimulus_id, item.question): item.score for item in own if item.kind == "rating"}
    differences = [
        abs(item.score - earlier)
        for item in own
        if item.kind == "repeat"
        and item.score is not None
        and (earlier := first.get((item.stimulus_id, item.question))) is not None
    ]
    return math.fsum(differences) / len(differences) if differences else math.nan


def anchors_right(own: Iterable[Answered]) -> float:
    """Share of an A/B study's anchors answered with the side that fits; NaN without anchors."""
    return _mean(item.right for item in own if item.kind == "anchor" and item.right is not None)


def repeats_same(own: Sequence[Answered]) -> float:
    """Share of repeats, whose sides are swapped, with the choice of the first time; NaN without."""
    first = {item.stimulus_id: item.choice for item in own if item.kind == "rating" and item.choice}
    return _mean(
        item.choice == first[item.stimulus_id]
        for item in own
        if item.kind == "repeat" and item.choice is not None and item.stimulus_id in first
    )


def chose_a(own: Iterable[Answered]) -> float:
    """Share of the choices of a side that took the one at A, of comparisons that count."""
    return _mean(_sides_chosen(own))


def _sides_chosen(own: Iterable[Answered]) -> list[bool]:
    return [
        item.score == A
        for item in own
        if item.kind in ("rating", "repeat") and item.score is not None and item.score != EQUAL
    ]


def _one_sided(own: Iterable[Answered]) -> bool:
    """Whether sides that were drawn by chance were chosen as no attentive listener would."""
    chosen = _sides_chosen(own)
    return exact_share(sum(chosen), len(chosen)).p_value < ONE_SIDE_P


def _mean(values: Iterable[float]) -> float:
    known = list(values)
    return sum(known) / len(known) if known else math.nan
