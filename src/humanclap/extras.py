"""Optional packages: imported here, with an error that says how to install them."""

from __future__ import annotations

import importlib
from types import ModuleType

from humanclap.errors import MissingExtraError


def require(module: str, *, extra: str) -> ModuleType:
    """Import `module`, or raise `MissingExtraError` naming the extra of humanclap that brings it.

    >>> require("json", extra="dev").__name__
    'json'
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        package = module.partition(".")[0]
        if error.name != package:
            raise
        raise MissingExtraError(
            f"{package} is not installed; run: pip install 'humanclap[{extra}]'"
        ) from error
