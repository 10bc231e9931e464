"""Time, memory and output size of judging on tables of up to 1,000,000 pairs.

    python benchmarks/large_tables.py [--pairs 10000 100000 1000000] [--formats csv parquet]
                                      [--only evaluate ...] [--systems 10]

SIMULATED scores and ratings: N pairs of N / systems prompts with one clip of each system, four
listeners a pair on 0..10, a metric that correlates with them at about 0.5. The clips do not exist.
Each case is one command, run as a process of its own on one thread (OMP_NUM_THREADS=1): `evaluate`
with JSON, HTML and per-pair table; two metrics with the ratings as ceiling; `compare` with JSON and
HTML; `rerank`; `ratings aggregate` of the 4 N answers; and `evaluate` of a table whose row at 90 %
is no number, which must fail and name that row. Peak memory is VmHWM of the process. Results are
kept case by case, so that a run goes on where another stopped (--again measures anew). Before them
the intervals of large tables are tried on 1,000 simulated studies of normal scores, whose true
SRCC, LCC and KTAU are known: how often do the 95 % intervals hold them?
Writes benchmarks/results/large_tables.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from humanclap.files import atomic_writer
from humanclap.metrics.influence import agreement_influence

RESULT = Path(__file__).parent / "results" / "large_tables.json"
CASES = ("evaluate", "two metrics, ceiling", "compare", "rerank", "aggregate", "bad row")
LISTENERS = 4
_WORDS = ("dog", "rain", "wind", "bird", "bell", "car", "train", "horn", "siren", "crowd")
_MAKE = "import large_tables, sys; large_tables.make(sys.argv[1], int(sys.argv[2]), *sys.argv[3:])"


def make(folder: str, pairs: str | int, systems: str | int, form: str) -> None:
    """Write the simulated tables of so many pairs into a folder."""
    n, count, at = int(pairs), int(systems), Path(folder)
    rng = np.random.default_rng(0)
    prompts = -(-n // count)
    words = rng.integers(len(_WORDS), size=(prompts, 3))
    named = [f"a {_WORDS[a]} and a {_WORDS[b]}, then a {_WORDS[c]} {i}" for i, (a, b, c) in
             enumerate(words.tolist())]  # fmt: skip
    system, prompt = np.arange(n) % count, np.arange(n) // count
    quality = rng.normal(size=n) + 0.5 * rng.normal(size=prompts)[prompt] + 0.08 * system
    latent = 5 + 1.5 * quality[:, None] + 2 * rng.normal(size=(n, LISTENERS))
    answers = np.clip(latent.round(), 0, 10)
    mos, error = answers.mean(axis=1), answers.std(axis=1, ddof=1) / LISTENERS**0.5
    own: dict[str, Any] = {
        "audio": [f"s{s:03d}/clip{i:07d}.wav" for i, s in enumerate(system.tolist())],
        "text": [named[i] for i in prompt.tolist()],
        "system": [f"s{s:03d}" for s in system.tolist()],
    }
    for name, noise in (("scores", 1.0), ("other", 1.3)):
        score = np.tanh(0.3 * quality + 0.3 * noise * rng.normal(size=n)).round(6)
        _write(at / f"{name}.{form}", own | {"score": score.tolist()})
        score = [*score.tolist()]
        if name == "scores" and form == "csv":
            score[int(0.9 * n)] = "n/a"
            _write(at / "bad.csv", own | {"score": score})
    means = {"target": (mos / 10).tolist(), "mos": mos.tolist(), "n": [LISTENERS] * n,
             "standard_error": error.tolist()}  # fmt: skip
    _write(at / f"targets.{form}", own | means)
    of = np.repeat(np.arange(n), LISTENERS).tolist()
    listeners = rng.integers(1 + n // 50, size=n)[:, None] * LISTENERS + np.arange(LISTENERS)
    rated: dict[str, Any] = {name: [column[i] for i in of] for name, column in own.items()}
    rated |= {"listener_id": [f"L{i}" for i in listeners.ravel().tolist()],
              "score": answers.ravel().tolist()}  # fmt: skip
    _write(at / f"ratings.{form}", rated)


def _write(path: Path, columns: dict[str, Any]) -> None:
    if path.suffix == ".parquet":
        import pyarrow
        from pyarrow import parquet

        parquet.write_table(pyarrow.table(columns), path)
        return
    with open(path, "w", encoding="utf-8") as file:
        file.write(",".join(columns) + "\n")
        for row in zip(*columns.values(), strict=True):
            file.write(",".join(f'"{c}"' if "," in str(c) else str(c) for c in row) + "\n")


def command(case: str, form: str) -> list[str]:
    """The words behind `humanclap` of one case, in the folder of its tables."""
    tables = ["--targets", f"targets.{form}"]
    return {
        "evaluate": ["evaluate", f"scores.{form}", *tables, "-o", "out.json", "--html",
                     "out.html", "--per-pair", f"out.{form}"],
        "two metrics, ceiling": ["evaluate", f"scores.{form}", f"other.{form}", *tables,
                                 "--ceiling", f"ratings.{form}", "-o", "out.json"],
        "compare": ["compare", f"scores.{form}", "-o", "out.json", "--html", "out.html"],
        "rerank": ["rerank", f"scores.{form}", "-o", f"out.{form}"],
        "aggregate": ["ratings", "aggregate", f"ratings.{form}", "-o", f"out.{form}"],
        "bad row": ["evaluate", "bad.csv", *tables, "-o", "out.json"],
    }[case]  # fmt: skip


def coverage(studies: int = 1000, captions: int = 1000, clips: int = 3) -> dict[str, Any]:
    """How often the intervals by influence hold the truth; half of each side is the caption's."""
    rng, correlation, n = np.random.default_rng(1), 0.5, captions * clips
    truth = {"srcc": 6 / np.pi * np.arcsin(correlation / 2), "lcc": correlation,
             "ktau": 2 / np.pi * np.arcsin(correlation)}  # fmt: skip
    codes, nothing = np.arange(n) // clips, np.full(n, np.nan)
    spread = np.linalg.cholesky([[1, correlation], [correlation, 1]])
    held = dict.fromkeys(truth, 0)
    for _ in range(studies):
        both = rng.normal(size=(captions, 2))[codes] + rng.normal(size=(n, 2))
        metric, human = (both @ spread.T / 2**0.5).T
        found = agreement_influence(metric, human, nothing, codes, 0.0).intervals(0.95)
        for name, true in truth.items():
            held[name] += int(found[name].low <= true <= found[name].high)
    return {"studies": studies, "captions": captions, "pairs": n, "held": held}


