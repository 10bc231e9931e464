"""Encoder outputs, computed once: what the projections are trained and judged on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from bank import Clip, source_of
from compositions import Scene, load_all, waveform_of
from torch import nn

from humanclap.clap.backbone import Backbone
from humanclap.clap.embedding import ClipEncoder
from humanclap.errors import AudioError

BATCH = 8


def clip_features(backbone: Backbone, encoder: nn.Module, path: Path) -> np.ndarray:
    """Mean encoder output over the windows of a clip, weighted by their share of sound.

    encoder: of audio, that of the backbone or another that reads the same windows.
    """
    (found,) = ClipEncoder(backbone, encoder).outputs([source_of(path)])
    if isinstance(found, AudioError):
        raise found
    weights = found.weights
    return ((found.outputs * weights[:, None]).sum(0) / weights.sum()).numpy()


def cached_features(
    backbone: Backbone, encoder: nn.Module, paths: Sequence[Path], cache: Path
) -> np.ndarray:
    """(clips, features) float32, read from `cache` (.npz keyed by path) where it has them all."""
    known = {}
    if cache.exists():
        with np.load(cache) as stored:
            known = dict(zip(stored["paths"].tolist(), stored["features"], strict=True))
    missing = [path for path in dict.fromkeys(paths) if str(path) not in known]
    for path in missing:
        known[str(path)] = clip_features(backbone, encoder, path)
    if missing:
        _write(cache, paths=np.array(list(known)), features=np.stack(list(known.values())))
    return np.stack([known[str(path)] for path in paths])


@torch.inference_mode()
def scene_features(
    encoder: nn.Module, scenes: Sequence[Scene], clips: Sequence[Clip], cache: Path
) -> np.ndarray:
    """(scenes, features) float32 of the scenes' sound, the n-th mixed with seed n; kept in `cache`.

    Raises SystemExit where the cache is of other scenes.
    """
    texts = np.array([scene.text for scene in scenes])
    if cache.exists():
        with np.load(cache) as stored:
            if not np.array_equal(stored["texts"], texts):
                raise SystemExit(f"{cache}: features of other scenes; name another file")
            return stored["features"].astype(np.float32)
    waveforms = load_all(clips)
    parts = []
    for start in range(0, len(scenes), BATCH):
        chosen = range(start, min(start + BATCH, len(scenes)))
        batch = np.stack([waveform_of(scenes[index], waveforms, index) for index in chosen])
        parts.append(encoder(torch.from_numpy(batch)).numpy())
    features = np.concatenate(parts)
    _write(cache, texts=texts, features=features.astype(np.float16))
    return features


def _write(cache: Path, **arrays: np.ndarray) -> None:
    cache.parent.mkdir(parents=True, exist_ok=True)
    part = cache.with_suffix(".part.npz")
    np.savez(part, **arrays)
    part.replace(cache)
