"""What a batch comes to before any term is taken: embeddings of pairs, gaps of choices."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from humanclap.training.loop.batches import Batch
from humanclap.training.model.towers import AudioTower, TextTower
from humanclap.training.objective.losses import pair_cosine


@dataclass(frozen=True, slots=True)
class BatchEmbeddings:
    """Of this process's part of a batch: unit embeddings of its pairs, (own, dim) each, and of its
    choices the cosine of the first less that of the second side, (own_choices,).
    """

    audio: Tensor
    text: Tensor
    gap: Tensor


def embed(
    batch: Batch,
    audio_tower: AudioTower,
    text_tower: TextTower,
    *,
    device: torch.device,
    bf16: bool,
) -> BatchEmbeddings:
    """Embed this process's pairs and choices in one pass; a caption is embedded once."""
    pairs, choices = batch.examples[batch.own], batch.choices[batch.own_choices]
    texts = [item.text for item in pairs] + [s.text for item in choices for s in item.sides]
    distinct = {text: row for row, text in enumerate(dict.fromkeys(texts))}
    rows = torch.tensor([distinct[text] for text in texts], dtype=torch.long, device=device)
    with torch.autocast(device.type, dtype=torch.bfloat16, enabled=bf16):
        audio = audio_tower.embed(batch.audio.to(device))  # (own + clips of choices, dim)
        text = text_tower.embed(list(distinct))  # (distinct captions, dim)
    audio, text = audio.float(), text.float()[rows]
    heard, place = [], len(pairs)
    for choice in choices:
        heard += [place, place + len(choice.clips) - 1]
        place += len(choice.clips)
    of_sides = audio[torch.tensor(heard, dtype=torch.long, device=device)]  # (2 choices, dim)
    cosine = pair_cosine(of_sides, text[len(pairs) :]).view(-1, 2)  # (choices, sides)
    return BatchEmbeddings(audio[: len(pairs)], text[: len(pairs)], cosine[:, 0] - cosine[:, 1])
