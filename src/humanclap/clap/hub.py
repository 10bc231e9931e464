"""The folder of a model: one that is given, or one of the hub's local cache, fetched if need be."""

from __future__ import annotations

import difflib
import logging
import re
from functools import cached_property
from pathlib import Path
from typing import Any

from humanclap.clap.checkpoint_files import MANIFEST, MODEL_CARD, SHARES, read_json
from humanclap.clap.known_pairs import IDENTITIES_FILE
from humanclap.clap.published.hub_cache import (
    ANY_WEIGHTS,
    CONFIG,
    OLD_WEIGHTS,
    WEIGHTS,
    WEIGHTS_INDEX,
    cached_commits,
    cached_file,
)
from humanclap.clap.published.registry import MAIN, is_commit, known_model, known_repository
from humanclap.download.seen import sha256_once
from humanclap.errors import CheckpointError, MissingExtraError, listed
from humanclap.extras import require

logger = logging.getLogger(__name__)

FUSED_PROCESSOR = "laion/clap-htsat-fused"
UNFUSED_PROCESSOR = "laion/clap-htsat-unfused"

PROBE_S = 5.0
"""Seconds that the hub may take for a first answer; its client would try for half a minute."""

_OF_THE_PACKAGE = ("mini", "mini-mn04")
_ANCHORS = (CONFIG, MANIFEST)
"""A model's repository has one of these files; the first that is found tells the commit."""
_NOT_FOUND = 404
_EXTRACTOR_FILES = ("preprocessor_config.json", "processor_config.json")
_TOKENIZER_FILES = (
    "tokenizer.json",
    "vocab.json",
    "merges.txt",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
)


def hub_folder(repo_id: str, *, revision: str | None = None, offline: bool = False) -> Path:
    """Folder of the hub's local cache with a model as its repository holds it, fetched if need be.

    A checkpoint of humanclap of any kind, or a transformers ClapModel: weights, configuration,
    tokenizer, and where the repository has them manifest, model card and the record of what it was
    trained on. The folder's name is the commit. revision: branch, tag or commit; None: `main`.
    offline: use the cache only, as HF_HUB_OFFLINE does. Raises CheckpointError with the
    remedy.
    """
    repository = _Repository(repo_id, revision=revision, offline=offline)
    manifest = repository.optional(MANIFEST)
    for name in (MODEL_CARD, IDENTITIES_FILE):
        repository.optional(name)
    kind = "hf" if manifest is None else read_json(manifest).get("backbone")
    if kind == "hf":
        repository.fetch_weights()
        repository.fetch_processor()
    elif kind in _OF_THE_PACKAGE:
        repository.fetch_mini()
    else:
        repository.fetch_everything()
    return repository.folder


def model_folder(name_or_path: str | Path, *, offline: bool, revision: str | None = None) -> Path:
    """Folder with config.json and weights of a transformers model, given or fetched from the hub.

    The processor's files come along where the repository has them. revision, offline: as for
    `hub_folder`. Raises CheckpointError with the remedy.
    """
    folder = Path(name_or_path)
    if not folder.is_dir():
        folder = hub_folder(str(name_or_path), revision=revision, offline=offline)
    if not (folder / CONFIG).is_file():
        raise CheckpointError(f"{folder}: no {CONFIG}; expected a transformers model folder")
    if not any((folder / name).is_file() for name in ANY_WEIGHTS):
        raise CheckpointError(f"{folder}: no weights; expected {WEIGHTS} (is the copy complete?)")
    return folder


def processor_folder(
    model: Path, *, fused: bool, processor: str | Path | None, offline: bool
) -> Path:
    """Folder with the feature extractor's settings and the tokenizer that belong to `model`.

    processor: folder, hub id (`owner/name@revision` too) or short name to use; None: the model's
    own, and where it brings none, that of the LAION checkpoint of the same kind (some released
    fine-tunings rely on it), at its pinned revision where that is to be had.
    """
    if processor is None and _has_processor(model):
        return model
    if processor is None:
        folder = _processor_of_kind(model, fused=fused, offline=offline)
    elif Path(processor).is_dir():
        folder = Path(processor)
    else:
        repo_id, revision = hub_id(str(processor))
        folder = _fetched_processor(repo_id, revision, offline=offline)
    if not _has_processor(folder):
        raise CheckpointError(
            f"{folder}: no processor; expected {_EXTRACTOR_FILES[0]} and tokenizer.json (or "
            "vocab.json and merges.txt)"
        )
    return folder


def hub_id(name: str, revision: str | None = None) -> tuple[str, str | None]:
    """Repository and revision of a hub id, `owner/name@revision`, or a short name.

    revision: given beside the name; None: the one in the name, or the pinned one of a short name.
    Raises CheckpointError where the name has another revision.
    """
    repo_id, _, own = name.partition("@")
    if own and revision and own != revision:
        raise CheckpointError(f"{name}: names a revision, and {revision} is asked for; give one")
    wanted = own or revision or None
    known = known_model(repo_id)
    if known is not None and known.kind == "hub":
        return known.source, wanted or known.revision
    return repo_id, wanted


