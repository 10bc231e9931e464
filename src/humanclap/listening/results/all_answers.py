"""All answers with what is known of their trials, and all sessions: what page and export read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection

from humanclap.listening.design.comparisons import choice_of, group_of
from humanclap.listening.study.database import Rows, each_row, rows, value
from humanclap.records import Answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """One question of one answered trial.

    score: None for a text; set_aside: why it is not among the ratings, None where it is.
    answered_at: seconds since 1970; trial_s: seconds on the trial. revision: 0 for an answer as
    first given, 1 for its first revision, and so on. For a comparison, audio_b, text_b and
    system_b are its second side, and swapped says whether that side stood at A; score and expected
    are buttons of the page; play_count_second counts plays of the sound at B.
    """

    answer_id: str
    session_id: str
    listener_id: str
    simulated: bool
    session_state: str
    number: int
    kind: str
    trial_state: str
    stimulus_id: str
    audio: str
    text: str
    system: str | None
    subset: str | None
    split: str | None
    question: str
    score: float | None
    comment: str | None
    expected: float | None
    play_count: int
    heard_to_end: bool
    trial_s: float
    answered_at: float
    revision: int
    audio_b: str | None = None
    text_b: str | None = None
    system_b: str | None = None
    label: str | None = None
    swapped: bool = False
    play_count_second: int | None = None

    @property
    def group(self) -> str | None:
        """The system that was rated, or the two that were compared."""
        return group_of(self.system, self.system_b)

    @property
    def choice(self) -> Answer | None:
        """Which side of a comparison was chosen, wherever it stood; None for a text."""
        return None if self.score is None else choice_of(self.score, swapped=self.swapped)

    @property
    def right(self) -> bool | None:
        """Whether the one right answer was given; None where there is none."""
        return None if None in (self.score, self.expected) else self.score == self.expected

    @property
    def set_aside(self) -> str | None:
        """practice, repeat, surplus or excluded; None for what belongs among the ratings."""
        if self.kind in ("practice", "repeat"):
            return self.kind
        return None if self.trial_state == "answered" else self.trial_state


_QUERY = """
SELECT a.answer_id, a.number AS revision, t.session_id, s.listener_id, t.simulated,
    s.state AS session_state, t.number, t.kind, t.state AS trial_state, t.stimulus_id, p.audio,
    t.text, p.system, p.subset, p.split, v.question, v.score, v.comment, t.expected, a.play_count,
    a.heard_to_end, a.trial_s, a.answered_at, p.audio_b, t.text_b, p.system_b, p.label, t.swapped,
    a.play_count_second
FROM {answers} a
JOIN given_values v ON v.answer_id = a.answer_id
JOIN trials t ON t.trial_id = a.trial_id
JOIN sessions s ON s.session_id = t.session_id
JOIN stimuli p ON p.stimulus_id = t.stimulus_id
WHERE t.simulated = :simulated{only}
ORDER BY s.created_at, s.session_id, t.number, a.number, v.question
"""
_FINAL = _QUERY.format(answers="final_answers", only="")
_REVISED = _QUERY.format(
    answers="given_answers",
    only=" AND a.answer_id NOT IN (SELECT answer_id FROM final_answers)",
)


def answered(connection: Connection, *, simulated: bool) -> list[Answered]:
    """Every final answer of people, or every one of bots; never both."""
    return _read(connection, _FINAL, simulated=simulated)


def revised(connection: Connection, *, simulated: bool) -> list[Answered]:
    """The answers that their listeners revised before they became final."""
    return _read(connection, _REVISED, simulated=simulated)


def _read(connection: Connection, query: str, *, simulated: bool) -> list[Answered]:
    flags = ("simulated", "heard_to_end", "swapped")
    return [
        Answered(**{**item, **{name: bool(item[name]) for name in flags}})
        for item in each_row(connection, query, simulated=int(simulated))
    ]


def has_simulated(connection: Connection) -> bool:
    """Whether bots have answered."""
    return bool(value(connection, "SELECT 1 FROM trials WHERE simulated = 1 LIMIT 1"))


def session_rows(connection: Connection, *, simulated: bool) -> Rows:
    """Every session of people, or of bots, with what is known of its listener; in their order.

    trials: how many it holds, of which `waiting` are not answered.
    """
    return rows(
        connection,
        "SELECT l.listener_id, l.simulated, l.excluded, l.reason, s.session_id, s.state, "
        "s.created_at, s.seen_at, s.begun_at, s.finished_at, s.headphone_right, "
        "COUNT(t.trial_id) AS trials, "
        "COUNT(CASE WHEN t.state IN ('open', 'released') THEN 1 END) AS waiting "
        "FROM listeners l JOIN sessions s ON s.listener_id = l.listener_id "
        "LEFT JOIN trials t ON t.session_id = s.session_id WHERE l.simulated = :simulated "
        "GROUP BY l.listener_id, s.session_id ORDER BY s.created_at, s.session_id",
        simulated=int(simulated),
    )


def by_listener(answers: Iterable[Answered]) -> dict[str, list[Answered]]:
    """The answers of each listener; an empty list for one who has none."""
    found: dict[str, list[Answered]] = defaultdict(list)
    for item in answers:
        found[item.listener_id].append(item)
    return found
