"""One training run from tables to a checkpoint."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from humanclap.clap.backbone import Backbone
from humanclap.clap.cache import default_cache
from humanclap.clap.calibration import Calibration
from humanclap.clap.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from humanclap.clap.text_account import text_warnings
from humanclap.errors import SettingsError
from humanclap.grouping import caption_key
from humanclap.progress import Progress, silent
from humanclap.scale import RatingScale
from humanclap.training.data.choices import ChoiceExample, sides_of
from humanclap.training.data.dataset import HeardClip
from humanclap.training.data.inputs import Tables, read_splits
from humanclap.training.data.met import MetBefore, identities_after, met_before
from humanclap.training.data.splits import Splits
from humanclap.training.distributed.processes import Processes, processes
from humanclap.training.loop.loop import TrainingOutcome, chosen_by_accuracy, train
from humanclap.training.loop.same_inputs import check_alike, open_together
from humanclap.training.loop.state import RunFolder, RunState
from humanclap.training.loop.validation import (
    ACCURACY,
    FIGURES,
    Intervals,
    cosines_shared,
    fit_calibration,
    validation_intervals,
)
from humanclap.training.model.features import FeatureCache, FeatureFiles, FeatureStore
from humanclap.training.model.towers import AudioTower, TextTower, audio_tower, text_tower
from humanclap.training.outputs.card import model_card
from humanclap.training.outputs.reporters import reporters
from humanclap.training.settings import TrainingSettings
from humanclap.version import __version__

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingRequest(Tables):
    """Which model to train, on which tables, in what way.

    Raises SettingsError for a name or a licence that cannot be written, and without any table.
    """

    model: str | Path
    """What to start from; mn04, offline, revision and processor are also `load_checkpoint`'s."""
    output: str | Path
    """Folder of the run: `log.csv`, the state to resume from, at the end `checkpoint/`."""
    settings: TrainingSettings
    features: str | Path | None = None
    """Folder where the output of frozen encoders is kept between runs."""
    cache: bool = True
    """Keep it in the user's cache where no such folder is named."""
    log_to: Sequence[str] = ()
    """`tensorboard`, `wandb`."""
    resume: bool = False
    overwrite: bool = False
    refuse_trained_on: bool = False
    """LeakageError where the base model met a caption or a clip of the validation pairs, as far as
    its checkpoint says."""
    note: str = ""
    name: str | None = None
    """Of the trained model, in signatures and on its card; `tuned_name` where None."""
    licence: str | None = None
    """On the card, in the hub's words; the base's where None."""
    whole: bool = False
    """Store the weights that a packaged base has too."""
    simulated: bool = False
    """The ratings are simulated; the card says so."""
    mn04: str | Path | None = None
    offline: bool = False
    revision: str | None = None
    processor: str | Path | None = None

    def __post_init__(self) -> None:
        if self.name is not None and not re.fullmatch(r"\w[\w.+/-]*", self.name):
            raise SettingsError(
                f"name {self.name!r}: expected letters, digits and . + - _ /, such as mini-rain"
            )
        if self.licence is not None and not re.fullmatch(r"[a-z0-9][a-z0-9.-]*", self.licence):
            raise SettingsError(
                f"licence {self.licence!r}: expected the hub's word for it, such as cc-by-4.0, mit "
                "or other"
            )
        Tables.__post_init__(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedModel:
    """The result of `train_from_tables`: where the model is and what it is.

    calibration: None where no rated pair validates; met_before: the validation pairs the base model
    met.
    """

    checkpoint: Path
    splits: Splits
    outcome: TrainingOutcome
    calibration: Calibration | None
    met_before: MetBefore


def train_from_tables(request: TrainingRequest, progress: Progress = silent) -> TrainedModel:
    """Train a model on a table of targets, on people's choices, or on both.

    Without a rated pair to validate on there is no calibration: a choice says which is better, not
    how good. Under torchrun or `accelerate launch` the processes, of one host or several, train
    together and the first of them writes: only it returns after the checkpoint is there. Everything
    a user can have wrong is refused before the first step, unlike hosts too: InputError and its
    kinds.
    """
    settings = request.settings
    with processes(settings.device) as others:
        progress = progress if others.rank == 0 else silent
        splits = read_splits(request, settings)
        loaded = load_checkpoint(
            request.model,
            mn04=request.mn04,
            offline=request.offline,
            revision=request.revision,
            processor=request.processor,
            progress=progress,
        )
        known = loaded.known_identities()
        met = met_before(known, splits.validated)
        if request.refuse_trained_on:
            met.refuse()
        backbone, base = loaded.backbone.to(others.device), base_record(loaded)
        if others.rank == 0:
            warn_of_texts(backbone, splits.heard)
        folder = RunFolder(Path(request.output), _identity(request, splits, base))
        check_alike(others, folder.identity, splits, request.targets or str(request.choices))
        state = open_together(folder, others, resume=request.resume, overwrite=request.overwrite)
        towers = _towers(request, backbone, base["fingerprint"], splits, others, progress)
        before = cosines_shared(backbone, splits.validated, *towers, others)
        outcome = _trained(request, backbone, splits, towers, folder, state, others, progress)
        after = cosines_shared(backbone, splits.validated, *towers, others)
        calibration = calibrate(after, splits, settings)
        if others.rank == 0:
            intervals = validation_intervals(before, after, splits)
            record = training_record(splits, settings, outcome, base, request.note, intervals, met)
            identities = identities_after(known, splits)
            _write(request, loaded, Checkpoint(backbone, calibration, record, identities), folder)
    return TrainedModel(
        checkpoint=folder.checkpoint,
        splits=splits,
        outcome=outcome,
        calibration=calibration,
        met_before=met,
    )


def _towers(
    request: TrainingRequest,
    backbone: Backbone,
    fingerprint: str,
    splits: Splits,
    others: Processes,
    progress: Progress,
) -> tuple[AudioTower, TextTower]:
    """Both sides of the model over every clip and caption, with the features that are kept."""
    files: FeatureStore | None = None
    if request.features is not None:
        files = FeatureFiles(Path(request.features), fingerprint)
    elif request.cache and (kept := default_cache()) is not None:
        files = FeatureCache(kept, backbone, fingerprint)
    settings, heard = request.settings, splits.heard
    audio = audio_tower(backbone, settings, heard, progress, files=files, processes=others)
    return audio, text_tower(backbone, settings, heard, files=files, processes=others)


def _trained(
    request: TrainingRequest,
    backbone: Backbone,
    splits: Splits,
    towers: tuple[AudioTower, TextTower],
    folder: RunFolder,
    state: RunState | None,
    others: Processes,
    progress: Progress,
) -> TrainingOutcome:
    """Train in place, with the logs that the first process writes."""
    first_epoch = 1 if state is None else state.epoch + 1
    names = request.log_to if others.rank == 0 else ()
    with reporters(names, folder.directory, folder.identity, first_epoch=first_epoch) as logs:
        return train(
            backbone,
            splits,
            request.settings,
            tower=towers[0],
            text_tower=towers[1],
            run_folder=folder,
            state=state,
            processes=others,
            reporters=logs,
            progress=progress,
        )


def _write(
    request: TrainingRequest, base: Checkpoint, trained: Checkpoint, folder: RunFolder
) -> None:
    """Save what was trained under its own name, with its card."""
    own = replace(
        trained,
        name=request.name or tuned_name(base.name, folder.directory),
        licence=request.licence or base.licence,
    )
    given = request.licence is not None
    card = model_card(own, simulated=request.simulated, licence_given=given)
    save_checkpoint(own, folder.checkpoint, model_card=card, whole=request.whole)
    folder.finish()


def base_record(loaded: Checkpoint) -> dict[str, str]:
    """What a training record says of the model it began with."""
    backbone = loaded.backbone
    record = {"name": loaded.name, "kind": backbone.kind, "fingerprint": backbone.fingerprint()}
    return record | ({"revision": loaded.revision} if loaded.revision else {})


def tuned_name(base: str, folder: Path) -> str:
    """Name of a model tuned from `base` in a run's folder.

    >>> tuned_name("mini", Path("runs/first")), tuned_name("laion/clap", Path("runs/my clap"))
    ('mini-first', 'clap-my-clap')
    >>> tuned_name("mini", Path("runs/mini-rain"))
    'mini-rain'
    """
    base = base.rpartition("/")[2]
    own = re.sub(r"[^\w.+-]+", "-", folder.resolve().name).strip("-.") or "tuned"
    return own if own.startswith(f"{base}-") else f"{base}-{own}"


def warn_of_texts(backbone: Backbone, examples: Sequence[HeardClip]) -> None:
    """Log what the model cannot read, or not whole, of the texts it is to learn from."""
    texts = sorted({item.text for item in examples})
    accounts = dict(zip(texts, backbone.text_accounts(texts), strict=True))
    for warning in text_warnings(accounts):
        logger.warning("%s", warning)


def _identity(request: TrainingRequest, splits: Splits, base: Mapping[str, str]) -> dict[str, Any]:
    return {
        "settings": request.settings.as_dict(),
        "base_model": {key: value for key, value in base.items() if key != "revision"},
        "targets": splits.fingerprint(),
        "note": request.note,
        "simulated": request.simulated,
    }


def calibrate(
    cosine: NDArray[np.float64], splits: Splits, settings: TrainingSettings
) -> Calibration | None:
    """The line from cosine to mean rating with its error, None where no rated pair validates.

    cosine: of `splits.validated`; choices have no part in it.
    """
    if not splits.validation:
        return None
    return fit_calibration(
        cosine[: len(splits.validation)],
        splits.validation,
        scale=RatingScale.parse(settings.rating_scale),
        fitted_on=splits.validation_name,
    )


def training_record(
    splits: Splits,
    settings: TrainingSettings,
    outcome: TrainingOutcome,
    base: Mapping[str, str],
    note: str,
    intervals: Intervals,
    met: MetBefore | None = None,
) -> dict[str, Any]:
    """What the checkpoint remembers of its training; NaN as None, ready for JSON."""
    known = met and {"validation_met_before": len(met.pairs), "validation_met_of": met.total}
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
            **_choice_counts(splits),
            **(known or {}),
        },
        "best_epoch": outcome.best_epoch,
        "best_by": ACCURACY if chosen_by_accuracy(splits, settings) else "srcc",
        "epochs": outcome.epochs,
        "steps": outcome.steps,
        "souped": outcome.souped is not None,
        "validation": {
            "before": validation_metrics(outcome.before),
            "after": validation_metrics(outcome.after),
            "intervals": intervals,
        },
    }


def validation_metrics(row: Mapping[str, Any]) -> dict[str, float | None]:
    """srcc, lcc, ktau and mse out of a row of the log, None where undefined, and accuracy where
    there were validation choices.
    """
    names = [name for name in (*FIGURES, ACCURACY) if f"validation_{name}" in row]
    found = {name: float(row[f"validation_{name}"]) for name in names}
    return {name: None if math.isnan(value) else value for name, value in found.items()}


def _choice_counts(splits: Splits) -> dict[str, dict[str, int]]:
    """Of training and validation choices; nothing where there are none."""
    sides = {
        "train_choices": splits.train_choices,
        "validation_choices": splits.validation_choices,
    }
    return {name: _chosen(side) for name, side in sides.items() if any(sides.values())}


def _chosen(choices: Sequence[ChoiceExample]) -> dict[str, int]:
    return {
        "choices": len(choices),
        "decided": sum(choice.decided for choice in choices),
        "votes": sum(choice.votes for choice in choices),
        **_counts(sides_of(choices)),
    }


def _counts(examples: Sequence[HeardClip]) -> dict[str, int]:
    return {
        "pairs": len(examples),
        "clips": len({item.path for item in examples}),
        "captions": len({caption_key(item.text) for item in examples}),
    }
