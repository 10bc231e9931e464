"""How far those who agreed to take part have come, and where they dropped out."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from humanclap.listening.study.database import Rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Attendance:
    """How far those who agreed to take part have come.

    dropped_out: where listeners stopped -> how many; they have not finished, and were idle for
    slot_minutes or longer. sounds_at_drop_out: median of the sounds they had answered;
    median_minutes: from consent to the last sound, over those who finished and are not excluded.
    NaN where there is nobody.
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
        """All who dropped out, at any stage."""
        return sum(self.dropped_out.values())


def attendance(sessions: Rows, *, idle_since: float) -> Attendance:
    """The attendance of these sessions (`session_rows`).

    idle_since: seconds since 1970; who was seen last before it has dropped out.
    """
    states = Counter(item["state"] for item in sessions)
    going = [item for item in sessions if item["state"] not in ("finished", "screened_out")]
    gone = [item for item in going if item["seen_at"] < idle_since]
    sounds = [item["trials"] - item["waiting"] for item in gone]
    minutes = [
        (item["finished_at"] - item["created_at"]) / 60.0
        for item in sessions
        if item["finished_at"] is not None and not item["excluded"]
    ]
    return Attendance(
        agreed=len(sessions),
        finished=states["finished"],
        screened_out=states["screened_out"],
        under_way=len(going) - len(gone),
        dropped_out=dict(Counter(map(_stage, gone))),
        sounds_at_drop_out=statistics.median(sounds) if sounds else math.nan,
        median_minutes=statistics.median(minutes) if minutes else math.nan,
    )


def _stage(session: Mapping[str, int]) -> str:
    """The stage at which an unfinished session stopped."""
    if session["waiting"] == session["trials"]:
        return "before the first sound"
    return "during the sounds" if session["waiting"] else "before the last questions"
