"""The long form of an export, of ratings or of choices: its columns, and an answer as a row."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import get_args

from humanclap.choices import SIDES
from humanclap.listening.design.comparisons import choice_of
from humanclap.listening.design.design import CHOICE, StudyDesign
from humanclap.listening.results.all_answers import Answered
from humanclap.records import Between, Question

RATING_COLUMNS = (
    "audio", "text", "score", "listener_id", "question", "kind", "system", "subset", "split",
    "expected", "session_id", "trial_number", "play_count", "heard_to_end", "trial_s",
    "answered_at", "revision", "session_state", "simulated",
)  # fmt: skip
"""The columns of the long form, then ours, which its reader ignores."""
_CHOICE_COLUMNS = (
    "choice", "listener_id", "kind", "system_a", "system_b", "split", "expected", "shown_first",
    "duration_s", "repeat",
)  # fmt: skip
_OF_TRIAL = (
    "session_id", "trial_number", "heard_to_end", "answered_at", "revision", "session_state",
    "simulated",
)  # fmt: skip
_PLAYS: dict[Between, tuple[str, ...]] = {
    "clips": ("play_count_a", "play_count_b"),
    "texts": ("play_count",),
}

Row = Callable[[Answered], dict[str, object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class LongForm:
    """A table of answers: its file and columns, and how an answer becomes a row of it.

    questions: those whose answers it holds.
    """

    file: str
    columns: tuple[str, ...]
    questions: tuple[str, ...]
    row: Row


def long_form(design: StudyDesign) -> LongForm:
    """The form that a study's trials need: that of ratings, or that of choices."""
    if design.between is None:
        return LongForm(
            file="ratings.csv",
            columns=RATING_COLUMNS,
            questions=get_args(Question),
            row=_rating,
        )
    return LongForm(
        file="choices.csv",
        columns=(*SIDES[design.between], *_CHOICE_COLUMNS, *_PLAYS[design.between], *_OF_TRIAL),
        questions=(CHOICE,),
        row=_choice,
    )


def iso(seconds: float) -> str:
    """A moment in UTC as tables write it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def _rating(item: Answered) -> dict[str, object]:
    return {
        **{name: getattr(item, name) for name in RATING_COLUMNS if name in Answered.__slots__},
        **_of_trial(item),
        "trial_s": round(item.trial_s, 3),
    }


def _of_trial(item: Answered) -> dict[str, object]:
    own = {name: getattr(item, name) for name in _OF_TRIAL if name in Answered.__slots__}
    return {
        **own,
        "trial_number": item.number,
        "heard_to_end": int(item.heard_to_end),
        "answered_at": iso(item.answered_at),
        "simulated": int(item.simulated),
    }


def _choice(item: Answered) -> dict[str, object]:
    """A row with the sides as the study's table has them; `shown_first` says which stood first."""
    plays = (item.play_count, item.play_count_second)
    of_a, of_b = plays[::-1] if item.swapped else plays
    expected = item.expected
    return {
        "text": item.text,
        "text_a": item.text,
        "text_b": item.text_b,
        "audio": item.audio,
        "audio_a": item.audio,
        "audio_b": item.audio_b,
        "choice": item.choice,
        "listener_id": item.listener_id,
        "kind": item.label if item.kind in ("rating", "repeat", "practice") else item.kind,
        "system_a": item.system,
        "system_b": item.system_b,
        "split": item.split,
        "expected": None if expected is None else choice_of(expected, swapped=item.swapped),
        "shown_first": "b" if item.swapped else "a",
        "duration_s": round(item.trial_s, 3),
        "repeat": "true" if item.kind == "repeat" else None,
        "play_count": item.play_count,
        "play_count_a": of_a,
        "play_count_b": of_b,
        **_of_trial(item),
    }
