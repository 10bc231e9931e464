"""An objective: a sum of named terms, each with its coefficient, evaluated on one batch."""

from __future__ import annotations

import difflib
import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from humanclap.errors import SettingsError
from humanclap.training.objective.losses import (
    Normalise,
    huber,
    mae,
    mse,
    pair_cosine,
    power_weight,
)
from humanclap.training.objective.losses import sce as plain_sce
from humanclap.training.objective.losses import wsce as weighted_sce
from humanclap.training.objective.ranking import (
    bradley_terry,
    choice,
    difference,
    listnet,
    rank_margin,
)

CONTRASTIVE = ("sce", "wsce")
POINTWISE = ("mse", "mae", "huber")
WITHIN_BATCH = ("margin", "bradley-terry", "listnet", "difference")
LISTENER = "listener"
CHOICE = "choice"
TERMS: tuple[str, ...] = (*CONTRASTIVE, *POINTWISE, *WITHIN_BATCH, LISTENER, CHOICE)
"""Every term an objective may hold."""


class ObjectiveSettings(Protocol):
    """The settings that terms read; `TrainingSettings` has them."""

    @property
    def wsce_normalise(self) -> Normalise:
        """`batch` or `weight`."""

    @property
    def wsce_power(self) -> float:
        """Exponent from relevance to weight."""

    @property
    def huber_delta(self) -> float:
        """Where Huber's loss becomes straight."""

    @property
    def rank_margin(self) -> float:
        """By how much a better pair shall lead."""

    @property
    def rank_temperature(self) -> float:
        """Of `bradley-terry` and `listnet`."""

    @property
    def rank_least_difference(self) -> float:
        """Targets nearer than this are not ranked."""

    @property
    def difference_margin(self) -> float:
        """Error of a difference that costs nothing."""


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


def parse_objective(text: str) -> dict[str, float]:
    """Coefficient of each term: `wsce+mae`, `mse + 0.5*difference`. Raises SettingsError.

    >>> parse_objective("mse + 0.5*difference")
    {'mse': 1.0, 'difference': 0.5}
    """
    found: dict[str, float] = {}
    for part in text.split("+"):
        factor, star, term = part.rpartition("*")
        term = term.strip()
        if term not in TERMS:
            close = difflib.get_close_matches(term.lower(), TERMS, n=2)
            hint = f" (did you mean {' or '.join(close)}?)" if close else ""
            raise SettingsError(
                f"objective {text!r}: {term!r} is no term; expected a sum of "
                f"{', '.join(TERMS)}{hint}"
            )
        if term in found:
            raise SettingsError(f"objective {text!r} has a term twice")
        found[term] = _coefficient(factor, text) if star else 1.0
    return found


def _coefficient(written: str, objective: str) -> float:
    try:
        value = float(written)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise SettingsError(
            f"objective {objective!r}: coefficient {written.strip()!r}; expected a number above 0, "
            "as in 0.5*difference"
        )
    return value


def loss_terms(
    terms: dict[str, float], batch: RatedBatch, settings: ObjectiveSettings
) -> dict[str, Tensor]:
    """Each named term on ratings as a scalar, times its coefficient."""
    mean, deviation = batch.unit
    cosine = (pair_cosine(batch.audio, batch.text) - mean) / deviation  # (batch,)
    relevance = (batch.relevance - mean) / deviation  # (batch,)
    values: dict[str, Tensor] = {}
    for term, coefficient in terms.items():
        if term in CONTRASTIVE:
            value = _contrastive(term, batch, settings)
        elif term in POINTWISE:
            value = _pointwise(term, cosine, relevance, batch.certainty, settings)
        elif term in WITHIN_BATCH:
            value = _within_batch(term, cosine, relevance, batch.certainty, settings)
        else:
            value = 0.0 * cosine.sum() if batch.listener is None else batch.listener
        values[term] = value if coefficient == 1.0 else coefficient * value
    return values


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
    return value if coefficient == 1.0 else coefficient * value


def _contrastive(term: str, batch: RatedBatch, settings: ObjectiveSettings) -> Tensor:
    if term == "sce":
        return plain_sce(batch.audio, batch.text, batch.logit_scale, mask=batch.mask)
    weight = batch.relevance
    if settings.wsce_power != 1.0:
        weight = power_weight(weight, settings.wsce_power)
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


def _pointwise(
    term: str,
    cosine: Tensor,
    relevance: Tensor,
    certainty: Tensor | None,
    settings: ObjectiveSettings,
) -> Tensor:
    if term == "mse":
        return mse(cosine, relevance, certainty=certainty)
    if term == "mae":
        return mae(cosine, relevance, certainty=certainty)
    return huber(cosine, relevance, delta=settings.huber_delta, certainty=certainty)


def _within_batch(
    term: str,
    cosine: Tensor,
    relevance: Tensor,
    certainty: Tensor | None,
    settings: ObjectiveSettings,
) -> Tensor:
    if term == "margin":
        return rank_margin(
            cosine,
            relevance,
            margin=settings.rank_margin,
            least_difference=settings.rank_least_difference,
            certainty=certainty,
        )
    if term == "bradley-terry":
        return bradley_terry(
            cosine,
            relevance,
            temperature=settings.rank_temperature,
            least_difference=settings.rank_least_difference,
            certainty=certainty,
        )
    if term == "listnet":
        temperature = settings.rank_temperature
        return listnet(cosine, relevance, temperature=temperature, certainty=certainty)
    return difference(cosine, relevance, margin=settings.difference_margin, certainty=certainty)


def objective_sum(terms: dict[str, Tensor]) -> Tensor:
    """The loss: the sum of the terms, a scalar."""
    return torch.stack(list(terms.values())).sum()
