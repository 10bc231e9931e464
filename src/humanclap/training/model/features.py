"""Encoder outputs that are kept, so that the next run over the same clips need not encode them:
in the user's cache, or in files of a folder that the user names.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from humanclap.clap.backbone import Backbone
from humanclap.clap.cache import EmbeddingCache
from humanclap.clap.cache_keys import KnownFile, context_of, known_file, text_key
from humanclap.files import atomic_bytes
from humanclap.fingerprint import sha256_file

TEXTS_PER_BATCH = 16
_CLIPS_AT_ONCE = 256

EncodeTexts = Callable[[Sequence[str]], Tensor]
"""Texts to one row each, (texts, features), on the CPU."""


class FeatureStore(Protocol):
    """Where features are kept between runs."""

    def read_clips(self, paths: Sequence[Path]) -> dict[Path, dict[str, Tensor]]:
        """What was kept of clips, by their paths; those of which nothing was are left out."""

    def keep_clip(self, path: Path, tensors: dict[str, Tensor]) -> None:
        """Keep the features of a clip that `read_clips` was asked for."""

    def texts(self, texts: Sequence[str], encode: EncodeTexts) -> dict[str, Tensor]:
        """Features of distinct texts, (features,) each; those not kept are encoded, and kept."""


def encoded_texts(texts: Sequence[str], encode: EncodeTexts) -> dict[str, Tensor]:
    """Features of distinct texts, (features,) each, by batches of `TEXTS_PER_BATCH`."""
    found: dict[str, Tensor] = {}
    for batch in _batches(texts):
        found |= zip(batch, encode(batch), strict=True)
    return found


class FeatureCache:
    """Features in the user's cache, known as its other entries are (`clap.cache_keys`).

    A clip is encoded apart from others. The last digits of a text's features depend on the batch it
    is encoded in, so texts are known by their whole batch: a run comes out the same to the last
    bit, whatever the cache holds. fingerprint: of the backbone as it is now.
    """

    def __init__(self, cache: EmbeddingCache, backbone: Backbone, fingerprint: str) -> None:
        self._cache = cache
        about = {"layout": 1, "model": backbone.name, "fingerprint": fingerprint}
        self._clips = context_of(backbone, kind="clip features", **about)
        self._texts = context_of(backbone, kind="text features", **about)
        self._known: dict[Path, KnownFile] = {}

    def read_clips(self, paths: Sequence[Path]) -> dict[Path, dict[str, Tensor]]:
        """Read clips by what is known of their files; note which files have no entry."""
        found: dict[Path, dict[str, Tensor]] = {}
        for start in range(0, len(paths), _CLIPS_AT_ONCE):
            files = {path: known_file(path) for path in paths[start : start + _CLIPS_AT_ONCE]}
            known = {path: file for path, file in files.items() if file is not None}
            kept = self._cache.read([file.key(self._clips) for file in known.values()])
            for path, file in known.items():
                if (arrays := kept.get(file.key(self._clips))) is None:
                    self._known[path] = file
                else:
                    found[path] = {name: torch.tensor(item) for name, item in arrays.items()}
        return found

    def keep_clip(self, path: Path, tensors: dict[str, Tensor]) -> None:
        """Write an entry, but not where the file has changed since `read_clips` looked for it."""
        file = self._known.pop(path, None)
        if file is not None and file.unchanged:
            arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
            self._cache.write({file.key(self._clips): arrays}, kind="training clip")

    def texts(self, texts: Sequence[str], encode: EncodeTexts) -> dict[str, Tensor]:
        """Read whole batches of texts, and encode those of which there is no entry."""
        found: dict[str, Tensor] = {}
        for batch in _batches(texts):
            key = text_key(self._texts, "".join(f"{len(text)} {text}" for text in batch))
            kept = self._cache.read([key]).get(key)
            if kept is None:
                rows = encode(batch)
                self._cache.write({key: {"features": rows.numpy()}}, kind="training text batch")
            else:
                rows = torch.tensor(kept["features"])
            found |= zip(batch, rows, strict=True)
        return found


class FeatureFiles:
    """One small file per clip or caption, below a folder named after the model's fingerprint.

    Clips are known by their bytes and captions by their text, so moved files are found again and
    changed ones are encoded anew. A damaged file counts as absent.
    """

    def __init__(self, directory: Path, fingerprint: str) -> None:
        self._directory = directory / fingerprint

    def of_clip(self, path: Path) -> Path:
        """Where the features of this clip lie, whether or not they do."""
        return self._file("audio", sha256_file(path))

    def of_text(self, text: str) -> Path:
        """Where the features of this caption lie, whether or not they do."""
        return self._file("text", hashlib.sha256(text.encode()).hexdigest())

    def read_clips(self, paths: Sequence[Path]) -> dict[Path, dict[str, Tensor]]:
        """Read the file of every clip; a damaged one counts as absent."""
        kept = {path: read_features(self.of_clip(path)) for path in paths}
        return {path: tensors for path, tensors in kept.items() if tensors is not None}

    def keep_clip(self, path: Path, tensors: dict[str, Tensor]) -> None:
        """Write the clip's file."""
        write_features(self.of_clip(path), tensors)

    def texts(self, texts: Sequence[str], encode: EncodeTexts) -> dict[str, Tensor]:
        """Read the file of every text, and write those that were missing."""
        found: dict[str, Tensor] = {}
        missing = []
        for text in texts:
            kept = read_features(self.of_text(text))
            if kept is None:
                missing.append(text)
            else:
                found[text] = kept["features"]
        for text, features in encoded_texts(missing, encode).items():
            found[text] = features
            write_features(self.of_text(text), {"features": features})
        return found

    def _file(self, kind: str, key: str) -> Path:
        return self._directory / kind / key[:2] / f"{key}.safetensors"


def read_features(file: Path) -> dict[str, Tensor] | None:
    """What `write_features` wrote; None where there is nothing that can be read."""
    try:
        return dict(load_file(file))
    except (OSError, SafetensorError):
        return None


def write_features(file: Path, tensors: dict[str, Tensor]) -> None:
    """Write tensors, whole or not at all; several processes may write the same file."""
    with atomic_bytes(file) as out:
        out.write(save({name: tensor.contiguous() for name, tensor in tensors.items()}))


def _batches(texts: Sequence[str]) -> list[Sequence[str]]:
    starts = range(0, len(texts), TEXTS_PER_BATCH)
    return [texts[start : start + TEXTS_PER_BATCH] for start in starts]
