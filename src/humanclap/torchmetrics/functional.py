"""The metric as a function of one batch. It needs no torchmetrics."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from humanclap.scoring.inputs import Clips, Texts
from humanclap.scoring.scorer import HumanCLAP
from humanclap.torchmetrics.mean import (
    OnFailure,
    as_tensors,
    check_choices,
    model_of,
    scored,
    summary,
)

__all__ = ["human_clap_score"]


def human_clap_score(
    audio: Clips,
    text: Texts,
    model_name_or_path: str | Path | HumanCLAP = "mini",
    *,
    sample_rate: int | None = None,
    on_error: OnFailure = "raise",
    confidence: float | None = None,
    replicates: int = 1000,
) -> torch.Tensor | dict[str, torch.Tensor]:
    """Mean score of clips and texts, in [-1, 1]: a float32 tensor without axes, on audio's device.

    The arguments are those of `HumanCLAPScore`, which says what they mean. A model given by its
    name is loaded in each call; give a `HumanCLAP` to load it once.

    >>> model = HumanCLAP.from_pretrained("mini", device="cpu")
    >>> hiss = 0.1 * torch.randn(2, 1, 16000, generator=torch.Generator().manual_seed(0))
    >>> score = human_clap_score(hiss, ["white noise", "a dog barks"], model, sample_rate=16000)
    >>> score.shape, bool(-1 <= score <= 1)
    (torch.Size([]), True)
    """
    check_choices(on_error, confidence, replicates)
    scores, texts = scored(model_of(model_name_or_path), audio, text, sample_rate, on_error)
    kept = ~np.isnan(scores) if on_error == "skip" else np.full(len(scores), True)
    device = audio.device if isinstance(audio, torch.Tensor) else "cpu"
    return as_tensors(summary(scores[kept], texts[kept], confidence, replicates), device)