def check_pinned(repo_id: str, folder: Path) -> None:
    """Compare the weights with the registry's sha256 of this commit, if it has one.

    Raises CheckpointError where they differ.
    """
    known = known_repository(repo_id)
    if known is None or known.sha256 is None or folder.name != known.revision:
        return
    found = sha256_once(folder / WEIGHTS) if (folder / WEIGHTS).is_file() else "none"
    if found != known.sha256:
        raise CheckpointError(
            f"{folder / WEIGHTS}: its sha256 is {found[:12]}..., that of {repo_id} is "
            f"{known.sha256[:12]}...; delete {folder.parents[1]} to fetch it again"
        )


def _processor_of_kind(model: Path, *, fused: bool, offline: bool) -> Path:
    chosen = FUSED_PROCESSOR if fused else UNFUSED_PROCESSOR
    known = known_repository(chosen)
    pinned = None if known is None else known.revision
    try:
        try:
            folder = _fetched_processor(chosen, pinned, offline=offline)
        except CheckpointError:
            folder = _fetched_processor(chosen, None, offline=offline)
    except CheckpointError as error:
        raise CheckpointError(
            f"{model}: brings no tokenizer or preprocessor_config.json, and those of {chosen} "
            f"cannot be had ({error}); give processor= (--processor), a folder that holds them"
        ) from error
    logger.warning("%s brings no processor; using that of %s", model, chosen)
    return folder


def _fetched_processor(repo_id: str, revision: str | None, *, offline: bool) -> Path:
    anchors = (CONFIG, *_EXTRACTOR_FILES)
    repository = _Repository(repo_id, revision=revision, offline=offline, anchors=anchors)
    repository.fetch_processor()
    return repository.folder


def _has_processor(folder: Path) -> bool:
    present = {file.name for file in folder.iterdir()}
    tokenizer = "tokenizer.json" in present or {"vocab.json", "merges.txt"} <= present
    return tokenizer and any(name in present for name in _EXTRACTOR_FILES)


