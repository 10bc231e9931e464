"""What the hub's local cache holds, found without asking the network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from humanclap.extras import require

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
WEIGHTS_INDEX = "model.safetensors.index.json"
OLD_WEIGHTS = "pytorch_model.bin"
ANY_WEIGHTS = (WEIGHTS, WEIGHTS_INDEX, OLD_WEIGHTS)
"""Files of which a transformers model has one."""


def cached_file(repo_id: str, name: str, revision: str | None) -> Path | None:
    """Path of a file of a repository in the cache, None where it is not there.

    revision: None: the `main` last seen. Raises MissingExtraError without huggingface_hub.
    """
    hub: Any = require("huggingface_hub", extra="hf")
    found = hub.try_to_load_from_cache(repo_id, name, revision=revision)
    return Path(found) if isinstance(found, str) else None


def cached_commits(repo_id: str) -> list[str]:
    """Commits of a model's repository that have files in the cache, the newest at the end.

    Raises MissingExtraError without huggingface_hub.
    """
    constants: Any = require("huggingface_hub.constants", extra="hf")
    name = "--".join(["models", *repo_id.split("/")])
    found = Path(constants.HF_HUB_CACHE).glob(f"{name}/snapshots/*/")
    return [path.name for path in sorted(found, key=lambda path: path.stat().st_mtime)]
