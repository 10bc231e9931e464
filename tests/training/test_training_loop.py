import dataclasses
import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import linregress

from humanclap.errors import CheckpointError, SettingsError
from humanclap.scale import RatingScale
from humanclap.training.data.dataset import Example
from humanclap.training.loop.loop import TrainingDivergedError, epoch_seed, train
from humanclap.training.loop.state import RunFolder
from humanclap.training.loop.validation import fit_calibration
from humanclap.training.model.parameters import (
    learning_rate_factor,
    parameter_groups,
    set_training_mode,
    trained_parameters,
)
from humanclap.training.model.towers import LearningTower
from humanclap.training.settings import TrainingSettings

SETTINGS = TrainingSettings(
    epochs=4, batch_size=8, learning_rate=0.01, patience=0, warmup_fraction=0.1
)


def but(**changes):
    return dataclasses.replace(SETTINGS, **changes)


@pytest.fixture
def fit(tone_clap, prepared):
    """Train a new ToneCLAP; gives (model, outcome)."""

    def run(settings=SETTINGS, model=None, **options):
        model = tone_clap() if model is None else model
        splits, clips = prepared(settings)
        tower = LearningTower(model, clips)
        return model, train(model, splits, settings, tower=tower, **options)

    return run


def weights_of(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def same_weights(one, other):
    return all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("objective", ["wsce+mae", "mse", "sce+wsce+mse+mae"])
def test_training_raises_agreement_with_the_ratings(fit, objective):
    _, outcome = fit(but(objective=objective, epochs=25))
    assert outcome.before["validation_srcc"] < 0.3
    assert outcome.after["validation_srcc"] > 0.6
    assert outcome.log[-1]["loss"] < outcome.log[1]["loss"]


def test_the_log_has_every_term_and_the_loss_is_their_sum(fit):
    _, outcome = fit(but(objective="wsce+mae"))
    assert [row["epoch"] for row in outcome.log] == [0, 1, 2, 3, 4]
    assert [row["step"] for row in outcome.log] == [0, 3, 6, 9, 12]
    for row in outcome.log[1:]:
        assert row["loss"] == pytest.approx(row["wsce"] + row["mae"], rel=1e-5)


def test_one_seed_gives_one_model_and_another_seed_another(fit):
    one, again, other = (weights_of(fit(but(seed=seed))[0]) for seed in (1, 1, 2))
    assert same_weights(one, again)
    assert not same_weights(one, other)


def test_the_largest_seed_trains_and_is_not_another_ones(fit):
    assert epoch_seed(7, 3, 2) == 7 * 1_000_003 + 3 + 2 * 7_919
    assert 0 <= epoch_seed(2**63 - 1, 20, 7) < 2**63
    one, other = (weights_of(fit(but(seed=seed, epochs=1))[0]) for seed in (2**63 - 1, 2**63 - 2))
    assert not same_weights(one, other)


def test_the_result_does_not_depend_on_the_callers_random_state_and_leaves_it_alone(fit):
    one = weights_of(fit()[0])
    torch.manual_seed(123)
    np.random.seed(123)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    other = weights_of(fit()[0])
    assert same_weights(one, other)
    assert torch.equal(before[0], torch.get_rng_state())
    assert np.array_equal(before[1], np.random.get_state()[1])


@pytest.mark.parametrize("objective", ["mse", "mae", "mse+mae"])
def test_accumulated_batches_equal_one_larger_batch(fit, tone_clap, objective):
    def trained(**changes):
        settings = but(objective=objective, epochs=1, max_grad_norm=0.0, **changes)
        return weights_of(fit(settings, model=tone_clap(dropout=0.0))[0])

    whole = trained(batch_size=24)
    parts = trained(batch_size=5, gradient_accumulation=5)  # batches of 5, 5, 5, 5 and 4
    for name, tensor in whole.items():
        assert torch.allclose(tensor, parts[name], atol=1e-6), name


def test_the_best_epoch_is_kept_and_training_stops_when_patience_ends(fit):
    model, outcome = fit(but(epochs=60, learning_rate=0.03, patience=3))
    srccs = [row["validation_srcc"] for row in outcome.log]
    assert outcome.epochs < 60
    assert outcome.epochs == outcome.best_epoch + 3
    assert srccs[outcome.best_epoch] == max(srccs)
    _, again = fit(but(epochs=1), model=model)  # its epoch 0 is the best epoch of before
    assert again.before["validation_srcc"] == max(srccs)


def test_a_model_that_training_only_harms_is_given_back_as_it_came(fit, tone_clap):
    model, _ = fit(but(epochs=25))
    before = weights_of(model)
    _, outcome = fit(but(epochs=2, learning_rate=1.0, max_grad_norm=0.0), model=model)
    assert outcome.best_epoch == 0
    assert same_weights(before, weights_of(model))


def test_projections_alone_learn_when_asked(fit, tone_clap):
    model = tone_clap()
    before = weights_of(model)
    fit(but(train="projections", epochs=2), model=model)
    changed = {name for name, t in model.state_dict().items() if not torch.equal(t, before[name])}
    heads = ("audio_projection.weight", "audio_projection.bias", "text_projection.weight")
    assert changed >= set(heads)
    assert not any("encoder" in name for name in changed)
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_the_logit_scale_stays_when_it_is_not_to_learn(fit, tone_clap):
    start = tone_clap().logit_scale_log.item()
    assert fit(but(learn_logit_scale=False))[0].logit_scale_log.item() == start
    assert fit(but(learn_logit_scale=True))[0].logit_scale_log.item() != start


def test_a_model_without_projections_cannot_train_them(fit):
    class Bare(torch.nn.Module):
        kind = name = "bare"

        def __init__(self):
            super().__init__()
            self.encoder = torch.nn.Linear(2, 2)

        def module(self):
            return self

        def trainable_parameters(self):
            return self.parameters()

    with (
        pytest.raises(SettingsError, match="model bare: train='projections' leaves no parameter"),
        trained_parameters(Bare(), but(train="projections")),
    ):
        pass


def test_frozen_parts_stay_in_eval_mode_and_keep_their_statistics():
    frozen = torch.nn.Sequential(torch.nn.Conv1d(1, 2, 3), torch.nn.BatchNorm1d(2))
    frozen.requires_grad_(False)
    model = torch.nn.Sequential(frozen, torch.nn.Linear(3, 3), torch.nn.Dropout())
    set_training_mode(model)
    assert [part.training for part in (frozen[1], model[1], model[2])] == [False, True, True]


def test_weight_decay_spares_biases_and_scales(tone_clap):
    decayed, spared = parameter_groups(dict(tone_clap().named_parameters()), but(weight_decay=0.1))
    assert {p.ndim for p in decayed["params"]} == {2}
    assert {p.ndim for p in spared["params"]} == {0, 1}
    assert (decayed["weight_decay"], spared["weight_decay"]) == (0.1, 0.0)


def test_bf16_trains_and_scores_in_fp32(fit):
    model, outcome = fit(but(precision="bf16", epochs=2))
    assert math.isfinite(outcome.log[-1]["loss"])
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    exact = fit(but(epochs=2))[1]
    assert outcome.log[1]["loss"] == pytest.approx(exact.log[1]["loss"], rel=0.02)


def test_a_loss_that_is_not_finite_stops_the_run_and_names_its_pairs(fit, tone_clap):
    model = tone_clap()
    with torch.no_grad():
        model.audio_projection.weight[0, 0] = math.nan
    with pytest.raises(
        TrainingDivergedError,
        match=r"step 1 \(epoch 1\): the loss is nan on .*targets\.csv:\d+ \(\d\d\.wav, '.*5 more",
    ):
        fit(model=model)


def test_progress_counts_the_steps_of_all_epochs(fit):
    seen = []
    fit(progress=lambda done, total, note: seen.append((done, total, note)))
    assert [done for done, _, _ in seen] == list(range(1, 13))
    assert {total for _, total, _ in seen} == {12}
    assert seen[-1][2].startswith("epoch 4/4, validation SRCC ")


def test_the_learning_rate_rises_and_falls_as_worked_by_hand():
    factors = [
        learning_rate_factor(step, total_steps=10, warmup_fraction=0.2) for step in range(10)
    ]
    assert factors[:3] == [0.5, 1.0, 1.0]
    assert factors[6] == pytest.approx(0.5)
    assert factors[9] == pytest.approx(0.5 * (1 + math.cos(math.pi * 7 / 8)))
    assert learning_rate_factor(0, total_steps=3, warmup_fraction=0.0) == 1.0
    assert learning_rate_factor(2, total_steps=3, warmup_fraction=1.0) == 1.0


# -- resume ---------------------------------------------------------------------------------


class KilledError(Exception):
    pass


def kill_at(step):
    def progress(done, total, note):
        if done == step:
            raise KilledError

    return progress


def timeless(outcome):
    return [{k: v for k, v in row.items() if k != "seconds"} for row in outcome.log[1:]]


@pytest.mark.parametrize("step", [1, 4, 11])
def test_a_resumed_run_ends_with_the_weights_and_losses_of_an_unbroken_one(fit, tmp_path, step):
    settings = but(seed=5)
    whole, outcome = fit(settings)
    folder = RunFolder(tmp_path / "run", {"settings": settings.as_dict()})
    assert folder.open(resume=False, overwrite=False) is None
    with pytest.raises(KilledError):
        fit(settings, run_folder=folder, progress=kill_at(step))
    state = folder.open(resume=True, overwrite=False)
    assert (0 if state is None else state.epoch) == (step - 1) // 3
    resumed, second = fit(settings, run_folder=folder, state=state)
    assert same_weights(weights_of(whole), weights_of(resumed))
    assert timeless(outcome) == timeless(second)


KILLED_RUN = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import torch
torch.set_num_threads(1)
from conftest import ToneCLAP, SAMPLE_RATE
from humanclap.training.data.clips import ClipStore
from humanclap.training.data.dataset import read_examples
from humanclap.training.data.splits import make_splits
from humanclap.training.loop.loop import train
from humanclap.training.settings import TrainingSettings
from humanclap.training.loop.state import RunFolder
from humanclap.training.model.towers import LearningTower
settings = TrainingSettings(epochs=4, batch_size=8, learning_rate=0.01, patience=0)
table, output = sys.argv[2:]
splits = make_splits(read_examples(table), settings, table=table)
clips = ClipStore(SAMPLE_RATE, memory_bytes=1e9)
clips.decode_all((*splits.train, *splits.validation))
model = ToneCLAP()
tower = LearningTower(model, clips)
folder = RunFolder(Path(output), {"settings": settings.as_dict()})
folder.open(resume=False, overwrite=False)
def progress(done, total, note):
    if done == 8:
        os.kill(os.getpid(), signal.SIGKILL)
train(model, splits, settings, tower=tower, run_folder=folder, progress=progress)
"""


def test_a_killed_process_can_be_resumed_to_the_bit(fit, tones, tmp_path):
    output = tmp_path / "run"
    here = str(Path(__file__).parent)
    command = [sys.executable, "-c", KILLED_RUN, here, str(tones), str(output)]
    done = subprocess.run(command, check=False, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert done.returncode == -signal.SIGKILL
    folder = RunFolder(output, {"settings": SETTINGS.as_dict()})
    state = folder.open(resume=True, overwrite=False)
    assert state is not None
    assert state.epoch == 2
    resumed, _ = fit(run_folder=folder, state=state)
    assert same_weights(weights_of(fit()[0]), weights_of(resumed))
    log = (output / "log.csv").read_text().splitlines()
    assert log[0].startswith("epoch,step,loss,wsce,mae,learning_rate,validation_srcc")
    assert len(log) == 6


def test_a_run_is_resumed_only_by_its_own_settings(tmp_path):
    folder = RunFolder(tmp_path / "run", {"settings": SETTINGS.as_dict(), "targets": "a"})
    folder.open(resume=False, overwrite=False)
    other = RunFolder(tmp_path / "run", {"settings": but(seed=9).as_dict(), "targets": "b"})
    with pytest.raises(SettingsError) as error:
        other.open(resume=True, overwrite=False)
    assert "settings.seed was 0, is 9; targets was 'a', is 'b'" in str(error.value)


def test_an_output_in_use_is_refused(tmp_path):
    folder = RunFolder(tmp_path / "run", {"settings": 1})
    folder.open(resume=False, overwrite=False)
    with pytest.raises(SettingsError, match="--resume or start anew with --overwrite"):
        folder.open(resume=False, overwrite=False)
    assert folder.open(resume=True, overwrite=False) is None
    (folder.directory / "state.pt").write_bytes(b"junk")
    with pytest.raises(CheckpointError, match=r"state\.pt: damaged"):
        folder.open(resume=True, overwrite=False)
    assert folder.open(resume=False, overwrite=True) is None
    assert not (folder.directory / "state.pt").exists()


def test_a_folder_of_something_else_is_never_touched(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(SettingsError, match="exists and holds no training run"):
            RunFolder(tmp_path, {}).open(resume=False, overwrite=overwrite)
    with pytest.raises(SettingsError, match=r"notes\.txt: is a file"):
        RunFolder(tmp_path / "notes.txt", {}).open(resume=False, overwrite=False)
    assert (tmp_path / "notes.txt").read_text() == "mine"


# -- calibration ----------------------------------------------------------------------------


def rated(mos, *, n=4, standard_error=math.nan):
    return [
        Example(
            audio=f"{i}.wav",
            text=f"sound {i}",
            pair_id=str(i),
            path=Path(f"{i}.wav"),
            relevance=value / 10,
            mos=value,
            where=f"targets.csv:{i + 2}",
            n=n,
            standard_error=standard_error,
        )
        for i, value in enumerate(mos)
    ]


def test_the_calibration_is_the_least_squares_line():
    cosine = np.array([0.1, 0.5, 0.3, 0.9])
    mos = [1.0, 6.0, 2.0, 8.0]
    line = fit_calibration(cosine, rated(mos), scale=RatingScale(), fitted_on="these")
    expected = linregress(cosine, mos)
    assert line.scores == (0.1, 0.9)
    assert line.rating(0.4) == pytest.approx(expected.intercept + 0.4 * expected.slope)
    assert (line.n, line.fitted_on, line.low, line.high) == (4, "these", 0.0, 10.0)


@pytest.mark.parametrize("cosine", [[0.9, 0.5, 0.1], [0.2, 0.2, 0.2]])
def test_a_falling_or_constant_score_predicts_the_mean(cosine):
    examples = rated([1.0, 5.0, 9.0])
    line = fit_calibration(np.array(cosine), examples, scale=RatingScale(), fitted_on="x")
    assert line.rating(0.0) == line.rating(0.7) == pytest.approx(5.0)


def test_the_calibrations_error_leaves_out_the_noise_of_the_means_where_it_is_known():
    rng = np.random.default_rng(0)
    cosine = rng.uniform(0, 1, 60)
    mos = (3 + 4 * cosine + rng.choice([-1.0, 1.0], 60)).tolist()
    known, unknown = (
        fit_calibration(
            cosine, rated(mos, standard_error=error), scale=RatingScale(), fitted_on="x"
        ).standard_error(0.5)
        for error in (0.6, math.nan)
    )
    assert unknown == pytest.approx(1, rel=0.1)
    assert known == pytest.approx(math.sqrt(1 - 0.6**2), rel=0.1)


def test_the_error_of_a_calibration_on_a_few_pairs_is_a_guess():
    examples = rated([1.0, 2.0, 3.0])
    line = fit_calibration(np.arange(3) / 10, examples, scale=RatingScale(), fitted_on="x")
    assert line.guess
    assert line.errors == pytest.approx([10 / math.sqrt(12)] * 2)


def test_a_calibration_leaves_out_pairs_that_share_a_clip_or_a_caption_together():
    cosine, mos = np.arange(40) / 40, [float(i % 10) for i in range(40)]
    own = rated(mos)
    shared = [dataclasses.replace(item, text=f"sound {i // 2}") for i, item in enumerate(own)]
    apart, together = (
        fit_calibration(cosine, examples, scale=RatingScale(), fitted_on="x")
        for examples in (own, shared)
    )
    assert together.ratings == apart.ratings
    assert together.errors != apart.errors
    assert not together.guess


def test_a_closed_set_of_labels_is_grouped_by_clip():
    cosine, mos = np.arange(40) / 40, [float(i % 10) for i in range(40)]
    labels = [dataclasses.replace(item, text=f"label {i % 2}") for i, item in enumerate(rated(mos))]
    assert not fit_calibration(cosine, labels, scale=RatingScale(), fitted_on="x").guess


def test_a_calibration_tells_which_kinds_of_sound_it_covers_where_all_pairs_do():
    kinds = [("tango", "synthetic"), ("tango", "synthetic"), (None, "natural")]
    examples = [
        dataclasses.replace(item, system=system, subset=subset)
        for item, (system, subset) in zip(rated([1.0, 2.0, 3.0]), kinds, strict=True)
    ]
    given = {"scale": RatingScale(), "fitted_on": "x"}
    assert fit_calibration(np.arange(3) / 10, examples, **given).covers == ("natural", "tango")
    examples[2] = dataclasses.replace(examples[2], subset=None)
    assert fit_calibration(np.arange(3) / 10, examples, **given).covers == ()


def test_the_calibration_of_a_study_on_another_scale_is_on_0_to_10():
    cosine = np.array([0.0, 0.0, 1.0, 1.0])
    ten, five = (
        fit_calibration(
            cosine, rated(mos, standard_error=error), scale=RatingScale(low=low, high=high),
            fitted_on="x",
        )
        for mos, error, low, high in (
            ([2, 4, 6, 8], 0.6, 0, 10),
            ([1.8, 2.6, 3.4, 4.2], 0.24, 1, 5),
        )
    )  # fmt: skip
    assert five.ratings == pytest.approx(ten.ratings)
    assert five.errors == pytest.approx(ten.errors)
    assert (five.low, five.high) == (0, 10)
