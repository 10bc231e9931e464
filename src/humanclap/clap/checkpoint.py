"""Find, load and save models: packaged names, humanclap folders, transformers folders, hub ids."""

from __future__ import annotations

import json
import logging
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError

from humanclap.clap.calibration import Calibration
from humanclap.clap.checkpoint_files import (
    MANIFEST,
    MODEL_CARD,
    RUN_CHECKPOINT,
    SHARES,
    card_licence,
    packaged_folder,
    packaged_names,
    read_json,
)
from humanclap.clap.known_pairs import IDENTITIES_FILE, UNKNOWN, Identities
from humanclap.clap.published.registry import known_model, similar_name
from humanclap.errors import CheckpointError, naming_file
from humanclap.files import atomic_writer
from humanclap.progress import Progress, silent

if TYPE_CHECKING:
    from humanclap.clap.backbone import Backbone

logger = logging.getLogger(__name__)

FORMAT = 1
LAION_SUFFIXES = (".pt", ".pth", ".ckpt")
"""A name that ends so is a checkpoint file of LAION's CLAP, there or not (`clap.laion`)."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A backbone with everything that is known about it.

    identities: the record of what it was trained, tuned and calibrated on, or the file with the
    record, which is read when it is needed; None where nothing is known. name: for signatures; by
    default the backbone's. licence: from its model card, in the hub's words, such as `apache-2.0`;
    empty where the card says nothing. revision: its commit on the hub; empty for a model from
    elsewhere.
    """

    backbone: Backbone
    calibration: Calibration | None = None
    training: Mapping[str, Any] = field(default_factory=dict)
    identities: Identities | Path | None = None
    name: str = ""
    licence: str = ""
    revision: str = ""

    def __post_init__(self) -> None:
        name = self.name or self.backbone.name
        if "|" in name or name != name.strip():
            raise CheckpointError(f"name {name!r} would break signatures; use no | and no spaces")
        object.__setattr__(self, "name", name)

    def known_identities(self) -> Identities:
        """The record, read from its file if need be; `UNKNOWN` where there is none.

        Raises CheckpointError where the file is damaged.
        """
        if isinstance(self.identities, Path):
            return Identities.read(self.identities)
        return self.identities or UNKNOWN


def load_checkpoint(
    model: str | Path,
    *,
    mn04: str | Path | None = None,
    offline: bool = False,
    revision: str | None = None,
    processor: str | Path | None = None,
    progress: Progress = silent,
) -> Checkpoint:
    """Load a model by name.

    model: one of these.
    - A packaged name (`packaged_names`): `mini`, or `mini-mn04`, which also needs the file of
      mn04_as (`mini.mn04_file`).
    - A published name (`published.registry`), such as `clap`. Names come before folders: a folder
      `mini` in the current one is `./mini`, or a Path.
    - A folder that `save_checkpoint` wrote, of the training run around it, or of a transformers
      ClapModel.
    - The hub id of such a folder, `owner/name` or `owner/name@revision`.
    - A checkpoint file of LAION's CLAP (`clap.laion`).
    - The name of an installed plug-in (`clap.plugin`).
    mn04: path of the mn04_as file; None: it is fetched at first use. offline: do not use the
    network. revision: branch, tag or commit of a hub id; None: the pinned one of a published name,
    `main` of an id. processor: folder or hub id of tokenizer and feature extractor for a CLAP of
    transformers or LAION; None: its own. progress: called while mn04_as is fetched.

    Raises CheckpointError with the remedy where nothing can be loaded.
    """
    access = _Access(mn04, offline, processor, progress)
    other = _from_elsewhere(model, access)
    if other is not None:
        _check_no_revision(revision, f"{model} is not of the hub")
        return Checkpoint(other)
    folder, name, commit = _place_of(model, revision, offline=offline)
    return _load_folder(folder, access, name=name, revision=commit)


@dataclass(frozen=True, slots=True)
class _Access:
    """What loading may use besides the model's folder."""

    mn04: str | Path | None
    offline: bool
    processor: str | Path | None
    progress: Progress

    def refuse_processor(self, where: object, kind: object) -> None:
        """Raise CheckpointError where a processor is given for a model that does not use one."""
        if self.processor is not None:
            raise CheckpointError(
                f"{where}: a model of kind {kind!r} brings its own tokenizer and front end; "
                "processor= (--processor) is for CLAPs of transformers"
            )


