"""Scores over HTTP: a service that batches across requests (`humanclap serve`), and its client."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from humanclap.serving.client import Client
    from humanclap.serving.settings import ServiceSettings

__all__ = ["Client", "ServiceSettings"]

_ON_FIRST_USE = {
    "Client": "humanclap.serving.client",
    "ServiceSettings": "humanclap.serving.settings",
}


def __getattr__(name: str) -> Any:
    if name in _ON_FIRST_USE:
        return getattr(importlib.import_module(_ON_FIRST_USE[name]), name)
    raise AttributeError(f"module 'humanclap.serving' has no attribute {name!r}")