def measure(case: str, form: str, folder: Path) -> dict[str, Any]:
    """Seconds, peak memory and output of one command; raises where it ends as it should not."""
    words = command(case, form)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    load, start = os.getloadavg()[0], time.perf_counter()
    with open(folder / "stderr.txt", "w+", encoding="utf-8") as told:
        running = subprocess.Popen(
            [sys.executable, "-m", "humanclap", *words],
            cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=told,
        )  # fmt: skip
        peak, spent = 0, 0.0
        while running.poll() is None:
            peak, spent = (
                max(*both) for both in zip((peak, spent), used(running.pid), strict=True)
            )
            time.sleep(0.02)
        seconds = time.perf_counter() - start
        told.seek(0)
        errors = told.read()
    found = {
        "seconds": round(seconds, 2),
        "cpu_seconds": round(spent, 2),
        "peak_bytes": peak,
        "output_bytes": sum(path.stat().st_size for path in folder.glob("out.*")),
        "load_average": round(load, 1),
        "exit_code": running.returncode,
        "command": " ".join(["humanclap", *words]),
    }
    for path in folder.glob("out.*"):
        path.unlink()
    if running.returncode != (2 if case == "bad row" else 0):
        found["failed"] = errors[-300:]
    elif case == "bad row":
        found["error"] = errors.strip().splitlines()[-1]
    return found


def used(pid: int) -> tuple[int, float]:
    """Highest resident memory so far (VmHWM, bytes) and seconds of CPU of a running process."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
        ticks = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return 0, 0.0
    peak = [int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")]
    spent = (int(ticks[11]) + int(ticks[12])) / os.sysconf("SC_CLK_TCK")
    return 1024 * (peak or [0])[0], spent


def main() -> None:
    """Measure what is not measured yet, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--formats", nargs="+", default=["csv", "parquet"])
    parser.add_argument("--only", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--systems", type=int, default=10)
    parser.add_argument("--again", action="store_true")
    parser.add_argument("-o", "--output", type=Path, default=RESULT)
    given = parser.parse_args()
    result = json.loads(given.output.read_text()) if given.output.exists() else {"cases": {}}
    result |= {"command": "python benchmarks/large_tables.py", "data": "simulated",
               "listeners": LISTENERS, "python": platform.python_version(),
               "numpy": np.__version__, "cores": os.cpu_count()}  # fmt: skip
    if "coverage" not in result or given.again:
        result["coverage"] = coverage()
        print(json.dumps(result["coverage"]), flush=True)
    for n in given.pairs:
        for form in given.formats:
            wanted = [c for c in given.only if not (c == "bad row" and form != "csv")]
            names = {c: f"{c} / {n} / {form} / {given.systems}" for c in wanted}
            missing = [c for c in wanted if given.again or names[c] not in result["cases"]]
            if not missing:
                continue
            with tempfile.TemporaryDirectory() as folder:
                size = [str(n), str(given.systems), form]
                subprocess.run([sys.executable, "-c", _MAKE, folder, *size],
                               cwd=Path(__file__).parent, check=True)  # fmt: skip
                for case in missing:
                    found = measure(case, form, Path(folder))
                    print(names[case], json.dumps(found), flush=True)
                    result["cases"][names[case]] = {
                        "case": case, "pairs": n, "format": form, "systems": given.systems, **found
                    }  # fmt: skip
                    with atomic_writer(given.output) as file:
                        file.write(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
