"""Cache what the audio student learns from: its own mels and mn04's features over time.

Each segment is a fresh mix of clips. Shards are numbered; each has its own seed, is written whole
and is skipped when it exists, so the job can be stopped, resumed and split over processes.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from bank import SAMPLE_RATE, load_waveform, read_bank

from humanclap.clap.mini.audio import LogMel
from humanclap.clap.mini.config import MiniConfig
from humanclap.clap.mini.mn04 import load_mn04

SEGMENT_SAMPLES = 5 * SAMPLE_RATE
SHARD_SEGMENTS = 2048
BATCH = 16


def stretch(waveform: np.ndarray, speed: float) -> np.ndarray:
    """Play faster or slower (pitch moves along), by linear interpolation."""
    positions = np.arange(0, len(waveform) - 1.001, speed)
    left = positions.astype(np.int64)
    share = (positions - left).astype(np.float32)
    return waveform[left] * (1 - share) + waveform[left + 1] * share


def place(waveform: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """A segment of the waveform: a random crop, or a shorter clip repeated or set in silence."""
    missing = SEGMENT_SAMPLES - len(waveform)
    if missing <= 0:
        start = random.integers(0, -missing + 1)
        return waveform[start : start + SEGMENT_SAMPLES]
    if random.random() < 0.5:
        repeated = np.resize(waveform, SEGMENT_SAMPLES)
        return np.roll(repeated, random.integers(0, len(waveform)))
    segment = np.zeros(SEGMENT_SAMPLES, np.float32)
    start = random.integers(0, missing + 1)
    segment[start : start + len(waveform)] = waveform
    return segment


def equalise(segment: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """A smooth random gain over frequency (up to about 12 dB), sometimes a low-pass."""
    spectrum = np.fft.rfft(segment)
    knots = random.normal(0, 5, 8)
    octave = np.linspace(0, 7, 512) ** 0.5 * 7**0.5
    gain_db = np.interp(octave, np.arange(8), knots)
    if random.random() < 0.3:
        cut = random.integers(100, 400)
        gain_db[cut:] -= 60
    gain = np.interp(np.linspace(0, 511, len(spectrum)), np.arange(512), 10 ** (gain_db / 20))
    return np.fft.irfft(spectrum * gain, len(segment)).astype(np.float32)


def one_source(waveform: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """One augmented source, at a random level."""
    if random.random() < 0.5:
        waveform = stretch(waveform, float(np.exp(random.uniform(-0.35, 0.35))))
    segment = place(waveform, random)
    if random.random() < 0.5:
        level = np.exp(random.uniform(np.log(0.005), np.log(0.2)))
        return segment * (level / max(float(np.sqrt(np.mean(segment**2))), 1e-4))
    return segment * np.float32(10 ** (random.uniform(-9, 6) / 20))


def segment_of(bank: list[np.ndarray], odds: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """A mix of one to three sources, equalised and with noise now and then, in [-1, 1]."""
    count = random.choice([1, 2, 3], p=[0.45, 0.4, 0.15])
    chosen = random.choice(len(bank), size=count, p=odds)
    mix = sum(one_source(bank[index].astype(np.float32), random) for index in chosen)
    if random.random() < 0.35:
        mix = equalise(mix, random)
    if random.random() < 0.15:
        mix = mix + random.normal(0, 10 ** random.uniform(-3.5, -1.5), len(mix))
    return np.clip(mix, -1, 1).astype(np.float32)


@torch.inference_mode()
def write_shard(
    path: Path, bank: list[np.ndarray], odds: np.ndarray, seed: list[int], mel, teacher
):
    """Mels (segments, frames, 64) and teacher features (segments, steps, 384), float16."""
    random = np.random.default_rng(seed)
    mels, steps = [], []
    for _ in range(SHARD_SEGMENTS // BATCH):
        batch = torch.from_numpy(np.stack([segment_of(bank, odds, random) for _ in range(BATCH)]))
        mels.append(mel(batch)[:, 0].transpose(1, 2).half().numpy())
        spectrogram = teacher.spectrogram(batch)
        with torch.autocast("cpu", torch.bfloat16):
            maps = teacher.maps(spectrogram)
        steps.append(maps.transpose(1, 2).half().numpy())
    for name, parts in (("mel", mels), ("teacher", steps)):
        part = path.with_name(f"{path.name}.{name}.part.npy")
        np.save(part, np.concatenate(parts))
        part.rename(path.with_name(f"{path.name}.{name}.npy"))


def main() -> None:
    """Parse, load the bank into memory, write the shards that are missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shared", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--mn04", type=Path, required=True)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--last", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--split", choices=["train", "held-out"], default="train")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    arguments.cache.mkdir(parents=True, exist_ok=True)
    held_out = arguments.split == "held-out"
    clips = [clip for clip in read_bank(arguments.shared) if clip.held_out == held_out]
    bank = [load_waveform(clip.path).astype(np.float16) for clip in clips]
    hours = sum(map(len, bank)) / SAMPLE_RATE / 3600
    print(f"{arguments.split}: {len(bank)} clips, {hours:.2f} hours", flush=True)
    odds = np.array([1.5 if clip.source == "esc" else 1.0 for clip in clips])
    odds /= odds.sum()
    mel, teacher = LogMel(MiniConfig()), load_mn04(arguments.mn04)
    for index in range(arguments.first, arguments.last):
        path = arguments.cache / f"{arguments.split}-{index:04d}"
        if path.with_name(f"{path.name}.teacher.npy").exists():
            continue
        start = time.monotonic()
        write_shard(path, bank, odds, [arguments.seed, index, held_out], mel, teacher)
        print(f"{path.name}: {SHARD_SEGMENTS / (time.monotonic() - start):.0f}/s", flush=True)


if __name__ == "__main__":
    main()
