"""Decoded clips: each checked once before training, then kept in memory up to a bound."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from humanclap.audio import Fill, Waveform, fill_window, load_audio
from humanclap.errors import AudioError, InputError
from humanclap.progress import Progress, silent
from humanclap.training.data.dataset import HeardClip

DECODERS = 4
"""Threads that decode at once; decoding and resampling run outside the interpreter's lock."""


class ClipStore:
    """Waveforms at one rate, by path.

    sample_rate: Hz. memory_bytes: most that is kept decoded; clips beyond it are decoded again at
    every use.
    """

    def __init__(self, sample_rate: int, *, memory_bytes: float) -> None:
        self.sample_rate = sample_rate
        self._memory_left = memory_bytes
        self._kept: dict[Path, NDArray[np.float32]] = {}

    def decode_all(self, examples: Sequence[HeardClip], progress: Progress = silent) -> None:
        """Decode every distinct clip once. Raises InputError naming row, file and fault."""
        first = {item.path: item for item in reversed(examples)}
        wanted = list(dict.fromkeys(item.path for item in examples))
        with ThreadPoolExecutor(DECODERS) as pool:
            for start in range(0, len(wanted), DECODERS):
                paths = wanted[start : start + DECODERS]
                for path, result in zip(paths, pool.map(self._try_decode, paths), strict=True):
                    if isinstance(result, AudioError):
                        raise InputError(f"{first[path].where}: {result}") from result
                    self._keep(path, result)
                progress(start + len(paths), len(wanted), "clips decoded")

    def _try_decode(self, path: Path) -> NDArray[np.float32] | AudioError:
        try:
            return load_audio(path, sample_rate=self.sample_rate)
        except AudioError as error:
            return error

    def _keep(self, path: Path, waveform: NDArray[np.float32]) -> None:
        if waveform.nbytes <= self._memory_left:
            self._memory_left -= waveform.nbytes
            self._kept[path] = waveform

    def samples(self, path: Path) -> NDArray[np.float32]:
        """The whole clip, (samples,); not to be written to."""
        kept = self._kept.get(path)
        return load_audio(path, sample_rate=self.sample_rate) if kept is None else kept

    def source(self, path: Path) -> Waveform | Path:
        """The clip as `embed_clip` takes it: from memory where it is kept, else its file."""
        kept = self._kept.get(path)
        if kept is None:
            return path
        return Waveform(samples=kept, sample_rate=self.sample_rate, name=str(path))


def training_window(
    samples: NDArray[np.float32], window_samples: int, fill: Fill, place: float
) -> NDArray[np.float32]:
    """One window of a clip: cropped where it is longer, filled where it is shorter.

    samples: (n,). place: in [0, 1), where the crop starts, from the first to the last start that
    fits. Returns (window_samples,).

    >>> training_window(np.arange(5, dtype=np.float32), 2, "zero", 0.5).tolist()
    [2.0, 3.0]
    """
    if len(samples) <= window_samples:
        return fill_window(samples, window_samples, fill)
    start = int(place * (len(samples) - window_samples + 1))
    return samples[start : start + window_samples]
