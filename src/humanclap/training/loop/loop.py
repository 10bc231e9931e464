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

from humanclap.clap.backbone import Backbone
from humanclap.errors import HumanCLAPError, SettingsError, listed
from humanclap.progress import Progress, silent
from humanclap.training.data.splits import Splits
from humanclap.training.distributed.processes import ALONE, Processes
from humanclap.training.loop.averaging import mean_weights, put_in, update_average
from humanclap.training.loop.batch_loss import BatchLoss
from humanclap.training.loop.batches import (
    Batch,
    Counts,
    batches_per_epoch,
    load_batches,
    plan_epoch,
    smallest_batch,
)
from humanclap.training.loop.optimised import OptimisedParameters
from humanclap.training.loop.state import RunFolder, RunState, learned_weights, put_weights
from humanclap.training.loop.validation import (
    ACCURACY,
    cosines_shared,
    divided,
    judge,
    why_undefined,
)
from humanclap.training.model.parameters import (
    learning_rate_factor,
    set_training_mode,
    trained_parameters,
)
from humanclap.training.model.towers import AudioTower, EmbedTexts
from humanclap.training.outputs.reporters import Reporter
from humanclap.training.settings import CHOICE, TrainingSettings

log = logging.getLogger(__name__)

MAX_NAMED = 3
"""How many pairs of a bad batch an error names."""


class TrainingDivergedError(HumanCLAPError):
    """A loss or gradient stopped being a finite number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingOutcome:
    """What a run came to.

    best_epoch: the epoch whose weights the backbone now has, 0 = as it came; log: one row per
    epoch with losses and validation agreement, row 0 before training; souped: the row of the
    averaged weights, where these were no worse and are the ones kept.
    """

    best_epoch: int
    epochs: int
    steps: int
    log: tuple[dict[str, Any], ...]
    souped: dict[str, Any] | None = None

    @property
    def before(self) -> dict[str, Any]:
        """The log's row before training."""
        return self.log[0]

    @property
    def after(self) -> dict[str, Any]:
        """The row of the weights that are kept."""
        return self.log[self.best_epoch] if self.souped is None else self.souped


def epoch_seed(seed: int, epoch: int, rank: int) -> int:
    """torch's seed of one epoch in one process: in 0..2^63 - 1, as torch takes no more."""
    return (seed * 1_000_003 + epoch + 7_919 * rank) % 2**63


def train(
    backbone: Backbone,
    splits: Splits,
    settings: TrainingSettings,
    *,
    tower: AudioTower,
    embed_text: EmbedTexts | None = None,
    run_folder: RunFolder | None = None,
    state: RunState | None = None,
    processes: Processes = ALONE,
    reporters: Sequence[Reporter] = (),
    save_every_s: float = 0.0,
    progress: Progress = silent,
) -> TrainingOutcome:
    """Train `backbone` in place; it ends in eval mode with the weights of the best epoch.

    tower, embed_text: of the clips and captions of `splits`, from `towers`. Best is the highest
    validation SRCC, or accuracy (`best_by`), the state before training included. With a
    `run_folder` the state is saved after every epoch, or at most every `save_every_s` seconds and
    at the end; `state`, from `RunFolder.open`, goes on from there with the same result as an
    unbroken run. processes: those that train together. All randomness comes from
    (seed, epoch); the caller's generators are left as they were. Raises TrainingDivergedError at
    the first loss or gradient that is not finite.
    """
    with torch.random.fork_rng(range(torch.cuda.device_count())):
        torch.manual_seed(settings.seed)
        with trained_parameters(backbone, settings) as parameters:
            optimised = OptimisedParameters(parameters, splits, settings)
            loss = BatchLoss(
                backbone, tower, embed_text or backbone.embed_text, optimised, processes, settings
            )
            run = _Run(loss, splits, progress)
            run.begin(state)
            saved = time.monotonic()
            while not run.is_over():
                run.next_epoch()
                due = run.is_over() or time.monotonic() - saved >= save_every_s
                if run_folder is not None and processes.rank == 0 and due:
                    run_folder.save(run.state)
                    saved = time.monotonic()
                for reporter in reporters:
                    reporter.write(run.state.log[-1])
            outcome = run.finish()
    backbone.module().eval()
    return outcome


