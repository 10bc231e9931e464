"""The AudioSet tagger `mn04` (EfficientAT) in plain torch, for weights given by path.

A MobileNetV3-Large of width 0.4 on Kaldi-like mel spectrograms (Howard et al. 2019; Schmid et al.
2023). Module names follow the published `state_dict`, so that it loads strictly; the layer sizes
are read off its tensor shapes. The weights file is not part of this package.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from humanclap.clap.frontend import PowerMel
from humanclap.errors import CheckpointError
from humanclap.fingerprint import sha256_file

MN04_SHA256 = "899a8c6217063f6941793102a2780b3dd788ab11fce468d9cf5f0577c453321c"
MN04_ADDRESS = "release v0.0.1 of github.com/fschmid56/EfficientAT, file mn04_as_mAP_432.pt"
MN04_SAMPLE_RATE = 32_000
MN04_EMBEDDING_DIM = 384
AUDIOSET_LABELS = 527


@dataclass(frozen=True, slots=True)
class _Block:
    """One inverted residual: kernel, widths, width of its squeeze (0: none), stride."""

    kernel: int
    expanded: int
    out: int
    squeeze: int
    hardswish: bool
    stride: int


_STEM = 8
_BLOCKS = (
    _Block(3, 8, 8, 0, False, 1),
    _Block(3, 24, 16, 0, False, 2),
    _Block(3, 32, 16, 0, False, 1),
    _Block(5, 32, 16, 8, False, 2),
    _Block(5, 48, 16, 16, False, 1),
    _Block(5, 48, 16, 16, False, 1),
    _Block(3, 96, 32, 0, True, 2),
    _Block(3, 80, 32, 0, True, 1),
    _Block(3, 72, 32, 0, True, 1),
    _Block(3, 72, 32, 0, True, 1),
    _Block(3, 192, 48, 48, True, 1),
    _Block(3, 272, 48, 72, True, 1),
    _Block(5, 272, 64, 72, True, 2),
    _Block(5, 384, 64, 96, True, 1),
    _Block(5, 384, 64, 96, True, 1),
)


def _convolution(
    inputs: int, outputs: int, kernel: int, stride: int, groups: int, activation: nn.Module | None
) -> nn.Sequential:
    layers: list[nn.Module] = [
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs, eps=1e-3),
    ]
    if activation is not None:
        layers.append(activation)
    return nn.Sequential(*layers)


class _ChannelGate(nn.Module):
    """Squeeze and excitation over channels, without the wrapper its parameter names carry."""

    def __init__(self, width: int, squeeze: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, squeeze)
        self.fc2 = nn.Linear(squeeze, width)

    def forward(self, maps: Tensor) -> Tensor:
        pooled = maps.mean((2, 3))  # (batch, width)
        gate = torch.sigmoid(self.fc2(torch.relu(self.fc1(pooled))))
        return maps * gate[:, :, None, None]


class _SqueezeExcitation(nn.Module):
    def __init__(self, width: int, squeeze: int) -> None:
        super().__init__()
        self.conc_se_layers = nn.ModuleList([_ChannelGate(width, squeeze)])

    def forward(self, maps: Tensor) -> Tensor:
        return self.conc_se_layers[0](maps)  # type: ignore[no-any-return]


class _InvertedResidual(nn.Module):
    def __init__(self, inputs: int, block: _Block) -> None:
        super().__init__()
        activation = nn.Hardswish if block.hardswish else nn.ReLU
        width = block.expanded
        layers: list[nn.Module] = []
        if width != inputs:
            layers.append(_convolution(inputs, width, 1, 1, 1, activation()))
        layers.append(_convolution(width, width, block.kernel, block.stride, width, activation()))
        if block.squeeze:
            layers.append(_SqueezeExcitation(width, block.squeeze))
        layers.append(_convolution(width, block.out, 1, 1, 1, None))
        self.block = nn.Sequential(*layers)
        self.residual = block.stride == 1 and inputs == block.out

    def forward(self, maps: Tensor) -> Tensor:
        transformed: Tensor = self.block(maps)
        return maps + transformed if self.residual else transformed


class MN04(nn.Module):
    """Waveform (batch, samples) at 32 kHz -> pooled embedding (batch, 384), logits (batch, 527)."""

    def __init__(self) -> None:
        super().__init__()
        self.mel = PowerMel(
            sample_rate=MN04_SAMPLE_RATE,
            n_fft=1024,
            window_length=800,
            hop_length=320,
            n_mels=128,
            f_min=0.0,
            f_max=15_000.0,
            scale="kaldi",
            periodic=False,
        )
        stages: list[nn.Module] = [_convolution(1, _STEM, 3, 2, 1, nn.Hardswish())]
        inputs = _STEM
        for block in _BLOCKS:
            stages.append(_InvertedResidual(inputs, block))
            inputs = block.out
        stages.append(_convolution(inputs, MN04_EMBEDDING_DIM, 1, 1, 1, nn.Hardswish()))
        self.features = nn.Sequential(*stages)
        self.classifier = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(MN04_EMBEDDING_DIM, 512),
            nn.Hardswish(),
            nn.Dropout(0.2),
            nn.Linear(512, AUDIOSET_LABELS),
        )

    def spectrogram(self, waveforms: Tensor) -> Tensor:
        """(batch, samples) -> normalised log mel (batch, 1, 128, frames)."""
        emphasised = waveforms[:, 1:] - 0.97 * waveforms[:, :-1]
        logarithmic = torch.log(self.mel(emphasised) + 1e-5)
        return ((logarithmic + 4.5) / 5.0).transpose(1, 2).unsqueeze(1)

    def maps(self, spectrogram: Tensor) -> Tensor:
        """(batch, 1, 128, frames) -> features over time, frequency averaged: (batch, 384, t)."""
        features: Tensor = self.features(spectrogram.contiguous(memory_format=torch.channels_last))
        return features.mean(2)

    def label_logits(self, embedding: Tensor) -> Tensor:
        """(batch, 384) -> AudioSet logits (batch, 527)."""
        return self.classifier[1:](embedding[:, :, None, None])  # type: ignore[no-any-return]

    def forward(self, waveforms: Tensor) -> tuple[Tensor, Tensor]:
        """As the class says."""
        embedding = self.maps(self.spectrogram(waveforms)).mean(2)  # (batch, 384)
        return embedding, self.label_logits(embedding)


def load_mn04(path: str | Path, *, sha256: str | None = MN04_SHA256) -> MN04:
    """The published network from its weights file, in eval mode.

    sha256: what the file must hash to; None accepts any file of the right shape.
    Raises CheckpointError where the file is missing, another one, or does not fit.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file; mn04 comes from {MN04_ADDRESS}")
    if sha256 is not None and (found := sha256_file(path)) != sha256:
        raise CheckpointError(
            f"{path}: sha256 is {found[:12]}..., expected {sha256[:12]}...; is this the file "
            f"of {MN04_ADDRESS}? (pass sha256=None to accept another one)"
        )
    network = MN04()
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        network.load_state_dict(state, strict=True)
    except Exception as error:
        raise CheckpointError(f"{path}: does not fit mn04 ({error}); download it again") from error
    return network.eval()
