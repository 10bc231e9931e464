"""A small random model and a handful of clips for the scoring tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from humanclap.clap.calibration import Calibration
from humanclap.clap.checkpoint import Checkpoint
from humanclap.clap.mini import MiniCLAP, MiniConfig
from humanclap.scoring.scorer import HumanCLAP
from humanclap.scoring.settings import ScoringSettings

RATE = 32000


@pytest.fixture(scope="session")
def tiny_checkpoint() -> Checkpoint:
    torch.manual_seed(7)
    calibration = Calibration(
        scores=(-1.0, 1.0), ratings=(0.0, 10.0), errors=(1.0, 3.0), fitted_on="nothing", n=3
    )
    model = MiniCLAP(MiniConfig.tiny())
    for parameter in model.parameters():  # residuals start at zero, and so small a tower at nothing
        torch.nn.init.normal_(parameter, std=0.4)
    return Checkpoint(model, calibration)


@pytest.fixture(scope="session")
def scorer(tiny_checkpoint: Checkpoint) -> HumanCLAP:
    return HumanCLAP(tiny_checkpoint, ScoringSettings(device="cpu", batch_windows=3))


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight clips of unlike length, rate and layout; names sort unlike their lengths."""
    folder = tmp_path_factory.mktemp("clips")
    generator = np.random.default_rng(3)
    for number in range(8):
        seconds = (0.4, 25.0, 3.0, 10.0, 12.5, 1.0, 31.0, 7.0)[number]
        rate = (32000, 16000, 44100, 32000)[number % 4]
        t = np.arange(int(seconds * rate)) / rate
        tone = 0.3 * np.sin(2 * np.pi * (200 + 150 * number) * t)
        samples = tone + 0.05 * generator.standard_normal(len(t))
        stereo = np.stack([samples, 0.5 * samples], axis=1) if number % 2 else samples
        soundfile.write(folder / f"clip{number}.wav", stereo, rate)
    return folder
