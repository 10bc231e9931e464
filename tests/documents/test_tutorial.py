"""The tutorial, run from top to bottom, prints what it shows."""

from __future__ import annotations

import os
import runpy
import shutil
from pathlib import Path

import pytest
from output import check_shown
from shell_blocks import ROOT, Command, commands_of

from humanclap.cli.main import run

NEED_PEOPLE = ("humanclap listen serve", "humanclap listen export study.sqlite -o ratings/")
"""Serving goes on until it is stopped, and there are no answers of people to export."""


def shown_to_run() -> list[Command]:
    """The commands with a prompt; those without one are for the reader's own study."""
    found = commands_of(ROOT / "docs" / "tutorial.md")
    return [c for c in found if not c.text.startswith((*NEED_PEOPLE, "pip", "mkdir"))]


@pytest.mark.filterwarnings("default")
def test_the_tutorial_prints_what_it_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("fastapi")
    monkeypatch.setenv("HUMANCLAP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HUMANCLAP_CACHE_MB", "500")
    monkeypatch.setenv("COLUMNS", "300")
    shutil.copytree(ROOT / "examples" / "first_metric", tmp_path / "examples" / "first_metric")
    (tmp_path / "my-metric").mkdir()
    monkeypatch.chdir(tmp_path / "my-metric")
    commands = shown_to_run()
    assert len(commands) == 17
    for command in commands:
        program, *words = command.words
        if program == "python":
            assert os.fspath(words[0]) == "../examples/first_metric/make_sounds.py"
            runpy.run_path(words[0], run_name="__main__")
            continue
        assert program == "humanclap"
        assert run(words) == 0, command
        printed = capsys.readouterr()
        try:
            check_shown(command.expected, printed.out, printed.err)
        except AssertionError as error:
            raise AssertionError(f"{command}: {error}") from error
