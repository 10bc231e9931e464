"""One answer, one transaction: stored once however often it is sent, and never changed.

The last answer of a session may be revised until the next one is given; then both are kept, and
the revision counts.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection

from humanclap.errors import InputError
from humanclap.listening.design.design import StudyDesign
from humanclap.listening.study.database import insert, now, row, run, value
from humanclap.listening.study.session_trials import pair_load, take_up
from humanclap.listening.study.sessions import Session, finish_if_done, session_of
from humanclap.listening.study.study import Study

MAX_COMMENT_CHARACTERS = 2000
MAX_PLAYS = 1000
MAX_SECONDS = 30 * 86_400.0

Outcome = Literal["stored", "revised", "repeated", "conflict", "unknown"]
"""Stored now; stored now in place of an earlier one; stored before under this id; another answer is
stored already; this listener has no such trial."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a listener's browser sends about one trial.

    answer_id: made by the browser, the same at every retry; values: question -> rating or text;
    play_count_second: plays of the second sound (B), where a trial has two; None elsewhere.
    trial_s: seconds on the trial; waited_s: seconds between answering and this sending; revises:
    id of the answer to the same trial that this one replaces, empty for a first answer.
    """

    answer_id: str
    trial_id: str
    values: Mapping[str, float | str]
    play_count: int
    heard_to_end: bool
    trial_s: float
    waited_s: float = 0.0
    revises: str = ""
    play_count_second: int | None = None

    def __post_init__(self) -> None:
        for name in ("answer_id", "trial_id", *(("revises",) if self.revises else ())):
            value = getattr(self, name)
            if not (isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9_-]{8,64}", value)):
                raise InputError(f"{name} is not an id")
        for name in ("play_count", "play_count_second"):
            if not 0 <= (getattr(self, name) or 0) <= MAX_PLAYS:
                raise InputError(f"{name} is outside 0..{MAX_PLAYS}")
        for name in ("trial_s", "waited_s"):
            value = getattr(self, name)
            if not 0 <= value <= MAX_SECONDS:  # neither NaN nor 10**400 is within
                raise InputError(f"{name} is outside 0..{MAX_SECONDS:g}")

    @property
    def digest(self) -> str:
        """Fingerprint of what was answered, the same whenever it is sent."""
        content = [self.trial_id, dict(sorted(self.values.items())), self.play_count, self.trial_s]
        content += [] if self.play_count_second is None else [self.play_count_second]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def check_answer(answer: Answer, design: StudyDesign) -> None:
    """Raise InputError where an answer does not fit the study's questions and rules."""
    unknown = answer.values.keys() - {question.id for question in design.questions}
    if unknown:
        raise InputError(f"the study does not ask {sorted(unknown)}")
    for question in design.questions:
        value = answer.values.get(question.id)
        if value is None or value == "":
            if question.required:
                raise InputError(f"{question.id} is not answered")
        elif question.rated:
            if isinstance(value, str) or value not in design.scale.choices:
                raise InputError(f"{question.id} is not one of the buttons")
        elif not isinstance(value, str) or len(value) > MAX_COMMENT_CHARACTERS:
            raise InputError(f"{question.id} is not a text of up to {MAX_COMMENT_CHARACTERS}")
    plays = (answer.play_count, answer.play_count_second)[: design.n_sounds]
    if (answer.play_count_second is None) == (design.n_sounds == 2):
        raise InputError(f"a trial of this study has {design.n_sounds} sounds to count plays of")
    if answer.heard_to_end and not all(plays):
        raise InputError("heard to the end, but never played")
    if design.session.must_play_to_end and not answer.heard_to_end:
        raise InputError("the sound was not played to its end")


