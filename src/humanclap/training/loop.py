"""The training loop: batches to gradients to steps, an epoch at a time, resumable to the bit."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn

from humanclap.clap.backbone import Backbone
from humanclap.errors import HumanCLAPError
from humanclap.progress import Progress, silent
from humanclap.training.batches import Batch, Plan, batches_per_epoch, load_batches, plan_epoch
from humanclap.training.dataset import Splits
from humanclap.training.losses import loss_terms
from humanclap.training.masks import false_negatives
from humanclap.training.parameters import (
    learning_rate_factor,
    parameter_groups,
    set_training_mode,
    trained_parameters,
)
from humanclap.training.settings import TrainingSettings
from humanclap.training.state import RunFolder, RunState, learned_weights, put_weights
from humanclap.training.towers import AudioTower
from humanclap.training.validation import agreement, cosines, why_undefined

log = logging.getLogger(__name__)

MAX_NAMED = 3
"""How many pairs of a bad batch an error names."""


class TrainingDivergedError(HumanCLAPError):
    """A loss or gradient stopped being a finite number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a run came to.

    best_epoch: the epoch whose weights the backbone now has, 0 = as it came; log: one row per
    epoch with losses and validation agreement, row 0 before training.
    """

    best_epoch: int
    epochs: int
    steps: int
    log: tuple[dict[str, Any], ...]

    @property
    def before(self) -> dict[str, Any]:
        """The log's row before training."""
        return self.log[0]

    @property
    def after(self) -> dict[str, Any]:
        """The log's row of the best epoch."""
        return self.log[self.best_epoch]


def train(
    backbone: Backbone,
    splits: Splits,
    settings: TrainingSettings,
    *,
    tower: AudioTower,
    run_folder: RunFolder | None = None,
    state: RunState | None = None,
    progress: Progress = silent,
) -> Outcome:
    """Train `backbone` in place; it ends in eval mode with the weights of the best epoch.

    tower: the clips of `splits`, from `towers.audio_tower`. Best is the highest validation SRCC,
    the state before training included. With a `run_folder` the state is saved after every epoch;
    `state`, from `RunFolder.open`, goes on from there with the same result as an unbroken run.
    All randomness comes from (seed, epoch); the caller's generators are left as they were.
    Raises TrainingDivergedError at the first loss or gradient that is not finite.
    """
    devices = list(range(torch.cuda.device_count()))
    with torch.random.fork_rng(devices), trained_parameters(backbone, settings) as parameters:
        run = _Run(backbone, splits, settings, tower, parameters, state, progress)
        while not run.is_over():
            run.next_epoch()
            if run_folder is not None:
                run_folder.save(run.state)
        put_weights(backbone.module(), run.state.best_weights)
    backbone.module().eval()
    done = run.state
    return Outcome(
        best_epoch=done.best_epoch, epochs=done.epoch, steps=done.step, log=tuple(done.log)
    )


