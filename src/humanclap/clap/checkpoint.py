"""Find, load and save models: packaged names, humanclap folders, transformers folders, hub ids."""

from __future__ import annotations

import json
import math
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from humanclap.clap.backbone import Backbone
from humanclap.errors import CheckpointError
from humanclap.progress import Progress, silent

FORMAT = 1
MANIFEST = "humanclap.json"
MODEL_CARD = "README.md"
RUN_CHECKPOINT = "checkpoint"
"""Where a training run's folder keeps its model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """A straight, rising line from score to the predicted human rating, clipped to low..high.

    Fitted by least squares on the pairs named in `fitted_on`; `n` of them.
    """

    slope: float
    intercept: float
    fitted_on: str
    n: int
    low: float = 0.0
    high: float = 10.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.slope) and math.isfinite(self.intercept) and self.slope >= 0):
            raise CheckpointError(
                f"calibration slope {self.slope}, intercept {self.intercept}: expected finite "
                "numbers and a slope of at least 0"
            )

    def rating(self, score: float) -> float:
        """Predicted rating on low..high; NaN for a NaN score.

        >>> Calibration(slope=10, intercept=1, fitted_on="validation", n=50).rating(0.5)
        6.0
        """
        if math.isnan(score):
            return math.nan
        return min(max(self.slope * score + self.intercept, self.low), self.high)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A backbone with what is known of it."""

    backbone: Backbone
    calibration: Calibration | None = None
    training: Mapping[str, Any] = field(default_factory=dict)


def load_checkpoint(
    model: str | Path,
    *,
    mn04: str | Path | None = None,
    offline: bool = False,
    progress: Progress = silent,
) -> Checkpoint:
    """Load a model by name.

    model: `mini` (packaged); `mini-mn04` (packaged but for mn04_as, see `mini.mn04_file`); a
    folder written by `save_checkpoint`, or that of the training run around it; a folder or hub id
    of a transformers ClapModel. mn04: path of the mn04_as file; else it is fetched at first use.
    offline: use the network for nothing. progress: of fetching mn04_as.

    Raises CheckpointError with the remedy where nothing can be loaded.
    """
    find = partial(_find_mn04, mn04, offline=offline, progress=progress)
    folder = Path(model)
    if folder.is_dir():
        return _load_folder(folder, find)
    name = str(model)
    if name == "mini":
        from humanclap.clap.mini import MiniCLAP

        return Checkpoint(MiniCLAP.from_pretrained())
    if name == "mini-mn04":
        from humanclap.clap.mini import MiniMN04CLAP

        return Checkpoint(MiniMN04CLAP.from_pretrained(mn04=find()))
    if name.count("/") == 1 and not name.startswith((".", "/")):
        from humanclap.clap.hf import HFCLAP

        return Checkpoint(HFCLAP.from_pretrained(name, offline=offline))
    raise CheckpointError(
        f"{name}: no such model; expected 'mini', 'mini-mn04', a checkpoint folder, or a hub id "
        "such as 'laion/clap-htsat-unfused'"
    )


def _find_mn04(given: str | Path | None, *, offline: bool, progress: Progress) -> Path:
    from humanclap.clap.mini.mn04_file import find_mn04

    return find_mn04(given, offline=offline, progress=progress)


def _load_folder(folder: Path, find_mn04: Callable[[], Path]) -> Checkpoint:
    manifest_path = folder / MANIFEST
    if not manifest_path.is_file():
        if (folder / RUN_CHECKPOINT / MANIFEST).is_file():
            return _load_folder(folder / RUN_CHECKPOINT, find_mn04)
        if _read_json(folder / "config.json").get("model_type") == "clap":
            from humanclap.clap.hf import HFCLAP

            return Checkpoint(HFCLAP.from_pretrained(folder, offline=True))
        raise CheckpointError(
            f"{folder}: neither {MANIFEST} nor a transformers config.json of model_type 'clap'"
        )
    manifest = _read_json(manifest_path)
    if manifest.get("format") != FORMAT:
        raise CheckpointError(
            f"{manifest_path}: format {manifest.get('format')!r}, this version reads {FORMAT}"
        )
    try:
        calibration = manifest["calibration"] and Calibration(**manifest["calibration"])
    except (KeyError, TypeError) as error:
        raise CheckpointError(f"{manifest_path}: damaged calibration ({error})") from error
    backbone = _backbone_of_kind(manifest.get("backbone"), folder, find_mn04)
    return Checkpoint(backbone, calibration, manifest.get("training", {}))


def _backbone_of_kind(kind: object, folder: Path, find_mn04: Callable[[], Path]) -> Backbone:
    if kind == "mini":
        from humanclap.clap.mini import MiniCLAP

        return MiniCLAP.from_pretrained(folder)
    if kind == "mini-mn04":
        from humanclap.clap.mini import MiniMN04CLAP

        return MiniMN04CLAP.from_pretrained(folder, mn04=find_mn04())
    if kind == "hf":
        from humanclap.clap.hf import HFCLAP

        return HFCLAP.from_pretrained(folder, offline=True)
    raise CheckpointError(f"{folder / MANIFEST}: backbone {kind!r} is not known to this version")


def _read_json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise CheckpointError(f"{path}: damaged JSON ({error})") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path}: expected a JSON object")
    return content


def save_checkpoint(checkpoint: Checkpoint, directory: str | Path, *, model_card: str = "") -> None:
    """Write a folder that `load_checkpoint` reads; it appears whole or not at all.

    An existing folder is replaced only if it is itself a humanclap checkpoint (or empty).
    """
    directory = Path(directory)
    if directory.exists() and any(directory.iterdir()) and not (directory / MANIFEST).is_file():
        raise CheckpointError(f"{directory}: exists and is no humanclap checkpoint; not replaced")
    directory.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{directory.name}.", dir=directory.parent))
    try:
        checkpoint.backbone.save_pretrained(staging)
        manifest = {
            "format": FORMAT,
            "backbone": checkpoint.backbone.kind,
            "name": checkpoint.backbone.name,
            "calibration": checkpoint.calibration and asdict(checkpoint.calibration),
            "training": dict(checkpoint.training),
        }
        text = json.dumps(manifest, indent=2, ensure_ascii=False, allow_nan=False)
        (staging / MANIFEST).write_text(text + "\n", encoding="utf-8")
        if model_card:
            (staging / MODEL_CARD).write_text(model_card, encoding="utf-8")
        staging.chmod(0o755)
        _swap_in(staging, directory)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise


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
