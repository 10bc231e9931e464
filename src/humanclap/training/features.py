"""Encoder outputs kept in files, so that the next run over the same clips need not encode them."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from humanclap.errors import InputError
from humanclap.fingerprint import sha256_file


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
    file.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    os.close(handle)
    try:
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, temporary)
        Path(temporary).replace(file)
    except BaseException as error:
        Path(temporary).unlink(missing_ok=True)
        if isinstance(error, SafetensorError):
            raise InputError(f"{file}: cannot be written ({error})") from error
        raise
