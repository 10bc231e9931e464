"""Batches of one epoch: seed and epoch alone decide which pairs are in each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from humanclap.training.data.choices import ChoiceExample
from humanclap.training.data.dataset import Example
from humanclap.training.distributed.processes import share_of
from humanclap.training.model.towers import AudioInputs, AudioTower

_CHOICES = 1
"""Tells the random numbers that deal the choices from those that deal the rated pairs."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Rated pairs and choices of one step.

    examples, members: the pairs and their places in the training set, choices, chosen: the same of
    the choices; own, own_choices: those this process embeds; audio: what the tower's `embed` takes
    of its pairs, one clip each, and behind them of the `clips` of its choices; relevance: (batch,)
    float32.
    """

    examples: tuple[Example, ...]
    members: NDArray[np.int64]
    own: slice
    choices: tuple[ChoiceExample, ...]
    chosen: NDArray[np.int64]
    own_choices: slice
    audio: AudioInputs
    relevance: Tensor


@dataclass(frozen=True, slots=True)
class BatchPlan:
    """Members of one batch, and which part of a long clip is taken: (batch,), places in [0, 1).

    chosen, choice_places: the same of the choices, whose clips are taken at one place each.
    """

    members: NDArray[np.int64]
    places: NDArray[np.float64]
    chosen: NDArray[np.int64]
    choice_places: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Counts:
    """Rated pairs and choices of several batches together."""

    pairs: int
    choices: int

    @classmethod
    def of(cls, plans: Sequence[BatchPlan]) -> Counts:
        """Those of these batches."""
        pairs = sum(len(plan.members) for plan in plans)
        return cls(pairs, sum(len(plan.chosen) for plan in plans))

    def share_of_pairs(self, batch: Batch) -> float:
        """What share of the pairs are in one of the batches; 0 where there are none."""
        return len(batch.examples) / self.pairs if self.pairs else 0.0

    def share_of_choices(self, batch: Batch) -> float:
        """What share of the choices are in one of the batches; 0 where there are none."""
        return len(batch.choices) / self.choices if self.choices else 0.0


def batches_per_epoch(n_examples: int, batch_size: int, n_choices: int = 0) -> int:
    """Batches of the longer table such that none is larger than `batch_size`."""
    return -(-max(n_examples, n_choices) // batch_size)


def smallest_batch(n_items: int, batch_size: int) -> int:
    """Items of the smallest batch when so many are dealt evenly; 0 where there is nothing."""
    return n_items // batches_per_epoch(n_items, batch_size) if n_items else 0


def plan_epoch(
    n_examples: int, batch_size: int, *, seed: int, epoch: int, n_choices: int = 0
) -> list[BatchPlan]:
    """Every item of the longer table once, shuffled, in batches whose sizes differ by at most one.

    The shorter table is dealt in the same way, and shuffled and dealt anew as often as it runs out:
    every batch holds items of both.
    """
    batches = batches_per_epoch(n_examples, batch_size, n_choices)
    pairs = _deal(np.random.default_rng([seed, epoch]), n_examples, batch_size, batches)
    choices = _deal(np.random.default_rng([seed, epoch, _CHOICES]), n_choices, batch_size, batches)
    return [BatchPlan(*pair, *choice) for pair, choice in zip(pairs, choices, strict=True)]


def _deal(
    generator: np.random.Generator, n_items: int, batch_size: int, batches: int
) -> list[tuple[NDArray[np.int64], NDArray[np.float64]]]:
    """Members and places of each batch."""
    dealt: list[tuple[NDArray[np.int64], NDArray[np.float64]]] = []
    while n_items and len(dealt) < batches:
        order = generator.permutation(n_items)
        places = generator.random(n_items)
        parts = np.array_split(order, batches_per_epoch(n_items, batch_size))
        dealt += [(members, places[members]) for members in parts]
    nothing = np.array([], dtype=np.int64), np.array([], dtype=np.float64)
    return dealt[:batches] if n_items else [nothing] * batches


def load_batches(
    examples: Sequence[Example],
    plans: Sequence[BatchPlan],
    tower: AudioTower,
    *,
    choices: Sequence[ChoiceExample] = (),
    rank: int = 0,
    count: int = 1,
) -> Iterator[Batch]:
    """Make the planned batches in order, each one ready while its predecessor is in use.

    rank, count: this process and how many there are; it loads its share of each batch.
    """

    def make(plan: BatchPlan) -> Batch:
        members = tuple(examples[index] for index in plan.members)
        chosen = tuple(choices[index] for index in plan.chosen)
        own = share_of(len(members), rank=rank, count=count)
        asked = share_of(len(chosen), rank=rank, count=count)
        places = plan.places[own].tolist()
        clips = []
        for choice, place in zip(chosen[asked], plan.choice_places[asked].tolist(), strict=True):
            clips += choice.clips
            places += [place] * len(choice.clips)
        return Batch(
            examples=members,
            members=plan.members,
            own=own,
            choices=chosen,
            chosen=plan.chosen,
            own_choices=asked,
            audio=tower.load((*members[own], *clips), places),
            relevance=torch.tensor([item.relevance for item in members]),
        )

    with ThreadPoolExecutor(1) as pool:
        ahead = [pool.submit(make, plan) for plan in plans[:1]]
        for following in range(1, len(plans) + 1):
            batch = ahead.pop().result()
            if following < len(plans):
                ahead.append(pool.submit(make, plans[following]))
            yield batch
