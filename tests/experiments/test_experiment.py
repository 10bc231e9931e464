import csv
import dataclasses
import json
import math
import re

import numpy as np
import pytest
import soundfile
import torch

from humanclap.clap.checkpoint import Checkpoint, save_checkpoint
from humanclap.clap.mini import MiniCLAP, MiniConfig
from humanclap.cli.main import run
from humanclap.errors import InputError, LeakageError, SettingsError
from humanclap.experiments import grid
from humanclap.experiments.data import fewer_pairs, make_parts, read_data
from humanclap.experiments.recipe import DataRecipe, read_recipe
from humanclap.experiments.run import run_experiment
from humanclap.experiments.summary import over_seeds
from humanclap.grouping import listener_overlap, without_shared
from humanclap.metrics.agreement import mse, srcc
from humanclap.records import Pair
from humanclap.scale import UNSTATED, RatingScale
from humanclap.scoring.scorer import HumanCLAP
from humanclap.tables import read_scores, read_table
from humanclap.training.loop.state import RunFolder

RATE = 32_000
WORDS = ("dog", "rain", "cat", "bird")
SYSTEMS = ("natural", "one", "two")
RECIPE = """
title = "A small grid"
baseline = "SCE"
models = ["{model}"]
seeds = [0, 1]
replicates = 60
keep_checkpoints = true
{more}

[data]
tables = {{ "targets.csv" = "" }}
{data}

[settings]
epochs = 2
batch_size = 8
learning_rate = 0.01

[objectives]
"SCE" = "sce"
"SPO" = {{ objective = "mse+0.5*difference", standardise_targets = true }}
"""


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
    """48 pairs of short tones by three systems: 24 train, 8 validation, 16 test."""
    folder = tmp_path_factory.mktemp("rated")
    generator = np.random.default_rng(0)
    time = np.arange(RATE // 5) / RATE
    with open(folder / "targets.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["audio", "text", "target", "mos", "n", "system", "subset", "split"])
        for number in range(48):
            wave = 0.4 * np.sin(2 * np.pi * (200 + 300 * (number % 4)) * time)
            soundfile.write(folder / f"{number}.wav", wave, RATE)
            target = round(generator.uniform(0, 1), 2)
            split = "train" if number < 24 else "validation" if number < 32 else "test"
            system = SYSTEMS[number % 3]
            subset = "natural" if system == "natural" else "synthetic"
            row = [f"{number}.wav", f"a {WORDS[number % 4]} {number}", target, 10 * target]
            writer.writerow([*row, 3, system, subset, split])
    return folder


def write(folder, model, data='split = "column"', more=""):
    path = folder / "recipe.toml"
    path.write_text(RECIPE.format(model=model, data=data, more=more))
    return path


@pytest.fixture(scope="module")
def grid_run(model, data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("grid")
    recipe = write(folder, model)
    return run_experiment(recipe, output=folder / "out", data_folder=data)


def test_every_run_is_a_folder_with_settings_log_predictions_and_metrics(grid_run):
    folders = sorted(path.parent for path in grid_run.output.rglob("metrics.json"))
    assert len(folders) == 1 + 2 * 2  # before training; two objectives, two seeds
    for folder in folders:
        assert (folder / "run.json").is_file()
        rows = read_scores(folder / "predictions.csv")
        metrics = json.loads((folder / "metrics.json").read_text())
        human = {row.text("audio"): row.number("mos") for row in targets(grid_run, "test")}
        scores = [row.score for row in rows]
        mos = [human[row.audio] for row in rows]
        assert len(rows) == 16
        assert metrics["test"]["overall"]["srcc"] == pytest.approx(srcc(scores, mos))
        predicted = [row.rating for row in rows]
        assert metrics["test"]["overall"]["mse"] == pytest.approx(mse(predicted, mos))
        if "before" not in str(folder):
            assert (folder / "log.csv").is_file()
            assert (folder / "checkpoint" / "README.md").is_file()
            assert not (folder / "state.pt").exists()


def targets(grid_run, split):
    table = read_table(grid_run.parts[0].test[0].path.parent / "targets.csv")
    return [row for row in table.rows if row.text("split") == split]


def test_predictions_are_what_scoring_gives_for_the_checkpoint(grid_run):
    folder = next(grid_run.output.rglob("SPO/**/predictions.csv")).parent
    rows = read_scores(folder / "predictions.csv")
    scorer = HumanCLAP.from_pretrained(folder)
    assert {row.signature for row in rows} == {scorer.signature}
    root = grid_run.parts[0].test[0].path.parent
    pairs = [Pair(audio=row.audio, text=row.text) for row in rows]
    scored = {score.audio: score for score in scorer.score_pairs(pairs, audio_root=root)}
    for row in rows:
        assert row.score == pytest.approx(scored[row.audio].score, abs=1e-5)
        assert row.rating == pytest.approx(scored[row.audio].rating, abs=1e-4)


def test_the_table_has_a_row_an_objective_and_a_cell_a_figure(grid_run):
    lines = [line for line in grid_run.text.splitlines() if line.startswith("|")]
    assert [line.split(" | ")[0] for line in lines[2:]] == ["| before training", "| SCE", "| SPO"]
    assert lines[0].count("SRCC") == 5  # four groups and the gain
    assert "within system" in lines[0]
    table = json.loads((grid_run.output / "table.json").read_text())
    page = (grid_run.output / "table.html").read_text(encoding="utf-8")
    marks = ["<h1>A small grid</h1>", 'class="summary"', "<figure>", "<table", "How this was made"]
    assert [page.index(mark, page.index("<body>")) for mark in marks] == sorted(
        page.index(mark) for mark in marks
    )
    assert table["made"]["date"] in page
    assert table["made"]["date"] in (grid_run.output / "table.md").read_text(encoding="utf-8")
    row = table["rows"][2]
    by_seed = row["figures"]["overall"]["srcc"]["by_seed"]
    assert len(by_seed) == 2
    assert row["figures"]["overall"]["srcc"]["mean"] == pytest.approx(sum(by_seed) / 2)
    base = table["rows"][1]["figures"]["overall"]["srcc"]["mean"]
    gain = row["srcc_gain"]
    assert gain["value"] == pytest.approx(sum(by_seed) / 2 - base)
    assert gain["low"] <= gain["value"] <= gain["high"]
    assert table["rows"][1]["srcc_gain"] is None
    within = [
        srcc([1, 2, 3], [1, 2, 3]),  # a perfect one is 1; the mean of systems is checked below
        row["figures"]["within system"]["srcc"]["mean"],
    ]
    assert -1 <= within[1] <= within[0]


class KilledError(Exception):
    pass


def without_time(text: str) -> str:
    """A report without the minute in which it was made."""
    return re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", "", text)


def test_a_broken_grid_is_resumed_and_a_done_one_trains_nothing(
    grid_run, model, data, tmp_path, monkeypatch
):
    recipe = write(tmp_path, model)
    saved = []
    plain = RunFolder.save

    def save_and_fall(self, state):
        plain(self, state)
        saved.append(state.epoch)
        if len(saved) == 5:  # the third run, after its first epoch
            raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "save", save_and_fall)
        patch.setattr(grid, "SAVE_EVERY_S", 0.0)
        with pytest.raises(KilledError):
            run_experiment(recipe, output=tmp_path / "out", data_folder=data)
    assert len(list((tmp_path / "out").rglob("state.pt"))) == 1
    resumed = run_experiment(recipe, output=tmp_path / "out", data_folder=data)
    assert without_time(resumed.text) == without_time(grid_run.text)
    for weights in grid_run.output.rglob("checkpoint/model.safetensors"):
        again = tmp_path / "out" / weights.relative_to(grid_run.output)
        assert weights.read_bytes() == again.read_bytes()
    monkeypatch.setattr(grid, "train", None)
    done = run_experiment(recipe, output=tmp_path / "out", data_folder=data)
    assert without_time(done.text) == without_time(resumed.text)


def test_another_recipe_in_the_same_folder_is_refused(model, data, tmp_path):
    recipe = write(tmp_path, model)
    run_experiment(recipe, output=tmp_path / "out", data_folder=data)
    recipe.write_text(recipe.read_text().replace("learning_rate = 0.01", "learning_rate = 0.02"))
    with pytest.raises(SettingsError, match=r"another run: settings.learning_rate was 0.01"):
        run_experiment(recipe, output=tmp_path / "out", data_folder=data)


@pytest.mark.parametrize(
    ("division", "names"),
    [
        ('split = "folds"\nfolds = 3\nvalidation_fraction = 0.25', ["fold 1", "fold 2", "fold 3"]),
        (
            'split = "each"\nvalidation_fraction = 0.25',
            ["fold test", "fold train", "fold validation"],
        ),
        ('split = "systems"', [f"without {name}" for name in SYSTEMS]),
    ],
)
def test_folds_and_systems_left_out(model, data, tmp_path, division, names):
    recipe = read_recipe(write(tmp_path, model, division))
    examples = read_data(recipe.data, data, data, RatingScale())
    parts = make_parts(examples, recipe.data, shared_captions=False)
    assert [part.name for part in parts] == names
    for part in parts:
        sides = [{item.pair_id for item in side} for side in (part.train, part.validation)]
        test = {item.pair_id for item in part.test}
        assert not test & (sides[0] | sides[1])
        assert not (sides[0] & sides[1])
        if part.name.startswith("without"):
            system = part.name.split()[-1]
            assert {item.system for item in part.test} == {system}
            assert system not in {item.system for item in (*part.train, *part.validation)}
    if names[0].startswith("fold"):
        tested = [item.pair_id for part in parts for item in part.test]
        assert sorted(tested) == sorted(item.pair_id for item in examples)


def test_a_caption_on_both_sides_is_refused(data, model, tmp_path):
    recipe = read_recipe(write(tmp_path, model))
    examples = read_data(recipe.data, data, data, RatingScale())
    leaky = [*examples[:-1], dataclasses.replace(examples[-1], text=examples[0].text)]
    with pytest.raises(LeakageError, match="share 1 caption"):
        make_parts(leaky, recipe.data, shared_captions=False)
    assert make_parts(leaky, recipe.data, shared_captions=True)


def test_a_larger_number_of_pairs_holds_the_smaller(data, model, tmp_path):
    recipe = read_recipe(write(tmp_path, model))
    (part,) = make_parts(
        read_data(recipe.data, data, data, RatingScale()), recipe.data, shared_captions=False
    )
    small, large = fewer_pairs(part, 8, 0), fewer_pairs(part, 20, 0)
    assert (len(small.train), len(small.validation)) == (5, 3)
    assert (len(large.train), len(large.validation)) == (15, 5)
    assert {item.pair_id for item in small.train} <= {item.pair_id for item in large.train}
    assert {i.pair_id for i in small.train} != {i.pair_id for i in fewer_pairs(part, 8, 1).train}
    assert fewer_pairs(part, 0, 0) is part
    with pytest.raises(SettingsError, match="99 pairs cannot be taken"):
        fewer_pairs(part, 99, 0)


def test_numbers_of_pairs_end_in_a_plot(model, data, tmp_path):
    recipe = write(tmp_path, model, more="pairs = [8, 20, 0]")
    found = run_experiment(recipe, output=tmp_path / "out", data_folder=data)
    plot = (tmp_path / "out" / "efficiency.svg").read_text()
    assert plot.count("<circle") == 2 * 3
    assert ">24</text>" in plot  # eight pairs of three ratings
    assert {row.ratings for row in found.rows} == {24.0, 60.0, 96.0}


def test_a_submission_is_written_by_the_best_run_on_validation(model, data, tmp_path):
    rows = ["wav_file_name,text", "40.wav,a dog", "41.wav,rain"]
    (data / "submit.csv").write_text("\n".join(rows) + "\n")
    recipe = write(tmp_path, model, 'split = "column"\nsubmit = "submit.csv"')
    run_experiment(recipe, output=tmp_path / "out", data_folder=data)
    table = read_table(tmp_path / "out" / "submission.csv")
    assert table.columns == ("wav_file_name", "pred_score")
    assert [row.text("wav_file_name") for row in table.rows] == ["40.wav", "41.wav"]
    assert all(0 <= row.number("pred_score") <= 10 for row in table.rows)


def test_a_grid_stays_on_its_device_where_there_is_another(model, data, tmp_path, monkeypatch):
    """`auto` would be CUDA here, to which nothing can be moved."""
    (data / "submit.csv").write_text("wav_file_name,text\n40.wav,a dog\n")
    recipe = write(tmp_path, model, 'split = "column"\nsubmit = "submit.csv"')
    small = recipe.read_text().replace("seeds = [0, 1]", "seeds = [0]")
    recipe.write_text(small.replace("epochs = 2", 'epochs = 1\ndevice = "cpu"'))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    found = run_experiment(recipe, output=tmp_path / "out", data_folder=data)
    assert len(found.done) == 3


def test_ratings_are_screened_aggregated_and_their_listeners_counted(data, tmp_path):
    lines = ["audio,text,score,listener_id,split"]
    for number in range(40):
        split = "train" if number < 20 else "validation" if number < 30 else "test"
        for listener in (number % 5, 5 + number % 3):
            said = f"{number}.wav,a {number},{(number + listener) % 11},L{listener},{split}"
            lines.append(said)
    (tmp_path / "ratings.csv").write_text("\n".join(lines) + "\n")
    recipe = DataRecipe(tables={"ratings.csv": ""})
    examples = read_data(recipe, tmp_path, data, RatingScale())
    assert len(examples) == 40
    assert all(len(item.answers) == item.n == 2 for item in examples)
    (part,) = make_parts(examples, recipe, shared_captions=False)
    overlap = part.overlap()
    assert overlap is not None
    assert overlap["test"]["train"] == 1.0


def test_the_interval_over_seeds_is_students():
    found = over_seeds([0.2, 0.4])
    assert found.mean == pytest.approx(0.3)
    assert found.half_width == pytest.approx(12.7062 * 0.141421 / math.sqrt(2), rel=1e-4)
    assert math.isnan(over_seeds([0.2]).half_width)


def test_pairs_that_share_with_the_held_out_are_counted():
    held = [Pair(audio="a.wav", text="Rain")]
    others = [
        Pair(audio="b.wav", text="rain "),
        Pair(audio="a.wav", text="dog"),
        Pair(audio="c.wav", text="cat"),
    ]
    assert without_shared(others, held) == ([others[2]], 2)
    assert without_shared(others, held, captions=False) == ([others[0], others[2]], 1)
    assert listener_overlap({"a": ["x", "y"], "b": ["x"]})["a"] == {"b": 0.5}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "replicates = 60",
            "replicate = 60",
            r"unknown setting 'replicate' .*did you mean replicates",
        ),
        ('split = "column"', 'split = "random"', "data.split is 'random'"),
        ("epochs = 2", "epoch = 2", "settings: unknown setting 'epoch'"),
        ('"SCE" = "sce"', '"SCE" = "sec"', "objectives.SCE: objective 'sec'"),
        ('baseline = "SCE"', 'baseline = "CE"', "baseline 'CE' is no objective"),
        ("seeds = [0, 1]", "seeds = [0, 0]", "seeds must be distinct"),
        ("seeds = [0, 1]", 'seeds = ["a"]', "expected a list, each a whole number"),
        ("seeds = [0, 1]", "seeds = [9223372036854775808]", "at most 9223372036854775807"),
        ("seeds = [0, 1]", "seeds = [-1]", "seed is -1; expected at least 0"),
        (
            '"SCE" = "sce"',
            '"SCE" = { objective = "sce", device = "cuda" }',
            r"objectives.SCE: device holds for the whole grid; set it in \[settings\]",
        ),
        ('title = "A small grid"', "", "'title' is missing"),
        ('split = "column"', 'split = "folds"', "needs a validation_fraction"),
    ],
)
def test_a_bad_recipe_is_refused_by_name(model, tmp_path, old, new, message):
    path = write(tmp_path, model)
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(SettingsError, match=message) as error:
        read_recipe(path)
    assert str(error.value).startswith(str(path))


