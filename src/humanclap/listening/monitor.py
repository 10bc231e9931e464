"""How a running study stands: progress, agreement, intervals, listeners. Figures only."""

from __future__ import annotations

import math
import statistics
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scipy import stats
from sqlalchemy import Connection

from humanclap.listening.answered import Answered, anchor_means, answered, has_simulated
from humanclap.listening.database import rows
from humanclap.listening.failed_clips import failed_clips
from humanclap.listening.session_length import SessionLength, session_length
from humanclap.listening.sessions import pair_load
from humanclap.listening.study import Study, setting, stimuli_of
from humanclap.metrics.reliability import icc1, leave_one_out_srcc

ANCHOR_LIMIT_UNIT = 0.2
"""An anchor mean at or above this share of the scale is flagged (RELATE's looser limit)."""
CHECK_TOLERANCE = 1.0
_HISTORY = (0.1, 0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class PairProgress:
    """Ratings one pair has, has promised, and wants."""

    audio: str
    text: str
    system: str | None
    answered: int
    promised: int
    wanted: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A mean with its 95 % t interval over the means of pairs; NaN half width for < 2 pairs."""

    n_ratings: int
    n_pairs: int
    mean: float
    half_width: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemProgress:
    """A system's ratings, and its interval after a tenth, a quarter, ... all of them."""

    system: str
    answered: int
    wanted: int
    mos: Interval
    history: tuple[Interval, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """How far listeners agree on one question so far."""

    question: str
    n_ratings: int
    icc: float
    leave_one_out_srcc: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerProgress:
    """One listener; flags say what a researcher should look at."""

    listener_id: str
    state: str
    answered: int
    trials: int
    anchor_mean: float
    checks_failed: int
    repeat_difference: float
    median_trial_s: float
    headphone_right: int | None
    excluded: bool
    reason: str | None
    flags: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedClip:
    """A clip that could not be played; nobody is given it until its file changes.

    left_out: trials given back for it; since: seconds since 1970.
    """

    audio: str
    reason: str
    left_out: int
    since: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Attendance:
    """How far those who agreed to take part have come.

    dropped_out: where those are who have not finished and were idle for slot_minutes or longer ->
    how many. sounds_at_drop_out: median of the sounds they had answered; median_minutes: from
    consent to the last sound, of those who finished and are not excluded. NaN where there is
    nobody.
    """

    agreed: int
    finished: int
    screened_out: int
    under_way: int
    dropped_out: Mapping[str, int]
    sounds_at_drop_out: float
    median_minutes: float

    @property
    def n_dropped_out(self) -> int:
        """All who dropped out, wherever."""
        return sum(self.dropped_out.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """Everything at one moment; the systems' MOS answers `mos_question`, the design's first.

    length: what the first page says of a session.
    """

    title: str
    state: str
    fingerprint: str
    simulated: bool
    mixed: bool
    ratings_wanted: int
    ratings_answered: int
    ratings_promised: int
    sessions: Mapping[str, int]
    attendance: Attendance
    length: SessionLength
    set_aside: Mapping[str, int]
    pairs: tuple[PairProgress, ...]
    mos_question: str
    systems: tuple[SystemProgress, ...]
    agreement: tuple[Agreement, ...]
    listeners: tuple[ListenerProgress, ...]
    failed_clips: tuple[FailedClip, ...] = ()


def overview(study: Study, *, simulated: bool = False) -> Overview:
    """The state of the study for people, or for bots; never of both together."""
    with study.database.read() as connection:
        answers = answered(connection, simulated=simulated)
        pairs = _pairs(connection, answers, simulated=simulated)
        listeners = _listeners(connection, study, answers, simulated=simulated)
        sessions = _session_states(connection, simulated=simulated)
        failed = _failed_clips(connection, simulated=simulated)
        attendance = _attendance(connection, study, simulated=simulated)
        length = session_length(connection, study.design)
        state = setting(connection, "state")
        mixed = has_simulated(connection) and bool(answers) and not simulated
    counted = [item for item in answers if item.set_aside is None and item.kind == "rating"]
    mos_question = next(question.id for question in study.design.questions if question.rated)
    aside: dict[str, int] = defaultdict(int)
    for _, reason in {(item.answer_id, item.set_aside) for item in answers}:
        if reason is not None:
            aside[reason] += 1
    return Overview(
        title=study.design.title,
        state=state,
        fingerprint=study.fingerprint,
        simulated=simulated,
        mixed=mixed,
        ratings_wanted=sum(pair.wanted for pair in pairs),
        ratings_answered=sum(pair.answered for pair in pairs),
        ratings_promised=sum(pair.promised for pair in pairs),
        sessions=sessions,
        attendance=attendance,
        length=length,
        set_aside=dict(aside),
        pairs=tuple(pairs),
        mos_question=mos_question,
        systems=tuple(_systems(pairs, [i for i in counted if i.question == mos_question])),
        agreement=tuple(_agreement(study, counted)),
        listeners=tuple(listeners),
        failed_clips=tuple(failed),
    )


def _failed_clips(connection: Connection, *, simulated: bool) -> list[FailedClip]:
    found = rows(
        connection,
        "SELECT p.audio, COUNT(*) AS n FROM trials t "
        "JOIN stimuli p ON p.stimulus_id = t.stimulus_id "
        "WHERE t.state = 'released' AND t.simulated = :simulated "
        "AND p.audio IN (SELECT audio FROM failed_clips) GROUP BY p.audio",
        simulated=int(simulated),
    )
    left_out = {item["audio"]: int(item["n"]) for item in found}
    return [
        FailedClip(
            audio=item["audio"],
            reason=item["reason"],
            left_out=left_out.get(item["audio"], 0),
            since=item["at"],
        )
        for item in failed_clips(connection)
    ]


def _pairs(
    connection: Connection, answers: Sequence[Answered], *, simulated: bool
) -> list[PairProgress]:
    load = pair_load(connection, simulated=simulated)
    done: dict[str, set[str]] = defaultdict(set)
    for item in answers:
        if item.kind == "rating" and item.set_aside is None:
            done[item.stimulus_id].add(item.answer_id)
    return [
        PairProgress(
            audio=s.audio,
            text=s.text,
            system=s.system,
            answered=len(done[s.stimulus_id]),
            promised=load.get(s.stimulus_id, 0) - len(done[s.stimulus_id]),
            wanted=s.wanted,
        )
        for s in stimuli_of(connection)
        if s.kind == "pair"
    ]


def _session_states(connection: Connection, *, simulated: bool) -> dict[str, int]:
    found = rows(
        connection,
        "SELECT s.state, COUNT(*) AS n FROM sessions s "
        "JOIN listeners l ON l.listener_id = s.listener_id "
        "WHERE l.simulated = :simulated GROUP BY s.state ORDER BY s.state",
        simulated=int(simulated),
    )
    return {item["state"]: int(item["n"]) for item in found}


def _attendance(connection: Connection, study: Study, *, simulated: bool) -> Attendance:
    found = rows(
        connection,
        "SELECT s.state, s.created_at, s.seen_at, s.finished_at, l.excluded, "
        "COUNT(t.trial_id) AS trials, "
        "COUNT(CASE WHEN t.state IN ('open', 'released') THEN 1 END) AS waiting FROM sessions s "
        "JOIN listeners l ON l.listener_id = s.listener_id "
        "LEFT JOIN trials t ON t.session_id = s.session_id WHERE l.simulated = :simulated "
        "GROUP BY s.session_id, s.state, s.created_at, s.seen_at, s.finished_at, l.excluded",
        simulated=int(simulated),
    )
    idle_since = time.time() - 60.0 * study.design.session.slot_minutes
    states = Counter(item["state"] for item in found)
    going = [item for item in found if item["state"] not in ("finished", "screened_out")]
    gone = [item for item in going if item["seen_at"] < idle_since]
    sounds = [item["trials"] - item["waiting"] for item in gone]
    minutes = [
        (item["finished_at"] - item["created_at"]) / 60.0
        for item in found
        if item["finished_at"] is not None and not item["excluded"]
    ]
    return Attendance(
        agreed=len(found),
        finished=states["finished"],
        screened_out=states["screened_out"],
        under_way=len(going) - len(gone),
        dropped_out=dict(Counter(map(_stage, gone))),
        sounds_at_drop_out=statistics.median(sounds) if sounds else math.nan,
        median_minutes=statistics.median(minutes) if minutes else math.nan,
    )


def _stage(session: Mapping[str, int]) -> str:
    """Where a session stands that goes no further."""
    if session["waiting"] == session["trials"]:
        return "before the first sound"
    return "during the sounds" if session["waiting"] else "before the last questions"


def interval(answers: Sequence[Answered]) -> Interval:
    """Mean over the means of pairs, with its 95 % t interval (degrees of freedom: pairs - 1)."""
    by_pair: dict[str, list[float]] = defaultdict(list)
    for item in answers:
        if item.score is not None:
            by_pair[item.stimulus_id].append(item.score)
    means = [math.fsum(scores) / len(scores) for scores in by_pair.values()]
    n = len(means)
    half = math.nan
    if n > 1:
        half = float(stats.t.ppf(0.975, n - 1)) * statistics.stdev(means) / math.sqrt(n)
    return Interval(
        n_ratings=sum(map(len, by_pair.values())),
        n_pairs=n,
        mean=math.fsum(means) / n if n else math.nan,
        half_width=half,
    )


def _systems(pairs: Sequence[PairProgress], counted: Sequence[Answered]) -> list[SystemProgress]:
    by_system: dict[str, list[Answered]] = defaultdict(list)
    for item in sorted(counted, key=lambda item: item.answered_at):
        by_system[item.system or "(no system)"].append(item)
    systems = []
    for name in sorted({pair.system or "(no system)" for pair in pairs}):
        own = [pair for pair in pairs if (pair.system or "(no system)") == name]
        ratings = by_system[name]
        parts = [ratings[: math.ceil(share * len(ratings))] for share in _HISTORY]
        systems.append(
            SystemProgress(
                system=name,
                answered=sum(pair.answered for pair in own),
                wanted=sum(pair.wanted for pair in own),
                mos=interval(ratings),
                history=tuple(interval(part) for part in parts if part),
            )
        )
    return systems


def _agreement(study: Study, counted: Sequence[Answered]) -> list[Agreement]:
    result = []
    for question in study.design.questions:
        own = [item for item in counted if item.question == question.id and item.score is not None]
        number = {key: i for i, key in enumerate(dict.fromkeys(item.stimulus_id for item in own))}
        scores = [item.score for item in own if item.score is not None]
        index = [number[item.stimulus_id] for item in own]
        if question.rated:
            result.append(
                Agreement(
                    question=question.id,
                    n_ratings=len(own),
                    icc=icc1(scores, index) if own else math.nan,
                    leave_one_out_srcc=leave_one_out_srcc(scores, index) if own else math.nan,
                )
            )
    return result


def _listeners(
    connection: Connection, study: Study, answers: Sequence[Answered], *, simulated: bool
) -> list[ListenerProgress]:
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
    anchors = anchor_means(answers)
    merged: dict[str, dict[str, object]] = {}
    trials: Counter[str] = Counter()
    for record in found:  # of a listener's several sessions the last state stands, and all trials
        trials[record["listener_id"]] += record["trials"]
        merged[record["listener_id"]] = {**record, "trials": trials[record["listener_id"]]}
    return [
        _listener(study, record, of_listener[listener_id], anchors.get(listener_id, math.nan))
        for listener_id, record in merged.items()
    ]


def _listener(
    study: Study, record: Mapping[str, object], own: Sequence[Answered], anchor_mean: float
) -> ListenerProgress:
    failed = {
        item.answer_id
        for item in own
        if item.kind == "attention_check"
        and item.score is not None
        and item.expected is not None
        and abs(item.score - item.expected) > CHECK_TOLERANCE * study.design.scale.step
    }
    seconds = [s for _, s in {(item.answer_id, item.trial_s) for item in own}]
    limit = study.design.scale.rating_scale.from_unit(ANCHOR_LIMIT_UNIT)
    flags = ["anchors"] if anchor_mean >= limit else []
    flags += ["attention"] if failed else []
    flags += ["not heard to the end"] if any(not item.heard_to_end for item in own) else []
    right = record["headphone_right"]
    return ListenerProgress(
        listener_id=str(record["listener_id"]),
        state=str(record["state"]),
        answered=len({item.answer_id for item in own}),
        trials=int(str(record["trials"])),
        anchor_mean=anchor_mean,
        checks_failed=len(failed),
        repeat_difference=repeat_difference(own),
        median_trial_s=statistics.median(seconds) if seconds else math.nan,
        headphone_right=None if right is None else int(str(right)),
        excluded=bool(record["excluded"]),
        reason=None if record["reason"] is None else str(record["reason"]),
        flags=tuple(flags),
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
