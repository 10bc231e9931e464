"""Where a transformers CLAP lies: a folder, or files of the hub brought into its local cache."""

from __future__ import annotations

import difflib
import json
import logging
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

from humanclap.clap.identities import IDENTITIES_FILE
from humanclap.errors import CheckpointError
from humanclap.extras import require

logger = logging.getLogger(__name__)

FUSED_PROCESSOR = "laion/clap-htsat-fused"
UNFUSED_PROCESSOR = "laion/clap-htsat-unfused"

PROBE_S = 5.0
"""Seconds that the hub may take to answer at all; its client would ask for half a minute."""

_CONFIG = "config.json"
_NAMED = 5
_WEIGHTS = "model.safetensors"
_WEIGHTS_INDEX = "model.safetensors.index.json"
_OLD_WEIGHTS = "pytorch_model.bin"
_EXTRACTOR_FILES = ("preprocessor_config.json", "processor_config.json")
_TOKENIZER_FILES = (
    "tokenizer.json",
    "vocab.json",
    "merges.txt",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
)


def model_folder(name_or_path: str | Path, *, offline: bool) -> Path:
    """Folder with config.json and weights of a model; from the hub where it is no folder.

    The processor's files, and the record of what it was trained on, come along where the repository
    has them. offline: from the hub's local cache only. Raises CheckpointError with the remedy.
    """
    folder = Path(name_or_path)
    if not folder.is_dir():
        repository = _Repository(str(name_or_path), offline=offline)
        repository.fetch_weights()
        repository.fetch_processor()
        repository.fetch_identities()
        folder = repository.folder
    if not (folder / _CONFIG).is_file():
        raise CheckpointError(f"{folder}: no {_CONFIG}; expected a transformers model folder")
    if not any((folder / name).is_file() for name in (_WEIGHTS, _WEIGHTS_INDEX, _OLD_WEIGHTS)):
        raise CheckpointError(f"{folder}: no weights; expected {_WEIGHTS} (is the copy complete?)")
    return folder


def cached_identities(repo_id: str) -> Path | None:
    """What `model_folder` brought of a repository's record of what it was trained on."""
    hub: Any = require("huggingface_hub", extra="hf")
    known = hub.try_to_load_from_cache(repo_id, IDENTITIES_FILE)
    return Path(known) if isinstance(known, str) else None


def processor_folder(
    model: Path, *, fused: bool, processor: str | Path | None, offline: bool
) -> Path:
    """Folder with the feature extractor's settings and the tokenizer that belong to `model`.

    processor: folder or hub id to use; None: the model's own, and where it brings none, that of
    the LAION checkpoint of the same kind (released fine-tunings such as human-clap rely on it).
    """
    if processor is None and _has_processor(model):
        return model
    chosen = processor or (FUSED_PROCESSOR if fused else UNFUSED_PROCESSOR)
    folder = Path(chosen)
    if not folder.is_dir():
        try:
            repository = _Repository(str(chosen), offline=offline)
            repository.fetch_processor()
        except CheckpointError as error:
            if processor is not None:
                raise
            raise CheckpointError(
                f"{model}: brings no tokenizer or preprocessor_config.json, and those of {chosen} "
                f"cannot be had ({error}); give processor=, a folder that holds them"
            ) from error
        folder = repository.folder
        if processor is None:
            logger.warning("%s brings no processor; using that of %s", model, chosen)
    if not _has_processor(folder):
        raise CheckpointError(
            f"{folder}: no processor; expected {_EXTRACTOR_FILES[0]} and tokenizer.json (or "
            "vocab.json and merges.txt)"
        )
    return folder


def _has_processor(folder: Path) -> bool:
    present = {file.name for file in folder.iterdir()}
    tokenizer = "tokenizer.json" in present or {"vocab.json", "merges.txt"} <= present
    return tokenizer and any(name in present for name in _EXTRACTOR_FILES)


