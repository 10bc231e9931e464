"""Engines beside torch: near to it, exported once, refused with a reason elsewhere."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from tiny_hf import write_clap

from humanclap.clap.embedding import embed_clips
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


def test_a_model_that_openvino_does_not_run_is_refused():
    with pytest.raises(SettingsError, match=r"of kind 'mini'.*leave --engine away"):
        audio_encoder(MiniCLAP(MiniConfig.tiny()), "openvino", "fp32")


def test_without_openvino_the_error_says_how_to_get_it(backbone, monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(MissingExtraError, match=r"humanclap\[openvino\]"):
        audio_encoder(backbone, "openvino", "fp32")


def test_openvino_gives_torchs_embeddings_and_exports_once(backbone, windows, tmp_path):
    pytest.importorskip("openvino", reason="needs humanclap[openvino]")
    with torch.inference_mode():
        expected = backbone.embed_audio(windows)
        found = audio_encoder(backbone, "openvino", "fp32")(windows)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    kept = list((tmp_path / "cache" / "openvino").iterdir())
    assert [folder.name[:8] for folder in kept] == [backbone.fingerprint()]
    before = (kept[0] / "audio.xml").stat().st_mtime_ns
    with torch.inference_mode():
        again = audio_encoder(backbone, "openvino", "fp32")(windows)
    assert torch.equal(again, found)
    assert (kept[0] / "audio.xml").stat().st_mtime_ns == before


def test_under_openvino_the_number_of_threads_changes_no_digit(backbone, windows):
    pytest.importorskip("openvino", reason="needs humanclap[openvino]")
    from humanclap.audio import Waveform

    sources = [
        Waveform(samples=row.numpy(), sample_rate=backbone.sample_rate) for row in windows
    ] * 2
    before = torch.get_num_threads()
    found = []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            encode = audio_encoder(backbone, "openvino", "fp32")
            rows = embed_clips(backbone, sources, batch_windows=2, encode=encode)
            found.append(np.stack(list(rows)))
    finally:
        torch.set_num_threads(before)
    assert np.array_equal(found[0], found[1])
