"""Which torch device a setting means."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, Literal, TypeVar

import torch

from humanclap.errors import SettingsError

_T = TypeVar("_T")

Precision = Literal["fp32", "bf16", "int8"]
"""Arithmetic of the encoders; int8 is for audio towers of transformers CLAPs only (`engines`)."""


def resolve_device(device: str) -> str:
    """`auto` is CUDA where there is one, else the CPU; another name is tried and returned.

    Raises SettingsError where it cannot be used here.

    >>> resolve_device("cpu")
    'cpu'
    """
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        first_line = str(error).splitlines()[0]
        raise SettingsError(f"device {device!r} cannot be used here: {first_line}") from error
    return device


def use_threads(threads: int) -> None:
    """Let torch use this many CPU threads in this process; a small model is quickest with one."""
    if torch.get_num_threads() != threads:
        torch.set_num_threads(threads)


def _one_thread_after_fork() -> None:
    """In a forked child: use no thread but this one.

    The threads that torch counts on are not copied by a fork, and its first parallel operation
    would wait for them for ever (pytorch#17199). On CUDA torch itself refuses in a forked child and
    names the remedy, the start method `spawn`.
    """
    torch.set_num_threads(1)


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_one_thread_after_fork)


class ChangedWhileUsed(Generic[_T]):
    """A setting of the whole process that is another one while any thread is inside.

    change: makes the setting another one and returns what it was. restore: puts that back.
    """

    def __init__(self, change: Callable[[], _T], restore: Callable[[_T], None]) -> None:
        self._change, self._restore = change, restore
        self._before: _T | None = None
        self.forget()

    def forget(self) -> None:
        """Count nobody as inside, as in a forked child: the threads inside are the parent's."""
        self._lock = threading.Lock()
        self._users = 0

    @contextmanager
    def __call__(self) -> Iterator[_T]:
        """Change the setting for a block; gives what it was."""
        with self._lock:
            if self._users == 0:
                self._before = self._change()
            self._users += 1
            before: _T = self._before  # type: ignore[assignment]
        try:
            yield before
        finally:
            with self._lock:
                self._users -= 1
                if self._users == 0:
                    self._restore(before)
