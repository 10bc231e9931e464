"""Scored again, out of the cache, against the first time. Target: 50 times as fast, or more.

    python benchmarks/cache_speed.py

Clips: generated FLAC of 10 s, 44.1 kHz, stereo, each with one of 40 captions. Models: `mini`, and
a ClapModel of the size of laion/clap-htsat-unfused with random weights (nothing is downloaded). A
round scores the table without the cache, then with an empty cache, then again; all three must give
the same scores to the last bit. The ratio is taken within a round, of time on the clock and of
processor time, which other work on the machine hardly moves. What is done once a process
(imports, loading the model and its record of what it met) stands apart. Beside it, one thread:
hashing a clip, and decoding it as `mini` hears it.

Writes benchmarks/results/cache_speed.json.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from full_size_steps import write_model
from scipy import signal

from humanclap.audio.load import load_audio
from humanclap.clap.cache import cache_of_user
from humanclap.clap.checkpoint import Checkpoint, load_checkpoint
from humanclap.files import atomic_writer
from humanclap.fingerprint import sha256_file
from humanclap.records import Pair
from humanclap.scoring.run import score_table
from humanclap.scoring.scorer import HumanCLAP
from humanclap.scoring.settings import ScoringSettings

RESULT = Path(__file__).parent / "results" / "cache_speed.json"
CAPTIONS, RATE, SECONDS = 40, 44_100, 10
THINGS = ("a dog", "rain", "a siren", "a man", "a bell", "wind", "an engine", "birds")
DOINGS = ("near", "far away", "twice", "for a while", "and then stops")
HTSAT = "htsat-tiny + roberta, random"
START = """
import time, sys
begin = time.perf_counter()
from humanclap.scoring.scorer import HumanCLAP
imported = time.perf_counter()
HumanCLAP.from_pretrained(sys.argv[1]).identities
print(imported - begin, time.perf_counter() - imported)
"""


def write_clips(folder: Path, count: int) -> list[Pair]:
    """Bursts of filtered noise over soft noise, unlike on both sides."""
    pairs = []
    for number in range(count):
        rng = np.random.default_rng(number)
        samples = 0.01 * rng.standard_normal((SECONDS * RATE, 2))
        for _ in range(12):
            length = int(rng.integers(5_000, 40_000))
            low = float(rng.uniform(150, 5_000))
            band = signal.butter(2, [low, 1.5 * low], "bandpass", fs=RATE, output="sos")
            burst = signal.sosfilt(band, rng.standard_normal(length)) * np.hanning(length)
            start = int(rng.integers(0, len(samples) - length))
            samples[start : start + length] += burst[:, None] * rng.uniform(0.1, 0.6, 2)
        soundfile.write(folder / f"{number:03}.flac", samples.clip(-1, 1), RATE)
        caption = number % CAPTIONS
        text = f"{THINGS[caption % 8]} {DOINGS[caption // 8]}"
        pairs.append(Pair(audio=f"{number:03}.flac", text=text))
    return pairs


def timed(call: Callable[[], Any]) -> tuple[float, float, Any]:
    """Seconds on the clock, seconds of the processor in all threads, and what came."""
    begin, start = time.perf_counter(), time.process_time()
    found = call()
    return time.perf_counter() - begin, time.process_time() - start, found


def measure(
    checkpoint: Checkpoint, pairs: Sequence[Pair], folder: Path, rounds: int
) -> dict[str, Any]:
    """Rounds of: without the cache, with an empty one, again."""
    off = HumanCLAP(checkpoint, ScoringSettings(device="cpu", cache=False))
    on = HumanCLAP(checkpoint, ScoringSettings(device="cpu"))
    score_table(off, pairs[:8], audio_root=folder)
    _ = on.identities
    clock: dict[str, list[float]] = {"without": [], "first": [], "again": []}
    cpu: dict[str, list[float]] = {name: [] for name in clock}
    for _ in range(rounds):
        cache_of_user().clear()
        scored = {}
        for name, scorer in (("without", off), ("first", on), ("again", on)):
            passed, spent, scores = timed(
                lambda by=scorer: score_table(by, pairs, audio_root=folder)
            )
            clock[name].append(passed)
            cpu[name].append(spent)
            scored[name] = [repr(score) for score in scores]
        if not scored["without"] == scored["first"] == scored["again"]:
            raise SystemExit("the scores differ with and without the cache")
    return {"clock": ratios(clock), "processor": ratios(cpu)}


def ratios(times: dict[str, list[float]]) -> dict[str, Any]:
    """Seconds of each round, and the ratios within the rounds."""
    rows = {name: np.array(row) for name, row in times.items()}
    return {
        "seconds": {name: [round(value, 4) for value in row] for name, row in times.items()},
        "first_by_again": spread(rows["first"] / rows["again"]),
        "without_by_again": spread(rows["without"] / rows["again"]),
        "first_by_without": spread(rows["first"] / rows["without"]),
    }


def spread(values: Any) -> dict[str, float]:
    """Least, median, most."""
    found = {"min": min(values), "median": statistics.median(values), "max": max(values)}
    return {name: round(float(value), 3) for name, value in found.items()}


def start_of(model: str, rounds: int) -> dict[str, Any]:
    """Seconds of imports and of loading, in processes of their own."""
    rows = []
    for _ in range(rounds):
        command = [sys.executable, "-c", START, model]
        told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        rows.append([float(value) for value in told.split()])
    imports, loading = zip(*rows, strict=True)
    return {"imports_s": spread(imports), "loading_s": spread(loading)}


def costs(paths: Sequence[Path]) -> dict[str, Any]:
    """Milliseconds of hashing and of decoding a clip."""
    hashing = [1000 * timed(lambda p=path: sha256_file(p))[0] for path in paths]
    decoding = [1000 * timed(lambda p=path: load_audio(p, sample_rate=32_000))[0] for path in paths]
    return {
        "clip_mb": round(statistics.mean(path.stat().st_size for path in paths) / 1e6, 3),
        "hash_ms": spread(hashing),
        "decode_ms": spread(decoding),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--clips", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, nargs="+", default=[1])
    parser.add_argument("--output", type=Path, default=RESULT)
    arguments = parser.parse_args()
    result: dict[str, Any] = {
        "clips": arguments.clips,
        "captions": min(CAPTIONS, arguments.clips),
        "rounds": arguments.rounds,
        "cores": os.cpu_count(),
        "torch": torch.__version__,
        "load_average_before": [round(value, 1) for value in os.getloadavg()],
        "models": [],
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["HUMANCLAP_CACHE"] = str(folder / "cache")
        os.environ.pop("HUMANCLAP_CACHE_MB", None)
        (folder / "clips").mkdir()
        pairs = write_clips(folder / "clips", arguments.clips)
        result["costs"] = costs(sorted((folder / "clips").iterdir()))
        print(result["costs"])
        write_model(folder / "htsat")
        for label, model in (("mini", "mini"), (HTSAT, str(folder / "htsat"))):
            checkpoint = load_checkpoint(model)
            start = start_of(model, 3)
            for threads in arguments.threads:
                torch.set_num_threads(threads)
                found = measure(checkpoint, pairs, folder / "clips", arguments.rounds)
                result["models"].append(
                    {"model": label, "threads": threads, "start": start, **found}
                )
                print(label, threads, "threads", found, start, flush=True)
    result["load_average_after"] = [round(value, 1) for value in os.getloadavg()]
    with atomic_writer(arguments.output) as file:
        file.write(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
