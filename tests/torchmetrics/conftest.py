"""A small random model, and batches of clips with their texts."""

from __future__ import annotations

import pytest
import torch

from humanclap.clap.checkpoint import Checkpoint
from humanclap.clap.mini import MiniCLAP, MiniConfig
from humanclap.scoring.scorer import HumanCLAP
from humanclap.scoring.settings import ScoringSettings

RATE = 32000
TEXTS = ("a dog barks", "rain falls", "a siren wails", "A  dog barks")

Batch = tuple[torch.Tensor, list[str]]


def made_model() -> HumanCLAP:
    torch.manual_seed(7)
    model = MiniCLAP(MiniConfig.tiny())
    for parameter in model.parameters():  # residuals start at zero, and so small a tower at nothing
        torch.nn.init.normal_(parameter, std=0.4)
    return HumanCLAP(Checkpoint(model), ScoringSettings(device="cpu", cache=False))


@pytest.fixture(scope="session")
def model() -> HumanCLAP:
    return made_model()


@pytest.fixture(scope="session")
def batches() -> list[Batch]:
    """Five batches of one to four clips, (clips, 1, time)."""
    generator = torch.Generator().manual_seed(1)
    made = []
    for number, clips in enumerate((4, 2, 3, 1, 2)):
        length = RATE // 4 + 3000 * number
        noise = torch.randn(clips, 1, length, generator=generator)
        time = torch.arange(length) / RATE
        tones = torch.sin(2000 * (1 + number + torch.arange(clips)[:, None, None]) * time)
        texts = [TEXTS[(number + clip) % len(TEXTS)] for clip in range(clips)]
        made.append((0.05 * noise + 0.2 * tones, texts))
    return made
