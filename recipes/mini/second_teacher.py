"""Does `aisfx` help the audio student, as a second teacher or as initial weights? A measurement.

aisfx 0.1.2 (Ma and Lerch 2022, "Representation learning for the automatic indexing of sound effects
libraries", weights CC BY 4.0; the file aisfx/models/checkpoint.pth of PyPI's wheel) was trained on
nine commercial libraries; its heads name no public data set, ESC among them.
`network` times it and probes its embedding, `cache` writes shards with its embedding of each
segment, `compare` trains the student with and without it. Nothing of it is shipped.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from aisfx_net import SHA256, WIDTHS, Aisfx, load_aisfx
from audio_student import Objective, Segments, augment, judge
from bank import load_waveform, read_esc
from cache_audio import load_bank, write_shard
from features import clip_features
from measure import linear_probe, milliseconds, wilson
from schedule import one_cycle, save_atomically
from torch import Tensor, nn
from torch.nn import functional as F

from humanclap.clap.mini.audio import AudioEncoder, LogMel
from humanclap.clap.mini.config import MiniConfig
from humanclap.clap.mini.mn04 import load_mn04

SHARDS = "two"  # not "train": a shard here never takes the place of one of the main cache
WEIGHT = 1.0  # of the second teacher's loss: as much as mn04's pooled cosine; not tuned
SAVE_EVERY = 75
LOSSES = ("steps", "cosine", "labels", "second")


def write_json(report: dict[str, Any], path: Path) -> None:
    """Written beside, then renamed; printed too."""
    text = json.dumps(report, indent=2)
    part = path.with_suffix(".part")
    part.write_text(text + "\n")
    part.replace(path)
    print(text, flush=True)


@torch.inference_mode()
def speeds(aisfx: Aisfx) -> dict[str, float]:
    """Milliseconds for 10 s on the threads given, beside the student and HTSAT-tiny (random)."""
    from transformers import ClapAudioConfig, ClapAudioModel

    waveform = torch.rand(1, 320_000, generator=torch.Generator().manual_seed(0)) - 0.5
    log_mel = aisfx.log_mel(waveform)
    student, htsat = AudioEncoder(MiniConfig()).eval(), ClapAudioModel(ClapAudioConfig()).eval()
    spectrogram, longer = torch.rand(1, 1, 1001, 64), torch.zeros(1, 1, dtype=torch.bool)
    found = {
        "front_end": milliseconds(lambda: aisfx.log_mel(waveform)),
        "network_in_blocks": milliseconds(lambda: aisfx.of_blocks(log_mel)),
        "network_in_one_pass": milliseconds(lambda: aisfx.pooled(log_mel)),
        "student_with_front_end": milliseconds(lambda: student(waveform)),
        "htsat_tiny_without_front_end": milliseconds(
            lambda: htsat(input_features=spectrogram, is_longer=longer)
        ),
    }
    with torch.autocast("cpu", torch.bfloat16):
        found["network_in_blocks_bfloat16"] = milliseconds(lambda: aisfx.of_blocks(log_mel))
    return found


def probe(features: list[np.ndarray], shared: Path) -> dict[str, Any]:
    """`linear_probe` on the ESC-10 clips, and its 95 % interval."""
    found = linear_probe(np.stack(features).astype(np.float32), esc10(shared))
    hits = round(found["accuracy"] * found["n"])
    return {**found, "interval": [round(end, 4) for end in wilson(hits, found["n"])]}


def esc10(shared: Path) -> list[Any]:
    """All clips of ESC-10, five folds."""
    return [clip for clip in read_esc(shared) if clip.esc10]


def measure_network(arguments: argparse.Namespace) -> None:
    """How fast aisfx is, what it knows of ESC-10, and what bfloat16 does to it."""
    aisfx = load_aisfx(arguments.weights)
    times = speeds(aisfx)
    exact, rounded, began = [], [], time.monotonic()
    with torch.inference_mode():
        for clip in esc10(arguments.shared):
            log_mel = aisfx.log_mel(torch.from_numpy(load_waveform(clip.path))[None])
            exact.append(aisfx.of_blocks(log_mel)[0])
            if len(rounded) < 40:
                with torch.autocast("cpu", torch.bfloat16):
                    rounded.append(aisfx.of_blocks(log_mel)[0])
    cosines = F.cosine_similarity(torch.stack(exact[:40]), torch.stack(rounded))
    limit = times["htsat_tiny_without_front_end"] / 8
    report = {
        "command": "second_teacher.py network --shared SHARED --weights WEIGHTS --output OUTPUT",
        "weights_sha256": SHA256,
        "parameters": sum(parameter.numel() for parameter in aisfx.parameters()),
        "threads": torch.get_num_threads(),
        "milliseconds_for_10_s": times,
        "limit_for_a_student_ms": round(limit, 2),
        "fast_enough_as_initial_weights": times["front_end"] + times["network_in_one_pass"] < limit,
        "linear_probe_esc10": probe([vector.numpy() for vector in exact], arguments.shared),
        "bfloat16_cosine": {"least": round(float(cosines.min()), 5), "n": len(cosines)},
        "seconds_of_probe": round(time.monotonic() - began, 1),
    }
    write_json(report, arguments.output)


class HearingMel(nn.Module):
    """The student's mel, which keeps aisfx's embedding of all that passes through it."""

    def __init__(self, aisfx: Aisfx) -> None:
        super().__init__()
        self.mel, self.aisfx = LogMel(MiniConfig()), aisfx
        self.heard: list[np.ndarray] = []

    def forward(self, waveforms: Tensor) -> Tensor:
        """As LogMel."""
        log_mel = self.aisfx.log_mel(waveforms)
        with torch.autocast("cpu", torch.bfloat16):
            self.heard.append(self.aisfx.of_blocks(log_mel).half().numpy())
        return self.mel(waveforms)  # type: ignore[no-any-return]


def cache(arguments: argparse.Namespace) -> None:
    """The missing shards of mels, mn04's steps and aisfx's embeddings; a shard ends with these."""
    arguments.cache.mkdir(parents=True, exist_ok=True)
    mel, teacher = HearingMel(load_aisfx(arguments.weights)), load_mn04(arguments.mn04)
    bank = load_bank(arguments.shared, arguments.more, held_out=False)
    for index in range(arguments.first, arguments.last):
        path = arguments.cache / f"{SHARDS}-{index:04d}"
        last = path.with_name(f"{path.name}.second.npy")
        if last.exists():
            continue
        mel.heard.clear()
        began = time.monotonic()
        write_shard(path, bank, [arguments.seed, index, 0], mel, teacher)
        part = path.with_name(f"{path.name}.second.part.npy")
        np.save(part, np.concatenate(mel.heard))
        part.rename(last)
        rate = sum(map(len, mel.heard)) / (time.monotonic() - began)
        print(f"{path.name}: {rate:.0f}/s", flush=True)


class TwoTeachers:
    """Memory-mapped whole segments: mels, mn04's steps, and aisfx's embedding, standardised."""

    def __init__(self, folder: Path) -> None:
        done = sorted(folder.glob(f"{SHARDS}-????.second.npy"))
        if not done:
            raise SystemExit(f"{folder}: no {SHARDS}-0000.second.npy; run `cache` first")
        self.shards = [
            [
                np.load(str(path).replace(".second.", f".{kind}."), mmap_mode="r")
                for kind in ("mel", "teacher", "second")
            ]
            for path in done
        ]
        first = torch.from_numpy(self.shards[0][2][:].astype(np.float32))
        self.centre, self.spread = first.mean(0), first.std(0).clamp(min=1e-3)

    def __len__(self) -> int:
        return sum(len(shard[2]) for shard in self.shards)

    def batch(self, size: int, random: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """(size, 1, 64, frames), (size, steps, 384) and (size, 512) of random segments."""
        chosen = [self.shards[place] for place in random.integers(len(self.shards), size=size)]
        rows = [random.integers(len(shard[2])) for shard in chosen]
        mel, steps, second = (
            torch.from_numpy(
                np.stack([s[kind][row] for s, row in zip(chosen, rows, strict=True)])
            ).float()
            for kind in range(3)
        )
        return mel.transpose(1, 2).unsqueeze(1), steps, (second - self.centre) / self.spread


class Run:
    """One student with its linear head to aisfx's embedding, and their optimiser.

    Same seed: same first weights, segments and augmentation, whatever the weight. At weight 0 the
    head learns too, but from detached features: it tells what of aisfx is in them anyway.
    """

    def __init__(self, arguments: argparse.Namespace, seed: int, weight: float) -> None:
        torch.manual_seed(seed)
        self.seed, self.weight, self.peak = seed, weight, arguments.rate
        self.encoder = AudioEncoder(MiniConfig()).to(memory_format=torch.channels_last)
        self.head = nn.Linear(MiniConfig().audio_features, WIDTHS[-1])
        parameters = [*self.encoder.parameters(), *self.head.parameters()]
        self.optimiser = torch.optim.AdamW(parameters, lr=self.peak, weight_decay=0.02)
        self.path = arguments.work / f"second-{seed}-{weight:g}.pt"
        self.step, self.seconds, self.losses = 0, 0.0, dict[str, float]()

    def parts(self) -> dict[str, Any]:
        """What a checkpoint holds the state of."""
        return {"encoder": self.encoder, "head": self.head, "optimiser": self.optimiser}

    def resume(self, settings: list[float]) -> None:
        """Go on where the checkpoint ends, if there is one; SystemExit if it is of other ones."""
        if not self.path.exists():
            return
        state = torch.load(self.path, weights_only=True)
        if state["settings"] != settings:
            raise SystemExit(f"{self.path}: is of {state['settings']}, not {settings}; delete it")
        for name, part in self.parts().items():
            part.load_state_dict(state[name])
        self.step, self.seconds = state["step"], state["seconds"]
        self.losses = state["losses"]

    def learn(self, batch: tuple[Tensor, ...], objective: Objective, rate: float) -> Tensor:
        """One step; the losses: steps, cosine, labels, second."""
        mel, steps, second = batch
        with torch.autocast("cpu", torch.bfloat16):
            maps = self.encoder.maps(mel)
        pooled = maps.mean(2)
        losses = objective(maps, self.encoder.labels(pooled), steps)
        guess = self.head(pooled if self.weight else pooled.detach())
        losses["second"] = 1 - F.cosine_similarity(guess, second).mean()
        loss = 2 * losses["steps"] + losses["cosine"] + 0.5 * losses["labels"]
        loss = loss + (self.weight or 1.0) * losses["second"]
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.encoder.parameters(), 2.0)
        self.optimiser.step()
        return torch.stack([losses[name] for name in LOSSES]).detach()

    def train(self, arguments: argparse.Namespace, data: TwoTeachers, objective: Objective) -> None:
        """As `audio_student.py`, but from whole segments, which is what aisfx heard."""
        total = arguments.examples // arguments.batch
        settings = [total, arguments.batch, self.peak, len(data)]
        self.resume(settings)
        self.encoder.train()
        while self.step < total:
            began, until = time.monotonic(), min(total, self.step + SAVE_EVERY)
            random, found = np.random.default_rng([self.seed, self.step]), []
            for step in range(self.step, until):
                mel, *targets = data.batch(arguments.batch, random)
                batch = (augment(mel, random), *targets)
                found.append(self.learn(batch, objective, one_cycle(step / total, self.peak)))
            means = torch.stack(found).mean(0).tolist()
            self.losses = {n: round(value, 4) for n, value in zip(LOSSES, means, strict=True)}
            self.step, self.seconds = until, self.seconds + time.monotonic() - began
            state = {name: part.state_dict() for name, part in self.parts().items()}
            state |= {"step": self.step, "seconds": self.seconds, "losses": self.losses}
            save_atomically({**state, "settings": settings}, self.path)
            print(
                f"{self.path.stem}: {until}/{total}, {self.seconds:.0f} s", self.losses, flush=True
            )


def compare(arguments: argparse.Namespace) -> None:
    """Both students of each seed, judged by mn04 on held-out segments and by ESC-10's probe."""
    arguments.work.mkdir(parents=True, exist_ok=True)
    data, held_out = TwoTeachers(arguments.cache), Segments(arguments.main_cache, "held-out")
    sample = torch.from_numpy(held_out.teacher[0][:].astype(np.float32))
    objective = Objective(load_mn04(arguments.mn04), sample)
    runs = []
    for seed in arguments.seeds:
        for weight in (0.0, WEIGHT):
            run = Run(arguments, seed, weight)
            run.train(arguments, data, objective)
            judged = judge(run.encoder, held_out, objective)
            features = [clip_features(run.encoder, clip.path) for clip in esc10(arguments.shared)]
            pooled = [each[: MiniConfig().audio_features] for each in features]
            runs.append(
                {
                    "seed": seed,
                    "weight": weight,
                    "seconds": round(run.seconds, 1),
                    "last_training_losses": run.losses,
                    "held_out": {**judged, "n": len(held_out)},
                    "linear_probe_esc10": probe(pooled, arguments.shared),
                }
            )
    report = {
        "command": "second_teacher.py compare --shared SHARED --cache CACHE --main-cache MAIN "
        f"--mn04 MN04 --work WORK --examples {arguments.examples} --batch {arguments.batch} "
        f"--rate {arguments.rate} --seeds {' '.join(map(str, arguments.seeds))} --output OUTPUT",
        "note": "weight: of the cosine distance from aisfx's standardised embedding, one value, "
        "not tuned; at 0 the head learns from detached features",
        "weights_sha256": SHA256,
        "examples": arguments.examples,
        "segments": len(data),
        "threads": torch.get_num_threads(),
        "runs": runs,
    }
    write_json(report, arguments.output)


