from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from humanclap.cli.main import EXIT_BAD_INPUT, run


@pytest.fixture
def table(tmp_path: Path) -> Path:
    for number in range(3):
        noise = np.random.default_rng(number).uniform(-0.3, 0.3, 16_000)
        soundfile.write(tmp_path / f"{number}.flac", noise, 16_000)
    path = tmp_path / "pairs.csv"
    path.write_text("audio,text\n0.flac,rain\n0.flac,wind\n1.flac,rain\n2.flac,a dog barks\n")
    return path


def test_bench_measures_a_table_and_a_folder(
    table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["bench", str(table), "--rounds", "1", "--clips", "2", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["engine"] for row in rows] == [
        *["torch"] * 3,
        *["openvino"] * 2,
        "onnxruntime",
    ]
    assert rows[1]["score_drift"] > 0
    assert rows[2]["clips_per_s"] is None
    assert run(["bench", str(table.parent), "--rounds", "1"]) == 0
    captured = capsys.readouterr()
    assert "clips_per_s" in captured.out
    assert "not here" in captured.out
    assert "openvino" in captured.err


def test_bench_of_an_empty_folder_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["bench", str(tmp_path)]) == EXIT_BAD_INPUT
    assert "no clips" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("chosen", "remedy"),
    [
        (["--engine", "openvino"], "leave --engine away"),
        (["--engine", "onnxruntime"], "leave --engine away"),
        (["--precision", "int8"], "take --precision fp32"),
    ],
)
def test_score_refuses_an_engine_that_cannot_run_the_model(
    table: Path, capsys: pytest.CaptureFixture[str], chosen: list[str], remedy: str
) -> None:
    assert run(["score", str(table), *chosen]) == EXIT_BAD_INPUT
    assert remedy in capsys.readouterr().err
