"""Negatives of a batch that match the pair after all: they share its caption or its clip."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from humanclap.grouping import caption_key


def false_negatives(
    clips: Sequence[str], captions: Sequence[str], *, same_caption: bool, same_clip: bool
) -> Tensor | None:
    """(batch, batch) bool, True off the diagonal where two pairs share a caption or clip, as asked.

    clips, captions: names of each pair's clip and caption (compared as `caption_key`), batch long.
    None where there is nothing to mask.
    """
    mask = torch.zeros(len(clips), len(clips), dtype=torch.bool)
    if same_caption:
        mask |= _equal([caption_key(caption) for caption in captions])
    if same_clip:
        mask |= _equal(clips)
    mask.fill_diagonal_(False)
    return mask if bool(mask.any()) else None


def _equal(names: Sequence[str]) -> Tensor:
    number = {name: place for place, name in enumerate(dict.fromkeys(names))}
    ids = torch.tensor([number[name] for name in names])  # (batch,)
    return ids[:, None] == ids[None, :]
