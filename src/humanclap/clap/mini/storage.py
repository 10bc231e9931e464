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
from torch.overrides import TorchFunctionMode

from humanclap.clap.checkpoint_files import MANIFEST, SHARES, packaged_folder, read_json
from humanclap.errors import CheckpointError
from humanclap.files import atomic_bytes, atomic_writer
from humanclap.fingerprint import fingerprint_bytes

CONFIG, WEIGHTS, TOKENIZER = "config.json", "model.safetensors", "tokenizer.json"
AUDIO = "audio_encoder."
SHARED_FINGERPRINT = "shares_fingerprint"
"""Key of `config.json`: of the shared tensors as they were when the checkpoint was written."""


def read_checkpoint(
    directory: Path, *, leave: str | None = None
) -> tuple[dict[str, Any], dict[str, Tensor], Path]:
    """Settings, tensors (but those whose name begins with `leave`), and the tokenizer's folder.

    A checkpoint may name a packaged model (`shares`). Tensors that the checkpoint does not hold are
    read from there. A tuned model also keeps the fingerprint that these had when it was written;
    CheckpointError where the package now holds others.
    """
    settings = read_config(directory)
    shared, expected = settings.pop(SHARES, None), settings.pop(SHARED_FINGERPRINT, None)
    if shared is None:
        return settings, without(leave, read_tensors(directory)), directory
    folder = packaged_folder(str(shared))
    if not (folder / WEIGHTS).is_file():
        raise CheckpointError(f"{directory / CONFIG}: shares {shared!r}, no packaged model")
    has_own = expected is not None or (directory / WEIGHTS).is_file()
    own = without(leave, read_tensors(directory)) if has_own else {}
    base = without(leave, read_tensors(folder))
    borrowed = {name: item for name, item in base.items() if name not in own}
    if expected is not None and _fingerprint(borrowed) != expected:
        raise CheckpointError(
            f"{directory}: its unchanged weights are those of the packaged model {shared!r}, which "
            "is another one in this version of humanclap; install the version that it was trained "
            f"with ({MANIFEST} names it), or train it again (train --whole stores all weights)"
        )
    text = directory if (directory / TOKENIZER).is_file() else folder
    return settings, {**borrowed, **own}, text


def without(leave: str | None, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors but those whose name begins with `leave`."""
    return {
        name: item for name, item in tensors.items() if leave is None or not name.startswith(leave)
    }


def without_shared(
    tensors: Mapping[str, Tensor], shares: str, *, leave: str | None = None
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors that differ from those of the packaged model `shares`, and the keys of
    `config.json` that lead to the others; all of them and no keys where it shares nothing.

    Only tensors that the packaged model has under the same name, to the bit, are left out. Nothing
    is shared where they are less than half of the numbers, too little to depend on the package for,
    or where the packaged model has further tensors, which sharing would add. leave: as for
    `read_checkpoint`.
    """
    if not (packaged_folder(shares) / WEIGHTS).is_file():
        return dict(tensors), {}
    base = without(leave, read_tensors(packaged_folder(shares)))
    ours = {name: tensor.detach().cpu() for name, tensor in tensors.items()}
    equal = {name for name in base if name in ours and _same(base[name], ours[name])}
    of_base = sum(ours[name].numel() for name in equal)
    half = sum(tensor.numel() for tensor in ours.values()) / 2
    if of_base < half or base.keys() - ours.keys():
        return dict(tensors), {}
    own = {name: tensor for name, tensor in tensors.items() if name not in equal}
    borrowed = {name: tensor for name, tensor in base.items() if name not in own}
    return own, {SHARES: shares, SHARED_FINGERPRINT: _fingerprint(borrowed)}


def _same(stored: Tensor, tensor: Tensor) -> bool:
    if not stored.numel():  # stands for zeros
        return not tensor.any()
    return stored.dtype == tensor.dtype and torch.equal(stored, tensor)


def _fingerprint(tensors: Mapping[str, Tensor]) -> str:
    parts: list[bytes] = []
    for name, tensor in sorted(tensors.items()):
        parts += [name.encode(), tensor.contiguous().numpy().tobytes()]
    return fingerprint_bytes(*parts)


def write_whole(directory: Path, output: Path, *, leave: str | None) -> None:
    """Copy a checkpoint's weights, settings and tokenizer so that no packaged model is needed."""
    settings, tensors, text = read_checkpoint(directory, leave=leave)
    tokenizer = read_tokenizer(text, int(settings["text_vocabulary"]))
    write_checkpoint(output, settings, tensors, tokenizer, half=False)


def write_shared(directory: Path, config: Mapping[str, Any], shares: str) -> None:
    """Write the folder of a model whose tensors are those of the packaged model `shares`."""
    directory.mkdir(parents=True, exist_ok=True)
    _write_text(directory / CONFIG, json.dumps({**config, SHARES: shares}, indent=2) + "\n")


def read_config(directory: Path) -> dict[str, Any]:
    """`config.json` as a mapping; CheckpointError where it is absent or not JSON."""
    path = directory / CONFIG
    if not path.is_file():
        raise CheckpointError(
            f"{path}: no such file; a mini checkpoint is a directory with {CONFIG}, {WEIGHTS} "
            f"and {TOKENIZER}"
        )
    return read_json(path)


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


class Unfilled(TorchFunctionMode):
    """Within it, this thread's new modules are not initialised, because `load_tensors` follows.

    Random numbers for them would take as long as reading the file, and change torch's global
    generator.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        given = kwargs or {}
        if getattr(func, "__module__", None) == "torch.nn.init":
            return given.get("tensor", *args[:1])
        if func is Tensor.normal_:  # inside `orthogonal_`, which is not asked for itself
            return args[0].zero_()
        return func(*args, **given)


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

    half: matrices in float16; vectors (biases, norms, statistics) stay float32. Matrices that
    float16 holds to the bit, such as those that came so and did not learn, are stored in it anyway.
    A matrix of zeros, as every residual ends with before it has learned, is stored empty.
    """
    directory.mkdir(parents=True, exist_ok=True)
    stored = {name: _compact(tensor, half=half) for name, tensor in tensors.items()}
    for name, tensor in stored.items():
        if tensor.dim() > 1 and not tensor.any():
            stored[name] = tensor.new_zeros(0)
    with atomic_bytes(directory / WEIGHTS) as file:
        file.write(save(stored, metadata={"format": "pt"}))
    if tokenizer is not None:
        _write_text(directory / TOKENIZER, tokenizer.to_str())
    _write_text(directory / CONFIG, json.dumps(dict(config), indent=2) + "\n")


def _compact(tensor: Tensor, *, half: bool) -> Tensor:
    tensor = tensor.detach().cpu().contiguous()
    if tensor.dim() < 2 or tensor.dtype != torch.float32:
        return tensor
    halved = tensor.half()
    return halved if half or torch.equal(halved.float(), tensor) else tensor


def _write_text(path: Path, content: str) -> None:
    with atomic_writer(path) as file:
        file.write(content)


def _again(directory: Path) -> str:
    if directory == packaged_folder(directory.name):
        return "reinstall humanclap"
    return "copy or save the checkpoint again"
