"""A mini checkpoint on disk: `config.json`, `model.safetensors`, `tokenizer.json`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from tokenizers import Tokenizer
from torch import Tensor, nn

from humanclap.clap.checkpoint import PACKAGED, SHARES
from humanclap.errors import CheckpointError, naming_file

CONFIG, WEIGHTS, TOKENIZER = "config.json", "model.safetensors", "tokenizer.json"
AUDIO = "audio_encoder."


def packaged(name: str) -> Path:
    """Directory of the weights that ship with the package under `name`, `mini` or another."""
    return PACKAGED / name


def read_checkpoint(directory: Path) -> tuple[dict[str, Any], dict[str, Tensor], Path]:
    """Settings, tensors, and the folder with the tokenizer.

    A packaged model may name another one whose tensors and tokenizer are its own too (`shares`), so
    that what two have in common is stored once.
    """
    settings = read_config(directory)
    shared = settings.pop(SHARES, None)
    if shared is None:
        return settings, read_tensors(directory), directory
    folder = packaged(str(shared))
    if not (folder / WEIGHTS).is_file():
        raise CheckpointError(f"{directory / CONFIG}: shares {shared!r}, no packaged model")
    return settings, read_tensors(folder), folder


def write_shared(directory: Path, config: Mapping[str, Any], shares: str) -> None:
    """Write the folder of a model whose tensors are those of the packaged model `shares`."""
    directory.mkdir(parents=True, exist_ok=True)
    _write_text(directory / CONFIG, json.dumps({**config, SHARES: shares}, indent=2) + "\n")


def read_config(directory: Path) -> dict[str, Any]:
    """`config.json` as a mapping; CheckpointError where it is absent or not JSON."""
    path = directory / CONFIG
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise CheckpointError(
            f"{path}: no such file; a mini checkpoint is a directory with {CONFIG}, {WEIGHTS} "
            f"and {TOKENIZER}"
        ) from error
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: not readable ({error}); {_again(directory)}") from error
    if not isinstance(values, dict):
        raise CheckpointError(f"{path}: expected a JSON object, got {type(values).__name__}")
    return values


def read_tensors(directory: Path) -> dict[str, Tensor]:
    """All tensors, as float32 where they were stored in half precision; zeros may be empty."""
    path = directory / WEIGHTS
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file; {_again(directory)}")
    try:
        tensors = load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(f"{path}: damaged ({error}); {_again(directory)}") from error
    return {
        name: tensor.float() if tensor.dtype == torch.float16 else tensor
        for name, tensor in tensors.items()
    }


def read_tokenizer(directory: Path, vocabulary: int) -> Tokenizer:
    """The tokenizer, checked against the number of rows of the embedding table."""
    path = directory / TOKENIZER
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file; {_again(directory)}")
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises plain Exception
        raise CheckpointError(f"{path}: damaged ({error}); {_again(directory)}") from error
    if (size := tokenizer.get_vocab_size()) > vocabulary:
        raise CheckpointError(
            f"{path}: {size} pieces, but the model has {vocabulary}; is it another model's file?"
        )
    return tokenizer


def load_tensors(module: nn.Module, tensors: Mapping[str, Tensor], directory: Path) -> None:
    """Copy the tensors into the module, each exactly once; CheckpointError says what differs.

    An empty tensor stands for zeros.
    """
    expected = module.state_dict()
    path = directory / WEIGHTS
    missing, unknown = sorted(set(expected) - set(tensors)), sorted(set(tensors) - set(expected))
    for what, names in (("missing", missing), ("unknown", unknown)):
        if names:
            raise CheckpointError(
                f"{path}: {len(names)} {what} tensors, first {names[0]}; do {CONFIG} and {WEIGHTS} "
                "belong together?"
            )
    full = {
        name: tensor if tensor.numel() else torch.zeros_like(expected[name])
        for name, tensor in tensors.items()
    }
    for name, tensor in full.items():
        if tensor.shape != expected[name].shape:
            raise CheckpointError(
                f"{path}: {name} is {tuple(tensor.shape)}, {CONFIG} asks for "
                f"{tuple(expected[name].shape)}; do they belong together?"
            )
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise CheckpointError(f"{path}: {name} holds NaN or infinity; {_again(directory)}")
    module.load_state_dict(full)


def write_checkpoint(
    directory: Path,
    config: Mapping[str, Any],
    tensors: Mapping[str, Tensor],
    tokenizer: Tokenizer | None,
    *,
    half: bool,
) -> None:
    """Write each file beside its place and rename it; the configuration comes last.

    half: matrices in float16; vectors (biases, norms, statistics) stay float32. A matrix of zeros,
    as every residual ends with before it has learned, is stored empty.
    """
    directory.mkdir(parents=True, exist_ok=True)
    stored = {
        name: (tensor.half() if half and tensor.dim() > 1 else tensor).contiguous().cpu()
        for name, tensor in tensors.items()
    }
    for name, tensor in stored.items():
        if tensor.dim() > 1 and not tensor.any():
            stored[name] = tensor.new_zeros(0)
    part = directory / f".{WEIGHTS}.part"
    with naming_file(directory / WEIGHTS):
        part.write_bytes(save(stored, metadata={"format": "pt"}))
        part.replace(directory / WEIGHTS)
    if tokenizer is not None:
        _write_text(directory / TOKENIZER, tokenizer.to_str())
    _write_text(directory / CONFIG, json.dumps(dict(config), indent=2) + "\n")


def _write_text(path: Path, content: str) -> None:
    part = path.with_name(f".{path.name}.part")
    with naming_file(path):
        part.write_text(content, encoding="utf-8")
        part.replace(path)


def _again(directory: Path) -> str:
    if directory.is_relative_to(PACKAGED):
        return "reinstall humanclap"
    return "copy or save the checkpoint again"
