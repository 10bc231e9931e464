"""From the two encoders into the shared space: what is heard or said, its order, a prior."""

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


class AudioProjection(nn.Module):
    """Encoder output (batch, 2 * audio_features + n_labels) -> (batch, embedding_dim), not unit.

    The first `text_dim` columns, of unit length, say what is heard. The label bridge: each label's
    probability, sharpened, weighs the text embedding of the label's name (a constant). What labels
    cannot say is a residual from the mean features. The next `order_dim` columns come from the
    features over time, and answer to how a caption puts its events together. The last column is a
    constant, `prior_weight`: it lets the caption's prior into the cosine, and is 0 in a model that
    knows no human rating.
    """

    label_embeddings: Tensor
    prior_weight: Tensor

    def __init__(self, config: MiniConfig) -> None:
        super().__init__()
        self.audio_features = config.audio_features
        self.sharpness = config.bridge_sharpness
        self.register_buffer("label_embeddings", torch.zeros(config.n_labels, config.text_dim))
        nn.init.normal_(self.label_embeddings, std=config.text_dim**-0.5)
        self.register_buffer("prior_weight", torch.zeros(1))
        self.residual = _Residual(config.audio_features, config.text_dim, config)
        self.order = _Residual(2 * config.audio_features, config.order_dim, config)

    def bridge(self, logits: Tensor) -> Tensor:
        """(batch, n_labels) -> unit vectors in the text tower's space (batch, text_dim)."""
        weights = torch.softmax(self.sharpness * F.logsigmoid(logits), dim=1)
        return F.normalize(weights @ self.label_embeddings, dim=1)

    def forward(self, features: Tensor) -> Tensor:
        """As the class says."""
        over_time = features[:, : 2 * self.audio_features]
        logits = features[:, 2 * self.audio_features :]
        heard = self.bridge(logits) + self.residual(features[:, : self.audio_features])
        prior = self.prior_weight.expand(len(heard), 1)
        return torch.cat([F.normalize(heard, dim=1), self.order(over_time), prior], dim=1)


class TextProjection(nn.Module):
    """Text encoder output (batch, 2 * text_dim) -> (batch, embedding_dim), not unit.

    The sentence embedding plus a residual that starts at zero, of unit length; how the sentence
    puts its events together; last, the caption's prior: how people rate sounds that come with such
    a caption, whatever they hear (0 until it is learned).
    """

    def __init__(self, config: MiniConfig) -> None:
        super().__init__()
        self.text_dim = config.text_dim
        self.residual = _Residual(config.text_dim, config.text_dim, config)
        self.order = _Residual(2 * config.text_dim, config.order_dim, config)
        self.order_view = nn.Linear(config.text_dim, config.order_dim, bias=False)
        nn.init.orthogonal_(self.order_view.weight)
        self.prior = nn.Linear(2 * config.text_dim, 1)
        nn.init.zeros_(self.prior.weight)
        nn.init.zeros_(self.prior.bias)

    def forward(self, features: Tensor) -> Tensor:
        """As the class says."""
        sentence, events = features[:, : self.text_dim], features[:, self.text_dim :]
        said = F.normalize(sentence + self.residual(sentence), dim=1)
        order = self.order_view(events) + self.order(features)
        return torch.cat([said, order, self.prior(features)], dim=1)
