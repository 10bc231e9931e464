"""Which parameters learn, at what rate, and how the rest is kept still."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

from humanclap.clap.backbone import Backbone
from humanclap.errors import SettingsError
from humanclap.training.settings import TrainingSettings

_PROJECTIONS = ("audio_projection", "text_projection")
_NOT_SAVED = {"mini-mn04": "audio_encoder."}
"""Model kind -> parameters its checkpoint leaves to another file, which must not learn."""


def chosen_parameters(backbone: Backbone, settings: TrainingSettings) -> dict[str, nn.Parameter]:
    """What learns, by name.

    train="default": the backbone's `trainable_parameters`; "projections": of all parameters those
    of modules named audio_projection or text_projection, and the logit scale; "all": all that the
    model's own checkpoint saves. Raises SettingsError where that leaves nothing.
    """
    offered = {id(parameter) for parameter in backbone.trainable_parameters()}
    not_saved = _NOT_SAVED.get(backbone.kind)
    chosen = {
        name: parameter
        for name, parameter in backbone.module().named_parameters()
        if not (not_saved and name.startswith(not_saved))
        and (settings.train != "default" or id(parameter) in offered)
        and (settings.train != "projections" or _is_head(name))
    }
    if not any(parameter.ndim for parameter in chosen.values()):
        raise SettingsError(
            f"model {backbone.name}: train={settings.train!r} leaves no parameter to train"
        )
    return chosen


@contextmanager
def trained_parameters(
    backbone: Backbone, settings: TrainingSettings
) -> Iterator[dict[str, nn.Parameter]]:
    """Only `chosen_parameters` require a gradient inside the block; gives them."""
    chosen = chosen_parameters(backbone, settings)
    named = dict(backbone.module().named_parameters())
    before = {name: parameter.requires_grad for name, parameter in named.items()}
    try:
        for name, parameter in named.items():
            parameter.requires_grad_(name in chosen)
        yield chosen
    finally:
        for name, parameter in named.items():
            parameter.requires_grad_(before[name])


def _is_head(name: str) -> bool:
    *modules, own = name.split(".")
    return own.startswith(("logit_scale", "log_scale")) or any(
        module in _PROJECTIONS for module in modules
    )


def parameter_groups(
    parameters: dict[str, nn.Parameter], weight_decay: float
) -> list[dict[str, Any]]:
    """Two optimiser groups: matrices and kernels decay; biases, norms and scales do not."""
    decayed = [parameter for parameter in parameters.values() if parameter.ndim >= 2]
    others = [parameter for parameter in parameters.values() if parameter.ndim < 2]
    return [
        {"params": decayed, "weight_decay": weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]


def set_training_mode(module: nn.Module) -> None:
    """Train mode, but eval mode in every part none of whose parameters learns.

    A frozen part so keeps its batch-norm statistics and draws no dropout.
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
