"""A rehearsal of `humanclap reproduce human-clap` at full size: all but the real sound and weights.

    python benchmarks/reproduce_rehearsal.py --shared SHARED --work FOLDER [--kills 5]

RELATE's own ratings (SHARED/data/relate) with 5,460 synthesised clips of 10.06 s, mono, 16 kHz,
under its names and archive layout, served with ranges by HTTP on this machine; a stand-in hub with
CLAPs of full size and random weights, fused and unfused, under the published models' names. The
whole command is run with --quick (two epochs of the projections over 300 pairs, 300 others judged),
first unbroken, then killed with SIGKILL at random moments and resumed. Compared are every figure of
the report and the bytes of every prediction. The sound is synthesised and the weights are
random: no figure of its report says anything of the paper.

Prints and writes benchmarks/results/reproduce_rehearsal.json.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests" / "clap"), str(ROOT / "tests" / "reproduce")]

from file_server import serving  # noqa: E402
from small_relate import RATE, wav  # noqa: E402
from stand_in_hub import StandInHub, running_hub  # noqa: E402

from humanclap.clap.published.registry import known_model  # noqa: E402
from humanclap.files import atomic_writer  # noqa: E402

RESULT = Path(__file__).parent / "results" / "reproduce_rehearsal.json"
SECONDS = 10.06
MODELS = {
    "clap": "plain",
    "clap-fused": "fused",
    "human-clap-wsce": "fused-1",
    "human-clap-mae": "fused-2",
}
"""Name -> folder of the stand-in. `human-clap` is left out: its weights' hash is pinned, so that
random ones are refused, which is tried too.
"""
NOTE = "Rehearsal with synthesised sound and random weights."
SAMPLE_S, SOUNDS = 3.0, 200
KILLED_AFTER = (0.01, 0.14)
"""Shares of the unbroken run's length after which an attempt is killed."""
SEED = 0


