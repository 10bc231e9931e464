"""How many sounds and minutes a session has, as its first page says before anyone takes part.

A rehearsal measures them: its bots are served every clip, and each of their answers takes as long
as the clip it got plus what a person needs to read the text and to answer. Without a rehearsal
the same is worked out from the lengths that the clips had when the study was made.
Source of the reading speed: Brysbaert 2019, "How many words do we read per minute?" (238 words of
English a minute, silently). What an answer or a page takes is assumed.
"""

from __future__ import annotations

import math
import unicodedata
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Connection

from humanclap.listening.design.design import StudyDesign
from humanclap.listening.study.database import value
from humanclap.listening.study.study import stimuli_of

Source = Literal["design", "rehearsal", "clips"]

READING_WORDS_PER_MINUTE = 238.0
ANSWER_S = 4.0
"""Seconds to judge one question of a sound and to press a button (assumed)."""
LISTENER_QUESTION_S = 6.0
VOLUME_CHECK_S = 20.0
HEADPHONE_CHECK_S = 60.0
"""Seconds for each question about the listener, and for each check (assumed)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionLength:
    """What a session holds and takes.

    sounds: all of them, `practice` included; minutes: whole ones, rounded up. source: the design
    states the minutes, a rehearsal measured them, or they follow from the clips' lengths.
    """

    sounds: int
    practice: int
    minutes: int
    source: Source


def reading_s(text: str) -> float:
    """Seconds to read a text; two wide characters (Japanese, Chinese) count as a word.

    >>> round(reading_s("A dog barks in the rain"), 2)
    1.51
    """
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in text)
    words = len(text.split()) if not wide else wide / 2
    return 60.0 * words / READING_WORDS_PER_MINUTE


def trial_seconds(clip_s: float, text: str, n_rated: int) -> float:
    """Seconds that a person needs for one sound heard once, with n_rated questions."""
    return clip_s + reading_s(text) + ANSWER_S * n_rated


def session_length(connection: Connection, design: StudyDesign) -> SessionLength:
    """How long the sessions of a study are, from first page to code."""
    sounds, practice = _sounds(connection, design)
    minutes = design.minutes
    source: Source = "design"
    if not minutes:
        trial_s, source = _trial_s(connection, design)
        minutes = max(1, math.ceil((sounds * trial_s + _pages_s(design)) / 60.0))
    return SessionLength(sounds=sounds, practice=practice, minutes=minutes, source=source)


def _trial_s(connection: Connection, design: StudyDesign) -> tuple[float, Source]:
    """Seconds of a sound on average, and where they come from."""
    measured = value(
        connection,
        "SELECT AVG(a.trial_s) FROM final_answers a "
        "JOIN trials t ON t.trial_id = a.trial_id WHERE t.simulated = 1",
    )
    if measured is not None:
        return float(measured), "rehearsal"
    n_rated = sum(question.rated for question in design.questions)
    times = [
        trial_seconds(s.duration_s, " ".join(s.texts), n_rated)
        for s in stimuli_of(connection)
        if s.kind == "pair"
    ]
    return (math.fsum(times) / len(times) if times else 0.0), "clips"


def _sounds(connection: Connection, design: StudyDesign) -> tuple[int, int]:
    """Sounds of a full session, and how many are practice; a small study has fewer."""
    session = design.session
    n = value(connection, "SELECT COUNT(*) FROM stimuli WHERE kind = 'pair'")
    pairs = min(session.pairs, n)
    practice = min(session.practice, n - pairs)
    repeats = min(session.repeats, pairs)
    return practice + pairs + session.anchors + session.attention_checks + repeats, practice


def _pages_s(design: StudyDesign) -> float:
    """Everything but the sounds: first page, questions about the listener, checks."""
    session, words = design.session, design.wording
    seconds = reading_s(" ".join((design.title, words["welcome"], words["consent"])))
    seconds += LISTENER_QUESTION_S * len(design.listener_questions)
    seconds += VOLUME_CHECK_S * session.volume_check
    return seconds + HEADPHONE_CHECK_S * (session.headphone_check != "off")
