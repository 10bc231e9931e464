"""The last layers of an encoder."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn


def in_last_layers(module: nn.Module, parts: Mapping[str, tuple[str, ...]], count: int) -> set[str]:
    """Names of the encoders' parameters in their last `count` layers and after them.

    A layer is a member of a ModuleList or Sequential that has parameters and holds no further
    list. What is defined after the first such layer (a final norm, a pooler) learns with it; batch
    norms never do, as their statistics would shift.
    """
    chosen: set[str] = set()
    for part, names in parts.items():
        if part.endswith("_encoder"):
            for path, encoder in _outermost(module, names):
                chosen |= {f"{path}.{name}" for name in _after(encoder, count)}
    return chosen


def _outermost(module: nn.Module, names: tuple[str, ...]) -> list[tuple[str, nn.Module]]:
    found: list[tuple[str, nn.Module]] = []
    for path, part in module.named_modules():
        inside = any(path.startswith(f"{outer}.") for outer, _ in found)
        if not inside and path.split(".")[-1] in names:
            found.append((path, part))
    return found


def _after(encoder: nn.Module, count: int) -> set[str]:
    layers = [
        f"{path}.{name}" if path else name
        for path, parent in encoder.named_modules()
        if isinstance(parent, (nn.ModuleList, nn.Sequential))
        for name, layer in parent.named_children()
        if _is_layer(layer)
    ]
    if not layers:
        return set()
    first = f"{layers[-min(count, len(layers))]}."
    norms = [
        f"{path}."
        for path, part in encoder.named_modules()
        if isinstance(part, nn.modules.batchnorm._BatchNorm)
    ]
    names = [name for name, _ in encoder.named_parameters()]
    start = next(place for place, name in enumerate(names) if name.startswith(first))
    return {name for name in names[start:] if not name.startswith(tuple(norms))}


def _is_layer(part: nn.Module) -> bool:
    lists = (nn.ModuleList, nn.Sequential)
    holds_lists = any(isinstance(inner, lists) and len(inner) for inner in part.modules())
    return not holds_lists and any(True for _ in part.parameters())
