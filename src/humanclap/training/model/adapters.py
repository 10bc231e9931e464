"""Low-rank adapters in an encoder (LoRA, Hu et al. 2022), by peft; merged when training ends."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import nn

from humanclap.errors import SettingsError
from humanclap.extras import require
from humanclap.training.settings import TrainingSettings

ADAPTER = ".lora_"
"""What the names of adapters' parameters contain."""


@contextmanager
def added_adapters(
    module: nn.Module,
    encoders: Mapping[str, tuple[str, ...]],
    settings: TrainingSettings,
    *,
    leave: str,
) -> Iterator[None]:
    """Adapters on every linear layer of the encoders inside the block, merged at its end.

    encoders: tower -> names of its encoder; none: no adapters. leave: prefix of names that stay as
    they are. Where the block raises, the adapters are dropped. Raises SettingsError where an
    encoder has no linear layer.
    """
    if not encoders:
        yield
        return
    peft: Any = require("peft", extra="train")
    targets: list[str] = []
    for tower, names in encoders.items():
        found = [name for name in _linear(module, names) if not name.startswith(leave)]
        if not found:
            raise SettingsError(f"the {tower} encoder has no linear layer for LoRA")
        targets += found
    config = peft.LoraConfig(
        r=settings.lora_rank, lora_alpha=settings.lora_alpha, target_modules=targets, bias="none"
    )
    peft.inject_adapter_in_model(config, module)
    merge = False
    try:
        yield
        merge = True
    finally:
        _take_out(module, merge=merge)


def _linear(module: nn.Module, names: tuple[str, ...]) -> list[str]:
    return [
        path
        for path, part in module.named_modules()
        if isinstance(part, nn.Linear) and any(step in names for step in path.split(".")[:-1])
    ]


def _take_out(module: nn.Module, *, merge: bool) -> None:
    layers: Any = require("peft.tuners.lora", extra="train")
    for path, part in list(module.named_modules()):
        if isinstance(part, layers.LoraLayer):
            adapted: Any = part
            if merge:
                adapted.merge()
            parent, _, name = path.rpartition(".")
            setattr(module.get_submodule(parent), name, adapted.get_base_layer())
    if hasattr(module, "peft_config"):
        del module.peft_config
