"""Files and captions to scores: humanclap against `laion_clap`'s documented calls, one checkpoint.

    python benchmarks/laion_clap_speed.py --laion-python laion/bin/python [--clips 200]

The interpreter is that of an environment made as tests/clap/reference/make_laion_clap.py says. Both
read the same .pt file, HTSAT-tiny and RoBERTa-base of random weights, and score FLAC clips (10 s,
44.1 kHz, stereo) against as many captions, 40 of them distinct; loading the model is not counted.
Each round runs every way in a process of its own. Writes benchmarks/results/laion_clap_speed.json:
seconds, peak memory and ratios, each as least, median and most of the rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests" / "clap"), str(ROOT / "tests" / "clap" / "reference")]

ROUNDS = 5
RATE = 44_100
THINGS = ("a dog barks", "rain falls", "a siren wails", "a man speaks", "a bell rings")
THINGS += ("wind blows", "an engine idles", "birds sing")
PLACES = (
    "in the park",
    "on a roof",
    "in the distance",
    "and then a door closes",
    "again and again",
)
CAPTIONS = [f"{thing} {place}" for place in PLACES for thing in THINGS]
OURS = "humanclap"
THEIRS = {"laion_clap, batches of 8": 8, "laion_clap, one call": None}
"""Clips to a call, None: all."""


def pairs(folder: Path, clips: int) -> tuple[list[str], list[str]]:
    """Paths of the clips and their captions."""
    names = [str(folder / f"{number}.flac") for number in range(clips)]
    return names, [CAPTIONS[number % len(CAPTIONS)] for number in range(clips)]


def full_size() -> Any:
    """HTSAT-tiny with the whole of RoBERTa-base."""
    from dataclasses import replace

    from laion_weights import TINY

    return replace(TINY, words=50_265, text_layers=12)


def write_clips(folder: Path, clips: int) -> None:
    """Noise and a tone, another in each ear and clip."""
    import soundfile

    time_s = np.arange(10 * RATE) / RATE
    for number, name in enumerate(pairs(folder, clips)[0]):
        noise = np.random.RandomState(number).uniform(-0.2, 0.2, (len(time_s), 2))
        tone = 0.3 * np.sin(2 * np.pi * (100 + 40 * number) * time_s)
        soundfile.write(name, noise + tone[:, None], RATE)


def their_model(folder: Path) -> Any:
    """`laion_clap`'s module, with what it would download stood in for."""
    from make_laion_clap import stand_in

    stand_in(folder, full_size())
    import laion_clap

    return laion_clap.CLAP_Module(enable_fusion=False, device="cpu", amodel="HTSAT-tiny")


def make(folder: Path) -> None:
    """Run by their interpreter: tokenizer, front end and the checkpoint that both read."""
    from laion_weights import laion_weights
    from make_laion_clap import checkpoint
    from tiny_hf import write_extractor, write_tokenizer

    write_tokenizer(folder)
    write_extractor(folder, fused=False)
    weights = laion_weights(full_size(), fused=False, seed=1)
    checkpoint(their_model(folder).model, weights, folder / "one.pt")


def theirs(folder: Path, clips: int, batch: int) -> tuple[float, list[float]]:
    """Seconds and scores of the documented calls."""
    clap = their_model(folder)
    clap.load_ckpt(str(folder / "one.pt"), verbose=False)
    files, texts = pairs(folder, clips)
    clap.get_audio_embedding_from_filelist(files[:1])
    start = time.perf_counter()
    scores: list[float] = []
    for first in range(0, clips, batch):
        audio = clap.get_audio_embedding_from_filelist(files[first : first + batch])
        text = clap.get_text_embedding(texts[first : first + batch])
        scores += (audio * text).sum(axis=1).tolist()
    return time.perf_counter() - start, scores


def ours(folder: Path, clips: int) -> tuple[float, list[float]]:
    """Seconds and scores of `HumanCLAP.score_many`."""
    from humanclap import HumanCLAP
    from humanclap.scoring.settings import ScoringSettings

    settings = ScoringSettings(cache=False)  # every round from the files
    scorer = HumanCLAP.from_pretrained(folder / "one.pt", settings=settings, offline=True)
    files, texts = pairs(folder, clips)
    scorer.score(files[0], texts[0])
    start = time.perf_counter()
    scores = scorer.score_many(files, texts)
    return time.perf_counter() - start, scores.tolist()


def work(what: str, folder: Path, clips: int) -> None:
    """One way in this process; prints what was measured as the last line."""
    if what == "make":
        make(folder)
        return
    seconds, scores = (
        ours(folder, clips) if what == OURS else theirs(folder, clips, THEIRS[what] or clips)
    )
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "peak_mb": peak_mb, "scores": scores}))


def measure(python: str, what: str, folder: Path, clips: int) -> dict:
    """Run one way in a process of its own."""
    command = [python, __file__, "--work", what, "--folder", str(folder)]
    command += ["--clips", str(clips)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    last = done.stdout.decode().strip().splitlines()[-1] if what != "make" else "{}"
    return json.loads(last)


def spread(values: list[float], digits: int) -> list[float]:
    """Least, median and most."""
    return [round(f(values), digits) for f in (min, statistics.median, max)]


def main() -> None:
    """Measure, print and write; or one way where this is a process of the benchmark's own."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--laion-python", help="Interpreter of an environment with laion_clap.")
    parser.add_argument("--clips", type=int, default=200)
    parser.add_argument("--work", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.work:
        work(given.work, given.folder, given.clips)
        return
    if not given.laion_python:
        parser.error("--laion-python is missing: see tests/clap/reference/make_laion_clap.py")
    ways = {OURS: sys.executable, **dict.fromkeys(THEIRS, given.laion_python)}
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_clips(folder, given.clips)
        measure(given.laion_python, "make", folder, given.clips)
        found: dict[str, list[dict]] = {way: [] for way in ways}
        for _ in range(ROUNDS):
            for way, python in ways.items():
                found[way].append(measure(python, way, folder, given.clips))
    mine = found[OURS]
    result = {
        "clips": given.clips,
        "rounds": ROUNDS,
        "cpus": os.cpu_count(),
        "load_average_before": round(load, 1),
        "ways": {
            way: {
                "seconds": spread([one["seconds"] for one in rounds], 2),
                "peak_mb": spread([one["peak_mb"] for one in rounds], 0),
                "times_ours": spread(
                    [b["seconds"] / a["seconds"] for a, b in zip(mine, rounds, strict=True)], 2
                ),
                "memory_times_ours": spread(
                    [b["peak_mb"] / a["peak_mb"] for a, b in zip(mine, rounds, strict=True)], 2
                ),
                "largest_difference": float(
                    np.abs(np.subtract(rounds[0]["scores"], mine[0]["scores"])).max()
                ),
            }
            for way, rounds in found.items()
        },
    }
    path = Path(__file__).parent / "results" / "laion_clap_speed.json"
    path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    for way, numbers in result["ways"].items():
        print(way, json.dumps(numbers))


if __name__ == "__main__":
    main()
