from __future__ import annotations

import subprocess
import sys
from pathlib import Path

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


def test_results_page_is_what_the_results_files_say() -> None:
    """RESULTS.md is rendered from benchmarks/results; this fails where a figure was typed."""
    script = BENCHMARKS / "make_results.py"
    done = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