def store_answer(study: Study, session: Session, answer: Answer) -> Outcome:
    """Store an answer of this session's listener; when this returns `stored`, it is on the disk.

    The trial may be of an earlier session of the same listener: what waited in a browser belongs
    to the person. An answer to a trial that was given back meanwhile still counts where its pair
    has room, else it is kept as surplus. One that revises the session's last answer is stored
    beside it and counts in its place, until another trial is answered or the session has finished.
    Raises InputError where the answer does not fit the study.
    """
    check_answer(answer, study.design)
    with study.database.write() as connection:
        trial = row(
            connection,
            "SELECT t.trial_id, t.session_id, t.kind, t.state, t.stimulus_id, p.wanted, "
            "l.excluded, a.answer_id FROM trials t "
            "JOIN stimuli p ON p.stimulus_id = t.stimulus_id "
            "JOIN sessions s ON s.session_id = t.session_id "
            "JOIN listeners l ON l.listener_id = s.listener_id "
            "LEFT JOIN answers a ON a.trial_id = t.trial_id "
            "WHERE t.trial_id = :trial AND s.listener_id = :listener",
            trial=answer.trial_id,
            listener=session.listener_id,
        )
        if trial is None:
            return "unknown"
        query = "SELECT digest FROM given_answers WHERE answer_id = :id"
        if (known := value(connection, query, id=answer.answer_id)) is not None:
            return "repeated" if known == answer.digest else "conflict"
        at = now(connection)
        if answer.revises:
            return _revise(connection, trial["session_id"], answer, at)
        if trial["answer_id"] is not None:
            return "conflict"
        _insert(connection, answer, at)
        _close_trial(connection, session, trial)
        _after_answer(connection, trial["session_id"], at)
    return "stored"


def last_answer(connection: Connection, session_id: str) -> dict[str, Any] | None:
    """The answer of an unfinished session that may still be revised: the one given last.

    Its answer_id, trial_id, number (0 as first given, then that of the revision), play counts and
    trial_s.
    """
    return row(
        connection,
        "SELECT a.answer_id, a.trial_id, a.number, a.play_count, a.play_count_second, a.trial_s "
        "FROM final_answers a "
        "JOIN trials t ON t.trial_id = a.trial_id "
        "JOIN sessions s ON s.session_id = t.session_id "
        "JOIN answers given ON given.trial_id = a.trial_id "
        "WHERE t.session_id = :id AND s.state IN ('active', 'expired') "
        "AND EXISTS (SELECT 1 FROM trials o WHERE o.session_id = :id "
        "AND o.state IN ('open', 'released')) "
        "ORDER BY given.received_at DESC, t.number DESC",
        id=session_id,
    )


def _revise(connection: Connection, session_id: str, answer: Answer, at: float) -> Outcome:
    last = last_answer(connection, session_id)
    revisable = None if last is None else (last["answer_id"], last["trial_id"])
    if last is None or revisable != (answer.revises, answer.trial_id):
        return "conflict"
    extra = {"number": last["number"] + 1, "revises": answer.revises}
    _insert(connection, answer, at, into=("revisions", "revision_values", "revision_id"), **extra)
    _after_answer(connection, session_id, at)
    return "revised"


def _insert(
    connection: Connection,
    answer: Answer,
    at: float,
    into: tuple[str, str, str] = ("answers", "answer_values", "answer_id"),
    **extra: object,
) -> None:
    """at: when it came; into: tables of answers and of their values, and the column of the id."""
    table, values_table, key = into
    record = {
        key: answer.answer_id,
        "trial_id": answer.trial_id,
        "received_at": at,
        "answered_at": at - answer.waited_s,
        "play_count": answer.play_count,
        "play_count_second": answer.play_count_second,
        "heard_to_end": int(answer.heard_to_end),
        "trial_s": answer.trial_s,
        "digest": answer.digest,
        **extra,
    }
    insert(connection, table, record)
    values = [
        {
            key: answer.answer_id,
            "question": question,
            "score": None if isinstance(given, str) else given,
            "comment": given if isinstance(given, str) else None,
        }
        for question, given in answer.values.items()
        if given != ""
    ]
    insert(connection, values_table, *values)


def _close_trial(connection: Connection, session: Session, trial: Mapping[str, Any]) -> None:
    state = "answered"
    if trial["excluded"]:
        state = "excluded"
    elif trial["state"] == "released" and trial["kind"] == "rating":
        load = pair_load(connection, simulated=session.simulated)
        if load.get(trial["stimulus_id"], 0) >= trial["wanted"]:
            state = "surplus"
    query = "UPDATE trials SET state = :state WHERE trial_id = :id"
    run(connection, query, state=state, id=trial["trial_id"])


def _after_answer(connection: Connection, session_id: str, at: float) -> None:
    query = "UPDATE sessions SET seen_at = :now WHERE session_id = :id"
    run(connection, query, now=at, id=session_id)
    session = session_of(connection, session_id)
    if session.state == "expired" and not session.excluded:
        take_up(connection, session)  # back without loading a page
    finish_if_done(connection, session_id)
