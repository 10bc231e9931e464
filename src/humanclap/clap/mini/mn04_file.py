"""Where the mn04_as checkpoint is: at a path given, or fetched once into the user's cache."""

from __future__ import annotations

import os
from pathlib import Path

from humanclap.clap.mini.mn04 import MN04_ADDRESS, MN04_SHA256
from humanclap.download.cache import cache_folder, cached_file
from humanclap.errors import CheckpointError, InputError
from humanclap.progress import Progress, silent

MN04_FILE = "mn04_as_mAP_432.pt"
MN04_URL = f"https://github.com/fschmid56/EfficientAT/releases/download/v0.0.1/{MN04_FILE}"
PATH_VARIABLE = "HUMANCLAP_MN04"
"""Environment variable with the path of the file; nothing is fetched then."""
URL_VARIABLE = "HUMANCLAP_MN04_URL"
"""Environment variable with another address of the same file."""


def find_mn04(
    given: str | Path | None = None, *, offline: bool = False, progress: Progress = silent
) -> Path:
    """Path of the file: `given`, else HUMANCLAP_MN04, else the cache, fetched at first use (4 MB).

    A given path is not checked here, and nothing is fetched instead. offline: the cache only.
    Raises CheckpointError with the remedy where the file cannot be had.
    """
    path = given or os.environ.get(PATH_VARIABLE)
    if path:
        return Path(path)
    url = os.environ.get(URL_VARIABLE) or MN04_URL
    try:
        return cached_file(
            url, cache_folder() / MN04_FILE, sha256=MN04_SHA256, offline=offline, progress=progress
        )
    except InputError as error:
        remedy = (
            "load the model once with a network, or give the path of a copy"
            if offline
            else f"set {URL_VARIABLE} to a mirror, or give the path of a copy"
        )
        raise CheckpointError(
            f"mini-mn04 needs {MN04_ADDRESS}: {error}. Remedy: {remedy} (--mn04, mn04= in "
            f"Python, or {PATH_VARIABLE})"
        ) from error
