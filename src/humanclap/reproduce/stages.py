"""What of a reproduction is done, how long each stage took, and how much memory it needed."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from humanclap.errors import SettingsError
from humanclap.files import atomic_writer
from humanclap.progress import Progress
from humanclap.training.loop.timing import StepTimes

LEDGER, LOCK = "reproduction.json", ".lock"
STAGES = {"data", "scores", "runs"}
"""Folders by which a reproduction is known that has lost its ledger."""
_BEAT_S = 5.0
"""Seconds between notes of a stage's time, of which a killed process loses at most so much."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageTime:
    """seconds: over all attempts; attempts: how often it was begun; peak_mb: of the process."""

    name: str
    seconds: float
    attempts: int
    finished: bool
    peak_mb: float


class StageLog:
    """The file `reproduction.json` of an output folder, held by one process at a time."""

    def __init__(self, output: Path, request: dict[str, Any], *, resume: bool) -> None:
        """Begin, or go on with `resume`.

        Raises SettingsError as `check_folder`, and where another process works in the folder.
        """
        self.path = output / LEDGER
        check_folder(output, request, resume=resume)
        output.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(output / LOCK)
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise SettingsError(
                f"{output}: another process works in it; wait for its end, or name another folder"
            ) from None
        known = check_folder(output, request, resume=resume)
        self._content = known or {"request": request, "stages": {}}
        self._write()

    def __enter__(self) -> StageLog:
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def note_times(self, times: StepTimes) -> None:
        """Keep how long steps took, so that they are not timed again."""
        self._content["times"] = asdict(times)
        self._write()

    def stages(self) -> list[StageTime]:
        """Every stage that was begun, in that order."""
        stages = self._content["stages"].items()
        return [StageTime(name=name, **known) for name, known in stages]

    @contextmanager
    def stage(self, name: str, progress: Progress) -> Iterator[Progress]:
        """Time what happens inside; a `Progress` that also keeps the time so far."""
        known = self._content["stages"].setdefault(
            name, {"seconds": 0.0, "attempts": 0, "finished": False, "peak_mb": 0.0}
        )
        before, started = known["seconds"], time.monotonic()
        written = started
        known["attempts"] += 1

        def note(*, finished: bool) -> None:
            known["seconds"] = round(before + time.monotonic() - started, 1)
            known["peak_mb"] = round(max(known["peak_mb"], peak_mb()), 1)
            known["finished"] = finished
            self._write()

        def beat(done: int, total: int, words: str = "") -> None:
            nonlocal written
            if time.monotonic() - written > _BEAT_S:
                written = time.monotonic()
                note(finished=False)
            progress(done, total, f"{name}: {words}" if words else name)

        note(finished=False)
        beat(0, 0, "")
        yield beat
        note(finished=True)

    def _write(self) -> None:
        with atomic_writer(self.path) as file:
            file.write(json.dumps(self._content, indent=2, ensure_ascii=False) + "\n")


def check_folder(output: Path, request: dict[str, Any], *, resume: bool) -> dict[str, Any] | None:
    """What the ledger of a folder holds, None where none is begun; writes nothing.

    Raises SettingsError where the folder holds a reproduction and `resume` is not said, one that
    was asked for differently, a damaged ledger, or other files.
    """
    path = output / LEDGER
    if output.exists() and not output.is_dir():
        raise SettingsError(f"{output}: is a file; --output names a folder")
    if not path.is_file():
        found = {one.name for one in output.glob("*") if not _left_by_a_kill(one)}
        if found and not (resume and found & STAGES):
            raise SettingsError(f"{output}: is not empty and holds no reproduction; name another")
        return None
    if not resume:
        raise SettingsError(
            f"{output}: holds a reproduction already; --resume goes on with it, or name another "
            "folder"
        )
    content = _read(path)
    before = content["request"]
    changed = [key for key in request if before.get(key) != request[key]]
    if changed:
        key = changed[0]
        raise SettingsError(
            f"{output}: was begun with {key} = {before.get(key)!r}, not {request[key]!r}; say the "
            "same again, or name another folder"
        )
    return content


def _left_by_a_kill(path: Path) -> bool:
    """Whether a process that was killed as it began has left it: the lock, an unfinished ledger."""
    return path.name == LOCK or path.name.startswith(f".{LEDGER}.")


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        for known in content["stages"].values():
            StageTime(name="", **known)
        dict(content["request"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SettingsError(
            f"{path}: damaged ({error!r}); delete it and give --resume: what is done stays done, "
            "only the stages' times are lost"
        ) from error
    return dict(content)


def known_times(output: Path) -> StepTimes | None:
    """The steps that were timed when a reproduction was begun; None where there are none."""
    try:
        content = json.loads((output / LEDGER).read_text(encoding="utf-8"))
        return StepTimes(**content["times"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def peak_mb() -> float:
    """Largest resident memory of this process so far, in MB (10^6 bytes); NaN on Windows."""
    try:
        import resource
    except ImportError:
        return float("nan")
    import sys

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
