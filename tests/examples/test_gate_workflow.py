"""The example workflow of docs/gate.md: its commands of humanclap run, in its order."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from humanclap.cli.main import run
from humanclap.tables import read_table, write_rows

yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
ROOT = Path(__file__).resolve().parents[2]
WORKFLOW = ROOT / "examples" / "gate" / "nightly.yml"


def steps() -> dict[str, str]:
    job = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))["jobs"]["gate"]
    return {step["name"]: step["run"] for step in job["steps"] if "run" in step}


def shell(step: str) -> int:
    """Run a step as GitHub does, by bash -e, with this Python's humanclap."""
    script = re.sub(r"\bhumanclap\b", f"{sys.executable} -m humanclap", step, count=1)
    done = subprocess.run(["bash", "-e", "-c", script], capture_output=True, check=False, text=True)
    print(done.stdout, done.stderr)
    return done.returncode


def test_the_nightly_samples_are_scored_and_gated(tmp_path, monkeypatch, sound):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    Path("samples").mkdir()
    rows = [{"audio": f"{i}.wav", "text": f"sound number {i}"} for i in range(21)]
    for i, row in enumerate(rows[:-1]):  # the last clip was not made
        soundfile.write(f"samples/{row['audio']}", sound(i, 1.0), 32_000)
    write_rows("samples/pairs.csv", ["audio", "text"], rows)
    found = steps()
    assert shell(found["Score"]) == 0  # though a clip failed
    table = read_table("scores.csv")
    assert [row.cells["error"] != "" for row in table.rows] == [False] * 20 + [True]
    cells = [{**row.cells, "error": ""} for row in table.rows]
    cells[-1]["score"] = "0.1"
    noise = np.random.default_rng(0).normal(0, 0.001, 21)
    worse = [{**c, "score": float(c["score"]) + x - 0.1} for c, x in zip(cells, noise, strict=True)]
    write_rows("baseline.csv", table.columns, worse)
    gate = found["Gate"].split()[1:]
    assert run([*gate, "-q"]) == 1  # it gained, but a clip is missing
    assert run([*gate, "--max-failed", "1", "-q"]) == 0


def test_the_page_shows_the_workflow_as_it_is():
    page = (ROOT / "docs" / "gate.md").read_text(encoding="utf-8")
    assert "examples/gate/nightly.yml" in page
    for step in ("Score", "Gate"):
        assert steps()[step].split(" ||")[0] in page
