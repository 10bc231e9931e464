"""One embedding from the windows of a clip: the mean of theirs, weighted by length of sound."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from humanclap.errors import InputError


def pool_windows(embeddings: Tensor, weights: Tensor) -> Tensor:
    """Weighted mean of a clip's window embeddings, brought back to unit length.

    embeddings: (n_windows, dim), unit length; weights: (n_windows,), at least 0 and not all 0, in
    any unit (seconds of sound in the window). Returns (dim,); all zeros where the windows cancel.
    A single window is returned as it is. Raises InputError for other shapes or weights.

    >>> pool_windows(torch.eye(2), torch.tensor([3.0, 4.0]))
    tensor([0.6000, 0.8000])
    """
    if embeddings.ndim != 2 or weights.shape != embeddings.shape[:1]:
        raise InputError(
            "embeddings must be (n_windows, dim) and weights (n_windows,), not "
            f"{tuple(embeddings.shape)} and {tuple(weights.shape)}"
        )
    if not (bool((weights >= 0).all()) and float(weights.sum()) > 0):
        raise InputError("window weights must be at least 0 and not all 0")
    if len(weights) == 1:
        return embeddings[0]
    weights = weights.to(embeddings)
    mean = (weights[:, None] * embeddings).sum(dim=0) / weights.sum()  # (dim,)
    return F.normalize(mean, dim=0)


def pool_each(embeddings: Tensor, weights: Tensor, counts: Sequence[int]) -> Tensor:
    """`pool_windows` of several clips at once, with its gradient.

    embeddings: (n_windows, dim), those of the first clip first; weights: (n_windows,); counts:
    windows of each clip, at least 1, n_windows together. Returns (len(counts), dim). Raises
    InputError as `pool_windows`, and where the counts are not those of the windows.

    >>> pool_each(torch.eye(3), torch.tensor([3.0, 4.0, 0.1]), [2, 1])
    tensor([[0.6000, 0.8000, 0.0000],
            [0.0000, 0.0000, 1.0000]])
    """
    if not counts or min(counts) < 1 or sum(counts) != len(embeddings):
        raise InputError(
            f"counts {list(counts)} are not those of {len(embeddings)} windows; expected 1 or more "
            "for each clip"
        )
    sizes = list(counts)
    parts = zip(torch.split(embeddings, sizes), torch.split(weights, sizes), strict=True)
    return torch.stack([pool_windows(one, weight) for one, weight in parts])
