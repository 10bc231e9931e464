"""Clips that could not be played while a study ran: left out, reported, and used once mended."""

from __future__ import annotations

import time
from collections.abc import Sequence

from sqlalchemy import Connection

from humanclap.errors import AudioError
from humanclap.listening.assignment import Stimulus
from humanclap.listening.clips import examine_clip, file_state
from humanclap.listening.database import Rows, insert, row, rows, run
from humanclap.listening.steering import record
from humanclap.listening.study import Study


def report_failure(connection: Connection, study: Study, audio: str, reason: str) -> None:
    """Note that a clip cannot be played; nobody is given it from now on."""
    if row(connection, "SELECT 1 FROM failed_clips WHERE audio = :audio", audio=audio):
        return
    insert(
        connection,
        "failed_clips",
        [
            {
                "audio": audio,
                "reason": reason,
                "file_state": file_state(study.audio_root / audio),
                "at": time.time(),
            }
        ],
    )
    record(connection, "clip failed", audio, reason)


def failed_clips(connection: Connection) -> Rows:
    """Every clip that cannot be played: audio, reason, file_state, at."""
    return rows(connection, "SELECT audio, reason, file_state, at FROM failed_clips ORDER BY at")


def without_failed(connection: Connection, stimuli: Sequence[Stimulus]) -> list[Stimulus]:
    """The stimuli whose clips can be played, as far as is known."""
    failed = {item["audio"] for item in failed_clips(connection)}
    return [stimulus for stimulus in stimuli if stimulus.audio not in failed]


def forget_mended(connection: Connection, study: Study) -> int:
    """Use failed clips again whose file has changed, come or gone since; how many."""
    changed = [
        item["audio"]
        for item in failed_clips(connection)
        if file_state(study.audio_root / item["audio"]) != item["file_state"]
    ]
    _forget(connection, changed)
    return len(changed)


def examine_failed(study: Study) -> int:
    """Decode every failed clip again, and use those that can be read now; how many."""
    with study.database.read() as connection:
        failed = failed_clips(connection)
    readable = [item["audio"] for item in failed if _readable(study, item["audio"])]
    if readable:
        with study.database.write() as connection:
            _forget(connection, readable)
    return len(readable)


def _readable(study: Study, audio: str) -> bool:
    try:
        examine_clip(study.audio_root / audio)
    except AudioError:
        return False
    return True


def _forget(connection: Connection, clips: Sequence[str]) -> None:
    for audio in clips:
        run(connection, "DELETE FROM failed_clips WHERE audio = :audio", audio=audio)
        record(connection, "clip used again", audio)
