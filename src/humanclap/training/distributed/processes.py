"""One process or several that train together: embeddings gathered, gradients averaged.

Several are started on one host or more by torchrun or `accelerate launch`, which set WORLD_SIZE;
accelerate then makes the process group. A single process needs none of this, nor accelerate.
"""

from __future__ import annotations

import atexit
import os
import socket
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from importlib import import_module
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from humanclap.clap.device import resolve_device
from humanclap.errors import HumanCLAPError
from humanclap.extras import require
from humanclap.training.distributed.watch import OthersFailedError, Watch, meet, new_store

COLLECTIVE_LIMIT = timedelta(days=7)
"""Encoding may take one process hours longer than another; that all live is the watch's work."""

Thing = TypeVar("Thing")


def share_of(total: int, *, rank: int, count: int) -> slice:
    """Which of `total` things process `rank` of `count` takes: even, contiguous, in order.

    >>> [share_of(7, rank=rank, count=3) for rank in range(3)]
    [slice(0, 3, None), slice(3, 5, None), slice(5, 7, None)]
    """
    each, more = divmod(total, count)
    start = rank * each + min(rank, more)
    return slice(start, start + each + (rank < more))


class Processes:
    """What the loop needs of those who train together; as it stands, of one process alone.

    count: how many there are; names: what messages call each, by rank: `rank 1 (its host)`.
    """

    count = 1
    rank = local_rank = 0
    names: Sequence[str] = ("rank 0",)

    def __init__(self, device: str = "cpu") -> None:
        self.device = device

    def gather_rows(self, rows: Tensor, total: int) -> Tensor:
        """Each process's share (`share_of`) of `total` rows -> all, (total, ...).

        Gradients flow back to the process a row came from, summed over processes.
        """
        return rows

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Give every process the mean of all gradients; an absent one counts as 0."""

    def average_buffers(self, module: nn.Module) -> None:
        """Give every process the mean of floating-point buffers (batch-norm statistics)."""

    def follow_first(self, tensors: Iterable[Tensor]) -> None:
        """Give every process what the first has: unlike processors round unlike."""

    def gather_things(self, thing: Thing) -> list[Thing]:
        """The thing of every process, by rank."""
        return [thing]

    def from_first(self, thing: Thing) -> Thing:
        """The thing of the first process."""
        return thing


ALONE = Processes()
"""A process by itself, on the CPU."""


class Together(Processes):
    """Several processes in accelerate's process group.

    Every process computes the loss of the whole batch from gathered embeddings. A row's gradient
    then arrives once from each process, and the mean over processes takes that out again: what is
    left is the gradient of one process with the whole batch.
    """

    def __init__(self, state: Any, names: Sequence[str], watch: Watch) -> None:
        super().__init__(str(state.device))
        self.count = state.num_processes
        self.rank = state.process_index
        self.local_rank = max(state.local_process_index, 0)
        self.names = names
        self._watch = watch

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """Say of a collective that fails which process is to blame."""
        try:
            yield
        except RuntimeError as error:
            raise OthersFailedError(self._watch.why(error)) from error

    def gather_rows(self, rows: Tensor, total: int) -> Tensor:
        """Gather shares of unlike length, with their gradients."""
        shares = [share_of(total, rank=rank, count=self.count) for rank in range(self.count)]
        gathered: Tensor = _GatherRows.apply(rows, shares, self)  # type: ignore[no-untyped-call]
        return gathered

    def all_gather(self, parts: list[Tensor], own: Tensor) -> None:
        """torch's, of tensors of one shape."""
        with self._asking():
            dist.all_gather(parts, own)

    def all_reduce(self, tensor: Tensor) -> None:
        """torch's sum, in place."""
        with self._asking():
            dist.all_reduce(tensor)

    @torch.no_grad()
    def follow_first(self, tensors: Iterable[Tensor]) -> None:
        """Broadcast each tensor from the first process."""
        with self._asking():
            for tensor in tensors:
                dist.broadcast(tensor, src=0)

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Average all gradients in one message."""
        chosen = list(parameters)
        for parameter in chosen:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        self._average([item.grad for item in chosen if item.grad is not None])

    def average_buffers(self, module: nn.Module) -> None:
        """Average all floating-point buffers in one message."""
        self._average([item for item in module.buffers() if item.is_floating_point()])

    @torch.no_grad()
    def _average(self, tensors: Sequence[Tensor]) -> None:
        if not tensors:
            return
        flat = torch.cat([tensor.reshape(-1).float() for tensor in tensors])
        self.all_reduce(flat)
        flat /= self.count
        parts = torch.split(flat, [tensor.numel() for tensor in tensors])
        for tensor, part in zip(tensors, parts, strict=True):
            tensor.copy_(part.view_as(tensor))

    def gather_things(self, thing: Thing) -> list[Thing]:
        """Gather things, which are pickled."""
        found: list[Any] = [None] * self.count
        with self._asking():
            dist.all_gather_object(found, thing)
        return found

    def from_first(self, thing: Thing) -> Thing:
        """Broadcast the first process's thing, which is pickled."""
        found = [thing]
        with self._asking():
            dist.broadcast_object_list(found, src=0)
        return found[0]


