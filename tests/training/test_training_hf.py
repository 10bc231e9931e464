"""A transformers CLAP, small and random, through the whole of training."""

import csv
import math

import numpy as np
import pytest
import soundfile

from humanclap.clap.checkpoint import load_checkpoint
from humanclap.training.run import TrainingRequest, train_from_tables
from humanclap.training.settings import TrainingSettings

RATE = 48_000


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    pytest.importorskip("transformers")
    from tiny_hf import write_clap  # tests/clap/tiny_hf.py

    return write_clap(tmp_path_factory.mktemp("hf") / "model")


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rated")
    generator = np.random.default_rng(0)
    with open(folder / "targets.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["audio", "text", "target", "mos", "n", "split"])
        for number in range(9):
            seconds = 12 if number == 0 else 1  # the first is longer than the window
            wave = generator.uniform(-0.3, 0.3, seconds * RATE)
            soundfile.write(folder / f"{number}.wav", wave, RATE)
            split = "train" if number < 6 else "validation"
            writer.writerow([f"{number}.wav", f"dog {number}", number / 10, number, 3, split])
    return folder / "targets.csv"


@pytest.mark.parametrize("changes", [{}, {"train": "projections", "precision": "bf16"}])
def test_a_transformers_clap_trains_and_is_read_back(model, table, tmp_path, changes):
    settings = TrainingSettings(epochs=1, batch_size=3, **changes)
    trained = train_from_tables(
        TrainingRequest(targets=table, model=model, output=tmp_path / "run", settings=settings)
    )
    losses = [row["loss"] for row in trained.outcome.log]
    assert math.isnan(losses[0])
    assert math.isfinite(losses[1])
    read = load_checkpoint(tmp_path / "run")
    assert read.backbone.kind == "hf"
    assert read.calibration == trained.calibration
