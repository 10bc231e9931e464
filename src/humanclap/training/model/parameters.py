"""Which parameters learn, at what rate, and how the rest is kept still."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import nn

from humanclap.clap.backbone import Backbone
from humanclap.errors import SettingsError
from humanclap.training.model.adapters import ADAPTER, added_adapters
from humanclap.training.model.layers import in_last_layers
from humanclap.training.settings import TrainingSettings

PARTS = {
    "audio_encoder": ("audio_encoder", "audio_model"),
    "text_encoder": ("text_encoder", "text_model"),
    "audio_projection": ("audio_projection",),
    "text_projection": ("text_projection",),
}
"""Part of a CLAP -> what backbones call the module that holds it, outermost name first met."""
SCALE = "scale"
_SCALES = ("logit_scale", "log_scale")
_NOT_SAVED = {"mini-mn04": "audio_encoder."}
"""Model kind -> parameters its checkpoint leaves to another file, which must not learn."""


def part_of(name: str) -> str | None:
    """Part of a CLAP that a parameter belongs to, `scale` for the logit scale; None: no part.

    >>> part_of("model.text_model.encoder.layer.0.output.dense.weight")
    'text_encoder'
    """
    *modules, own = name.split(".")
    if own.startswith(_SCALES):
        return SCALE
    for module in modules:
        for part, names in PARTS.items():
            if module in names:
                return part
    return None


def how(part: str | None, settings: TrainingSettings) -> str:
    """How the tower of a part is to learn: one of `settings.HOW`, or frozen."""
    tower = part.partition("_")[0] if part else ""
    said = {"audio": settings.train_audio, "text": settings.train_text}.get(tower, "as train")
    return settings.train if said == "as train" else said


def chosen_parameters(backbone: Backbone, settings: TrainingSettings) -> dict[str, nn.Parameter]:
    """What learns, by name; see docs/training.md for what each value of `train` means.

    Parameters of adapters, where there are any, always learn. Raises SettingsError where nothing
    is left.
    """
    offered = {id(parameter) for parameter in backbone.trainable_parameters()}
    not_saved = _NOT_SAVED.get(backbone.kind)
    module = backbone.module()
    last = in_last_layers(module, PARTS, settings.last_layers)

    def learns(name: str, parameter: nn.Parameter) -> bool:
        if not_saved and name.startswith(not_saved):
            return False
        part = part_of(name)
        choice = how(part, settings)
        if ADAPTER in name:
            return True
        if part == SCALE:
            return choice != "default" or id(parameter) in offered
        if choice == "default":
            return id(parameter) in offered
        if choice == "all":
            return True
        if choice == "frozen" or part is None:
            return False
        return part.endswith("_projection") or (choice == "last" and name in last)

    chosen = {
        name: parameter for name, parameter in module.named_parameters() if learns(name, parameter)
    }
    if not any(parameter.ndim for parameter in chosen.values()):
        raise SettingsError(
            f"model {backbone.name}: train={settings.train!r} leaves no parameter to train"
        )
    return chosen


def encoder_learns(backbone: Backbone, settings: TrainingSettings, tower: str) -> bool:
    """Whether any parameter of the encoder of a tower (`audio` or `text`) will learn."""
    part = f"{tower}_encoder"
    if how(part, settings) == "lora":
        return True
    return any(part_of(name) == part for name in chosen_parameters(backbone, settings))


@contextmanager
def trained_parameters(
    backbone: Backbone, settings: TrainingSettings
) -> Iterator[dict[str, nn.Parameter]]:
    """Only `chosen_parameters` require a gradient inside the block; gives them.

    With `lora` the block begins with fresh adapters; what they learned is in the plain weights
    afterwards.
    """
    module = backbone.module()
    before = {id(item): item.requires_grad for item in module.parameters()}
    towers = [name for name in ("audio", "text") if how(f"{name}_encoder", settings) == "lora"]
    not_saved = _NOT_SAVED.get(backbone.kind, " ")
    encoders = {name: PARTS[f"{name}_encoder"] for name in towers}
    with added_adapters(module, encoders, settings, leave=not_saved):
        try:
            chosen = chosen_parameters(backbone, settings)
            for name, parameter in module.named_parameters():
                parameter.requires_grad_(name in chosen)
            yield chosen
        finally:
            for parameter in module.parameters():
                parameter.requires_grad_(before.get(id(parameter), True))


def parameter_groups(
    parameters: Mapping[str, nn.Parameter], settings: TrainingSettings
) -> list[dict[str, Any]]:
    """Optimiser groups, each with its share `rate` of the learning rate.

    Matrices and kernels decay; biases, norms and scales do not.
    """
    rates = {
        "audio_encoder": settings.audio_encoder_rate,
        "text_encoder": settings.text_encoder_rate,
        "audio_projection": settings.projection_rate,
        "text_projection": settings.projection_rate,
        SCALE: settings.scale_rate,
    }
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in parameters.items():
        rate = rates.get(part_of(name) or "", 1.0)
        decay = settings.weight_decay if parameter.ndim >= 2 else 0.0
        groups.setdefault((decay, rate), []).append(parameter)
    return [
        {"params": of_group, "weight_decay": decay, "rate": rate}
        for (decay, rate), of_group in sorted(groups.items(), reverse=True)
    ]


def set_training_mode(module: nn.Module) -> None:
    """Train mode, but eval mode in every part none of whose parameters learns.

    So a frozen part keeps its batch-norm statistics and has no dropout.
    """
    module.train()
    for part in module.modules():
        parameters = list(part.parameters())
        if parameters and not any(parameter.requires_grad for parameter in parameters):
            part.eval()


def learning_rate_factor(step: int, *, total_steps: int, warmup_fraction: float) -> float:
    """Share of the peak learning rate at a step (0, 1, ... total_steps - 1).

    Rises linearly to 1 over round(warmup_fraction * total_steps) steps, then falls along half a
    cosine towards 0. Source: SGDR, Loshchilov & Hutter 2017, with the warm-up of Goyal et al. 2017.

    >>> [learning_rate_factor(s, total_steps=4, warmup_fraction=0.5) for s in range(4)]
    [0.5, 1.0, 1.0, 0.5]
    """
    warmup_steps = round(warmup_fraction * total_steps)
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    done = (step - warmup_steps) / (total_steps - warmup_steps)
    return 0.5 * (1.0 + math.cos(math.pi * done))
