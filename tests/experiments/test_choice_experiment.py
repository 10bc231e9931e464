"""Recipes that name choices."""

import dataclasses
import json

import numpy as np
import pytest
import soundfile
import torch

from humanclap.clap.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from humanclap.clap.mini import MiniCLAP, MiniConfig
from humanclap.errors import LeakageError, SettingsError
from humanclap.experiments import grid
from humanclap.experiments.data import make_parts, only_systems, read_data, read_recipe_choices
from humanclap.experiments.recipe import read_recipe
from humanclap.experiments.run import run_experiment
from humanclap.scale import RatingScale
from humanclap.tables import read_table

RATE = 32_000
RECIPE = """
title = "Ratings and choices"
baseline = "ratings"
models = ["{model}"]
seeds = [0, 1]
replicates = 60
keep_checkpoints = true

[data]
tables = {{ "targets.csv" = "" }}
choices = {{ "votes.csv" = "" }}
{data}

[settings]
epochs = 2
batch_size = 8
learning_rate = 0.01

[objectives]
"ratings" = "mse"
"choices" = "choice"
"both" = {{ objective = "mse+choice", best_by = "accuracy" }}
"""
HEAD = "text,audio_a,audio_b,n_first,n_second,n_equal,system_a,system_b,split"
COLUMN = 'split = "column"'


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        mini = MiniCLAP(MiniConfig.tiny())
        for projection in (mini.audio_projection, mini.text_projection):
            torch.nn.init.normal_(projection.residual.output.weight, std=0.3)
    folder = tmp_path_factory.mktemp("model") / "tiny"
    save_checkpoint(Checkpoint(mini), folder)
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """36 rated tones of two systems; 30 choices between clips of the two, a third undecided."""
    folder = tmp_path_factory.mktemp("judged")
    generator = np.random.default_rng(0)
    rated = ["audio,text,target,mos,n,system,split"]
    for number in range(36):
        soundfile.write(folder / f"{number}.wav", tone(number), RATE)
        target = round(generator.uniform(0, 1), 2)
        split = "train" if number < 18 else "validation" if number < 26 else "test"
        system = "ab"[number % 2]
        rated.append(f"{number}.wav,sound {number},{target},{10 * target},3,{system},{split}")
    votes = [HEAD]
    for number in range(30):
        for side in "ab":
            soundfile.write(folder / f"{side}{number}.wav", tone(number), RATE)
        split = "" if number < 14 else "validation" if number < 22 else "test"
        first = (2, 3, 1)[number % 3]
        clips = f"a{number}.wav,b{number}.wav"
        votes.append(f"prompt {number},{clips},{first},{4 - first},0,a,b,{split}")
    (folder / "targets.csv").write_text("\n".join(rated) + "\n")
    (folder / "votes.csv").write_text("\n".join(votes) + "\n")
    return folder


