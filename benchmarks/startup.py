"""How long a fresh process takes for `import humanclap`, `humanclap --help` and a first score.

    python benchmarks/startup.py

Targets: 0.1 s, 0.1 s, and 1.2 s for the first score of `mini` (one clip of 10 s, without the
cache). Writes benchmarks/results/startup.json: medians over fresh processes, on the clock and of
processor time, which other work on the machine hardly moves; beside them a bare `python -c pass`
and `import torch`, so that the machine's own share is seen, and the parts of a first score.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile

RUNS = 11
CLIP_S, RATE = 10, 44_100
CLIP = "{clip}"
COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "import humanclap": ["-c", "import humanclap"],
    "humanclap --help": ["-m", "humanclap", "--help"],
    "humanclap score --help": ["-m", "humanclap", "score", "--help"],
    "import torch": ["-c", "import torch"],
    'humanclap score clip.flac "a dog barks"': [
        *("-m", "humanclap", "score", CLIP, "a dog barks", "--no-cache", "-q")
    ],
}
PARTS = ("import torch", "other imports", "load", "hash the weights", "first score", "next score")
TIMED = """
import sys, time
begin = time.perf_counter()
def told():
    global begin
    now = time.perf_counter(); print(now - begin); begin = time.perf_counter()
import torch
torch.set_num_threads(1); told()
from humanclap.scoring.run import score_table
from humanclap.scoring.scorer import HumanCLAP
from humanclap.scoring.settings import ScoringSettings
from humanclap.clap.checkpoint import load_checkpoint
from humanclap.records import Pair
told()
checkpoint = load_checkpoint("mini"); told()
scorer = HumanCLAP(checkpoint, ScoringSettings(cache=False)); told()
pairs = [Pair(audio=sys.argv[1], text="a dog barks")]
score_table(scorer, pairs); told()
score_table(scorer, pairs); told()
"""


def medians_s(arguments: list[str]) -> tuple[float, float]:
    """Median seconds on the clock and of the processor over RUNS processes, after one more."""
    clock, cpu = [], []
    for _ in range(RUNS + 1):
        begin, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        clock.append(time.perf_counter() - begin)
        cpu.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return round(statistics.median(clock[1:]), 4), round(statistics.median(cpu[1:]), 4)


def parts_s(clip: str) -> dict[str, float]:
    """Median seconds of the parts of a first score."""
    rows = []
    for _ in range(RUNS + 1):
        command = [sys.executable, "-c", TIMED, clip]
        told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        rows.append([float(value) for value in told.split()])
    return {
        name: round(statistics.median(column), 4)
        for name, column in zip(PARTS, zip(*rows[1:], strict=True), strict=True)
    }


def main() -> None:
    """Measure, print and write."""
    load = [round(value, 1) for value in os.getloadavg()]
    with tempfile.TemporaryDirectory() as folder:
        clip = str(Path(folder) / "clip.flac")
        noise = np.random.default_rng(0).uniform(-0.3, 0.3, (CLIP_S * RATE, 2))
        soundfile.write(clip, noise, RATE)
        result = {
            name: medians_s([clip if item == CLIP else item for item in arguments])
            for name, arguments in COMMANDS.items()
        }
        parts = parts_s(clip)
    path = Path(__file__).parent / "results" / "startup.json"
    path.parent.mkdir(exist_ok=True)
    found = {
        "runs": RUNS,
        "load_average_before": load,
        "median_s": {name: clock for name, (clock, _) in result.items()},
        "processor_s": {name: cpu for name, (_, cpu) in result.items()},
        "parts_s": parts,
    }
    path.write_text(json.dumps(found, indent=2) + "\n")
    for name, (clock, cpu) in result.items():
        print(f"{clock:7.3f} s, processor {cpu:7.3f} s  {name}")
    print(parts)


if __name__ == "__main__":
    main()
