"""Figures on a running study: progress, agreement, intervals, listeners."""

from __future__ import annotations

import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats
from sqlalchemy import Connection

from humanclap.listening.design.design import CHOICE
from humanclap.listening.results.all_answers import Answered, answered, has_simulated, session_rows
from humanclap.listening.results.attendance import Attendance, attendance
from humanclap.listening.results.listener_signs import ListenerProgress, chose_a, listeners_of
from humanclap.listening.study.database import now, rows
from humanclap.listening.study.session_length import SessionLength, session_length
from humanclap.listening.study.session_trials import pair_load
from humanclap.listening.study.study import Study, setting, stimuli_of
from humanclap.metrics.reliability import icc1, leave_one_out_srcc
from humanclap.metrics.vote_agreement import KrippendorffAlpha

_HISTORY = (0.1, 0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class PairProgress:
    """Ratings that one pair has, has promised and wants; for a comparison, choices.

    audio, text: for a comparison both, joined by ` | `; system: its pair of systems.
    """

    audio: str
    text: str
    system: str | None
    answered: int
    promised: int
    wanted: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MeanInterval:
    """A mean with its 95 % t interval over the means of pairs; NaN half width for < 2 pairs."""

    n_ratings: int
    n_pairs: int
    mean: float
    half_width: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemProgress:
    """A system's ratings, and its interval after a tenth, a quarter, ... all of them.

    For two systems that are compared, `mos` is the share of choices of the one named first, in
    [0, 1]; "about equal" counts as half. led: how often that system stood at A.
    """

    system: str
    answered: int
    wanted: int
    mos: MeanInterval
    history: tuple[MeanInterval, ...]
    led: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """How far listeners agree on one question so far.

    alpha: of choices, Krippendorff's (ordinal, whichever side is called first); NaN of ratings.
    """

    question: str
    n_ratings: int
    icc: float = math.nan
    leave_one_out_srcc: float = math.nan
    alpha: float = math.nan


@dataclass(frozen=True, slots=True, kw_only=True)
class UnplayableClip:
    """A clip that could not be played; nobody gets it until its file changes.

    left_out: trials given back for it; since: seconds since 1970.
    """

    audio: str
    reason: str
    left_out: int
    since: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyOverview:
    """Everything at one moment; the systems' MOS answers `mos_question`, the design's first.

    length: what the first page says of a session. trial: what a trial is, as in the design;
    chose_a: share of the choices of a side that took the one at A, among comparisons that count.
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
    failed_clips: tuple[UnplayableClip, ...] = ()
    trial: str = "rating"
    chose_a: float = math.nan


def overview(study: Study, *, simulated: bool = False) -> StudyOverview:
    """The state of the study for people or for bots, never for both together."""
    with study.database.read() as connection:
        answers = answered(connection, simulated=simulated)
        pairs = _pairs(connection, answers, simulated=simulated)
        sessions = session_rows(connection, simulated=simulated)
        failed = _failed_clips(connection, simulated=simulated)
        idle_since = now(connection) - 60.0 * study.design.session.slot_minutes
        length = session_length(connection, study.design)
        state = setting(connection, "state")
        mixed = has_simulated(connection) and bool(answers) and not simulated
    counted = [item for item in answers if item.set_aside is None and item.kind == "rating"]
    mos_question = next(question.id for question in study.design.questions if question.rated)
    reasons = dict.fromkeys((item.answer_id, item.set_aside) for item in answers)
    return StudyOverview(
        title=study.design.title,
        state=state,
        fingerprint=study.fingerprint,
        simulated=simulated,
        mixed=mixed,
        ratings_wanted=sum(pair.wanted for pair in pairs),
        ratings_answered=sum(pair.answered for pair in pairs),
        ratings_promised=sum(pair.promised for pair in pairs),
        sessions=dict(sorted(Counter(item["state"] for item in sessions).items())),
        attendance=attendance(sessions, idle_since=idle_since),
        length=length,
        set_aside=dict(Counter(reason for _, reason in reasons if reason is not None)),
        pairs=tuple(pairs),
        mos_question=mos_question,
        systems=tuple(_systems(pairs, [i for i in counted if i.question == mos_question])),
        agreement=tuple(_agreement(study, counted)),
        listeners=tuple(listeners_of(sessions, study.design, answers)),
        failed_clips=tuple(failed),
        trial=study.design.trial,
        chose_a=chose_a(counted) if study.design.between else math.nan,
    )


def _failed_clips(connection: Connection, *, simulated: bool) -> list[UnplayableClip]:
    found = rows(
        connection,
        "SELECT f.audio, f.reason, COUNT(t.trial_id) AS left_out, f.at AS since "
        "FROM failed_clips f LEFT JOIN stimuli p ON f.audio IN (p.audio, p.audio_b) "
        "LEFT JOIN trials t ON t.stimulus_id = p.stimulus_id AND t.state = 'released' "
        "AND t.simulated = :simulated GROUP BY f.audio, f.reason, f.at ORDER BY f.at",
        simulated=int(simulated),
    )
    return [UnplayableClip(**item) for item in found]


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
            audio=" | ".join(s.clips),
            text=" | ".join(s.texts),
            system=s.group,
            answered=len(done[s.stimulus_id]),
            promised=load.get(s.stimulus_id, 0) - len(done[s.stimulus_id]),
            wanted=s.wanted,
        )
        for s in stimuli_of(connection)
        if s.kind == "pair"
    ]


def interval(answers: Sequence[Answered]) -> MeanInterval:
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
    return MeanInterval(
        n_ratings=sum(map(len, by_pair.values())),
        n_pairs=n,
        mean=math.fsum(means) / n if n else math.nan,
        half_width=half,
    )


def _for_systems(item: Answered) -> Answered:
    """The answer as one on the system, or as one on a pair of systems: 1 for the first named.

    Sides are turned so that the system named first is the first one; `swapped` then says that it
    did not stand at A.
    """
    if item.audio_b is None or item.choice is None:
        return item
    turned = (item.system or "") > (item.system_b or "")
    unit = {"first": 1.0, "equal": 0.5, "second": 0.0}[item.choice]
    return replace(
        item,
        system=item.group,
        score=1.0 - unit if turned else unit,
        swapped=item.swapped != turned,
    )


def _systems(pairs: Sequence[PairProgress], counted: Sequence[Answered]) -> list[SystemProgress]:
    of_system: dict[str, list[Answered]] = defaultdict(list)
    for item in sorted(map(_for_systems, counted), key=lambda item: item.answered_at):
        of_system[item.system or "(no system)"].append(item)
    pairs_of: dict[str, list[PairProgress]] = defaultdict(list)
    for pair in pairs:
        pairs_of[pair.system or "(no system)"].append(pair)
    systems = []
    for name, own in sorted(pairs_of.items()):
        ratings = of_system[name]
        parts = [ratings[: math.ceil(share * len(ratings))] for share in _HISTORY]
        systems.append(
            SystemProgress(
                system=name,
                answered=sum(pair.answered for pair in own),
                wanted=sum(pair.wanted for pair in own),
                mos=interval(ratings),
                history=tuple(interval(part) for part in parts if part),
                led=sum(not item.swapped for item in ratings if item.audio_b is not None),
            )
        )
    return systems


def _agreement(study: Study, counted: Sequence[Answered]) -> list[Agreement]:
    result = []
    for question in study.design.questions:
        if question.rated:
            own = [item for item in counted if item.question == question.id]
            figures = {"alpha": _alpha(own)} if question.id == CHOICE else _of_ratings(own)
            result.append(Agreement(question=question.id, n_ratings=len(own), **figures))
    return result


def _of_ratings(own: Sequence[Answered]) -> dict[str, float]:
    if not own:
        return {}
    number = {key: i for i, key in enumerate(dict.fromkeys(item.stimulus_id for item in own))}
    scores = [item.score for item in own if item.score is not None]
    index = [number[item.stimulus_id] for item in own]
    return {"icc": icc1(scores, index), "leave_one_out_srcc": leave_one_out_srcc(scores, index)}


def _alpha(own: Sequence[Answered]) -> float:
    """Krippendorff's alpha of choices, as `humanclap ratings summary` gives it."""
    votes: dict[str, Counter[str]] = defaultdict(Counter)
    for item in own:
        votes[item.stimulus_id][str(item.choice)] += 1
    if not votes:
        return math.nan
    counts = [[each[side] for side in ("first", "equal", "second")] for each in votes.values()]
    alpha = KrippendorffAlpha(counts, "ordinal", both_orders=True)
    return float(alpha(np.ones((1, len(counts))))["alpha"][0])
