"""Upload to a stub of the hub on 127.0.0.1."""

import json

import pytest
import torch
from stand_in_hub import running_hub

from humanclap.clap.calibration import Calibration
from humanclap.clap.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from humanclap.errors import CheckpointError

pytest.importorskip("transformers")
REPO = "someone/human-clap"


@pytest.fixture
def hub():
    with running_hub() as running:
        yield running


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of a run whose model is a transformers CLAP."""
    from tiny_hf import write_clap

    from humanclap.clap.hf import HFCLAP

    model = HFCLAP.from_pretrained(write_clap(tmp_path_factory.mktemp("hf") / "model"))
    line = Calibration(
        scores=(0.0, 1.0), ratings=(1.0, 6.0), errors=(1.5, 2.0), fitted_on="validation", n=9
    )
    folder = tmp_path_factory.mktemp("runs") / "first"
    save_checkpoint(Checkpoint(model, line), folder / "checkpoint", model_card="# A card\n")
    return folder


def test_what_is_uploaded_loads_in_transformers_and_here(hub, run, tmp_path):
    from transformers import ClapModel, ClapProcessor

    from humanclap.clap.publish import push_to_hub

    address = push_to_hub(run, REPO, private=True, endpoint=hub.url, token="hf_none")
    assert address == f"{hub.url}/{REPO}"
    assert hub.created[0]["name"] == "human-clap"
    assert hub.files(REPO)["README.md"] == b"# A card\n"
    copy = tmp_path / "copy"
    copy.mkdir()
    for name, content in hub.files(REPO).items():
        (copy / name).write_bytes(content)
    there = ClapModel.from_pretrained(copy).state_dict()
    here = load_checkpoint(run)
    for name, tensor in here.backbone.module().model.state_dict().items():
        assert torch.equal(there[name], tensor), name
    assert ClapProcessor.from_pretrained(copy).tokenizer("a dog barks")["input_ids"]
    again = load_checkpoint(copy)
    assert again.backbone.fingerprint() == here.backbone.fingerprint()
    assert again.calibration == here.calibration


def test_a_refusal_and_a_folder_without_a_model_are_told(hub, run, tmp_path):
    from humanclap.clap.publish import push_to_hub

    hub.refuse = True
    with pytest.raises(CheckpointError, match=r"someone/human-clap: the hub does not take it"):
        push_to_hub(run, REPO, endpoint=hub.url, token="hf_none")
    with pytest.raises(CheckpointError, match="no checkpoint of humanclap"):
        push_to_hub(tmp_path, REPO, endpoint=hub.url)


def test_what_a_packaged_model_has_is_uploaded_too(hub, tmp_path):
    from humanclap.clap.publish import push_to_hub

    base = load_checkpoint("mini")
    with torch.no_grad():
        base.backbone.log_scale.add_(0.5)
    own = Checkpoint(base.backbone, base.calibration, name="mini-own")
    save_checkpoint(own, tmp_path / "own", model_card="# mini-own\n", whole=False)
    assert (tmp_path / "own" / "model.safetensors").stat().st_size < 1_000_000
    push_to_hub(tmp_path / "own", REPO, endpoint=hub.url, token="hf_none")
    copy = tmp_path / "copy"
    copy.mkdir()
    for name, content in hub.files(REPO).items():
        (copy / name).write_bytes(content)
    assert "shares" not in json.loads((copy / "config.json").read_text())
    again = load_checkpoint(copy)
    assert (again.name, again.calibration) == ("mini-own", base.calibration)
    assert again.backbone.fingerprint() == base.backbone.fingerprint()
    assert (copy / "README.md").read_text() == "# mini-own\n"
