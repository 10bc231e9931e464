"""One training run from tables to a checkpoint."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from humanclap.clap.backbone import Backbone
from humanclap.clap.checkpoint import Calibration, Checkpoint, load_checkpoint, save_checkpoint
from humanclap.clap.device import resolve_device
from humanclap.errors import SettingsError
from humanclap.grouping import caption_key
from humanclap.progress import Progress, silent
from humanclap.scale import RatingScale
from humanclap.training.card import model_card
from humanclap.training.dataset import Example, Splits, check_files, make_splits, read_examples
from humanclap.training.loop import Outcome, train
from humanclap.training.settings import TrainingSettings
from humanclap.training.state import RunFolder
from humanclap.training.towers import AudioTower, audio_tower
from humanclap.training.validation import cosines, fit_calibration


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedModel:
    """The result of `train_from_tables`: where the model is and what it is."""

    checkpoint: Path
    splits: Splits
    outcome: Outcome
    calibration: Calibration


def train_from_tables(
    table: str | Path,
    *,
    model: str | Path,
    output: str | Path,
    settings: TrainingSettings,
    audio_root: str | Path | None = None,
    validation_table: str | Path | None = None,
    validation_fraction: float | None = None,
    resume: bool = False,
    overwrite: bool = False,
    note: str = "",
    simulated: bool = False,
    mn04: str | Path | None = None,
    progress: Progress = silent,
) -> TrainedModel:
    """Train `model` (see `clap.checkpoint.load_checkpoint`) on a table of targets.

    Writes to the folder `output`: `log.csv`, the state to resume from, and at the end
    `checkpoint/`, a model with its calibration and model card. Everything a user can have wrong
    is refused before the first step: InputError and its kinds.
    """
    splits = _read_splits(table, audio_root, validation_table, validation_fraction, settings)
    backbone = load_checkpoint(model, mn04=mn04).backbone.to(resolve_device(settings.device))
    base = {"name": backbone.name, "kind": backbone.kind, "fingerprint": backbone.fingerprint()}
    identity = {
        "settings": settings.as_dict(),
        "base_model": base,
        "targets": splits.fingerprint(),
        "note": note,
        "simulated": simulated,
    }
    folder = RunFolder(Path(output), identity)
    state = folder.open(resume=resume, overwrite=overwrite)
    tower = audio_tower(backbone, settings, (*splits.train, *splits.validation), progress)
    outcome = train(
        backbone,
        splits,
        settings,
        tower=tower,
        run_folder=folder,
        state=state,
        progress=progress,
    )
    calibration = _calibrate(backbone, splits, settings, tower)
    record = _record(splits, settings, outcome, base, note)
    save_checkpoint(
        Checkpoint(backbone, calibration, record),
        folder.checkpoint,
        model_card=model_card(record, simulated=simulated),
    )
    folder.finish()
    return TrainedModel(
        checkpoint=folder.checkpoint, splits=splits, outcome=outcome, calibration=calibration
    )


def _read_splits(
    table: str | Path,
    audio_root: str | Path | None,
    validation_table: str | Path | None,
    validation_fraction: float | None,
    settings: TrainingSettings,
) -> Splits:
    """Read, divide and check everything that can be checked without decoding."""
    validation = None
    if validation_table is not None:
        validation = read_examples(validation_table, audio_root=audio_root)
    splits = make_splits(
        read_examples(table, audio_root=audio_root),
        settings,
        table=table,
        validation=validation,
        validation_fraction=validation_fraction,
    )
    check_files((*splits.train, *splits.validation))
    scale = RatingScale.parse(settings.rating_scale)
    for item in splits.validation:
        if item.mos not in scale:
            raise SettingsError(
                f"{item.where}: mos {item.mos:g} is outside the rating_scale {scale}; set "
                "rating_scale to the study's scale"
            )
    return splits


def _calibrate(
    backbone: Backbone, splits: Splits, settings: TrainingSettings, tower: AudioTower
) -> Calibration:
    return fit_calibration(
        cosines(backbone, splits.validation, tower),
        [item.mos for item in splits.validation],
        scale=RatingScale.parse(settings.rating_scale),
        fitted_on=splits.validation_name,
    )


def _record(
    splits: Splits,
    settings: TrainingSettings,
    outcome: Outcome,
    base: Mapping[str, str],
    note: str,
) -> dict[str, Any]:
    """What the checkpoint remembers of its training; NaN as None, ready for JSON."""
    from humanclap import __version__

    return {
        "humanclap": __version__,
        "base_model": dict(base),
        "note": note,
        "settings": settings.as_dict(),
        "data": {
            "fingerprint": splits.fingerprint(),
            "train": _counts(splits.train),
            "validation": _counts(splits.validation),
            "validation_name": splits.validation_name,
        },
        "best_epoch": outcome.best_epoch,
        "epochs": outcome.epochs,
        "steps": outcome.steps,
        "validation": {
            "before": validation_metrics(outcome.before),
            "after": validation_metrics(outcome.after),
        },
    }


def validation_metrics(row: Mapping[str, Any]) -> dict[str, float | None]:
    """srcc, lcc, ktau and mse out of a row of the log, None where undefined."""
    found = {name: float(row[f"validation_{name}"]) for name in ("srcc", "lcc", "ktau", "mse")}
    return {name: None if math.isnan(value) else value for name, value in found.items()}


def _counts(examples: Sequence[Example]) -> dict[str, int]:
    return {
        "pairs": len(examples),
        "clips": len({item.path for item in examples}),
        "captions": len({caption_key(item.text) for item in examples}),
    }
