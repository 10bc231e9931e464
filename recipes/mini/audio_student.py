"""The audio student: a network of mn04's kind from random weights, taught to hear what mn04 hears.

`blocks`: every group of layers is given the teacher's map before it and learns the teacher's map
after it, all groups at once (block-wise distillation; FitNets, Romero et al. 2015). `whole`: the
student hears for itself; the same distances on its own maps, its pooled features and its labels.
`narrow`: keeps of a student what matters most, where blocks are to be narrower than they are.
All resume from their state. No weight of the teacher's is read into the student.
"""

from __future__ import annotations

import argparse
import copy
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from bank import read_bank
from mels import Mels
from mixes import load_bank, segment_of
from schedule import one_cycle, save_atomically
from torch import Tensor, nn
from torch.nn import functional as F

from humanclap.clap.mini.config import MiniConfig
from humanclap.clap.mini.mn04 import load_mn04
from humanclap.clap.mini.tagger import Tagger

FRAMES = 400
SHORT_FRAMES = 128
GROUPS = ((0, 2), *((layer, layer + 1) for layer in range(2, 15)), (15, 17))
"""Layers of each group, first and one past the last."""
EARLY = 3
"""So many first groups see no more than a fraction of a second: `blocks` teaches them on short
crops."""
MATCHED = (3, 4, 5, 7, 10, 13, 15, 17)
"""Layers after which `whole` compares maps, where they train."""
SEGMENTS = 4096
SAVE_EVERY = 400
EMA = 0.998


