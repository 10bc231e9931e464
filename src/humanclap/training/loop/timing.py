"""Time training steps here on random weights, before anything is fetched."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch

from humanclap.clap.device import resolve_device
from humanclap.extras import require

STEPS = 2
_BATCH_ON_CPU = 4
_FRAMES, _MELS, _VIEWS, _TOKENS = 1001, 64, 4, 16


@dataclass(frozen=True, slots=True, kw_only=True)
class StepTimes:
    """Seconds of work for one pair: train_s in a training step, embed_s in scoring.

    steps: how many were timed, of `batch` pairs each; parameters: of the model.
    """

    train_s: float
    embed_s: float
    batch: int
    steps: int
    parameters: int
    device: str


def time_steps(
    *, device: str = "auto", precision: str = "bf16", batch: int = 32, config: Any = None
) -> StepTimes:
    """Time a few optimiser steps and forward passes of a fused CLAP with random weights.

    Of the size of laion/clap-htsat-fused unless a ClapConfig is given. On the CPU batches are of 4
    pairs, where a pair's time hardly depends on the batch. The first pass of each kind is not
    counted. Raises MissingExtraError without transformers.
    """
    transformers: Any = require("transformers", extra="hf")
    where = resolve_device(device)
    config = config or transformers.ClapConfig(
        audio_config={"enable_fusion": True, "fusion_type": "aff_2d"}
    )
    model = transformers.ClapModel(config).to(where)
    size = batch if where.startswith("cuda") else min(batch, _BATCH_ON_CPU)
    inputs = _inputs(config, size, where)
    cast: Any = nullcontext()
    if precision == "bf16":
        cast = torch.autocast(where.split(":")[0], dtype=torch.bfloat16)
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-6)

    def embed() -> None:
        with torch.inference_mode(), cast:
            model(**inputs)

    def step() -> None:
        with cast:
            loss = model(**inputs, return_loss=True).loss
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()

    model.eval()
    embed_s = _seconds(embed, where) / size
    model.train()
    train_s = _seconds(step, where) / size
    return StepTimes(
        train_s=train_s,
        embed_s=embed_s,
        batch=size,
        steps=STEPS,
        parameters=sum(one.numel() for one in model.parameters()),
        device=where,
    )


def _inputs(config: Any, size: int, where: str) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    words = config.text_config.vocab_size
    sound = torch.randn((size, _VIEWS, _FRAMES, _MELS), generator=generator)
    tokens = torch.randint(4, words, (size, _TOKENS), generator=generator)
    return {
        "input_features": sound.to(where),
        "is_longer": torch.zeros((size, 1), dtype=torch.bool, device=where),
        "input_ids": tokens.to(where),
        "attention_mask": torch.ones_like(tokens).to(where),
    }


def _seconds(work: Callable[[], None], where: str) -> float:
    """Median time of `STEPS` calls after one that is not counted."""
    taken = []
    for number in range(STEPS + 1):
        started = time.monotonic()
        work()
        if where.startswith("cuda"):
            torch.cuda.synchronize()
        if number:
            taken.append(time.monotonic() - started)
    return statistics.median(taken)
