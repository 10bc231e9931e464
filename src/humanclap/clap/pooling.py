"""From windows to one embedding per clip: the length-weighted mean of unit embeddings."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from humanclap.audio import Source, Window, windows
from humanclap.clap.backbone import Backbone
from humanclap.errors import InputError

WINDOWS_PER_BATCH = 4
"""Windows of one clip embedded together: bounds memory, and 4 to 8 is quickest on a CPU."""


def pool_windows(embeddings: Tensor, weights: Tensor) -> Tensor:
    """Weighted mean of a clip's window embeddings, brought back to unit length.

    embeddings: (n_windows, dim), unit length; weights: (n_windows,), at least 0 and not all 0, in
    any unit (seconds of sound in the window). Returns (dim,); all zeros where the windows cancel.
    A single window is returned as it is. Raises InputError for other shapes or weights.

    >>> pool_windows(torch.eye(2), torch.tensor([3.0, 4.0]))
    tensor([0.6000, 0.8000])
    """
    if embeddings.ndim != 2 or weights.shape != embeddings.shape[:1]:
        raise InputError(
            "embeddings must be (n_windows, dim) and weights (n_windows,), not "
            f"{tuple(embeddings.shape)} and {tuple(weights.shape)}"
        )
    if not (bool((weights >= 0).all()) and float(weights.sum()) > 0):
        raise InputError("window weights must be at least 0 and not all 0")
    if len(weights) == 1:
        return embeddings[0]
    weights = weights.to(embeddings)
    mean = (weights[:, None] * embeddings).sum(dim=0) / weights.sum()  # (dim,)
    return F.normalize(mean, dim=0)


@torch.no_grad()
def embed_clip(backbone: Backbone, source: Source, *, hop_s: float | None = None) -> Tensor:
    """Embed a whole clip of any length, window after window. Returns (embedding_dim,) on the CPU.

    source: a file or a Waveform. hop_s: seconds between the starts of windows, window_s where
    None. Memory does not grow with the clip, but for one embedding a window. The caller sets eval
    mode. Raises AudioError for a clip that cannot be read.
    """
    device = next(backbone.module().parameters()).device
    cut = windows(
        source,
        sample_rate=backbone.sample_rate,
        window_s=backbone.window_s,
        hop_s=backbone.window_s if hop_s is None else hop_s,
        fill=backbone.fill,
    )
    embeddings: list[Tensor] = []
    weights: list[float] = []
    for batch in _batches(cut):
        waveforms = torch.from_numpy(np.stack([window.waveform for window in batch]))
        embeddings.append(backbone.embed_audio(waveforms.to(device)).float().cpu())
        weights.extend(window.weight for window in batch)
    return pool_windows(torch.cat(embeddings), torch.tensor(weights))


def _batches(cut: Iterator[Window]) -> Iterator[list[Window]]:
    while batch := list(islice(cut, WINDOWS_PER_BATCH)):
        yield batch
