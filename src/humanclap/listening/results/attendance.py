"""How far those who agreed to take part have come, and where they dropped out."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection

from humanclap.listening.study.database import now, rows
from humanclap.listening.study.study import Study


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


def attendance(connection: Connection, study: Study, *, simulated: bool) -> Attendance:
    """The attendance of people, or of bots."""
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
    idle_since = now(connection) - 60.0 * study.design.session.slot_minutes
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
