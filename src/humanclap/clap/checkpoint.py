"""Find, load and save models: packaged names, humanclap folders, transformers folders, hub ids."""

from __future__ import annotations

import json
import logging
import math
import re
import shutil
import tempfile
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors import SafetensorError

from humanclap.clap.known_pairs import IDENTITIES_FILE, UNKNOWN, Identities
from humanclap.clap.published.registry import known_model, similar_name
from humanclap.errors import CheckpointError, naming_file
from humanclap.files import atomic_writer
from humanclap.progress import Progress, silent

if TYPE_CHECKING:
    from humanclap.clap.backbone import Backbone

logger = logging.getLogger(__name__)

FORMAT = 1
MANIFEST = "humanclap.json"
MODEL_CARD = "README.md"
SHARES = "shares"
"""Key of a packaged model's `config.json`: the packaged model whose tensors are its own too."""
PACKAGED = Path(__file__).parent / "weights"
"""Where the models inside the package are."""
RUN_CHECKPOINT = "checkpoint"
"""Where a training run's folder keeps its model."""
LAION_SUFFIXES = (".pt", ".pth", ".ckpt")
"""A name that ends so is a checkpoint file of LAION's CLAP, there or not (`clap.laion`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """A rising, piecewise-linear map from score to the predicted human rating, with its error.

    scores: knots, increasing; ratings: at each knot, never falling; errors: at each knot the
    standard error of the predicted rating, above 0, in rating units: the standard deviation of
    (the mean rating that ever more listeners would give) minus (the predicted rating). The mean of
    a few listeners strays further, by its own noise. Fitted on the pairs named in `fitted_on`, `n`
    of them (`metrics.rating_map.fit_rating_map`); predictions are clipped to low..high. guess: the
    pairs were too few to tell the errors; covers: the kinds of sound among them, by system or
    subset such as `natural`, empty where unknown. map_errors: at each knot the part of the error
    that is the map's own uncertainty, which the predictions of all pairs share; empty where
    unknown.
    Raises CheckpointError for knots that break these rules.

    >>> bent = Calibration(scores=(0.0, 0.25, 0.5), ratings=(1.0, 2.0, 8.0), errors=(1.0, 1.5, 2.0),
    ...                    fitted_on="validation", n=500)
    >>> bent.rating(0.375), bent.standard_error(0.375)
    (5.0, 1.75)
    """

    scores: tuple[float, ...]
    ratings: tuple[float, ...]
    errors: tuple[float, ...]
    fitted_on: str
    n: int
    low: float = 0.0
    high: float = 10.0
    guess: bool = False
    covers: tuple[str, ...] = ()
    map_errors: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        for name in ("scores", "ratings", "errors", "map_errors"):  # JSON gives lists
            object.__setattr__(self, name, tuple(map(float, getattr(self, name))))
        object.__setattr__(self, "covers", tuple(self.covers))
        problem = self._problem()
        if problem:
            raise CheckpointError(f"calibration: {problem}")

    def _problem(self) -> str | None:
        sizes = len(self.scores), len(self.ratings), len(self.errors)
        if 0 in sizes or len(set(sizes)) > 1:
            counts = "{} scores, {} ratings and {} errors".format(*sizes)
            return f"{counts}; expected as many of each, one or more"
        numbers = (*self.scores, *self.ratings, *self.errors, self.low, self.high)
        if not all(map(math.isfinite, numbers)):
            return "expected finite numbers only"
        if not (np.diff(self.scores) > 0).all():
            return f"scores {self.scores} do not increase"
        if not (np.diff(self.ratings) >= 0).all():
            return f"ratings {self.ratings} fall"
        if min(self.errors) <= 0:
            return f"errors {self.errors} are not all above 0"
        if self.map_errors and not self._parts_fit():
            return f"map_errors {self.map_errors} are not a part of errors {self.errors}"
        if self.n < 1:
            return f"n is {self.n}; it is fitted on one pair or more"
        if not self.low < self.high:
            return f"low {self.low:g} is not below high {self.high:g}"
        return None

    def _parts_fit(self) -> bool:
        return len(self.map_errors) == len(self.errors) and all(
            0 <= part <= whole * (1 + 1e-9)
            for part, whole in zip(self.map_errors, self.errors, strict=True)
        )

    def rating(self, score: float) -> float:
        """Predicted rating on low..high; NaN for a NaN score.

        Beyond the outer knots the outer segments go on in a straight line; a single knot is a
        constant rating.
        """
        if math.isnan(score):
            return math.nan
        value = self.ratings[0]
        if len(self.scores) > 1:
            right = min(max(bisect_right(self.scores, score), 1), len(self.scores) - 1)
            start, end = self.scores[right - 1 : right + 1]
            first, last = self.ratings[right - 1 : right + 1]
            value = first + (score - start) / (end - start) * (last - first)
        return min(max(value, self.low), self.high)

    def standard_error(self, score: float) -> float:
        """Standard error of `rating(score)`, constant beyond the outer knots; NaN for NaN."""
        return float(np.interp(score, self.scores, self.errors))

    def map_error(self, score: float) -> float:
        """The part of `standard_error(score)` that predictions share; all of it where unknown."""
        parts = self.map_errors or self.errors
        return float(np.interp(score, self.scores, parts))


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A backbone with what is known of it.

    identities: of what it was trained, tuned and calibrated on, or the file they are in, read when
    they are asked for; None where nothing is known. name: its own, for signatures; the backbone's
    where none is given. licence: as its model card says, in the hub's words, such as `apache-2.0`;
    empty where it says nothing. revision: the commit of the hub it came from; empty for one from
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
        """The identities, read where they are in a file; `UNKNOWN` where there are none.

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

    model: a packaged name (`packaged_names`), such as `mini`, or `mini-mn04` (packaged but for
    mn04_as, see `mini.mn04_file`), or a published one (`published.registry`), such as `clap`,
    whatever lies in the current folder (its own `mini` is `./mini` or a Path); a folder written by
    `save_checkpoint`, or that of the training run around it, or of a transformers ClapModel; the
    hub id of any of these, `owner/name` or `owner/name@revision`; a checkpoint file of LAION's CLAP
    (`clap.laion`); the name of an installed plug-in (`clap.plugin`), before a folder of that name.
    mn04: path of the mn04_as file; else it is fetched at first use. offline: use the network for
    nothing. revision: branch, tag or commit of a hub id; None: the pinned one of a published name,
    `main` of an id. processor: folder or hub id of tokenizer and feature extractor for a CLAP of
    transformers or LAION; None: its own. progress: of fetching mn04_as.

    Raises CheckpointError with the remedy where nothing can be loaded.
    """
    access = _Access(mn04, offline, processor, progress)
    other = _from_elsewhere(model, access)
    if other is not None:
        _check_no_revision(revision, f"{model} is not of the hub")
        return Checkpoint(other)
    place = _place_of(model, revision, offline=offline)
    return _load_folder(place.folder, access, name=place.name, revision=place.revision)


@dataclass(frozen=True, slots=True)
class _Place:
    """Folder of a model; of one from the hub also its id and the commit."""

    folder: Path
    name: str = ""
    revision: str = ""


@dataclass(frozen=True, slots=True)
class _Access:
    """What loading may use beside the folder itself."""

    mn04: str | Path | None
    offline: bool
    processor: str | Path | None
    progress: Progress

    def find_mn04(self) -> Path:
        """Path of the mn04_as file, fetched at first use."""
        from humanclap.clap.mini.mn04_file import find_mn04

        return find_mn04(self.mn04, offline=self.offline, progress=self.progress)

    def refuse_processor(self, where: object, kind: object) -> None:
        """Raise CheckpointError where a processor is given to a model that has no use for it."""
        if self.processor is not None:
            raise CheckpointError(
                f"{where}: a model of kind {kind!r} brings its own tokenizer and front end; "
                "processor= (--processor) is for CLAPs of transformers"
            )


def _place_of(model: str | Path, revision: str | None, *, offline: bool) -> _Place:
    """Where a model lies, fetched from the hub if need be."""
    folder, name = Path(model), str(model)
    packaged, known = name in packaged_names(), known_model(name.partition("@")[0])
    by_name = isinstance(model, str) and (packaged or known is not None)
    if folder.is_dir() and not by_name:
        _check_no_revision(revision, f"{name} is a folder")
        return _Place(folder)
    if (folder / MANIFEST).is_file() or (folder / RUN_CHECKPOINT).is_dir():
        what = "the packaged model" if packaged else f"{known.source} of the hub" if known else ""
        logger.warning("%s is %s; the folder of that name is ./%s", name, what, name)
    if packaged:
        _check_no_revision(revision, f"{name} is in the package")
        return _Place(PACKAGED / name)
    return _place_on_hub(name, revision, offline=offline)


def _place_on_hub(name: str, revision: str | None, *, offline: bool) -> _Place:
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
    return _Place(folder, repo_id, folder.name)


def _check_no_revision(revision: str | None, what: str) -> None:
    if revision is not None:
        raise CheckpointError(f"{what} and has no revisions; --revision is for models of the hub")


def _from_elsewhere(model: str | Path, access: _Access) -> Backbone | None:
    """A model that is no folder or hub id: a plug-in's, or in a file of LAION's CLAP."""
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


def packaged_names() -> list[str]:
    """Names of the models inside the package: folders of `weights/` with a manifest."""
    return sorted(path.parent.name for path in PACKAGED.glob(f"*/{MANIFEST}"))


def _load_folder(
    folder: Path, access: _Access, *, name: str = "", revision: str = ""
) -> Checkpoint:
    """Load a model's folder. name: where the folder's own says nothing; revision: its commit."""
    manifest_path = folder / MANIFEST
    if not manifest_path.is_file():
        if (folder / RUN_CHECKPOINT / MANIFEST).is_file():
            return _load_folder(folder / RUN_CHECKPOINT, access, name=name, revision=revision)
        if read_json(folder / "config.json").get("model_type") == "clap":
            return Checkpoint(
                _backbone_of_kind("hf", folder, access, name),
                identities=_identities_file(folder),
                licence=card_licence(folder),
                revision=revision,
            )
        raise CheckpointError(
            f"{folder}: neither {MANIFEST} nor a transformers config.json of model_type 'clap'"
        )
    manifest = read_json(manifest_path)
    if manifest.get("format") != FORMAT:
        raise CheckpointError(
            f"{manifest_path}: format {manifest.get('format')!r}, this version reads {FORMAT}"
        )
    calibration = _calibration(manifest, manifest_path)
    backbone = _backbone_of_kind(manifest.get("backbone"), folder, access, name)
    training = manifest.get("training", {})
    own_name = manifest.get("name", "")
    if not isinstance(own_name, str):
        raise CheckpointError(f"{manifest_path}: name is {own_name!r}; expected a text")
    return Checkpoint(
        backbone,
        calibration,
        training,
        _identities_file(folder),
        own_name,
        card_licence(folder),
        revision,
    )


def read_calibration(model: str | Path) -> Calibration | None:
    """The map to ratings of a packaged model, or of a checkpoint folder, without the model.

    None where it has none. Raises CheckpointError where there is no such folder with a manifest.
    """
    folder = PACKAGED / model if str(model) in packaged_names() else Path(model)
    for place in (folder / MANIFEST, folder / RUN_CHECKPOINT / MANIFEST):
        if place.is_file():
            return _calibration(read_json(place), place)
    raise CheckpointError(f"{model}: neither a packaged model nor a folder with {MANIFEST}")


def card_licence(folder: Path) -> str:
    """What `license:` in the head of a folder's model card says; empty where it says nothing."""
    card = folder / MODEL_CARD
    if not card.is_file():
        return ""
    head = card.read_text(encoding="utf-8", errors="replace").split("\n---", 1)[0]
    if not head.startswith("---"):
        return ""
    found = re.search(r"^license: *([\w.+-]+) *$", head, re.MULTILINE)
    return found[1] if found else ""


