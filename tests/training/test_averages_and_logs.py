import dataclasses
import math
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch

from humanclap.clap.mini import MiniCLAP, MiniConfig
from humanclap.errors import SettingsError, TableError
from humanclap.scale import RatingScale
from humanclap.training.data.dataset import read_examples, with_answers
from humanclap.training.data.splits import make_splits
from humanclap.training.loop.averaging import mean_weights, put_in, update_average
from humanclap.training.loop.loop import train
from humanclap.training.loop.state import RunFolder
from humanclap.training.model.features import FeatureFiles
from humanclap.training.model.towers import (
    FrozenTextTower,
    FrozenTower,
    LearningTower,
    text_tower,
)
from humanclap.training.outputs.reporters import reporters
from humanclap.training.settings import TrainingSettings

SETTINGS = TrainingSettings(epochs=4, batch_size=8, learning_rate=0.01, patience=0)


def but(**changes):
    return dataclasses.replace(SETTINGS, **changes)


@pytest.fixture
def fit(tone_clap, prepared):
    def run(settings=SETTINGS, splits=None, **options):
        model = tone_clap()
        made, clips = prepared(settings)
        tower = LearningTower(model, clips)
        return model, train(model, splits or made, settings, tower=tower, **options)

    return run


def weights_of(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def same(one, other):
    return all(torch.equal(one[name], other[name]) for name in one)


# -- averages ---------------------------------------------------------------------------------


def test_the_moving_average_worked_by_hand():
    weight = torch.nn.Parameter(torch.tensor([1.0]))
    average = {"w": torch.tensor([0.0])}
    update_average(average, {"w": weight}, decay=0.9, step=1)  # kept: (1 + 1) / (10 + 1)
    assert average["w"].item() == pytest.approx(9 / 11)
    update_average(average, {"w": weight}, decay=0.5, step=1000)
    assert average["w"].item() == pytest.approx(0.5 * 9 / 11 + 0.5)


def test_weights_are_put_in_and_taken_out_again():
    weight = torch.nn.Parameter(torch.tensor([1.0]))
    with put_in({"w": weight}, {"w": torch.tensor([5.0])}):
        assert weight.item() == 5.0
    assert weight.item() == 1.0


def test_a_soup_is_the_mean_and_leaves_counters_alone():
    one = {"w": torch.tensor([1.0]), "count": torch.tensor(3)}
    other = {"w": torch.tensor([2.0]), "count": torch.tensor(4)}
    assert mean_weights([one, other]) == {"w": torch.tensor([1.5]), "count": torch.tensor(3)}


def test_an_average_of_steps_is_what_is_validated_and_kept(fit):
    plain, _ = fit(but(epochs=2))
    averaged, outcome = fit(but(epochs=2, ema_decay=0.99))
    assert not same(weights_of(plain), weights_of(averaged))
    assert math.isfinite(outcome.after["validation_srcc"])


def test_a_soup_is_kept_only_where_it_is_no_worse(fit):
    _, plain = fit(but(epochs=20))
    _, souped = fit(but(epochs=20, soup=4))
    assert souped.log[-1]["validation_srcc"] == plain.log[-1]["validation_srcc"]
    assert souped.after["validation_srcc"] >= plain.after["validation_srcc"]


class KilledError(Exception):
    pass


@pytest.mark.parametrize(
    "changes",
    [
        {"ema_decay": 0.9},
        {"soup": 3},
        {"objective": "wsce+listener"},
        {"objective": "mse+0.5*difference", "standardise_targets": True, "ema_decay": 0.5},
    ],
)
def test_whatever_is_averaged_or_learned_beside_resumes_to_the_bit(
    fit, prepared, tmp_path, changes
):
    settings = but(epochs=5, **changes)
    made, _ = prepared(settings)
    answered = dataclasses.replace(made, train=tuple(map(answers_of, made.train)))
    whole, outcome = fit(settings, splits=answered)

    def kill(done, total, note):
        if done == 8:
            raise KilledError

    folder = RunFolder(tmp_path / "run", {})
    folder.open(resume=False, overwrite=False)
    with pytest.raises(KilledError):
        fit(settings, splits=answered, run_folder=folder, progress=kill)
    state = folder.open(resume=True, overwrite=False)
    resumed, second = fit(settings, splits=answered, run_folder=folder, state=state)
    assert same(weights_of(whole), weights_of(resumed))
    assert second.after["validation_srcc"] == outcome.after["validation_srcc"]


# -- listeners --------------------------------------------------------------------------------


def answers_of(example):
    answers = (("mild", min(1.0, example.relevance + 0.1)), ("strict", 0.8 * example.relevance))
    return dataclasses.replace(example, answers=answers)


def test_listeners_are_learned_beside_the_model(fit, prepared):
    made, _ = prepared(SETTINGS)
    answered = dataclasses.replace(made, train=tuple(map(answers_of, made.train)))
    _, outcome = fit(but(objective="listener", epochs=20), splits=answered)
    assert outcome.log[-1]["loss"] < outcome.log[1]["loss"]
    with pytest.raises(SettingsError, match="needs the single answers; give them with --ratings"):
        fit(but(objective="listener"))


def test_answers_are_read_from_a_table_of_ratings(tones, tmp_path):
    examples = read_examples(tones)
    table = tmp_path / "kept.csv"
    first = examples[0]
    table.write_text(
        "audio,text,listener_id,score,kind\n"
        f"{first.audio},{first.text},L1,5,rating\n"
        f"{first.audio},{first.text},L2,0,anchor\n"
        "other.wav,rain,L1,3,rating\n"
    )
    found = with_answers(examples, table, RatingScale())
    assert found[0].answers == (("L1", 0.5),)
    assert found[1].answers == ()
    made = make_splits(examples, SETTINGS, table=tones).fingerprint()
    assert make_splits(found, SETTINGS, table=tones).fingerprint() != made
    table.write_text(f"audio,text,listener_id,score\n{first.audio},{first.text},L1,50\n")
    with pytest.raises(TableError, match=r"kept\.csv:2: score 50 is outside the rating_scale"):
        with_answers(examples, table, RatingScale())
    table.write_text("audio,text,listener_id,score\nno.wav,rain,L1,5\n")
    with pytest.raises(TableError, match="no row is about a pair of the targets"):
        with_answers(examples, table, RatingScale())


def test_answers_to_another_question_do_not_train(tones, tmp_path):
    """Of one listener and one pair: REL 10 and OS 0. Only one of them is about these targets."""
    examples = read_examples(tones)
    first = examples[0]
    table = tmp_path / "kept.csv"
    table.write_text(
        "audio,text,listener_id,score,question\n"
        f"{first.audio},{first.text},L1,10,REL\n"
        f"{first.audio},{first.text},L1,0,OS\n"
        "other.wav,rain,L1,3,IS\n"
    )
    with pytest.raises(
        TableError, match=r"answer 2 questions \(OS, REL\); name the one .*--question"
    ):
        with_answers(examples, table, RatingScale())
    for question, answer in (("REL", 1.0), ("OS", 0.0)):
        found = with_answers(examples, table, RatingScale(), question=question)
        assert found[0].answers == (("L1", answer),)
    with pytest.raises(TableError, match="no rating answers IS; there are: OS, REL"):
        with_answers(examples, table, RatingScale(), question="IS")


def test_a_second_answer_of_a_listener_about_a_pair_is_refused(tones, tmp_path):
    examples = read_examples(tones)
    first = examples[0]
    table = tmp_path / "kept.csv"
    table.write_text("audio,text,listener_id,score\n" + 2 * f"{first.audio},{first.text},L1,10\n")
    with pytest.raises(TableError, match=r"kept\.csv:3: listener 'L1' answers this pair a second"):
        with_answers(examples, table, RatingScale())


# -- kept features ----------------------------------------------------------------------------


@pytest.fixture
def mini():
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return MiniCLAP(MiniConfig.tiny()).eval().freeze_encoders()


def test_captions_are_encoded_once(mini):
    texts = ["rain", "a dog barks loudly", "rain"]
    embed = text_tower(mini, TrainingSettings(), [SimpleNamespace(text=text) for text in texts])
    assert embed.__func__ is FrozenTextTower.embed
    with torch.no_grad():
        assert torch.allclose(embed(texts), mini.embed_text(texts), atol=1e-6)
    embed(texts).sum().backward()
    assert mini.text_projection.residual.output.weight.grad is not None
    assert text_tower(mini, TrainingSettings(train="all"), []) == mini.embed_text


def test_features_are_found_again_by_content(mini, tmp_path, monkeypatch):
    wave = np.random.default_rng(0).uniform(-0.3, 0.3, 16_000)
    soundfile.write(tmp_path / "a.wav", wave, 32_000)
    item = SimpleNamespace(path=tmp_path / "a.wav", where="t.csv:2")
    files = FeatureFiles(tmp_path / "kept", mini.fingerprint())
    first = FrozenTower(mini, [item], files=files)
    words = FrozenTextTower(mini, ["rain"], files=files)
    (tmp_path / "a.wav").rename(tmp_path / "b.wav")
    moved = SimpleNamespace(path=tmp_path / "b.wav", where="t.csv:2")

    def never(*inputs):
        raise AssertionError("encoded again")

    monkeypatch.setattr(mini, "encode_audio", never)
    monkeypatch.setattr(mini, "encode_text", never)
    again = FrozenTower(mini, [moved], files=files)
    assert torch.equal(first.embed_clip(item.path), again.embed_clip(moved.path))
    same_words = FrozenTextTower(mini, ["rain"], files=files)
    assert torch.equal(words.embed(["rain"]), same_words.embed(["rain"]))
    files.of_text("rain").write_bytes(b"junk")
    with pytest.raises(AssertionError, match="encoded again"):
        FrozenTextTower(mini, ["rain"], files=files)


# -- logs -------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore")
def test_tensorboard_gets_every_row(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with reporters(["tensorboard"], tmp_path, {}, first_epoch=1) as logs:
        for epoch in (1, 2):
            logs[0].write({"epoch": epoch, "loss": 1.0 / epoch, "validation_srcc": math.nan})
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [(e.step, e.value) for e in events.Scalars("loss")] == [(1, 1.0), (2, 0.5)]
    assert "validation_srcc" not in events.Tags()["scalars"]


def test_wandb_gets_every_row(tmp_path, monkeypatch):
    import sys

    seen = []
    run = SimpleNamespace(log=lambda row, step: seen.append((step, row)), finish=lambda: None)
    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(init=lambda **settings: run))
    with reporters(["wandb"], tmp_path, {"settings": {}}, first_epoch=1) as logs:
        logs[0].write({"epoch": 1, "loss": 0.5})
    assert seen == [(1, {"epoch": 1.0, "loss": 0.5})]


def test_an_unknown_log_is_refused(tmp_path):
    with (
        pytest.raises(SettingsError, match="expected tensorboard or wandb"),
        reporters(["paper"], tmp_path, {}, first_epoch=1),
    ):
        pass