class _Run:
    """One run between two of its epochs."""

    def __init__(self, loss: BatchLoss, splits: Splits, progress: Progress) -> None:
        self.loss = loss
        self.backbone, self.optimised = loss.backbone, loss.optimised
        self.settings, self.processes = loss.settings, loss.processes
        self.splits = splits
        self.progress = progress
        settings, processes = self.settings, self.processes
        self.state = RunState()
        for items, what in ((splits.train, "pair"), (splits.train_choices, "choice")):
            if items and smallest_batch(len(items), settings.batch_size) < processes.count:
                raise SettingsError(
                    f"batch_size {settings.batch_size} leaves some of {processes.count} processes "
                    f"without a {what} of the {len(items)}; start fewer"
                )
        batches = batches_per_epoch(
            len(splits.train), settings.batch_size, len(splits.train_choices)
        )
        self.best_by = ACCURACY if chosen_by_accuracy(splits, settings) else "srcc"
        self.total_steps = settings.epochs * -(-batches // settings.gradient_accumulation)

    def begin(self, state: RunState | None) -> None:
        """Validate the model as it came, or go on from `state`."""
        if state is not None:
            self.state = state
            put_weights(self.backbone.module(), state.weights)
            self.optimised.load(state)
            return
        if self.settings.ema_decay > 0:
            self.state.average = self.optimised.copies()
        losses = dict.fromkeys(("loss", *self.settings.terms), math.nan)
        first = {"epoch": 0, "step": 0, **losses, "learning_rate": 0.0}
        self._validate(first, time.monotonic())

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
        settings, others = self.settings, self.processes
        torch.manual_seed(epoch_seed(settings.seed, epoch, others.rank))
        set_training_mode(self.backbone.module())
        pairs, choices = self.splits.train, self.splits.train_choices
        counts = len(pairs), settings.batch_size
        plans = plan_epoch(*counts, seed=settings.seed, epoch=epoch, n_choices=len(choices))
        own = {"rank": others.rank, "count": others.count}
        batches = load_batches(pairs, plans, self.loss.tower, choices=choices, **own)
        means = dict.fromkeys(settings.terms, 0.0)
        every = Counts.of(plans)
        rate = settings.learning_rate
        for start_of in range(0, len(plans), settings.gradient_accumulation):
            group = plans[start_of : start_of + settings.gradient_accumulation]
            rate = self._set_learning_rate()
            for batch in islice(batches, len(group)):
                values = self._backward(batch, Counts.of(group), epoch)
                for name, value in values.items():
                    of_table = every.share_of_choices if name == CHOICE else every.share_of_pairs
                    means[name] += value * of_table(batch)
            self._step(epoch)
        others.average_buffers(self.backbone.module())
        others.follow_first(self.optimised.all_parameters())
        self.state.epoch = epoch
        losses = {"loss": sum(means.values()), **means}
        row = {"epoch": epoch, "step": self.state.step, **losses, "learning_rate": rate}
        self._validate(row, start)

    def _set_learning_rate(self) -> float:
        factor = learning_rate_factor(
            self.state.step,
            total_steps=self.total_steps,
            warmup_fraction=self.settings.warmup_fraction,
        )
        rate = self.settings.learning_rate * factor
        self.optimised.set_learning_rate(rate, self.settings.listener_learning_rate * factor)
        return rate

    def _backward(self, batch: Batch, group: Counts, epoch: int) -> dict[str, float]:
        """Add the batch's share of the group's gradient; returns the terms of its loss."""
        terms = self.loss.terms(batch)
        values = {name: term.item() for name, term in terms.items()}
        loss = sum(values.values())
        if not math.isfinite(loss):
            raise TrainingDivergedError(
                f"step {self.state.step + 1} (epoch {epoch}): the loss is {loss} on "
                f"{_named(batch)}; lower learning_rate, or check these clips"
            )
        chosen = [term for name, term in terms.items() if name == CHOICE]
        rated = [term for name, term in terms.items() if name != CHOICE]
        tables = (rated, group.share_of_pairs(batch)), (chosen, group.share_of_choices(batch))
        shares = [torch.stack(of_table).sum() * share for of_table, share in tables if of_table]
        sum(shares[1:], shares[0]).backward()  # type: ignore[no-untyped-call]
        return values

    def _step(self, epoch: int) -> None:
        self.processes.average_gradients(self.optimised.all_parameters())
        if not self.optimised.clip(self.settings.max_grad_norm or math.inf):
            raise TrainingDivergedError(
                f"step {self.state.step + 1} (epoch {epoch}): the gradient is not finite; lower "
                "learning_rate or train in fp32"
            )
        self.optimised.step()
        self.state.step += 1
        if self.state.average:
            update_average(
                self.state.average,
                self.optimised.parameters,
                decay=self.settings.ema_decay,
                step=self.state.step,
            )
        last = self.state.log[-1][f"validation_{self.best_by}"]
        name = "SRCC" if self.best_by == "srcc" else self.best_by
        note = f"epoch {epoch}/{self.settings.epochs}, validation {name} {last:.3f}"
        self.progress(self.state.step, self.total_steps, note)

    def _validate(self, row: dict[str, Any], start: float) -> None:
        """Score the validation pairs, complete the log's row, and keep the weights if best."""
        module, state = self.backbone.module(), self.state
        with put_in(self.optimised.parameters, state.average):
            row |= self._judge(f"epoch {row['epoch']}")
            row["seconds"] = round(time.monotonic() - start, 3)
            judged = learned_weights(module)
        state.log.append(row)
        state.weights = learned_weights(module) if state.average else judged
        self.optimised.save(state)
        figure, best = row[f"validation_{self.best_by}"], state.best_figure
        better = figure > best or (math.isnan(best) and not math.isnan(figure))
        if better or not state.best_weights:
            state.best_epoch, state.best_figure = row["epoch"], figure
            state.best_weights = judged
        if self.settings.soup > 1 and row["epoch"] > 0 and not math.isnan(figure):
            state.best.append({"figure": figure, "epoch": row["epoch"], "weights": judged})
            state.best.sort(key=lambda one: (-one["figure"], one["epoch"]))
            del state.best[self.settings.soup :]

    def _judge(self, when: str) -> dict[str, float]:
        """Validation figures of the weights as they are."""
        self.backbone.module().eval()
        pairs = self.splits.validated
        towers = self.loss.tower, self.loss.embed_text
        cosine = cosines_shared(self.backbone, pairs, *towers, self.processes)
        reason = why_undefined(divided(cosine, self.splits)[0], self.splits.validation)
        if reason is not None and self.processes.rank == 0:
            log.warning("%s: validation SRCC is undefined: %s", when, reason)
        found = self.processes.from_first(judge(cosine, self.splits))
        return {f"validation_{name}": value for name, value in found.items()}

    def finish(self) -> TrainingOutcome:
        """Leave the backbone with the best weights: the soup's, where the soup is no worse."""
        module, state = self.backbone.module(), self.state
        souped = None
        if len(state.best) > 1 and state.best_epoch > 0:
            put_weights(module, mean_weights([one["weights"] for one in state.best]))
            found = self._judge("soup")
            if found[f"validation_{self.best_by}"] >= state.best_figure:
                souped = {**state.log[state.best_epoch], **found}
        if souped is None:
            put_weights(module, state.best_weights)
        return TrainingOutcome(
            best_epoch=state.best_epoch,
            epochs=state.epoch,
            steps=state.step,
            log=tuple(state.log),
            souped=souped,
        )


def chosen_by_accuracy(splits: Splits, settings: TrainingSettings) -> bool:
    """Whether the best epoch is the one that decides most validation choices as people did."""
    return settings.best_by == ACCURACY or (settings.best_by == "auto" and not splits.validation)


def _named(batch: Batch) -> str:
    return listed(
        [f"{item.where} ({item.audio}, {item.text!r})" for item in batch.examples]
        + [choice.where for choice in batch.choices],
        MAX_NAMED,
        between="; ",
        rest=" and {} more" + ("" if batch.choices else " pairs"),
    )
