"""Losses on the order and the differences of pairs, as pure functions.

cosine, relevance: (batch,), what the model and what people say of each pair. certainty: (batch,),
how much each pair counts, everywhere 1 where None; two pairs together count the product. Every
loss within a batch is a scalar, 0 with zero gradient where it holds nothing to compare.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from humanclap.training.objective.losses import weighted_mean


def _differences(values: Tensor) -> Tensor:
    """(batch,) -> (batch, batch), entry [i, j] = values_i - values_j."""
    return values[:, None] - values[None, :]


def _mean_over(values: Tensor, chosen: Tensor, certainty: Tensor | None) -> Tensor:
    """Mean of values (batch, batch) where chosen, a weight >= 0, weighted by both certainties."""
    weight = chosen if certainty is None else chosen * certainty[:, None] * certainty[None, :]
    smallest = torch.finfo(values.dtype).tiny
    return (weight * values).sum() / weight.sum().clamp(min=smallest)


def rank_margin(
    cosine: Tensor,
    relevance: Tensor,
    *,
    margin: float,
    least_difference: float = 0.0,
    certainty: Tensor | None = None,
) -> Tensor:
    """Pairwise hinge: what people rate higher shall score higher by `margin`.

    Mean of max(0, margin - (cosine_i - cosine_j)) over all i, j with relevance_i - relevance_j >
    least_difference. Source: RankSVM, Herbrich et al. 2000; Joachims 2002.
    """
    higher = (_differences(relevance) > least_difference).to(cosine.dtype)  # (batch, batch)
    return _mean_over(F.relu(margin - _differences(cosine)), higher, certainty)


def bradley_terry(
    cosine: Tensor,
    relevance: Tensor,
    *,
    temperature: float,
    least_difference: float = 0.0,
    certainty: Tensor | None = None,
) -> Tensor:
    """Negative log-likelihood of the order people give, P(i above j) = sigmoid((c_i - c_j) / T).

    Mean over all i, j with relevance_i - relevance_j > least_difference.
    Source: Bradley & Terry 1952; as a loss on scores RankNet, Burges et al. 2005.
    """
    higher = (_differences(relevance) > least_difference).to(cosine.dtype)  # (batch, batch)
    loss = F.softplus(-_differences(cosine) / temperature)  # -log sigmoid, (batch, batch)
    return _mean_over(loss, higher, certainty)


def listnet(
    cosine: Tensor, relevance: Tensor, *, temperature: float, certainty: Tensor | None = None
) -> Tensor:
    """Cross-entropy between the top-one probabilities of people and model over the batch.

    -sum_i p_i log q_i with p = softmax(relevance / T), q = softmax(cosine / T), less the entropy of
    p, so that the best possible value is 0 (the gradient is unchanged). A certainty weighs the
    term of its pair. Source: ListNet, Cao et al. 2007.
    """
    people = F.log_softmax(relevance / temperature, dim=0)  # (batch,)
    model = F.log_softmax(cosine / temperature, dim=0)  # (batch,)
    terms = people.exp() * (people - model)  # (batch,)
    return terms.sum() if certainty is None else (certainty * terms).sum()


def difference(
    cosine: Tensor, relevance: Tensor, *, margin: float, certainty: Tensor | None = None
) -> Tensor:
    """SPO's pairwise difference: differences of scores shall be those of the targets.

    Mean over all pairs i != j of max(0, |(c_i - c_j) - (r_i - r_j)| - margin) / 2.
    Source: SPO-CLAPScore, arXiv 2601.02900 (margin 0.1 on standardised targets).
    """
    gap = (_differences(cosine) - _differences(relevance)).abs()  # (batch, batch)
    distinct = 1 - torch.eye(len(cosine), dtype=cosine.dtype, device=cosine.device)
    return _mean_over(F.relu(gap - margin) / 2, distinct, certainty)


def choice(
    gap: Tensor, share: Tensor, *, temperature: float, certainty: Tensor | None = None
) -> Tensor:
    """Negative log-likelihood of people's votes, P(first before second) = sigmoid(gap / T).

    gap: (choices,), cosine of the first side less that of the second; share: (choices,), share of
    the votes for the first, a vote for neither as half of one for each, in [0, 1]; certainty:
    (choices,). Mean over choices of -(p log P + (1 - p) log(1 - P)), p = share.
    Source: Bradley & Terry 1952; as a loss on scores with shares of votes as soft labels Christiano
    et al. 2017, section 2.2.3; with hard labels the reward model's loss of Ouyang et al. 2022.
    """
    each = F.binary_cross_entropy_with_logits(gap / temperature, share, reduction="none")
    return weighted_mean(each, certainty)
