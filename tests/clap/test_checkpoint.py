from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch

from humanclap.clap.checkpoint import (
    MANIFEST,
    Calibration,
    Checkpoint,
    load_checkpoint,
    save_checkpoint,
)
from humanclap.clap.mini import MiniCLAP, MiniConfig
from humanclap.errors import CheckpointError, HumanCLAPError

CALIBRATION = Calibration(slope=8.0, intercept=2.5, fitted_on="validation", n=61)
FALLING = {"slope": -1.0, "intercept": 0.0, "fitted_on": "x", "n": 1}


@pytest.fixture(scope="module")
def tiny() -> MiniCLAP:
    torch.manual_seed(11)
    return MiniCLAP(MiniConfig.tiny())


@pytest.fixture
def saved(tiny: MiniCLAP, tmp_path: Path) -> Path:
    folder = tmp_path / "checkpoint"
    training = {"seed": 11, "objective": "wsce+mae", "note": "Geräusche 猫"}
    save_checkpoint(Checkpoint(tiny, CALIBRATION, training), folder, model_card="# Tiny\n")
    return folder


def test_a_saved_checkpoint_loads_as_it_was(tiny: MiniCLAP, saved: Path) -> None:
    loaded = load_checkpoint(saved)
    assert loaded.calibration == CALIBRATION
    assert loaded.training["note"] == "Geräusche 猫"
    texts = ["a dog barks", "rain"]
    tiny.eval()
    loaded.backbone.module().eval()
    assert torch.equal(loaded.backbone.embed_text(texts), tiny.embed_text(texts))
    assert (saved / "README.md").read_text() == "# Tiny\n"


def test_the_folder_of_a_training_run_stands_for_its_checkpoint(saved: Path) -> None:
    assert load_checkpoint(saved.parent).calibration == CALIBRATION


def test_saving_again_replaces_whole(tiny: MiniCLAP, saved: Path) -> None:
    (saved / "left over").touch()
    save_checkpoint(Checkpoint(tiny), saved)
    assert load_checkpoint(saved).calibration is None
    assert not (saved / "left over").exists()
    assert [path.name for path in saved.parent.iterdir()] == ["checkpoint"]


def test_a_failed_save_leaves_the_old_one_and_no_scraps(
    tiny: MiniCLAP, saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full_disk(_: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tiny, "save_pretrained", full_disk)
    with pytest.raises(OSError, match="No space left"):
        save_checkpoint(Checkpoint(tiny), saved)
    assert load_checkpoint(saved).calibration == CALIBRATION
    assert [path.name for path in saved.parent.iterdir()] == ["checkpoint"]


def test_refuses_to_replace_a_folder_of_something_else(tiny: MiniCLAP, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(CheckpointError, match="no humanclap checkpoint; not replaced"):
        save_checkpoint(Checkpoint(tiny), tmp_path)
    assert (tmp_path / "thesis.tex").exists()


def damage(folder: Path, **changes: object) -> None:
    manifest = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps({**manifest, **changes}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 99}, "format 99, this version reads 1"),
        ({"backbone": "maxi"}, "backbone 'maxi' is not known"),
        ({"calibration": {"slope": 1.0}}, "damaged calibration"),
        ({"calibration": FALLING}, "slope -1.0"),
    ],
)
def test_refuses_a_damaged_manifest(changes: dict[str, object], message: str, saved: Path) -> None:
    damage(saved, **changes)
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(saved)


def test_refuses_torn_json_missing_weights_and_empty_folders(saved: Path, tmp_path: Path) -> None:
    (saved / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"model\.safetensors"):
        load_checkpoint(saved)
    (saved / MANIFEST).write_text('{"format": 1,')
    with pytest.raises(CheckpointError, match="damaged JSON"):
        load_checkpoint(saved)
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(CheckpointError, match=r"neither humanclap\.json nor"):
        load_checkpoint(empty)


def test_refuses_an_unknown_name() -> None:
    with pytest.raises(CheckpointError, match="expected 'mini', 'mini-mn04', a checkpoint folder"):
        load_checkpoint("clap")
    with pytest.raises(HumanCLAPError):
        load_checkpoint("./no/such/folder")


def test_calibration_is_a_clipped_line() -> None:
    ratings = [CALIBRATION.rating(score) for score in (-1.0, 0.0, 0.5, 1.0)]
    assert ratings == [0.0, 2.5, 6.5, 10.0]
    assert math.isnan(CALIBRATION.rating(math.nan))


@pytest.mark.parametrize("slope", [-0.1, math.nan, math.inf])
def test_refuses_a_falling_or_undefined_calibration(slope: float) -> None:
    with pytest.raises(CheckpointError, match="slope of at least 0"):
        Calibration(slope=slope, intercept=0.0, fitted_on="x", n=1)
