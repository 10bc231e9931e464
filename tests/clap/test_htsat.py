"""HTSAT by the shorter way against transformers' own audio model, on small random ones."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from tiny_hf import randomise, write_clap
from torch import nn

transformers = pytest.importorskip("transformers")

from humanclap.clap.hf import HFCLAP  # noqa: E402
from humanclap.clap.htsat import (  # noqa: E402
    HTSAT,
    ByteProduct,
    HalfProduct,
    KeptTower,
    runs_here,
)

SIDES = {"spec_size": 64, "num_mel_bins": 16}  # 16 x 16 tokens, then 8 x 8
FRAMES = {"shorter": 200, "whole": 256}


def audio_model(*, fused: bool = False, **changes: object) -> nn.Module:
    """Two stages of two blocks: shifted windows, merging, and windows as large as the stage."""
    config = transformers.ClapAudioConfig(
        **SIDES,
        depths=[2, 2],
        num_attention_heads=[2, 4],
        patch_embeds_hidden_size=16,
        hidden_size=32,
        enable_fusion=fused,
        fusion_type="aff_2d" if fused else None,
        **changes,
    )
    model = transformers.ClapAudioModel(config).eval()
    randomise(model)
    return model


@pytest.fixture
def mels():
    return 20 * torch.randn(3, 1, 200, 16, generator=torch.Generator().manual_seed(1)) - 30


@pytest.fixture
def clap(tmp_path):
    return HFCLAP.from_pretrained(write_clap(tmp_path / "clap"))


def encoder_of(clap: HFCLAP) -> nn.Module:
    return clap.model.audio_model.audio_encoder


@pytest.fixture
def waveforms(clap):
    return torch.rand(2, clap.window_samples, generator=torch.Generator().manual_seed(0)) - 0.5


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("frames", FRAMES.values(), ids=FRAMES)
def test_gives_what_transformers_gives(fused, frames):
    model = audio_model(fused=fused)
    given = 20 * torch.randn(2, 4 if fused else 1, frames, 16)
    longer = torch.zeros(2, 1, dtype=torch.bool)
    with torch.no_grad():
        expected = model(input_features=given, is_longer=longer).pooler_output
        found = HTSAT(model.audio_encoder)(given)
    assert runs_here(model.audio_encoder)
    torch.testing.assert_close(found, expected, atol=2e-6, rtol=2e-5)


@pytest.mark.parametrize(
    "changes", [{"qkv_bias": False}, {"mlp_ratio": 2.0}, {"hidden_act": "relu"}]
)
def test_gives_what_transformers_gives_with_other_parts(changes, mels):
    model = audio_model(**changes)
    with torch.no_grad():
        expected = model(input_features=mels).pooler_output
        found = HTSAT(model.audio_encoder)(mels)
    torch.testing.assert_close(found, expected, atol=2e-6, rtol=2e-5)


@pytest.mark.parametrize("changes", [{"window_size": 5}, {"window_size": 16}])
def test_windows_that_do_not_divide_a_stage_are_left_to_transformers(changes):
    assert not runs_here(audio_model(**changes).audio_encoder)


@pytest.mark.parametrize("kind", [None, ByteProduct])
def test_no_digit_of_a_window_depends_on_its_neighbours(kind, mels):
    tower = HTSAT(audio_model().audio_encoder, *[kind] if kind else [])
    with torch.inference_mode():
        together = tower(mels)
        alone = [tower(mel[None])[0] for mel in mels]
        at_once = tower._of_batch(mels)  # as on a GPU
    assert all(torch.equal(one, row) for one, row in zip(alone, together, strict=True))
    if kind is None:
        torch.testing.assert_close(at_once, together, atol=2e-6, rtol=2e-5)


@pytest.mark.parametrize(("kind", "near"), [(HalfProduct, 0.999), (ByteProduct, 0.995)])
def test_shorter_numbers_drift_a_little(kind, near, mels):
    encoder = audio_model().audio_encoder
    with torch.inference_mode():
        expected, found = HTSAT(encoder)(mels), HTSAT(encoder, kind)(mels)
    least = float(torch.cosine_similarity(found, expected).min())
    assert found.dtype == torch.float32
    assert near < least < 1 - 1e-7


def test_no_digit_of_an_embedding_depends_on_its_neighbours(clap, waveforms):
    with torch.inference_mode():
        together, alone = clap.embed_audio(waveforms), clap.embed_audio(waveforms[1:])
    assert torch.equal(together[1:], alone)


def test_gradients_go_through_transformers(clap, waveforms):
    plain = clap.embed_audio(waveforms)
    plain.sum().backward()
    assert encoder_of(clap).layers[0].blocks[0].attention.self.query.weight.grad.abs().max() > 0
    with torch.no_grad():
        torch.testing.assert_close(clap.embed_audio(waveforms), plain.detach(), atol=1e-6, rtol=0)


def test_a_tower_is_kept_until_a_weight_changes(clap, waveforms):
    with torch.no_grad():
        before = clap.embed_audio(waveforms)
        kept = clap._tower.of(encoder_of(clap))
        assert kept is clap._tower.of(encoder_of(clap))
        encoder_of(clap).layers[0].blocks[0].attention.self.key.weight.mul_(3.0)
        assert kept is not clap._tower.of(encoder_of(clap))
        found = clap.embed_audio(waveforms)
    assert not torch.allclose(found, before, atol=1e-6)
    torch.testing.assert_close(found, clap.embed_audio(waveforms).detach(), atol=1e-6, rtol=0)


def test_a_part_that_was_exchanged_is_not_passed_over(clap, waveforms):
    class Doubled(nn.Linear):
        def forward(self, rows):
            return 2 * super().forward(rows)

    attention = encoder_of(clap).layers[0].blocks[0].attention.self
    other = Doubled(*reversed(attention.value.weight.shape))
    other.load_state_dict(attention.value.state_dict())
    with torch.no_grad():
        before = clap.embed_audio(waveforms)
        attention.value = other
        assert clap._tower.of(encoder_of(clap)) is None
        assert not torch.allclose(clap.embed_audio(waveforms), before, atol=1e-6)


def test_other_autocast_than_bfloat16_is_left_to_transformers(clap):
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.float16):
        assert clap._tower.of(encoder_of(clap)) is None


def test_a_copy_makes_its_own_tower(clap, waveforms):
    with torch.no_grad():
        clap.embed_audio(waveforms)
    for other in (copy.deepcopy(clap._tower), pickle.loads(pickle.dumps(clap._tower))):
        assert isinstance(other, KeptTower)
        assert other._kept is None
