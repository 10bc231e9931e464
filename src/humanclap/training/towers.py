"""The two sides of training: inputs through an encoder that learns, or features kept of one that
does not.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
import torch
from torch import Tensor

from humanclap.audio import windows
from humanclap.clap.backbone import Backbone
from humanclap.clap.pooling import embed_clip, pool_windows
from humanclap.errors import AudioError, InputError
from humanclap.progress import Progress, silent
from humanclap.training.clips import ClipStore, training_window
from humanclap.training.dataset import Example
from humanclap.training.features import FeatureFiles, read_features, write_features
from humanclap.training.parameters import encoder_learns
from humanclap.training.settings import TrainingSettings

log = logging.getLogger(__name__)

_SAME = 1e-5
"""How far encoder and projection, called apart, may be from `embed_audio` and `embed_text`."""
_PROBE = "a dog barks"
TEXTS_PER_BATCH = 16


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
        self,
        backbone: Backbone,
        examples: Sequence[Example],
        progress: Progress = silent,
        *,
        files: FeatureFiles | None = None,
    ) -> None:
        """Encode every distinct clip, or read its features from `files`.

        Raises InputError naming row, file and fault.
        """
        self._backbone: Any = backbone
        self._features: dict[Path, Tensor] = {}
        self._weights: dict[Path, Tensor] = {}
        distinct = {item.path: item for item in reversed(examples)}
        backbone.module().eval()
        for done, (path, item) in enumerate(sorted(distinct.items()), start=1):
            file = None if files is None else files.of_clip(path)
            kept = None if file is None else read_features(file)
            if kept is None:
                try:
                    kept = _encode(self._backbone, path)
                except AudioError as error:
                    raise InputError(f"{item.where}: {error}") from error
                if file is not None:
                    write_features(file, kept)
            self._features[path], self._weights[path] = kept["features"], kept["weights"]
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
        embeddings: Tensor = self._backbone.project_audio(inputs)
        return embeddings

    def embed_clip(self, path: Path) -> Tensor:
        """As `clap.pooling.embed_clip`, from the kept features."""
        device = self._backbone.logit_scale.device
        embeddings = self.embed(self._features[path].to(device)).float().cpu()
        return pool_windows(embeddings, self._weights[path])


@torch.no_grad()
def _encode(backbone: Any, path: Path) -> dict[str, Tensor]:
    """Features (n_windows, features) and weights (n_windows,) of a clip, on the CPU."""
    device = backbone.logit_scale.device
    features, weights = [], []
    for window in windows(
        path,
        sample_rate=backbone.sample_rate,
        window_s=backbone.window_s,
        hop_s=backbone.window_s,
        fill=backbone.fill,
    ):
        waveform = torch.from_numpy(window.waveform)[None].to(device)
        features.append(backbone.encode_audio(waveform).float().cpu())
        weights.append(window.weight)
    return {"features": torch.cat(features), "weights": torch.tensor(weights)}


class TextTower(Protocol):
    """What the loop needs of the text side."""

    def embed(self, texts: Sequence[str]) -> Tensor:
        """batch strings -> (batch, dim), with their gradient."""


class LearningTextTower:
    """Captions, through the whole text side of the backbone."""

    def __init__(self, backbone: Backbone) -> None:
        self._backbone = backbone

    def embed(self, texts: Sequence[str]) -> Tensor:
        """As `Backbone.embed_text`."""
        return self._backbone.embed_text(texts)


class FrozenTextTower:
    """Encoder output of every caption, computed once; only the projection runs."""

    def __init__(
        self, backbone: Backbone, texts: Sequence[str], *, files: FeatureFiles | None = None
    ) -> None:
        """Encode every distinct caption, or read its features from `files`."""
        self._backbone = cast(
            Any, backbone
        )  # has encode_text and project_text: `can_keep_features`
        self._features: dict[str, Tensor] = {}
        backbone.module().eval()
        missing = []
        for text in sorted(set(texts)):
            kept = None if files is None else read_features(files.of_text(text))
            if kept is None:
                missing.append(text)
            else:
                self._features[text] = kept["features"]
        for start in range(0, len(missing), TEXTS_PER_BATCH):
            batch = missing[start : start + TEXTS_PER_BATCH]
            with torch.no_grad():
                encoded: Tensor = self._backbone.encode_text(batch).float().cpu()
            for text, features in zip(batch, encoded, strict=True):
                self._features[text] = features
                if files is not None:
                    write_features(files.of_text(text), {"features": features})

    def embed(self, texts: Sequence[str]) -> Tensor:
        """Captions met before -> (batch, dim)."""
        rows = torch.stack([self._features[text] for text in texts])
        embeddings: Tensor = self._backbone.project_text(rows.to(self._backbone.logit_scale.device))
        return embeddings


def can_keep_features(backbone: Backbone, settings: TrainingSettings, tower: str = "audio") -> bool:
    """Whether an encoder (`audio` or `text`) stays as it is and can be called apart.

    That is so where the backbone offers `encode_audio` and `project_audio` (`encode_text`,
    `project_text`) and these, one after the other, are `embed_audio`; it is tried on a second of
    noise (a caption), not taken on trust.
    """
    encode = getattr(backbone, f"encode_{tower}", None)
    project = getattr(backbone, f"project_{tower}", None)
    if encode is None or project is None or encoder_learns(backbone, settings, tower):
        return False
    probe: Any = [_PROBE] if tower == "text" else _noise(backbone)
    backbone.module().eval()
    with torch.no_grad():
        apart: Tensor = project(encode(probe))
        whole: Tensor = getattr(backbone, f"embed_{tower}")(probe)
    return apart.shape == whole.shape and bool((apart - whole).abs().max() < _SAME)


def _noise(backbone: Backbone) -> Tensor:
    generator = np.random.default_rng(0)
    samples = round(backbone.window_s * backbone.sample_rate)
    noise = torch.from_numpy(generator.uniform(-0.5, 0.5, (1, samples)).astype(np.float32))
    return noise.to(backbone.logit_scale.device)


def audio_tower(
    backbone: Backbone,
    settings: TrainingSettings,
    examples: Sequence[Example],
    progress: Progress = silent,
    *,
    files: FeatureFiles | None = None,
) -> AudioTower:
    """The audio side for these settings; every clip of `examples` is read once, and so checked.

    files: where features of a frozen encoder are kept between runs. Raises InputError naming row,
    file and fault.
    """
    if can_keep_features(backbone, settings):
        return FrozenTower(backbone, examples, progress, files=files)
    clips = ClipStore(backbone.sample_rate, memory_bytes=settings.clip_memory_gb * 1e9)
    clips.decode_all(examples, progress)
    return LearningTower(backbone, clips)


def text_tower(
    backbone: Backbone,
    settings: TrainingSettings,
    examples: Sequence[Example],
    *,
    files: FeatureFiles | None = None,
) -> TextTower:
    """The text side for these settings; see `audio_tower`."""
    if can_keep_features(backbone, settings, "text"):
        return FrozenTextTower(backbone, [item.text for item in examples], files=files)
    return LearningTextTower(backbone)
