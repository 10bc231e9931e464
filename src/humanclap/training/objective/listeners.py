"""How each listener uses the scale, learned beside the model and dropped afterwards."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


def listener_loss(
    cosine: Tensor, answers: Tensor, pair: Tensor, bias: Tensor, log_scale: Tensor, *, ridge: float
) -> Tensor:
    """Squared error of single answers, each seen through its listener's bias and scale.

    cosine: (batch,); answers: (n_answers,) in [0, 1]; pair: (n_answers,), row of the batch each
    answer is about; bias, log_scale: (n_answers,), of the answer's listener. Mean over answers of
    (answer - (bias + exp(log_scale) cosine_pair))^2 + ridge (bias^2 + log_scale^2), which draws
    listeners of few answers to bias 0 and scale 1. 0 where there is no answer.
    Source: subject bias models, Janowski & Pinson 2015; learned beside a network, MBNet, Leng et
    al. 2021, and LDNet, Huang et al. 2022.
    """
    if not len(answers):
        return 0.0 * cosine.sum()
    said = bias + log_scale.exp() * cosine[pair]  # (n_answers,)
    penalty = ridge * (bias.square() + log_scale.square())
    return ((answers - said).square() + penalty).mean()


class ListenerHabits(nn.Module):
    """Bias and log scale of every listener, all 0 at first; unknown listeners have 0."""

    def __init__(self, listener_ids: Sequence[str]) -> None:
        super().__init__()
        distinct = sorted(set(listener_ids))
        self._row = {listener_id: row for row, listener_id in enumerate(distinct)}
        self.bias = nn.Parameter(torch.zeros(len(distinct)))
        self.log_scale = nn.Parameter(torch.zeros(len(distinct)))

    def forward(self, listener_ids: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Bias and log scale of these listeners, (len(listener_ids),) each."""
        nobody = len(self._row)
        rows = torch.tensor([self._row.get(one, nobody) for one in listener_ids], dtype=torch.long)
        rows = rows.to(self.bias.device)
        none = self.bias.new_zeros(1)  # of unknown listeners
        return torch.cat([self.bias, none])[rows], torch.cat([self.log_scale, none])[rows]
