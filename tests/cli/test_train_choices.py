"""`humanclap train` on choices, alone and beside ratings."""

import csv
import json

import numpy as np
import pytest
import soundfile
import torch

from humanclap.audio.clip_codes import clip_codes
from humanclap.clap.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from humanclap.clap.mini import MiniCLAP, MiniConfig
from humanclap.cli.main import run
from humanclap.errors import LeakageError
from humanclap.training.run import TrainingRequest, train_from_tables
from humanclap.training.settings import TrainingSettings

RATE = 32_000
WORDS = ("dog", "rain", "cat", "bird")
BOTH = ("--objective", "wsce+mae+choice")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        mini = MiniCLAP(MiniConfig.tiny())
    folder = tmp_path_factory.mktemp("model") / "tiny"
    save_checkpoint(Checkpoint(mini), folder)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory, sound):
    """targets.csv: 14 training and 6 validation pairs; votes.csv: 9 and 4 choices, one undecided;
    choices.csv: the same, an answer a row."""
    home = tmp_path_factory.mktemp("judged")
    generator = np.random.default_rng(0)
    rated = [["audio", "text", "target", "mos", "n", "split"]]
    for number in range(20):
        write_tone(home / f"{number}.wav", number)
        target = round(generator.uniform(0, 1), 2)
        split = "train" if number < 14 else "validation"
        text = f"a {WORDS[number % 4]} {number}"
        rated.append([f"{number}.wav", text, target, 10 * target, 3, split])
    votes = [["audio", "text_a", "text_b", "n_first", "n_second", "n_equal", "split"]]
    answers = [["audio", "text_a", "text_b", "choice", "listener_id", "split"]]
    for number in range(13):
        soundfile.write(home / f"c{number}.wav", sound(number, 1.5), RATE)
        split = "train" if number < 9 else "validation"
        texts = [f"a {WORDS[number % 4]} chosen {number}", f"some {WORDS[number % 3]} {number}"]
        counts = (2, 2, 0) if number == 12 else (3, 1, 0)
        votes.append([f"c{number}.wav", *texts, *counts, split])
        for listener in range(4):
            choice = "first" if listener < counts[0] else "second"
            answers.append([f"c{number}.wav", *texts, choice, f"L{listener}", split])
    for name, rows in (("targets", rated), ("votes", votes), ("choices", answers)):
        with open(home / f"{name}.csv", "w", newline="") as file:
            csv.writer(file).writerows(rows)
    return home


