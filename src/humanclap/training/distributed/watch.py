"""Whether all who train together still do, told beside the collectives, which cannot tell.

A broken collective says that a connection closed, or nothing: a host without power closes none.
So every process puts a beat in the group's store each second and looks for those of the others.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any

import torch.distributed as dist
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous

from humanclap.errors import HumanCLAPError, SettingsError, listed

BEAT_S = 1.0
GRACE_S = 8.0
"""How long a process that is to end may take to do so in its own way."""
LOST_S = 60.0
"""How long a process may be silent; the environment's HUMANCLAP_LOST_S says otherwise."""
JOIN_S = 600.0
"""How long to wait for all to come; the environment's HUMANCLAP_JOIN_S says otherwise."""
EXIT_LOST = 2


class OthersFailedError(HumanCLAPError):
    """Another process failed or is gone, so this one cannot go on."""


def seconds_of(name: str, default: float) -> float:
    """A length of time from the environment. Raises SettingsError where it is none."""
    said = os.environ.get(name, "")
    try:
        seconds = float(said) if said else default
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < 1e9:
        raise SettingsError(f"{name} is {said!r}; expected a number of seconds above 0, below 1e9")
    return seconds


def meet() -> tuple[Any, int, list[str]]:
    """The group's store, this process's rank, and `rank 1 (host)` of each process.

    Raises SettingsError where the launcher's variables are missing, OthersFailedError where not
    all processes come in time.
    """
    store, rank, count = new_store()
    join_s = _join_s()
    store.set(f"humanclap/host/{rank}", socket.gethostname())
    missing = []
    names = []
    end = time.monotonic() + join_s
    for other in range(count):
        key = f"humanclap/host/{other}"
        try:
            store.wait([key], timedelta(seconds=max(end - time.monotonic(), 0.001)))
            names.append(f"rank {other} ({store.get(key).decode()})")
        except dist.DistError:
            missing.append(f"rank {other}")
    if missing:
        raise OthersFailedError(f"{listed(missing)} of {count} processes {_late()}")
    return store, rank, names


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


def store_address() -> str:
    """Where the launcher says that the processes meet."""
    return f"{os.environ.get('MASTER_ADDR')}:{os.environ.get('MASTER_PORT')}"


def _join_s() -> float:
    return seconds_of("HUMANCLAP_JOIN_S", JOIN_S)


def _late() -> str:
    return (
        f"did not come to {store_address()} within {_join_s():g} s; are all hosts started, with "
        "the same address, and is the port open?"
    )


def new_store() -> tuple[Any, int, int]:
    """A connection to the store that the launcher's variables name, the rank and their number.

    Raises as `meet` does.
    """
    timeout = timedelta(seconds=_join_s())
    try:
        found: tuple[Any, int, int] = next(rendezvous("env://", timeout=timeout))
    except ValueError as error:
        raise SettingsError(f"{error}; start the processes with torchrun or accelerate") from error
    except dist.DistError as error:
        raise OthersFailedError(f"the processes {_late()} ({_first_line(error)})") from error
    return found


class Watch:
    """The beats of a block in which processes train together."""

    def __init__(self, store: Any, rank: int, names: Sequence[str], block: int) -> None:
        """store: a connection of its own; block: how many there were before."""
        self._store = PrefixStore(f"humanclap/{block}", store)
        self._rank = rank
        self._names = names
        self._where = store_address()
        self._lost_s = seconds_of("HUMANCLAP_LOST_S", LOST_S)
        self._over = threading.Event()
        now = time.monotonic()
        due = now + _join_s()  # others may come later than this one to a next training
        self._heard = {other: (b"", due) for other in range(len(names)) if other != rank}
        self._answered = now
        self._trouble = ""
        for work in (self._beat, self._guard):
            threading.Thread(target=work, daemon=True, name=f"humanclap{work.__name__}").start()

    def tell(self, why: str) -> None:
        """Let the others know why this process ends; the first to tell is believed."""
        with suppress(RuntimeError):  # without the store the others or the way to them are gone
            self._store.compare_set("why", "", why)

    def why(self, error: Exception) -> str:
        """Why a collective failed: what another told, or who is silent, or the error itself."""
        asked = time.monotonic()
        while time.monotonic() < asked + GRACE_S:
            all_read = self._answered > asked  # whatever was told before the collective broke
            silent = self._silent(4 * BEAT_S)
            if self._trouble or (silent and all_read):
                return self._trouble or silent
            time.sleep(BEAT_S / 4)
        broke = f"the connection to the other processes broke: {_first_line(error)}"
        return self._trouble or self._silent(4 * BEAT_S) or broke

    def end(self, *, failed: bool) -> None:
        """No more beats. After a failure rank 0, who may hold the store, lets the others read."""
        with suppress(RuntimeError):  # whoever has not read it by the end of the wait is gone
            self._store.set(f"left/{self._rank}", "yes")
            if failed and self._rank == 0:
                others = [f"left/{other}" for other in list(self._heard)]
                self._store.wait(others, timedelta(seconds=GRACE_S))
        self._over.set()

    def _beat(self) -> None:
        try:
            self._exchange()
            while not self._over.wait(BEAT_S):
                self._exchange()
        except RuntimeError:
            if not self._trouble:
                self._trouble = f"{self._where}, where the processes meet, is gone"

    def _exchange(self) -> None:
        """Put a beat, and look for those of the others and for what they told."""
        began = time.monotonic()
        self._store.set(f"beat/{self._rank}", str(began))
        if self._store.check(["why"]):
            self._trouble = self._store.get("why").decode()
        for other, (last, _) in list(self._heard.items()):
            if self._store.check([f"left/{other}"]):
                del self._heard[other]
            elif self._store.check([f"beat/{other}"]):
                beat = self._store.get(f"beat/{other}")
                if beat != last:
                    self._heard[other] = beat, began
        self._answered = began

    def _silent(self, longest_s: float) -> str:
        """Who has been silent for so long; nothing where all were heard."""
        now = time.monotonic()
        if now - self._answered > longest_s + GRACE_S:
            return f"{self._where}, where the processes meet, has not answered for {longest_s:g} s"
        silent = [
            self._names[other]
            for other, (_, heard) in list(self._heard.items())
            if self._answered - heard > longest_s
        ]
        return f"{listed(silent)} is gone without a word (killed, or cut off?)" if silent else ""

    def _guard(self) -> None:
        """End a process that waits for one that is gone: nothing else ends a collective."""
        while not self._over.wait(BEAT_S):
            trouble = self._trouble or self._silent(self._lost_s)
            if trouble:
                threading.Thread(target=self.tell, args=[trouble], daemon=True).start()
                if not self._over.wait(2 * GRACE_S):
                    print(
                        f"error: {self._names[self._rank]}: {trouble}", file=sys.stderr, flush=True
                    )
                    os._exit(EXIT_LOST)
