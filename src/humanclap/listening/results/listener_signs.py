"""What says how well a listener listens: anchors, checks, repeats, sides. Figures only."""

from __future__ import annotations

import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from humanclap.listening.design.comparisons import EQUAL, A
from humanclap.listening.design.design import StudyDesign
from humanclap.listening.results.all_answers import Answered, anchor_means
from humanclap.listening.study.database import rows
from humanclap.listening.study.study import Study
from humanclap.metrics.vote_agreement import exact_share

ANCHOR_LIMIT_UNIT = 0.2
"""An anchor mean at or above this share of the scale is flagged (RELATE's looser limit)."""
ANCHORS_RIGHT = 2 / 3
"""A share of an A/B study's anchors below this one is flagged."""
CHECK_TOLERANCE = 1.0
ONE_SIDE_P = 0.001
"""Who chooses one side so often that chance does it more rarely than this is flagged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerProgress:
    """One listener; flags say what a researcher should look at.

    anchor_mean, repeat_difference: of ratings. anchors_right, repeats_same: shares of an A/B
    study's anchors and repeats; chose_a: share of the choices of a side that took the one at A.
    NaN where the study has none.
    """

    listener_id: str
    state: str
    answered: int
    trials: int
    anchor_mean: float
    anchors_right: float
    checks_failed: int
    repeat_difference: float
    repeats_same: float
    chose_a: float
    median_trial_s: float
    headphone_right: int | None
    excluded: bool
    reason: str | None
    flags: tuple[str, ...]


def listeners_of(
    connection: Connection, study: Study, answers: Sequence[Answered], *, simulated: bool
) -> list[ListenerProgress]:
    """Every listener who agreed, of people or of bots, in the order they came."""
    found = rows(
        connection,
        "SELECT l.listener_id, l.excluded, l.reason, s.state, s.headphone_right, "
        "COUNT(t.trial_id) AS trials FROM listeners l "
        "JOIN sessions s ON s.listener_id = l.listener_id "
        "LEFT JOIN trials t ON t.session_id = s.session_id WHERE l.simulated = :simulated "
        "GROUP BY l.listener_id, l.excluded, l.reason, s.session_id, s.state, "
        "s.headphone_right, s.created_at ORDER BY s.created_at",
        simulated=int(simulated),
    )
    of_listener: dict[str, list[Answered]] = defaultdict(list)
    for item in answers:
        of_listener[item.listener_id].append(item)
    merged: dict[str, dict[str, object]] = {}
    trials: Counter[str] = Counter()
    for record in found:  # of a listener's several sessions the last state stands, and all trials
        trials[record["listener_id"]] += record["trials"]
        merged[record["listener_id"]] = {**record, "trials": trials[record["listener_id"]]}
    return [
        _listener(study, record, of_listener[listener_id]) for listener_id, record in merged.items()
    ]


def _listener(
    study: Study, record: Mapping[str, object], own: Sequence[Answered]
) -> ListenerProgress:
    design = study.design
    failed = {item.answer_id for item in own if _failed(item, design)}
    seconds = [s for _, s in {(item.answer_id, item.trial_s) for item in own}]
    anchor_mean = next(iter(anchor_means(own).values()), math.nan)
    compared = own if design.between is not None else ()
    right = anchors_right(compared)
    limit = design.scale.rating_scale.from_unit(ANCHOR_LIMIT_UNIT)
    missed = right < ANCHORS_RIGHT if design.between is not None else anchor_mean >= limit
    flags = ["anchors"] if missed else []
    flags += ["attention"] if failed else []
    flags += ["one side"] if _one_sided(compared) else []
    flags += ["not heard to the end"] if any(not item.heard_to_end for item in own) else []
    heard = record["headphone_right"]
    return ListenerProgress(
        listener_id=str(record["listener_id"]),
        state=str(record["state"]),
        answered=len({item.answer_id for item in own}),
        trials=int(str(record["trials"])),
        anchor_mean=anchor_mean if design.between is None else math.nan,
        anchors_right=right,
        checks_failed=len(failed),
        repeat_difference=repeat_difference(own) if design.between is None else math.nan,
        repeats_same=repeats_same(compared),
        chose_a=chose_a(compared),
        median_trial_s=statistics.median(seconds) if seconds else math.nan,
        headphone_right=None if heard is None else int(str(heard)),
        excluded=bool(record["excluded"]),
        reason=None if record["reason"] is None else str(record["reason"]),
        flags=tuple(flags),
    )


def _failed(item: Answered, design: StudyDesign) -> bool:
    """Whether a check was answered wrongly; of a scale, by more than the next button."""
    if item.kind != "attention_check" or item.score is None or item.expected is None:
        return False
    off = abs(item.score - item.expected)
    return off > (CHECK_TOLERANCE * design.scale.step if design.between is None else 0.0)


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
    return _share(item.right for item in own if item.kind == "anchor" and item.right is not None)


def repeats_same(own: Sequence[Answered]) -> float:
    """Share of repeats, whose sides are swapped, with the choice of the first time; NaN without."""
    first = {item.stimulus_id: item.choice for item in own if item.kind == "rating" and item.choice}
    return _share(
        item.choice == first[item.stimulus_id]
        for item in own
        if item.kind == "repeat" and item.choice is not None and item.stimulus_id in first
    )


def chose_a(own: Iterable[Answered]) -> float:
    """Share of the choices of a side that took the one at A, of comparisons that count."""
    return _share(_sides_chosen(own))


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


def _share(values: Iterable[bool]) -> float:
    known = list(values)
    return sum(known) / len(known) if known else math.nan
