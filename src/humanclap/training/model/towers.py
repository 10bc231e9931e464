"""The two sides of training: an encoder that learns, or the kept features of one that does not."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import starmap
from pathlib import Path
from typing import Any, Protocol, Self, cast

import numpy as np
import torch
from torch import Tensor

from humanclap.clap.backbone import Backbone
from humanclap.clap.embedding import ClipEncoder, ClipWindows, embed_clip
from humanclap.clap.pooling import pool_each
from humanclap.errors import AudioError, InputError
from humanclap.progress import Progress, silent
from humanclap.training.data.clips import ClipStore, training_window
from humanclap.training.data.dataset import HeardClip
from humanclap.training.distributed.processes import ALONE, Processes, share_of
from humanclap.training.model.features import TEXTS_PER_BATCH, FeatureStore, encoded_texts
from humanclap.training.model.parameters import encoder_learns
from humanclap.training.settings import TrainingSettings

log = logging.getLogger(__name__)

_SAME = 1e-5
"""How far encoder and projection, called apart, may be from `embed_audio` and `embed_text`."""
_PROBE = "a dog barks"


@dataclass(frozen=True, slots=True, eq=False)
class AudioInputs:
    """What a batch of clips is embedded from.

    windows: (n_windows, ...), those of the first clip first; weights: (n_windows,), of each in its
    clip; counts: windows of each clip.
    """

    windows: Tensor
    weights: Tensor
    counts: tuple[int, ...]

    def to(self, device: torch.device) -> Self:
        """The windows on a device; weights stay where they are."""
        return replace(self, windows=self.windows.to(device))


class AudioTower(Protocol):
    """What the loop needs of the audio side."""

    def load(self, examples: Sequence[HeardClip], places: Sequence[float]) -> AudioInputs:
        """Inputs of as many clips; places in [0, 1) choose a part where a tower takes parts."""

    def embed(self, inputs: AudioInputs) -> Tensor:
        """Inputs to unit embeddings, one a clip, (clips, dim), with their gradient."""

    def embed_clip(self, path: Path) -> Tensor:
        """A whole clip, deterministic: (dim,) on the CPU."""


class LearningTower:
    """Waveforms, through the whole audio side of the backbone."""

    def __init__(self, backbone: Backbone, clips: ClipStore) -> None:
        self._backbone = backbone
        self._clips = clips
        self._samples = round(backbone.window_s * backbone.sample_rate)

    def load(self, examples: Sequence[HeardClip], places: Sequence[float]) -> AudioInputs:
        """One window per pair, cropped at random: (batch, window_samples).

        A crop of a clip longer than the window is full of its sound; there is no filled rest.
        """
        fill = self._backbone.fill
        waveforms = [
            training_window(self._clips.samples(item.path), self._samples, fill, place)
            for item, place in zip(examples, places, strict=True)
        ]
        stacked = torch.from_numpy(np.stack(waveforms))
        return AudioInputs(stacked, torch.ones(len(stacked)), (1,) * len(stacked))

    def embed(self, inputs: AudioInputs) -> Tensor:
        """(batch, window_samples) -> (batch, dim)."""
        return self._backbone.embed_audio(inputs.windows)

    def embed_clip(self, path: Path) -> Tensor:
        """Embed a clip by all its windows, as scoring does: (dim,) on the CPU."""
        return embed_clip(self._backbone, self._clips.source(path))


class FrozenTower:
    """Encoder output of every window of every clip, computed once; only the projection runs.

    A training example is the whole clip, pooled over its windows as it is scored.
    """

    def __init__(
        self,
        backbone: Backbone,
        examples: Sequence[HeardClip],
        progress: Progress = silent,
        *,
        files: FeatureStore | None = None,
        processes: Processes = ALONE,
    ) -> None:
        """Encode every distinct clip, or read its features from `files`.

        Of several processes each encodes its share, and all get the features of all. Raises
        InputError naming row, file and fault.
        """
        self._backbone = cast(Any, backbone)  # has encode_audio, project_audio: `can_keep_features`
        backbone.module().eval()
        distinct = {item.path: item for item in reversed(examples)}
        # In the order of the tables: hosts have that alike, but not the names of the files.
        paths = list(distinct)
        own = share_of(len(paths), rank=processes.rank, count=processes.count)
        encoded = self._encode({path: distinct[path] for path in paths[own]}, progress, files)
        found = [part for parts in processes.gather_things(encoded) for part in parts]
        self._clips = dict(zip(paths, starmap(ClipWindows, found), strict=True))

    def _encode(
        self, distinct: Mapping[Path, HeardClip], progress: Progress, files: FeatureStore | None
    ) -> list[tuple[Tensor, Tensor]]:
        """Features and weights of the windows of each clip."""
        wanted = sorted(distinct)
        kept = {} if files is None else files.read_clips(wanted)
        found = {path: (item["features"], item["weights"]) for path, item in kept.items()}
        missing = [path for path in wanted if path not in kept]
        progress(len(found), len(distinct), "clips encoded")
        encode = self._backbone.encode_audio
        encoded = ClipEncoder(self._backbone, encode, batch_windows=1).outputs(missing)
        for path, clip in zip(missing, encoded, strict=True):
            if isinstance(clip, AudioError):
                raise InputError(f"{distinct[path].where}: {clip}") from clip
            found[path] = clip.outputs, clip.weights
            if files is not None:
                files.keep_clip(path, {"features": clip.outputs, "weights": clip.weights})
            progress(len(found), len(distinct), "clips encoded")
        return [found[path] for path in distinct]

    def load(self, examples: Sequence[HeardClip], places: Sequence[float]) -> AudioInputs:
        """The features of every window of every example's clip; places are not needed."""
        return _joined([self._clips[item.path] for item in examples])

    def embed(self, inputs: AudioInputs) -> Tensor:
        """Features (n_windows, features) -> (clips, dim)."""
        projected: Tensor = self._backbone.project_audio(inputs.windows)
        return pool_each(projected.float(), inputs.weights, inputs.counts)

    def embed_clip(self, path: Path) -> Tensor:
        """Embed a clip as scoring does, from its kept features: (dim,) on the CPU."""
        inputs = _joined([self._clips[path]])
        return self.embed(inputs.to(self._backbone.logit_scale.device))[0].cpu()


