"""One process, two processes on one host, two hosts: steps a second, and are the results the same?

    python benchmarks/two_hosts.py [--pairs 64] [--epochs 4] [--kills 3]

The packaged mini trains on synthesised clips (simulated ratings) in three ways with one global
batch, without dropout, a thread per process: in one process, in two on one host, and in one on each
of two hosts. The hosts are network namespaces of this machine with a virtual cable (`hosts.py`), or
where these may not be made two stores at 127.0.0.1: this measures what is computed and exchanged,
not a network. Two recipes: everything learns, and the projections learn from kept features.

Steps a second are the median over the epochs after the first, validation included; the share of
communication is the time of rank 0 within collectives, waiting for the other included, of those
epochs' time. Then the second host is killed with SIGKILL: how long until the first has ended, and
does resuming give the weights of the unbroken run?

Prints the outcome and writes benchmarks/results/two_hosts.json.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from hosts import Hosts, free_port, launch

from humanclap.clap.checkpoint import load_checkpoint
from humanclap.files import atomic_writer

RESULT = Path(__file__).parent / "results" / "two_hosts.json"
RATE, BATCH, SEED = 32_000, 16, 0
TIMES = "TWO_HOSTS_TIMES"
RECIPES = {"everything learns": "all", "projections learn": "projections"}
WORKER = (str(Path(__file__).resolve()), "--worker")


def prepare(folder: Path, pairs: int) -> None:
    """Clips of 2 to 10 s and a table; a fifth of the pairs validate."""
    rng = np.random.default_rng(SEED)
    with open(folder / "targets.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["audio", "text", "target", "mos", "n", "split"])
        for number in range(pairs + pairs // 4):
            seconds = np.arange(round(rng.uniform(2, 10) * RATE)) / RATE
            wave = 0.4 * np.sin(2 * np.pi * rng.uniform(100, 4000) * seconds)
            soundfile.write(folder / f"{number}.wav", wave, RATE)
            target = float(rng.uniform())
            split = "train" if number < pairs else "validation"
            writer.writerow([f"{number}.wav", f"tone {number}", target, 10 * target, 3, split])


def work(arguments: list[str]) -> int:
    """`humanclap ARGUMENTS` without dropout, which each process would draw for itself.

    Rank 0 then writes how long each epoch took, and its collectives.
    """
    from humanclap.cli.main import run
    from humanclap.training.distributed.processes import Together
    from humanclap.training.loop import loop

    asking, epoch = Together._asking, loop._Run.next_epoch
    spent, epochs = [0.0], []

    @contextmanager
    def timed(self: Together) -> Iterator[None]:
        start = time.perf_counter()
        with asking(self):
            yield
        spent[0] += time.perf_counter() - start

    def next_epoch(self: Any) -> None:
        spent[0], start = 0.0, time.perf_counter()
        epoch(self)
        epochs.append((time.perf_counter() - start, spent[0]))

    Together._asking = timed  # type: ignore[method-assign]
    loop._Run.next_epoch = next_epoch  # type: ignore[method-assign]
    torch.nn.functional.dropout = lambda rows, *unused: rows
    code = run(arguments)
    if os.environ.get("RANK", "0") == "0":
        Path(os.environ[TIMES]).write_text(json.dumps(epochs), encoding="utf-8")
    return code


def finish(running: Sequence[subprocess.Popen[str]]) -> None:
    for process in running:
        errors = process.communicate()[1]
        if process.returncode:
            raise SystemExit(f"training failed:\n{errors}")


def measured(hosts: Hosts, way: str, arguments: list[str], steps: int) -> dict[str, Any]:
    """Train in one of three ways; the folder is called after it."""
    times = hosts.folders[0] / f"{way}.json"
    variables = {TIMES: str(times)}
    if way == "two hosts":
        finish(hosts.train(arguments, outputs=(way, way), program=WORKER, **variables))
    else:
        count = 1 if way == "one process" else 2
        launcher = launch("torchrun", 0, 1, count, "127.0.0.1", free_port())
        command = [*launcher, *WORKER, "train", *arguments, "-o", way]
        finish([hosts.start(0, command, **variables)])
    epochs = json.loads(times.read_text(encoding="utf-8"))[1:]
    return {
        "steps_per_s": steps / statistics.median(whole for whole, _ in epochs),
        "communication": sum(spent for _, spent in epochs) / sum(whole for whole, _ in epochs),
    }


def furthest(first: Path, second: Path) -> float:
    """The largest difference of two runs' weights."""
    ours, theirs = (
        load_checkpoint(str(run / "checkpoint")).backbone.module().state_dict()
        for run in (first, second)
    )
    differences = (ours[k].double() - theirs[k].double() for k in ours if ours[k].numel())
    return max(float(one.abs().max()) for one in differences)


