from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from humanclap.clap.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from humanclap.clap.mini import MiniCLAP, MiniConfig
from humanclap.cli.main import run


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    torch.manual_seed(5)
    folder = tmp_path_factory.mktemp("model") / "tiny"
    save_checkpoint(Checkpoint(MiniCLAP(MiniConfig.tiny())), folder)
    return str(folder)


def test_the_whole_line_runs_twice_and_calls_itself_simulated_everywhere(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "demo"
    arguments = ["demo", "-o", str(folder), "--scenes", "24", "--epochs", "1", "-m", model]
    assert run(arguments) == 0
    first = capsys.readouterr()
    assert "SIMULATED" in first.out
    assert "SIMULATED" in first.err
    assert run([*arguments, "--json", "--quiet"]) == 0
    again = capsys.readouterr()
    assert again.err == ""
    assert json.loads(again.out) == json.loads((folder / "report.json").read_text())
    assert "SIMULATED" in json.loads(again.out)["notes"][0]
    assert "SIMULATED" in (folder / "report.html").read_text(encoding="utf-8")
    card = folder / "run" / "checkpoint" / "README.md"
    assert "SIMULATED" in card.read_text(encoding="utf-8")
    assert load_checkpoint(folder / "run").calibration is not None


def test_refuses_a_file_as_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "demo").touch()
    assert run(["demo", "-o", str(tmp_path / "demo")]) == 2
    assert "is a file" in capsys.readouterr().err
