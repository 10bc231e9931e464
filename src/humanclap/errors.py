"""The error tree: everything humanclap raises on purpose derives from `HumanCLAPError`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

_Item = TypeVar("_Item")


class HumanCLAPError(Exception):
    """Base of every error raised on purpose; the command line prints it without a traceback."""


class InputError(HumanCLAPError, ValueError):
    """The user gave something unusable; the message says what, where and the likely remedy."""


class TableError(InputError):
    """A table cannot be used. The message starts with `file:line:` where one line is at fault."""

    def __init__(self, path: str | Path, message: str, line: int | None = None) -> None:
        self.path = str(path)
        self.line = line
        where = self.path if line is None else f"{self.path}:{line}"
        super().__init__(f"{where}: {message}")


class AudioError(InputError):
    """An audio file or array cannot be used; `reason` is the message without the path."""

    def __init__(self, path: str | Path, reason: str) -> None:
        self.path = str(path)
        self.reason = reason
        super().__init__(f"{self.path}: {reason}")


class SettingsError(InputError):
    """A setting is unknown, of the wrong type or out of range."""


class LeakageError(InputError):
    """Two splits share a clip or a caption."""


class CheckpointError(InputError):
    """A model is missing, damaged or of a kind this version does not know."""


class SignatureMismatchError(InputError):
    """Scores that were made in different ways would have been compared or mixed."""


class ServiceError(HumanCLAPError):
    """A scoring service cannot be reached, or does not serve; `status`: its HTTP code, else 0."""

    def __init__(self, message: str, status: int = 0) -> None:
        self.status = status
        super().__init__(message)


class MissingExtraError(HumanCLAPError, ImportError):
    """An optional package is not installed; the message names the extra that brings it."""


@contextmanager
def naming_file(path: str | Path, *, always: bool = False) -> Iterator[None]:
    """Make every OSError of the block name a file. Python's names none when the disk is full.

    always: name `path` even where the error names another file, such as a temporary one. torch
    hides an OSError behind a RuntimeError; this raises the OSError. A broken pipe passes unchanged.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except (OSError, RuntimeError) as error:
        cause = error if isinstance(error, OSError) else error.__context__
        if not isinstance(cause, OSError) or cause.errno is None:
            raise
        if cause is error and cause.filename is not None and not always:
            raise
        raise OSError(cause.errno, cause.strerror, str(path)) from error


def listed(
    items: Sequence[_Item],
    most: int = 5,
    *,
    show: Callable[[_Item], str] = str,
    between: str = ", ",
    rest: str = " and {} more",
) -> str:
    """The first few items for a message, and how many more there are.

    show: gives the words for an item; rest: what follows where {} items are left out.

    >>> listed(["a", "b", "c", "d", "e", "f", "g"]), listed(["a", "b", "c"], 2, show=repr)
    ('a, b, c, d, e and 2 more', "'a', 'b' and 1 more")
    """
    more = len(items) - most
    return between.join(map(show, items[:most])) + (rest.format(more) if more > 0 else "")
