"""Scoring on Ray against two local processes; its memory; rows after killed workers and drivers.

    python benchmarks/ray_scoring.py --work FOLDER [--pairs 20000] [--small 2000] [--only PART]

Clips of 3 to 5 s are cut at random from 320 synthesised sounds (`humanclap.demo.sounds`), each at a
level of its own, so that no two are alike; each pair has a caption of its own. All runs are
commands with `--no-cache`, `mini`, one thread a process.

speed: `humanclap score` of each half in two processes at once, and `--runner ray --workers 2` of
the whole, from start to end, in turns. memory: the sum of the proportional set sizes of Ray's
process tree, sampled every ten seconds, at --small and, during speed's run, at --pairs. kills:
SIGKILL for a scoring worker at a fifth, two and three fifths of the parts, for the driver at four;
the same command again; rows and scores against speed's run, which nobody killed.

Prints the outcome and writes benchmarks/results/ray_scoring.json after each part; a part that is
there for these sizes is not done again (--restart).
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import soundfile
from results_text import table

from humanclap.demo.sounds import EVENTS, SAMPLE_RATE, synthesise
from humanclap.files import atomic_writer
from humanclap.tables import read_scores

RESULT = Path(__file__).parent / "results" / "ray_scoring.json"
SOURCES, SOURCE_S, SEED, WORKERS = 320, 6.0, 0, 2
SAMPLE_S = 10.0
KILL_SHARDS = 40
"""Parts of the run that is killed; 500 rows each, as by default, at 20,000 pairs."""
PARTS = ("speed", "memory", "kills")
SCORING = b"MapWorker(MapBatches(Scoring))"
Result = dict[str, Any]


def prepare(work: Path, count: int) -> Path:
    """`count` clips and a table of them; what is there from before is taken over."""
    manifest = work / f"pairs-{count}.csv"
    if manifest.is_file():
        return manifest
    (work / "clips").mkdir(parents=True, exist_ok=True)
    events = list(EVENTS)
    sources = [
        synthesise(events[number % len(events)], SOURCE_S, np.random.default_rng((SEED, number)))
        for number in range(SOURCES)
    ]
    with atomic_writer(manifest) as file:
        writer = csv.writer(file)
        writer.writerow(["audio", "text", "system"])
        for number in range(count):
            rng = np.random.default_rng((SEED, SOURCES, number))
            source = number % SOURCES
            length = int(rng.integers(3 * SAMPLE_RATE, 5 * SAMPLE_RATE))
            start = int(rng.integers(0, len(sources[source]) - length))
            clip = work / "clips" / f"{number}.wav"
            if not clip.is_file():
                level = rng.uniform(0.2, 1.0)
                soundfile.write(clip, level * sources[source][start : start + length], SAMPLE_RATE)
            caption = f"{events[source % len(events)]}, recording {number}"
            writer.writerow([f"clips/{number}.wav", caption, f"system {number % 4}"])
    return manifest


def command(manifest: Path, output: Path, *more: str) -> list[str]:
    given = ["score", str(manifest), "-o", str(output), "--no-cache", "--threads", "1", "--quiet"]
    return [sys.executable, "-m", "humanclap", *given, "--device", "cpu", *more]


def on_ray(manifest: Path, output: Path) -> list[str]:
    return command(manifest, output, "--runner", "ray", "--workers", str(WORKERS))


def start(words: list[str]) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(words, env=environment, stderr=subprocess.DEVNULL)


def finish(process: subprocess.Popen[bytes]) -> None:
    if process.wait() not in (0, 1):
        raise SystemExit(f"{' '.join(map(str, process.args))} failed")  # type: ignore[arg-type]


def halves(manifest: Path) -> list[Path]:
    lines = manifest.read_text(encoding="utf-8").splitlines()
    middle = 1 + (len(lines) - 1) // 2
    found = []
    for number, part in enumerate((lines[1:middle], lines[middle:])):
        path = manifest.with_name(f"{manifest.stem}-half{number}.csv")
        path.write_text("\n".join([lines[0], *part]) + "\n", encoding="utf-8")
        found.append(path)
    return found


def speed(work: Path, count: int, rounds: int) -> Result:
    """Seconds of two local processes and of Ray, in turns."""
    manifest = prepare(work, count)
    local_s, ray_s = [], []
    for turn in range(rounds):
        began = time.monotonic()
        outputs = [work / f"local{n}.csv" for n in range(WORKERS)]
        parts = zip(halves(manifest), outputs, strict=True)
        for process in [start(command(part, output)) for part, output in parts]:
            finish(process)
        local_s.append(time.monotonic() - began)
        began = time.monotonic()
        held = watched(start([*on_ray(manifest, work / "ray.parquet"), "--restart"]))
        ray_s.append(time.monotonic() - began)
        print(f"round {turn + 1}: local {local_s[-1]:.1f} s, Ray {ray_s[-1]:.1f} s", flush=True)
    local = [score for output in outputs for score in read_scores(output)]
    ray = read_scores(work / "ray.parquet")
    same_rows = [row.pair_id for row in local] == [row.pair_id for row in ray]
    differences = [abs(a.score - b.score) for a, b in zip(local, ray, strict=True)]
    return {
        "pairs": count,
        "local_s": local_s,
        "ray_s": ray_s,
        "ratio": [a / b for a, b in zip(local_s, ray_s, strict=True)],
        "same_rows": same_rows,
        "greatest_difference": max(differences),
        "pss": held,
    }


def tree(root: int) -> dict[int, bytes]:
    """Processes below one, itself included, by their command lines."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                status = (entry / "stat").read_text()
            except OSError:
                continue
            parents[int(entry.name)] = int(status.rpartition(")")[2].split()[1])
    found = {root}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    lines = {}
    for pid in found:
        try:
            lines[pid] = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
    return lines


