"""The model card of a trained checkpoint: what it is, from which data, how good on which pairs."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from humanclap.clap.calibration import Calibration
from humanclap.clap.checkpoint import Checkpoint

_RATED, _ACCURACY = ("srcc", "lcc", "ktau", "mse"), "accuracy"


def model_card(checkpoint: Checkpoint, *, simulated: bool, licence_given: bool = False) -> str:
    """Markdown from a checkpoint whose `training` is the record of `run.train_from_tables`.

    Its head is what the Hugging Face hub reads. licence_given: by the user, else it is the base's.
    """
    training, data = checkpoint.training, checkpoint.training["data"]
    settings = "\n".join(f"- {key}: `{value}`" for key, value in training["settings"].items())
    figures = _figures(training["validation"], rated=data["validation"]["pairs"] > 0)
    paragraphs = [
        _head(checkpoint),
        f"# {checkpoint.name}",
        _simulation(training) if simulated else "",
        training["note"],
        _made_from(training),
        'Use: `humanclap score --model FOLDER sound.wav "a dog barks"`',
        _licence(checkpoint, licence_given),
        "## Data",
        _data(data),
        f"Fingerprint of {_fingerprinted(data)}: `{data['fingerprint']}`.",
        _CLOSED if training["settings"]["allow_shared_captions"] else "",
        _met(data),
        "## Validation",
        _validation(training),
        f"| | before | after | after - before |\n|---|---|---|---|\n{figures}",
        "## Predicted rating",
        _calibration(checkpoint.calibration),
        f"## Settings\n\n{settings}\n",
    ]
    return "\n\n".join(filter(None, paragraphs))


_CLOSED = (
    "Captions are shared between training and validation (a closed label set), so the figures say "
    "nothing about unseen captions."
)


def _head(checkpoint: Checkpoint) -> str:
    """What the hub reads."""
    return f"""---
license: {checkpoint.licence or "unknown"}
library_name: humanclap
pipeline_tag: feature-extraction
base_model: {json.dumps(checkpoint.training["base_model"]["name"])}
base_model_relation: finetune
tags: [CLAP, audio-text, {_tag(checkpoint.training)}]
---"""


def _simulation(training: Mapping[str, Any]) -> str:
    return (
        f"**The {_taught_by(training)} this model was trained on are simulated, not given by "
        "people.** Its scores say nothing about human hearing."
    )


def _made_from(training: Mapping[str, Any]) -> str:
    base, settings = training["base_model"], training["settings"]
    revision = f", revision `{base['revision']}`" if base.get("revision") else ""
    return (
        f"A CLAP tuned on human {_taught_by(training)}: fine-tuned by humanclap "
        f"{training['humanclap']} from `{base['name']}` (`{base['fingerprint']}`{revision}) with "
        f"the objective `{settings['objective']}`, seed {settings['seed']}."
    )


def _met(data: Mapping[str, Any]) -> str:
    known = data.get("validation_met_before", 0)
    total = data.get("validation_met_of", data["validation"]["pairs"])
    if not known:
        return ""
    return (
        f"**The base model had met {known} of the {total} validation pairs before**, by caption or "
        "clip, so the figures are optimistic beyond what is said below."
    )


def _licence(checkpoint: Checkpoint, given: bool) -> str:
    if not checkpoint.licence:
        return (
            "Licence: unknown, as the base model's card names none (`humanclap train --licence`). "
            "The ratings and clips may set terms of their own."
        )
    whose = "" if given else ", that of the base model"
    return (
        f"Licence: `{checkpoint.licence}`{whose}. The ratings and clips may set terms of their own."
    )


def _figures(validation: Mapping[str, Any], *, rated: bool) -> str:
    """One row a metric, each value with its interval."""
    intervals = validation.get("intervals", {})
    rows = []
    for name in (
        *(_RATED if rated else ()),
        *((_ACCURACY,) if _ACCURACY in validation["after"] else ()),
    ):
        before, after = (_as_float(validation[when][name]) for when in ("before", "after"))
        values = {"before": before, "after": after, "gain": after - before}
        cells = [
            _with_interval(value, intervals.get(when, {}).get(name), signed=when == "gain")
            for when, value in values.items()
        ]
        rows.append(f"| {_ACCURACY if name == _ACCURACY else name.upper()} | {' | '.join(cells)} |")
    return "\n".join(rows)


def _as_float(value: float | None) -> float:
    return math.nan if value is None else value


def _with_interval(value: float, ends: tuple[float, float] | None, *, signed: bool) -> str:
    if math.isnan(value):
        return "–"
    form = "+.3f" if signed else ".3f"
    told = format(value, form)
    return told if ends is None else f"{told} [{ends[0]:{form}}, {ends[1]:{form}}]"


def _calibration(calibration: Calibration | None) -> str:
    if calibration is None:
        return (
            "None: scores are cosines only. They order pairs and predict no rating, as no rated\n"
            "pair was there to fit a map on, and choices say which is better, not how good."
        )
    rows = "\n".join(
        f"| {score:.3f} | {calibration.rating(score):.1f} | {error:.1f} |"
        for score, error in zip(calibration.scores, calibration.errors, strict=True)
    )
    guess = (
        " They are too few to tell the standard errors of predicted ratings, which are a guess: "
        "that of a rating equally likely anywhere on the scale."
        if calibration.guess
        else ""
    )
    covers = f" Kinds of sound among them: {', '.join(calibration.covers)}." * bool(
        calibration.covers
    )
    scale = f"{calibration.low:g}..{calibration.high:g}"
    return f"""On {scale}, in straight lines between these scores, fitted on {calibration.n} pairs \
