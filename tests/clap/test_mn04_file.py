"""mini-mn04 finds mn04's file: given by path, cached, or fetched; here from a local server."""

import hashlib
import io
from pathlib import Path

import pytest
import torch

from humanclap.clap.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from humanclap.clap.mini import MiniMN04CLAP, mn04_file
from humanclap.clap.mini.mn04 import load_mn04
from humanclap.clap.mini.tagger import Tagger
from humanclap.errors import CheckpointError
from humanclap.scoring.scorer import HumanCLAP

REAL_FILE = Path(__file__).resolve().parents[3] / "shared/models/mn04/mn04_as_mAP_432.pt"


@pytest.fixture
def mirror(server, tmp_path, monkeypatch):
    """A mirror of a file of mn04's shape, taken for the published one; an empty cache."""
    content = io.BytesIO()
    torch.save(Tagger().state_dict(), content)
    server.body = content.getvalue()
    sha256 = hashlib.sha256(server.body).hexdigest()
    monkeypatch.setattr(mn04_file, "MN04_SHA256", sha256)
    for loader in (load_mn04, MiniMN04CLAP.from_pretrained.__func__):
        monkeypatch.setitem(loader.__kwdefaults__, "sha256", sha256)
    monkeypatch.setenv("HUMANCLAP_MN04_URL", server.url)
    monkeypatch.setenv("HUMANCLAP_CACHE", str(tmp_path / "cache"))
    return server


def test_mini_mn04_is_fetched_once_and_then_loads_offline(mirror, tmp_path):
    first = load_checkpoint("mini-mn04")
    assert (tmp_path / "cache" / "mn04_as_mAP_432.pt").read_bytes() == mirror.body
    again = HumanCLAP.from_pretrained("mini-mn04", offline=True)
    assert again.backbone.fingerprint() == first.backbone.fingerprint()
    assert len(mirror.asked) == 1


def test_a_model_trained_from_it_finds_the_file_likewise(mirror, tmp_path):
    model = load_checkpoint("mini-mn04").backbone
    save_checkpoint(Checkpoint(model), tmp_path / "run" / "checkpoint")
    assert load_checkpoint(tmp_path / "run", offline=True).backbone.kind == "mini-mn04"
    (tmp_path / "cache" / "mn04_as_mAP_432.pt").unlink()
    with pytest.raises(CheckpointError, match="must not be fetched offline"):
        load_checkpoint(tmp_path / "run", offline=True)
    load_checkpoint(tmp_path / "run")
    assert len(mirror.asked) == 2


def test_offline_and_not_cached_it_says_how_to_get_it(mirror):
    remedy = "load the model once with a network, or give the path of a copy .*HUMANCLAP_MN04"
    with pytest.raises(CheckpointError, match=rf"EfficientAT.* not there yet.*{remedy}"):
        HumanCLAP.from_pretrained("mini-mn04", offline=True)
    assert mirror.asked == []


@pytest.mark.parametrize("how", ["argument", "variable"])
def test_a_path_given_is_never_fetched_in_the_stead_of(mirror, tmp_path, monkeypatch, how):
    copy = tmp_path / "copy.pt"
    given = {"mn04": copy} if how == "argument" else {}
    if how == "variable":
        monkeypatch.setenv("HUMANCLAP_MN04", str(copy))
    with pytest.raises(CheckpointError, match=r"copy\.pt: no such file"):
        load_checkpoint("mini-mn04", **given)
    copy.write_bytes(b"another")
    with pytest.raises(CheckpointError, match=r"copy\.pt: sha256 is"):
        load_checkpoint("mini-mn04", **given)
    copy.write_bytes(mirror.body)
    assert load_checkpoint("mini-mn04", **given).backbone.kind == "mini-mn04"
    assert mirror.asked == []
    assert not (tmp_path / "cache").exists()


def test_another_file_from_the_mirror_is_refused(mirror, tmp_path):
    mirror.body = b"<html>log in to the network</html>"
    with pytest.raises(CheckpointError, match=r"has SHA-256 .* HUMANCLAP_MN04_URL to a mirror"):
        load_checkpoint("mini-mn04")
    assert [one.name for one in (tmp_path / "cache").iterdir() if one.suffix != ".lock"] == []


def test_an_address_nobody_answers_at_is_named_with_the_remedy(mirror, monkeypatch):
    monkeypatch.setattr("humanclap.download.cache.TRIES", 1)
    monkeypatch.setenv("HUMANCLAP_MN04_URL", "http://127.0.0.1:9/mn04.pt")
    with pytest.raises(CheckpointError, match=r"127\.0\.0\.1:9/mn04\.pt: .*refused.*--mn04"):
        load_checkpoint("mini-mn04")
    monkeypatch.setenv("HUMANCLAP_MN04_URL", "mirror/mn04.pt")
    with pytest.raises(CheckpointError, match="begins with http"):
        load_checkpoint("mini-mn04")


def test_without_the_variable_it_comes_from_the_release(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(mn04_file, "cached_file", lambda url, *_, **__: asked.append(url))
    monkeypatch.delenv("HUMANCLAP_MN04_URL")
    mn04_file.find_mn04()
    release = "https://github.com/fschmid56/EfficientAT/releases/download/v0.0.1/"
    assert asked == [release + "mn04_as_mAP_432.pt"]


@pytest.mark.skipif(not REAL_FILE.exists(), reason="shared/models/mn04 is absent")
def test_the_published_file_passes_and_gives_the_model_that_was_measured(
    server, tmp_path, monkeypatch
):
    server.body = REAL_FILE.read_bytes()
    monkeypatch.setenv("HUMANCLAP_MN04_URL", server.url)
    monkeypatch.setenv("HUMANCLAP_CACHE", str(tmp_path))
    found = load_checkpoint("mini-mn04").backbone
    assert found.fingerprint() == "4d341258"  # in benchmarks/results/mini_quality.json
    assert (tmp_path / "mn04_as_mAP_432.pt").stat().st_size == 4_066_513