def write_tone(path, number):
    time = np.arange(RATE // 2) / RATE
    soundfile.write(path, 0.4 * np.sin(2 * np.pi * (200 + 300 * (number % 4)) * time), RATE)


@pytest.fixture
def train(model, tmp_path, capsys):
    """Run `humanclap train`; gives (exit code, stdout, stderr)."""

    def call(*arguments, output=tmp_path / "run"):
        command = ["train", "-o", output, "-m", model, "--epochs", 2, "--quiet", *arguments]
        code = run([str(argument) for argument in command])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def test_ratings_and_choices_train_one_model_and_its_record_holds_both(train, folder, tmp_path):
    code, out, err = train(folder / "targets.csv", "--choices", folder / "votes.csv", *BOTH)
    assert code == 0, err
    assert "trained on 14 pairs, 6 validation pairs (split 'validation'), 0 rows unused" in out
    assert "trained on 9 choices, 4 validation choices (3 decided), 0 unused" in out
    assert "accuracy" in out.splitlines()[2]
    loaded = load_checkpoint(tmp_path / "run")
    assert loaded.calibration.n == 6
    data = loaded.training["data"]
    assert data["train_choices"] == {
        "choices": 9,
        "decided": 9,
        "votes": 36,
        "pairs": 18,
        "clips": 9,
        "captions": 18,
    }
    assert loaded.training["best_by"] == "srcc"
    assert 0 <= loaded.training["validation"]["after"]["accuracy"] <= 1
    card = (tmp_path / "run" / "checkpoint" / "README.md").read_text()
    assert "A CLAP tuned on human ratings and choices" in card
    assert "tags: [CLAP, audio-text, human-ratings, human-choices]" in card
    assert "| people's choices | choices | decided | votes | clips | captions |" in card
    assert "| training | 9 | 9 | 36 | 9 | 18 |" in card
    assert "| accuracy | " in card
    log = (tmp_path / "run" / "log.csv").read_text().splitlines()
    assert {"choice", "validation_srcc", "validation_accuracy"} <= set(log[0].split(","))


def test_clips_and_captions_of_choices_are_remembered(train, folder, tmp_path):
    assert train(folder / "targets.csv", "--choices", folder / "votes.csv", *BOTH)[0] == 0
    known = load_checkpoint(tmp_path / "run").known_identities()
    texts = ["a dog 0", "a dog 16", "a rain chosen 1", "a cat chosen 10", "some dog 9", "a gnu"]
    roles = ["tuned", "calibrated", "tuned", "calibrated", "calibrated"]
    for clip, role in (("c0.wav", "tuned"), ("c12.wav", "calibrated")):
        met = known.met(texts, clip_codes(folder / clip))
        assert met == [*(f"caption:{one}+clip:{role}" for one in roles), f"clip:{role}"]


def test_choices_alone_give_a_model_without_calibration_that_says_so(
    train, folder, tmp_path, capsys
):
    code, out, err = train("--choices", folder / "votes.csv", "--objective", "choice")
    assert code == 0, err
    assert "trained on 9 choices" in out
    assert "SRCC" not in out
    assert "no calibration: choices say which is better, not how good" in out
    loaded = load_checkpoint(tmp_path / "run")
    assert loaded.calibration is None
    assert loaded.training["best_by"] == "accuracy"
    card = (tmp_path / "run" / "checkpoint" / "README.md").read_text()
    assert "None: scores are cosines only. They order pairs" in card
    assert "A CLAP tuned on human choices:" in card
    assert "SRCC |" not in card
    assert "| | pairs | clips | captions |" not in card
    assert "| validation (split 'validation') | 4 | 3 | 16 | 4 | 8 |" in card
    clip = str(folder / "c0.wav")
    assert run(["score", clip, "a dog", "-m", str(tmp_path / "run"), "-q"]) == 0
    assert " of 10" not in capsys.readouterr().out


def test_ratings_may_calibrate_what_choices_taught(train, folder, tmp_path):
    table = folder / "targets.csv"
    choices = ("--choices", folder / "votes.csv", "--objective", "choice")
    code, out, _ = train(table, *choices)
    assert code == 0
    assert "trained on 0 pairs, 6 validation pairs (split 'validation'), 14 rows unused" in out
    assert load_checkpoint(tmp_path / "run").calibration.n == 6
    code, out, _ = train("--validation", table, *choices, output=tmp_path / "second")
    assert code == 0
    assert load_checkpoint(tmp_path / "second").calibration.n == 20


def test_answers_and_votes_train_the_same_model(train, folder, tmp_path):
    written = []
    for name in ("votes", "choices"):
        output = tmp_path / name
        code, _, err = train(
            *("--choices", folder / f"{name}.csv", "--objective", "choice"), output=output
        )
        assert code == 0, err
        written.append((output / "checkpoint" / "model.safetensors").read_bytes())
    assert written[0] == written[1]


def test_json_counts_choices_and_has_no_calibration(train, folder):
    choices = ("--choices", folder / "votes.csv", "--objective", "choice", "--json")
    code, out, _ = train(*choices)
    assert code == 0
    result = json.loads(out)
    assert (result["train_choices"], result["validation_choices"]) == (9, 4)
    assert result["calibration"] is None
    assert result["after"]["srcc"] is None
    assert 0 <= result["after"]["accuracy"] <= 1


def test_kept_features_the_cache_and_encoding_anew_train_the_same(train, folder, tmp_path):
    both = (folder / "targets.csv", "--choices", folder / "votes.csv", *BOTH)
    written = []
    for number, options in enumerate(
        (["--features", tmp_path / "f"], ["--features", tmp_path / "f"], ["--no-cache"])
    ):
        output = tmp_path / str(number)
        assert train(*both, *options, output=output)[0] == 0
        written.append((output / "checkpoint" / "model.safetensors").read_bytes())
    assert written[0] == written[1] == written[2]
    kept = list((tmp_path / "f").rglob("audio/*/*.safetensors"))
    assert len(kept) == 4 + 13  # clips by their bytes, of which the rated ones have four


def test_an_encoder_that_learns_hears_both_tables(train, folder, tmp_path):
    both = (folder / "targets.csv", "--choices", folder / "votes.csv", *BOTH)
    for name in ("one", "two"):
        assert train(*both, "--train", "all", output=tmp_path / name)[0] == 0
    one, two = (load_checkpoint(tmp_path / name).backbone.fingerprint() for name in ("one", "two"))
    assert one == two


def test_a_resumed_run_refuses_other_votes(train, folder, tmp_path, monkeypatch):
    from humanclap.training.loop import loop

    real = loop.plan_epoch

    def interrupted(*arguments, epoch, **options):
        if epoch == 2:
            raise KeyboardInterrupt
        return real(*arguments, epoch=epoch, **options)

    choices = ("--choices", folder / "votes.csv", "--objective", "choice")
    with monkeypatch.context() as patch:
        patch.setattr(loop, "plan_epoch", interrupted)
        assert train(*choices)[0] == 130
    other = folder / "other.csv"
    other.write_text((folder / "votes.csv").read_text().replace("3,1,0,train", "1,3,0,train", 1))
    code, _, err = train("--choices", other, "--objective", "choice", "--resume")
    assert code == 2
    assert "targets was" in err
    assert train(*choices, "--resume")[0] == 0


def test_a_base_that_met_validation_choices_is_told_and_refused(train, folder, tmp_path):
    choices = ("--choices", folder / "votes.csv", "--objective", "choice")
    assert train(*choices, output=tmp_path / "base")[0] == 0
    again = ("-m", tmp_path / "base", *choices)
    code, _, err = train(*again, output=tmp_path / "again")
    assert code == 0
    assert "the base model met 8 of the 8 validation pairs before" in err
    card = (tmp_path / "again" / "checkpoint" / "README.md").read_text()
    assert "had met 8 of the 8 validation pairs" in card
    code, _, err = train(*again, "--refuse-trained-on", output=tmp_path / "never")
    assert code == 2
    assert "the base model met 8 of the 8 validation pairs" in err


def test_a_leak_from_ratings_to_choices_is_refused_from_python_too(folder, model, tmp_path):
    leaky = folder / "leaky.csv"
    lines = (folder / "votes.csv").read_text().replace("c0.wav", "19.wav")
    leaky.write_text(lines)
    with pytest.raises(LeakageError, match="share 1 clip"):
        train_from_tables(
            TrainingRequest(
                targets=folder / "targets.csv",
                choices=leaky,
                model=model,
                output=tmp_path / "run",
                settings=TrainingSettings(objective="mae+choice"),
            )
        )
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "there is nothing to train on; give TARGETS, --choices or both"),
        (["t.csv", "--objective", "choice"], "needs people's choices; give them with --choices"),
        (["t.csv", "--choices", "v.csv"], "has no term for them; add one, as in --objective wsce"),
        (["--choices", "v.csv"], "learns from ratings and there are none"),
        (
            ["--choices", "v.csv", "--objective", "choice", "--ratings", "r.csv"],
            "--ratings are the single answers behind TARGETS",
        ),
        (
            ["--choices", "v.csv", "--validation-choices", "v.csv", "--validation-fraction", "0.2"],
            "give --validation-choices or --validation-fraction, not both",
        ),
        (["--choices", "t.csv", "--objective", "choice"], "not a table of choices"),
        (["--choices", "none.csv", "--objective", "choice"], "none.csv: no such file"),
        (
            ["t.csv", "--choices", "v.csv", *BOTH, "--validation-fraction", "2"],
            "validation fraction is 2; expected between 0 and 1",
        ),
    ],
)
def test_bad_input_is_refused_before_anything_is_written(
    train, folder, tmp_path, arguments, message
):
    names = {"t.csv": "targets.csv", "v.csv": "votes.csv"}
    given = [folder / names[one] if one in names else one for one in arguments]
    code, out, err = train(*given)
    assert code == 2
    assert message in " ".join(err.split())
    assert not out
    assert not (tmp_path / "run").exists()


def test_missing_clips_of_choices_are_named(train, folder, tmp_path):
    table = tmp_path / "votes.csv"
    table.write_text((folder / "votes.csv").read_text())
    code, _, err = train("--choices", table, "--objective", "choice")
    assert code == 2
    assert "13 audio files are missing" in err
    assert "votes.csv (c0.wav: 'a dog chosen 0' or 'some dog 0')" in err