class _GatherRows(torch.autograd.Function):
    """all_gather whose backward sums the gradients of all processes."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, shares: list[slice], others: Together) -> Tensor:
        """Rows of this process -> rows of all, in order."""
        ctx.own, ctx.others = shares[others.rank], others
        sizes = [share.stop - share.start for share in shares]
        padded = rows.new_zeros(max(sizes), *rows.shape[1:])
        padded[: len(rows)] = rows
        parts = [torch.empty_like(padded) for _ in shares]
        others.all_gather(parts, padded)
        return torch.cat([part[:size] for part, size in zip(parts, sizes, strict=True)])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        """Gradient of all rows -> of this process's rows."""
        summed = gradients[0].contiguous().clone()
        ctx.others.all_reduce(summed)
        return summed[ctx.own], None, None


class LeftTheOthersError(HumanCLAPError):
    """Training in a process that left the others after a failure."""


def several() -> bool:
    """Whether a launcher started this process as one of several."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


@contextmanager
def processes(device: str) -> Iterator[Processes]:
    """One process alone, or `Together` where a launcher started several.

    device: as `TrainingSettings`.

    A process that fails inside the block tells the others why and leaves them at once; they then
    raise OthersFailedError, and do so too where one is killed or cut off (`watch`). Else it stays
    for a next training, and leaves when its interpreter ends.
    Raises LeftTheOthersError in a process that has left, OthersFailedError where not all come.
    """
    if not several():
        yield Processes(resolve_device(device))
        return
    group = _joined_group()
    watch = group.watch()
    try:
        together = group.together(device, watch)
        yield together
        together.gather_things(None)
    except BaseException as error:
        own = f"{group.names[group.rank]} stopped: {str(error) or type(error).__name__}"
        watch.tell(str(error) if isinstance(error, OthersFailedError) else own)
        watch.end(failed=True)
        group.left = True
        _leave()
        raise
    watch.end(failed=False)


class _Group:
    """The process group of this interpreter, which outlives a training."""

    def __init__(self) -> None:
        self._store, self.rank, self.names = meet()
        self.left = False
        self._state: Any = None
        self._blocks = 0

    def watch(self) -> Watch:
        """Of the next training."""
        self._blocks += 1
        store, rank, _ = new_store()
        return Watch(store, rank, self.names, self._blocks)

    def together(self, device: str, watch: Watch) -> Together:
        """Those who train; the first call makes accelerate's process group."""
        if self._state is None:
            self._state = self._connected(device)
        return Together(self._state, self.names, watch)

    def _connected(self, device: str) -> Any:
        accelerate: Any = require("accelerate", extra="train")
        # Defaults of its functions are the group there is when it is first imported, which AdamW
        # does. Imported while there is none, it keeps no reference that would outlive `_leave`.
        import_module("torch.distributed.nn.functional")
        _choose_interface()
        state = accelerate.PartialState(
            cpu=resolve_device(device) == "cpu",
            store=self._store,
            rank=self.rank,
            world_size=len(self.names),
            timeout=COLLECTIVE_LIMIT,
        )
        atexit.register(_leave)
        return state


_joined: _Group | None = None


def _joined_group() -> _Group:
    global _joined
    if _joined is None:
        _joined = _Group()
    if _joined.left:
        raise LeftTheOthersError(
            "this process left the others after a failure; start all of them anew"
        )
    return _joined


def _choose_interface() -> None:
    """Let gloo speak from the interface that leads to the first host.

    It takes the one that the host's own name stands for, which on many is the loopback: the other
    hosts would look for it on themselves. GLOO_SOCKET_IFNAME says otherwise.
    """
    if "GLOO_SOCKET_IFNAME" in os.environ:
        return
    import psutil  # type: ignore[import-untyped]  # accelerate needs it

    first = (os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]))
    try:
        family, kind, number, _, address = socket.getaddrinfo(*first, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind, number) as probe:
            probe.connect(address)
            own = probe.getsockname()[0]
    except OSError:  # the processes have met there, so it can be reached in some other way
        return
    for name, addresses in psutil.net_if_addrs().items():
        if own in [one.address for one in addresses]:
            os.environ["GLOO_SOCKET_IFNAME"] = name


def _leave() -> None:
    """Leave the process group, and with its last reference end its threads.

    These may want the interpreter's lock, to free a tensor, and abort the process when they ask
    for it while the interpreter ends.
    """
    atexit.unregister(_leave)
    if dist.is_initialized():
        dist.destroy_process_group()
