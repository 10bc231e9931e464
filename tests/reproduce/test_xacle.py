import csv
import json
import shutil
from collections import namedtuple

import numpy as np
import pytest
from scipy.stats import kendalltau, pearsonr, spearmanr
from small_relate import tone, wav
from tiny_hf import write_clap

from humanclap.cli.main import run
from humanclap.errors import InputError
from humanclap.tables import read_table
from humanclap.xacle import read_archive

pytest.importorskip("transformers")
COUNTS = {"train": 30, "validation": 10, "test": 6}


def write_archive(folder, counts=COUNTS):
    """The layout that the challenge's README states; scores are simulated."""
    rng = np.random.default_rng(0)
    (folder / "meta_data").mkdir(parents=True)
    first = 0
    for split, count in counts.items():
        (folder / "wav" / split).mkdir(parents=True)
        name = "test.csv" if split == "test" else f"{split}_average.csv"
        with open(folder / "meta_data" / name, "w", newline="") as file:
            writer = csv.writer(file)
            head = ["wav_file_name", "text", "average_score"]
            writer.writerow(head[:2] if split == "test" else head)
            for number in range(first, first + count):
                (folder / "wav" / split / f"{number:05}.wav").write_bytes(wav(tone(number, 0.3)))
                row = [f"{number:05}.wav", f"a sound, number {number}", rng.uniform(0, 10)]
                writer.writerow(row[:2] if split == "test" else row)
        first += count
    return folder


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    return write_archive(tmp_path_factory.mktemp("xacle") / "XACLE_dataset")


def test_the_grid_ends_in_the_challenges_figures_and_a_submission(archive, tmp_path, capsys):
    base, output = write_clap(tmp_path / "base", fused=True), tmp_path / "out"
    command = ["reproduce", "xacle", str(archive), "-o", str(output), "--base", str(base)]
    command += ["--seeds", "0", "--epochs", "1", "--batch-size", "10", "--precision", "fp32"]
    command += ["--simulated"]
    assert run(command) == 0
    printed = capsys.readouterr().out
    assert "Simulated" in printed
    submission = read_table(output / "submission.csv")
    assert submission.columns == ("wav_file_name", "pred_score")
    assert [row.text("wav_file_name") for row in submission.rows] == [
        f"{number:05}.wav" for number in range(40, 46)
    ]
    assert all(0 <= row.number("pred_score") <= 10 for row in submission.rows)
    told = {
        row.text("wav_file_name"): row.number("pred_score")
        for row in read_table(output / "validation_submission.csv").rows
    }
    rows = read_table(archive / "meta_data" / "validation_average.csv").rows
    human = [row.number("average_score") for row in rows]
    predicted = [told[row.text("wav_file_name")] for row in rows]
    assert f"SRCC {spearmanr(predicted, human).statistic:.3f}" in printed
    assert f"LCC {pearsonr(predicted, human).statistic:.3f}" in printed
    assert f"KTAU {kendalltau(predicted, human).statistic:.3f}" in printed
    assert f"MSE {np.mean((np.array(predicted) - human) ** 2):.3f}" in printed
    assert run(command) == 2  # not without --resume
    assert run([*command, "--resume", "--quiet"]) == 0
    assert json.loads((output / "table.json").read_text())["simulated"] is True


def test_everything_missing_is_listed(archive, tmp_path, capsys):
    empty = tmp_path / "empty"
    (empty / "meta_data").mkdir(parents=True)
    with pytest.raises(InputError, match=r"missing: .*train_average.csv, .*, wav"):
        read_archive(empty)
    broken = write_archive(tmp_path / "broken", {"train": 3, "validation": 3, "test": 2})
    (broken / "wav" / "train" / "00001.wav").unlink()
    (broken / "wav" / "test" / "00007.wav").unlink()
    with pytest.raises(InputError, match=r"2 clips .*00001.wav.*00007.wav"):
        read_archive(broken)
    assert run(["reproduce", "xacle", str(archive), "-o", str(tmp_path), "--dry-run"]) == 0
    assert "30 pairs train, 10 judge, 6 to predict" in capsys.readouterr().out


def test_too_little_disk_is_said_before_anything_is_written(archive, tmp_path, capsys, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**10, 0, 10**9))
    assert run(["reproduce", "xacle", str(archive), "-o", str(tmp_path / "out")]) == 2
    assert "of disk are needed and 1.0 GB are free" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_without_the_test_archive_there_is_no_submission_to_make(tmp_path):
    data = read_archive(write_archive(tmp_path / "part", {"train": 3, "validation": 3}))
    assert (len(data.rated), data.test) == (6, ())
