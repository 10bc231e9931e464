"""The compact CLAP: shapes, independence of clips and texts, saving and loading."""

import json
from pathlib import Path

import pytest
import torch

from humanclap.clap.backbone import Backbone
from humanclap.clap.mini import MiniCLAP, MiniConfig
from humanclap.errors import CheckpointError, InputError, SettingsError

TEXTS = [
    "a dog barks",
    "Rain.",
    "a siren wails, then a man shouts twice",
    "x" * 3000,
    "",
    "犬 🐕 ö",
]


@pytest.fixture(scope="module")
def model() -> MiniCLAP:
    torch.manual_seed(0)
    model = MiniCLAP(MiniConfig.tiny())
    for parameter in model.parameters():  # residuals start at zero: move everything
        torch.nn.init.normal_(parameter, std=0.2)
    return model.eval()


@pytest.fixture(scope="module")
def waveforms() -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.rand(5, 32_000, generator=generator) - 0.5


@pytest.fixture
def saved(model, tmp_path) -> Path:
    model.save_pretrained(tmp_path / "checkpoint")
    return tmp_path / "checkpoint"


def test_mini_is_a_backbone(model):
    assert isinstance(model, Backbone)


def test_embeddings_have_unit_length_and_the_promised_shape(model, waveforms):
    for embeddings in (model.embed_audio(waveforms), model.embed_text(TEXTS)):
        assert embeddings.shape[1] == model.embedding_dim
        torch.testing.assert_close(embeddings.norm(dim=1), torch.ones(len(embeddings)))


def test_a_clip_embeds_the_same_alone_and_in_company(model, waveforms):
    together = model.embed_audio(waveforms)
    alone = torch.cat([model.embed_audio(waveform[None]) for waveform in waveforms])
    torch.testing.assert_close(alone, together, rtol=0, atol=1e-6)


def test_padding_does_not_change_a_text(model):
    together = model.embed_text(TEXTS)
    alone = torch.cat([model.embed_text([text]) for text in TEXTS])
    torch.testing.assert_close(alone, together, rtol=0, atol=1e-6)


def test_case_does_not_matter(model):
    upper, lower = model.embed_text(["A DOG Barks", "a dog barks"])
    torch.testing.assert_close(upper, lower)


def test_a_text_beyond_max_tokens_is_cut(model):
    words = "dog " * 200
    cut, longer = model.embed_text([words, words + "siren"])
    torch.testing.assert_close(cut, longer)


def test_no_texts_give_no_embeddings(model):
    assert model.embed_text([]).shape == (0, model.embedding_dim)


def test_eval_mode_ignores_every_seed(model, waveforms):
    torch.manual_seed(1)
    first = model.embed_audio(waveforms)
    torch.manual_seed(2)
    assert torch.equal(first, model.embed_audio(waveforms))


def test_in_training_too_a_clip_embeds_the_same_alone_and_in_company(waveforms):
    model = MiniCLAP(MiniConfig.tiny()).train()
    together = model.encode_audio(waveforms)
    alone = torch.cat([model.encode_audio(waveform[None]) for waveform in waveforms])
    torch.testing.assert_close(alone, together, rtol=1e-5, atol=1e-5)


def test_silence_has_a_finite_embedding(model):
    assert torch.isfinite(model.embed_audio(torch.zeros(1, 16_000))).all()


def test_any_length_from_one_frame_up(model):
    for samples in (1024, 5000, 200_000):
        assert model.embed_audio(torch.zeros(1, samples)).shape == (1, 27)


@pytest.mark.parametrize("shape", [(32_000,), (1, 2, 32_000), (2, 1000)])
def test_a_wrong_shape_is_refused(model, shape):
    with pytest.raises(InputError, match="waveforms have"):
        model.embed_audio(torch.zeros(shape))