def _place_of(model: str | Path, revision: str | None, *, offline: bool) -> tuple[Path, str, str]:
    """A model's folder, fetched from the hub if need be; for one from there its id and commit."""
    folder, name = Path(model), str(model)
    packaged, known = name in packaged_names(), known_model(name.partition("@")[0])
    by_name = isinstance(model, str) and (packaged or known is not None)
    if folder.is_dir() and not by_name:
        _check_no_revision(revision, f"{name} is a folder")
        return folder, "", ""
    if (folder / MANIFEST).is_file() or (folder / RUN_CHECKPOINT).is_dir():
        what = "the packaged model" if packaged else f"{known.source} of the hub" if known else ""
        logger.warning("%s is %s; the folder of that name is ./%s", name, what, name)
    if packaged:
        _check_no_revision(revision, f"{name} is in the package")
        return packaged_folder(name), "", ""
    return _place_on_hub(name, revision, offline=offline)


def _place_on_hub(name: str, revision: str | None, *, offline: bool) -> tuple[Path, str, str]:
    from humanclap.clap.hub import check_pinned, folder_hint, hub_folder, hub_id, looks_like_folder

    known = known_model(name.partition("@")[0])
    if known is not None and known.kind == "file":
        raise CheckpointError(
            f"{name}: a weights file of laion_clap; bring it from {known.address} and give its path"
        )
    repo_id, wanted = hub_id(name, revision)
    if looks_like_folder(name) and (wanted is None or repo_id.count("/") != 1):
        could_be_id = re.fullmatch(r"\w[\w.-]*/[\w.-]+", name)
        hint = "; if it is a hub id, say so with --revision main" if could_be_id else ""
        raise CheckpointError(f"{name}: no such folder{folder_hint(name)}{hint}")
    if "/" not in repo_id:
        raise CheckpointError(
            f"{name}: no such model{similar_name(name, packaged_names())}; expected "
            f"{', '.join(map(repr, packaged_names()))}, a name that `humanclap models` lists, a "
            f"checkpoint folder{folder_hint(name)}, a .pt file of LAION's CLAP, or a hub id such "
            "as 'laion/clap-htsat-unfused'"
        )
    folder = hub_folder(repo_id, revision=wanted, offline=offline)
    check_pinned(repo_id, folder)
    return folder, repo_id, folder.name


def _check_no_revision(revision: str | None, what: str) -> None:
    if revision is not None:
        raise CheckpointError(f"{what} and has no revisions; --revision is for models of the hub")


def _from_elsewhere(model: str | Path, access: _Access) -> Backbone | None:
    """A model that is no folder and no hub id: a plug-in's, or one in a file of LAION's CLAP."""
    path = Path(model)
    if isinstance(model, str) and (model in packaged_names() or known_model(model) is not None):
        return None
    if isinstance(model, str) and "/" not in model:
        from humanclap.clap.plugin import load_plugin, plugin_names

        if model in plugin_names():
            access.refuse_processor(model, model)
            return load_plugin(model, offline=access.offline)
    if path.is_file() or (path.suffix in LAION_SUFFIXES and not path.is_dir()):
        from humanclap.clap.laion import load_laion

        return load_laion(path, processor=access.processor, offline=access.offline)
    return None


def _load_folder(
    folder: Path, access: _Access, *, name: str = "", revision: str = ""
) -> Checkpoint:
    """Load a model's folder. name: for one whose files give none. revision: its commit."""
    path = folder / MANIFEST
    if path.is_file():
        manifest = read_json(path)
    elif (folder / RUN_CHECKPOINT / MANIFEST).is_file():
        return _load_folder(folder / RUN_CHECKPOINT, access, name=name, revision=revision)
    elif read_json(folder / "config.json").get("model_type") == "clap":
        manifest = {"format": FORMAT, "backbone": "hf", "calibration": None}
    else:
        raise CheckpointError(
            f"{folder}: neither {MANIFEST} nor a transformers config.json of model_type 'clap'"
        )
    if (found := manifest.get("format")) != FORMAT:
        raise CheckpointError(f"{path}: format {found!r}, this version reads {FORMAT}")
    own_name = manifest.get("name", "")
    if not isinstance(own_name, str):
        raise CheckpointError(f"{path}: name is {own_name!r}; expected a text")
    return Checkpoint(
        calibration=_calibration(manifest, path),
        backbone=_backbone_of_kind(manifest.get("backbone"), folder, access, name),
        training=manifest.get("training", {}),
        identities=_identities_file(folder),
        name=own_name,
        licence=card_licence(folder),
        revision=revision,
    )


def read_calibration(model: str | Path) -> Calibration | None:
    """The calibration of a packaged model or of a checkpoint folder, without loading the model.

    None where it has none. Raises CheckpointError where there is no such folder with a manifest.
    """
    name = str(model)
    folder = packaged_folder(name) if name in packaged_names() else Path(model)
    for place in (folder / MANIFEST, folder / RUN_CHECKPOINT / MANIFEST):
        if place.is_file():
            return _calibration(read_json(place), place)
    raise CheckpointError(f"{model}: neither a packaged model nor a folder with {MANIFEST}")


