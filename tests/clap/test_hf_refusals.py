"""Folders that are no usable ClapModel: each is refused with the reason and a remedy."""

from __future__ import annotations

import json
import pickle
import shutil
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_hf import write_clap, write_extractor

from humanclap.errors import CheckpointError, MissingExtraError

pytest.importorskip("transformers")

from humanclap.clap.hf import HFCLAP


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return write_clap(tmp_path_factory.mktemp("clap") / "whole")


@pytest.fixture
def folder(whole, tmp_path):
    """A copy to be damaged."""
    return Path(shutil.copytree(whole, tmp_path / "model"))


def refused(folder, **settings) -> str:
    with pytest.raises(CheckpointError) as caught:
        HFCLAP.from_pretrained(folder, offline=True, **settings)
    return str(caught.value)


def test_refuses_a_folder_without_config(folder):
    (folder / "config.json").unlink()
    assert "no config.json; expected a transformers model folder" in refused(folder)


def test_refuses_a_damaged_config(folder):
    (folder / "config.json").write_text('{"model_type": "cl')
    assert "config.json: damaged JSON" in refused(folder)


def test_refuses_a_config_that_is_no_object(folder):
    (folder / "config.json").write_text("[]")
    assert "damaged JSON" in refused(folder)


def test_refuses_a_model_of_another_kind(folder):
    (folder / "config.json").write_text('{"model_type": "bert"}')
    assert "a model of type 'bert'; expected 'clap'" in refused(folder)


def test_refuses_a_folder_without_weights(folder):
    (folder / "model.safetensors").unlink()
    assert "no weights; expected model.safetensors (is the copy complete?)" in refused(folder)


@pytest.mark.parametrize("keep", [0, 4, 5000])
def test_refuses_truncated_weights(folder, keep):
    content = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(content[:keep])
    assert "is the copy complete and undamaged?" in refused(folder)


def test_refuses_weights_with_a_part_missing_instead_of_making_it_random(folder):
    weights = load_file(folder / "model.safetensors")
    del weights["audio_projection.linear1.weight"]
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    message = refused(folder)
    assert "1 weights are missing, for example audio_projection.linear1.weight" in message


def test_refuses_weights_of_another_size(folder):
    weights = load_file(folder / "model.safetensors")
    weights["audio_projection.linear1.weight"] = torch.zeros(3, 3)
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    assert "transformers cannot load it" in refused(folder)


class _Payload:
    def __reduce__(self):
        return (pytest.fail, ("code inside the weights was run",))


def test_refuses_pickled_weights_that_hold_code(folder):
    (folder / "model.safetensors").unlink()
    torch.save({"logit_scale_a": _Payload()}, folder / "pytorch_model.bin", pickle_module=pickle)
    assert "transformers cannot load it" in refused(folder)


def test_plain_tensors_in_the_old_file_format_are_loaded(folder, whole):
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save(weights, folder / "pytorch_model.bin")
    old = HFCLAP.from_pretrained(folder, offline=True)
    assert old.fingerprint() == HFCLAP.from_pretrained(whole, offline=True).fingerprint()


@pytest.mark.parametrize("name", ["preprocessor_config.json", "merges.txt"])
def test_refuses_a_model_without_processor_where_the_usual_one_is_not_at_hand(
    folder, monkeypatch, tmp_path, name
):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    (folder / name).unlink()
    message = refused(folder)
    assert "brings no tokenizer or preprocessor_config.json" in message
    assert "laion/clap-htsat-unfused" in message
    assert "give processor= (--processor), a folder that holds them" in message


def test_a_processor_may_be_given(folder, whole):
    (folder / "preprocessor_config.json").unlink()
    model = HFCLAP.from_pretrained(folder, offline=True, processor=whole)
    assert model.fingerprint() == HFCLAP.from_pretrained(whole, offline=True).fingerprint()


def test_refuses_a_given_processor_that_is_none(folder, tmp_path):
    (tmp_path / "empty").mkdir()
    assert "no processor; expected" in refused(folder, processor=tmp_path / "empty")


def test_refuses_a_damaged_tokenizer(folder):
    (folder / "vocab.json").write_text("{")
    assert "transformers cannot load it" in refused(folder)


def test_refuses_a_fused_processor_with_an_unfused_model(folder):
    write_extractor(folder, fused=True)
    assert "the processor is of a fused checkpoint, the model is not" in refused(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"padding": "repeat"}, "padding 'repeat' of its preprocessor_config.json"),
        ({"feature_size": 32}, "makes 32 mel bands, the model takes 64"),
        ({"max_length_s": 30}, "makes 3001 frames, the model takes at most 1024"),
    ],
)
def test_refuses_a_front_end_that_does_not_fit(folder, change, message):
    write_extractor(folder, fused=False, **change)
    assert message in refused(folder)


def test_refuses_a_vocabulary_larger_than_the_model(folder):
    vocabulary = json.loads((folder / "vocab.json").read_text())
    vocabulary |= {f"word{number}": len(vocabulary) + number for number in range(50)}
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    assert "tokens, the model knows" in refused(folder)


@pytest.mark.parametrize(
    "name", ["no-such-folder", "a/b/c", "laion/", "../x", "laion/clap unfused"]
)
def test_refuses_a_name_that_is_neither_folder_nor_hub_id(name):
    assert "no such folder, nor a hub id such as 'laion/clap-htsat-unfused'" in refused(name)


def test_refuses_to_start_without_transformers(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'humanclap\[hf\]'"):
        HFCLAP.from_pretrained(folder)
