"""What a caption asks of a tagger's labels: a profile, from a sentence encoder's view of both.

"A dog barks, then a man speaks" asks for the labels near "a dog barks" and for those near "a man
speaks". A label's place is a softmax over the cosines with all labels' names; the places of the
events (the highest counts) and of the whole caption are added, their square root is brought to
unit length, and what captions ask for on average is taken away.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

TEMPERATURE = 0.1


class Profiles:
    """Profiles over labels with these names' embeddings (labels, dim)."""

    def __init__(self, labels: np.ndarray) -> None:
        self.labels = F.normalize(torch.from_numpy(labels.astype(np.float32)), dim=1)
        self.mean = torch.zeros(len(labels))

    def places(self, embeddings: Tensor) -> Tensor:
        """(n, dim) -> (n, labels), rows summing to 1."""
        cosines = F.normalize(embeddings, dim=1) @ self.labels.T
        return torch.softmax(cosines / TEMPERATURE, dim=1)

    def raw(self, whole: Tensor, events: Sequence[Tensor]) -> Tensor:
        """Before the mean is taken away; whole: (batch, dim); events: (events, dim) of each."""
        sizes = [len(parts) for parts in events]
        owner = torch.repeat_interleave(torch.arange(len(events)), torch.tensor(sizes))
        places = self.places(torch.cat(list(events)))
        highest = torch.zeros(len(events), places.shape[1]).scatter_reduce(
            0, owner[:, None].expand_as(places), places, "amax"
        )
        return F.normalize((highest + self.places(whole)).sqrt(), dim=1)

    def centre_on(self, whole: Tensor, events: Sequence[Tensor]) -> None:
        """Take the mean of these captions' profiles away from every profile."""
        self.mean = self.raw(whole, events).mean(0)

    def __call__(self, whole: Tensor, events: Sequence[Tensor]) -> Tensor:
        """Unit profiles (batch, labels)."""
        return F.normalize(self.raw(whole, events) - self.mean, dim=1)
