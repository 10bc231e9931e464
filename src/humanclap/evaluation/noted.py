"""Scores that say little though they are numbers: of silent clips, of texts not read whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from humanclap.errors import listed
from humanclap.records import Score

MAX_NAMED = 5
"""How many are named in a sentence; all stand in the report."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted:
    """A judged pair with the note of its score; where: its system, else its table."""

    audio: str
    text: str
    where: str
    note: str


def noted(tables: Mapping[str, Sequence[Score]]) -> tuple[Noted, ...]:
    """The rows of score tables that have a note, in their order."""
    return tuple(
        Noted(audio=row.audio, text=row.text, where=row.system or name, note=row.note)
        for name, rows in tables.items()
        for row in rows
        if row.note
    )


def noted_in_words(found: Sequence[Noted], total: int) -> str:
    """A sentence that counts and names them; empty where there are none."""
    if not found:
        return ""
    named = listed(
        found,
        MAX_NAMED,
        show=lambda item: f"{item.audio} ({item.where}): {item.note}",
        between="; ",
        rest="; and {} more",
    )
    of = f"{len(found):,} of {total:,} judged pairs {'has' if len(found) == 1 else 'have'} a note"
    return f"{of}: {named}. They count as the others do."
