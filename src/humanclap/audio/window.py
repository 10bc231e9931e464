"""A clip cut into windows of one length, from its start to its end, always in the same way."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from humanclap.audio.load import MIN_DURATION_S, Remark, Source, audio_blocks, check_rate
from humanclap.errors import SettingsError
from humanclap.settings import check_choice

Fill = Literal["repeat", "wrap", "zero"]
"""How a clip shorter than one window is brought to its length; see `fill_window`."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Window:
    """One window of a clip.

    waveform: float32, shape (window_samples,). weight: the share of it that is sound of the clip
    and not fill, in (0, 1].
    """

    waveform: NDArray[np.float32]
    weight: float


def windows(
    source: Source,
    *,
    sample_rate: int,
    window_s: float,
    hop_s: float,
    fill: Fill,
    listen: Callable[[NDArray[np.float32]], None] | None = None,
    remark: Remark | None = None,
) -> Iterator[Window]:
    """Cut a clip into windows of `window_s` seconds starting every `hop_s`, streaming.

    Windows start at 0, hop_s, 2 hop_s, ... There is one more where at least 10 ms of the clip are
    left after the last, so that at most 10 ms are not heard. The last window is filled by
    `fill_window`. Windows come while the clip is read, and memory does not grow with its length.

    sample_rate: Hz of the windows. 10 ms <= window_s; 0 < hop_s <= window_s (seconds). listen:
    called with the clip's samples block by block, each sample once and without fill. remark: as
    `audio_blocks`. Raises SettingsError on other settings, and what `audio_blocks` raises when it
    is reached.
    """
    check_rate(sample_rate)
    if not (math.isfinite(window_s) and window_s >= MIN_DURATION_S):
        raise SettingsError(f"window_s is {window_s}; expected at least {MIN_DURATION_S:g} seconds")
    if not (0 < hop_s <= window_s):
        raise SettingsError(
            f"hop_s is {hop_s}; expected seconds above 0 and at most window_s ({window_s:g}), "
            "so that no part of the clip is skipped"
        )
    check_choice("fill", fill, get_args(Fill))
    window_samples = round(window_s * sample_rate)
    hop_samples = round(hop_s * sample_rate)
    if hop_samples < 1:
        raise SettingsError(f"hop_s is {hop_s}, less than one sample at {sample_rate} Hz")
    return _windows(source, sample_rate, window_samples, hop_samples, fill, listen, remark)


def _windows(
    source: Source,
    sample_rate: int,
    window_samples: int,
    hop_samples: int,
    fill: Fill,
    listen: Callable[[NDArray[np.float32]], None] | None,
    remark: Remark | None,
) -> Iterator[Window]:
    pending = np.zeros(0, np.float32)
    heard: int | None = None  # samples of `pending` already inside a window; None before the first
    for block in audio_blocks(source, sample_rate=sample_rate, remark=remark):
        if listen is not None:
            listen(block)
        pending = np.concatenate((pending, block))
        while len(pending) >= window_samples:
            yield Window(waveform=pending[:window_samples].copy(), weight=1.0)
            pending = pending[hop_samples:]
            heard = window_samples - hop_samples
    if heard is None or len(pending) - heard >= MIN_DURATION_S * sample_rate:
        yield Window(
            waveform=fill_window(pending, window_samples, fill),
            weight=len(pending) / window_samples,
        )


def fill_window(
    waveform: NDArray[np.float32], window_samples: int, fill: Fill
) -> NDArray[np.float32]:
    """Bring (samples,) to (window_samples,), samples in 1..window_samples.

    "zero": zeros behind. "repeat": as many whole copies as fit, then zeros; the "repeatpad" of
    LAION-AI's CLAP (Wu et al. 2023) and of transformers' ClapFeatureExtractor. "wrap": copies up
    to the last sample, the last one cut, so that no window holds silence the clip does not.

    >>> fill_window(np.float32([1, 2]), 5, "repeat").tolist()
    [1.0, 2.0, 1.0, 2.0, 0.0]
    >>> fill_window(np.float32([1, 2]), 5, "wrap").tolist()
    [1.0, 2.0, 1.0, 2.0, 1.0]
    """
    if fill == "wrap":
        return np.resize(waveform, window_samples)
    copies = window_samples // len(waveform) if fill == "repeat" else 1
    filled = np.zeros(window_samples, np.float32)
    filled[: copies * len(waveform)] = np.tile(waveform, copies)
    return filled
