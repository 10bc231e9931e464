"""Training on choices, alone and beside ratings."""

import csv
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

from humanclap.errors import SettingsError
from humanclap.training.data.choices import accuracy
from humanclap.training.distributed.processes import Processes
from humanclap.training.loop.batches import plan_epoch, smallest_batch
from humanclap.training.loop.loop import train
from humanclap.training.loop.state import RunFolder
from humanclap.training.loop.validation import choice_intervals, cosines, divided, judge
from humanclap.training.model.towers import LearningTower
from humanclap.training.objective.ranking import choice
from humanclap.training.settings import TrainingSettings

SETTINGS = TrainingSettings(
    objective="wsce+mae+choice",
    epochs=3,
    batch_size=8,
    learning_rate=0.01,
    patience=0,
    warmup_fraction=0.1,
)


def but(**changes):
    return dataclasses.replace(SETTINGS, **changes)


@pytest.fixture
def fit(tone_clap, prepared):
    """Train a new ToneCLAP; gives (model, outcome)."""

    def run(settings=SETTINGS, model=None, *, rated=True, **options):
        model = tone_clap() if model is None else model
        splits, clips = prepared(settings, rated=rated)
        tower = LearningTower(model, clips)
        return model, train(model, splits, settings, tower=tower, **options)

    return run