({calibration.fitted_on}).{covers}{guess}

| score | predicted rating | standard error |
|---|---|---|
{rows}"""


def _taught_by(training: Mapping[str, Any]) -> str:
    """`ratings`, `choices`, or both."""
    data = training["data"]
    taught = ["ratings"] * (data["train"]["pairs"] > 0)
    taught += ["choices"] * (data.get("train_choices", {}).get("choices", 0) > 0)
    return " and ".join(taught)


def _tag(training: Mapping[str, Any]) -> str:
    return ", ".join(f"human-{what}" for what in _taught_by(training).split(" and "))


def _fingerprinted(data: Mapping[str, Any]) -> str:
    return "pairs, targets and votes" if "train_choices" in data else "pairs and targets"


def _data(data: Mapping[str, Any]) -> str:
    """A table of rated pairs and one of choices, each where there are any."""
    tables = []
    named = f"validation ({data['validation_name']})"
    if data["train"]["pairs"] or data["validation"]["pairs"]:
        tables.append(
            f"""| | pairs | clips | captions |
|---|---|---|---|
| training | {_counts(data["train"])} |
| {named} | {_counts(data["validation"])} |"""
        )
    if "train_choices" in data:
        columns = ("choices", "decided", "votes", "clips", "captions")
        lines = [
            f"| {name} | {' | '.join(str(data[key][column]) for column in columns)} |"
            for name, key in (("training", "train_choices"), (named, "validation_choices"))
        ]
        head = f"| people's choices | {' | '.join(columns)} |\n|{'---|' * (len(columns) + 1)}"
        tables.append("\n".join((head, *lines)))
    return "\n\n".join(tables)


def _validation(training: Mapping[str, Any]) -> str:
    """What the figures measure, and why they are optimistic."""
    data, rated = training["data"], training["data"]["validation"]["pairs"]
    choices = data.get("validation_choices", {}).get("decided", 0)
    of, drawn = [], []
    if rated:
        of.append(f"Cosine against the target in 0..1, {rated} pairs")
        drawn.append("captions drawn whole")
    if choices:
        of.append(
            f"Accuracy: share of the {choices} decided choices in which\n"
            "the model sides with most people, equal cosines counting half"
        )
        drawn.append("what the sides of a choice share drawn whole")
    by = "accuracy" if training.get("best_by") == "accuracy" else "SRCC"
    epoch = f"{training['best_epoch']} of {training['epochs']}, by {by}"
    fitted = (
        " and the calibration, so the figures are optimistic\nand the standard errors of predicted "
        "ratings a little too small"
        if rated
        else ", so the figures are\noptimistic"
    )
    return (
        f"{'. '.join(of)}; in brackets 95 % intervals,\n{', '.join(drawn)}. These pairs chose the "
        f"epoch ({epoch}){fitted}; judge the model on pairs it has not met."
    )


def _counts(side: Mapping[str, int]) -> str:
    return " | ".join(f"{side[name]}" for name in ("pairs", "clips", "captions"))
