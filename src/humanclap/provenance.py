"""How a report was made: when, by which command and with which versions."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version

from humanclap.errors import InputError
from humanclap.version import __version__

LIBRARIES = ("numpy", "scipy")
"""Libraries that compute a report's figures; the report names their versions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """at: in UTC; command: as typed, empty where Python code made it; versions: by name."""

    at: datetime
    command: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)

    @property
    def date(self) -> str:
        """`2026-01-01 00:00 UTC`."""
        return self.at.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")

    @property
    def software(self) -> str:
        """`humanclap 0.1.0, Python 3.11.9, numpy 2.1.0`."""
        return ", ".join(f"{name} {number}" for name, number in self.versions.items())

    def to_dict(self) -> dict[str, object]:
        """Plain values, ready for JSON."""
        return {"command": self.command or None, "date": self.date, "versions": {**self.versions}}


def provenance_now(command: str = "") -> Provenance:
    """The record of something that is made now, with the versions that are installed.

    If the environment has SOURCE_DATE_EPOCH, that is the time, so that a report can be made again
    byte for byte (https://reproducible-builds.org/specs/source-date-epoch/). Raises InputError
    where it is not a number of seconds.
    """
    versions = {"humanclap": __version__, "Python": platform.python_version()}
    versions |= {name: version(name) for name in LIBRARIES}
    return Provenance(at=_now(), command=command, versions=versions)


def _now() -> datetime:
    given = os.environ.get("SOURCE_DATE_EPOCH")
    if not given:
        return datetime.now(UTC)
    try:
        return datetime.fromtimestamp(int(given), UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise InputError(
            f"SOURCE_DATE_EPOCH is {given!r}; expected seconds since 1970, such as 1767225600, "
            "or leave it unset"
        ) from error
