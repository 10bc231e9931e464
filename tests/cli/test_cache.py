from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from humanclap.clap.cache import FILE
from humanclap.cli.main import EXIT_BAD_INPUT, run


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HUMANCLAP_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("HUMANCLAP_CACHE_MB")
    noise = np.random.default_rng(0).uniform(-0.3, 0.3, 16_000)
    soundfile.write(tmp_path / "noise.flac", noise, 16_000)
    return tmp_path


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert run(list(arguments)) == 0
    return capsys.readouterr().out


def test_info_says_what_score_has_kept_and_clear_deletes_it(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "empty" in told(capsys, "cache", "info")
    first = told(capsys, "score", str(folder / "noise.flac"), "white noise")
    assert told(capsys, "score", str(folder / "noise.flac"), "white noise") == first
    text = told(capsys, "cache", "info")
    assert str(folder / "cache" / FILE) in text
    assert "1 clip, 1 text" in text
    assert "of at most 1000 MB" in text
    found = json.loads(told(capsys, "cache", "info", "--json"))
    assert found["entries"] == {"clip": 1, "text": 1}
    assert run(["cache", "clear"]) == 0
    assert "2 entries deleted" in capsys.readouterr().err
    assert "empty" in told(capsys, "cache", "info")


def test_no_cache_and_a_cap_of_nothing_keep_nothing(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = str(folder / "noise.flac")
    first = told(capsys, "score", clip, "white noise", "--no-cache")
    monkeypatch.setenv("HUMANCLAP_CACHE_MB", "0")
    assert told(capsys, "score", clip, "white noise") == first
    assert not (folder / "cache").exists()
    assert "off: HUMANCLAP_CACHE_MB is 0" in told(capsys, "cache", "info")


def test_a_damaged_cache_is_told_and_cleared_and_costs_no_score(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = folder / "cache" / FILE
    file.parent.mkdir()
    file.write_bytes(b"no database" * 1000)
    assert run(["cache", "info"]) == EXIT_BAD_INPUT
    assert "humanclap cache clear" in capsys.readouterr().err
    assert run(["cache", "clear"]) == 0
    assert "a damaged file deleted" in capsys.readouterr().err
    file.write_bytes(b"no database" * 1000)
    assert told(capsys, "score", str(folder / "noise.flac"), "white noise")


def test_a_cap_that_is_no_number_is_told(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUMANCLAP_CACHE_MB", "lots")
    assert run(["score", str(folder / "noise.flac"), "white noise"]) == EXIT_BAD_INPUT
    assert "HUMANCLAP_CACHE_MB is 'lots'; expected megabytes" in capsys.readouterr().err
