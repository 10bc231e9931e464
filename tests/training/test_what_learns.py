import dataclasses

import pytest
import torch

from humanclap.clap.mini import MiniCLAP, MiniConfig
from humanclap.errors import SettingsError
from humanclap.training.model.parameters import (
    chosen_parameters,
    encoder_learns,
    parameter_groups,
    part_of,
    trained_parameters,
)
from humanclap.training.model.towers import can_keep_features
from humanclap.training.settings import TrainingSettings

TEXTS = ["a dog barks", "rain"]


@pytest.fixture
def mini():
    with torch.random.fork_rng():
        torch.manual_seed(1)
        config = dataclasses.replace(MiniConfig.tiny(), text_layers=3)
        return MiniCLAP(config).eval()


@pytest.fixture(scope="module")
def hf(tmp_path_factory):
    pytest.importorskip("transformers")
    from tiny_hf import write_clap  # tests/clap/tiny_hf.py

    from humanclap.clap.hf import HFCLAP

    return HFCLAP.from_pretrained(write_clap(tmp_path_factory.mktemp("hf") / "model"))


def names(backbone, **settings):
    return set(chosen_parameters(backbone, TrainingSettings(**settings)))


def test_every_parameter_has_a_part(mini, hf):
    parts = {"audio_encoder", "audio_projection", "text_encoder", "text_projection", "scale"}
    for backbone in (mini, hf):
        assert {part_of(name) for name, _ in backbone.module().named_parameters()} == parts


def test_the_last_layers_and_what_follows_them_learn(mini, hf):
    of_mini = {name for name in names(mini, train="last") if name.startswith("text_encoder")}
    assert any(name.startswith("text_encoder.layers.2.") for name in of_mini)
    assert {"text_encoder.norm.weight", "text_encoder.output.bias"} <= of_mini
    assert not any("layers.1." in name or "pieces" in name for name in of_mini)
    two = names(mini, train="last", last_layers=2)
    assert any(name.startswith("text_encoder.layers.1.") for name in two)
    everything = names(mini, train="last", last_layers=99)
    assert any(name.startswith("text_encoder.layers.0.") for name in everything)

    of_hf = names(hf, train="last")
    assert any("text_model.encoder.layer.1." in name for name in of_hf)
    assert any("text_model.pooler" in name for name in of_hf)
    assert not any("text_model.encoder.layer.0." in name for name in of_hf)
    assert any("audio_encoder.layers.1.blocks.0." in name for name in of_hf)
    assert not any("layers.0." in name or "batch_norm" in name for name in of_hf)


def test_a_tower_may_learn_otherwise_than_the_rest(mini):
    found = names(mini, train="projections", train_text="all")
    parts = {part_of(name) for name in found}
    assert parts == {"audio_projection", "text_encoder", "text_projection", "scale"}
    still = names(mini, train="projections", train_audio="frozen")
    assert {part_of(name) for name in still} == {"text_projection", "scale"}
    settings = TrainingSettings(train="projections", train_text="last")
    assert encoder_learns(mini, settings, "text")
    assert not encoder_learns(mini, settings, "audio")


def test_groups_take_their_share_of_the_learning_rate(mini):
    settings = TrainingSettings(train="all", text_encoder_rate=0.1, scale_rate=5.0)
    chosen = chosen_parameters(mini, settings)
    rate_of = {
        id(parameter): group["rate"]
        for group in parameter_groups(chosen, settings)
        for parameter in group["params"]
    }
    expected = {"text_encoder": 0.1, "scale": 5.0}
    for name, parameter in chosen.items():
        assert rate_of[id(parameter)] == expected.get(part_of(name), 1.0)


def lora(backbone, settings):
    """Train the adapters a little; gives embeddings before, inside the block, and after."""
    found = [backbone.embed_text(TEXTS).detach()]
    with torch.random.fork_rng(), trained_parameters(backbone, settings) as parameters:
        torch.manual_seed(0)
        adapters = [name for name in parameters if ".lora_" in name]
        assert adapters
        encoders = [name for name in parameters if "encoder" in str(part_of(name))]
        assert set(encoders) == set(adapters)
        found.append(backbone.embed_text(TEXTS).detach())
        optimizer = torch.optim.SGD(parameters.values(), lr=1.0)
        for _ in range(3):
            optimizer.zero_grad()
            backbone.embed_text(TEXTS)[:, 0].sum().backward()
            optimizer.step()
        found.append(backbone.embed_text(TEXTS).detach())
    found.append(backbone.embed_text(TEXTS).detach())
    return found


@pytest.mark.parametrize("which", ["mini", "hf"])
def test_adapters_start_at_nothing_learn_and_end_in_the_plain_weights(which, mini, request):
    pytest.importorskip("peft")
    backbone = mini if which == "mini" else request.getfixturevalue("hf")
    named = {name: p.clone() for name, p in backbone.module().state_dict().items()}
    before, fresh, inside, after = lora(backbone, TrainingSettings(train="lora"))
    assert torch.allclose(before, fresh, atol=1e-6)
    assert not torch.allclose(before, inside, atol=1e-3)
    assert torch.allclose(inside, after, atol=1e-5)
    assert list(named) == list(backbone.module().state_dict())


def test_adapters_of_a_run_that_failed_are_dropped(mini):
    pytest.importorskip("peft")
    before = {name: p.clone() for name, p in mini.state_dict().items()}
    settings = TrainingSettings(train="lora", train_audio="projections")

    def fail():
        with trained_parameters(mini, settings) as parameters:
            next(p for n, p in parameters.items() if "lora_B" in n).data.fill_(1.0)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    after = mini.state_dict()
    assert list(before) == list(after)
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_an_encoder_without_linear_layers_takes_no_adapters(mini):
    pytest.importorskip("peft")
    mini.text_encoder = torch.nn.Conv1d(1, 1, 1)
    settings = TrainingSettings(train="lora", train_audio="projections")
    with pytest.raises(SettingsError, match="the text encoder has no linear layer"):
        trained_parameters(mini, settings).__enter__()


def test_both_towers_of_either_kind_can_be_called_apart(mini, hf):
    settings = TrainingSettings(train="projections")
    for backbone in (mini, hf):
        for tower in ("audio", "text"):
            assert can_keep_features(backbone, settings, tower)
            half = TrainingSettings(train="projections", **{f"train_{tower}": "last"})
            assert not can_keep_features(backbone, half, tower)
