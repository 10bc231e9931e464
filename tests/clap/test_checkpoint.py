from __future__ import annotations

import json
import math
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch

from humanclap.clap.calibration import Calibration
from humanclap.clap.checkpoint import Checkpoint, load_checkpoint, save_checkpoint, write_manifest
from humanclap.clap.checkpoint_files import MANIFEST, PACKAGED, packaged_names
from humanclap.clap.mini import MiniCLAP, MiniConfig
from humanclap.errors import CheckpointError, HumanCLAPError
from humanclap.scoring.scorer import HumanCLAP
from humanclap.scoring.settings import ScoringSettings
from humanclap.signature import Signature

CALIBRATION = Calibration(
    scores=(0.0, 0.5), ratings=(2.5, 6.5), errors=(1.0, 2.0), fitted_on="validation", n=61
)
LINE = {"slope": 8.0, "intercept": 0.0, "fitted_on": "x", "n": 1}
FALLING = {**asdict(CALIBRATION), "ratings": [2.0, 1.0]}


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


def test_a_tuned_model_has_its_own_name_in_signatures(tiny: MiniCLAP, tmp_path: Path) -> None:
    save_checkpoint(Checkpoint(tiny, name="mini-rain"), tmp_path / "checkpoint")
    loaded = load_checkpoint(tmp_path)
    assert (loaded.name, loaded.backbone.name) == ("mini-rain", "mini-tiny")
    signature = HumanCLAP(loaded, ScoringSettings(device="cpu")).signature
    assert f"|model:mini-rain@{tiny.fingerprint()}|" in signature
    assert Signature.parse(signature).model == "mini-rain"
    assert Checkpoint(tiny).name == "mini-tiny"
    with pytest.raises(CheckpointError, match="would break signatures"):
        Checkpoint(tiny, name="a|b")
    damage(tmp_path / "checkpoint", name=["rain"])
    with pytest.raises(CheckpointError, match=r"name is \['rain'\]; expected a text"):
        load_checkpoint(tmp_path)


@pytest.mark.parametrize(
    ("card", "licence"),
    [
        ("---\nlicense: cc-by-4.0\ntags: [x]\n---\n# Title\n", "cc-by-4.0"),
        ("---\ntags: [x]\n---\nlicense: mit\n", ""),
        ("license: mit\n", ""),
        ("", ""),
    ],
)
def test_the_licence_is_what_the_head_of_the_card_says(
    card: str, licence: str, tiny: MiniCLAP, tmp_path: Path
) -> None:
    save_checkpoint(Checkpoint(tiny), tmp_path / "checkpoint", model_card=card)
    assert load_checkpoint(tmp_path).licence == licence


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
    def full_disk(_: Path, *, whole: bool) -> None:
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
        ({"calibration": {"scores": [1.0]}}, r"humanclap\.json: damaged calibration"),
        ({"calibration": {**asdict(CALIBRATION), "scores": ["low"]}}, "damaged calibration"),
        ({"calibration": [1, 2]}, "damaged calibration"),
        ({"calibration": FALLING}, r"damaged calibration \(calibration: ratings .* fall\)"),
        ({"calibration": LINE}, "a line without a standard error.*train again, or set"),
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
    with pytest.raises(CheckpointError, match=r"expected 'mini', 'mini-mn04', a name that"):
        load_checkpoint("clop")
    with pytest.raises(CheckpointError, match=r"no such model \(did you mean 'human-clap'\?\)"):
        load_checkpoint("humanclap")
    with pytest.raises(HumanCLAPError):
        load_checkpoint("./no/such/folder")


