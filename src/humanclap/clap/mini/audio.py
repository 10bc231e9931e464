"""The audio tower: log mel, a small convolutional network, pooled features and label logits."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from humanclap.clap.frontend import PowerMel
from humanclap.clap.mini.config import MiniConfig

_FLOOR = 1e-4
_CENTRE, _SPREAD = -1.0, 4.0


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
    """Depthwise convolution, then a residual widening and narrowing by pointwise ones."""

    def __init__(self, width: int, kernel: int, expansion: int) -> None:
        super().__init__()
        inner = width * expansion
        self.depthwise = nn.Conv2d(
            width, width, kernel, padding=kernel // 2, groups=width, bias=False
        )
        self.depthwise_norm = nn.BatchNorm2d(width)
        self.expand = nn.Conv2d(width, inner, 1)
        self.reduce = nn.Conv2d(inner, width, 1, bias=False)
        self.reduce_norm = nn.BatchNorm2d(width)
        nn.init.constant_(self.reduce_norm.weight, 0.2)

    def forward(self, maps: Tensor) -> Tensor:
        inner = torch.relu(self.expand(self.depthwise_norm(self.depthwise(maps))))
        return maps + self.reduce_norm(self.reduce(inner))  # type: ignore[no-any-return]


def _halve(inputs: int, outputs: int) -> list[nn.Module]:
    return [
        nn.Conv2d(inputs, inputs, 3, stride=2, padding=1, groups=inputs, bias=False),
        nn.BatchNorm2d(inputs),
        nn.Conv2d(inputs, outputs, 1, bias=False),
        nn.BatchNorm2d(outputs),
    ]


class AudioEncoder(nn.Module):
    """Waveform (batch, samples) -> (batch, audio_features + n_labels): pooled features, logits.

    The time axis is averaged, so any length will do; a clip's result never depends on others in
    eval mode.
    """

    def __init__(self, config: MiniConfig) -> None:
        super().__init__()
        self.mel = LogMel(config)
        stem, width = config.audio_stem, config.audio_widths[0]
        layers: list[nn.Module] = [
            nn.Conv2d(1, stem, 7, stride=4, padding=3, bias=False),
            nn.BatchNorm2d(stem),
            nn.Hardswish(),
        ]
        if stem != width:
            layers += [nn.Conv2d(stem, width, 1, bias=False), nn.BatchNorm2d(width)]
        stages = zip(config.audio_widths, config.audio_depths, config.audio_kernels, strict=True)
        for index, (outputs, depth, kernel) in enumerate(stages):
            layers += _halve(width, outputs) if index else []
            width = outputs
            layers += [_Block(width, kernel, config.audio_expansion) for _ in range(depth)]
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
        pooled = self.maps(self.mel(waveforms)).mean(2)  # (batch, audio_features)
        return torch.cat([pooled, self.labels(pooled)], dim=1)


def freeze_statistics(module: nn.Module) -> None:
    """Keep batch norms on their stored statistics, whatever mode the rest is in."""
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.eval()
