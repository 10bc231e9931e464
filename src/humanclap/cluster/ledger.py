"""What the workers of a run tell the driver: work begun, done and failed, and what killed a worker.

A worker that dies can say nothing. So it says before each part of the work that it begins, and a
part that was begun and not ended has killed its worker.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from humanclap import errors
from humanclap.errors import HumanCLAPError, InputError

_COUNTS = ("decoded", "scored", "failed")


class Ledger:
    """Counts of a run, and how often each unfinished part of it was begun; a Ray actor."""

    def __init__(self) -> None:
        self._begun: Counter[str] = Counter()
        self._counts: Counter[str] = Counter()
        self._metrics = _metrics()
        self._refusal: tuple[str, str] | None = None

    def begin(self, key: str, *, within: bool = False) -> int:
        """Begin a part of the work; returns how often it was begun without an end, with this time.

        within: it is inside another part, which counts the death of its worker.
        """
        self._begun[key] += 1
        if self._begun[key] > 1 and not within:
            self._add("deaths", 1)
        return self._begun[key]

    def end(self, key: str, **counts: int) -> None:
        """A part of the work is done; counts: clips `decoded`, pairs `scored` and `failed`."""
        self._begun.pop(key, None)
        for name, number in counts.items():
            self._add(name, number)

    def refuse(self, kind: str, message: str) -> None:
        """A worker raised an error on purpose; the first one is kept."""
        self._refusal = self._refusal or (kind, message)

    def refusal(self) -> tuple[str, str] | None:
        """Kind and message of the first error that a worker raised on purpose."""
        return self._refusal

    def status(self) -> dict[str, int]:
        """All counts; `waiting`: clips that are decoded and not yet scored."""
        counts = {name: self._counts[name] for name in (*_COUNTS, "heard", "deaths")}
        return {**counts, "waiting": max(0, counts["decoded"] - counts["heard"])}

    def _add(self, name: str, number: int) -> None:
        self._counts[name] += number
        if name in self._metrics and number:
            self._metrics[name].inc(number)


def _metrics() -> dict[str, Any]:
    """Counters that Ray exports to Prometheus."""
    from ray.util.metrics import Counter as Exported

    told = {
        "decoded": "Clips decoded",
        "scored": "Pairs scored",
        "failed": "Pairs without a score",
        "deaths": "Workers that died at work",
    }
    return {name: Exported(f"humanclap_{name}", description=what) for name, what in told.items()}


class LedgerClient:
    """A worker's side of the ledger.

    tries: deaths of a worker on one clip after which the clip is given up.
    """

    def __init__(self, ledger: Any, tries: int) -> None:
        import ray

        self._get = ray.get
        self._ledger = ledger
        self._tries = tries

    @contextmanager
    def telling(self) -> Iterator[None]:
        """Tell the driver about an error raised on purpose; a dead actor could not."""
        try:
            yield
        except HumanCLAPError as error:
            self._get(self._ledger.refuse.remote(type(error).__name__, str(error)))
            raise

    @contextmanager
    def work(self, key: str) -> Iterator[tuple[bool, Counter[str]]]:
        """Work under a name: whether it killed no worker so far, and counts to fill."""
        deaths = self._get(self._ledger.begin.remote(key)) - 1
        counts: Counter[str] = Counter()
        yield deaths == 0, counts
        self._ledger.end.remote(key, **counts)

    @contextmanager
    def clip(self, key: str) -> Iterator[str | None]:
        """One clip of work that killed a worker: why to leave it out, or None."""
        deaths = self._get(self._ledger.begin.remote(key, within=True)) - 1
        if deaths >= self._tries:  # and it stays so, where another clip kills the next worker
            yield (
                f"{self._tries} workers died on this clip (out of memory, or a decoder that "
                "crashes?); try it alone: humanclap score CLIP TEXT"
            )
            return
        yield None
        self._get(self._ledger.end.remote(key))


def refused(refusal: tuple[str, str]) -> HumanCLAPError:
    """The error that a worker reported; one of an unknown kind is an InputError."""
    kind, message = refusal
    known = {"CheckpointError", "SettingsError", "MissingExtraError"}
    made: HumanCLAPError = (getattr(errors, kind) if kind in known else InputError)(message)
    return made
