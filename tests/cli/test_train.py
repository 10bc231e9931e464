import csv
import json

import numpy as np
import pytest
import soundfile
import torch

from humanclap.clap.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from humanclap.clap.checkpoint_files import PACKAGED
from humanclap.clap.mini import MiniCLAP, MiniConfig
from humanclap.cli.main import run

RATE = 32_000
WORDS = ("dog", "rain", "cat", "bird")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        mini = MiniCLAP(MiniConfig.tiny())
    folder = tmp_path_factory.mktemp("model") / "tiny"
    save_checkpoint(Checkpoint(mini), folder)
    return folder


@pytest.fixture(scope="module")
def targets(tmp_path_factory):
    """20 tones of half a second, the last six for validation."""
    folder = tmp_path_factory.mktemp("rated")
    generator = np.random.default_rng(0)
    time = np.arange(RATE // 2) / RATE
    with open(folder / "targets.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["audio", "text", "target", "mos", "n", "split"])
        for number in range(20):
            wave = 0.4 * np.sin(2 * np.pi * (200 + 300 * (number % 4)) * time)
            soundfile.write(folder / f"{number}.wav", wave, RATE)
            target = round(generator.uniform(0, 1), 2)
            split = "train" if number < 14 else "validation"
            text = f"a {WORDS[number % 4]} {number}"
            writer.writerow([f"{number}.wav", text, target, 10 * target, 3, split])
    return folder / "targets.csv"


@pytest.fixture
def train(targets, model, tmp_path, capsys):
    """Run `humanclap train`; gives (exit code, stdout, stderr)."""

    def call(*arguments, table=targets, output=tmp_path / "run"):
        code = run(
            ["train", str(table), "-o", str(output), "-m", str(model), "--epochs", "2"]
            + [str(argument) for argument in arguments]
        )
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def test_train_writes_a_checkpoint_that_loads_with_its_card_and_log(train, tmp_path):
    code, out, err = train("--note", "Tones rated by chance.", "--simulated", "--seed", "3")
    assert code == 0, err
    assert "trained on 14 pairs, 6 validation pairs (split 'validation'), 0 rows unused" in out
    loaded = load_checkpoint(tmp_path / "run" / "checkpoint")
    assert loaded.calibration is not None
    assert (loaded.calibration.n, loaded.calibration.fitted_on) == (6, "split 'validation'")
    assert loaded.training["settings"]["seed"] == 3
    assert loaded.training["data"]["train"] == {"pairs": 14, "clips": 14, "captions": 14}
    assert loaded.training["base_model"]["kind"] == "mini"
    start, end = loaded.calibration.ratings
    error, _ = loaded.calibration.errors
    assert f"predicted rating {start:.1f} ± {error:.1f} at score " in out
    assert f"; {end:.1f} ± {error:.1f} at score " in out
    assert "fitted on 6 pairs: too few to tell the error, which is a guess" in out
    card = (tmp_path / "run" / "checkpoint" / "README.md").read_text()
    assert "simulated, not given by people" in card
    assert "Tones rated by chance." in card
    assert "| training | 14 | 14 | 14 |" in card
    assert "too few to tell the standard errors of predicted ratings" in card
    log = (tmp_path / "run" / "log.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in log] == ["epoch", "0", "1", "2"]
    assert not (tmp_path / "run" / "state.pt").exists()


def test_scoring_says_where_the_calibration_stands_on_too_few_pairs(
    train, targets, tmp_path, capsys
):
    assert train()[0] == 0
    command = ["score", str(targets.parent / "0.wav"), "a dog", "-m", str(tmp_path / "run")]
    assert run(command) == 0
    told = "predicted ratings were fitted on 6 pairs; their errors are a guess"
    assert told in capsys.readouterr().err
    assert run([*command, "--quiet"]) == 0
    assert told not in capsys.readouterr().err


def test_a_run_of_the_packaged_model_is_named_licensed_and_stored_once(targets, tmp_path, capsys):
    def trained(folder, *options):
        command = ["train", str(targets), "-o", str(tmp_path / folder), "--epochs", "1", "--quiet"]
        assert run([*command, *options]) == 0
        capsys.readouterr()
        return tmp_path / folder / "checkpoint"

    first = trained("first")
    whole = trained("second", "--whole", "--name", "rain", "--licence", "cc-by-4.0")
    assert load_checkpoint(first).name == "mini-first"
    assert load_checkpoint(whole).name == "rain"
    assert "\nlicense: apache-2.0\n" in (first / "README.md").read_text()
    assert "\nlicense: cc-by-4.0\n" in (whole / "README.md").read_text()
    one, two = (load_checkpoint(folder).backbone.fingerprint() for folder in (first, whole))
    assert one == two
    sizes = [(folder / "model.safetensors").stat().st_size for folder in (first, whole)]
    base = (PACKAGED / "mini" / "model.safetensors").stat().st_size
    assert sizes[0] < base / 2
    assert sizes[1] < 1.5 * base
    again = trained("third", "--model", str(first))
    assert load_checkpoint(again).name == "mini-first-third"
    assert load_checkpoint(again).training["base_model"]["name"] == "mini-first"


def test_json_holds_the_final_metrics_and_nothing_else(train):
    code, out, _ = train("--json", "--quiet", "--objective", "mse")
    assert code == 0
    result = json.loads(out)
    assert (result["train_pairs"], result["validation_pairs"]) == (14, 6)
    assert set(result["after"]) == {"srcc", "lcc", "ktau", "mse"}
    first, *_, last = result["calibration"]["ratings"]
    assert first <= last
    assert min(result["calibration"]["errors"]) > 0


def test_the_same_seed_writes_the_same_weights(train, tmp_path):
    for name in ("one", "two"):
        assert train("--train", "all", output=tmp_path / name)[0] == 0
    one, two = (load_checkpoint(tmp_path / name / "checkpoint") for name in ("one", "two"))
    assert one.backbone.fingerprint() == two.backbone.fingerprint()


def test_options_override_the_settings_file(train, tmp_path):
    recipe = tmp_path / "recipe.toml"
    recipe.write_text('objective = "mae"\nepochs = 9\nlearning_rate = 0.003\n')
    assert train("--settings", recipe)[0] == 0
    settings = load_checkpoint(tmp_path / "run" / "checkpoint").training["settings"]
    assert (settings["objective"], settings["epochs"]) == ("mae", 2)
    assert settings["learning_rate"] == 0.003


def test_an_output_in_use_needs_resume_or_overwrite(train):
    assert train()[0] == 0
    code, _, err = train()
    assert code == 2
    assert "holds a training run; go on with --resume or start anew with --overwrite" in err
    code, _, err = train("--resume")
    assert code == 2
    assert "this run is complete" in err
    assert train("--overwrite")[0] == 0


def test_resume_of_a_run_that_never_began_begins_it(train):
    assert train("--resume")[0] == 0


def test_ctrl_c_says_how_to_go_on_and_resume_does(train, tmp_path, monkeypatch):
    from humanclap.training.loop import loop

    real, calls = loop.plan_epoch, []

    def interrupted(*arguments, **options):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(*arguments, **options)

    monkeypatch.setattr(loop, "plan_epoch", interrupted)
    code, _, err = train()
    assert code == 130
    assert "give the same command with --resume" in err
    code, out, _ = train("--resume")
    assert code == 0
    assert "of 2)" in out
    assert len(calls) == 3  # epoch 1, epoch 2 interrupted, epoch 2


def test_shared_captions_are_refused_or_reported_loudly(train, tmp_path, targets):
    table = tmp_path / "closed.csv"
    table.write_text(targets.read_text().replace("a cat 18", "a rain 1"))
    root = ["--audio-root", targets.parent]
    code, _, err = train(*root, table=table)
    assert code == 2
    assert "share 1 caption" in err
    code, _, err = train(*root, "--allow-shared-captions", "--quiet", table=table)
    assert code == 0
    assert "say nothing about unseen captions" in err


def rewritten(targets, change):
    """The table with (target, mos) changed, beside the clips."""
    table = targets.with_name("rewritten.csv")
    with open(targets, newline="") as file:
        header, *rows = list(csv.reader(file))
    rows = [[*row[:2], *change(float(row[2]), float(row[3])), *row[4:]] for row in rows]
    with open(table, "w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return table


def test_targets_and_mean_ratings_of_two_scales_are_refused_before_training(
    train, targets, tmp_path
):
    five = rewritten(targets, lambda target, _: (target, 1 + 4 * target))
    code, _, err = train(table=five)
    assert code == 2
    assert "the columns target and mos are of two scales" in err
    assert "--rating-scale 1..5" in err
    assert not (tmp_path / "run").exists()
    assert train("--rating-scale", "1..5", table=five)[0] == 0


def test_the_scale_is_asked_for_where_no_mean_rating_leaves_one_to_five(train, targets, tmp_path):
    low = rewritten(targets, lambda target, _: (0.1 + 0.4 * target, 1 + 4 * target))
    code, _, err = train(table=low)
    assert code == 2
    assert "all 20 ratings lie in 1..5" in err
    assert "--rating-scale 1..5 or --rating-scale 0..10" in err
    settings = tmp_path / "s.toml"
    settings.write_text('rating_scale = "0..10"\n')
    assert train("--settings", settings, table=low)[0] == 0
    assert train("--rating-scale", "0..10", "--overwrite", table=low)[0] == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--objective", "wsse"], "'wsse' is no term; expected a sum of sce, wsce, mse, mae"),
        (["--epochs", "0"], "epochs is 0; expected at least 1"),
        (["--device", "abacus"], "device 'abacus' cannot be used here"),
        (["--rating-scale", "1..5"], "is outside the rating_scale 1..5"),
        (["--validation-fraction", "2"], "validation fraction is 2; expected between 0 and 1"),
        (["--resume", "--overwrite"], "--resume goes on, --overwrite starts anew"),
        (["--validation", "v.csv", "--validation-fraction", "0.1"], "not both"),
        (["--validation", "v.csv"], "v.csv: no such file"),
        (["--audio-root", "nowhere"], "nowhere: audio root is no folder"),
        (["--settings", "none.toml"], "none.toml: no such settings file"),
        (["-m", "maxi"], "maxi: no such model"),
        (["--epochs", "many"], "'many' is not a valid integer"),
    ],
)
def test_bad_input_is_refused_with_a_message_before_anything_is_written(
    train, tmp_path, arguments, message
):
    code, out, err = train(*arguments)
    assert code == 2
    assert message in err
    assert not out
    assert not (tmp_path / "run").exists()


def test_missing_audio_is_named(train, tmp_path, targets):
    code, _, err = train("--audio-root", tmp_path, table=targets)
    assert code == 2
    assert "20 audio files are missing (is the audio root right?)" in err
    assert "targets.csv:2: " in err
    assert "and 15 more" in err


def test_texts_that_the_model_cannot_read_are_told_before_training(train, targets, caplog):
    rows = (
        targets.read_text().replace("a dog 0", "犬が吠えている").replace("a dog 4", "a dog " * 40)
    )
    table = targets.with_name("unread.csv")
    table.write_text(rows)
    code, _, _ = train(table=table)
    assert code == 0
    told = [record.getMessage() for record in caplog.records]
    assert any(
        line.startswith("1 of 20 texts is in letters that the model does not know") for line in told
    )
    assert any(line.startswith("1 of 20 texts is longer than the model reads") for line in told)


def test_with_the_cache_again_and_without_it_training_writes_the_same_weights(
    train, tmp_path, monkeypatch
):
    cache = tmp_path / "cache"
    monkeypatch.setenv("HUMANCLAP_CACHE", str(cache))
    monkeypatch.delenv("HUMANCLAP_CACHE_MB")
    written = []
    for number, options in enumerate((["--no-cache"], [], [])):
        folder = tmp_path / str(number)
        assert train(*options, output=folder)[0] == 0
        written.append((folder / "checkpoint" / "model.safetensors").read_bytes())
        assert cache.exists() == (number > 0)
    assert written[0] == written[1] == written[2]
