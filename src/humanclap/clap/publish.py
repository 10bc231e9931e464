"""A checkpoint onto the Hugging Face hub."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from humanclap.clap.checkpoint_files import MANIFEST, RUN_CHECKPOINT, SHARES, read_json
from humanclap.errors import CheckpointError
from humanclap.extras import require


def push_to_hub(
    folder: str | Path,
    repo_id: str,
    *,
    private: bool = False,
    endpoint: str | None = None,
    token: str | None = None,
) -> str:
    """Upload a checkpoint, or that of a training run, as one commit; returns the page's address.

    Weights it shares with a packaged model go with it, so that what is uploaded stands alone. The
    repository is made where there is none. Of an `hf` backbone transformers'
    `ClapModel.from_pretrained(repo_id)` loads what was uploaded. endpoint, token: huggingface_hub's
    own where None (HF_ENDPOINT; `hf auth login`). Raises CheckpointError where the folder holds no
    checkpoint or the hub refuses.
    """
    folder = Path(folder)
    if not (folder / MANIFEST).is_file():
        folder = folder / RUN_CHECKPOINT
    if not (folder / MANIFEST).is_file():
        raise CheckpointError(f"{folder.parent}: no checkpoint of humanclap (no {MANIFEST})")
    hub: Any = require("huggingface_hub", extra="hf")
    errors: Any = require("huggingface_hub.errors", extra="hf")
    api = hub.HfApi(endpoint=endpoint, token=token)
    try:
        api.create_repo(repo_id, private=private, exist_ok=True, repo_type="model")
        with as_whole(folder) as whole:
            api.upload_folder(
                repo_id=repo_id, folder_path=whole, commit_message="Upload a humanclap checkpoint"
            )
    except (errors.HfHubHTTPError, errors.HFValidationError, OSError) as error:
        raise CheckpointError(
            f"{repo_id}: the hub does not take it ({error}); is the name right, and are you logged "
            "in (hf auth login)?"
        ) from error
    return f"{api.endpoint}/{repo_id}"


@contextmanager
def as_whole(folder: Path) -> Iterator[Path]:
    """A folder with all weights of a checkpoint: its own, or, within the block, a whole copy.

    A copy is needed where it shares weights with a packaged model. Raises CheckpointError where
    those are not to be had.
    """
    if SHARES not in read_json(folder / "config.json"):
        yield folder
        return
    from humanclap.clap.mini import MiniCLAP, MiniMN04CLAP
    from humanclap.clap.mini.storage import write_whole

    kind = read_json(folder / MANIFEST).get("backbone")
    left_out = MiniMN04CLAP.left_out if kind == MiniMN04CLAP.kind else MiniCLAP.left_out
    with tempfile.TemporaryDirectory() as copy:
        for file in folder.iterdir():
            if file.is_file():
                shutil.copy2(file, copy)
        write_whole(folder, Path(copy), leave=left_out)
        yield Path(copy)
