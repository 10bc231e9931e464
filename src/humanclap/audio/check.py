"""Whether a clip can be scored and played to listeners, found by decoding all of it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from humanclap.audio.level import Level
from humanclap.audio.load import BLOCK_S, Source, levelled_blocks
from humanclap.errors import AudioError


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipCheck:
    """What decoding a whole clip found.

    duration_s: seconds, NaN where there is a fault. fault: why the clip cannot be used, without its
    path; None where it can. note: what `score` warns of: silence, or channels that cancel.
    """

    duration_s: float
    fault: str | None = None
    note: str | None = None


def check_clip(source: Source) -> ClipCheck:
    """Decode a whole clip by the rules of scoring, and say what is wrong with it.

    A clip that `score` refuses has a fault, with the same reason; one that it warns of has a note.
    A few blocks are in memory, whatever the clip's length. A bad clip raises nothing.

    >>> import numpy as np
    >>> from humanclap.audio.load import Waveform
    >>> check_clip(Waveform(samples=np.zeros(8000), sample_rate=16000)).note
    'silent from start to end; its score says nothing'
    """
    level = Level()
    try:
        for _ in levelled_blocks(source, None, BLOCK_S, level):
            pass
    except AudioError as error:
        return ClipCheck(duration_s=math.nan, fault=error.reason)
    return ClipCheck(duration_s=level.frames / level.sample_rate, note=level.note)
