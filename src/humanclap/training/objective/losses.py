"""Contrastive and regression losses, as pure functions on tensors.

audio, text: (batch, dim), rows of unit length; row i of both is pair i. relevance: (batch,) in
[0, 1], what people said of each pair. logit_scale: scalar, after exp. certainty: (batch,), how
much each pair counts (`data.certainty`), everywhere 1 where None. Every loss is a scalar.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from humanclap.training.settings import Normalise


def pair_cosine(audio: Tensor, text: Tensor) -> Tensor:
    """Cosine of each pair: (batch, dim) twice -> (batch,) in [-1, 1]."""
    return (audio * text).sum(dim=-1)


def contrastive_per_pair(
    audio: Tensor, text: Tensor, logit_scale: Tensor, *, mask: Tensor | None = None
) -> Tensor:
    """Symmetric cross-entropy of each pair against the batch: (batch,), each at least 0.

    Mean of "which text is this audio's?" and "which audio is this text's?". mask: (batch, batch)
    bool, row = audio, True where a negative is left out of both softmaxes; the diagonal, the
    pairs themselves, is never left out.
    Source: CLIP, Radford et al. 2021, figure 3; for audio CLAP, Wu et al. 2023, equation 1.
    """
    logits = logit_scale * audio @ text.T  # (batch, batch), row = audio
    own = torch.arange(len(logits), device=logits.device)  # (batch,)
    if mask is not None:
        itself = torch.eye(len(logits), dtype=torch.bool, device=logits.device)
        logits = logits.masked_fill(mask & ~itself, -torch.inf)
    per_audio = F.cross_entropy(logits, own, reduction="none")  # (batch,)
    per_text = F.cross_entropy(logits.T, own, reduction="none")  # (batch,)
    return (per_audio + per_text) / 2


def sce(audio: Tensor, text: Tensor, logit_scale: Tensor, *, mask: Tensor | None = None) -> Tensor:
    """Plain CLAP loss: symmetric cross-entropy, mean over pairs; ratings play no part.

    Source: as `contrastive_per_pair`. Equal to the loss of transformers' ClapModel.
    """
    return contrastive_per_pair(audio, text, logit_scale, mask=mask).mean()


def wsce(
    audio: Tensor,
    text: Tensor,
    relevance: Tensor,
    logit_scale: Tensor,
    *,
    normalise: Normalise = "batch",
    mask: Tensor | None = None,
) -> Tensor:
    """Weighted SCE: a pair counts as much as people find it relevant.

    (1 / N) sum_i w_i sce_i with w = relevance and N = batch ("batch") or N = sum_i w_i ("weight").
    The paper's N could not be read, so both are offered. A batch whose weights are all 0 gives 0.
    Source: Human-CLAP, arXiv 2506.23553.
    """
    weighted = relevance * contrastive_per_pair(audio, text, logit_scale, mask=mask)  # (batch,)
    if normalise == "batch":
        return weighted.mean()
    smallest = torch.finfo(relevance.dtype).tiny
    return weighted.sum() / relevance.sum().clamp(min=smallest)


def weighted_mean(values: Tensor, certainty: Tensor | None) -> Tensor:
    """(1 / batch) sum_i certainty_i values_i; both (batch,). Certainties average 1 over the data.

    So a batch of uncertain pairs moves the model less than one of certain pairs.
    """
    return values.mean() if certainty is None else (certainty * values).mean()


def mse(cosine: Tensor, relevance: Tensor, *, certainty: Tensor | None = None) -> Tensor:
    """Mean squared error of the cosine itself against relevance; both (batch,).

    Source: Human-CLAP, arXiv 2506.23553.
    """
    return weighted_mean((cosine - relevance).square(), certainty)


def mae(cosine: Tensor, relevance: Tensor, *, certainty: Tensor | None = None) -> Tensor:
    """Mean absolute error of the cosine itself against relevance; both (batch,).

    Source: Human-CLAP, arXiv 2506.23553.
    """
    return weighted_mean((cosine - relevance).abs(), certainty)


def huber(
    cosine: Tensor, relevance: Tensor, *, delta: float, certainty: Tensor | None = None
) -> Tensor:
    """Squared error up to `delta`, straight beyond; both (batch,).

    e^2 / 2 where |e| <= delta, else delta (|e| - delta / 2). One careless listener pulls a target
    less far than under `mse`, and small errors are not pushed as hard as under `mae`.
    Source: Huber 1964.
    """
    error = (cosine - relevance).abs()  # (batch,)
    inside = error.square() / 2
    beyond = delta * (error - delta / 2)
    return weighted_mean(torch.where(error <= delta, inside, beyond), certainty)