def write_archive(scores: Path, archive: Path) -> int:
    """A clip for each rated one: one of `SOUNDS` sounds, turned and scaled."""
    with open(scores, newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["in RELATE dataset"] != "excluded"]
    names = sorted({row["wavname"] for row in rows if row["anchor label"] == "False"})
    sounds = [_sound(number) for number in range(SOUNDS)]
    with zipfile.ZipFile(archive, "w") as packed:
        for number, name in enumerate(names):
            turned = np.roll(sounds[number % SOUNDS], 997 * (number // SOUNDS))
            packed.writestr(f"RELATE_wave{name}", wav((0.5 + number / 20_000) * turned))
    return len(names)


def _sound(number: int) -> Any:
    rng = np.random.default_rng(number)
    clock = np.arange(round(SECONDS * RATE)) / RATE
    sound = 0.02 * rng.standard_normal(len(clock))
    for _ in range(3):
        low, high = rng.uniform(100, 4000, 2)
        phase = low * clock + (high - low) * clock**2 / (2 * SECONDS)
        sound += 0.2 * np.sin(2 * np.pi * phase) * (rng.uniform(0, 9) < clock)
    return np.clip(sound, -1, 1)


def write_models(folder: Path) -> None:
    """CLAPs of full size with random weights, a different one each."""
    import torch
    from tiny_hf import write_clap

    for number, name in enumerate(dict.fromkeys(MODELS.values())):
        if (folder / name).is_dir():
            continue
        write_clap(folder / f".{name}", fused=name != "plain", full_size=True)
        weights = folder / f".{name}" / "model.safetensors"
        from safetensors.torch import load_file, save_file

        tensors = load_file(weights)
        generator = torch.Generator().manual_seed(number)
        for tensor in tensors.values():
            if tensor.is_floating_point() and tensor.ndim > 1:
                tensor += 0.002 * torch.randn(tensor.shape, generator=generator)
        save_file(tensors, weights, metadata={"format": "pt"})
        (folder / f".{name}").rename(folder / name)


def stock(hub: StandInHub, folder: Path) -> None:
    """Put the stand-ins where the published models are."""
    for name, of in MODELS.items():
        known = known_model(name)
        assert known is not None
        hub.upload(known.source, folder / of, known.revision, linked=True)
    known = known_model("human-clap")
    assert known is not None
    hub.upload(known.source, folder / "fused", known.revision, linked=True)


def command(output: Path, url: str, *more: str) -> list[str]:
    """The command of the rehearsal."""
    others = ",".join(name for name in MODELS if name != "clap-fused")
    given = ["reproduce", "human-clap", "-o", str(output), "--quick", "--against", others]
    given += ["--scores-url", f"{url}/REL.csv", "--archive-url", f"{url}/RELATE_wave.zip"]
    return [sys.executable, "-m", "humanclap", *given, "--note", NOTE, *more]


def size_mb(*folders: Path) -> float:
    """What files in folders take, in MB; those that vanish meanwhile count nothing."""
    total = 0
    for folder in folders:
        for place, _, names in os.walk(folder):
            for name in names:
                try:
                    total += (Path(place) / name).lstat().st_size
                except OSError:
                    continue
    return total / 1e6


class Run:
    """The command, begun again as often as it is killed; watches disk and time."""

    def __init__(self, output: Path, url: str, environment: dict[str, str], log: Path) -> None:
        self.output, self.url, self.environment, self.log = output, url, environment, log
        self.peak_mb, self.killed_at = 0.0, []
        self.started = time.monotonic()

    def until(self, seconds: float | None) -> int | None:
        """Run to the end, or kill after so many seconds: the exit status, None where killed."""
        more = ["--resume"] if (self.output / "reproduction.json").is_file() else []
        with open(self.log, "ab") as log:
            process = subprocess.Popen(
                command(self.output, self.url, *more), env=self.environment, stderr=log, stdout=log
            )
            began = time.monotonic()
            while process.poll() is None:
                hub = Path(self.environment["HF_HOME"])
                self.peak_mb = max(self.peak_mb, size_mb(self.output, hub))
                time.sleep(SAMPLE_S)
                if seconds is not None and time.monotonic() - began > seconds:
                    process.send_signal(signal.SIGKILL)
                    process.wait()
                    self.killed_at.append(self.stage())
                    return None
        return process.returncode

    def stage(self) -> str:
        """The stage that was in progress."""
        ledger = self.output / "reproduction.json"
        if not ledger.is_file():
            return "before the first stage"
        stages = json.loads(ledger.read_text(encoding="utf-8"))["stages"]
        open_ones = [name for name, known in stages.items() if not known["finished"]]
        return open_ones[-1] if open_ones else "between stages"


def _last_line(told: str, work: Path) -> str:
    """What was said last, without the folder of this machine."""
    last = told.strip().splitlines()[-1].replace(str(work), "FOLDER")
    return last.split("; delete")[0]


def figures(output: Path) -> dict[str, Any]:
    """The report, less what tells of the run itself."""
    told = json.loads((output / "report.json").read_text(encoding="utf-8"))
    for name in ("stages", "made", "chosen"):
        del told[name]
    return dict(told)


def predictions(output: Path) -> dict[str, str]:
    """SHA-256 of every run's predictions and every table of scores."""
    tables = [*output.glob("runs/**/predictions.csv"), *output.glob("scores/*.csv")]
    return {
        str(path.relative_to(output)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in tables
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--shared", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--kills", type=int, default=5)
    options = parser.parse_args()
    work: Path = options.work
    served = work / "served"
    served.mkdir(parents=True, exist_ok=True)
    scores = served / "REL.csv"
    scores.write_bytes((options.shared / "data" / "relate" / "scores" / "REL.csv").read_bytes())
    archive = served / "RELATE_wave.zip"
    clips = write_archive(scores, archive) if not archive.is_file() else None
    write_models(work / "models")
    with serving(served) as files, running_hub() as hub:
        stock(hub, work / "models")
        environment = os.environ | {
            "HF_ENDPOINT": hub.url,
            "HF_HOME": str(work / "hub"),
            "HF_HUB_DISABLE_XET": "1",
            "NO_PROXY": "127.0.0.1",
            "HUMANCLAP_CACHE": str(work / "cache"),
            "HUMANCLAP_CACHE_MB": "0",
        }
        result = rehearse(work, files.url, environment, options.kills)
    with zipfile.ZipFile(archive) as packed:
        clips = clips or len(packed.namelist())
    result |= {
        "command": "python benchmarks/reproduce_rehearsal.py --shared SHARED --work FOLDER",
        "rehearsal": True,
        "clips": clips,
        "seconds_of_a_clip": SECONDS,
        "archive_mb": round(archive.stat().st_size / 1e6, 1),
        "models": list(MODELS),
        "cores": os.cpu_count(),
    }
    with atomic_writer(RESULT) as file:
        file.write(json.dumps(result, indent=2, ensure_ascii=False) + "\n")
    print(json.dumps(result, indent=2, ensure_ascii=False))


def rehearse(work: Path, url: str, environment: dict[str, str], kills: int) -> dict[str, Any]:
    """Unbroken first, for its length; then killed; then the pinned hash."""
    load = os.getloadavg()[0]
    whole = Run(work / "unbroken", url, environment, work / "unbroken.log")
    if not (whole.output / "report.json").is_file() and whole.until(None) != 0:
        raise SystemExit(f"the command failed: see {whole.log}")
    stages = json.loads((whole.output / "report.json").read_text(encoding="utf-8"))["stages"]
    length = sum(stage["seconds"] for stage in stages)
    environment = environment | {"HF_HOME": str(work / "second-hub")}
    broken = Run(work / "broken", url, environment, work / "broken.log")
    draw = random.Random(SEED)
    for _ in range(kills):
        if broken.until(draw.uniform(*KILLED_AFTER) * length) is not None:
            break
    status = broken.until(None)
    refused = subprocess.run(
        [*command(work / "refused", url), "--against", "human-clap"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return {
        "load_average_before": round(load, 1),
        "stages": stages,
        "seconds": round(length, 1),
        "peak_disk_mb": round(max(whole.peak_mb, broken.peak_mb), 1),
        "killed_in": broken.killed_at,
        "resumed_exit_status": status,
        "same_figures": figures(whole.output) == figures(broken.output),
        "tables_compared": len(predictions(whole.output)),
        "same_tables": predictions(whole.output) == predictions(broken.output),
        "stages_of_the_killed": json.loads(
            (broken.output / "report.json").read_text(encoding="utf-8")
        )["stages"],
        "other_weights_under_a_pinned_hash": _last_line(refused.stderr, work),
    }


if __name__ == "__main__":
    main()
