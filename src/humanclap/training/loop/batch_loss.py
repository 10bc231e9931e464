"""From a batch to its loss: embeddings of pairs and gaps of choices, then the objective's terms."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from humanclap.clap.backbone import Backbone
from humanclap.training.distributed.processes import Processes
from humanclap.training.loop.batches import Batch
from humanclap.training.loop.optimised import OptimisedParameters
from humanclap.training.model.towers import AudioTower, EmbedTexts
from humanclap.training.objective.losses import pair_cosine
from humanclap.training.objective.masks import false_negatives
from humanclap.training.objective.objective import (
    ChosenBatch,
    RatedBatch,
    choice_term,
    loss_terms,
)
from humanclap.training.settings import CHOICE, TrainingSettings


@dataclass(frozen=True, slots=True)
class _Embeddings:
    """Of this process's part of a batch: unit embeddings of its pairs, (own, dim) each, and of its
    choices the cosine of the first less that of the second side, (own_choices,).
    """

    audio: Tensor
    text: Tensor
    gap: Tensor


@dataclass(frozen=True, slots=True)
class BatchLoss:
    """The terms of an objective on batches, as functions of the optimised parameters."""

    backbone: Backbone
    tower: AudioTower
    embed_text: EmbedTexts
    optimised: OptimisedParameters
    processes: Processes
    settings: TrainingSettings

    def terms(self, batch: Batch) -> dict[str, Tensor]:
        """The objective's terms on the whole batch, of all processes."""
        found, settings = self._embed(batch), self.settings
        terms: dict[str, Tensor] = {}
        if batch.examples:
            rated = self._rated(batch, found)
            terms |= loss_terms(settings.rating_coefficients, rated, settings)
        if batch.choices:
            coefficient, temperature = settings.coefficients[CHOICE], settings.choice_temperature
            terms[CHOICE] = choice_term(coefficient, self._chosen(batch, found), temperature)
        return terms

    def _embed(self, batch: Batch) -> _Embeddings:
        """Embed this process's pairs and choices in one pass; a caption is embedded once."""
        device, bf16 = self.optimised.device, self.settings.precision == "bf16"
        pairs, choices = batch.examples[batch.own], batch.choices[batch.own_choices]
        texts = [item.text for item in pairs] + [s.text for item in choices for s in item.sides]
        distinct = {text: row for row, text in enumerate(dict.fromkeys(texts))}
        rows = torch.tensor([distinct[text] for text in texts], dtype=torch.long, device=device)
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=bf16):
            audio = self.tower.embed(batch.audio.to(device))  # (own + clips of choices, dim)
            text = self.embed_text(list(distinct))  # (distinct captions, dim)
        audio, text = audio.float(), text.float()[rows]
        heard, place = [], len(pairs)
        for choice in choices:
            heard += [place, place + len(choice.clips) - 1]
            place += len(choice.clips)
        of_sides = audio[torch.tensor(heard, dtype=torch.long, device=device)]  # (2 choices, dim)
        cosine = pair_cosine(of_sides, text[len(pairs) :]).view(-1, 2)  # (choices, sides)
        return _Embeddings(audio[: len(pairs)], text[: len(pairs)], cosine[:, 0] - cosine[:, 1])

    def _chosen(self, batch: Batch, found: _Embeddings) -> ChosenBatch:
        device = self.optimised.device
        return ChosenBatch(
            gap=self.processes.gather_rows(found.gap, len(batch.choices)),
            share=torch.tensor([choice.share for choice in batch.choices], device=device),
            certainty=self.optimised.certainty_of_choices(batch.chosen),
        )

    def _rated(self, batch: Batch, found: _Embeddings) -> RatedBatch:
        settings, device = self.settings, self.optimised.device
        audio = self.processes.gather_rows(found.audio, len(batch.examples))  # (batch, dim)
        text = self.processes.gather_rows(found.text, len(batch.examples))  # (batch, dim)
        scale = self.backbone.logit_scale
        mask = false_negatives(
            [str(item.path) for item in batch.examples],
            [item.text for item in batch.examples],
            same_caption=settings.mask_same_caption,
            same_clip=settings.mask_same_clip,
        )
        return RatedBatch(
            audio=audio,
            text=text,
            relevance=batch.relevance.to(device),
            logit_scale=scale if settings.learn_logit_scale else scale.detach(),
            mask=None if mask is None else mask.to(device),
            certainty=self.optimised.certainty_of(batch.members),
            unit=self.optimised.unit,
            listener=self.optimised.listener_loss(audio, text, batch.examples),
        )
