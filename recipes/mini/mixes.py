"""Cache what the audio student learns from: its own mels and mn04's features over time.

Each segment is a fresh mix of clips. Shards are numbered; each has its own seed, is written whole
and is skipped when it exists, so the job can be stopped, resumed and split over processes.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.fft
import torch
from bank import SAMPLE_RATE, load_waveform, read_bank, read_rows

from humanclap.clap.mini.audio import LogMel
from humanclap.clap.mini.config import MiniConfig
from humanclap.clap.mini.mn04 import MN04, load_mn04

SEGMENT_SAMPLES = 5 * SAMPLE_RATE
SHARD_SEGMENTS = 2048
BATCH = 8


def stretch(waveform: np.ndarray, speed: float) -> np.ndarray:
    """Play faster or slower (pitch moves along), by linear interpolation."""
    positions = np.arange(0, len(waveform) - 1.001, speed)
    left = positions.astype(np.int32)
    share = (positions - left).astype(np.float32)
    return waveform[left] * (1 - share) + waveform[left + 1] * share


def cut(waveform: np.ndarray, length: int, random: np.random.Generator) -> np.ndarray:
    """A random crop of at most `length` samples, as float32."""
    start = random.integers(0, max(len(waveform) - length, 0) + 1)
    return waveform[start : start + length].astype(np.float32)


def place(waveform: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """A whole segment: a shorter clip repeated, or set in silence."""
    missing = SEGMENT_SAMPLES - len(waveform)
    if missing <= 0:
        return waveform[:SEGMENT_SAMPLES]
    if random.random() < 0.5:
        repeated = np.resize(waveform, SEGMENT_SAMPLES)
        return np.roll(repeated, random.integers(0, len(waveform)))
    segment = np.zeros(SEGMENT_SAMPLES, np.float32)
    start = random.integers(0, missing + 1)
    segment[start : start + len(waveform)] = waveform
    return segment


def equalise(segment: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """A smooth random gain over frequency (up to about 12 dB), sometimes a low-pass."""
    spectrum = scipy.fft.rfft(segment)
    knots = random.normal(0, 5, 8)
    octave = np.linspace(0, 7, 512) ** 0.5 * 7**0.5
    gain_db = np.interp(octave, np.arange(8), knots)
    if random.random() < 0.3:
        gain_db[random.integers(100, 400) :] -= 60
    gain = np.interp(np.linspace(0, 511, len(spectrum)), np.arange(512), 10 ** (gain_db / 20))
    return scipy.fft.irfft(spectrum * gain.astype(np.float32), len(segment))


def one_source(waveform: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """One augmented source, at a random level."""
    if random.random() < 0.5:
        speed = float(np.exp(random.uniform(-0.35, 0.35)))
        waveform = stretch(cut(waveform, int(SEGMENT_SAMPLES * speed) + 4, random), speed)
    else:
        waveform = cut(waveform, SEGMENT_SAMPLES, random)
    segment = place(waveform, random)
    if random.random() < 0.5:
        level = np.exp(random.uniform(np.log(0.005), np.log(0.2)))
        power = float(np.dot(segment, segment)) / len(segment)
        return segment * np.float32(level / max(power**0.5, 1e-4))
    return segment * np.float32(10 ** (random.uniform(-9, 6) / 20))


def reverberate(segment: np.ndarray, room: np.ndarray) -> np.ndarray:
    """The segment in a room, at its own energy; the tail beyond its end is lost."""
    length = scipy.fft.next_fast_len(len(segment) + len(room) - 1, real=True)
    spectrum = scipy.fft.rfft(segment, length) * scipy.fft.rfft(room.astype(np.float32), length)
    wet = scipy.fft.irfft(spectrum, length)[: len(segment)].astype(np.float32)
    energy = float(np.dot(segment, segment)) / max(float(np.dot(wet, wet)), 1e-9)
    return wet * np.float32(energy**0.5)


def segment_of(bank: Bank, random: np.random.Generator) -> np.ndarray:
    """A mix of one to three sources, in a room, equalised, with noise now and then, in [-1, 1]."""
    count = random.choice([1, 2, 3], p=[0.45, 0.4, 0.15])
    chosen = np.searchsorted(bank.cumulated, random.random(count))
    mix = sum(one_source(bank.waveforms[index], random) for index in chosen)
    if bank.rooms and random.random() < 0.2:
        mix = reverberate(mix, bank.rooms[random.integers(len(bank.rooms))])
    if random.random() < 0.35:
        mix = equalise(mix, random)
    if random.random() < 0.15:
        noise = random.standard_normal(len(mix), dtype=np.float32)
        mix = mix + noise * np.float32(10 ** random.uniform(-3.5, -1.5))
    return np.clip(mix, -1, 1).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Bank:
    """Waveforms (float16, 32 kHz), the cumulated odds of choosing each, and room responses."""

    waveforms: list[np.ndarray]
    cumulated: np.ndarray
    rooms: list[np.ndarray]


def load_bank(shared: Path, more: Path | None, *, held_out: bool) -> Bank:
    """The clips of `shared`, half of all draws going to those of `more` where it is given.

    There, a source with four times the clips is drawn from twice as often. Clips of `more` teach
    only: a held-out bank has none of them.
    """
    clips = [clip for clip in read_bank(shared) if clip.held_out == held_out]
    waveforms = [load_waveform(clip.path).astype(np.float16) for clip in clips]
    odds = np.array([1.5 if clip.source == "esc" else 1.0 for clip in clips])
    odds /= odds.sum()
    rooms: list[np.ndarray] = []
    if more is not None and not held_out:
        rows = read_rows(more / "bank_more.csv")
        rooms = [load_waveform(more / r["path"]) for r in rows if r["source"] == "room"]
        others = [row for row in rows if row["source"] != "room"]
        waveforms += [load_waveform(more / row["path"]).astype(np.float16) for row in others]
        counts = Counter(row["source"] for row in others)
        theirs = np.array([counts[row["source"]] ** -0.5 for row in others])
        odds = np.concatenate([odds, theirs / theirs.sum()]) / 2
    hours = sum(map(len, waveforms)) / SAMPLE_RATE / 3600
    print(f"{len(waveforms)} clips, {hours:.2f} hours, {len(rooms)} rooms", flush=True)
    cumulated = np.cumsum(odds)
    return Bank(waveforms, cumulated / cumulated[-1], rooms)


@torch.inference_mode()
def write_shard(path: Path, bank: Bank, seed: list[int], mel: LogMel, teacher: MN04) -> None:
    """Mels (segments, frames, 64) and teacher features (segments, steps, 384), float16."""
    random = np.random.default_rng(seed)
    mels, steps = [], []
    for _ in range(SHARD_SEGMENTS // BATCH):
        batch = torch.from_numpy(np.stack([segment_of(bank, random) for _ in range(BATCH)]))
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
    parser.add_argument("--more", type=Path, help="folder of bank_more.py")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--last", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--split", choices=["train", "held-out"], default="train")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    arguments.cache.mkdir(parents=True, exist_ok=True)
    held_out = arguments.split == "held-out"
    bank = load_bank(arguments.shared, arguments.more, held_out=held_out)
    mel, teacher = LogMel(MiniConfig()), load_mn04(arguments.mn04)
    for index in range(arguments.first, arguments.last):
        path = arguments.cache / f"{arguments.split}-{index:04d}"
        if path.with_name(f"{path.name}.teacher.npy").exists():
            continue
        start = time.monotonic()
        write_shard(path, bank, [arguments.seed, index, held_out], mel, teacher)
        print(f"{path.name}: {SHARD_SEGMENTS / (time.monotonic() - start):.0f}/s", flush=True)


if __name__ == "__main__":
    main()
