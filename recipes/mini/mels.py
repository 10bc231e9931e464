"""Spectrograms of the training clips, and mixes of them for the audio student.

The student reads the teacher's spectrogram, so a mix is made there: powers of two sounds that have
nothing to do with each other add up, an equaliser is a gain for each band, and nothing is left to
compute but a sum and a logarithm. The teacher hears the very same mix. `python mels.py` writes the
spectrograms: every clip once as it is and once faster or slower (the pitch moves along).
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from bank import draw_odds, load_waveform, more_rows, read_bank
from mixes import stretch
from scipy.signal import lfilter
from torch import Tensor

from humanclap.clap.mini.tagger import Tagger

BANDS = 128
LOG_FLOOR = 1e-5
FRAMES_PER_S = 100
POWER_OF_UNIT_RMS = 90.0
"""Mean over bands and time of the power of a sound of root mean square 1: ritta's median."""
NOISE_LOG_POWER = np.interp(
    np.arange(BANDS), np.arange(8) * 16, (-2.94, 0.28, 2.28, 3.86, 5.34, 6.59, 7.76, 8.78)
)
"""Of white noise of root mean square 1, by band."""
NOISE_SHAPE = np.linspace(1.0, 5.0, BANDS)
"""Of the gamma distribution of its power in a band: the higher ones sum more bins."""


@torch.inference_mode()
def log_power(front_end: Tagger, waveform: np.ndarray) -> np.ndarray:
    """(samples,) at 32 kHz -> log of the teacher's mel power, (frames, BANDS), float16."""
    normalised = front_end.spectrogram(torch.from_numpy(waveform.astype(np.float32))[None])[0, 0]
    return (normalised * 5.0 - 4.5).T.half().numpy()


def write(name: Path, front_end: Tagger, sources: list[tuple[Path, float]], seed: int) -> None:
    """`name`.npy, all frames one after the other, and `name`.json: starts, lengths, odds."""
    random = np.random.default_rng(seed)
    parts, starts, lengths, odds = [], [], [], []
    at = 0
    for path, chance in sources:
        waveform = load_waveform(path).astype(np.float32)
        speed = float(np.exp(random.uniform(-0.35, 0.35)))
        for version in (waveform, stretch(waveform, speed)):
            if len(version) < 3_200:
                continue
            parts.append(log_power(front_end, version))
            starts.append(at)
            lengths.append(len(parts[-1]))
            odds.append(chance)
            at += lengths[-1]
    frames = np.concatenate(parts)
    np.save(name.with_suffix(".part.npy"), frames)
    name.with_suffix(".part.npy").rename(name.with_suffix(".npy"))
    index = {"starts": starts, "lengths": lengths, "odds": odds}
    name.with_suffix(".json").write_text(json.dumps(index))
    print(f"{name.name}: {len(sources)} clips, {at / FRAMES_PER_S / 3600:.2f} h in both versions")


def shared_sources(shared: Path) -> list[tuple[Path, float]]:
    """The clips of `shared` that train."""
    clips = [clip for clip in read_bank(shared) if not clip.held_out]
    return [(clip.path, draw_odds(clip)) for clip in clips]


def more_sources(folder: Path) -> list[tuple[Path, float]]:
    """The clips of `bank_more.py`; of a source with four times the clips, twice as many draws."""
    rows = more_rows(folder)
    counts = Counter(row["source"] for row in rows)
    return [(folder / row["path"], counts[row["source"]] ** -0.5) for row in rows]


