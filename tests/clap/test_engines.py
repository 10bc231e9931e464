"""Engines beside torch: near to it, exported once, refused with a reason elsewhere."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from tiny_hf import write_clap

from humanclap.clap.embedding import ClipEncoder
from humanclap.clap.engines import audio_encoder, engine_version
from humanclap.clap.hf import HFCLAP
from humanclap.clap.mini import MiniCLAP, MiniConfig
from humanclap.errors import MissingExtraError, SettingsError


@pytest.fixture
def backbone(tmp_path, monkeypatch):
    monkeypatch.setenv("HUMANCLAP_CACHE", str(tmp_path / "cache"))
    return HFCLAP.from_pretrained(write_clap(tmp_path / "clap"))


@pytest.fixture
def windows(backbone):
    generator = torch.Generator().manual_seed(0)
    return torch.rand(3, backbone.window_samples, generator=generator) - 0.5


def test_torch_is_the_backbones_own_way(backbone):
    assert audio_encoder(backbone, "torch", "fp32") == backbone.embed_audio
    assert engine_version("torch") == f"torch {torch.__version__}"


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_a_model_that_an_engine_does_not_run_is_refused(engine):
    with pytest.raises(SettingsError, match=r"of kind 'mini'.*leave --engine away"):
        audio_encoder(MiniCLAP(MiniConfig.tiny()), engine, "fp32")


def test_mini_has_no_int8():
    with pytest.raises(SettingsError, match=r"precision int8.*of kind 'mini'.*--precision fp32"):
        audio_encoder(MiniCLAP(MiniConfig.tiny()), "torch", "int8")


@pytest.mark.parametrize(
    ("engine", "precision"),
    [("openvino", "int8"), ("onnxruntime", "int8"), ("onnxruntime", "bf16")],
)
def test_a_precision_that_an_engine_has_not_is_refused(backbone, engine, precision):
    with pytest.raises(SettingsError, match=f"engine {engine} has no precision {precision}"):
        audio_encoder(backbone, engine, precision)


def test_int8_is_near_and_the_same_in_any_batch(backbone, windows):
    with torch.inference_mode():
        expected = backbone.embed_audio(windows)
        encode = audio_encoder(backbone, "torch", "int8")
        found, alone = encode(windows), encode(windows[1:2])
    assert torch.equal(found[1:2], alone)
    least = float((found * expected).sum(dim=1).min())
    assert 0.99 < least < 1 - 1e-7


def test_int8_of_a_tower_with_exchanged_parts_is_refused(backbone):
    block = backbone.model.audio_model.audio_encoder.layers[0].blocks[0]
    block.layernorm_before = torch.nn.Identity()
    with pytest.raises(SettingsError, match=r"other parts.*--precision fp32"):
        audio_encoder(backbone, "torch", "int8")


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_without_the_engine_the_error_says_how_to_get_it(backbone, monkeypatch, engine):
    monkeypatch.setitem(sys.modules, engine, None)
    with pytest.raises(MissingExtraError, match=rf"humanclap\[{engine}\]"):
        audio_encoder(backbone, engine, "fp32")


@pytest.mark.parametrize(
    ("engine", "file"), [("openvino", "audio.xml"), ("onnxruntime", "audio.onnx")]
)
def test_an_engine_gives_torchs_embeddings_and_exports_once(
    backbone, windows, tmp_path, engine, file
):
    pytest.importorskip(engine, reason=f"needs humanclap[{engine}]")
    if engine == "onnxruntime":
        pytest.importorskip("onnx", reason="needs humanclap[onnxruntime]")
    with torch.inference_mode():
        expected = backbone.embed_audio(windows)
        found = audio_encoder(backbone, engine, "fp32")(windows)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    kept = list((tmp_path / "cache" / engine).iterdir())
    assert [folder.name[:8] for folder in kept] == [backbone.fingerprint()]
    before = (kept[0] / file).stat().st_mtime_ns
    with torch.inference_mode():
        again = audio_encoder(backbone, engine, "fp32")(windows)
    assert torch.equal(again, found)
    assert (kept[0] / file).stat().st_mtime_ns == before


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_under_an_engine_the_number_of_threads_changes_no_digit(backbone, windows, engine):
    pytest.importorskip(engine, reason=f"needs humanclap[{engine}]")
    if engine == "onnxruntime":
        pytest.importorskip("onnx", reason="needs humanclap[onnxruntime]")
    from humanclap.audio import Waveform

    sources = [
        Waveform(samples=row.numpy(), sample_rate=backbone.sample_rate) for row in windows
    ] * 2
    before = torch.get_num_threads()
    found = []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            encode = audio_encoder(backbone, engine, "fp32")
            rows = ClipEncoder(backbone, encode, batch_windows=2).embed(sources)
            found.append(np.stack(list(rows)))
    finally:
        torch.set_num_threads(before)
    assert np.array_equal(found[0], found[1])