def _identities_file(folder: Path) -> Path | None:
    """The folder's own, or that of the packaged model whose tensors it shares."""
    shared = read_json(folder / "config.json").get(SHARES)
    for place in (folder, *([PACKAGED / str(shared)] if shared else [])):
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

        return MiniMN04CLAP.from_pretrained(folder, mn04=access.find_mn04())
    from humanclap.clap.plugin import load_plugin, plugin_names

    if kind in plugin_names():
        return load_plugin(str(kind), folder=folder, offline=access.offline)
    raise CheckpointError(
        f"{folder / MANIFEST}: backbone {kind!r} is not known to this version, and no installed "
        "plug-in offers it; is its package missing?"
    )


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object, empty where there is no such file; CheckpointError where it is damaged."""
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise CheckpointError(f"{path}: damaged JSON ({error})") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path}: expected a JSON object")
    return content


def save_checkpoint(
    checkpoint: Checkpoint, directory: str | Path, *, model_card: str = "", whole: bool = True
) -> None:
    """Write a folder that `load_checkpoint` reads; it appears whole or not at all.

    An existing folder is replaced only if it is itself a humanclap checkpoint (or empty). whole:
    every weight is in it; else those that stand in a packaged model are read from the package,
    which is noticed where that has become another one.
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


@contextmanager
def as_whole(folder: Path) -> Iterator[Path]:
    """A checkpoint's folder with all its weights: itself, or inside the block a copy that also has
    those it shares with a packaged model. Raises CheckpointError where these are not to be had.
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


def write_manifest(checkpoint: Checkpoint, directory: str | Path) -> None:
    """Write `humanclap.json` beside weights that are there, such as a recipe's in half precision.

    With it `load_checkpoint` reads the folder, and a folder of `PACKAGED` can be named.
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
    """Put `staging` in the place of `directory`, whose old content goes only after that."""
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
