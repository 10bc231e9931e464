"""`humanclap train`: a CLAP learns from rated pairs."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from humanclap.cli.console import (
    MODEL_HELP,
    audio_root_option,
    cache_option,
    format_number,
    model_options,
    progress_bar,
    remark,
    text_table,
)
from humanclap.cli.training_options import (
    PATH,
    SETTINGS,
    SectionedCommand,
    add_options,
    output_folder,
    quiet_option,
    settings_options,
)
from humanclap.json_values import to_json

if TYPE_CHECKING:
    from humanclap.clap.calibration import Calibration
    from humanclap.training.data.splits import Splits
    from humanclap.training.run import TrainedModel
    from humanclap.training.settings import TrainingSettings


def _table(name: str, help_text: str) -> Any:
    return click.option(name, type=PATH, help=help_text)


_INPUTS = (
    output_folder("Folder of the run: log.csv, state, and at the end checkpoint/."),
    audio_root_option,
    click.option(
        "-m",
        "--model",
        default="mini",
        show_default=True,
        help=f"What to start from: {MODEL_HELP}",
    ),
    model_options,
    _table("--settings", "Take settings from this TOML file."),
    _table(
        "--validation", "Table of validation targets.  [default: the split validation of TARGETS]"
    ),
    click.option(
        "--validation-fraction",
        type=float,
        help="Share of the pairs and choices to validate on, by whole clips and captions.",
    ),
    _table(
        "--choices", "Choices or votes, for the term choice; without TARGETS the only teachers."
    ),
    _table(
        "--validation-choices",
        "Table of choices to validate on.  [default: the split validation of --choices]",
    ),
    _table("--ratings", "Single answers audio,text,listener_id,score, for the term listener."),
    click.option(
        "--question",
        type=click.Choice(["REL", "IS", "OS"]),
        help="Which answers of --ratings to take, where they are to several questions.",
    ),
    _table(
        "--features",
        "Folder where the output of frozen encoders is kept between runs.  "
        "[default: the user's cache]",
    ),
    cache_option,
)
_RUN = (
    click.option(
        "--log-to",
        multiple=True,
        type=click.Choice(["tensorboard", "wandb"]),
        help="Also log there; may be repeated.",
    ),
    click.option(
        "--refuse-trained-on",
        is_flag=True,
        help="Stop where the base model met a caption or clip of the validation pairs.",
    ),
    click.option("--note", default="", help="A sentence for the model card."),
    click.option("--name", help="Of the trained model.  [default: base and folder: mini-first]"),
    click.option("--licence", help="On the model card, such as cc-by-4.0.  [default: the base's]"),
    click.option(
        "--whole",
        is_flag=True,
        help="Store all weights, also those of the packaged model it was trained from.",
    ),
    click.option("--simulated", is_flag=True, help="The ratings are simulated; the card says so."),
    click.option("--resume", is_flag=True, help="Go on with the run in --output, if there is one."),
    click.option("--overwrite", is_flag=True, help="Delete the run in --output and start anew."),
    quiet_option,
    click.option("--json", "as_json", is_flag=True, help="Print the result as JSON."),
)


@click.command(
    cls=SectionedCommand,
    epilog="""\b
Examples:
  humanclap train targets.csv --audio-root clips/ --model mini -o runs/first
  humanclap train targets.csv --validation-fraction 0.1 --objective wsce+mae -o runs/first
  humanclap train targets.csv --settings recipes/human-tuning.toml -o runs/first --resume
  humanclap train targets.csv --choices votes.csv --objective wsce+mae+choice -o runs/both
  humanclap train --choices votes.csv --objective choice --validation-fraction 0.1 -o runs/ab
  torchrun --nproc-per-node 2 -m humanclap train targets.csv -o runs/two
  torchrun --nnodes 2 --node-rank 0 --master-addr host-a -m humanclap train targets.csv -o runs/two
