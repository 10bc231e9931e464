"""Averages of weights: over steps (EMA) and over the best epochs (soup)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn


@torch.no_grad()
def update_average(
    average: dict[str, Tensor], parameters: Mapping[str, nn.Parameter], *, decay: float, step: int
) -> None:
    """average = d average + (1 - d) weights, in place, after step 1, 2, ...

    d = min(decay, (1 + step) / (10 + step)), so that the first steps do not hold the average at
    where training began. Source: Polyak & Juditsky 1992; the warm-up is TensorFlow's.
    """
    kept = min(decay, (1 + step) / (10 + step))
    for name, parameter in parameters.items():
        average[name].mul_(kept).add_(parameter.detach(), alpha=1 - kept)


@contextmanager
def put_in(parameters: Mapping[str, nn.Parameter], values: Mapping[str, Tensor]) -> Iterator[None]:
    """The parameters have other values inside the block; no values: they stay as they are."""
    before = {name: parameters[name].detach().clone() for name in values}
    with torch.no_grad():
        for name, value in values.items():
            parameters[name].copy_(value)
        try:
            yield
        finally:
            for name, value in before.items():
                parameters[name].copy_(value)


def mean_weights(several: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Mean of as many sets of weights; integer tensors are the first set's.

    Source: model soups, Wortsman et al. 2022; along one run SWA, Izmailov et al. 2018.
    """
    first = several[0]
    return {
        name: torch.stack([one[name].float() for one in several]).mean(0).to(tensor.dtype)
        if tensor.is_floating_point()
        else tensor
        for name, tensor in first.items()
    }
