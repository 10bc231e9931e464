"""The terms of an objective, each with its coefficient, evaluated on one batch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from humanclap.training.objective.losses import huber, mae, mse, pair_cosine
from humanclap.training.objective.losses import sce as plain_sce
from humanclap.training.objective.losses import wsce as weighted_sce
from humanclap.training.objective.ranking import (
    bradley_terry,
    choice,
    difference,
    listnet,
    rank_margin,
)
from humanclap.training.settings import LISTENER, TrainingSettings


@dataclass(frozen=True, slots=True)
class RatedBatch:
    """What the terms see of a batch, beside the settings.

    audio, text: (batch, dim), unit rows; relevance: (batch,) in [0, 1]; logit_scale: scalar, after
    exp; mask: (batch, batch) bool, negatives to leave out; certainty: (batch,); unit: (mean,
    deviation) of the targets by which cosine and relevance are standardised in every term that
    compares them, (0, 1) for none; listener: the value of the `listener` term.
    """

    audio: Tensor
    text: Tensor
    relevance: Tensor
    logit_scale: Tensor
    mask: Tensor | None = None
    certainty: Tensor | None = None
    unit: tuple[float, float] = (0.0, 1.0)
    listener: Tensor | None = None


def loss_terms(
    terms: dict[str, float], batch: RatedBatch, settings: TrainingSettings
) -> dict[str, Tensor]:
    """Each named term on ratings as a scalar, times its coefficient."""
    values = _values(batch, settings)
    return {term: factor * values[term]() for term, factor in terms.items()}


def _values(batch: RatedBatch, settings: TrainingSettings) -> dict[str, Callable[[], Tensor]]:
    """The value of every term on ratings, computed when asked for."""
    mean, deviation = batch.unit
    cosine = (pair_cosine(batch.audio, batch.text) - mean) / deviation  # (batch,)
    relevance = (batch.relevance - mean) / deviation  # (batch,)
    pairs = {"cosine": cosine, "relevance": relevance}
    weight, margin = batch.certainty, settings.rank_margin
    temperature, least = settings.rank_temperature, settings.rank_least_difference
    return {
        "sce": lambda: plain_sce(batch.audio, batch.text, batch.logit_scale, mask=batch.mask),
        "wsce": lambda: _wsce(batch, settings),
        "mse": lambda: mse(**pairs, certainty=weight),
        "mae": lambda: mae(**pairs, certainty=weight),
        "huber": lambda: huber(**pairs, delta=settings.huber_delta, certainty=weight),
        "margin": lambda: rank_margin(
            **pairs, margin=margin, least_difference=least, certainty=weight
        ),
        "bradley-terry": lambda: bradley_terry(
            **pairs, temperature=temperature, least_difference=least, certainty=weight
        ),
        "listnet": lambda: listnet(**pairs, temperature=temperature, certainty=weight),
        "difference": lambda: difference(
            **pairs, margin=settings.difference_margin, certainty=weight
        ),
        LISTENER: lambda: 0.0 * cosine.sum() if batch.listener is None else batch.listener,
    }


def _wsce(batch: RatedBatch, settings: TrainingSettings) -> Tensor:
    weight = batch.relevance**settings.wsce_power
    if batch.certainty is not None:
        weight = weight * batch.certainty
    return weighted_sce(
        batch.audio,
        batch.text,
        weight,
        batch.logit_scale,
        normalise=settings.wsce_normalise,
        mask=batch.mask,
    )


@dataclass(frozen=True, slots=True)
class ChosenBatch:
    """What the term `choice` sees of a batch of choices.

    gap: (choices,), cosine of the first side less that of the second; share: (choices,), people's
    for the first, in [0, 1]; certainty: (choices,), how much each counts, alike where None.
    """

    gap: Tensor
    share: Tensor
    certainty: Tensor | None = None


def choice_term(coefficient: float, batch: ChosenBatch, temperature: float) -> Tensor:
    """The term on choices as a scalar, times its coefficient."""
    value = choice(batch.gap, batch.share, temperature=temperature, certainty=batch.certainty)
    return coefficient * value
