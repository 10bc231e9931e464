"""The error tree: everything humanclap raises on purpose derives from `HumanCLAPError`."""

from __future__ import annotations

from pathlib import Path


class HumanCLAPError(Exception):
    """Base of every error raised on purpose; the command line prints it without a traceback."""


class InputError(HumanCLAPError, ValueError):
    """Something the user gave is not usable; the message says what, where and the likely remedy."""


class TableError(InputError):
    """A table cannot be used. The message starts with `file:line:` where a line is to blame."""

    def __init__(self, path: str | Path, message: str, line: int | None = None) -> None:
        self.path = str(path)
        self.line = line
        where = self.path if line is None else f"{self.path}:{line}"
        super().__init__(f"{where}: {message}")


class AudioError(InputError):
    """An audio file or array cannot be used; `reason` is the message without its path."""

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
    """Scores made in unlike ways were about to be compared or mixed."""


class MissingExtraError(HumanCLAPError, ImportError):
    """An optional package is not installed; the message names the extra that brings it."""
