"""Fetch and make more sound for the audio student: packages, instruments, voices, synthesis, rooms.

The teacher labels any sound, so variety is all that is asked. Work is cut into jobs; each job has
its seed, writes its clips, then its rows, and is skipped when its rows exist: stop and resume at
will. `bank_more.csv` and `bank_more_hours.csv` are made again from all rows at the end.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import os
import shutil
import zlib
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import soxr
from bank_instruments import JOBS as INSTRUMENT_JOBS
from bank_instruments import instrument_sounds
from bank_packages import PACKAGES, package_sounds
from bank_sound import LONGEST_S, SAMPLE_RATE, SILENCE_TEXT, Sound
from bank_synthesis import KINDS, room_sounds, synthetic_sounds
from bank_voices import JOBS as VOICE_JOBS
from bank_voices import voice_sounds

SHORTEST_S = 0.5
SILENT_BELOW = 1e-3
COLUMNS = ("path", "text", "source", "licence", "seconds")


def finish(sound: Sound) -> np.ndarray | None:
    """At 32 kHz, 0.5-30 s (padded or cut), peak at most 1, float16; None where nothing is heard."""
    waveform = np.nan_to_num(np.asarray(sound.waveform, np.float32))
    if sound.rate != SAMPLE_RATE:
        waveform = soxr.resample(waveform, sound.rate, SAMPLE_RATE)
    waveform = waveform[: int(LONGEST_S * SAMPLE_RATE)]
    peak = float(np.abs(waveform).max(initial=0))
    if peak < SILENT_BELOW and sound.text != SILENCE_TEXT:
        return None
    missing = int(SHORTEST_S * SAMPLE_RATE) - len(waveform)
    if missing > 0:
        waveform = np.pad(waveform, (0, missing))
    return (waveform / max(peak, 1.0)).astype(np.float16)


def write_table(path: Path, columns: tuple[str, ...], rows: list[tuple]) -> None:
    """Write beside, then rename: a table that exists is whole."""
    part = path.with_name(f"{path.name}.part")
    with part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)
    part.rename(path)


Jobs = Collection[str]
Maker = Callable[[str, Path, np.random.Generator], Iterator[Sound]]
SOURCES: dict[str, tuple[Jobs, Maker]] = {
    "packages": (PACKAGES, package_sounds),
    "instruments": (INSTRUMENT_JOBS, instrument_sounds),
    "voices": (VOICE_JOBS, voice_sounds),
    "synthesis": (KINDS, lambda job, _, random: synthetic_sounds(job, random)),
    "room": (["responses"], lambda _, __, random: room_sounds(random)),
}
"""Source -> names of its jobs, and what makes the sounds of one."""


def run_job(source: str, job: str, work: Path, seed: int) -> str:
    """Write one job's clips and rows. Returns a line for the log."""
    table = work / "rows" / f"{source}.{job}.csv"
    if table.exists():
        return ""
    folder = work / "clips" / source / job
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    random = np.random.default_rng([seed, zlib.crc32(f"{source}/{job}".encode())])
    rows: list[tuple] = []
    silent = 0
    for sound in SOURCES[source][1](job, work, random):
        waveform = finish(sound)
        if waveform is None:
            silent += 1
            continue
        path = folder / f"{len(rows):04d}.npy"
        np.save(path, waveform)
        seconds = f"{len(waveform) / SAMPLE_RATE:.3f}"
        rows.append((path.relative_to(work), sound.text, sound.origin, sound.licence, seconds))
    write_table(table, COLUMNS, rows)
    minutes = sum(float(row[-1]) for row in rows) / 60
    return f"{source} {job}: {len(rows)} clips, {minutes:.1f} min, {silent} silent left out"


def attempt(source: str, job: str, work: Path, seed: int) -> str:
    """`run_job`, with a failure told rather than raised: one missing package stops nothing."""
    try:
        return run_job(source, job, work, seed)
    except Exception as error:
        return f"{source} {job}: FAILED, {type(error).__name__}: {error}"


def assemble(work: Path, banned: set[str]) -> None:
    """All rows in one manifest, each sound once; hours by source."""
    seen: set[bytes] = set()
    rows: list[tuple] = []
    copies = 0
    for table in sorted((work / "rows").glob("*.csv")):
        with table.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                if row["path"] in banned:
                    continue
                digest = hashlib.blake2b((work / row["path"]).read_bytes()).digest()
                if digest in seen:
                    copies += 1
                    continue
                seen.add(digest)
                rows.append(tuple(row[column] for column in COLUMNS))
    write_table(work / "bank_more.csv", COLUMNS, rows)
    seconds: Counter[str] = Counter()
    clips: Counter[str] = Counter()
    for path, *_, length in rows:
        for name in (path.split("/")[1], "all"):
            seconds[name] += float(length)
            clips[name] += 1
    hours = [(name, clips[name], f"{seconds[name] / 3600:.2f}") for name in sorted(clips)]
    write_table(work / "bank_more_hours.csv", ("source", "clips", "hours"), hours)
    for name, count, length in hours:
        print(f"{name}: {count} clips, {length} hours")
    print(f"{copies} copies and {len(banned)} too like an evaluation clip left out")


def read_banned(work: Path) -> set[str]:
    """Clips that `find_bank_copies.py` found too like an evaluation clip; none before it ran."""
    path = work / "bank_more_banned.csv"
    if not path.exists():
        return set()
    with path.open(newline="", encoding="utf-8") as file:
        return {row["path"] for row in csv.DictReader(file)}


def main() -> None:
    """Parse, run the jobs that are missing, assemble."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="a folder outside the repository")
    parser.add_argument("--sources", nargs="+", choices=SOURCES, default=SOURCES)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=1)
    arguments = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    (arguments.work / "rows").mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(arguments.processes) as pool:
        waiting = [
            pool.submit(attempt, source, job, arguments.work, arguments.seed)
            for source in arguments.sources
            for job in SOURCES[source][0]
        ]
        for line in (task.result() for task in waiting):
            if line:
                print(line, flush=True)
    assemble(arguments.work, read_banned(arguments.work))


if __name__ == "__main__":
    main()
