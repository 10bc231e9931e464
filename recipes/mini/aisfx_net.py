"""The network of `aisfx` 0.1.2 in plain torch, for weights given by path.

Ma and Lerch 2022, "Representation learning for the automatic indexing of sound effects libraries",
weights CC BY 4.0: the file aisfx/models/checkpoint.pth of PyPI's wheel. Nothing of it is shipped.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soxr
import torch
from bank import SAMPLE_RATE
from torch import Tensor, nn
from torch.nn import functional as F

from humanclap.clap.frontend import PowerMel
from humanclap.fingerprint import sha256_file

SHA256 = "499ea75909c932a2f94c35fa722fa4fabc5bcb7e84917209cc5f7402627b7eb5"
RATE_OF_AISFX = 44_100
HOP = 1024
BLOCK_FRAMES, BLOCK_HOP = 100, 50
LARGEST = 9.457798957824707  # of the authors' log mels: they divide by it
WIDTHS = (64, 128, 256, 512)


class Aisfx(nn.Module):
    """Waveforms (batch, samples) at 32 kHz -> mean embedding of 2.3 s blocks (batch, 512), >= 0.

    The published network: four blocks of two 3 x 3 convolutions, maxima of 2 x 2 after three of
    them, mean over frequency, maximum over time. The front end follows the wheel's librosa variant
    (the paper used Essentia, so its own figures may be a little better): peak 1, centred frames
    between zeros, periodic Hann, power, HTK triangles of which each sums to 1 (what norm=1.0 means
    to librosa since 0.8, and Essentia's unit_sum), log10(10000 x + 1). Blocks of 100 frames, hop
    50; what is left at the end is dropped, a shorter clip is filled up with zeros.
    Sound above 16 kHz, which the authors' clips may have had, is missing here.
    """

    def __init__(self) -> None:
        super().__init__()
        self.power = PowerMel(
            sample_rate=RATE_OF_AISFX,
            n_fft=2048,
            window_length=2048,
            hop_length=HOP,
            n_mels=96,
            f_min=0.0,
            f_max=22_050.0,
            scale="htk",
        )
        self.power.filters /= self.power.filters.sum(0)
        layers: list[nn.Module] = []
        inputs = 1
        for width in WIDTHS:
            for source in (inputs, width):
                layers.append(nn.Conv2d(source, width, 3, padding=1, bias=False))
                layers += [nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
            layers.append(nn.MaxPool2d(1 if width == WIDTHS[-1] else 2))
            inputs = width
        self.layers = nn.Sequential(*layers)

    def log_mel(self, waveforms: Tensor) -> Tensor:
        """(batch, samples) at 32 kHz -> (batch, frames, 96), about 0..1."""
        resampled = soxr.resample(waveforms.numpy().T, SAMPLE_RATE, RATE_OF_AISFX).T
        samples = torch.from_numpy(np.ascontiguousarray(resampled))
        peak = samples.abs().amax(1, keepdim=True)
        samples = samples / torch.where(peak > 0, peak, 1.0)
        # zeros for one more frame at each end, then without these two: centring would mirror
        power = self.power(F.pad(samples, (HOP, HOP)))[:, 1:-1]
        return torch.log10(10_000 * power + 1) / LARGEST

    def pooled(self, log_mel: Tensor) -> Tensor:
        """(batch, frames, 96), 8 frames or more -> (batch, 512)."""
        inputs = log_mel.unsqueeze(1).contiguous(memory_format=torch.channels_last)
        return self.layers(inputs).float().mean(3).amax(2)  # type: ignore[no-any-return]

    def of_blocks(self, log_mel: Tensor) -> Tensor:
        """(batch, frames, 96) -> mean over blocks (batch, 512)."""
        missing = max(BLOCK_FRAMES - log_mel.shape[1], 0)
        blocks = F.pad(log_mel, (0, 0, 0, missing)).unfold(1, BLOCK_FRAMES, BLOCK_HOP)
        embedded = self.pooled(blocks.transpose(2, 3).flatten(0, 1))
        return embedded.unflatten(0, blocks.shape[:2]).mean(1)

    def forward(self, waveforms: Tensor) -> Tensor:
        """As the class says."""
        return self.of_blocks(self.log_mel(waveforms))


def load_aisfx(path: Path) -> Aisfx:
    """The published weights in eval mode; SystemExit where the file is missing or another one."""
    if not path.is_file() or sha256_file(path) != SHA256:
        raise SystemExit(
            f"{path}: not checkpoint.pth of aisfx 0.1.2; pip download --no-deps aisfx==0.1.2, "
            "unzip it and name its aisfx/models/checkpoint.pth"
        )
    scalar = np.float64(0).__reduce__()[0]  # numpy 2 keeps it elsewhere than the file says
    allowed = [(scalar, "numpy.core.multiarray.scalar"), np.dtype, type(np.dtype(np.int64))]
    with torch.serialization.safe_globals(allowed):
        theirs, _heads = torch.load(path, map_location="cpu", weights_only=True)
    ours = {}
    for name, values in theirs.items():
        part, _, rest = name.partition(".conv_block")
        if part == "embedding_net":  # e.g. 2.bn1.weight: block, layer and which of two, tensor
            block, layer, tensor = rest.split(".")
            place = 7 * (int(block) - 1) + 3 * (int(layer[-1]) - 1) + layer.startswith("bn")
            ours[f"{place}.{tensor}"] = values
    network = Aisfx()
    network.layers.load_state_dict(ours, strict=True)
    return network.eval().to(memory_format=torch.channels_last)
