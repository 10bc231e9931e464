"""What the projections say: the order of events, the caption's prior, encoders stored once."""

import json

import pytest
import torch
from safetensors.torch import load_file

from humanclap.clap.mini import MiniCLAP, MiniConfig
from humanclap.clap.mini import storage as storage_module
from humanclap.clap.mini.audio import over_time
from humanclap.errors import CheckpointError


@pytest.fixture
def model() -> MiniCLAP:
    torch.manual_seed(0)
    return MiniCLAP(MiniConfig.tiny()).eval()


def test_the_slope_is_half_the_difference_of_two_halves():
    first, second = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 3.0])
    maps = torch.stack([first, second], dim=1)[None]  # (1, 2 features, 2 steps)
    # mean [0.5, 1.5]; ramp -1, 1: 2 * (second - first) / 2 = [-1, 3]
    assert over_time(maps).tolist() == [[0.5, 1.5, -1.0, 3.0]]


def test_played_backwards_the_mean_stays_and_the_slope_turns():
    maps = torch.rand(2, 5, 7, generator=torch.Generator().manual_seed(1))
    forwards, backwards = over_time(maps), over_time(maps.flip(2))
    torch.testing.assert_close(backwards[:, :5], forwards[:, :5])
    torch.testing.assert_close(backwards[:, 5:], -forwards[:, 5:])


def test_a_single_step_has_no_slope():
    assert over_time(torch.ones(1, 3, 1))[:, 3:].tolist() == [[0.0, 0.0, 0.0]]


def test_without_ratings_the_prior_is_no_part_of_a_score(model):
    audio = model.embed_audio(torch.rand(2, 32_000) - 0.5)
    text = model.embed_text(["a dog barks", "rain"])
    assert audio[:, -1].abs().max() == 0
    assert text[:, -1].abs().max() == 0


def test_the_prior_moves_the_score_of_a_caption_whatever_is_heard(model):
    waveforms = torch.rand(3, 32_000, generator=torch.Generator().manual_seed(2)) - 0.5
    torch.nn.init.zeros_(model.text_projection.order_view.weight)
    before = model.embed_audio(waveforms) @ model.embed_text(["a dog barks"]).T
    with torch.no_grad():
        model.text_projection.prior.bias.fill_(0.2)
        model.audio_projection.prior_weight.fill_(0.5)
    after = model.embed_audio(waveforms) @ model.embed_text(["a dog barks"]).T
    # what is heard has unit length: (cosine + 0.5 * 0.2) / sqrt(1 + 0.5^2) / sqrt(1 + 0.2^2)
    torch.testing.assert_close(after, (before + 0.1) / (1.25 * 1.04) ** 0.5)


def test_order_columns_do_not_change_what_is_heard(model):
    text = ["a dog barks, then rain"]
    before = model.encode_text(text)
    heard = model.text_projection(before)[:, : model.config.text_dim]
    with torch.no_grad():
        model.text_projection.order_view.weight.mul_(3)
    torch.testing.assert_close(model.text_projection(before)[:, : model.config.text_dim], heard)
    torch.testing.assert_close(heard.norm(dim=1), torch.ones(1))


def test_matrices_of_zeros_take_no_room_and_come_back(model, tmp_path):
    fresh = MiniCLAP(MiniConfig.tiny())
    fresh.save_pretrained(tmp_path / "fresh")
    name = "text_projection.residual.output.weight"
    assert load_file(tmp_path / "fresh" / "model.safetensors")[name].numel() == 0
    loaded = MiniCLAP.from_pretrained(tmp_path / "fresh")
    assert torch.equal(loaded.state_dict()[name], fresh.state_dict()[name])
    assert loaded.fingerprint() == fresh.fingerprint()


@pytest.fixture
def packages(tmp_path, monkeypatch):
    monkeypatch.setattr(storage_module, "PACKAGED", tmp_path)
    return tmp_path


def test_encoders_shared_with_another_packaged_model_are_read_from_there(model, packages):
    model.save_pretrained(packages / "base")
    with torch.no_grad():
        model.text_projection.prior.bias.fill_(0.3)
    model.save_shared(packages / "tuned", "base")
    assert not (packages / "tuned" / "tokenizer.json").exists()
    loaded = MiniCLAP.from_pretrained(packages / "tuned")
    waveforms = torch.rand(2, 32_000) - 0.5
    torch.testing.assert_close(
        loaded.embed_audio(waveforms), model.embed_audio(waveforms), rtol=0, atol=2e-3
    )
    assert loaded.text_projection.prior.bias.item() == pytest.approx(0.3)


def test_sharing_with_no_packaged_model_is_refused(model, packages):
    model.save_shared(packages / "tuned", "base")
    with pytest.raises(CheckpointError, match="'base', no packaged model"):
        MiniCLAP.from_pretrained(packages / "tuned")


def test_a_model_that_shares_saves_itself_whole(model, packages, tmp_path):
    model.save_pretrained(packages / "base")
    model.save_shared(packages / "tuned", "base")
    MiniCLAP.from_pretrained(packages / "tuned").save_pretrained(tmp_path / "own")
    assert "shares" not in json.loads((tmp_path / "own" / "config.json").read_text())
    assert MiniCLAP.from_pretrained(tmp_path / "own").fingerprint()
