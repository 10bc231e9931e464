"""Encoder outputs of whole clips, computed once: what the projections are trained and judged on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn

from humanclap.audio import windows

WINDOW_S = 10.0
SAMPLE_RATE = 32_000


@torch.inference_mode()
def clip_features(encoder: nn.Module, path: Path) -> np.ndarray:
    """Mean encoder output over the windows of a clip, weighted by their share of sound."""
    parts = list(
        windows(path, sample_rate=SAMPLE_RATE, window_s=WINDOW_S, hop_s=WINDOW_S, fill="wrap")
    )
    batch = torch.from_numpy(np.stack([part.waveform for part in parts]))
    weights = torch.tensor([part.weight for part in parts])
    return ((encoder(batch) * weights[:, None]).sum(0) / weights.sum()).numpy()


def cached_features(encoder: nn.Module, paths: Sequence[Path], cache: Path) -> np.ndarray:
    """(clips, features) float32, read from `cache` (.npz keyed by path) where it has them all."""
    if cache.exists():
        with np.load(cache) as stored:
            known = dict(zip(stored["paths"].tolist(), stored["features"], strict=True))
    else:
        known = {}
    missing = [path for path in dict.fromkeys(paths) if str(path) not in known]
    for path in missing:
        known[str(path)] = clip_features(encoder, path)
    if missing:
        cache.parent.mkdir(parents=True, exist_ok=True)
        part = cache.with_suffix(".part.npz")
        np.savez(part, paths=np.array(list(known)), features=np.stack(list(known.values())))
        part.replace(cache)
    return np.stack([known[str(path)] for path in paths])