def compare(recipe: str, options: argparse.Namespace, source: Path) -> tuple[str, dict[str, Any]]:
    arguments = [
        *("targets.csv", "--train", RECIPES[recipe], "--epochs", str(options.epochs), "-q"),
        *("--batch-size", str(BATCH), "--patience", "0", "--simulated"),
        *("--whole", "--learning-rate", "0.001"),
    ]
    ways = ("one process", "two processes", "two hosts")
    with Hosts() as hosts:
        hosts.give(source)
        steps = -(-options.pairs // BATCH)
        found: dict[str, Any] = {way: measured(hosts, way, arguments, steps) for way in ways}
        folder = hosts.folders[0]
        found["hosts_less_processes"] = furthest(folder / ways[2], folder / ways[1])
        found["hosts_less_one"] = furthest(folder / ways[2], folder / ways[0])
        return hosts.kind, found


def killed(options: argparse.Namespace, source: Path) -> dict[str, Any]:
    """Kill the second host after some epochs, as often as asked; seconds until the first ended."""
    rng = np.random.default_rng(SEED)
    given = ("targets.csv", "--train", "projections", "--epochs", "40", "--batch-size", "8", "-q")
    arguments = [*given, "--patience", "0", "--simulated", "--whole"]
    ended_after, same = [], 0
    with Hosts() as hosts:
        hosts.give(source)
        finish(hosts.train(arguments, outputs=("whole", "whole")))
        for number in range(options.kills):
            run, after = f"broken{number}", int(rng.integers(2, 30))
            log = hosts.folders[0] / run / "log.csv"
            first, second = hosts.train(arguments, outputs=(run, run))
            while not log.is_file() or len(log.read_text().splitlines()) < after:
                time.sleep(0.02)
            hosts.kill(second)
            start = time.monotonic()
            first.communicate()
            ended_after.append(time.monotonic() - start)
            finish(hosts.train([*arguments, "--resume"], outputs=(run, run)))
            same += furthest(hosts.folders[0] / run, hosts.folders[0] / "whole") == 0.0
    return {"kills": options.kills, "ended_after_s": ended_after, "identical": same}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--pairs", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--output", type=Path, default=RESULT)
    options = parser.parse_args()
    kind, recipes = "", {}
    with tempfile.TemporaryDirectory() as temporary:
        prepare(Path(temporary), options.pairs)
        for recipe in RECIPES:
            kind, recipes[recipe] = compare(recipe, options, Path(temporary))
        ends = killed(options, Path(temporary))
    result = {
        "command": "python benchmarks/two_hosts.py",
        "hosts": kind,
        "pairs": options.pairs,
        "batch_size": BATCH,
        "epochs": options.epochs,
        "recipes": recipes,
        "killed": ends,
        "cores": os.cpu_count(),
        "load": os.getloadavg()[1],
        "torch": torch.__version__,
    }
    with atomic_writer(options.output) as file:
        file.write(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        sys.exit(work(sys.argv[2:]))
    main()
