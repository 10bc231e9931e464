import dataclasses

import numpy as np
import pytest
import soundfile
import torch

from humanclap.clap.checkpoint import Checkpoint
from humanclap.clap.embedding import embed_clip
from humanclap.clap.mini import MiniCLAP, MiniConfig
from humanclap.errors import InputError
from humanclap.scoring.scorer import HumanCLAP
from humanclap.scoring.settings import ScoringSettings
from humanclap.training.data.clips import ClipStore
from humanclap.training.data.dataset import Example
from humanclap.training.model.parameters import chosen_parameters
from humanclap.training.model.towers import (
    FrozenTower,
    LearningTower,
    audio_tower,
    can_keep_features,
)
from humanclap.training.settings import TrainingSettings

RATE = 32_000
DEFAULT = TrainingSettings()
ALL = TrainingSettings(train="all")


@pytest.fixture
def mini():
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = MiniCLAP(MiniConfig.tiny()).eval()
        for projection in (model.audio_projection, model.text_projection):
            torch.nn.init.normal_(projection.residual.output.weight, std=0.1)
    return model.freeze_encoders()


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    """Clips of 0.5, 3 and 24 s."""
    folder = tmp_path_factory.mktemp("clips")
    generator = np.random.default_rng(0)
    found = []
    for number, seconds in enumerate((0.5, 3.0, 24.0)):
        path = folder / f"{number}.wav"
        soundfile.write(path, generator.uniform(-0.3, 0.3, round(seconds * RATE)), RATE)
        found.append(
            Example(
                audio=path.name,
                text=f"text {number}",
                pair_id=str(number),
                path=path,
                relevance=0.5,
                mos=5.0,
                where=f"targets.csv:{number + 2}",
            )
        )
    return found


def test_features_are_kept_only_where_the_audio_encoder_stays(mini, tone_clap):
    assert can_keep_features(mini, DEFAULT)
    assert not can_keep_features(mini, ALL)
    assert not can_keep_features(mini.freeze_encoders(False), DEFAULT)
    assert can_keep_features(mini, TrainingSettings(train="projections"))
    assert not can_keep_features(tone_clap(), TrainingSettings(train="projections"))


def test_an_encoder_that_is_not_the_projections_own_input_is_not_used_apart(mini):
    mini.audio_projection.register_forward_hook(lambda module, inputs, output: output)
    plain = mini.embed_audio
    mini.embed_audio = lambda waveforms: plain(waveforms).flip(1)
    assert not can_keep_features(mini, DEFAULT)


def test_kept_features_give_the_embeddings_of_the_whole_model(mini, examples):
    frozen = FrozenTower(mini, examples)
    clips = ClipStore(RATE, memory_bytes=1e9)
    clips.decode_all(examples)
    learning = LearningTower(mini, clips)
    with torch.no_grad():
        short = examples[:2]  # one window each: no choice of a part
        apart = frozen.embed(frozen.load(short, [0.1, 0.9]))
        whole = learning.embed(learning.load(short, [0.1, 0.9]))
        assert torch.allclose(apart, whole, atol=1e-5)
        for item in examples:
            scored = embed_clip(mini, item.path)
            assert torch.allclose(frozen.embed_clip(item.path), scored, atol=1e-5)
            assert torch.allclose(learning.embed_clip(item.path), scored, atol=1e-5)


def test_a_clip_trains_on_the_embedding_that_scoring_gives_it(mini, examples, tmp_path):
    """10.24 s: 10 s, and a rest of 0.24 s that fills a window by repeating itself."""
    generator = np.random.default_rng(1)
    noise, tone = generator.uniform(-0.3, 0.3, 10 * RATE), np.arange(round(0.24 * RATE)) / RATE
    path = tmp_path / "rest.wav"
    soundfile.write(path, np.concatenate([noise, 0.3 * np.sin(2 * np.pi * 400 * tone)]), RATE)
    rows = [dataclasses.replace(examples[0], path=path), *examples]
    tower = FrozenTower(mini, rows)
    with torch.no_grad():
        for place in (0.0, 0.6, 0.99):  # whichever part of a long clip would be drawn
            trained = tower.embed(tower.load(rows, [place] * len(rows)))
            for item, row in zip(rows, trained, strict=True):
                assert torch.allclose(row, embed_clip(mini, item.path), atol=1e-5)


def test_scoring_gives_a_clip_the_embedding_that_validation_gives_it(mini, examples):
    tower = FrozenTower(mini, examples)
    scorer = HumanCLAP(Checkpoint(mini), ScoringSettings(device="cpu"))
    scored = scorer.embed_audio([item.path for item in examples])
    for item, row in zip(examples, scored, strict=True):
        with torch.no_grad():
            assert torch.allclose(tower.embed_clip(item.path), torch.from_numpy(row), atol=1e-5)


def test_a_learning_encoder_never_trains_on_a_filled_rest(mini, examples):
    clips = ClipStore(RATE, memory_bytes=1e9)
    clips.decode_all(examples)
    whole = clips.samples(examples[2].path)
    tower = LearningTower(mini, clips)
    for place in (0.0, 0.5, 0.999999):
        crop = tower.load(examples[2:], [place]).windows[0].numpy()
        start = int(place * (len(whole) - len(crop) + 1))
        assert np.array_equal(crop, whole[start : start + len(crop)])


def test_the_gradient_of_kept_features_reaches_the_projection(mini, examples):
    tower = FrozenTower(mini, examples)
    tower.embed(tower.load(examples, [0.0] * 3)).sum().backward()
    assert mini.audio_projection.residual.output.weight.grad.abs().sum() > 0


def test_a_bad_clip_is_refused_with_its_row_by_either_tower(mini, examples, tmp_path):
    bad = tmp_path / "bad.wav"
    bad.write_bytes(b"RIFF")
    rows = [*examples, dataclasses.replace(examples[0], path=bad, where="targets.csv:9")]
    for settings in (DEFAULT, ALL):
        with pytest.raises(InputError, match=r"^targets\.csv:9: .*bad\.wav: not a sound file"):
            audio_tower(mini, settings, rows)


def test_what_learns_follows_the_settings(mini):
    def parts(settings):
        return {name.split(".")[0] for name in chosen_parameters(mini, settings)}

    heads = {"audio_projection", "text_projection", "log_scale"}
    assert parts(DEFAULT) == heads
    assert parts(TrainingSettings(train="projections")) == heads
    assert parts(ALL) == heads | {"audio_encoder", "text_encoder"}


def test_the_mn04_encoder_never_learns_as_its_checkpoint_does_not_hold_it(mini):
    mini.kind = "mini-mn04"
    assert not any("audio_encoder" in name for name in chosen_parameters(mini, ALL))