def test_a_saved_model_loads_identical(model, saved, waveforms):
    loaded = MiniCLAP.from_pretrained(saved)
    assert torch.equal(loaded.embed_audio(waveforms), model.embed_audio(waveforms))
    assert torch.equal(loaded.embed_text(TEXTS), model.embed_text(TEXTS))
    assert loaded.fingerprint() == model.fingerprint()
    assert {path.name for path in saved.iterdir()} == {
        *("config.json", "model.safetensors", "tokenizer.json")
    }


def test_half_precision_storage_is_close(model, tmp_path, waveforms):
    model.save_pretrained(tmp_path, half=True)
    loaded = MiniCLAP.from_pretrained(tmp_path)
    cosines = (loaded.embed_audio(waveforms) * model.embed_audio(waveforms)).sum(1)
    assert cosines.min() > 0.9999


def test_the_fingerprint_follows_the_weights_and_the_settings(saved):
    model = MiniCLAP.from_pretrained(saved)
    before = model.fingerprint()
    with torch.no_grad():
        model.log_scale += 0.1
    assert model.fingerprint() != before


def test_a_loaded_model_trains_its_projections_only(saved):
    model = MiniCLAP.from_pretrained(saved)
    trained = {id(parameter) for parameter in model.trainable_parameters()}
    assert trained
    assert not trained & {id(parameter) for parameter in model.audio_encoder.parameters()}
    everything = MiniCLAP.from_pretrained(saved, freeze_encoders=False)
    assert len(list(everything.trainable_parameters())) == len(list(everything.parameters()))


def test_frozen_encoders_draw_no_random_numbers_while_the_projections_train(saved, waveforms):
    model = MiniCLAP.from_pretrained(saved).train()
    assert model.audio_projection.training
    assert not any(part.training for part in model.audio_encoder.modules())
    assert torch.equal(model.audio_encoder(waveforms), model.audio_encoder(waveforms))


def test_gradients_reach_every_trainable_parameter(saved, waveforms):
    model = MiniCLAP.from_pretrained(saved, freeze_encoders=False).train()
    texts = model.embed_text(TEXTS[:5])
    (model.logit_scale * (model.embed_audio(waveforms) * texts).sum(1)).sum().backward()
    assert all(parameter.grad is not None for parameter in model.trainable_parameters())


def _edit_config(directory: Path, **changes) -> None:
    path = directory / "config.json"
    values = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({key: value for key, value in values.items() if value != "drop"}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"colour": 1}, "unknown setting 'colour'"),
        ({"n_labels": "drop"}, "missing keys: n_labels"),
        ({"format": "other"}, "format is 'other'"),
        ({"audio_hidden": 8}, "asks for"),
        ({"text_heads": 3}, "not a multiple of text_heads"),
        ({"text_layers": 2}, "missing tensors"),
        ({"text_layers": 0}, "unknown tensors"),
        ({"text_feedforward": 64}, "asks for"),
        ({"text_vocabulary": 8}, "is it another model's file"),
    ],
)
def test_a_configuration_that_does_not_fit_is_refused_with_its_path(saved, changes, message):
    _edit_config(saved, **changes)
    with pytest.raises(CheckpointError, match=message) as caught:
        MiniCLAP.from_pretrained(saved)
    assert str(saved) in str(caught.value)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
@pytest.mark.parametrize("damage", ["absent", "cut"])
def test_a_damaged_file_is_refused_with_its_path(saved, name, damage):
    path = saved / name
    content = path.read_bytes()
    path.unlink()
    if damage == "cut":
        path.write_bytes(content[: len(content) // 2])
    with pytest.raises(CheckpointError) as caught:
        MiniCLAP.from_pretrained(saved)
    assert str(path) in str(caught.value)


def test_nan_weights_are_refused(saved, model):
    broken = MiniCLAP.from_pretrained(saved)
    with torch.no_grad():
        broken.log_scale.fill_(float("nan"))
    broken.save_pretrained(saved)
    with pytest.raises(CheckpointError, match="NaN"):
        MiniCLAP.from_pretrained(saved)


def test_a_wrong_number_of_widths_is_refused():
    with pytest.raises(SettingsError, match="audio_out must name 15 widths; got 2"):
        MiniConfig(audio_out=(8, 8))
