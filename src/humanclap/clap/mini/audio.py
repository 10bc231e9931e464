"""The audio tower: log mel, a small residual network, features pooled over time, label logits."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from humanclap.clap.frontend import PowerMel
from humanclap.clap.mini.config import MiniConfig

_FLOOR = 1e-4
_CENTRE, _SPREAD = -1.0, 4.0
_SLOPE_SCALE = 2.0
"""Brings slopes to about the size of means: two events in turn give half their difference."""


class LogMel(nn.Module):
    """Waveform (batch, samples) -> (batch, 1, n_mels, frames), roughly zero mean, unit spread."""

    def __init__(self, config: MiniConfig) -> None:
        super().__init__()
        self.power = PowerMel(
            sample_rate=config.sample_rate,
            n_fft=config.n_fft,
            window_length=config.window_length,
            hop_length=config.hop_length,
            n_mels=config.n_mels,
            f_min=config.f_min,
            f_max=config.f_max,
            scale="htk",
        )

    def forward(self, waveforms: Tensor) -> Tensor:
        """As the class says."""
        logarithmic = torch.log(self.power(waveforms) + _FLOOR)
        return ((logarithmic - _CENTRE) / _SPREAD).transpose(1, 2).unsqueeze(1)


class _Block(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut (He et al. 2016)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.first_norm = nn.BatchNorm2d(width)
        self.second = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.second_norm = nn.BatchNorm2d(width)
        nn.init.constant_(self.second_norm.weight, 0.2)

    def forward(self, maps: Tensor) -> Tensor:
        inner = torch.relu(self.first_norm(self.first(maps)))
        return torch.relu(maps + self.second_norm(self.second(inner)))


def _step(inputs: int, outputs: int, kernel: int, stride: int) -> list[nn.Module]:
    padding = kernel // 2
    return [
        nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=padding, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    ]


def over_time(maps: Tensor) -> Tensor:
    """Features over time (batch, features, steps) -> their mean and slope (batch, 2 * features).

    The slope is what the second half has more of than the first, time weighed from -1 to 1: it
    tells "a dog, then a cat" from "a cat, then a dog", which a mean cannot. 0 for a single step.
    """
    steps = maps.shape[2]
    ramp = torch.linspace(-1, 1, steps, device=maps.device) if steps > 1 else maps.new_zeros(1)
    return torch.cat([maps.mean(2), _SLOPE_SCALE * (maps * ramp).mean(2)], dim=1)


class AudioEncoder(nn.Module):
    """Waveform (batch, samples) -> (batch, 2 * audio_features + n_labels).

    The columns: mean and slope over time of the features, and the label logits of their mean. Any
    length will do; a clip's result never depends on others in eval mode.
    """

    def __init__(self, config: MiniConfig) -> None:
        super().__init__()
        self.mel = LogMel(config)
        width = config.audio_stem
        layers = _step(1, width, 7, 4)
        stages = zip(config.audio_widths, config.audio_depths, strict=True)
        for index, (outputs, depth) in enumerate(stages):
            if index:
                layers += _step(width, outputs, 3, 2)
            elif width != outputs:
                layers += _step(width, outputs, 1, 1)
            width = outputs
            layers += [_Block(width) for _ in range(depth)]
        layers += [
            nn.Conv2d(width, config.audio_features, 1, bias=False),
            nn.BatchNorm2d(config.audio_features),
            nn.Hardswish(),
        ]
        self.network = nn.Sequential(*layers)
        self.labels = nn.Linear(config.audio_features, config.n_labels)

    def maps(self, mel: Tensor) -> Tensor:
        """(batch, 1, n_mels, frames) -> features over time (batch, audio_features, steps)."""
        features: Tensor = self.network(mel.contiguous(memory_format=torch.channels_last))
        return features.float().mean(2)

    def forward(self, waveforms: Tensor) -> Tensor:
        """As the class says."""
        maps = self.maps(self.mel(waveforms))
        return torch.cat([over_time(maps), self.labels(maps.mean(2))], dim=1)


def freeze_statistics(module: nn.Module) -> None:
    """Keep batch norms on their stored statistics, whatever mode the rest is in."""
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.eval()