class _Run:
    """One run between two of its epochs."""

    def __init__(
        self,
        backbone: Backbone,
        splits: Splits,
        settings: TrainingSettings,
        tower: AudioTower,
        parameters: dict[str, nn.Parameter],
        state: RunState | None,
        progress: Progress,
    ) -> None:
        self.backbone = backbone
        self.splits = splits
        self.settings = settings
        self.tower = tower
        self.parameters = parameters
        self.progress = progress
        self.device = next(iter(parameters.values())).device
        batches = batches_per_epoch(len(splits.train), settings.batch_size)
        self.total_steps = settings.epochs * -(-batches // settings.gradient_accumulation)
        self.optimizer = torch.optim.AdamW(
            parameter_groups(parameters, settings.weight_decay), lr=settings.learning_rate
        )
        if state is None:
            self.state = RunState()
            losses = dict.fromkeys(("loss", *settings.terms), math.nan)
            first = {"epoch": 0, "step": 0, **losses, "learning_rate": 0.0}
            self._validate(first, time.monotonic())
        else:
            self.state = state
            put_weights(backbone.module(), state.weights)
            self.optimizer.load_state_dict(state.optimizer)

    def is_over(self) -> bool:
        """All epochs done, or `patience` of them since the best."""
        state, patience = self.state, self.settings.patience
        return state.epoch >= self.settings.epochs or (
            patience > 0 and state.epoch - state.best_epoch >= patience
        )

    def next_epoch(self) -> None:
        """Train one epoch, validate, and take note of both in `state`."""
        start = time.monotonic()
        epoch = self.state.epoch + 1
        settings = self.settings
        torch.manual_seed(settings.seed * 1_000_003 + epoch)
        set_training_mode(self.backbone.module())
        plans = plan_epoch(
            len(self.splits.train), settings.batch_size, seed=settings.seed, epoch=epoch
        )
        batches = load_batches(self.splits.train, plans, self.tower)
        sums = dict.fromkeys(("loss", *settings.terms), 0.0)
        rate = settings.learning_rate
        for group in _groups(plans, settings.gradient_accumulation):
            pairs = sum(len(plan.members) for plan in group)
            rate = self._set_learning_rate()
            for batch in islice(batches, len(group)):
                values = self._backward(batch, share=len(batch.examples) / pairs, epoch=epoch)
                for name, value in values.items():
                    sums[name] += value * len(batch.examples)
            self._step(epoch)
        means = {name: value / len(self.splits.train) for name, value in sums.items()}
        self.state.epoch = epoch
        row = {"epoch": epoch, "step": self.state.step, **means, "learning_rate": rate}
        self._validate(row, start)

    def _set_learning_rate(self) -> float:
        rate = self.settings.learning_rate * learning_rate_factor(
            self.state.step,
            total_steps=self.total_steps,
            warmup_fraction=self.settings.warmup_fraction,
        )
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        return rate

    def _backward(self, batch: Batch, *, share: float, epoch: int) -> dict[str, float]:
        """Add `share` of the batch's gradient; returns its loss and the loss's terms."""
        settings = self.settings
        audio, text = self._embed(batch)  # (batch, dim) each
        scale = self.backbone.logit_scale
        mask = false_negatives(
            [str(item.path) for item in batch.examples],
            [item.text for item in batch.examples],
            same_caption=settings.mask_same_caption,
            same_clip=settings.mask_same_clip,
        )
        terms = loss_terms(
            settings.terms,
            audio,
            text,
            batch.relevance.to(self.device),
            scale if settings.learn_logit_scale else scale.detach(),
            normalise=settings.wsce_normalise,
            mask=None if mask is None else mask.to(self.device),
        )
        loss = torch.stack(list(terms.values())).sum()
        values = {"loss": loss.item(), **{name: term.item() for name, term in terms.items()}}
        if not math.isfinite(values["loss"]):
            raise TrainingDivergedError(
                f"step {self.state.step + 1} (epoch {epoch}): the loss is {values['loss']} on "
                f"{_named(batch)}; lower learning_rate, or check these clips"
            )
        (loss * share).backward()  # type: ignore[no-untyped-call]
        return values

    def _embed(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Both sides of every pair, (batch, dim) each; a repeated caption is embedded once."""
        texts = [item.text for item in batch.examples]
        distinct = list(dict.fromkeys(texts))
        rows = torch.tensor([distinct.index(text) for text in texts], device=self.device)
        lowered = self.settings.precision == "bf16"
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=lowered):
            audio = self.tower.embed(batch.audio.to(self.device))
            text = self.backbone.embed_text(distinct)  # (distinct captions, dim)
        return audio.float(), text.float()[rows]

    def _step(self, epoch: int) -> None:
        learning = [item for item in self.parameters.values() if item.grad is not None]
        limit = self.settings.max_grad_norm or math.inf
        norm = torch.nn.utils.clip_grad_norm_(learning, limit)
        if not bool(torch.isfinite(norm)):
            raise TrainingDivergedError(
                f"step {self.state.step + 1} (epoch {epoch}): the gradient is not finite; lower "
                "learning_rate or train in fp32"
            )
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.state.step += 1
        last = self.state.log[-1]["validation_srcc"]
        note = f"epoch {epoch}/{self.settings.epochs}, validation SRCC {last:.3f}"
        self.progress(self.state.step, self.total_steps, note)

    def _validate(self, row: dict[str, Any], start: float) -> None:
        """Score the validation pairs, complete the log's row, and keep the weights if best."""
        module, state = self.backbone.module(), self.state
        module.eval()
        cosine = cosines(self.backbone, self.splits.validation, self.tower)
        found = agreement(cosine, self.splits.validation)
        reason = why_undefined(cosine, self.splits.validation)
        if reason is not None:
            log.warning("epoch %d: validation SRCC is undefined: %s", row["epoch"], reason)
        for name in ("srcc", "lcc", "ktau", "mse"):
            row[f"validation_{name}"] = found[name]
        row["seconds"] = round(time.monotonic() - start, 3)
        state.log.append(row)
        state.weights = learned_weights(module)
        state.optimizer = self.optimizer.state_dict()
        better = found["srcc"] > state.best_srcc or (
            math.isnan(state.best_srcc) and not math.isnan(found["srcc"])
        )
        if better or not state.best_weights:
            state.best_epoch, state.best_srcc = row["epoch"], found["srcc"]
            state.best_weights = state.weights


def _groups(plans: Sequence[Plan], size: int) -> list[Sequence[Plan]]:
    return [plans[start : start + size] for start in range(0, len(plans), size)]


def _named(batch: Batch) -> str:
    named = [f"{item.where} ({item.audio}, {item.text!r})" for item in batch.examples[:MAX_NAMED]]
    more = len(batch.examples) - MAX_NAMED
    return "; ".join(named) + (f" and {more} more pairs" if more > 0 else "")