def main() -> None:
    """Parse and run one stage."""
    parser = argparse.ArgumentParser(description=__doc__)
    stages = parser.add_subparsers(required=True)
    network = stages.add_parser("network", help="time and probe aisfx itself")
    shards = stages.add_parser("cache", help="shards with both teachers (resumable)")
    runs = stages.add_parser("compare", help="the student with and without aisfx (resumable)")
    for stage, run in ((network, measure_network), (shards, cache), (runs, compare)):
        stage.set_defaults(run=run)
        stage.add_argument("--shared", type=Path, required=True)
        stage.add_argument("--threads", type=int, default=1)
    for stage in (network, shards):
        stage.add_argument("--weights", type=Path, required=True, help="aisfx's checkpoint.pth")
    for stage in (shards, runs):
        stage.add_argument("--mn04", type=Path, required=True)
        stage.add_argument("--cache", type=Path, required=True, help="folder of the new shards")
    for stage in (network, runs):
        stage.add_argument("--output", type=Path, required=True, help="JSON")
    shards.add_argument("--more", type=Path, help="folder of bank_more.py")
    shards.add_argument("--first", type=int, default=0)
    shards.add_argument("--last", type=int, default=8)
    shards.add_argument("--seed", type=int, default=11, help="another than the main cache's")
    runs.add_argument("--main-cache", type=Path, required=True, help="has the held-out shards")
    runs.add_argument("--work", type=Path, required=True, help="folder for checkpoints")
    runs.add_argument("--examples", type=int, default=48_000)
    runs.add_argument("--batch", type=int, default=128)
    runs.add_argument("--rate", type=float, default=3e-3)
    runs.add_argument("--seeds", type=int, nargs="+", default=[1])
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    arguments.run(arguments)


if __name__ == "__main__":
    main()
