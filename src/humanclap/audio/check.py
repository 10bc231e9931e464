"""Is a clip fit to be scored, and to be played to listeners? It is decoded to its end to say."""

from __future__ import annotations

import math
from dataclasses import dataclass

from humanclap.audio.level import Level
from humanclap.audio.load import BLOCK_S, Source, levelled_blocks
from humanclap.errors import AudioError


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipCheck:
    """What decoding a whole clip found.

    duration_s: seconds, NaN where there is a fault. fault: why the clip cannot be used, without
    its path, None where it can. note: what `score` warns of, silence and channels that cancel.
    """

    duration_s: float
    fault: str | None = None
    note: str | None = None


def check_clip(source: Source) -> ClipCheck:
    """Decode a clip from its start to its end by the rules of scoring, and say what is wrong.

    What `score` refuses has a fault, with the reason that `score` gives; what it warns of has a
    note. Holds a few blocks in memory, whatever the clip's length. Raises nothing for a bad clip.

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
