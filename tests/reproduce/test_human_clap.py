"""The whole command at a small size: local servers, a tiny random CLAP, simulated ratings."""

from __future__ import annotations

import gc
import hashlib
import json
import shutil
import weakref
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest
from file_server import serving
from scipy.stats import spearmanr
from small_relate import names, write_archive, write_scores
from tiny_hf import write_clap

from humanclap.cli.main import run
from humanclap.experiments import grid
from humanclap.reproduce import human_clap
from humanclap.reproduce import plan as planning
from humanclap.reproduce.models import scores_of
from humanclap.reproduce.request import Request
from humanclap.scoring.scorer import HumanCLAP
from humanclap.tables import read_scores, read_targets
from humanclap.training.loop.timing import StepTimes

pytest.importorskip("transformers")

CLIPS = names(40, 8, 12)
SYSTEMS = 5
RUN = "runs/*/wSCE+MAE/all/all-pairs/test/seed-0/predictions.csv"
TIMES = StepTimes(train_s=0.5, embed_s=0.1, batch=4, steps=2, parameters=1000, device="cpu")


@pytest.fixture(autouse=True, scope="module")
def quick_steps():
    """A few steps of a full-size model take half a minute."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(planning, "time_steps", lambda **_: TIMES)
        yield


@pytest.fixture(scope="module")
def material(tmp_path_factory) -> Path:
    """scores.csv, the archive and two tiny CLAPs."""
    folder = tmp_path_factory.mktemp("material")
    write_scores(folder / "REL.csv", CLIPS)
    write_archive(folder / "RELATE_wave.zip", CLIPS, seconds=0.4)
    write_clap(folder / "fused", fused=True)
    write_clap(folder / "plain")
    return folder


@pytest.fixture(scope="module")
def address(material):
    with serving(material) as server:
        yield server


def arguments(material: Path, address, output: Path, *more: str) -> list[str]:
    digest = hashlib.sha256((material / "REL.csv").read_bytes()).hexdigest()
    return [
        *("reproduce", "human-clap", "-o", str(output), "--base", str(material / "fused")),
        *("--against", str(material / "plain"), "--objectives", "SCE,wSCE+MAE", "--seeds", "0"),
        *("--epochs", "1", "--batch-size", "8", "--precision", "fp32", "--simulated"),
        *("--scores-url", f"{address.url}/REL.csv", "--scores-sha256", digest),
        *("--archive-url", f"{address.url}/RELATE_wave.zip", *more),
    ]


@pytest.fixture(scope="module")
def reproduced(material, address, tmp_path_factory) -> Path:
    """The output of the whole command, stopped once before its report and gone on with."""
    output = tmp_path_factory.mktemp("reproduced") / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(human_clap, "write_report", stop)
        assert run(arguments(material, address, output, "--quiet")) == 130
        assert not (output / "report.json").exists()
        patch.undo()
        patch.setattr(planning, "time_steps", lambda **_: TIMES)
        patch.setattr(grid, "train", None)  # nothing is trained twice
        asked = len(address.asked)
        assert run(arguments(material, address, output, "--resume", "--quiet")) == 0
        assert len(address.asked) == asked  # and nothing fetched twice
    return output


def stop(*_: object) -> None:
    raise KeyboardInterrupt


def told(output: Path) -> dict:
    return json.loads((output / "report.json").read_text(encoding="utf-8"))


def test_every_report_says_that_the_ratings_are_simulated(reproduced):
    for name in ("report.html", "report.md", "report.json", "table.tex"):
        assert "imulated" in (reproduced / name).read_text(encoding="utf-8")
    assert "imulated" in (reproduced / "checkpoint" / "README.md").read_text(encoding="utf-8")


def test_the_figures_are_those_of_the_tables_beside_them(reproduced, material):
    targets = {t.pair_id: t for t in read_targets(reproduced / "data" / "targets.csv")}
    judged = [target for target in targets.values() if target.split != "train"]
    assert (len(targets), len(judged)) == (60, 20)
    (table,) = (reproduced / "scores").glob("fused-*.csv")
    of_pair = {score.pair_id: score.score for score in read_scores(table)}
    found = told(reproduced)
    rows = {row["name"]: row for row in found["rows"]}
    base = rows["fused"]
    for view, keep in (
        ("all judged", lambda one: True),
        ("test alone", lambda one: one.split == "test"),
        ("synthetic", lambda one: one.system != "natural"),
        ("without tango2", lambda one: one.system != "tango2"),
    ):
        own = [target for target in judged if keep(target)]
        expected = spearmanr([of_pair[t.pair_id] for t in own], [t.mos for t in own]).statistic
        assert base["srcc"][view]["value"] == pytest.approx(expected), view
        assert found["views"][view] == len(own)
    (run_table,) = reproduced.glob(RUN)
    scores = {row.pair_id: row.score for row in read_scores(run_table)}
    mos = [target.mos for target in judged]
    trained = spearmanr([scores[target.pair_id] for target in judged], mos).statistic
    main = rows["wSCE+MAE"]
    assert main["srcc"]["all judged"]["value"] == pytest.approx(trained)
    gain = main["gain"]["all judged"]
    assert gain["value"] == pytest.approx(trained - base["srcc"]["all judged"]["value"])
    assert gain["low"] < gain["value"] < gain["high"]
    assert {row["kind"] for row in found["rows"]} == {"plain", "trained", "floor"}


def test_models_are_named_by_the_last_part_of_their_paths(reproduced, material):
    for name in ("report.html", "report.md", "table.tex"):
        text = (reproduced / name).read_text(encoding="utf-8").replace("<wbr>", "")
        assert str(material) not in text.split("humanclap reproduce")[0], name
    assert [row["name"] for row in told(reproduced)["rows"][:2]] == ["plain", "fused"]


def test_a_model_is_let_go_once_it_has_scored(reproduced, material, tmp_path, monkeypatch):
    judged = [t for t in read_targets(reproduced / "data" / "targets.csv") if t.split != "train"]
    loaded, load = [], HumanCLAP.from_pretrained

    def remembered(*arguments, **settings):
        gc.collect()
        assert [one for one in loaded if one() is not None] == []
        scorer = load(*arguments, **settings)
        loaded.extend([weakref.ref(scorer), weakref.ref(scorer.backbone.module())])
        return scorer

    monkeypatch.setattr(HumanCLAP, "from_pretrained", remembered)
    request = Request(base=str(material / "fused"), plain=(), released=(), device="cpu")
    clips = reproduced / "data" / "RELATE_wave"
    for name in ("fused", "plain", "fused"):
        scores_of(str(material / name), judged[:2], clips, tmp_path / str(len(loaded)), request)
    assert len(loaded) == 6


def test_the_runs_are_the_grid_fewer_ratings_and_a_system_left_out_each(reproduced):
    found = told(reproduced)
    assert [one["pairs"] for one in found["fewer"]] == [10, 30]
    assert [one["n"] for one in found["left_out"]] == [4] * SYSTEMS or found["not_left_out"]
    runs = list((reproduced / "runs").rglob("metrics.json"))
    parts = 1 + len(found["left_out"])
    assert len(runs) == parts + 2 + 2 + len(found["left_out"])
    stages = {one["name"]: one for one in found["stages"]}
    assert stages["train"]["attempts"] == 2
    assert stages["train"]["finished"]
    assert stages["train"]["peak_mb"] > 100


def test_the_checkpoint_is_a_model_ready_to_score(reproduced, material):
    scorer = HumanCLAP.from_pretrained(reproduced / "checkpoint")
    rows = read_scores(next(reproduced.glob(RUN)))
    clip = reproduced / "data" / "RELATE_wave" / rows[0].audio
    assert scorer.score(clip, rows[0].text) == pytest.approx(rows[0].score, abs=1e-5)
    assert np.isfinite(scorer.rate(rows[0].score))


def test_an_output_is_gone_on_with_only_when_asked_to_and_as_it_was_begun(
    reproduced, material, address, capsys
):
    assert run(arguments(material, address, reproduced)) == 2
    assert "--resume goes on with it" in capsys.readouterr().err
    changed = arguments(material, address, reproduced, "--resume", "--epochs", "2")
    assert run(changed) == 2
    assert "was begun with epochs = 1, not 2" in capsys.readouterr().err


def test_the_plan_asks_no_network_and_writes_nothing(material, address, tmp_path, capsys):
    asked = len(address.asked)
    assert run(arguments(material, address, tmp_path / "out", "--dry-run")) == 0
    printed = capsys.readouterr().out
    assert "Training runs: 12, with seeds 0: 2 of the grid (SCE, wSCE+MAE)" in printed
    assert "RELATE's clips: 1.8 GB" in printed
    assert (len(address.asked), (tmp_path / "out").exists()) == (asked, False)


def test_too_little_disk_or_memory_is_said_before_the_first_byte(
    material, address, tmp_path, capsys, monkeypatch
):
    usage = namedtuple("usage", "total used free")
    asked = len(address.asked)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**10, 0, 10**9))
    assert run(arguments(material, address, tmp_path / "a")) == 2
    assert "of disk are needed and 1.0 GB are free" in capsys.readouterr().err
    monkeypatch.undo()
    monkeypatch.setattr(planning, "time_steps", lambda **_: TIMES)
    monkeypatch.setattr(planning, "_memory_mb", lambda: 2000.0)
    assert run(arguments(material, address, tmp_path / "b")) == 2
    assert "give a smaller --batch-size" in capsys.readouterr().err
    assert len(address.asked) == asked


def test_another_or_a_truncated_download_is_noticed(material, tmp_path, capsys):
    copy = tmp_path / "served"
    shutil.copytree(material, copy)
    with serving(copy) as other:
        wanted = arguments(material, other, tmp_path / "a", "--quiet")
        (copy / "REL.csv").write_text((copy / "REL.csv").read_text() + "\n")
        assert run(wanted) == 2
        assert "expected is" in capsys.readouterr().err
        shutil.copy(material / "REL.csv", copy / "REL.csv")
        whole = (copy / "RELATE_wave.zip").read_bytes()
        (copy / "RELATE_wave.zip").write_bytes(whole[: len(whole) // 2])
        assert run([*wanted, "--resume"]) == 2
        assert "damaged" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (["--objectives", "wSCE+MEA"], "no objective 'wSCE+MEA'"),
        (["--seeds", "0,0"], "none twice"),
        (["--seeds", "one"], "expected whole numbers"),
        (["--ratings", "mine.csv"], "--audio-root together"),
    ],
)
def test_what_cannot_be_reproduced_is_refused_at_once(wrong, message, tmp_path, capsys):
    assert run(["reproduce", "human-clap", "-o", str(tmp_path / "out"), *wrong]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