def _joined(clips: Sequence[ClipWindows]) -> AudioInputs:
    return AudioInputs(
        torch.cat([clip.outputs for clip in clips]),
        torch.cat([clip.weights for clip in clips]),
        tuple(len(clip.weights) for clip in clips),
    )


class TextTower(Protocol):
    """What the loop needs of the text side."""

    def embed(self, texts: Sequence[str]) -> Tensor:
        """batch strings -> (batch, dim), with their gradient."""


class LearningTextTower:
    """Captions, through the whole text side of the backbone."""

    def __init__(self, backbone: Backbone) -> None:
        self._backbone = backbone

    def embed(self, texts: Sequence[str]) -> Tensor:
        """Embed captions: (batch, dim)."""
        return self._backbone.embed_text(texts)


class FrozenTextTower:
    """Encoder output of every caption, computed once; only the projection runs."""

    def __init__(
        self,
        backbone: Backbone,
        texts: Sequence[str],
        *,
        files: FeatureStore | None = None,
        processes: Processes = ALONE,
    ) -> None:
        """Encode every distinct caption, or read its features from `files`.

        Of several processes each encodes its share, in the batches that one process makes.
        """
        self._backbone = cast(Any, backbone)  # has encode_text, project_text: `can_keep_features`
        backbone.module().eval()
        distinct = sorted(set(texts))
        batches = -(-len(distinct) // TEXTS_PER_BATCH)
        share = share_of(batches, rank=processes.rank, count=processes.count)
        own = distinct[share.start * TEXTS_PER_BATCH : share.stop * TEXTS_PER_BATCH]
        read = encoded_texts if files is None else files.texts
        self._features: dict[str, Tensor] = {}
        for part in processes.gather_things(read(own, self._encode)):
            self._features |= part

    def _encode(self, texts: Sequence[str]) -> Tensor:
        with torch.no_grad():
            encoded: Tensor = self._backbone.encode_text(texts).float().cpu()
        return encoded

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
    examples: Sequence[HeardClip],
    progress: Progress = silent,
    *,
    files: FeatureStore | None = None,
    processes: Processes = ALONE,
) -> AudioTower:
    """The audio side for these settings; every clip of `examples` is read once, and so checked.

    files: where features of a frozen encoder are kept between runs; processes: those that share
    the encoding. Raises InputError naming row, file and fault.
    """
    if can_keep_features(backbone, settings):
        return FrozenTower(backbone, examples, progress, files=files, processes=processes)
    clips = ClipStore(backbone.sample_rate, memory_bytes=settings.clip_memory_gb * 1e9)
    clips.decode_all(examples, progress)
    return LearningTower(backbone, clips)


def text_tower(
    backbone: Backbone,
    settings: TrainingSettings,
    examples: Sequence[HeardClip],
    *,
    files: FeatureStore | None = None,
    processes: Processes = ALONE,
) -> TextTower:
    """The text side for these settings; see `audio_tower`."""
    if can_keep_features(backbone, settings, "text"):
        texts = [item.text for item in examples]
        return FrozenTextTower(backbone, texts, files=files, processes=processes)
    return LearningTextTower(backbone)