@pytest.fixture
def shipped(tiny: MiniCLAP, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of packaged models with one of them, `base`."""
    save_checkpoint(Checkpoint(tiny, CALIBRATION), tmp_path / "weights" / "base")
    (tmp_path / "weights" / "scraps").mkdir()
    monkeypatch.setattr("humanclap.clap.checkpoint_files.PACKAGED", tmp_path / "weights")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "weights"


def test_a_packaged_name_brings_its_calibration(tiny: MiniCLAP, shipped: Path) -> None:
    loaded = load_checkpoint("base")
    assert loaded.calibration == CALIBRATION
    assert loaded.backbone.fingerprint() == tiny.fingerprint()


def test_weights_in_half_precision_become_a_packaged_model_by_their_manifest(
    tiny: MiniCLAP, shipped: Path
) -> None:
    tiny.save_pretrained(shipped / "half", half=True)
    assert packaged_names() == ["base"]
    write_manifest(Checkpoint(tiny, CALIBRATION), shipped / "half")
    assert packaged_names() == ["base", "half"]
    assert load_checkpoint("half").calibration == CALIBRATION


def test_an_unknown_name_is_told_the_packaged_ones(shipped: Path) -> None:
    with pytest.raises(
        CheckpointError, match=r"expected 'base', a name that .* lists, a checkpoint folder"
    ):
        load_checkpoint("mini")
    with pytest.raises(CheckpointError, match="no such model"):
        load_checkpoint("scraps")


def test_a_folder_named_as_a_packaged_model_does_not_stand_in_its_way(
    tiny: MiniCLAP, shipped: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "base").mkdir()  # in the current folder
    assert load_checkpoint("base").calibration == CALIBRATION
    assert caplog.text == ""
    save_checkpoint(Checkpoint(tiny), tmp_path / "base")
    assert load_checkpoint("base").calibration == CALIBRATION
    assert "base is the packaged model; the folder of that name is ./base" in caplog.text
    for own in ("./base", "base/", str(tmp_path / "base"), Path("base")):
        assert load_checkpoint(own).calibration is None


def test_a_misspelt_folder_is_told_what_lies_beside_it(shipped: Path, tmp_path: Path) -> None:
    (tmp_path / "a" / "runs" / "relate").mkdir(parents=True)
    with pytest.raises(CheckpointError, match=r"a/runs/relat: no such .* \(a/runs holds relate\)"):
        load_checkpoint("a/runs/relat")


def test_what_the_package_holds_can_be_named() -> None:
    assert {"mini", "mini-mn04"} <= set(packaged_names())
    for name in packaged_names():
        manifest = json.loads((PACKAGED / name / MANIFEST).read_text())
        assert manifest["name"] == name
        assert {path.name for path in (PACKAGED / name).iterdir()} > {"config.json", "README.md"}


def test_calibration_is_a_clipped_line_through_its_knots() -> None:
    ratings = [CALIBRATION.rating(score) for score in (-1.0, 0.0, 0.25, 0.5, 0.75, 1.0)]
    assert ratings == [0.0, 2.5, 4.5, 6.5, 8.5, 10.0]  # 2.5 + 8 score
    assert math.isnan(CALIBRATION.rating(math.nan))


def test_a_bent_calibration_goes_on_as_its_outer_segments() -> None:
    bent = replace(
        CALIBRATION, scores=(0.0, 0.2, 0.4), ratings=(3.0, 4.0, 6.0), errors=(1.0, 1.0, 1.0)
    )
    ratings = [bent.rating(score) for score in (-0.2, 0.1, 0.2, 0.3, 0.6)]
    assert ratings == pytest.approx([2.0, 3.5, 4.0, 5.0, 8.0])


def test_the_standard_error_lies_between_its_knots_and_stays_beyond() -> None:
    errors = [CALIBRATION.standard_error(score) for score in (-1.0, 0.0, 0.25, 0.5, 1.0)]
    assert errors == pytest.approx([1.0, 1.0, 1.5, 2.0, 2.0])
    assert math.isnan(CALIBRATION.standard_error(math.nan))


def test_a_calibration_of_one_knot_is_constant() -> None:
    flat = Calibration(scores=(0.3,), ratings=(5.0,), errors=(2.0,), fitted_on="x", n=3)
    assert [flat.rating(score) for score in (-1.0, 0.3, 1.0)] == [5.0] * 3
    assert [flat.standard_error(score) for score in (-1.0, 0.3, 1.0)] == [2.0] * 3


def test_a_calibration_keeps_what_it_covers_and_an_older_one_reads_without(saved: Path) -> None:
    manifest = json.loads((saved / MANIFEST).read_text())
    known = {"covers": ["natural"], "guess": True}
    for given, expected in ((known, (("natural",), True)), ({}, ((), False))):
        older = {k: v for k, v in asdict(CALIBRATION).items() if k not in ("covers", "guess")}
        (saved / MANIFEST).write_text(json.dumps({**manifest, "calibration": {**older, **given}}))
        loaded = load_checkpoint(saved).calibration
        assert loaded is not None
        assert (loaded.covers, loaded.guess) == expected


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scores": (0.5, 0.5)}, "do not increase"),
        ({"ratings": (6.0, 5.0)}, "fall"),
        ({"ratings": (6.0, math.nan)}, "finite numbers only"),
        ({"errors": (1.0, 0.0)}, "not all above 0"),
        ({"errors": (1.0,)}, "2 scores, 2 ratings and 1 errors; expected as many"),
        ({"scores": (), "ratings": (), "errors": ()}, "one or more"),
        ({"n": 0}, "n is 0"),
        ({"low": 10.0}, "low 10 is not below high 10"),
    ],
)
def test_refuses_a_calibration_that_means_nothing(changes: dict[str, object], message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        replace(CALIBRATION, **changes)  # type: ignore[arg-type]


def test_the_part_of_an_error_that_predictions_share_is_kept_and_checked():
    knots = {"scores": (0.0, 1.0), "ratings": (2.0, 8.0), "errors": (2.0, 1.0)}
    known = Calibration(**knots, map_errors=[1.0, 0.5], fitted_on="x", n=9)
    assert known.map_error(0.5) == 0.75
    assert Calibration(**knots, fitted_on="x", n=9).map_error(0.5) == 1.5  # all of it
    for wrong in ((1.0,), (3.0, 0.5), (-1.0, 0.5), (math.nan, 0.5)):
        with pytest.raises(CheckpointError, match="are not a part of errors"):
            Calibration(**knots, map_errors=wrong, fitted_on="x", n=9)