def _identities_file(folder: Path) -> Path | None:
    """The record in the folder, or that of the packaged model whose tensors it shares."""
    shared = read_json(folder / "config.json").get(SHARES)
    for place in (folder, *([packaged_folder(str(shared))] if shared else [])):
        if (place / IDENTITIES_FILE).is_file():
            return place / IDENTITIES_FILE
    return None


def _calibration(manifest: Mapping[str, Any], path: Path) -> Calibration | None:
    given = manifest.get("calibration", {})
    if isinstance(given, dict) and "slope" in given:
        raise CheckpointError(
            f"{path}: its calibration is a line without a standard error, as an earlier "
            'version wrote it; train again, or set its "calibration" to null and have no ratings'
        )
    try:
        return None if given is None else Calibration(**given)
    except (TypeError, ValueError) as error:
        raise CheckpointError(
            f"{path}: damaged calibration ({error}); copy the checkpoint again, or train again"
        ) from error


def _backbone_of_kind(kind: object, folder: Path, access: _Access, name: str) -> Backbone:
    if kind == "hf":
        from humanclap.clap.hf import HFCLAP

        return HFCLAP.from_pretrained(
            folder, offline=access.offline, processor=access.processor, name=name or None
        )
    access.refuse_processor(folder, kind)
    if kind == "mini":
        from humanclap.clap.mini import MiniCLAP

        return MiniCLAP.from_pretrained(folder)
    if kind == "mini-mn04":
        from humanclap.clap.mini import MiniMN04CLAP
        from humanclap.clap.mini.mn04_file import find_mn04

        mn04 = find_mn04(access.mn04, offline=access.offline, progress=access.progress)
        return MiniMN04CLAP.from_pretrained(folder, mn04=mn04)
    from humanclap.clap.plugin import load_plugin, plugin_names

    if kind in plugin_names():
        return load_plugin(str(kind), folder=folder, offline=access.offline)
    raise CheckpointError(
        f"{folder / MANIFEST}: backbone {kind!r} is not known to this version, and no installed "
        "plug-in offers it; is its package missing?"
    )


def save_checkpoint(
    checkpoint: Checkpoint, directory: str | Path, *, model_card: str = "", whole: bool = True
) -> None:
    """Write a folder that `load_checkpoint` reads; it appears whole or not at all.

    An existing folder is replaced only if it is empty or a humanclap checkpoint itself. whole:
    write every weight. Otherwise weights of a packaged model are left out and read from the
    package, and loading fails if the package has others by then.
    """
    directory = Path(directory)
    if directory.exists() and any(directory.iterdir()) and not (directory / MANIFEST).is_file():
        raise CheckpointError(f"{directory}: exists and is no humanclap checkpoint; not replaced")
    directory.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{directory.name}.", dir=directory.parent))
    try:
        with naming_file(directory, always=True):
            checkpoint.backbone.save_pretrained(staging, whole=whole)
            write_manifest(checkpoint, staging)
            if checkpoint.identities is not None:
                checkpoint.known_identities().save(staging)
            if model_card:
                (staging / MODEL_CARD).write_text(model_card, encoding="utf-8")
            staging.chmod(0o755)
            _swap_in(staging, directory)
    except BaseException as error:
        shutil.rmtree(staging, ignore_errors=True)
        if isinstance(error, SafetensorError):
            raise CheckpointError(f"{directory}: cannot be written ({error})") from error
        raise


def write_manifest(checkpoint: Checkpoint, directory: str | Path) -> None:
    """Write `humanclap.json` beside existing weights, such as a recipe's in half precision.

    With it `load_checkpoint` reads the folder, and a folder in `weights/` can be named.
    """
    manifest = {
        "format": FORMAT,
        "backbone": checkpoint.backbone.kind,
        "name": checkpoint.name,
        "calibration": checkpoint.calibration and asdict(checkpoint.calibration),
        "training": dict(checkpoint.training),
    }
    text = json.dumps(manifest, indent=2, ensure_ascii=False, allow_nan=False)
    with atomic_writer(Path(directory) / MANIFEST) as file:
        file.write(text + "\n")


def _swap_in(staging: Path, directory: Path) -> None:
    """Put `staging` in the place of `directory`; its old content is deleted only after that."""
    if not directory.exists():
        staging.rename(directory)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{directory.name}.old.", dir=directory.parent))
    directory.replace(old / directory.name)
    try:
        staging.rename(directory)
    except BaseException:
        (old / directory.name).rename(directory)
        raise
    finally:
        shutil.rmtree(old, ignore_errors=True)
