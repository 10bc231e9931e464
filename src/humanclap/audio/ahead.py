"""Several threads read sources before they are needed; results keep the order of the sources."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

_S = TypeVar("_S")
_T = TypeVar("_T")

MOST_THREADS = 8


def usable_cpus() -> int:
    """Processors that this process may use."""
    usable = getattr(os, "sched_getaffinity", None)
    return len(usable(0)) if usable is not None else os.cpu_count() or 1


def reading_threads() -> int:
    """Threads worth reading with: one for each processor this process may use, at most eight."""
    return min(MOST_THREADS, usable_cpus())


def read_ahead(
    sources: Iterable[_S],
    read: Callable[[int, _S], Iterable[_T]],
    *,
    threads: int,
    items: int,
) -> Generator[Iterator[_T]]:
    """For each source, in their order, an iterator of what `read(number, source)` gives.

    Use up each iterator before asking for the next; it raises what `read` raised. threads: how many
    read, at least 1; each starts when there is work for it. items: at most so many results are
    held, and so many sources begun, beyond those in use, so that memory does not grow with the
    number or the length of sources. (One more is held where all of them belong to later sources.)
    One thread at a time draws from `sources`. Closing this generator ends the threads.
    """
    ahead = _Ahead(iter(sources), read, threads=threads, items=items)
    try:
        ahead.start_thread()
        while (source := ahead.first()) is not None:
            yield ahead.items_of(source)
            ahead.leave(source)
    finally:
        ahead.stop()


@dataclass(slots=True, eq=False)
class _Read(Generic[_T]):
    """A source that is being read: its results that are not used yet, and how it ended."""

    waiting: deque[_T] = field(default_factory=deque)
    ended: bool = False
    failure: BaseException | None = None


class _Ahead(Generic[_S, _T]):
    """What the threads share; `_changed` guards all of it but `_sources`."""

    def __init__(
        self,
        sources: Iterator[_S],
        read: Callable[[int, _S], Iterable[_T]],
        *,
        threads: int,
        items: int,
    ) -> None:
        self._sources = sources
        self._read = read
        self._most_threads = threads
        self._most_items = items
        self._drawing = threading.Lock()
        self._changed = threading.Condition()
        self._begun: deque[_Read[_T]] = deque()
        self._drawn = 0
        self._held = 0
        self._exhausted = False
        self._stopped = False
        self._threads: list[threading.Thread] = []

    def start_thread(self) -> None:
        """One more thread, where there may be one."""
        with self._changed:
            if self._stopped or len(self._threads) >= self._most_threads:
                return
            thread = threading.Thread(target=self._work, name="humanclap-read-ahead", daemon=True)
            self._threads.append(thread)
            thread.start()

    def first(self) -> _Read[_T] | None:
        """The source in use; None at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._begun or self._exhausted)
            return self._begun[0] if self._begun else None

    def items_of(self, source: _Read[_T]) -> Iterator[_T]:
        """The results of the source in use, as they come."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: source.waiting or source.ended)
                if not source.waiting:
                    break
                item = source.waiting.popleft()
                self._held -= 1
                self._changed.notify_all()
            yield item
        if source.failure is not None:
            raise source.failure

    def leave(self, source: _Read[_T]) -> None:
        """Forget the source in use and its remaining results."""
        with self._changed:
            self._begun.popleft()
            self._held -= len(source.waiting)
            source.waiting.clear()
            self._changed.notify_all()

    def stop(self) -> None:
        """End the threads, and wait for their end."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while (drawn := self._draw()) is not None:
            number, source, into = drawn
            self.start_thread()
            failure = None
            try:
                for item in self._read(number, source):
                    if not self._put(into, item):
                        return
            except BaseException as error:
                failure = error
            self._end(into, failure)

    def _draw(self) -> tuple[int, _S, _Read[_T]] | None:
        """The next source, once few enough are begun; None at the end."""
        with self._drawing:
            with self._changed:
                self._changed.wait_for(
                    lambda: self._stopped or len(self._begun) <= self._most_items
                )
                if self._stopped or self._exhausted:
                    return None
            into: _Read[_T] = _Read()
            try:
                source = next(self._sources)
            except StopIteration:
                self._exhaust()
                return None
            except BaseException as error:
                into.ended, into.failure = True, error
                self._exhaust(into)
                return None
            with self._changed:
                number = self._drawn
                self._drawn += 1
                self._begun.append(into)
                self._changed.notify_all()
            return number, source, into

    def _exhaust(self, last: _Read[_T] | None = None) -> None:
        with self._changed:
            self._exhausted = True
            if last is not None:
                self._begun.append(last)
            self._changed.notify_all()

    def _put(self, into: _Read[_T], item: _T) -> bool:
        """Hold a result once there is room; False where nobody needs it any more."""

        def room() -> bool:
            # The source in use may always hold one result, or later ones could take all the room.
            in_use = bool(self._begun) and self._begun[0] is into
            return self._stopped or self._held < self._most_items or (in_use and not into.waiting)

        with self._changed:
            self._changed.wait_for(room)
            if self._stopped:
                return False
            into.waiting.append(item)
            self._held += 1
            self._changed.notify_all()
            return True

    def _end(self, into: _Read[_T], failure: BaseException | None) -> None:
        with self._changed:
            into.ended, into.failure = True, failure
            self._changed.notify_all()