Then: humanclap score pairs.csv --model runs/first
""",
)
@click.argument("targets", required=False, type=PATH)
@add_options(*_INPUTS, *_RUN, settings_options)
def train(
    targets: Path | None, settings: Path | None, quiet: bool, as_json: bool, **options: Any
) -> None:
    """Train a CLAP on human ratings, on choices, or on both.

    TARGETS is a table audio,text,target,mos,n[,split], as `humanclap ratings aggregate` writes
    it. The epoch with the best validation SRCC is kept, and a line from its scores to the mean
    ratings is fitted on the validation pairs. With choices alone the epoch is the one that decides
    most validation choices as people did, and no ratings are predicted. The checkpoint remembers,
    as hashes and codes, the captions and clips it was made of, so that scoring can tell pairs it
    has met; validation pairs that the base model met are told. Options override the settings file.
    """
    _check_sources(targets, options)
    from humanclap.training.run import TrainingRequest, train_from_tables

    scale_stated = options["rating_scale"] is not None or _in_file(settings, "rating_scale")
    chosen = _settings(settings, options)
    request = TrainingRequest(
        targets=targets, settings=chosen, scale_stated=scale_stated, **options
    )
    try:
        with progress_bar("training", quiet=quiet or not _is_first()) as progress:
            trained = train_from_tables(request, progress)
    except KeyboardInterrupt:
        if _is_first():
            click.echo(
                f"stopped; the last whole epoch is kept in {request.output}: the same command with "
                "--resume goes on from there",
                err=True,
            )
        raise
    if _is_first():
        _tell(trained, quiet=quiet, as_json=as_json)


def _tell(trained: TrainedModel, *, quiet: bool, as_json: bool) -> None:
    """What came of it: figures on stdout, remarks on stderr."""
    met = trained.met_before
    if met.pairs:
        click.echo(f"warning: {met.in_words()}", err=True)
    if met.unknown:
        remark(
            f"it is unknown what the base model met of {met.unknown} of the {met.total} "
            "validation pairs",
            quiet=quiet,
        )
    click.echo(to_json(_result(trained)) if as_json else _text(trained))
    if trained.outcome.best_epoch == 0:
        remark("warning: no epoch beat the model as it came; its weights are kept", quiet=False)
    remark(f"model: {trained.checkpoint}", quiet=quiet)


def _is_first() -> bool:
    """Whether this process is alone, or the first of those that a launcher started."""
    return os.environ.get("RANK", "0") == "0"


def _check_sources(targets: Path | None, options: dict[str, Any]) -> None:
    if options["resume"] and options["overwrite"]:
        raise click.UsageError("--resume goes on, --overwrite starts anew: give one of them")
    if targets is None and options["choices"] is None:
        raise click.UsageError("there is nothing to train on; give TARGETS, --choices or both")
    if targets is None and options["ratings"] is not None:
        raise click.UsageError("--ratings are the single answers behind TARGETS; give these too")
    for name in ("validation", "validation_choices"):
        if options[name] is not None and options["validation_fraction"] is not None:
            option = name.replace("_", "-")
            raise click.UsageError(f"give --{option} or --validation-fraction, not both")


def _settings(path: Path | None, options: dict[str, Any]) -> TrainingSettings:
    """Settings from the file and the options that override it, which are taken out of `options`."""
    from humanclap.training.settings import read_settings

    given = {item.name: options.pop(item.name) for item in SETTINGS}
    chosen = read_settings(path, {k: v for k, v in given.items() if v is not None})
    if chosen.allow_shared_captions and _is_first():
        click.echo(
            "warning: training and validation may share captions (allow_shared_captions): the "
            "figures say nothing about unseen captions",
            err=True,
        )
    return chosen


def _in_file(path: Path | None, name: str) -> bool:
    """Does the settings file say this?"""
    from contextlib import suppress

    from humanclap.errors import SettingsError
    from humanclap.settings import read_toml

    with suppress(SettingsError):  # told where settings are read
        return path is not None and name in read_toml(path)
    return False


def _result(trained: TrainedModel) -> dict[str, Any]:
    from dataclasses import asdict

    from humanclap.training.run import validation_metrics

    outcome = trained.outcome
    return {
        "checkpoint": str(trained.checkpoint),
        "train_pairs": len(trained.splits.train),
        "validation_pairs": len(trained.splits.validation),
        "unused_rows": trained.splits.unused,
        "train_choices": len(trained.splits.train_choices),
        "validation_choices": len(trained.splits.validation_choices),
        "unused_choices": trained.splits.unused_choices,
        "validation_met_before": len(trained.met_before.pairs),
        "validation_unknown": trained.met_before.unknown,
        "best_epoch": outcome.best_epoch,
        "epochs": outcome.epochs,
        "steps": outcome.steps,
        "before": validation_metrics(outcome.before),
        "after": validation_metrics(outcome.after),
        "calibration": trained.calibration and asdict(trained.calibration),
    }


def _text(trained: TrainedModel) -> str:
    from humanclap.training.run import validation_metrics

    outcome, splits = trained.outcome, trained.splits
    found = {
        "before": validation_metrics(outcome.before),
        f"after (epoch {outcome.best_epoch} of {outcome.epochs})": validation_metrics(
            outcome.after
        ),
    }
    names = ["srcc", "lcc", "ktau", "mse"] * bool(splits.validation)
    names += ["accuracy"] * bool(splits.validation_choices)
    rows = [
        [when, *(math.nan if metrics[name] is None else metrics[name] for name in names)]
        for when, metrics in found.items()
    ]
    heads = ["accuracy" if name == "accuracy" else name.upper() for name in names]
    return "\n".join(
        (
            *_data_lines(splits),
            text_table(["validation", *heads], rows),
            _calibration_line(trained.calibration),
        )
    )


def _data_lines(splits: Splits) -> list[str]:
    lines = []
    if splits.train or splits.validation:
        lines.append(
            f"trained on {len(splits.train)} pairs, {len(splits.validation)} validation pairs "
            f"({splits.validation_name}), {splits.unused} rows unused"
        )
    if splits.train_choices or splits.validation_choices:
        decided = sum(choice.decided for choice in splits.validation_choices)
        lines.append(
            f"trained on {len(splits.train_choices)} choices, {len(splits.validation_choices)} "
            f"validation choices ({decided} decided), {splits.unused_choices} unused"
        )
    return lines


def _calibration_line(found: Calibration | None) -> str:
    if found is None:
        return (
            "no calibration: choices say which is better, not how good, so this model predicts no "
            "ratings; rated pairs to validate on (--validation) would give it one"
        )
    told = "; ".join(
        f"{format_number(found.rating(score), 1)} ± {format_number(error, 1)} at score "
        f"{format_number(score, 2)}"
        for score, error in zip(found.scores, found.errors, strict=True)
    )
    line = f"predicted rating {told}; fitted on {found.n} pairs"
    return line + (": too few to tell the error, which is a guess" if found.guess else "")