def test_the_command_prints_the_table(model, data, tmp_path, capsys):
    recipe = write(tmp_path, model)
    arguments = ["experiment", str(recipe), "--data", str(data), "-o", str(tmp_path / "out")]
    assert run(arguments) == 0
    printed = capsys.readouterr()
    assert "# A small grid" in printed.out
    assert "table.md" in printed.err
    assert run([*arguments, "--json", "-q"]) == 0
    assert json.loads(capsys.readouterr().out)["title"] == "A small grid"


def five_points(tmp_path, target_of):
    """24 targets on 1..5; target_of: mos -> target."""
    means = np.linspace(1, 5, 24).round(3)
    rows = [[f"{n}.wav", f"sound {n}", target_of(mos), mos, 3] for n, mos in enumerate(means)]
    with open(tmp_path / "targets.csv", "w", newline="") as file:
        csv.writer(file).writerows([["audio", "text", "target", "mos", "n"], *rows])
    return DataRecipe(tables={"targets.csv": ""})


def test_a_recipe_s_tables_must_be_of_its_scale_and_say_so(tmp_path):
    def read(recipe, scale):
        return read_data(recipe, tmp_path, tmp_path, scale)

    of_five = five_points(tmp_path, lambda mos: (mos - 1) / 4)
    with pytest.raises(InputError, match=r"two scales.*\[settings\] rating_scale = 1\.\.5"):
        read(of_five, UNSTATED)
    assert len(read(of_five, RatingScale(low=1, high=5))) == 24
    of_ten = five_points(tmp_path, lambda mos: mos / 10)
    with pytest.raises(InputError, match=r"all 24 ratings lie in 1\.\.5"):
        read(of_ten, UNSTATED)
    assert len(read(of_ten, RatingScale())) == 24


