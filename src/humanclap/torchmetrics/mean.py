"""The mean of scores and its interval, for both forms of the metric."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from humanclap.errors import InputError
from humanclap.grouping import caption_hash
from humanclap.metrics.bootstrap import bootstrap
from humanclap.scoring.inputs import Clips, Texts, texts_of
from humanclap.scoring.scorer import HumanCLAP
from humanclap.settings import check_choice

OnFailure = Literal["raise", "nan", "skip"]
"""For a clip or text without a score: an error, a mean of NaN, or the pair is left out."""


def model_of(model: str | Path | HumanCLAP) -> HumanCLAP:
    """The model itself, or the one of this name; see `HumanCLAP.from_pretrained`."""
    if isinstance(model, HumanCLAP):
        return model
    if isinstance(model, str | Path):
        return HumanCLAP.from_pretrained(model)
    raise InputError(
        f"model_name_or_path is a {type(model).__name__}; expected the name or folder of a model, "
        "or a HumanCLAP"
    )


def check_choices(on_error: str, confidence: float | None, replicates: int) -> None:
    """Raise SettingsError for an unknown `on_error`; InputError for an interval that cannot be."""
    check_choice("on_error", on_error, get_args(OnFailure))
    summary(np.zeros(0), np.zeros(0, np.int64), confidence, replicates)


def scored(
    model: HumanCLAP, audio: Clips, text: Texts, sample_rate: int | None, on_error: OnFailure
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Score of each pair, NaN where it has none, and the number of its text: (n,) both."""
    texts, one = texts_of(text)
    scores = model.score_many(
        audio,
        texts[0] if one else texts,
        sample_rate=sample_rate,
        on_error="raise" if on_error == "raise" else "nan",
    )
    numbers = np.array([caption_hash(item) for item in texts], np.int64)
    return scores, np.repeat(numbers, len(scores)) if one else numbers


def summary(
    scores: NDArray[np.floating],
    texts: NDArray[np.int64],
    confidence: float | None,
    replicates: int,
) -> dict[str, float]:
    """`mean`; with a confidence also `low` and `high` of its interval. scores, texts: (n,).

    The bootstrap draws whole texts, with the same random numbers each time. The mean is NaN without
    scores or with a NaN in them, the interval also with fewer than two texts. Raises InputError for
    a confidence outside (0, 1), or for too few replicates.

    >>> found = summary(np.array([0.1, 0.2, 0.4, 0.5]), np.array([7, 7, 8, 9]), 0.95, 1000)
    >>> round(found["mean"], 3), found["low"] < 0.3 < found["high"]
    (0.3, True)
    """
    mean = float(scores.astype(np.float64).mean()) if scores.size else math.nan
    if confidence is None:
        return {"mean": mean}
    sums, counts = np.full(1, math.nan), np.ones(1)  # (texts,)
    if math.isfinite(mean):
        _, codes = np.unique(texts, return_inverse=True)
        sums = np.bincount(codes, weights=scores)
        counts = np.bincount(codes).astype(np.float64)
    found = bootstrap(
        lambda times: {"mean": (times @ sums) / (times @ counts)},
        len(counts),
        rng=np.random.default_rng(0),
        replicates=replicates,
        confidence=confidence,
    )["mean"]
    return {"mean": mean, "low": found.low, "high": found.high}


def as_tensors(
    values: dict[str, float], device: torch.device | str
) -> torch.Tensor | dict[str, torch.Tensor]:
    """The mean alone as a tensor, or all by name; float32, no axes."""
    tensors = {
        name: torch.tensor(value, dtype=torch.float32, device=device)
        for name, value in values.items()
    }
    return tensors if len(tensors) > 1 else tensors["mean"]
