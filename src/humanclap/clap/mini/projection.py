"""From the two encoders into the shared space."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from humanclap.clap.mini.config import MiniConfig


class _Residual(nn.Module):
    """Norm, two layers with dropout between; starts at zero."""

    def __init__(self, inputs: int, config: MiniConfig) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(inputs)
        self.hidden = nn.Linear(inputs, config.projection_hidden)
        self.dropout = nn.Dropout(config.projection_dropout)
        self.output = nn.Linear(config.projection_hidden, config.embedding_dim)
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)

    def forward(self, features: Tensor) -> Tensor:
        hidden = F.gelu(self.hidden(self.norm(features)))
        return self.output(self.dropout(hidden))  # type: ignore[no-any-return]


class AudioProjection(nn.Module):
    """Encoder output (batch, audio_features + n_labels) -> (batch, embedding_dim), not yet unit.

    The label bridge: each label's probability, sharpened, weighs the text embedding of the label's
    name (a constant). What labels cannot say is a residual from the pooled features.
    """

    label_embeddings: Tensor

    def __init__(self, config: MiniConfig) -> None:
        super().__init__()
        self.audio_features = config.audio_features
        self.sharpness = config.bridge_sharpness
        self.register_buffer("label_embeddings", torch.zeros(config.n_labels, config.embedding_dim))
        nn.init.normal_(self.label_embeddings, std=config.embedding_dim**-0.5)
        self.residual = _Residual(config.audio_features, config)

    def bridge(self, logits: Tensor) -> Tensor:
        """(batch, n_labels) -> unit vectors in the text tower's space (batch, embedding_dim)."""
        weights = torch.softmax(self.sharpness * F.logsigmoid(logits), dim=1)
        return F.normalize(weights @ self.label_embeddings, dim=1)

    def forward(self, features: Tensor) -> Tensor:
        """As the class says."""
        pooled, logits = features[:, : self.audio_features], features[:, self.audio_features :]
        return self.bridge(logits) + self.residual(pooled)  # type: ignore[no-any-return]


class TextProjection(nn.Module):
    """Text encoder output (batch, embedding_dim) -> the same, plus a residual starting at zero."""

    def __init__(self, config: MiniConfig) -> None:
        super().__init__()
        self.residual = _Residual(config.embedding_dim, config)

    def forward(self, embeddings: Tensor) -> Tensor:
        """As the class says."""
        return embeddings + self.residual(embeddings)  # type: ignore[no-any-return]