class Mels:
    """Random mixes of the spectrograms that `write` made, as the teacher's network takes them."""

    def __init__(self, names: list[Path], shares: list[float]) -> None:
        """shares: of the draws, for each file."""
        self.frames = [np.load(name.with_suffix(".npy"), mmap_mode="r") for name in names]
        self.index = [json.loads(name.with_suffix(".json").read_text()) for name in names]
        self.shares = np.array(shares) / sum(shares)
        self.odds = [np.array(index["odds"]) / sum(index["odds"]) for index in self.index]
        self.odds = [np.cumsum(odds) for odds in self.odds]

    def crop(self, frames: int, random: np.random.Generator) -> np.ndarray:
        """Power of one source (frames, BANDS), float32: cut, repeated or set in silence."""
        bank = int(random.choice(len(self.shares), p=self.shares))
        place = int(np.searchsorted(self.odds[bank], random.random() * self.odds[bank][-1]))
        start, length = self.index[bank]["starts"][place], self.index[bank]["lengths"][place]
        if length > frames:
            start, length = start + int(random.integers(length - frames + 1)), frames
        power = np.exp(self.frames[bank][start : start + length].astype(np.float32))
        if length < frames and random.random() < 0.5:
            repeated = np.tile(power, (-(-frames // length), 1))[:frames]
            power = np.roll(repeated, int(random.integers(length)), axis=0)
        elif length < frames:
            first = int(random.integers(frames - length + 1))
            power = np.pad(power, ((first, frames - length - first), (0, 0)))
        return power

    def mix(self, frames: int, random: np.random.Generator) -> np.ndarray:
        """One to three sources, now and then in a room, equalised or noisy: (frames, BANDS)."""
        count = int(random.choice([1, 2, 3], p=[0.5, 0.37, 0.13]))
        total = np.zeros((frames, BANDS), np.float32)
        for _ in range(count):
            power = self.crop(frames, random)
            if random.random() < 0.5:
                level = float(np.exp(random.uniform(np.log(0.005), np.log(0.2))))
                wanted = POWER_OF_UNIT_RMS * level**2
                power = power * np.float32(wanted / max(float(power.mean()), 1e-6))
            elif count > 1 or random.random() < 0.5:
                power = power * np.float32(10 ** (random.uniform(-9, 6) / 10))
            total += power
        if random.random() < 0.15:
            total = reverberate(total, random)
        if random.random() < 0.35:
            total = total * equaliser(random)
        if random.random() < 0.15:
            noise = random.gamma(NOISE_SHAPE, 1 / NOISE_SHAPE, (frames, BANDS))
            level = NOISE_LOG_POWER + 2 * np.log(10) * random.uniform(-3.5, -1.5)
            total = total + (noise * np.exp(level)).astype(np.float32)
        return total

    def batch(self, size: int, frames: int, random: np.random.Generator) -> Tensor:
        """(size, 1, BANDS, frames), normalised as `Tagger.spectrogram` does."""
        powers = np.stack([self.mix(frames, random) for _ in range(size)])
        logarithmic = torch.from_numpy(powers).add_(LOG_FLOOR).log_()
        return ((logarithmic + 4.5) / 5.0).transpose(1, 2).unsqueeze(1)


def equaliser(random: np.random.Generator) -> np.ndarray:
    """A smooth gain over the bands, up to about 12 dB, sometimes a low-pass: (BANDS,)."""
    gain_db = np.interp(np.linspace(0, 7, BANDS), np.arange(8), random.normal(0, 5, 8))
    if random.random() < 0.3:
        gain_db[random.integers(25, 110) :] -= 60
    return (10 ** (gain_db / 10)).astype(np.float32)


def reverberate(power: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Each band's power decays exponentially after it sounded, beside the direct sound."""
    keep = float(np.exp(-1 / (FRAMES_PER_S * random.uniform(0.05, 0.4))))
    wet = lfilter([1 - keep], [1, -keep], power, axis=0)
    share = random.uniform(0.3, 0.9)
    return (share * wet + (1 - share) * power).astype(np.float32)


def main() -> None:
    """Parse; write one file of spectrograms."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shared", type=Path)
    parser.add_argument("--more", type=Path, help="folder of bank_more.py, instead of --shared")
    parser.add_argument("--output", type=Path, required=True, help="name without ending")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    began = time.monotonic()
    if arguments.more is not None:
        sources = more_sources(arguments.more)
    else:
        sources = shared_sources(arguments.shared)
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    write(arguments.output, Tagger().eval(), sources, arguments.seed)
    print(f"{time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
