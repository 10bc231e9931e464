"""Batches of one epoch: who is in them is a function of seed and epoch alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from humanclap.training.dataset import Example
from humanclap.training.towers import AudioInputs, AudioTower


@dataclass(frozen=True, slots=True)
class Batch:
    """examples, members: the pairs and their places in the training set; own: those this process
    embeds; audio: of these what the tower's `embed` takes; relevance: (batch,) float32.
    """

    examples: tuple[Example, ...]
    members: NDArray[np.int64]
    own: slice
    audio: AudioInputs
    relevance: Tensor


@dataclass(frozen=True, slots=True)
class Plan:
    """Members of one batch, and which part of a long clip is taken: (batch,), places in [0, 1)."""

    members: NDArray[np.int64]
    places: NDArray[np.float64]


def batches_per_epoch(n_examples: int, batch_size: int) -> int:
    """Number of batches such that none is larger than `batch_size`."""
    return -(-n_examples // batch_size)


def plan_epoch(n_examples: int, batch_size: int, *, seed: int, epoch: int) -> list[Plan]:
    """Every example once, shuffled, in batches whose sizes differ by at most one."""
    generator = np.random.default_rng([seed, epoch])
    order = generator.permutation(n_examples)
    places = generator.random(n_examples)
    parts = np.array_split(order, batches_per_epoch(n_examples, batch_size))
    return [Plan(members, places[members]) for members in parts]


def share_of(total: int, *, rank: int, count: int) -> slice:
    """Which of `total` things process `rank` of `count` takes: even, contiguous, in order.

    >>> [share_of(7, rank=rank, count=3) for rank in range(3)]
    [slice(0, 3, None), slice(3, 5, None), slice(5, 7, None)]
    """
    each, more = divmod(total, count)
    start = rank * each + min(rank, more)
    return slice(start, start + each + (rank < more))


def load_batches(
    examples: Sequence[Example],
    plans: Sequence[Plan],
    tower: AudioTower,
    *,
    rank: int = 0,
    count: int = 1,
) -> Iterator[Batch]:
    """Make the planned batches in order, each one ready while its predecessor is in use.

    rank, count: this process and how many there are; it loads its share of each batch.
    """

    def make(plan: Plan) -> Batch:
        members = tuple(examples[index] for index in plan.members)
        relevance = torch.tensor([item.relevance for item in members])
        own = share_of(len(members), rank=rank, count=count)
        audio = tower.load(members[own], plan.places[own].tolist())
        return Batch(members, plan.members, own, audio, relevance)

    with ThreadPoolExecutor(1) as pool:
        ahead = [pool.submit(make, plan) for plan in plans[:1]]
        for following in range(1, len(plans) + 1):
            batch = ahead.pop().result()
            if following < len(plans):
                ahead.append(pool.submit(make, plans[following]))
            yield batch