class _Repository:
    """One commit of a hub repository; its files are in one folder of the local cache.

    The hub is asked only for files that the cache does not know, so a commit that is cached whole
    loads without the network.
    """

    def __init__(
        self,
        repo_id: str,
        *,
        revision: str | None,
        offline: bool,
        anchors: tuple[str, ...] = _ANCHORS,
    ) -> None:
        if not re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", repo_id):
            raise CheckpointError(
                f"{repo_id}: no such folder, nor a hub id such as {UNFUSED_PROCESSOR!r}"
            )
        self.repo_id = repo_id
        self.revision = revision
        self._asked_offline = offline
        self._anchors = anchors
        found = (self.optional(name) for name in anchors)
        anchor = next((path for path in found if path is not None), None)
        self.folder = (anchor or self.required(anchors[0])).parent
        if revision is not None and is_commit(revision) and self.folder.name != revision:
            raise CheckpointError(
                f"{repo_id}: revision {revision} was asked for, and the hub gave "
                f"{self.folder.name}; is HF_ENDPOINT a mirror that keeps no revisions?"
            )
        self.revision = self.folder.name  # the commit: later files are of the same one

    @cached_property
    def offline(self) -> bool:
        """Whether to use the cache alone: because the caller wants it, or the hub does not answer.

        Raises CheckpointError at once where nothing is cached. The hub's client would try again for
        half a minute, and the name may well be that of a misspelt folder.
        """
        constants: Any = require("huggingface_hub.constants", extra="hf")
        if self._asked_offline or constants.HF_HUB_OFFLINE:
            return True
        reason = _no_answer(self.repo_id)
        if reason is None:
            return False
        cached = (cached_file(self.repo_id, name, self.revision) for name in self._anchors)
        if not any(cached):
            known = known_repository(self.repo_id) is not None
            absent = "not fetched before" if known else f"no such folder{folder_hint(self.repo_id)}"
            raise CheckpointError(
                f"{self.repo_id}: {absent}, and the hub cannot be reached ({reason}); "
                f"{'' if known else 'mend the path, or '}check the network{self._other_commits()}"
            )
        logger.warning(
            "%s: the hub cannot be reached (%s); the copy in the local cache is used",
            self.repo_id,
            reason,
        )
        return True

    def fetch_weights(self) -> None:
        """Fetch model.safetensors or its shards, else pytorch_model.bin."""
        if self.optional(WEIGHTS):
            return
        index = self.optional(WEIGHTS_INDEX)
        if index is None:
            self.required(OLD_WEIGHTS)
            return
        for shard in sorted(set(read_json(index)["weight_map"].values())):
            self.required(shard)

    def fetch_processor(self) -> None:
        """Fetch what there is of the feature extractor's settings and the tokenizer."""
        for name in (*_EXTRACTOR_FILES, *_TOKENIZER_FILES):
            self.optional(name)

    def fetch_mini(self) -> None:
        """Fetch weights and tokenizer of a packaged kind, except those that the package has."""
        from humanclap.clap.mini.storage import SHARED_FINGERPRINT, TOKENIZER

        config = read_json(self.folder / CONFIG)
        has_own = SHARES not in config or SHARED_FINGERPRINT in config
        (self.required if has_own else self.optional)(WEIGHTS)
        (self.optional if SHARES in config else self.required)(TOKENIZER)

    def fetch_everything(self) -> None:
        """Fetch all files, because only the other package knows what its kind needs."""
        if self.offline:
            return
        hub: Any = require("huggingface_hub", extra="hf")
        try:
            names = hub.HfApi().list_repo_files(self.repo_id, revision=self.revision)
        except Exception as error:  # its HTTP library, and so the kinds of error, change
            raise CheckpointError(
                f"{self.repo_id}: its files cannot be listed ({error})"
            ) from error
        for name in names:
            if not name.startswith("."):
                self.required(name)

    def required(self, name: str) -> Path:
        """Local path of a file; CheckpointError where it cannot be had."""
        path = self.optional(name)
        if path is None:
            raise CheckpointError(
                f"{self.repo_id}: {name} is not in the local cache of the hub; load it once "
                f"online, or give a folder{self._other_commits()}"
                if self.offline
                else f"{self.repo_id}: the hub repository has no {name}; is it a CLAP of "
                "transformers or a checkpoint of humanclap?"
            )
        return path

    def optional(self, name: str) -> Path | None:
        """Local path of a file, None where the repository (offline: the cache) has none."""
        hub: Any = require("huggingface_hub", extra="hf")
        if self.revision is not None and is_commit(self.revision):
            # a commit never changes: what is known of it stays true
            known = hub.try_to_load_from_cache(self.repo_id, name, revision=self.revision)
            if known is not None:
                return Path(known) if isinstance(known, str) else None
        if self.offline:
            return cached_file(self.repo_id, name, self.revision)
        return self._fetched(name)

    def _fetched(self, name: str) -> Path | None:
        hub: Any = require("huggingface_hub", extra="hf")
        errors: Any = require("huggingface_hub.errors", extra="hf")
        try:
            return Path(hub.hf_hub_download(self.repo_id, name, revision=self.revision))
        except errors.LocalEntryNotFoundError as error:
            if _is_not_found(error.__cause__):
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
        except errors.RevisionNotFoundError as error:
            raise CheckpointError(
                f"{self.repo_id}: the hub repository has no revision {self.revision}; its page "
                f"lists branches, tags and commits (give --revision {MAIN} for the newest)"
            ) from error
        except (errors.HfHubHTTPError, errors.HFValidationError, OSError) as error:
            if _is_not_found(error):
                return None
            raise CheckpointError(f"{self.repo_id}: {name} cannot be fetched ({error})") from error

    def _other_commits(self) -> str:
        """A remedy where other commits of it are cached; may be empty."""
        newest = cached_commits(self.repo_id)[::-1]
        return f"; cached is --revision {listed(newest, between=' and ')}" if newest else ""


def _is_not_found(error: BaseException | None) -> bool:
    """Whether the answer was a plain 404; a mirror may say no more about an absent file."""
    return getattr(getattr(error, "response", None), "status_code", None) == _NOT_FOUND


def _no_answer(repo_id: str) -> str | None:
    """Why the hub does not answer at all; None where it answers."""
    hub: Any = require("huggingface_hub", extra="hf")
    utils: Any = require("huggingface_hub.utils", extra="hf")
    reason = None
    for _ in range(2):
        try:
            utils.get_session().head(hub.hf_hub_url(repo_id, CONFIG), timeout=PROBE_S)
        except Exception as error:  # its HTTP library, and so the kinds of error, change
            reason = str(error) or type(error).__name__
        else:
            return None
    return reason


def looks_like_folder(name: str) -> bool:
    """Whether a name that is no folder was meant as one, so that the hub need not be asked.

    Paths that no hub id can be; and `runs/firts` where there is a folder `runs`, unless the hub's
    cache knows a model of that name.
    """
    if name.count("/") != 1 or name.startswith((".", "/", "~")) or name.endswith("/"):
        return "/" in name or "\\" in name or name.startswith((".", "~"))
    return Path(name).parent.is_dir() and not _is_known_to_cache(name)


def _is_known_to_cache(repo_id: str) -> bool:
    if known_repository(repo_id) is not None:
        return True
    try:
        return bool(cached_commits(repo_id))
    except MissingExtraError:
        return False


def folder_hint(name: str) -> str:
    """Folders beside a misspelt one, to be added to "no such folder"; may be empty."""
    parent = Path(name).parent
    if not parent.is_dir():
        return ""
    beside = sorted(path.name for path in parent.iterdir() if path.is_dir() and path.name[0] != ".")
    close = difflib.get_close_matches(Path(name).name, beside, n=1) or beside
    return f" ({parent} holds {listed(close)})" if close else ""
