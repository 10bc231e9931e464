"""One training run from tables to a checkpoint."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from humanclap.clap.backbone import Backbone
from humanclap.clap.cache import default_cache
from humanclap.clap.checkpoint import Calibration, Checkpoint, load_checkpoint, save_checkpoint
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
from humanclap.training.distributed.processes import processes
from humanclap.training.loop.loop import TrainingOutcome, chosen_by_accuracy, train
from humanclap.training.loop.same_inputs import check_alike, open_together
from humanclap.training.loop.state import RunFolder
from humanclap.training.loop.validation import (
    ACCURACY,
    FIGURES,
    cosines_shared,
    fit_calibration,
    validation_intervals,
)
from humanclap.training.model.features import FeatureCache, FeatureFiles, FeatureStore
from humanclap.training.model.towers import audio_tower, text_tower
from humanclap.training.outputs.card import model_card
from humanclap.training.outputs.reporters import reporters
from humanclap.training.settings import TrainingSettings
from humanclap.version import __version__

logger = logging.getLogger(__name__)


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


def train_from_tables(
    table: str | Path | None,
    *,
    model: str | Path,
    output: str | Path,
    settings: TrainingSettings,
    audio_root: str | Path | None = None,
    validation_table: str | Path | None = None,
    validation_fraction: float | None = None,
    choices: str | Path | None = None,
    validation_choices: str | Path | None = None,
    ratings: str | Path | None = None,
    question: str | None = None,
    features: str | Path | None = None,
    cache: bool = True,
    log_to: Sequence[str] = (),
    resume: bool = False,
    overwrite: bool = False,
    note: str = "",
    name: str | None = None,
    licence: str | None = None,
    whole: bool = False,
    simulated: bool = False,
    mn04: str | Path | None = None,
    offline: bool = False,
    revision: str | None = None,
    processor: str | Path | None = None,
    refuse_trained_on: bool = False,
    scale_stated: bool = False,
    progress: Progress = silent,
) -> TrainedModel:
    """Train `model` (see `clap.checkpoint.load_checkpoint`) on a table of targets, on people's
    choices, or on both.

    Writes to the folder `output`: `log.csv`, the state to resume from, and at the end
    `checkpoint/`, a model with its calibration and model card. choices, validation_choices: tables
    of choices or votes (`humanclap.choices.read_votes`); with no rated pair to validate on there is
    no calibration, as a choice says which is better and not how good. ratings: the single answers,
    for the term `listener`, and question: which of theirs the targets are about (`with_answers`);
    features: a folder where the output of frozen encoders is kept between runs; cache: without that
    folder, keep it in the user's cache; log_to: `tensorboard`, `wandb`; refuse_trained_on:
    LeakageError where the base model met a caption or a clip of the validation pairs, as far as its
    checkpoint says; name: of the trained model, in signatures and on its card, `tuned_name` where
    None; licence: on the card, in the hub's words, the base's where None; whole: store the weights
    that a packaged base has too; scale_stated: the settings' rating_scale 0..10 was chosen, and
    mean ratings may all lie in 1..5.
    revision, processor: of the base, as `load_checkpoint` takes them.
    Under torchrun or `accelerate launch` the processes, of one host or several, train together and
    the first of them writes: only it returns after the checkpoint is there. Everything a user can
    have wrong is refused before the first step, unlike hosts too: InputError and its kinds.
    """
    check_name(name)
    check_licence(licence)
    tables = Tables(
        targets=table,
        choices=choices,
        validation=validation_table,
        validation_choices=validation_choices,
        validation_fraction=validation_fraction,
        ratings=ratings,
        question=question,
        audio_root=audio_root,
        scale_stated=scale_stated,
    )
    with processes(settings.device) as others:
        progress = progress if others.rank == 0 else silent
        splits = read_splits(tables, settings)
        loaded = load_checkpoint(
            model,
            mn04=mn04,
            offline=offline,
            revision=revision,
            processor=processor,
            progress=progress,
        )
        known = loaded.known_identities()
        met = met_before(known, splits.validated)
        pairs = (*splits.trained, *splits.validated)
        if refuse_trained_on:
            met.refuse()
        backbone = loaded.backbone.to(others.device)
        if others.rank == 0:
            warn_of_texts(backbone, pairs)
        base = base_record(loaded)
        own_name = name or tuned_name(loaded.name, Path(output))
        folder = RunFolder(Path(output), _identity(splits, settings, base, note, simulated))
        check_alike(others, folder.identity, splits, table or str(choices))
        state = open_together(folder, others, resume=resume, overwrite=overwrite)
        files = _feature_store(features, cache, backbone, base["fingerprint"])
        audio = audio_tower(backbone, settings, pairs, progress, files=files, processes=others)
        text = text_tower(backbone, settings, pairs, files=files, processes=others)
        before = cosines_shared(backbone, splits.validated, audio, text, others)
        first_epoch = 1 if state is None else state.epoch + 1
        names = log_to if others.rank == 0 else ()
        with reporters(names, folder.directory, folder.identity, first_epoch=first_epoch) as logs:
            outcome = train(
                backbone,
                splits,
                settings,
                tower=audio,
                text_tower=text,
                run_folder=folder,
                state=state,
                processes=others,
                reporters=logs,
                progress=progress,
            )
        after = cosines_shared(backbone, splits.validated, audio, text, others)
        calibration = calibrate(after, splits, settings)
        if others.rank == 0:
            record = training_record(splits, settings, outcome, base, note)
            record["data"]["validation_met_before"] = len(met.pairs)
            record["data"]["validation_met_of"] = met.total
            record["validation"]["intervals"] = validation_intervals(before, after, splits)
            trained = Checkpoint(
                backbone,
                calibration,
                record,
                identities_after(known, splits),
                name=own_name,
                licence=licence or loaded.licence,
            )
            card = model_card(trained, simulated=simulated, licence_given=licence is not None)
            save_checkpoint(trained, folder.checkpoint, model_card=card, whole=whole)
            folder.finish()
        return TrainedModel(
            checkpoint=folder.checkpoint,
            splits=splits,
            outcome=outcome,
            calibration=calibration,
            met_before=met,
        )


def _feature_store(
    features: str | Path | None, cache: bool, backbone: Backbone, fingerprint: str
) -> FeatureStore | None:
    """Where the output of frozen encoders is kept."""
    if features is not None:
        return FeatureFiles(Path(features), fingerprint)
    kept = default_cache() if cache else None
    return None if kept is None else FeatureCache(kept, backbone, fingerprint)


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


def check_name(name: str | None) -> None:
    """Raise SettingsError where a name cannot stand in a signature."""
    if name is not None and not re.fullmatch(r"\w[\w.+/-]*", name):
        raise SettingsError(
            f"name {name!r}: expected letters, digits and . + - _ /, such as mini-rain"
        )


def check_licence(licence: str | None) -> None:
    """Raise SettingsError where the hub could not read a licence."""
    if licence is not None and not re.fullmatch(r"[a-z0-9][a-z0-9.-]*", licence):
        raise SettingsError(
            f"licence {licence!r}: expected the hub's word for it, such as cc-by-4.0, mit or other"
        )


def warn_of_texts(backbone: Backbone, examples: Sequence[HeardClip]) -> None:
    """Log what the model cannot read, or not whole, of the texts it is to learn from."""
    texts = sorted({item.text for item in examples})
    accounts = dict(zip(texts, backbone.text_accounts(texts), strict=True))
    for warning in text_warnings(accounts):
        logger.warning("%s", warning)


def _identity(
    splits: Splits,
    settings: TrainingSettings,
    base: Mapping[str, str],
    note: str,
    simulated: bool,
) -> dict[str, Any]:
    return {
        "settings": settings.as_dict(),
        "base_model": {key: value for key, value in base.items() if key != "revision"},
        "targets": splits.fingerprint(),
        "note": note,
        "simulated": simulated,
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
) -> dict[str, Any]:
    """What the checkpoint remembers of its training; NaN as None, ready for JSON."""
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
        },
        "best_epoch": outcome.best_epoch,
        "best_by": ACCURACY if chosen_by_accuracy(splits, settings) else "srcc",
        "epochs": outcome.epochs,
        "steps": outcome.steps,
        "souped": outcome.souped is not None,
        "validation": {
            "before": validation_metrics(outcome.before),
            "after": validation_metrics(outcome.after),
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
