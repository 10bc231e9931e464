"""Batches through a model on several CPU threads: one thread to a batch, several batches at once.

By itself torch puts all its threads on one batch. They then wait for each other at every step, and
keep their processors busy while they wait. A sum that is shared by another number of threads also
has other last digits. A batch on one thread has the same digits whatever the number of threads, and
no thread waits for another.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self, TypeVar

import torch
from torch import Tensor

from humanclap.clap.backbone import Backbone

_T = TypeVar("_T")

Encode = Callable[[Tensor], Tensor]
"""Windows (batch, window_samples) to one row each, (batch, features)."""

_KINDS = frozenset({"mini", "mini-mn04", "hf"})
"""Backbones that several threads can use at once; those of other packages may not allow it."""
MOST_WORKERS = 8
"""Each holds a batch and the intermediate results of its encoder in memory."""


class _OneThread:
    """While any user is inside, torch computes on one thread; afterwards on as many as before."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._before = 1

    def enter(self) -> int:
        """Begin; returns the number of threads torch has when nobody is inside."""
        with self._lock:
            if self._users == 0:
                self._before = torch.get_num_threads()
                if self._before > 1:
                    torch.set_num_threads(1)
            self._users += 1
            return self._before

    def forget(self) -> None:
        """In a forked child: the users inside were threads of the parent, and are not here."""
        self._lock = threading.Lock()
        self._users = 0

    def leave(self) -> None:
        """End."""
        with self._lock:
            self._users -= 1
            if self._users == 0 and self._before > 1:
                torch.set_num_threads(self._before)


_one_thread = _OneThread()
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

    def __enter__(self) -> Self:
        if self._beside:
            self.workers = min(MOST_WORKERS, _one_thread.enter())
            if self.workers > 1:
                self._pool = ThreadPoolExecutor(self.workers, "humanclap-encode")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None
        if self._beside:
            _one_thread.leave()

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
