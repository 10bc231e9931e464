"""Follow the reward's gradient towards a text twice: in a small synthesiser, and in bare samples.

    python examples/reward/reward_hacking.py

Both raise the score, but only one makes the sound that the text asks for. A measure that the
gradient does not see shows which. `README.md` beside this file says what to learn from the table.
"""

from __future__ import annotations

import argparse
import io
import math
from collections.abc import Callable

import soundfile
import torch
from torch import Tensor, nn

import humanclap
from humanclap import HumanCLAP

RATE = 16_000
SECONDS = 2
TEXT = "a sine wave"


class Synthesiser(nn.Module):
    """40 sines and 20 bands of noise, of which only the loudness is learned; starts as noise."""

    sounds: Tensor

    def __init__(self, generator: torch.Generator) -> None:
        super().__init__()
        time = torch.arange(RATE * SECONDS) / RATE
        pitches = torch.logspace(math.log10(80), math.log10(6000), 40)
        sines = math.sqrt(2) * torch.sin(2 * math.pi * pitches[:, None] * time)
        self.register_buffer("sounds", torch.cat([sines, noise_bands(20, generator)]))
        self.loudness = nn.Parameter(torch.cat([torch.full((40,), -4.0), torch.full((20,), 0.0)]))

    def forward(self) -> Tensor:
        """One clip, (1, time), at an RMS of 0.1."""
        mixed = self.loudness.exp() @ self.sounds
        return 0.1 * (mixed / mixed.square().mean().sqrt())[None]


class Samples(nn.Module):
    """A clip that may change at every sample; starts as noise at an RMS of 0.1."""

    def __init__(self, generator: torch.Generator) -> None:
        super().__init__()
        noise = torch.randn(1, RATE * SECONDS, generator=generator)
        self.samples = nn.Parameter(0.1 * noise)

    def forward(self) -> Tensor:
        """The clip, (1, time)."""
        return self.samples.clamp(-1, 1)


def noise_bands(count: int, generator: torch.Generator) -> Tensor:
    """Noise in `count` bands from 60 Hz to 7.5 kHz, each with an RMS of 1: (count, time)."""
    white = torch.fft.rfft(torch.randn(RATE * SECONDS, generator=generator))
    hertz = torch.linspace(0, RATE / 2, len(white))
    edges = torch.logspace(math.log10(60), math.log10(7500), count + 1)
    inside = (hertz >= edges[:-1, None]) & (hertz < edges[1:, None])
    bands = torch.fft.irfft(white * inside, n=RATE * SECONDS)
    return bands / bands.square().mean(dim=1, keepdim=True).sqrt()


def climb(judge: nn.Module, sound: nn.Module, steps: int, rate: float) -> Tensor:
    """Follow the gradient of the score; returns the clip at the end, (1, time)."""
    optimiser = torch.optim.Adam(sound.parameters(), lr=rate)
    for _ in range(steps):
        optimiser.zero_grad()
        (-judge(sound(), TEXT, sample_rate=RATE).mean()).backward()
        optimiser.step()
    return sound().detach()


def purity(clip: Tensor) -> float:
    """Share of the energy in the 8 strongest of 1025 frequencies: a sine has 1, white noise 0.01.

    It says whether "a sine wave" is true, and no gradient of a CLAP goes through it.
    """
    window = torch.hann_window(2048)
    spectrum = torch.stft(clip, 2048, window=window, return_complex=True).abs().square()
    power = spectrum.mean(dim=2)  # (1, 1025)
    return float(power.topk(8).values.sum() / power.sum())


def as_mp3(clip: Tensor) -> Tensor:
    """The clip after MP3, as listeners would get it."""
    file = io.BytesIO()
    soundfile.write(file, clip[0].numpy(), RATE, format="MP3")
    file.seek(0)
    return torch.from_numpy(soundfile.read(file, dtype="float32")[0])[None]


def main() -> None:
    """Print one line for each clip."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--steps", type=int, default=40)
    options.add_argument("--mn04", help="weights of mn04: adds mini-mn04 as a second judge")
    chosen = options.parse_args()
    judge = humanclap.reward("mini")
    device = next(judge.parameters()).device
    generator = torch.Generator().manual_seed(0)
    columns: dict[str, Callable[[Tensor], float]] = {
        "score": lambda clip: float(judge(clip.to(device), TEXT, sample_rate=RATE)),
        "after MP3": lambda clip: float(judge(as_mp3(clip).to(device), TEXT, sample_rate=RATE)),
    }
    if chosen.mn04:
        second = humanclap.reward(HumanCLAP.from_pretrained("mini-mn04", mn04=chosen.mn04))
        columns["mini-mn04"] = lambda clip: float(second(clip.to(device), TEXT, sample_rate=RATE))
    columns["purity"] = purity

    time = torch.arange(RATE * SECONDS) / RATE
    synthesiser, samples = Synthesiser(generator), Samples(generator)
    clips = {
        "a sine of 1 kHz": 0.1 * math.sqrt(2) * torch.sin(2000 * math.pi * time)[None],
        "synthesiser, before": synthesiser().detach(),
        "synthesiser, after": climb(judge, synthesiser.to(device), chosen.steps, 1.0).cpu(),
        "samples, before": samples().detach(),
        "samples, after": climb(judge, samples.to(device), chosen.steps, 1e-3).cpu(),
    }
    print(f"{TEXT!r}, {chosen.steps} steps\n")
    print(f"{'':20}", *(f"{name:>10}" for name in columns))
    for name, clip in clips.items():
        with torch.no_grad():
            print(f"{name:20}", *(f"{measure(clip):10.3f}" for measure in columns.values()))
    change = clips["samples, after"] - clips["samples, before"]
    loudness = 20 * math.log10(float(change.norm() / clips["samples, before"].norm()))
    print(f"\nWhat changed in the samples is {-loudness:.0f} dB below the noise they were.")


if __name__ == "__main__":
    main()
