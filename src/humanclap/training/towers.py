"""The audio side of training: waveforms through an encoder that learns, or features kept of one
that does not.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from humanclap.audio import windows
from humanclap.clap.backbone import Backbone
from humanclap.clap.pooling import embed_clip, pool_windows
from humanclap.errors import AudioError, InputError
from humanclap.progress import Progress, silent
from humanclap.training.clips import ClipStore, training_window
from humanclap.training.dataset import Example
from humanclap.training.parameters import chosen_parameters
from humanclap.training.settings import TrainingSettings

log = logging.getLogger(__name__)

_SAME = 1e-5
"""How far encoder and projection, called apart, may be from `embed_audio`."""


class AudioTower(Protocol):
    """What the loop needs of the audio side."""

    def load(self, examples: Sequence[Example], places: Sequence[float]) -> Tensor:
        """One input per example, (batch, ...); places in [0, 1) choose the part of long clips."""

    def embed(self, inputs: Tensor) -> Tensor:
        """Inputs to unit embeddings (batch, dim), with their gradient."""

    def embed_clip(self, path: Path) -> Tensor:
        """A whole clip, deterministic: (dim,) on the CPU."""


class LearningTower:
    """Waveforms, through the whole audio side of the backbone."""

    def __init__(self, backbone: Backbone, clips: ClipStore) -> None:
        self._backbone = backbone
        self._clips = clips
        self._samples = round(backbone.window_s * backbone.sample_rate)

    def load(self, examples: Sequence[Example], places: Sequence[float]) -> Tensor:
        """One window per example, cropped at random: (batch, window_samples)."""
        fill = self._backbone.fill
        waveforms = [
            training_window(self._clips.samples(item.path), self._samples, fill, place)
            for item, place in zip(examples, places, strict=True)
        ]
        return torch.from_numpy(np.stack(waveforms))

    def embed(self, inputs: Tensor) -> Tensor:
        """(batch, window_samples) -> (batch, dim)."""
        return self._backbone.embed_audio(inputs)

    def embed_clip(self, path: Path) -> Tensor:
        """As `clap.pooling.embed_clip`."""
        return embed_clip(self._backbone, self._clips.source(path))


class FrozenTower:
    """Encoder output of every window of every clip, computed once; only the projection runs.

    A training example of a clip of several windows is one of them, drawn at random.
    """

    def __init__(
        self, backbone: Backbone, examples: Sequence[Example], progress: Progress = silent
    ) -> None:
        """Encode every distinct clip. Raises InputError naming row, file and fault."""
        self._projection = cast(nn.Module, backbone.module().audio_projection)
        self._features: dict[Path, Tensor] = {}
        self._weights: dict[Path, Tensor] = {}
        distinct = {item.path: item for item in reversed(examples)}
        device = next(backbone.module().parameters()).device
        backbone.module().eval()
        for done, (path, item) in enumerate(sorted(distinct.items()), start=1):
            try:
                features, weights = _encode(backbone, path, device)
            except AudioError as error:
                raise InputError(f"{item.where}: {error}") from error
            self._features[path], self._weights[path] = features, weights
            progress(done, len(distinct), "clips encoded")

    def load(self, examples: Sequence[Example], places: Sequence[float]) -> Tensor:
        """One window's features per example: (batch, features)."""
        kept = [self._features[item.path] for item in examples]
        return torch.stack(
            [
                windows[int(place * len(windows))]
                for windows, place in zip(kept, places, strict=True)
            ]
        )

    def embed(self, inputs: Tensor) -> Tensor:
        """(batch, features) -> (batch, dim)."""
        return F.normalize(self._projection(inputs), dim=1)

    def embed_clip(self, path: Path) -> Tensor:
        """As `clap.pooling.embed_clip`, from the kept features."""
        device = next(self._projection.parameters()).device
        embeddings = self.embed(self._features[path].to(device)).float().cpu()
        return pool_windows(embeddings, self._weights[path])


@torch.no_grad()
def _encode(backbone: Backbone, path: Path, device: torch.device) -> tuple[Tensor, Tensor]:
    """Features (n_windows, features) and weights (n_windows,) of a clip, on the CPU."""
    encoder = cast(nn.Module, backbone.module().audio_encoder)
    features, weights = [], []
    for window in windows(
        path,
        sample_rate=backbone.sample_rate,
        window_s=backbone.window_s,
        hop_s=backbone.window_s,
        fill=backbone.fill,
    ):
        features.append(encoder(torch.from_numpy(window.waveform)[None].to(device)).float().cpu())
        weights.append(window.weight)
    return torch.cat(features), torch.tensor(weights)


def can_keep_features(backbone: Backbone, settings: TrainingSettings) -> bool:
    """Whether the audio encoder stays as it is and can be called apart from its projection.

    That is so where `audio_projection(audio_encoder(waveforms))`, brought to unit length, is
    `embed_audio(waveforms)`; it is tried on a second of noise, not taken on trust.
    """
    module = backbone.module()
    encoder = getattr(module, "audio_encoder", None)
    projection = getattr(module, "audio_projection", None)
    if not (isinstance(encoder, nn.Module) and isinstance(projection, nn.Module)):
        return False
    learning = {id(parameter) for parameter in chosen_parameters(backbone, settings).values()}
    if any(id(parameter) in learning for parameter in encoder.parameters()):
        return False
    generator = np.random.default_rng(0)
    samples = round(backbone.window_s * backbone.sample_rate)
    noise = torch.from_numpy(generator.uniform(-0.5, 0.5, (1, samples)).astype(np.float32))
    noise = noise.to(next(module.parameters()).device)
    module.eval()
    with torch.no_grad():
        try:
            apart = F.normalize(projection(encoder(noise)), dim=1)
        except (RuntimeError, TypeError, ValueError, AttributeError) as error:
            log.info("audio encoder cannot be called apart: %s", error)
            return False
        whole = backbone.embed_audio(noise)
    return apart.shape == whole.shape and bool((apart - whole).abs().max() < _SAME)


def audio_tower(
    backbone: Backbone,
    settings: TrainingSettings,
    examples: Sequence[Example],
    progress: Progress = silent,
) -> AudioTower:
    """The audio side for these settings; every clip of `examples` is read once, and so checked.

    Raises InputError naming row, file and fault.
    """
    if can_keep_features(backbone, settings):
        return FrozenTower(backbone, examples, progress)
    clips = ClipStore(backbone.sample_rate, memory_bytes=settings.clip_memory_gb * 1e9)
    clips.decode_all(examples, progress)
    return LearningTower(backbone, clips)