def proportional_mb(pids: list[int]) -> float:
    total = 0
    for pid in pids:
        try:
            text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:
            continue
        total += int(text.partition("Pss:")[2].split()[0])
    return total / 1024


def watched(process: subprocess.Popen[bytes]) -> Result:
    """Peak and median memory of the process tree until it ends."""
    samples = []
    while process.poll() is None:
        samples.append(proportional_mb(list(tree(process.pid))))
        with suppress(subprocess.TimeoutExpired):
            process.wait(SAMPLE_S)
    finish(process)
    return {
        "peak_mb": max(samples),
        "median_of_second_half_mb": median(samples[len(samples) // 2 :]),
        "samples": len(samples),
    }


def memory(work: Path, small: int) -> Result:
    """Memory at a small number of pairs; that at the whole number was seen by `speed`."""
    manifest = prepare(work, small)
    return {"pss": watched(start([*on_ray(manifest, work / "memory.parquet"), "--restart"]))}


def kills(work: Path, count: int) -> Result:
    """Three workers and one driver killed; then the same command, and the rows of both runs."""
    manifest = prepare(work, count)
    whole, broken = work / "ray.parquet", work / "broken.parquet"
    rows = max(1, count // KILL_SHARDS)
    broken_run = [*on_ray(manifest, broken), "--shard-rows", str(rows)]
    process = start([*broken_run, "--restart"])
    parts = Path(f"{broken}.parts")
    shards = -(-count // rows)
    killed = []
    for number in range(1, 5):
        wanted = max(1, number * shards // 5)
        while len(list(parts.glob("part-*.parquet"))) < wanted:
            if process.poll() is not None:
                raise SystemExit("the run ended before its last kill; take more pairs")
            time.sleep(0.05)
        if number < 4:
            workers = [pid for pid, line in tree(process.pid).items() if SCORING in line]
            os.kill(workers[number % len(workers)], signal.SIGKILL)
            killed.append("worker")
        else:
            process.kill()
            process.wait()
            killed.append("driver")
        time.sleep(2.0)
    kept = len(list(parts.glob("part-*.parquet")))
    finish(start(broken_run))
    once, again = read_scores(whole), read_scores(broken)
    ids = [row.pair_id for row in again]
    return {
        "pairs": count,
        "killed": killed,
        "parts_kept_of": [kept, shards],
        "rows": len(ids),
        "distinct_rows": len(set(ids)),
        "same_order": ids == [row.pair_id for row in once],
        "failed": sum(row.error is not None for row in again),
        "greatest_difference": max(
            abs(a.score - b.score) for a, b in zip(once, again, strict=True)
        ),
    }


def markdown(result: Result) -> list[str]:
    """The section of RESULTS.md."""
    fast, broken = result["speed"], result["kills"]
    held = {result["sizes"]["small"]: result["memory"]["pss"], fast["pairs"]: fast["pss"]}
    rounds = ", ".join(f"{ratio:.2f}" for ratio in fast["ratio"])
    rows = [
        [f"{pairs:,}", f"{one['peak_mb']:,.0f}", f"{one['median_of_second_half_mb']:,.0f}"]
        for pairs, one in held.items()
    ]
    return [
        f"Clips of 3 to 5 s cut from {SOURCES} synthesised sounds, each once, each pair with a "
        f"caption of its own; `mini`, no cache, {WORKERS} processors"
        f"{', while the machine was shared' if result['shared'] else ''}. From the start of the "
        f"commands to their end, {fast['pairs']:,} pairs: two local processes "
        f"{median(fast['local_s']):.0f} s, Ray {median(fast['ray_s']):.0f} s, throughput of Ray "
        f"over theirs {median(fast['ratio']):.2f} (rounds: {rounds}). Greatest difference of a "
        f"score: {fast['greatest_difference']:.0e}.",
        "",
        "Memory of the whole process tree (sum of proportional set sizes, every ten seconds):",
        "",
        *table(["pairs", "peak, MB", "median of the second half, MB"], rows),
        "",
        f"{', '.join(broken['killed'])} killed with SIGKILL in one run of {broken['pairs']:,} "
        f"pairs, then the same command again: {broken['rows']:,} rows, "
        f"{broken['distinct_rows']:,} of them distinct, in "
        f"{'the same' if broken['same_order'] else 'another'} order, {broken['failed']} failed; "
        f"greatest difference to the unbroken run {broken['greatest_difference']:.0e}.",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--work", type=Path, required=True, help="Folder for clips and outputs.")
    parser.add_argument("--pairs", type=int, default=20_000)
    parser.add_argument("--small", type=int, default=2_000)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--only", choices=PARTS, action="append")
    parser.add_argument("--restart", action="store_true")
    parser.add_argument("--output", type=Path, default=RESULT)
    options = parser.parse_args()
    sizes = {"pairs": options.pairs, "small": options.small, "rounds": options.rounds}
    result: Result = {}
    if options.output.is_file() and not options.restart:
        result = json.loads(options.output.read_text(encoding="utf-8"))
    if result.get("sizes") != sizes:
        result = {"command": "python benchmarks/ray_scoring.py --work FOLDER", "sizes": sizes}
    result["processors"] = len(os.sched_getaffinity(0))
    ways = {
        "speed": lambda: speed(options.work, options.pairs, options.rounds),
        "memory": lambda: memory(options.work, options.small),
        "kills": lambda: kills(options.work, options.pairs),
    }
    for name in options.only or PARTS:
        if name in result:
            continue
        load = os.getloadavg()[0]
        result["shared"] = result.get("shared", False) or load > 0.5
        result[name] = {**ways[name](), "load_before": load}
        with atomic_writer(options.output) as file:
            file.write(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
