"""From the two encoders into the shared space: which labels, what is heard or said, its order."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from humanclap.clap.mini.config import MiniConfig


class _Residual(nn.Module):
    """Norm, two layers with dropout between; starts at zero."""

    def __init__(self, inputs: int, outputs: int, config: MiniConfig) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(inputs)
        self.hidden = nn.Linear(inputs, config.projection_hidden)
        self.dropout = nn.Dropout(config.projection_dropout)
        self.output = nn.Linear(config.projection_hidden, outputs)
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)

    def forward(self, features: Tensor) -> Tensor:
        hidden = F.gelu(self.hidden(self.norm(features)))
        return self.output(self.dropout(hidden))  # type: ignore[no-any-return]


def _joined(profile: Tensor, meaning: Tensor, order: Tensor, meaning_weight: float) -> Tensor:
    """The parts of an embedding beside each other: the first two of length 1 and the weight."""
    parts = (F.normalize(profile, dim=1), meaning_weight * F.normalize(meaning, dim=1), order)
    return torch.cat(parts, dim=1)


class AudioProjection(nn.Module):
    """Encoder output (batch, 2 * audio_features + n_labels) -> (batch, embedding_dim), not unit.

    The first `n_labels` columns are the profile: which labels are heard more than in other sounds.
    The next `text_dim` say what the labels' names mean together: each label's probability weighs
    the sentence embedding of its name (constants). To both, a residual from the mean features adds
    what labels cannot say. The last `order_dim` columns come from the features over time, and
    answer to how a caption puts its events together.
    """

    label_embeddings: Tensor
    profile_mean: Tensor
    meaning_mean: Tensor

    def __init__(self, config: MiniConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("label_embeddings", torch.zeros(config.n_labels, config.text_dim))
        nn.init.normal_(self.label_embeddings, std=config.text_dim**-0.5)
        self.register_buffer("profile_mean", torch.zeros(config.n_labels))
        self.register_buffer("meaning_mean", torch.zeros(config.text_dim))
        self.residual = _Residual(config.audio_features, config.n_labels + config.text_dim, config)
        self.order = _Residual(2 * config.audio_features, config.order_dim, config)

    def profile(self, logits: Tensor) -> Tensor:
        """Label logits (batch, n_labels) -> powers of the probabilities, of unit length."""
        return F.normalize(torch.exp(self.config.profile_power * F.logsigmoid(logits)), dim=1)

    def meaning(self, logits: Tensor) -> Tensor:
        """Label logits (batch, n_labels) -> sentence embedding of what is heard, (batch, text_dim),
        unit."""
        weights = torch.softmax(F.logsigmoid(logits), dim=1)
        return F.normalize(weights @ self.label_embeddings, dim=1)

    def forward(self, features: Tensor) -> Tensor:
        """Encoder output to embeddings that are not of unit length yet."""
        config = self.config
        over_time = features[:, : 2 * config.audio_features]
        logits = features[:, 2 * config.audio_features :]
        more = self.residual(features[:, : config.audio_features])
        profile = F.normalize(self.profile(logits) - self.profile_mean, dim=1)
        meaning = F.normalize(self.meaning(logits) - self.meaning_mean, dim=1)
        return _joined(
            profile + more[:, : config.n_labels],
            meaning + more[:, config.n_labels :],
            self.order(over_time),
            config.meaning_weight,
        )


class TextProjection(nn.Module):
    """Text encoder output (batch, 2 * text_dim + n_labels) -> (batch, embedding_dim), not unit.

    The profile of labels the sentence asks for, and the sentence embedding, each with a residual
    from the latter that starts at zero; then how the sentence puts its events together.
    """

    meaning_mean: Tensor

    def __init__(self, config: MiniConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("meaning_mean", torch.zeros(config.text_dim))
        self.residual = _Residual(config.text_dim, config.n_labels + config.text_dim, config)
        self.order = _Residual(2 * config.text_dim, config.order_dim, config)
        self.order_view = nn.Linear(config.text_dim, config.order_dim, bias=False)
        nn.init.orthogonal_(self.order_view.weight)

    def forward(self, features: Tensor) -> Tensor:
        """Encoder output to embeddings that are not of unit length yet."""
        config = self.config
        sentence = features[:, : config.text_dim]
        events = features[:, config.text_dim : 2 * config.text_dim]
        more = self.residual(sentence)
        return _joined(
            features[:, 2 * config.text_dim :] + more[:, : config.n_labels],
            F.normalize(sentence - self.meaning_mean, dim=1) + more[:, config.n_labels :],
            self.order_view(events) + self.order(features[:, : 2 * config.text_dim]),
            config.meaning_weight,
        )
