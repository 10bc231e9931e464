"""A tagger of sounds in plain torch: the network of both embedded models' audio towers.

A MobileNetV3-Large on Kaldi-like mel spectrograms (Howard et al. 2019), built as EfficientAT's
taggers are (Schmid et al. 2023). Module names follow their published `state_dict`, so that mn04_as
loads strictly; the layer sizes are read off its tensor shapes.
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from humanclap.clap.frontend import PowerMel

SAMPLE_RATE = 32_000
FRAME_SAMPLES = 1024
AUDIOSET_LABELS = 527


@dataclass(frozen=True, slots=True)
class _Block:
    """What one inverted residual does, whatever its widths."""

    kernel: int
    squeeze: bool
    hardswish: bool
    stride: int


_STEM = 8
_BLOCKS = (
    _Block(3, False, False, 1),
    _Block(3, False, False, 2),
    _Block(3, False, False, 1),
    _Block(5, True, False, 2),
    _Block(5, True, False, 1),
    _Block(5, True, False, 1),
    _Block(3, False, True, 2),
    _Block(3, False, True, 1),
    _Block(3, False, True, 1),
    _Block(3, False, True, 1),
    _Block(3, True, True, 1),
    _Block(3, True, True, 1),
    _Block(5, True, True, 2),
    _Block(5, True, True, 1),
    _Block(5, True, True, 1),
)
AUDIO_BLOCKS = len(_BLOCKS)


@dataclass(frozen=True, slots=True, kw_only=True)
class TaggerSizes:
    """Widths of a `Tagger`; the defaults are those of mn04_as.

    expanded, out: width inside and after each of the 15 blocks; a squeeze has a quarter of the
    width inside, to the nearest multiple of 8.
    """

    expanded: tuple[int, ...] = (8, 24, 32, 32, 48, 48, 96, 80, 72, 72, 192, 272, 272, 384, 384)
    out: tuple[int, ...] = (8, 16, 16, 16, 16, 16, 32, 32, 32, 32, 48, 48, 64, 64, 64)
    features: int = 384
    hidden: int = 512
    labels: int = AUDIOSET_LABELS


def _squeezed(width: int) -> int:
    """A quarter, as a multiple of 8, at most a tenth below it (Howard et al. 2019)."""
    nearest = max(8, (width // 4 + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.9 * (width // 4) else nearest


def _convolution(
    inputs: int,
    outputs: int,
    kernel: int,
    stride: int,
    groups: int,
    activation: type[nn.ReLU | nn.Hardswish] | None,
    folded: bool,
) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    if folded:
        convolution.bias = nn.Parameter(torch.zeros(outputs))
    norm = nn.Identity() if folded else nn.BatchNorm2d(outputs, eps=1e-3)
    layers: list[nn.Module] = [convolution, norm]
    if activation is not None:
        layers.append(activation(inplace=True))
    return nn.Sequential(*layers)


class _ChannelGate(nn.Module):
    """Squeeze and excitation over channels."""

    def __init__(self, width: int, squeeze: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, squeeze)
        self.fc2 = nn.Linear(squeeze, width)

    def forward(self, maps: Tensor) -> Tensor:
        pooled = maps.mean((2, 3))  # (batch, width)
        gate = torch.sigmoid(self.fc2(torch.relu(self.fc1(pooled))))
        return maps * gate[:, :, None, None]


class _InvertedResidual(nn.Module):
    def __init__(self, inputs: int, width: int, out: int, block: _Block, folded: bool) -> None:
        super().__init__()
        activation: type[nn.ReLU | nn.Hardswish] = nn.Hardswish if block.hardswish else nn.ReLU
        layers: list[nn.Module] = []
        if width != inputs:
            layers.append(_convolution(inputs, width, 1, 1, 1, activation, folded))
        layers.append(
            _convolution(width, width, block.kernel, block.stride, width, activation, folded)
        )
        if block.squeeze:
            gate = nn.Sequential(_ChannelGate(width, _squeezed(width)))
            layers.append(nn.Sequential(OrderedDict(conc_se_layers=gate)))  # the published name
        layers.append(_convolution(width, out, 1, 1, 1, None, folded))
        self.block = nn.Sequential(*layers)
        self.residual = block.stride == 1 and inputs == out

    def forward(self, maps: Tensor) -> Tensor:
        transformed: Tensor = self.block(maps)
        return transformed.add_(maps) if self.residual else transformed


class Tagger(nn.Module):
    """Waveforms at 32 kHz to features and labels; its default sizes are those of mn04_as.

    folded: built as `fold` leaves it, for the weights of a folded network.
    """

    def __init__(self, sizes: TaggerSizes | None = None, *, folded: bool = False) -> None:
        super().__init__()
        sizes = sizes or TaggerSizes()
        self.mel = PowerMel(
            sample_rate=SAMPLE_RATE,
            n_fft=FRAME_SAMPLES,
            window_length=800,
            hop_length=320,
            n_mels=128,
            f_min=0.0,
            f_max=15_000.0,
            scale="kaldi",
            periodic=False,
        )
        stages: list[nn.Module] = [_convolution(1, _STEM, 3, 2, 1, nn.Hardswish, folded)]
        inputs = _STEM
        for block, width, out in zip(_BLOCKS, sizes.expanded, sizes.out, strict=True):
            stages.append(_InvertedResidual(inputs, width, out, block, folded))
            inputs = out
        stages.append(_convolution(inputs, sizes.features, 1, 1, 1, nn.Hardswish, folded))
        self.features = nn.Sequential(*stages)
        self.classifier = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(sizes.features, sizes.hidden),
            nn.Hardswish(),
            nn.Dropout(0.0 if folded else 0.2),
            nn.Linear(sizes.hidden, sizes.labels),
        )

    def fold(self) -> Tagger:
        """A copy with each batch norm inside the convolution before it, and without dropout.

        The same function as in eval mode but for rounding, a quarter faster; it has no statistics
        to learn.
        """
        folded = copy.deepcopy(self).eval()
        for part in list(folded.modules()):
            if isinstance(part, nn.Sequential) and len(part) > 1:
                convolution, norm = part[0], part[1]
                if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                    part[0] = fuse_conv_bn_eval(convolution, norm)
                    part[1] = nn.Identity()
            elif isinstance(part, nn.Dropout):
                part.p = 0.0
        return folded

    def spectrogram(self, waveforms: Tensor) -> Tensor:
        """(batch, samples) -> normalised log mel (batch, 1, 128, frames)."""
        emphasised = waveforms[:, 1:] - 0.97 * waveforms[:, :-1]
        logarithmic = torch.log(self.mel(emphasised) + 1e-5)
        return ((logarithmic + 4.5) / 5.0).transpose(1, 2).unsqueeze(1)

    def maps(self, spectrogram: Tensor) -> Tensor:
        """(batch, 1, 128, frames) -> features (batch, features, t), averaged over frequency."""
        features: Tensor = self.features(spectrogram.contiguous(memory_format=torch.channels_last))
        return features.mean(2)

    def label_logits(self, embedding: Tensor) -> Tensor:
        """Pooled features (batch, features) -> AudioSet logits (batch, labels)."""
        return self.classifier[1:](embedding[:, :, None, None])  # type: ignore[no-any-return]

    def forward(self, waveforms: Tensor) -> tuple[Tensor, Tensor]:
        """(batch, samples) -> pooled features (batch, features), label logits (batch, labels)."""
        embedding = self.maps(self.spectrogram(waveforms)).mean(2)
        return embedding, self.label_logits(embedding)
