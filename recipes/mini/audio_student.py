"""Distil the audio tower from the cached features of mn04, step by step in time (resumable)."""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from schedule import one_cycle, save_atomically
from torch import Tensor
from torch.nn import functional as F

from humanclap.clap.mini.audio import AudioEncoder
from humanclap.clap.mini.config import MiniConfig
from humanclap.clap.mini.mn04 import MN04, load_mn04

FRAMES_PER_STEP = 16
CROP_STEPS = 12
SAVE_EVERY = 250


class Segments:
    """Memory-mapped shards of mels (n, frames, 64) and teacher features (n, steps, 384)."""

    def __init__(self, cache: Path, split: str) -> None:
        done = sorted(cache.glob(f"{split}-????.teacher.npy"))
        self.teacher = [np.load(path, mmap_mode="r") for path in done]
        names = [str(path).replace(".teacher.", ".mel.") for path in done]
        self.mel = [np.load(name, mmap_mode="r") for name in names]

    def __len__(self) -> int:
        return sum(map(len, self.teacher))

    def random_batch(self, size: int, random: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Random segments cut to CROP_STEPS at a random place."""
        mels, teachers = [], []
        for _ in range(size):
            shard = random.integers(len(self.mel))
            row = random.integers(len(self.mel[shard]))
            first = random.integers(self.teacher[shard].shape[1] - CROP_STEPS)
            frames = slice(first * FRAMES_PER_STEP, (first + CROP_STEPS) * FRAMES_PER_STEP)
            mels.append(self.mel[shard][row, frames])
            teachers.append(self.teacher[shard][row, first : first + CROP_STEPS])
        return _tensor(mels).transpose(1, 2).unsqueeze(1), _tensor(teachers)


def _tensor(parts: list[np.ndarray]) -> Tensor:
    return torch.from_numpy(np.stack(parts)).float()


def augment(mel: Tensor, random: np.random.Generator) -> Tensor:
    """A small gain per clip and, for some, a masked band: the teacher would hardly mind."""
    batch, _, bands, _ = mel.shape
    mel = mel + torch.from_numpy(random.normal(0, 0.08, (batch, 1, 1, 1)).astype(np.float32))
    for row in np.flatnonzero(random.random(batch) < 0.3):
        width = random.integers(2, 8)
        first = random.integers(bands - width)
        mel[row, :, first : first + width] = mel[row].mean()
    return mel


class Objective:
    """Distance of student from teacher in each step, in the mean over time, and in the labels."""

    def __init__(self, teacher: MN04, sample: Tensor) -> None:
        self.teacher = teacher
        self.centre = sample.mean((0, 1))  # (384,)
        self.spread = sample.std((0, 1)).clamp(min=0.05)
        self.pooled_spread = sample.mean(1).std(0).clamp(min=0.02)

    def pooled_cosine(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Cosine after centring and scaling each feature; (batch, 384) twice -> (batch,)."""
        return F.cosine_similarity(
            (student - self.centre) / self.pooled_spread,
            (teacher - self.centre) / self.pooled_spread,
        )

    def __call__(self, maps: Tensor, logits: Tensor, teacher: Tensor) -> dict[str, Tensor]:
        """maps: (batch, 384, steps); logits: (batch, 527); teacher: (batch, steps, 384)."""
        pooled = teacher.mean(1)
        with torch.no_grad():
            labels = self.teacher.label_logits(pooled)
        steps = F.smooth_l1_loss(maps.transpose(1, 2) / self.spread, teacher / self.spread)
        cosine = 1 - self.pooled_cosine(maps.mean(2), pooled).mean()
        entropy = F.binary_cross_entropy_with_logits(labels, labels.sigmoid())
        excess = F.binary_cross_entropy_with_logits(logits, labels.sigmoid()) - entropy
        return {"steps": steps, "cosine": cosine, "labels": 527 * excess}


@torch.inference_mode()
def judge(encoder: AudioEncoder, held_out: Segments, objective: Objective) -> dict[str, float]:
    """On held-out clips: standardised cosine, and how often the teacher's top label is ours."""
    encoder.eval()
    cosines, same, divergence = [], [], []
    for mels, teachers in zip(held_out.mel, held_out.teacher, strict=True):
        for start in range(0, len(mels), 128):
            mel = torch.from_numpy(mels[start : start + 128].astype(np.float32))
            teacher = torch.from_numpy(teachers[start : start + 128].astype(np.float32))
            maps = encoder.maps(mel.transpose(1, 2).unsqueeze(1))
            logits = encoder.labels(maps.mean(2))
            labels = objective.teacher.label_logits(teacher.mean(1))
            cosines.append(objective.pooled_cosine(maps.mean(2), teacher.mean(1)))
            same.append((logits.argmax(1) == labels.argmax(1)).float())
            divergence.append(objective(maps, logits, teacher)["labels"].reshape(1))
    parts = {"cosine": cosines, "top_label": same, "labels": divergence}
    return {name: round(float(torch.cat(values).mean()), 4) for name, values in parts.items()}


def train(arguments: argparse.Namespace) -> None:
    """One-cycle AdamW in bfloat16 over the shards present at each save."""
    torch.manual_seed(arguments.seed)
    config = replace(MiniConfig(), **{k: tuple(v) for k, v in json.loads(arguments.sizes).items()})
    encoder = AudioEncoder(config).to(memory_format=torch.channels_last)
    if arguments.start is not None:
        encoder.load_state_dict(torch.load(arguments.start, weights_only=True)["encoder"])
    optimiser = torch.optim.AdamW(encoder.parameters(), lr=arguments.rate, weight_decay=0.02)
    step, total = 0, arguments.examples // arguments.batch
    if arguments.state.exists():
        state = torch.load(arguments.state, weights_only=True)
        encoder.load_state_dict(state["encoder"])
        optimiser.load_state_dict(state["optimiser"])
        step = state["step"]
    held_out = Segments(arguments.cache, "held-out")
    sample = torch.from_numpy(held_out.teacher[0][:].astype(np.float32))
    objective = Objective(load_mn04(arguments.mn04), sample)
    sums: dict[str, float] = {}
    while step < total:
        segments, began = Segments(arguments.cache, "train"), time.monotonic()
        random = np.random.default_rng([arguments.seed, step])
        until = min(total, step + SAVE_EVERY)
        encoder.train()
        sums.clear()
        while step < until:
            for group in optimiser.param_groups:
                group["lr"] = one_cycle(step / total, arguments.rate)
            mel, teacher = segments.random_batch(arguments.batch, random)
            with torch.autocast("cpu", torch.bfloat16):
                maps = encoder.maps(augment(mel, random))
            losses = objective(maps, encoder.labels(maps.mean(2)), teacher)
            loss = 2 * losses["steps"] + losses["cosine"] + 0.5 * losses["labels"]
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(encoder.parameters(), 2.0)
            optimiser.step()
            for name, value in losses.items():
                sums[name] = sums.get(name, 0.0) + value.item() / SAVE_EVERY
            step += 1
        rate = SAVE_EVERY * arguments.batch / (time.monotonic() - began)
        means = {name: round(value, 4) for name, value in sums.items()}
        print(f"{step}/{total} {rate:.0f}/s of {len(segments)}", means, end=" ")
        print(judge(encoder, held_out, objective), flush=True)
        state = {"encoder": encoder.state_dict(), "optimiser": optimiser.state_dict(), "step": step}
        save_atomically(state, arguments.state)


def main() -> None:
    """Parse and train."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--mn04", type=Path, required=True)
    parser.add_argument("--state", type=Path, required=True, help="checkpoint, resumed if present")
    parser.add_argument("--start", type=Path, help="checkpoint of an earlier stage to begin from")
    parser.add_argument("--examples", type=int, default=1_000_000)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--sizes", default="{}", help='{"audio_widths": [32, 64, 192], ...}')
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    train(arguments)


if __name__ == "__main__":
    main()
