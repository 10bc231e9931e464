"""The model card of a trained checkpoint: what it is, from which data, how good on which pairs."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from humanclap.clap.checkpoint import Calibration, Checkpoint

_METRICS = ("srcc", "lcc", "ktau", "mse")


def model_card(checkpoint: Checkpoint, *, simulated: bool, licence_given: bool = False) -> str:
    """Markdown from a checkpoint whose `training` is the record of `run.train_from_tables`.

    Its head is what the Hugging Face hub reads. licence_given: by the user, else it is the base's.
    """
    training = checkpoint.training
    data, base = training["data"], training["base_model"]
    simulation = (
        "**The ratings this model was trained on are simulated, not given by people.** Its scores "
        "say nothing about human hearing.\n\n"
        if simulated
        else ""
    )
    note = f"{training['note']}\n\n" if training["note"] else ""
    closed = (
        "\nCaptions are shared between training and validation (a closed label set), so the "
        "figures say nothing about unseen captions.\n"
        if training["settings"]["allow_shared_captions"]
        else ""
    )
    known = data.get("validation_met_before", 0)
    met = (
        f"\n**The base model had met {known} of the {data['validation']['pairs']} validation pairs "
        "before**, by caption or clip, so the figures are optimistic beyond what is said below.\n"
        if known
        else ""
    )
    settings = "\n".join(f"- {key}: `{value}`" for key, value in training["settings"].items())
    revision = f", revision `{base['revision']}`" if base.get("revision") else ""
    return f"""---
license: {checkpoint.licence or "unknown"}
library_name: humanclap
pipeline_tag: feature-extraction
base_model: {json.dumps(base["name"])}
base_model_relation: finetune
tags: [CLAP, audio-text, human-ratings]
---

# {checkpoint.name}

{simulation}{note}A CLAP tuned on human ratings: fine-tuned by humanclap {training["humanclap"]} \
from `{base["name"]}` (`{base["fingerprint"]}`{revision}) with the objective \
`{training["settings"]["objective"]}`, seed {training["settings"]["seed"]}.

Use: `humanclap score --model FOLDER sound.wav "a dog barks"`

{_licence(checkpoint, licence_given)}

## Data

| | pairs | clips | captions |
|---|---|---|---|
| training | {_counts(data["train"])} |
| validation ({data["validation_name"]}) | {_counts(data["validation"])} |

Fingerprint of pairs and targets: `{data["fingerprint"]}`.
{closed}{met}
## Validation

Cosine against the target in 0..1, {data["validation"]["pairs"]} pairs; in brackets 95 % intervals,
captions drawn whole. These pairs chose the epoch ({training["best_epoch"]} of \
{training["epochs"]}) and the calibration, so the figures are optimistic and the standard errors of
predicted ratings a little too small; judge the model on pairs it has not met.

| | before | after | after - before |
|---|---|---|---|
{_figures(training["validation"])}

## Predicted rating

{_calibration(checkpoint.calibration)}

## Settings

{settings}
"""


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


def _figures(validation: Mapping[str, Any]) -> str:
    """One row a metric, each value with its interval."""
    intervals = validation.get("intervals", {})
    rows = []
    for name in _METRICS:
        before, after = (_as_float(validation[when][name]) for when in ("before", "after"))
        values = {"before": before, "after": after, "gain": after - before}
        cells = [
            _with_interval(value, intervals.get(when, {}).get(name), signed=when == "gain")
            for when, value in values.items()
        ]
        rows.append(f"| {name.upper()} | {' | '.join(cells)} |")
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
        return "None: scores are cosines only."
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


def _counts(side: Mapping[str, int]) -> str:
    return " | ".join(f"{side[name]}" for name in ("pairs", "clips", "captions"))
