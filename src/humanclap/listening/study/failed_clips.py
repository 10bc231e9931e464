"""Clips that could not be played while a study ran: left out, reported, and used once mended."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from humanclap.errors import AudioError
from humanclap.listening.design.assignment import Stimulus
from humanclap.listening.design.clips import examine_clip, file_state
from humanclap.listening.study.admin_actions import record
from humanclap.listening.study.database import Rows, insert, now, rows, run, value
from humanclap.listening.study.study import Study

PLAYABLE = "NOT EXISTS (SELECT 1 FROM failed_clips f WHERE f.audio IN (p.audio, p.audio_b))"
"""Of a row p of stimuli: every clip of it can be played, as far as is known."""


def report_failure(study: Study, audio: str, reason: str) -> None:
    """Note that a clip cannot be played; nobody is given it from now on."""
    state = file_state(study.audio_root / audio)  # a disk that hangs must not hold up the writers
    with study.database.write() as connection:
        if value(connection, "SELECT 1 FROM failed_clips WHERE audio = :audio", audio=audio):
            return
        failed = {"audio": audio, "reason": reason, "file_state": state, "at": now(connection)}
        insert(connection, "failed_clips", failed)
        record(connection, "clip failed", audio, reason)


def failed_clips(connection: Connection) -> Rows:
    """Every clip that cannot be played: audio, reason, file_state, at."""
    return rows(connection, "SELECT audio, reason, file_state, at FROM failed_clips ORDER BY at")


def without_failed(connection: Connection, stimuli: Sequence[Stimulus]) -> list[Stimulus]:
    """The stimuli whose clips can be played, as far as is known."""
    failed = {item["audio"] for item in failed_clips(connection)}
    return [stimulus for stimulus in stimuli if failed.isdisjoint(stimulus.clips)]


def forget_mended(study: Study) -> int:
    """Use failed clips again whose files have changed since; returns how many."""

    def changed(item: Mapping[str, Any]) -> bool:
        return file_state(study.audio_root / item["audio"]) != str(item["file_state"])

    return _forget(study, changed)


def examine_failed(study: Study) -> int:
    """Decode every failed clip again and use those that can be read now; returns how many."""

    def readable(item: Mapping[str, Any]) -> bool:
        try:
            examine_clip(study.audio_root / item["audio"])
        except AudioError:
            return False
        return True

    return _forget(study, readable)


def _forget(study: Study, mended: Callable[[Mapping[str, Any]], bool]) -> int:
    with study.database.read() as connection:
        failed = failed_clips(connection)
    clips = [item["audio"] for item in failed if mended(item)]
    if clips:
        with study.database.write() as connection:
            for audio in clips:
                gone = "DELETE FROM failed_clips WHERE audio = :audio"
                if run(connection, gone, audio=audio):  # else another process was first
                    record(connection, "clip used again", audio)
    return len(clips)