@pytest.mark.parametrize("form", ["ratings", "averages"])
def test_single_ratings_and_averages_of_a_recipe_are_asked_for_their_scale_too(tmp_path, form):
    heads = {
        "ratings": "audio,text,score,listener_id",
        "averages": "wav_file_name,text,average_score",
    }
    rows = [f"{n}.wav,sound {n},{1 + n % 5}" + ",ann" * (form == "ratings") for n in range(12)]
    (tmp_path / "t.csv").write_text("\n".join([heads[form], *rows]) + "\n")
    recipe = DataRecipe(tables={"t.csv": ""})
    with pytest.raises(InputError, match=r"all 12 ratings lie in 1\.\.5"):
        read_data(recipe, tmp_path, tmp_path, UNSTATED)
    five = read_data(recipe, tmp_path, tmp_path, RatingScale(low=1, high=5))
    assert five[1].relevance == 0.25


@pytest.mark.parametrize(
    ("said", "stated"),
    [("", False), ('rating_scale = "0..10"', True), ('rating_scale = "1..5"', True)],
)
def test_a_recipe_that_does_not_name_its_scale_has_not_stated_it(tmp_path, said, stated):
    text = RECIPE.format(model="mini", data='split = "column"', more="")
    path = tmp_path / "recipe.toml"
    path.write_text(text.replace("epochs = 2", f"epochs = 2\n{said}"))
    assert (read_recipe(path).rating_scale is not UNSTATED) == stated
