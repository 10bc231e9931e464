"""How long `humanclap --help` and `import humanclap` take. Target: --help under 0.3 s.

    python benchmarks/startup.py

Writes benchmarks/results/startup.json: medians over 15 fresh processes, and the same for a bare
`python -c pass`, so that the machine's own share is seen.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

RUNS = 15
COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "import humanclap": ["-c", "import humanclap"],
    "humanclap --help": ["-m", "humanclap", "--help"],
    "humanclap score --help": ["-m", "humanclap", "score", "--help"],
}


def median_s(arguments: list[str]) -> float:
    """Median wall time in seconds over RUNS processes, after one that warms the caches."""
    times = []
    for _ in range(RUNS + 1):
        start = time.perf_counter()
        subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def main() -> None:
    """Measure, print and write."""
    result = {name: round(median_s(arguments), 4) for name, arguments in COMMANDS.items()}
    path = Path(__file__).parent / "results" / "startup.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"runs": RUNS, "median_s": result}, indent=2) + "\n")
    for name, seconds in result.items():
        print(f"{seconds:7.3f} s  {name}")


if __name__ == "__main__":
    main()
