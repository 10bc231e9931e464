"""From a folder to the hub and back by its id: the same scores, ratings, card and record."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from stand_in_hub import StandInHub, running_hub, use_hub
from tiny_hf import write_clap

from humanclap.clap.calibration import Calibration
from humanclap.clap.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from humanclap.clap.checkpoint_files import PACKAGED
from humanclap.clap.known_pairs import identities_of
from humanclap.errors import CheckpointError
from humanclap.scoring.scorer import HumanCLAP
from humanclap.scoring.settings import ScoringSettings

pytest.importorskip("transformers")

REPO = "someone/own-clap"
NOBODY = "http://127.0.0.1:9"
CALIBRATION = Calibration(
    scores=(0.0, 1.0), ratings=(1.0, 6.0), errors=(1.5, 2.0), fitted_on="validation", n=9
)
CARD = "---\nlicense: cc-by-4.0\n---\n# own-clap\n"


@pytest.fixture
def hub() -> Iterator[StandInHub]:
    with running_hub() as running:
        yield running


@pytest.fixture
def cache(hub, tmp_path, monkeypatch) -> Path:
    """An empty cache of the hub, which is the stand-in."""
    use_hub(monkeypatch, hub.url, tmp_path / "cache")
    return tmp_path / "cache"


def whole_record(backbone) -> Checkpoint:
    """A checkpoint with everything that can be lost on the way."""
    met = identities_of([(None, "rain", "tuned")])
    return Checkpoint(backbone, CALIBRATION, {"seed": 11, "note": "Geräusche 猫"}, met, "own-clap")


def hf(folder: Path) -> Path:
    """Tuned from a CLAP of transformers."""
    model = load_checkpoint(write_clap(folder.with_name("base"), fused=True)).backbone
    save_checkpoint(whole_record(model), folder, model_card=CARD)
    return folder


def mini(folder: Path, *, whole: bool = True) -> Path:
    """Tuned from the packaged model."""
    model = load_checkpoint("mini").backbone
    with torch.no_grad():
        model.log_scale.add_(0.5)
    save_checkpoint(whole_record(model), folder, model_card=CARD, whole=whole)
    return folder


def borrowing_mini(folder: Path) -> Path:
    """The same without what stands in the package."""
    return mini(folder, whole=False)


def answers(loaded: Checkpoint) -> dict[str, object]:
    """What a user sees of a model."""
    scorer = HumanCLAP(loaded, ScoringSettings(device="cpu"))
    noise = np.random.default_rng(5).normal(0, 0.1, 5 * 16_000)
    score = scorer.score(noise, "a dog barks", sample_rate=16_000)
    return {
        "score": score,
        "rating": (scorer.rate(score), scorer.rating_error(score)),
        "name": loaded.name,
        "training": loaded.training,
        "licence": loaded.licence,
        "fingerprint": loaded.backbone.fingerprint(),
        "met": loaded.known_identities().met(["Rain", "wind"], np.zeros(0, np.uint32)),
    }


def push(folder: Path, hub: StandInHub) -> None:
    """As `humanclap push`."""
    from humanclap.clap.publish import push_to_hub

    push_to_hub(folder, REPO, endpoint=hub.url, token="hf_none")


def copy(folder: Path, hub: StandInHub) -> None:
    """Byte for byte, as with git: what is borrowed stays so."""
    hub.upload(REPO, folder)


@pytest.mark.parametrize("put", [push, copy])
@pytest.mark.parametrize("write", [hf, mini, borrowing_mini])
def test_a_checkpoint_comes_back_from_the_hub_as_it_went(
    hub, cache, tmp_path, write: Callable[[Path], Path], put: Callable[[Path, StandInHub], None]
) -> None:
    folder = write(tmp_path / "checkpoint")
    expected = answers(load_checkpoint(folder))
    put(folder, hub)
    shutil.rmtree(folder)
    loaded = load_checkpoint(REPO)
    assert answers(loaded) == expected
    assert expected["met"] == ["caption:tuned", "unknown"]  # unknown: of a clip without codes
    assert expected["licence"] == "cc-by-4.0"
    assert (cache / f"models--someone--own-clap/snapshots/{loaded.revision}/README.md").is_file()


def test_a_checkpoint_over_mn04_comes_back_and_asks_for_its_file(
    hub, cache, tmp_path, monkeypatch
) -> None:
    from humanclap.clap.mini import MiniConfig, MiniMN04CLAP
    from humanclap.clap.mini.tagger import Tagger

    defaults = MiniMN04CLAP.from_pretrained.__func__.__kwdefaults__
    monkeypatch.setitem(defaults, "sha256", None)  # the published file is not at hand
    torch.manual_seed(3)
    network = Tagger().eval()
    mn04 = tmp_path / "mn04.pt"
    torch.save(network.state_dict(), mn04)
    settings = load_checkpoint("mini").backbone.settings()
    of_mn04 = json.loads((PACKAGED / "mini-mn04" / "config.json").read_text())
    sizes = {name: value for name, value in of_mn04.items() if name.startswith("audio_")}
    config = MiniConfig.from_json({**settings, **sizes, "name": "mini-mn04"})
    model = MiniMN04CLAP(config, load_checkpoint("mini").backbone.tokenizer, network).eval()
    save_checkpoint(whole_record(model), tmp_path / "checkpoint", model_card=CARD)
    push(tmp_path / "checkpoint", hub)
    expected = answers(load_checkpoint(tmp_path / "checkpoint", mn04=mn04))
    assert answers(load_checkpoint(REPO, mn04=mn04)) == expected


def test_what_was_fetched_loads_again_where_nobody_answers(
    hub, cache, tmp_path, monkeypatch
) -> None:
    push(mini(tmp_path / "checkpoint"), hub)
    online = answers(load_checkpoint(REPO))
    asked = len(hub.asked)
    use_hub(monkeypatch, NOBODY, cache)
    assert answers(load_checkpoint(REPO)) == online  # the hub cannot be reached
    assert answers(load_checkpoint(REPO, offline=True)) == online
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert answers(load_checkpoint(REPO)) == online
    assert len(hub.asked) == asked


@pytest.mark.parametrize("write", [hf, borrowing_mini])
def test_a_cache_that_others_filled_has_no_marks_of_absent_files_and_loads(
    hub, cache, tmp_path, monkeypatch, caplog, write: Callable[[Path], Path]
) -> None:
    from huggingface_hub import hf_hub_download

    hub.upload(REPO, write(tmp_path / "checkpoint"))
    del hub.commits[REPO][hub.main[REPO]]["README.md"]  # an optional file less
    for name in hub.files(REPO):
        hf_hub_download(REPO, name)
    assert not list(cache.rglob(".no_exist"))
    use_hub(monkeypatch, NOBODY, cache)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    loaded = load_checkpoint(REPO)
    assert (loaded.licence, loaded.calibration) == ("", CALIBRATION)
    assert loaded.known_identities().met(["rain"], np.zeros(0, np.uint32)) == ["caption:tuned"]
    assert caplog.text == ""


@pytest.mark.parametrize("bare", [False, True])
def test_optional_files_that_are_not_there_are_simply_absent(hub, cache, tmp_path, bare) -> None:
    hub.bare = bare  # a mirror that answers 404 and says no more
    hub.upload(REPO, write_clap(tmp_path / "model"))
    loaded = load_checkpoint(REPO)
    assert (loaded.licence, loaded.calibration, dict(loaded.training)) == ("", None, {})
    assert loaded.known_identities().met(["rain"], np.zeros(0, np.uint32)) == ["unknown"]
    assert loaded.name == REPO


def test_of_a_kind_of_another_package_every_file_is_brought(
    hub, cache, tmp_path, monkeypatch
) -> None:
    from humanclap.clap.hub import hub_folder

    manifest = b'{"format": 1, "backbone": "their-clap", "calibration": null}'
    files = {"humanclap.json": manifest, "theirs.bin": b"1"}
    hub.commit(REPO, {**files, ".gitattributes": b""})
    folder = hub_folder(REPO)
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == files
    with pytest.raises(CheckpointError, match="backbone 'their-clap' is "):
        load_checkpoint(REPO)
    use_hub(monkeypatch, NOBODY, cache)
    assert hub_folder(REPO) == folder


def test_weights_that_are_not_there_are_told(hub, cache, tmp_path) -> None:
    folder = mini(tmp_path / "checkpoint")
    (folder / "model.safetensors").unlink()
    hub.upload(REPO, folder)
    with pytest.raises(CheckpointError, match=r"the hub repository has no model\.safetensors"):
        load_checkpoint(REPO)


def test_a_revision_is_loaded_for_ever_and_named_in_the_signature(
    hub, cache, tmp_path, monkeypatch
) -> None:
    hub.upload(REPO, write_clap(tmp_path / "first"))
    first = hub.main[REPO]
    hub.upload(REPO, write_clap(tmp_path / "second", fused=True))
    newest, older = load_checkpoint(REPO), load_checkpoint(REPO, revision=first)
    assert (newest.revision, older.revision) == (hub.main[REPO], first)
    assert newest.backbone.fingerprint() != older.backbone.fingerprint()
    signature = HumanCLAP(older, ScoringSettings(device="cpu")).signature
    assert f"|model:{REPO}@{older.backbone.fingerprint()}|revision:{first}|rate:" in signature
    asked = len(hub.asked)
    assert load_checkpoint(f"{REPO}@{first}").revision == first
    assert len(hub.asked) == asked  # a whole commit in the cache: nothing to ask
    use_hub(monkeypatch, NOBODY, cache)
    assert load_checkpoint(f"{REPO}@{first}").revision == first
    with pytest.raises(CheckpointError, match="names a revision, and other is asked for"):
        load_checkpoint(f"{REPO}@{first}", revision="other")


def test_revisions_that_are_not_there_are_told(hub, cache, tmp_path, monkeypatch) -> None:
    commit = hub.upload(REPO, write_clap(tmp_path / "model"))
    with pytest.raises(CheckpointError, match="the hub repository has no revision v2; its page"):
        load_checkpoint(REPO, revision="v2")
    load_checkpoint(REPO, revision=commit)
    with pytest.raises(CheckpointError, match=f"load it once online.*; cached is --rev.* {commit}"):
        load_checkpoint(REPO, offline=True)  # `main` was never asked for


@pytest.mark.parametrize("model", ["mini", "folder"])
def test_a_revision_of_what_has_none_is_refused(tmp_path, monkeypatch, model) -> None:
    write_clap(tmp_path / "folder")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckpointError, match="has no revisions; --revision is for models of"):
        load_checkpoint(model, revision="main")


def test_a_processor_is_taken_from_a_folder_or_an_id(hub, cache, tmp_path) -> None:
    bare = write_clap(tmp_path / "bare", processor=False)
    own = write_clap(tmp_path / "own")
    hub.upload("someone/processor", own)
    del hub.files("someone/processor")["config.json"]  # nothing but a processor
    expected = load_checkpoint(own).backbone.embed_text(["a dog barks"]).shape
    for processor in (own, str(own), "someone/processor", f"someone/processor@{'0' * 40}"):
        if "@" in str(processor):
            with pytest.raises(CheckpointError, match="has no revision 0000"):
                load_checkpoint(bare, processor=processor)
            continue
        loaded = load_checkpoint(bare, processor=processor)
        assert loaded.backbone.embed_text(["a dog barks"]).shape == expected
    with pytest.raises(CheckpointError, match=r"kind 'mini' brings its own tokenizer"):
        load_checkpoint("mini", processor=own)


@pytest.mark.parametrize(
    "name",
    ["./nowhere", "/no/where", "no/such/folder", "runs/frist", "nowhere/", "~/nowhere", ".."],
)
def test_what_looks_like_a_folder_and_is_none_is_told_without_asking_the_hub(
    hub, cache, tmp_path, monkeypatch, name
) -> None:
    (tmp_path / "here" / "runs" / "first").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(CheckpointError, match=r"no such folder|neither humanclap\.json"):
        load_checkpoint(name)
    assert hub.asked == []


def test_an_id_whose_owner_is_also_a_folder_is_found_by_its_revision_or_the_cache(
    hub, cache, tmp_path, monkeypatch
) -> None:
    (tmp_path / "someone").mkdir()
    monkeypatch.chdir(tmp_path)
    hub.upload(REPO, write_clap(tmp_path / "model"))
    with pytest.raises(CheckpointError, match="if it is a hub id, say so with --revision main"):
        load_checkpoint(REPO)
    assert load_checkpoint(REPO, revision="main").name == REPO
    assert load_checkpoint(REPO).name == REPO  # known by now


def test_the_command_line_passes_revision_and_processor_on(
    hub, cache, tmp_path, capsys, monkeypatch
) -> None:
    import soundfile

    from humanclap.cli.main import run

    bare = write_clap(tmp_path / "bare", processor=False)
    commit = hub.upload(REPO, bare)
    hub.upload("someone/processor", write_clap(tmp_path / "own"))
    noise = np.random.default_rng(5).normal(0, 0.1, 16_000)
    soundfile.write(tmp_path / "noise.wav", noise, 16_000)
    arguments = [str(tmp_path / "noise.wav"), "a dog barks", "-m", REPO]
    wanted = ["--revision", commit, "--processor", "someone/processor"]
    assert run(["score", *arguments, *wanted]) == 0
    assert f"|revision:{commit}|" in capsys.readouterr().err
    assert run(["score", *arguments, "--revision", "v9"]) == 2
    assert "has no revision v9" in capsys.readouterr().err


def test_a_fresh_process_scores_by_id_from_the_command_line(hub, tmp_path) -> None:
    import soundfile

    folder = borrowing_mini(tmp_path / "checkpoint")
    push(folder, hub)
    noise = np.random.default_rng(5).normal(0, 0.1, 16_000)
    soundfile.write(tmp_path / "noise.wav", noise, 16_000)
    here = _scored(tmp_path, str(folder), {})
    home = {"HF_HOME": str(tmp_path / "home"), "NO_PROXY": "127.0.0.1"}
    online = _scored(tmp_path, REPO, {**home, "HF_ENDPOINT": hub.url})
    offline = _scored(tmp_path, REPO, {**home, "HF_ENDPOINT": NOBODY, "HF_HUB_OFFLINE": "1"})
    assert online == offline
    for name in ("score", "rating", "rating_error", "met"):
        assert online[name] == here[name]


def _scored(tmp_path: Path, model: str, environment: dict[str, str]) -> dict[str, object]:
    command = ["score", str(tmp_path / "noise.wav"), "a dog barks", "-m", model, "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "humanclap", *command],
        env=os.environ | {"HF_HUB_DISABLE_XET": "1", **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))
