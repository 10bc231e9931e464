"""What --runner ray refuses before Ray starts; what it scores: tests/cluster."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from humanclap.cli.main import run


@pytest.fixture
def table(tmp_path: Path) -> str:
    path = tmp_path / "pairs.csv"
    path.write_text("audio,text\na.wav,rain\n")
    return str(path)


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["a dog barks", "-o", "out"], "TEXT is for --runner local"),
        (["--texts", "t.csv", "-o", "out"], "--texts is for --runner local"),
        (["--latex", "-o", "out"], "--latex is for --runner local"),
        (["--json", "-o", "out"], "--json is for --runner local"),
        (["--figures", "figures", "-o", "out"], "--figures is for --runner local"),
        ([], "needs -o: a table, or a folder"),
        (["-o", "-"], "needs -o: a table, or a folder"),
        (["-o", "out.xlsx"], "cannot be written as .xlsx"),
        (["-o", "out", "--workers", "0"], "0 is not in the range"),
        (["-o", "out", "--ray-address", "ray://head:10001"], "needs its driver in the cluster"),
    ],
)
def test_what_makes_no_sense_on_ray_is_refused(
    more: list[str], told: str, table: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    if "ray://" in str(more):
        pytest.importorskip("ray", reason="needs humanclap[ray]")
    assert run(["score", table, "--runner", "ray", *more]) == 2
    assert told in " ".join(capsys.readouterr().err.split())
    assert {path.name for path in tmp_path.iterdir()} == {"pairs.csv"}


def test_standard_input_is_refused_on_ray(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["score", "-", "--runner", "ray", "-o", "out"]) == 2
    assert "not standard input" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["s3://b/pairs.csv"], "s3://b/pairs.csv: an address is for --runner ray"),
        (["pairs.csv", "--audio-root", "s3://b/c"], "s3://b/c: an address is for --runner ray"),
        (["pairs.csv", "-o", "s3://b/s.csv"], "s3://b/s.csv: an address is for --runner ray"),
        (["pairs.csv", "--workers", "2"], "--workers and --shard-rows are for --runner ray"),
    ],
)
def test_what_is_for_ray_alone_is_refused_by_the_local_runner(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["score", *arguments]) == 2
    assert told in " ".join(capsys.readouterr().err.split())


def test_a_folder_is_no_table_to_the_local_runner(
    table: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["score", table, "-o", str(tmp_path)]) == 2
    assert "is a folder; name a file" in capsys.readouterr().err


def test_without_ray_the_extra_is_named(
    table: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("ray", "fsspec", "pyarrow"):
        monkeypatch.setitem(sys.modules, name, None)
    assert run(["score", table, "--runner", "ray", "-o", str(tmp_path / "out")]) == 2
    assert "pip install 'humanclap[ray]'" in capsys.readouterr().err
