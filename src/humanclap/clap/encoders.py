"""Batches through a model on several CPU threads: one thread to a batch, several batches at once.

By itself torch puts all its threads on one batch. They then wait for each other at every step, and
keep their processors busy while they wait. A sum that is shared by another number of threads also
has other last digits. A batch on one thread has the same digits whatever the number of threads, and
no thread waits for another.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from typing import Self, TypeVar

import torch
from torch import Tensor

from humanclap.clap.backbone import Backbone
from humanclap.clap.device import ChangedWhileUsed, use_threads

_T = TypeVar("_T")

Encode = Callable[[Tensor], Tensor]
"""Windows (batch, window_samples) to one row each, (batch, features)."""

_KINDS = frozenset({"mini", "mini-mn04", "hf"})
"""Backbones that several threads can use at once; those of other packages may not allow it."""
MOST_WORKERS = 8
"""Each holds a batch and the intermediate results of its encoder in memory."""


def _use_one_thread() -> int:
    before = torch.get_num_threads()
    use_threads(1)
    return before


_one_thread = ChangedWhileUsed(_use_one_thread, use_threads)
"""While anybody is inside, torch computes on one thread; gives how many it has otherwise."""
if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_one_thread.forget)


class Encoders:
    """Runs calls of an encoder, on the CPU as many at once as torch has threads (at most eight).

    Within `with`, torch then computes on one thread. On other devices, for backbones of other
    packages, and where torch has one thread, a call runs in the thread that submits it.
    """

    def __init__(self, backbone: Backbone) -> None:
        on_cpu = backbone.logit_scale.device.type == "cpu"
        self._beside = on_cpu and backbone.kind in _KINDS
        self._pool: ThreadPoolExecutor | None = None
        self.workers = 1
        self._inside = ExitStack()

    def __enter__(self) -> Self:
        if self._beside:
            self.workers = min(MOST_WORKERS, self._inside.enter_context(_one_thread()))
            if self.workers > 1:
                self._pool = ThreadPoolExecutor(self.workers, "humanclap-encode")
        return self

    def __exit__(self, *raised: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None
        self._inside.close()

    def submit(self, call: Callable[[], _T]) -> Future[_T]:
        """Begin a call; its result, or what it raised, is the future's."""
        if self._pool is not None:
            return self._pool.submit(call)
        done: Future[_T] = Future()
        try:
            done.set_result(call())
        except Exception as error:
            done.set_exception(error)
        return done