class Distances:
    """Squared errors over the spread of what the teacher says, channel by channel."""

    def __init__(self, teacher: Tagger, mel: Tensor) -> None:
        """mel: (batch, 1, 128, frames), a sample to take the spreads from."""
        self.teacher = teacher
        with torch.no_grad():
            maps = maps_of(teacher, mel)
        self.variance = {end: map.var((0, 2, 3)).clamp(min=1e-4) for end, map in maps.items()}
        pooled = maps[17].mean((2, 3))
        self.centre, self.spread = pooled.mean(0), pooled.std(0).clamp(min=0.02)

    def map_error(self, end: int, student: Tensor, teacher: Tensor) -> Tensor:
        """Maps (batch, channels, bands, steps) after layer `end` -> scalar, 1 for a mean map."""
        squared = (student.float() - teacher).square().mean((0, 2, 3))
        return (squared / self.variance[end]).mean()

    def cosine(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Pooled features (batch, 384) -> cosine of the standardised ones, (batch,)."""
        return F.cosine_similarity(
            (student - self.centre) / self.spread, (teacher - self.centre) / self.spread
        )

    def pooled_error(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Squared error of the standardised pooled features, and their cosine's lack."""
        squared = ((student - teacher) / self.spread).square().mean()
        return squared + 1 - self.cosine(student, teacher).mean()

    @staticmethod
    def label_error(student: Tensor, teacher: Tensor) -> Tensor:
        """Cross-entropy of the label probabilities beyond the teacher's own, summed over labels."""
        entropy = F.binary_cross_entropy_with_logits(teacher, teacher.sigmoid())
        excess = F.binary_cross_entropy_with_logits(student, teacher.sigmoid()) - entropy
        return teacher.shape[1] * excess


def maps_of(network: Tagger, maps: Tensor, first: int = 0) -> dict[int, Tensor]:
    """Maps after every layer where a group ends, the layers from `first` on being run."""
    found = {}
    ends = {end for _, end in GROUPS}
    for layer in range(first, 17):
        maps = network.features[layer](maps)
        if layer + 1 in ends:
            found[layer + 1] = maps
    return found


def blocks_loss(
    student: Tagger, distances: Distances, heard: dict[int, Tensor], short: dict[int, Tensor]
) -> dict[str, Tensor]:
    """Each group on the teacher's own maps; `heard[0]` and `short[0]` are the spectrograms."""
    losses = {}
    for index, (first, end) in enumerate(GROUPS):
        maps = short if index < EARLY else heard
        ours = maps[first]
        for layer in range(first, end):
            ours = student.features[layer](ours)
        losses[f"to{end}"] = distances.map_error(end, ours, maps[end])
    pooled = heard[17].mean((2, 3))
    theirs = distances.teacher.label_logits(pooled)
    losses["labels"] = distances.label_error(student.label_logits(pooled), theirs)
    return losses


def whole_loss(
    student: Tagger, distances: Distances, early: Tensor, first: int, heard: dict[int, Tensor]
) -> dict[str, Tensor]:
    """The student's own maps from layer `first` on, to which `early` is given."""
    own = maps_of(student, early, first)
    losses = {
        f"map{end}": (1.0 if end == 17 else 0.3) * distances.map_error(end, own[end], heard[end])
        for end in MATCHED
        if end in own
    }
    ours, theirs = own[17].float().mean((2, 3)), heard[17].mean((2, 3))
    losses["pooled"] = distances.pooled_error(ours, theirs)
    labels = distances.teacher.label_logits(theirs)
    losses["labels"] = 0.5 * distances.label_error(student.label_logits(ours), labels)
    return losses


def held_out_segments(shared: Path, teacher: Tagger, cache: Path) -> dict[str, Tensor]:
    """Spectrograms (SEGMENTS, 128, 501) of mixes of held-out clips, kept in `cache`."""
    if not cache.exists():
        bank = load_bank([clip for clip in read_bank(shared) if clip.held_out])
        random = np.random.default_rng([1, 0, 1])
        mels, pooled = [], []
        for _ in range(SEGMENTS // 8):
            batch = torch.from_numpy(np.stack([segment_of(bank, random) for _ in range(8)]))
            with torch.inference_mode():
                mel = teacher.spectrogram(batch)
                pooled.append(teacher.maps(mel).mean(2))
            mels.append(mel[:, 0].half())
        save_atomically({"mel": torch.cat(mels), "pooled": torch.cat(pooled)}, cache)
    return torch.load(cache, weights_only=True, mmap=True)


@torch.inference_mode()
def judge(student: Tagger, teacher: Tagger, held: dict[str, Tensor], n: int) -> dict[str, float]:
    """On the first n held-out segments: cosine of the pooled features, each centred and scaled as
    the teacher's on all segments, and how often the teacher's likeliest label is the student's."""
    centre, spread = held["pooled"].mean(0), held["pooled"].std(0).clamp(min=0.02)
    cosines, same = [], []
    for start in range(0, n, 32):
        mel = held["mel"][start : start + 32].float()[:, None]
        theirs = held["pooled"][start : start + 32]
        ours = student.maps(mel).mean(2)
        pair = ((ours - centre) / spread, (theirs - centre) / spread)
        cosines.append(F.cosine_similarity(*pair))
        labels = teacher.label_logits(theirs).argmax(1)
        same.append((student.label_logits(ours).argmax(1) == labels).float())
    parts = {"cosine": cosines, "top_label": same}
    return {name: round(float(torch.cat(values).mean()), 4) for name, values in parts.items()}


def freeze_statistics(network: nn.Module) -> None:
    """Batch norms keep their statistics while all else trains."""
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.eval()


def average_gradients(parameters: list[nn.Parameter]) -> None:
    """The mean over all processes, in one message."""
    flat = torch.cat([parameter.grad.flatten() for parameter in parameters])
    dist.all_reduce(flat)
    flat /= dist.get_world_size()
    parts = flat.split([parameter.numel() for parameter in parameters])
    for parameter, part in zip(parameters, parts, strict=True):
        parameter.grad.copy_(part.view_as(parameter))


@torch.no_grad()
def average_statistics(student: Tagger) -> None:
    """Batch norms' running statistics, the mean over all processes."""
    for name, buffer in student.named_buffers():
        if name.endswith(("running_mean", "running_var")):
            dist.all_reduce(buffer)
            buffer /= dist.get_world_size()


def widths_of(state: dict[str, Tensor]) -> tuple[int, ...]:
    """The width inside each block of a saved student: its depthwise convolution's channels."""
    depthwise = [(".block.1.0.weight" if block else ".block.0.0.weight") for block in range(15)]
    return tuple(len(state[f"features.{block + 1}{name}"]) for block, name in enumerate(depthwise))


@torch.no_grad()
def narrow(student: Tagger, block: int, width: int, mel: Tensor) -> tuple[nn.Sequential, float]:
    """Block number `block` (from 0, without a squeeze) of `student` with `width` channels inside.

    One channel after another goes, each time the one without which the block's output, in units of
    its batch norm, can best be had from the others by least squares, and the last convolution takes
    over (optimal brain surgeon, Hassibi & Stork 1993). Returns the layers, and the squared error
    that arises on mel (batch, 1, 128, frames), over the output's variance.
    """
    inside, depthwise, last = copy.deepcopy(student.features[block + 1].block)
    entering = student.features[: block + 1](mel)
    found = depthwise(inside(entering)).transpose(0, 1).flatten(1).double()  # (channels, places)
    mean = found.mean(1)
    covariance = torch.cov(found)
    covariance += 1e-4 * covariance.diagonal().mean() * torch.eye(len(mean))
    scale = last[1].weight.double() / (last[1].running_var.double() + last[1].eps).sqrt()
    weight = scale[:, None] * last[0].weight[:, :, 0, 0].double()  # (out, channels)
    before, kept = weight.clone(), list(range(len(mean)))
    while len(kept) > width:
        inverse = torch.linalg.inv(covariance[kept][:, kept])
        cost = weight[:, kept].square().sum(0) / inverse.diagonal()
        place = int(cost.argmin())
        gone = kept[place]
        weight[:, kept] -= weight[:, [gone]] * inverse[place] / inverse[place, place]
        weight[:, gone] = 0
        kept.pop(place)
    change = weight - before
    error = ((change @ covariance) * change).sum() / ((before @ covariance) * before).sum()
    last[1].running_mean += ((change @ mean) / scale).float()
    last[0].weight.copy_((weight / scale[:, None]).float()[:, :, None, None])
    last[0].weight = nn.Parameter(last[0].weight[:, kept].clone())
    for convolution, norm, _ in (inside, depthwise):
        convolution.weight = nn.Parameter(convolution.weight[kept].clone())
        for name in ("weight", "bias"):
            setattr(norm, name, nn.Parameter(getattr(norm, name)[kept].clone()))
        for name in ("running_mean", "running_var"):
            setattr(norm, name, getattr(norm, name)[kept].clone())
    return nn.Sequential(inside, depthwise, last), float(error)


def narrow_student(arguments: argparse.Namespace) -> None:
    """The student of `--start` with blocks of the widths asked for, as a state to start from."""
    saved = torch.load(arguments.start, weights_only=True)["student"]
    widths, wanted = widths_of(saved), tuple(arguments.expanded)
    student = Tagger(replace(MiniConfig().audio_sizes, expanded=widths))
    student.load_state_dict(saved)
    student.eval()
    mels = Mels([Path(name) for name in arguments.mels], arguments.shares)
    mel = mels.batch(24, FRAMES, np.random.default_rng(0))
    for block, (width, target) in enumerate(zip(widths, wanted, strict=True)):
        if target < width:
            student.features[block + 1].block, error = narrow(student, block, target, mel)
            print(f"block {block}: {width} to {target} channels, squared error {error:.4f}")
    made = Tagger(replace(MiniConfig().audio_sizes, expanded=wanted)).eval()
    made.load_state_dict(student.state_dict())  # fails where a width is to grow
    save_atomically({"student": made.state_dict()}, arguments.state)


class Run:
    """One process of a stage."""

    def __init__(self, arguments: argparse.Namespace, rank: int) -> None:
        self.arguments, self.rank = arguments, rank
        torch.manual_seed(arguments.seed)
        sizes = replace(MiniConfig().audio_sizes, expanded=tuple(arguments.expanded))
        self.student = Tagger(sizes).to(memory_format=torch.channels_last)
        self.teacher = load_mn04(arguments.mn04).to(memory_format=torch.channels_last)
        self.teacher.requires_grad_(False)
        self.mels = Mels([Path(name) for name in arguments.mels], arguments.shares)
        self.whole = arguments.stage == "whole"
        sample = self.mels.batch(256, FRAMES, np.random.default_rng(0))
        self.distances = Distances(self.teacher, sample)
        if arguments.start is not None:
            state = torch.load(arguments.start, weights_only=True)
            self.student.load_state_dict(state["student"])
        self.ema = copy.deepcopy(self.student)
        self.first = GROUPS[arguments.frozen][0]
        self.student.features[: self.first].requires_grad_(False)
        self.trained = [p for p in self.student.parameters() if p.requires_grad]
        decayed = [p for p in self.trained if p.dim() > 1]
        others = [p for p in self.trained if p.dim() <= 1]
        self.optimiser = torch.optim.AdamW(
            [{"params": decayed, "weight_decay": 1e-3}, {"params": others, "weight_decay": 0}],
            lr=arguments.rate,
            betas=(0.9, 0.98),
        )
        self.step = 0
        if arguments.state.exists():
            state = torch.load(arguments.state, weights_only=True)
            self.student.load_state_dict(state["running"])
            self.ema.load_state_dict(state["student"])
            self.optimiser.load_state_dict(state["optimiser"])
            self.step = state["step"]
        self.hear = torch.compile(self.heard)
        self.hear_early = torch.compile(self.student.features[: self.first])

    def heard(self, mel: Tensor) -> dict[int, Tensor]:
        """The teacher's maps that the losses need."""
        maps = maps_of(self.teacher, mel)
        return {end: maps[end] for end in MATCHED} if self.whole else maps

    def losses(self, random: np.random.Generator) -> dict[str, Tensor]:
        """Of a fresh batch."""
        mel = self.mels.batch(self.arguments.batch, FRAMES, random)
        mel = mel.contiguous(memory_format=torch.channels_last)
        with torch.no_grad():
            heard = {0: mel, **self.hear(mel)}
            if self.whole:
                early = self.hear_early(mel)
            else:
                cut = int(random.integers(FRAMES - SHORT_FRAMES))
                part = mel[..., cut : cut + SHORT_FRAMES].contiguous(
                    memory_format=torch.channels_last
                )
                short = {0: part}
                for layer in range(GROUPS[EARLY][0]):
                    part = self.teacher.features[layer](part)
                    short[layer + 1] = part
        if self.whole:
            return whole_loss(self.student, self.distances, early, self.first, heard)
        return blocks_loss(self.student, self.distances, heard, short)

    def train(self) -> None:
        """To the number of examples asked for."""
        arguments = self.arguments
        per_step = arguments.batch * arguments.processes
        total = arguments.examples // per_step
        held = {}
        if self.rank == 0:
            path = arguments.state.with_name("held-out.pt")
            held = held_out_segments(arguments.shared, self.teacher, path)
        dist.barrier()
        sums: dict[str, float] = {}
        began, first, counted = time.monotonic(), self.step, 0
        while self.step < total:
            random = np.random.default_rng([arguments.seed, self.step, self.rank])
            self.student.train()
            if self.whole:
                freeze_statistics(self.student)
            rate = one_cycle(self.step / total, arguments.rate)
            for group in self.optimiser.param_groups:
                group["lr"] = rate
            losses = self.losses(random)
            self.optimiser.zero_grad()
            torch.stack(list(losses.values())).sum().backward()
            average_gradients(self.trained)
            if self.whole:
                torch.nn.utils.clip_grad_norm_(self.trained, 3.0)
            self.optimiser.step()
            self.step, counted = self.step + 1, counted + 1
            for name, value in losses.items():
                sums[name] = sums.get(name, 0.0) + value.item()
            self.average_weights()
            if self.step % SAVE_EVERY == 0 or self.step == total:
                average_statistics(self.student)
                if self.rank == 0:
                    speed = (self.step - first) * per_step / (time.monotonic() - began)
                    self.save(held, {n: v / counted for n, v in sums.items()}, total, speed)
                sums.clear()
                counted = 0

    @torch.no_grad()
    def average_weights(self) -> None:
        """Exponential moving average of the weights, faster at first."""
        keep = min(EMA, (1 + self.step) / (20 + self.step))
        for mean, now in zip(self.ema.parameters(), self.student.parameters(), strict=True):
            mean.lerp_(now, 1 - keep)

    def save(self, held: dict[str, Tensor], means: dict, total: int, speed: float) -> None:
        """The state, then a line with how like the teacher the averaged student is."""
        for mean, now in zip(self.ema.buffers(), self.student.buffers(), strict=True):
            mean.copy_(now)
        state = {
            "student": self.ema.state_dict(),
            "running": self.student.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
        }
        save_atomically(state, self.arguments.state)
        words = " ".join(f"{name} {value:.4f}" for name, value in means.items())
        n = SEGMENTS if self.step == total else 512
        found = judge(self.ema.eval(), self.teacher, held, n)
        print(f"{self.step}/{total} {speed:.0f}/s {words} | {found}", flush=True)


def work(rank: int, arguments: argparse.Namespace) -> None:
    """One process."""
    torch.set_num_threads(1)
    store = dist.FileStore(str(arguments.state.with_suffix(".store")), arguments.processes)
    dist.init_process_group("gloo", store=store, rank=rank, world_size=arguments.processes)
    Run(arguments, rank).train()
    dist.barrier()
    dist.destroy_process_group()


def main() -> None:
    """Parse and train."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stage", choices=["blocks", "whole", "narrow"])
    parser.add_argument("--shared", type=Path, required=True)
    parser.add_argument("--mels", nargs="+", required=True, help="files of mels.py, without ending")
    parser.add_argument("--shares", nargs="+", type=float, help="of the draws, for each file")
    parser.add_argument("--mn04", type=Path, required=True)
    parser.add_argument("--state", type=Path, required=True, help="checkpoint, resumed if present")
    parser.add_argument("--start", type=Path, help="checkpoint of the stage before")
    parser.add_argument("--examples", type=int, default=0, help="to train on")
    parser.add_argument("--frozen", type=int, default=0, help="so many first groups stay")
    parser.add_argument("--expanded", nargs=15, type=int, help="widths inside the blocks")
    parser.add_argument("--batch", type=int, default=16, help="of each process")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--rate", type=float, default=5e-3)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    arguments.shares = arguments.shares or [1.0] * len(arguments.mels)
    arguments.expanded = arguments.expanded or MiniConfig().audio_expanded
    if arguments.stage == "narrow":
        narrow_student(arguments)
        return
    arguments.state.with_suffix(".store").unlink(missing_ok=True)
    mp.spawn(work, (arguments,), nprocs=arguments.processes)


if __name__ == "__main__":
    main()
