"""The files of a checkpoint's folder: their names, and what they say without the model."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from humanclap.errors import CheckpointError

MANIFEST = "humanclap.json"
MODEL_CARD = "README.md"
SHARES = "shares"
"""Key of `config.json`: the packaged model whose tensors this model uses too."""
PACKAGED = Path(__file__).parent / "weights"
"""Where the models inside the package are."""
RUN_CHECKPOINT = "checkpoint"
"""Where a training run's folder keeps its model."""


def packaged_folder(name: str) -> Path:
    """Folder of the model that ships with the package under a name, there or not."""
    return PACKAGED / name


def packaged_names() -> list[str]:
    """Names of the models inside the package: folders of `weights/` with a manifest."""
    return sorted(path.parent.name for path in PACKAGED.glob(f"*/{MANIFEST}"))


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object, empty where there is no such file; CheckpointError where it is damaged."""
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise ValueError(f"a {type(content).__name__}; expected an object")
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: damaged JSON ({error}); copy the model again") from error
    return content


def card_licence(folder: Path) -> str:
    """The `license:` in the head of a folder's model card; empty where there is none."""
    card = folder / MODEL_CARD
    if not card.is_file():
        return ""
    head = card.read_text(encoding="utf-8", errors="replace").split("\n---", 1)[0]
    if not head.startswith("---"):
        return ""
    found = re.search(r"^license: *([\w.+-]+) *$", head, re.MULTILINE)
    return found[1] if found else ""