class _Repository:
    """One commit of a hub repository; its files appear in one folder of the local cache."""

    def __init__(self, repo_id: str, *, offline: bool) -> None:
        if not re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", repo_id):
            raise CheckpointError(
                f"{repo_id}: no such folder, nor a hub id such as {UNFUSED_PROCESSOR!r}"
            )
        self.repo_id = repo_id
        self.offline = offline or self._is_out_of_reach()
        self.revision: str | None = None
        self.folder = self._required(_CONFIG).parent
        self.revision = self.folder.name  # the commit: later files are of the same one

    def _is_out_of_reach(self) -> bool:
        """Whether what is cached must do, as the hub does not answer.

        Raises CheckpointError at once where nothing is cached: the hub's client would wait and try
        again for half a minute, and the name is as likely a folder's, misspelt.
        """
        reason = _no_answer(self.repo_id)
        if reason is None:
            return False
        hub: Any = require("huggingface_hub", extra="hf")
        if not isinstance(hub.try_to_load_from_cache(self.repo_id, _CONFIG), str):
            raise CheckpointError(
                f"{self.repo_id}: no such folder{folder_hint(self.repo_id)}, and the hub cannot be "
                f"reached ({reason}); mend the path, or check the network"
            )
        logger.warning(
            "%s: the hub cannot be reached (%s); the copy in the local cache is used",
            self.repo_id,
            reason,
        )
        return True

    def fetch_weights(self) -> None:
        """Bring model.safetensors or its shards, else pytorch_model.bin."""
        if self._optional(_WEIGHTS):
            return
        index = self._optional(_WEIGHTS_INDEX)
        if index is None:
            self._required(_OLD_WEIGHTS)
            return
        shards = json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()
        for shard in sorted(set(shards)):
            self._required(shard)

    def fetch_processor(self) -> None:
        """Bring what there is of the feature extractor's settings and the tokenizer."""
        for name in (*_EXTRACTOR_FILES, *_TOKENIZER_FILES):
            self._optional(name)

    def fetch_identities(self) -> None:
        """Bring the record of what the model was trained on, where there is one.

        A model that was cached before without it loads where the hub cannot be reached: what it met
        is then unknown.
        """
        with suppress(CheckpointError):
            self._optional(IDENTITIES_FILE)

    def _required(self, name: str) -> Path:
        path = self._optional(name)
        if path is None:
            raise CheckpointError(
                f"{self.repo_id}: {name} is not in the local cache of the hub; load it once "
                "online, or give a folder"
                if self.offline
                else f"{self.repo_id}: the hub repository has no {name}; is it a CLAP of "
                "transformers?"
            )
        return path

    def _optional(self, name: str) -> Path | None:
        """Local path of a file, None where the repository (offline: the cache) has none."""
        hub: Any = require("huggingface_hub", extra="hf")
        errors: Any = require("huggingface_hub.errors", extra="hf")
        if self.revision is not None:  # a commit never changes: what is known of it stays true
            known = hub.try_to_load_from_cache(self.repo_id, name, revision=self.revision)
            if known is not None:
                return Path(known) if isinstance(known, str) else None
        try:
            return Path(
                hub.hf_hub_download(
                    self.repo_id, name, revision=self.revision, local_files_only=self.offline
                )
            )
        except errors.LocalEntryNotFoundError as error:
            if self.offline:
                return None
            raise CheckpointError(
                f"{self.repo_id}: the hub cannot be reached ({error.__cause__ or error}); check "
                "the network, load it offline from the cache, or give a folder"
            ) from error
        except errors.EntryNotFoundError:
            return None
        except errors.GatedRepoError as error:
            raise CheckpointError(
                f"{self.repo_id}: gated; ask for access on its hub page, then run: hf auth login"
            ) from error
        except errors.RepositoryNotFoundError as error:
            raise CheckpointError(
                f"{self.repo_id}: no such folder{folder_hint(self.repo_id)}, and no such model on "
                "the hub (misspelt? if it is private, run: hf auth login)"
            ) from error
        except (errors.HfHubHTTPError, errors.HFValidationError, OSError) as error:
            raise CheckpointError(f"{self.repo_id}: {name} cannot be fetched ({error})") from error


def _no_answer(repo_id: str) -> str | None:
    """Why the hub gives no answer of any kind; None where it gives one."""
    hub: Any = require("huggingface_hub", extra="hf")
    utils: Any = require("huggingface_hub.utils", extra="hf")
    reason = None
    for _ in range(2):
        try:
            utils.get_session().head(hub.hf_hub_url(repo_id, _CONFIG), timeout=PROBE_S)
        except Exception as error:  # its HTTP library, and so the kinds of error, change
            reason = str(error) or type(error).__name__
        else:
            return None
    return reason


def folder_hint(name: str) -> str:
    """Folders beside a misspelt one, in words to stand behind "no such folder"; may be empty."""
    parent = Path(name).parent
    if not parent.is_dir():
        return ""
    beside = sorted(path.name for path in parent.iterdir() if path.is_dir() and path.name[0] != ".")
    close = difflib.get_close_matches(Path(name).name, beside, n=1) or beside[:_NAMED]
    return f" ({parent} holds {', '.join(close)})" if close else ""