def weights_of(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def same_weights(one, other):
    return all(torch.equal(one[name], other[name]) for name in one)


# -- the term -------------------------------------------------------------------------------


def test_the_term_is_the_log_likelihood_of_the_votes_worked_by_hand():
    """Gap .1 log 3 at T = .1 is a probability of 3/4: votes of three in four cost their entropy."""
    gap = torch.tensor([0.1 * math.log(3), 0.0], dtype=torch.float64)
    share = torch.tensor([0.75, 0.75], dtype=torch.float64)
    entropy = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    expected = (entropy + math.log(2)) / 2
    assert choice(gap, share, temperature=0.1).item() == pytest.approx(expected)


def test_the_term_is_least_where_model_and_people_agree_on_the_odds():
    gap = torch.tensor([0.1 * math.log(3), 0.0], dtype=torch.float64, requires_grad=True)
    choice(gap, torch.tensor([0.75, 0.5], dtype=torch.float64), temperature=0.1).backward()
    assert gap.grad.abs().max() < 1e-12


def test_swapped_sides_cost_the_same_and_certainties_weigh():
    gap, share = torch.tensor([0.3, -0.1]), torch.tensor([1.0, 0.25])
    one = choice(gap, share, temperature=0.2)
    assert choice(-gap, 1 - share, temperature=0.2).item() == pytest.approx(one.item(), rel=1e-6)
    alone = choice(gap[:1], share[:1], temperature=0.2)
    weighted = choice(gap, share, temperature=0.2, certainty=torch.tensor([2.0, 0.0]))
    assert weighted.item() == pytest.approx(alone.item(), rel=1e-6)


def test_hard_choices_far_apart_stay_finite():
    loss = choice(torch.tensor([-2.0]), torch.tensor([1.0]), temperature=0.001)
    assert loss.item() == pytest.approx(2000)


# -- batches --------------------------------------------------------------------------------


@pytest.mark.parametrize(("pairs", "choices"), [(33, 100), (100, 33), (5, 64), (40, 40)])
def test_every_batch_holds_both_tables_and_the_longer_is_met_once(pairs, choices):
    plans = plan_epoch(pairs, 8, seed=1, epoch=2, n_choices=choices)
    assert len(plans) == -(-max(pairs, choices) // 8)
    rated = [i for plan in plans for i in plan.members]
    chosen = [i for plan in plans for i in plan.chosen]
    longer, shorter = sorted((rated, chosen), key=len, reverse=True)
    assert sorted(longer) == list(range(max(pairs, choices)))
    met = np.bincount(shorter, minlength=min(pairs, choices))
    assert met.max() - met.min() <= 1
    least = min(len(plan.members) for plan in plans), min(len(plan.chosen) for plan in plans)
    assert least == (smallest_batch(pairs, 8), smallest_batch(choices, 8))
    assert max(len(plan.members) for plan in plans) <= 8


def test_choices_do_not_change_which_rated_pairs_stand_together():
    alone = plan_epoch(40, 8, seed=3, epoch=1)
    beside = plan_epoch(40, 8, seed=3, epoch=1, n_choices=17)
    assert all(
        np.array_equal(a.members, b.members) and np.array_equal(a.places, b.places)
        for a, b in zip(alone, beside, strict=True)
    )


def test_a_table_without_rows_deals_empty_batches():
    plans = plan_epoch(0, 8, seed=1, epoch=1, n_choices=9)
    assert [len(plan.chosen) for plan in plans] == [5, 4]
    assert [len(plan.members) for plan in plans] == [0, 0]


# -- training -------------------------------------------------------------------------------


def test_choices_alone_raise_the_accuracy_on_choices_not_met(fit):
    _, outcome = fit(but(objective="choice", epochs=25), rated=False)
    assert outcome.before["validation_accuracy"] < 0.7
    assert outcome.after["validation_accuracy"] > 0.9
    assert outcome.log[-1]["choice"] < outcome.log[1]["choice"]
    assert math.isnan(outcome.after["validation_srcc"])
    figures = [row["validation_accuracy"] for row in outcome.log]
    assert figures[outcome.best_epoch] == max(figures)
    assert figures.index(max(figures)) == outcome.best_epoch


def test_choices_teach_beside_ratings_and_both_are_reported(fit):
    _, outcome = fit(but(epochs=25))
    assert outcome.after["validation_srcc"] > 0.6
    assert outcome.after["validation_accuracy"] > 0.8
    for row in outcome.log[1:]:
        assert row["loss"] == pytest.approx(row["wsce"] + row["mae"] + row["choice"], rel=1e-5)
    srccs = [row["validation_srcc"] for row in outcome.log]
    assert srccs[outcome.best_epoch] == max(srccs)


def test_the_epoch_is_chosen_by_accuracy_where_asked(fit):
    _, outcome = fit(but(best_by="accuracy", epochs=8))
    figures = [row["validation_accuracy"] for row in outcome.log]
    assert outcome.best_epoch == figures.index(max(figures))


def test_the_accuracy_is_that_of_the_model_that_is_kept(fit, prepared):
    model, outcome = fit()
    splits, clips = prepared(SETTINGS)
    cosine = cosines(model, splits.validated, LearningTower(model, clips))
    rated, gaps = divided(cosine, splits)
    assert len(rated) == 8
    assert accuracy(gaps, splits.validation_choices) == outcome.after["validation_accuracy"]
    assert judge(cosine, splits)["srcc"] == outcome.after["validation_srcc"]


def test_votes_weigh_where_certainties_do(fit):
    plain, weighted = (
        weights_of(fit(but(objective="choice", certainty_weights=on, epochs=1), rated=False)[0])
        for on in (False, True)
    )
    assert same_weights(plain, weighted)  # four votes each


def test_accumulated_batches_of_choices_equal_one_larger_batch(fit, tone_clap):
    def trained(**changes):
        settings = but(objective="choice", epochs=1, max_grad_norm=0.0, **changes)
        return weights_of(fit(settings, model=tone_clap(dropout=0.0), rated=False)[0])

    whole = trained(batch_size=28)
    parts = trained(batch_size=5, gradient_accumulation=6)
    for name, tensor in whole.items():
        assert torch.allclose(tensor, parts[name], atol=1e-6), name


def test_a_loss_that_is_not_finite_names_its_choices(fit, tone_clap):
    model = tone_clap()
    with torch.no_grad():
        model.audio_projection.weight[0, 0] = math.nan
    with pytest.raises(Exception, match=r"the loss is nan on .*votes\.csv \(.* and 4 more;"):
        fit(but(objective="choice"), model=model, rated=False)


def test_more_processes_than_choices_in_a_batch_are_refused(prepared, tone_clap):
    class Many(Processes):
        count = 6

    settings = but(batch_size=6)  # 24 pairs in batches of 6; 28 choices in batches of 5 and 6
    splits, clips = prepared(settings)
    model = tone_clap()
    with pytest.raises(SettingsError, match="leaves some of 6 processes without a choice of the 2"):
        train(model, splits, settings, tower=LearningTower(model, clips), processes=Many())


def test_intervals_of_accuracy_hold_it_and_those_of_the_gain_are_paired(prepared):
    splits, _ = prepared(SETTINGS)
    choices = splits.validation_choices
    right = np.array([1.0 if one.share > 0.5 else -1.0 for one in choices])
    before = np.where(np.arange(len(choices)) % 3 == 0, -right, right)
    found = choice_intervals(before, right, choices)
    assert found["before"][0] <= accuracy(before, choices) <= found["before"][1]
    assert found["after"] == (1.0, 1.0)
    assert found["gain"] == pytest.approx((1 - found["before"][1], 1 - found["before"][0]))
    assert choice_intervals(before * np.nan, right, choices)["gain"] is None


# -- resume ---------------------------------------------------------------------------------


class KilledError(Exception):
    pass


@pytest.mark.parametrize(("objective", "rated"), [("wsce+mae+choice", True), ("choice", False)])
def test_a_resumed_run_ends_as_an_unbroken_one(fit, tmp_path, objective, rated):
    def fall(done, total, note):
        if done == 6:
            raise KilledError

    settings = but(objective=objective)
    whole, outcome = fit(settings, rated=rated)
    folder = RunFolder(tmp_path / "run", {"settings": settings.as_dict()})
    folder.open(resume=False, overwrite=False)
    with pytest.raises(KilledError):
        fit(settings, rated=rated, run_folder=folder, progress=fall)
    state = folder.open(resume=True, overwrite=False)
    assert state.epoch == 1
    resumed, second = fit(settings, rated=rated, run_folder=folder, state=state)
    assert same_weights(weights_of(whole), weights_of(resumed))
    one, other = ([{**row, "seconds": 0} for row in run.log] for run in (outcome, second))
    assert repr(one) == repr(other)  # NaN too


KILLED_RUN = """
import dataclasses, json, os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import torch
torch.set_num_threads(1)
from conftest import ToneCLAP, SAMPLE_RATE, splits_of
from humanclap.training.data.clips import ClipStore
from humanclap.training.loop.loop import train
from humanclap.training.settings import TrainingSettings
from humanclap.training.loop.state import RunFolder
from humanclap.training.model.towers import LearningTower
settings = TrainingSettings(**json.loads(sys.argv[5]))
splits = splits_of(sys.argv[2], sys.argv[3], settings)
clips = ClipStore(SAMPLE_RATE, memory_bytes=1e9)
clips.decode_all((*splits.trained, *splits.validated))
model = ToneCLAP()
folder = RunFolder(Path(sys.argv[4]), {"settings": settings.as_dict()})
folder.open(resume=False, overwrite=False)
def progress(done, total, note):
    if done == 10:
        os.kill(os.getpid(), signal.SIGKILL)
train(model, splits, settings, tower=LearningTower(model, clips), run_folder=folder,
      progress=progress)
"""


def test_a_killed_run_on_both_tables_is_resumed_to_the_bit(fit, tones, tone_choices, tmp_path):
    import json

    command = [
        *(sys.executable, "-c", KILLED_RUN, str(Path(__file__).parent), str(tones)),
        *(str(tone_choices), str(tmp_path / "run"), json.dumps(SETTINGS.as_dict())),
    ]
    done = subprocess.run(command, check=False, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert done.returncode == -signal.SIGKILL
    folder = RunFolder(tmp_path / "run", {"settings": SETTINGS.as_dict()})
    state = folder.open(resume=True, overwrite=False)
    assert state.epoch == 2
    resumed, _ = fit(run_folder=folder, state=state)
    assert same_weights(weights_of(fit()[0]), weights_of(resumed))
    with open(tmp_path / "run" / "log.csv", newline="") as file:
        head = next(csv.reader(file))
    assert {"choice", "validation_accuracy", "validation_srcc"} <= set(head)
