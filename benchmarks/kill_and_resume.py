"""kill -9 at a random moment, then --resume: are the final weights those of an unbroken run?

    python benchmarks/kill_and_resume.py [--trials 6]

`humanclap train` is started as a process of its own on generated tones (simulated ratings), with a
small random mini of which everything learns, random crops and dropout; it is killed with
SIGKILL at a moment drawn at random over the length of the training, up to three times, and resumed.
Compared are the SHA-256 of the final weights and the log, but for its seconds.

Prints the outcome and writes benchmarks/results/kill_and_resume.json.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch

from humanclap.clap.checkpoint import Checkpoint, save_checkpoint
from humanclap.clap.mini import MiniCLAP, MiniConfig
from humanclap.files import atomic_writer
from humanclap.fingerprint import sha256_file

RESULT = Path(__file__).parent / "results" / "kill_and_resume.json"
RATE, PAIRS, EPOCHS = 32_000, 120, 12
SEED = 0
KILLS = 3


def prepare(folder: Path) -> None:
    """A model and a table of rated tones."""
    torch.manual_seed(SEED)
    save_checkpoint(Checkpoint(MiniCLAP(MiniConfig.tiny())), folder / "model")
    rng = np.random.default_rng(SEED)
    with open(folder / "targets.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["audio", "text", "target", "mos", "n", "split"])
        for number in range(PAIRS):
            time_s = np.arange(round(rng.uniform(0.5, 12.0) * RATE)) / RATE
            wave = 0.4 * np.sin(2 * np.pi * rng.uniform(100, 4000) * time_s)
            soundfile.write(folder / f"{number}.wav", wave, RATE)
            target = float(rng.uniform())
            split = "train" if number < 0.8 * PAIRS else "validation"
            writer.writerow([f"{number}.wav", f"tone {number}", target, 10 * target, 3, split])


def command(folder: Path, output: Path) -> list[str]:
    given = [
        *("train", str(folder / "targets.csv"), "-o", str(output), "-m", str(folder / "model")),
        *("--train", "all", "--epochs", str(EPOCHS), "--batch-size", "16", "--patience", "0"),
        *("--resume", "--quiet", "--simulated"),
    ]
    return [sys.executable, "-m", "humanclap", *given]


def start(folder: Path, output: Path) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command(folder, output), stdout=subprocess.DEVNULL, env=environment)


def outcome(output: Path) -> dict[str, Any]:
    with open(output / "log.csv", encoding="utf-8", newline="") as file:
        rows = [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]
    weights = output / "checkpoint" / "model.safetensors"
    return {"sha256": sha256_file(weights), "log": rows}


def wait_for_log(output: Path, process: subprocess.Popen[bytes]) -> None:
    while not (output / "run.json").is_file() and process.poll() is None:
        time.sleep(0.01)


def trial(folder: Path, output: Path, length_s: float, rng: np.random.Generator) -> dict[str, Any]:
    """Kill up to KILLS times, each at a random moment; what remained each time, and the end."""
    epochs_kept = []
    for _ in range(KILLS):
        process = start(folder, output)
        wait_for_log(output, process)
        try:
            process.wait(timeout=float(rng.uniform(0.0, length_s)))
            break
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
        log = output / "log.csv"
        lines = log.read_text(encoding="utf-8").splitlines() if log.is_file() else []
        epochs_kept.append(max(len(lines) - 2, 0))
    if not (output / "checkpoint").is_dir():
        process = start(folder, output)
        if process.wait() != 0:
            raise SystemExit(f"resuming {output} failed")
    return {"epochs_kept_at_each_kill": epochs_kept, **outcome(output)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--trials", type=int, default=6)
    parser.add_argument("--output", type=Path, default=RESULT)
    options = parser.parse_args()
    rng = np.random.default_rng(SEED)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        prepare(folder)
        process = start(folder, folder / "whole")
        wait_for_log(folder / "whole", process)
        began = time.monotonic()
        if process.wait() != 0:
            raise SystemExit("the unbroken run failed")
        length_s = time.monotonic() - began
        whole = outcome(folder / "whole")
        trials = [
            trial(folder, folder / f"broken{number}", length_s, rng)
            for number in range(options.trials)
        ]
    same = [one["sha256"] == whole["sha256"] and one["log"] == whole["log"] for one in trials]
    result = {
        "command": "python benchmarks/kill_and_resume.py",
        "trials": len(trials),
        "kills": sum(len(one["epochs_kept_at_each_kill"]) for one in trials),
        "identical": sum(same),
        "epochs": EPOCHS,
        "epochs_kept_at_each_kill": [one["epochs_kept_at_each_kill"] for one in trials],
        "weights_sha256": whole["sha256"],
        "torch": torch.__version__,
    }
    with atomic_writer(options.output) as file:
        file.write(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
