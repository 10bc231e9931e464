"""One process or several that train together: embeddings gathered, gradients averaged.

Several are started by `accelerate launch` (or torchrun), which sets WORLD_SIZE; accelerate then
makes the process group. A single process needs none of this, nor accelerate.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any, Protocol, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from humanclap.clap.device import resolve_device
from humanclap.errors import HumanCLAPError
from humanclap.extras import require
from humanclap.training.batches import share_of

Thing = TypeVar("Thing")


class Processes(Protocol):
    """What the loop needs to know of the other processes."""

    count: int
    rank: int
    device: str

    def gather_rows(self, rows: Tensor, total: int) -> Tensor:
        """Each process's share (`batches.share_of`) of `total` rows -> all, (total, ...).

        Gradients flow back to the process a row came from, summed over processes.
        """

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Give every process the mean of all gradients; an absent one counts as 0."""

    def average_buffers(self, module: nn.Module) -> None:
        """Give every process the mean of floating-point buffers (batch-norm statistics)."""

    def gather_things(self, thing: Thing) -> list[Thing]:
        """The thing of every process, by rank."""


class Alone:
    """A single process."""

    count = 1
    rank = 0

    def __init__(self, device: str = "cpu") -> None:
        self.device = device

    def gather_rows(self, rows: Tensor, total: int) -> Tensor:
        """The rows as they are."""
        return rows

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Nothing to do."""

    def average_buffers(self, module: nn.Module) -> None:
        """Nothing to do."""

    def gather_things(self, thing: Thing) -> list[Thing]:
        """The thing alone."""
        return [thing]


class Together:
    """Several processes in accelerate's process group.

    Every process computes the loss of the whole batch from gathered embeddings. A row's gradient
    then arrives once from each process, and the mean over processes takes that out again: what is
    left is the gradient of one process with the whole batch.
    """

    def __init__(self, state: Any) -> None:
        self.count: int = state.num_processes
        self.rank: int = state.process_index
        self.device = str(state.device)

    def gather_rows(self, rows: Tensor, total: int) -> Tensor:
        """As the protocol says."""
        shares = [share_of(total, rank=rank, count=self.count) for rank in range(self.count)]
        gathered: Tensor = _GatherRows.apply(rows, shares, self.rank)  # type: ignore[no-untyped-call]
        return gathered

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """As the protocol says; one message for all of them."""
        chosen = list(parameters)
        for parameter in chosen:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        self._average([item.grad for item in chosen if item.grad is not None])

    def average_buffers(self, module: nn.Module) -> None:
        """As the protocol says."""
        self._average([item for item in module.buffers() if item.is_floating_point()])

    @torch.no_grad()
    def _average(self, tensors: Sequence[Tensor]) -> None:
        if not tensors:
            return
        flat = torch.cat([tensor.reshape(-1).float() for tensor in tensors])
        dist.all_reduce(flat)
        flat /= self.count
        parts = torch.split(flat, [tensor.numel() for tensor in tensors])
        for tensor, part in zip(tensors, parts, strict=True):
            tensor.copy_(part.view_as(tensor))

    def gather_things(self, thing: Thing) -> list[Thing]:
        """As the protocol says; things are pickled."""
        found: list[Any] = [None] * self.count
        dist.all_gather_object(found, thing)
        return found


class _GatherRows(torch.autograd.Function):
    """all_gather whose backward sums the gradients of all processes."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, shares: list[slice], rank: int) -> Tensor:
        """Rows of this process -> rows of all, in order."""
        ctx.own = shares[rank]
        sizes = [share.stop - share.start for share in shares]
        padded = rows.new_zeros(max(sizes), *rows.shape[1:])
        padded[: len(rows)] = rows
        parts = [torch.empty_like(padded) for _ in shares]
        dist.all_gather(parts, padded)
        return torch.cat([part[:size] for part, size in zip(parts, sizes, strict=True)])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        """Gradient of all rows -> of this process's rows."""
        summed = gradients[0].contiguous().clone()
        dist.all_reduce(summed)
        return summed[ctx.own], None, None


class LeftTheOthersError(HumanCLAPError):
    """Training in a process that left the others after a failure."""


@contextmanager
def processes(device: str) -> Iterator[Processes]:
    """`Alone`, or `Together` where a launcher started several; device: as `TrainingSettings`.

    A process that fails inside the block leaves the others at once, so that they fail too and do
    not wait for it; else it stays for a next training, and leaves when its interpreter ends.
    Raises LeftTheOthersError in a process that has left.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) < 2:
        yield Alone(resolve_device(device))
        return
    together = _join(device)
    try:
        yield together
    except BaseException:
        _leave()
        raise


def _join(device: str) -> Together:
    accelerate: Any = require("accelerate", extra="train")
    # Defaults of its functions are the group there is when it is first imported, which AdamW does.
    # Imported while there is none, it keeps no reference that would outlive `_leave`.
    import_module("torch.distributed.nn.functional")
    together = Together(accelerate.PartialState(cpu=device == "cpu"))
    if not dist.is_initialized():
        raise LeftTheOthersError(
            "this process left the others after a failure; start all of them anew"
        )
    atexit.register(_leave)
    return together


def _leave() -> None:
    """Leave the process group, and with its last reference end its threads.

    These may want the interpreter's lock, to free a tensor, and abort the process when they ask
    for it while the interpreter ends.
    """
    atexit.unregister(_leave)
    if dist.is_initialized():
        dist.destroy_process_group()
