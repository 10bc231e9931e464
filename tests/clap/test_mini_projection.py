"""What the projections say: labels, meaning, the order of events; tensors stored once."""

import json

import pytest
import torch
from safetensors.torch import load_file

from humanclap.clap.mini import MiniCLAP, MiniConfig
from humanclap.clap.mini.audio import over_time
from humanclap.clap.mini.storage import write_shared
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


def test_the_profile_is_which_labels_are_heard_more_than_on_average(model):
    projection = model.audio_projection
    logits = torch.full((1, model.config.n_labels), -60.0)
    logits[0, 3] = 0.0  # probability a half; the others as good as none
    with torch.no_grad():
        projection.profile_mean.copy_(torch.full((model.config.n_labels,), 0.1))
    # a power of one probability among zeros has length 1: (0, .., 1, .., 0) less 0.1 everywhere
    expected = -0.1 * torch.ones(12)
    expected[3] += 1
    profile = projection(_features(model, logits))[0, :12]
    torch.testing.assert_close(profile, expected / expected.norm(), atol=1e-4, rtol=0)


def test_the_meaning_of_one_sure_label_is_its_name_s(model):
    logits = torch.full((1, model.config.n_labels), -30.0)
    logits[0, 5] = 30.0
    meaning = model.audio_projection(_features(model, logits))[0, 12:24]
    name = model.audio_projection.label_embeddings[5]
    torch.testing.assert_close(meaning, 0.5 * name / name.norm(), atol=1e-4, rtol=0)


def _features(model, logits):
    return torch.cat([torch.zeros(1, 2 * model.config.audio_features), logits], dim=1)


def test_profile_and_meaning_have_length_one_and_the_weight_on_both_sides(model):
    audio = model.audio_projection(model.encode_audio(torch.rand(2, 32_000) - 0.5))
    text = model.text_projection(model.encode_text(["a dog barks", "rain"]))
    for embedding in (audio, text):
        torch.testing.assert_close(embedding[:, :12].norm(dim=1), torch.ones(2))
        torch.testing.assert_close(embedding[:, 12:24].norm(dim=1), torch.full((2,), 0.5))


def test_order_columns_do_not_change_what_is_heard(model):
    features = model.encode_text(["a dog barks, then rain"])
    heard = model.text_projection(features)[:, :24]
    with torch.no_grad():
        model.text_projection.order_view.weight.mul_(3)
    torch.testing.assert_close(model.text_projection(features)[:, :24], heard)


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
    monkeypatch.setattr("humanclap.clap.checkpoint_files.PACKAGED", tmp_path)
    return tmp_path


def test_a_packaged_model_reads_its_tensors_from_the_one_it_shares_with(model, packages):
    model.save_pretrained(packages / "base")
    write_shared(packages / "other", model.settings() | {"name": "other"}, "base")
    assert [path.name for path in (packages / "other").iterdir()] == ["config.json"]
    loaded = MiniCLAP.from_pretrained(packages / "other")
    waveforms = torch.rand(2, 32_000) - 0.5
    assert loaded.name == "other"
    assert torch.equal(loaded.embed_audio(waveforms), model.embed_audio(waveforms))


def test_sharing_with_no_packaged_model_is_refused(model, packages):
    write_shared(packages / "other", model.settings(), "base")
    with pytest.raises(CheckpointError, match="'base', no packaged model"):
        MiniCLAP.from_pretrained(packages / "other")


def test_a_model_that_shares_saves_itself_whole(model, packages, tmp_path):
    model.save_pretrained(packages / "base")
    write_shared(packages / "other", model.settings(), "base")
    MiniCLAP.from_pretrained(packages / "other").save_pretrained(tmp_path / "own")
    assert "shares" not in json.loads((tmp_path / "own" / "config.json").read_text())
    assert MiniCLAP.from_pretrained(tmp_path / "own").fingerprint() == model.fingerprint()


def tuned(folder):
    """The model of a folder, one of whose projections has learned."""
    learned = MiniCLAP.from_pretrained(folder)
    with torch.no_grad():
        learned.audio_projection.residual.output.weight.add_(0.125)
    return learned


def test_a_tuned_model_stores_what_changed_and_finds_the_rest_in_the_package(
    model, packages, tmp_path
):
    model.save_pretrained(packages / "mini")
    learned = tuned(packages / "mini")
    learned.save_pretrained(tmp_path / "run", whole=False)
    stored = load_file(tmp_path / "run" / "model.safetensors")
    assert list(stored) == ["audio_projection.residual.output.weight"]
    (tmp_path / "run").rename(tmp_path / "moved")
    loaded = MiniCLAP.from_pretrained(tmp_path / "moved")
    assert loaded.fingerprint() == learned.fingerprint() != model.fingerprint()
    loaded.save_pretrained(tmp_path / "whole")
    (packages / "mini").rename(packages / "gone")
    assert MiniCLAP.from_pretrained(tmp_path / "whole").fingerprint() == learned.fingerprint()
    with pytest.raises(CheckpointError, match="shares 'mini', no packaged model"):
        MiniCLAP.from_pretrained(tmp_path / "moved")


def test_a_changed_base_is_noticed_where_it_is_used_and_only_there(model, packages, tmp_path):
    model.save_pretrained(packages / "mini")
    tuned(packages / "mini").save_pretrained(tmp_path / "run", whole=False)
    expected = MiniCLAP.from_pretrained(tmp_path / "run").fingerprint()
    with torch.no_grad():  # of this one the checkpoint has its own
        model.audio_projection.residual.output.weight.add_(7)
    model.save_pretrained(packages / "mini")
    assert MiniCLAP.from_pretrained(tmp_path / "run").fingerprint() == expected
    with torch.no_grad():
        next(model.text_encoder.parameters()).flatten()[0] += 1e-6
    model.save_pretrained(packages / "mini")
    with pytest.raises(
        CheckpointError, match="packaged model 'mini', which is another one in this"
    ):
        MiniCLAP.from_pretrained(tmp_path / "run")


def test_a_tuned_model_without_its_own_weights_is_not_taken_for_its_base(model, packages, tmp_path):
    model.save_pretrained(packages / "mini")
    tuned(packages / "mini").save_pretrained(tmp_path / "run", whole=False)
    (tmp_path / "run" / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"model\.safetensors: no such file"):
        MiniCLAP.from_pretrained(tmp_path / "run")


def test_a_model_that_has_little_of_the_package_is_stored_whole(model, packages, tmp_path):
    model.save_pretrained(packages / "mini")
    other = MiniCLAP(MiniConfig.tiny())  # its residuals are zeros too
    with torch.no_grad():
        for encoder in (other.audio_encoder, other.text_encoder):
            for parameter in encoder.parameters():
                parameter.uniform_(0.1, 0.2)
    other.save_pretrained(tmp_path / "own", whole=False)
    (packages / "mini").rename(packages / "gone")
    assert MiniCLAP.from_pretrained(tmp_path / "own").fingerprint() == other.fingerprint()


def test_matrices_that_half_precision_holds_take_half_the_room(model, tmp_path):
    matrices = (name for name, item in model.text_encoder.named_parameters() if item.ndim == 2)
    name = f"text_encoder.{next(matrices)}"
    with torch.no_grad():
        model.get_parameter(name).copy_(model.get_parameter(name).half().float())
    model.save_pretrained(tmp_path)
    assert load_file(tmp_path / "model.safetensors")[name].dtype == torch.float16
    assert MiniCLAP.from_pretrained(tmp_path).fingerprint() == model.fingerprint()