def tone(number):
    return 0.4 * np.sin(2 * np.pi * (200 + 100 * (number % 7)) * np.arange(RATE // 10) / RATE)


def write(folder, model, data=COLUMN):
    path = folder / "recipe.toml"
    path.write_text(RECIPE.format(model=model, data=data))
    return path


@pytest.fixture(scope="module")
def found(model, data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("grid")
    return run_experiment(write(folder, model), output=folder / "out", data_folder=data)


def test_every_objective_learns_from_its_tables(found):
    trained = {
        one.run.objective: load_checkpoint(one.run.folder(found.output)).training["data"]
        for one in found.done
        if one.run.settings is not None
    }
    pairs = {name: said["train"]["pairs"] for name, said in trained.items()}
    assert pairs == {"ratings": 18, "choices": 0, "both": 18}
    choices = {name: said["train_choices"]["choices"] for name, said in trained.items()}
    assert choices == {"ratings": 0, "choices": 14, "both": 14}


def test_every_run_is_judged_on_choices_too(found):
    assert len(found.done) == 1 + 2 * 3
    for one in found.done:
        folder = one.run.folder(found.output)
        rows = [(row, row.number("share")) for row in read_table(folder / "choices.csv").rows]
        assert len(rows) == 8
        gaps = [row.number("score_a") - row.number("score_b") for row, _ in rows]
        right = [
            (1 + np.sign(gap) * np.sign(share - 0.5)) / 2
            for gap, (_, share) in zip(gaps, rows, strict=True)
            if share != 0.5
        ]
        assert one.accuracy == pytest.approx(np.mean(right))
        saved = json.loads((folder / "metrics.json").read_text())
        assert (saved["train_choices"], saved["accuracy"]) == (14, one.accuracy)


def test_the_table_has_a_column_for_choices(found):
    lines = [line for line in found.text.splitlines() if line.startswith("|")]
    assert "| accuracy on choices | Δ SRCC against ratings" in lines[0]
    table = json.loads((found.output / "table.json").read_text())
    accuracies = [one.accuracy for one in found.done if one.run.objective == "both"]
    row = table["rows"][-1]
    assert row["figures"]["choices"]["accuracy"]["by_seed"] == accuracies
    assert table["parts"][0]["choices"]["test"] == {"choices": 8, "decided": 6, "votes": 32}
    assert "Accuracy: share of 6 decided choices" in found.text
    page = (found.output / "table.html").read_text(encoding="utf-8")
    assert page.count(">accuracy") == 1
    written = read_table(found.output / "table.csv").rows
    assert any(one.optional("statistic") == "accuracy" for one in written)


def test_a_done_grid_is_read_back_with_its_accuracies(found, data, monkeypatch):
    monkeypatch.setattr(grid, "train", None)
    recipe = found.output.parent / "recipe.toml"
    again = run_experiment(recipe, output=found.output, data_folder=data)
    assert [one.accuracy for one in again.done] == [one.accuracy for one in found.done]


def parts_of(data, model, tmp_path, division=COLUMN, choices=None):
    recipe = read_recipe(write(tmp_path, model, division))
    examples = read_data(recipe.data, data, data, RatingScale())
    read = read_recipe_choices(recipe.data, data, data)
    chosen = read if choices is None else choices(examples, read)
    return make_parts(examples, recipe.data, shared_captions=False, choices=chosen), read


def test_folds_judge_every_choice_once_and_divide_the_others(data, model, tmp_path):
    division = 'split = "folds"\nfolds = 3\nvalidation_fraction = 0.25'
    parts, choices = parts_of(data, model, tmp_path, division)
    judged = [choice.first.text for part in parts for choice in part.test_choices]
    assert sorted(judged) == sorted(choice.first.text for choice in choices)
    for part in parts:
        assert part.validation_choices
        assert len(part.choices()) == len(choices)


def test_a_system_left_out_and_what_is_judged_are_in_no_choice_that_trains(data, model, tmp_path):
    division = 'split = "systems"'
    parts, choices = parts_of(data, model, tmp_path, division)
    for part in parts:
        assert not part.train_choices  # every choice has a side by the system left out
        assert part.test_choices
    other = dataclasses.replace(choices[0], systems=("c", "d"))

    def two(examples, _):
        judged = next(item for item in examples if item.system == "a" and item.split == "test")
        return [other, dataclasses.replace(other, first=side_with(other.first, judged.text))]

    (part, _), _ = parts_of(data, model, tmp_path, division, two)
    assert part.train_choices == (other,)
    assert part.choices_left_out == 1


def side_with(side, text):
    return dataclasses.replace(side, text=text)


def test_a_leak_from_a_choice_is_refused(data, model, tmp_path):
    def leaky(examples, choices):
        judged = examples[-1]
        second = dataclasses.replace(choices[0].second, audio=judged.audio, path=judged.path)
        return [dataclasses.replace(choices[0], second=second), *choices[1:]]

    with pytest.raises(LeakageError, match="share 1 clip"):
        parts_of(data, model, tmp_path, choices=leaky)


def test_some_systems_train_on_choices_of_theirs_only(data, model, tmp_path):
    (part,), _ = parts_of(data, model, tmp_path)
    assert len(only_systems(part, ["a", "b"]).train_choices) == 14
    assert only_systems(part, ["a"]).train_choices == ()


@pytest.mark.parametrize(
    ("new", "message"),
    [
        ("{}", "objective 'choices' has the term 'choice'; name tables of choices"),
        ('"votes.csv"', r"data.choices is 'votes.csv'; expected tables and the split of each"),
        ("{ a = 1 }", r"data.choices is \{'a': 1\}; expected tables"),
    ],
)
def test_a_recipe_without_the_choices_it_needs_is_refused(model, tmp_path, new, message):
    path = write(tmp_path, model)
    path.write_text(path.read_text().replace('{ "votes.csv" = "" }', new))
    with pytest.raises(SettingsError, match=message):
        read_recipe(path)


def test_a_recipe_of_choices_alone_is_refused_with_the_way_out(model, tmp_path):
    path = write(tmp_path, model)
    named = [line for line in path.read_text().splitlines() if line.startswith("tables")]
    assert len(named) == 1
    path.write_text(path.read_text().replace(named[0], ""))
    with pytest.raises(SettingsError, match="names no table; every model is judged on its rated"):
        read_recipe(path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"votes.csv" = ""', '"votes.csv" = "test"', "objective 'choices' has .* no choice trains"),
        ('"votes.csv" = ""', '"votes.csv" = "train"', "best_by = 'accuracy' of objective 'both'"),
    ],
)
def test_an_objective_without_its_choices_in_a_part_is_refused(
    data, model, tmp_path, old, new, message
):
    recipe = write(tmp_path, model)
    recipe.write_text(recipe.read_text().replace(old, new))
    with pytest.raises(SettingsError, match=message):
        run_experiment(recipe, output=tmp_path / "out", data_folder=data)
