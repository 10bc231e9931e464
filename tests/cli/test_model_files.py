"""Commands that load a model: they tell that they fetch, and --offline reaches each of them."""

import numpy as np
import pytest
import soundfile

from humanclap.cli.main import run

RECIPE = """
title = "One cell"
baseline = "MAE"
models = ["mini-mn04"]
seeds = [0]

[data]
tables = { "targets.csv" = "" }
split = "column"

[objectives]
"MAE" = "mae"
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Nine tones, a table of targets, a list and a recipe for them; an empty cache."""
    splits = ["train"] * 3 + ["validation"] * 3 + ["test"] * 3
    rows = ["audio,text,target,mos,n,split"]
    for number, split in enumerate(splits):
        tone = 0.3 * np.sin(2 * np.pi * 200 * (1 + number) * np.arange(3200) / 32_000)
        soundfile.write(tmp_path / f"{number}.wav", tone, 32_000)
        rows.append(f"{number}.wav,tone {number},0.{number},{number},3,{split}")
    (tmp_path / "targets.csv").write_text("\n".join(rows))
    (tmp_path / "list.csv").write_text("wav_file_name,text\n0.wav,tone 0")
    (tmp_path / "recipe.toml").write_text(RECIPE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HUMANCLAP_CACHE", str(tmp_path / "cache"))
    return tmp_path


@pytest.mark.parametrize(
    "command",
    [
        ["score", "0.wav", "tone 0", "-m", "mini-mn04"],
        ["train", "targets.csv", "-o", "run", "-m", "mini-mn04"],
        ["experiment", "recipe.toml", "-o", "grid"],
        ["xacle", "predict", "list.csv", "-o", "sub.csv", "-m", "mini-mn04"],
        ["demo", "--scenes", "8", "-o", "demo", "-m", "mini-mn04"],
    ],
    ids=lambda command: command[0],
)
def test_offline_reaches_every_command_that_loads_a_model(
    folder, server, monkeypatch, capsys, command
):
    monkeypatch.setenv("HUMANCLAP_MN04_URL", server.url)
    assert run([*command, "--offline"]) == 2
    assert "must not be fetched offline" in capsys.readouterr().err
    assert server.asked == []


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--revision", "main", "mini is in the package and has no revisions"),
        ("--processor", "0.wav", "brings its own tokenizer and front end"),
    ],
)
@pytest.mark.parametrize(
    "command",
    [
        ["score", "0.wav", "tone 0"],
        ["train", "targets.csv", "-o", "run"],
        ["xacle", "predict", "list.csv", "-o", "sub.csv"],
        ["demo", "--scenes", "8", "-o", "demo"],
    ],
    ids=lambda command: command[0],
)
def test_revision_and_processor_reach_every_command_that_loads_one_model(
    folder, capsys, command, option, value, message
):
    assert run([*command, option, value]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("quiet", [True, False])
def test_fetching_is_told_on_stderr_unless_quiet(folder, server, monkeypatch, capsys, quiet):
    monkeypatch.setenv("HUMANCLAP_MN04_URL", server.url)
    arguments = ["score", "0.wav", "tone 0", "-m", "mini-mn04", *(["-q"] if quiet else [])]
    assert run(arguments) == 2  # the server's file is no mn04
    shown = capsys.readouterr()
    assert shown.out == ""
    assert (f"fetching {server.url} -> {folder / 'cache'}" in shown.err) is not quiet
    assert "error: mini-mn04 needs" in shown.err
