"""The examples print what their READMEs say, without network."""

from __future__ import annotations

import os
import re
import subprocess
import sys
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
    printed, expected = (list(map(float, NUMBER.findall(text))) for text in (done.stdout, said))
    assert printed == pytest.approx(expected, abs=0.11)


def test_lightning_validation_loop(tmp_path: Path) -> None:
    pytest.importorskip("lightning", reason="lightning is not installed")
    pytest.importorskip("torchmetrics", reason="torchmetrics is not installed")
    check("lightning_validation/train.py", tmp_path)


def test_datasets_map(tmp_path: Path) -> None:
    pytest.importorskip("datasets", reason="datasets is not installed")
    check("datasets_map/score.py", tmp_path)
