"""A file that cannot be written is named, whichever room writes it, and no half of it is left."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from humanclap.clap.checkpoint import load_checkpoint, save_checkpoint
from humanclap.cli.main import EXIT_BAD_INPUT, run
from humanclap.demo.panel import make_pairs
from humanclap.errors import HumanCLAPError, naming_file
from humanclap.listening.design.clips import ClipCache
from humanclap.records import Pair, Score
from humanclap.scoring.journal import Journal
from humanclap.tables import write_rows
from humanclap.training.loop.state import RunFolder, RunState
from humanclap.training.model.features import write_features

resource = pytest.importorskip("resource")


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Let writing fail beyond `size` bytes of a file, as it does on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def write_table(folder: Path) -> Path:
    write_rows(folder / "table.csv", ["a"], [{"a": "x" * 100}] * 100)
    return folder / "table.csv"


def write_journal(folder: Path) -> Path:
    pair = Pair(audio="a.wav", text="x" * 9000)
    score = Score(audio="a.wav", text=pair.text, score=0.1, pair_id="y" * 9000)
    journal = Journal(folder / "s.csv", pairs=[pair], signature="s", audio_root=folder)
    with journal:
        journal.add(score)
    return journal.path


def write_model(folder: Path) -> Path:
    save_checkpoint(load_checkpoint("mini"), folder / "model")
    return folder / "model"


def write_features_file(folder: Path) -> Path:
    write_features(folder / "f.safetensors", {"a": torch.zeros(4000)})
    return folder / "f.safetensors"


def write_state(folder: Path) -> Path:
    state = RunState.__new__(RunState)
    for name in RunState.__slots__:
        object.__setattr__(state, name, torch.zeros(4000))
    RunFolder(folder, {}).save(state)
    return folder / "state.pt"


def write_copy(folder: Path) -> Path:
    root = folder.with_name("clips")
    root.mkdir()
    soundfile.write(root / "a.flac", np.zeros(1000), 16000)
    return ClipCache(root, folder).path("a.flac", "wav")


def write_demo(folder: Path) -> Path:
    make_pairs(folder, n_scenes=1, generator=np.random.default_rng(0))
    return folder / "reference/000.flac"


@pytest.mark.parametrize(
    ("write", "name"),
    [
        (write_table, "table.csv"),
        (write_journal, "s.csv.partial.jsonl"),
        (write_model, "model"),
        (write_features_file, "f.safetensors"),
        (write_state, "state.pt"),
        (write_copy, ".wav"),
        (write_demo, "000.flac"),
    ],
)
def test_a_file_that_cannot_be_written_is_named(
    tmp_path: Path, write: Callable[[Path], Path], name: str
) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    with (
        files_of_at_most(1500),
        pytest.raises((OSError, HumanCLAPError), match="File too large") as caught,
    ):
        write(folder)
    named = str(caught.value.filename) if isinstance(caught.value, OSError) else str(caught.value)
    assert str(folder) in named
    assert name in named
    assert "/." not in named.removeprefix(str(tmp_path))  # not by a temporary name


def test_nothing_is_left_of_a_starter_that_could_not_be_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    design = tmp_path / "study.toml"
    with files_of_at_most(100):
        assert run(["listen", "new", str(design)]) == EXIT_BAD_INPUT
    assert f"error: {design}: File too large" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_has_a_remedy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scores = tmp_path / "s.csv"
    scores.write_text("audio,text,score\na.wav,a dog,0.5\n", encoding="utf-8")
    assert run(["rerank", str(scores), "-o", "/dev/full"]) == EXIT_BAD_INPUT
    told = capsys.readouterr().err
    assert "error: /dev/full: No space left on device; make room there, or write elsewhere" in told


def test_a_name_that_is_known_already_stays() -> None:
    known = OSError(errno.EACCES, "Permission denied", "known")
    with pytest.raises(PermissionError) as caught, naming_file("other"):
        raise known
    assert caught.value.filename == "known"
    with pytest.raises(PermissionError) as caught, naming_file("other", always=True):
        raise known
    assert caught.value.filename == "other"


def test_a_broken_pipe_and_other_faults_pass_as_they_are() -> None:
    with pytest.raises(BrokenPipeError) as caught, naming_file("a"):
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")
    assert caught.value.filename is None
    with pytest.raises(RuntimeError, match="mine"), naming_file("a"):
        raise RuntimeError("mine")
