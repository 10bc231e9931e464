"""The examples print what their READMEs say, without network."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
NUMBER = re.compile(r"-?\d+\.\d+\b(?!\.)")


def check(script: str, folder: Path) -> None:
    """Words as in the README, and its decimals within what another processor may change."""
    path = EXAMPLES / script
    said = path.with_name("README.md").read_text(encoding="utf-8").split("```")[1].strip("\n")
    offline = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(folder), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, path],
        env=os.environ | offline,
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert NUMBER.sub("#", done.stdout).split() == NUMBER.sub("#", said).split()
    for printed, expected in zip(NUMBER.findall(done.stdout), NUMBER.findall(said), strict=True):
        last_digit = 10.0 ** -len(expected.partition(".")[2])
        assert float(printed) == pytest.approx(float(expected), abs=2.1 * last_digit)


def need(*packages: str) -> None:
    for package in packages:
        if find_spec(package) is None:
            pytest.skip(f"{package} is not installed")


def test_lightning_validation_loop(tmp_path: Path) -> None:
    need("lightning", "torchmetrics")
    check("lightning_validation/train.py", tmp_path)


def test_datasets_map(tmp_path: Path) -> None:
    need("datasets")
    check("datasets_map/score.py", tmp_path)
