"""The audio tower: a tagger's features over time and its label logits."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from humanclap.clap.mini.tagger import Tagger

_SLOPE_SCALE = 2.0
"""Brings slopes to about the size of means: two events in turn give half their difference."""


def over_time(maps: Tensor) -> Tensor:
    """Features over time (batch, features, steps) -> their mean and slope (batch, 2 * features).

    The slope is what the second half has more of than the first, time weighed from -1 to 1: it
    tells "a dog, then a cat" from "a cat, then a dog", which a mean cannot. 0 for a single step.
    """
    steps = maps.shape[2]
    ramp = torch.linspace(-1, 1, steps, device=maps.device) if steps > 1 else maps.new_zeros(1)
    return torch.cat([maps.mean(2), _SLOPE_SCALE * (maps * ramp).mean(2)], dim=1)


class AudioEncoder(nn.Module):
    """Waveform (batch, samples) at 32 kHz -> (batch, 2 * features + labels).

    The columns: mean and slope over time of the tagger's features, and its label logits. Any length
    from `tagger.FRAME_SAMPLES` on will do; a clip's result never depends on others, as batch norms
    are folded into the convolutions (`Tagger.fold`, which the caller has done).
    """

    def __init__(self, network: Tagger) -> None:
        super().__init__()
        self.network = network

    def forward(self, waveforms: Tensor) -> Tensor:
        """(batch, samples) -> (batch, 2 * features + labels)."""
        maps = self.network.maps(self.network.spectrogram(waveforms))
        return torch.cat([over_time(maps), self.network.label_logits(maps.mean(2))], dim=1)
