"""The model card of a trained checkpoint: what it is, from which data, how good on which pairs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

_METRICS = ("srcc", "lcc", "ktau", "mse")


def model_card(training: Mapping[str, Any], *, simulated: bool, guess: bool = False) -> str:
    """Markdown from the record that `run.train_from_tables` saves beside the weights.

    guess: the validation pairs were too few to tell the errors of predicted ratings.
    """
    data, base, metrics = training["data"], training["base_model"], training["validation"]
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
    unknown = (
        " They are too few to tell the standard errors of predicted ratings, which are a guess: "
        "that of a rating equally likely anywhere on the scale."
        if guess
        else ""
    )
    known = data.get("validation_met_before", 0)
    met = (
        f"\n**The base model had met {known} of the {data['validation']['pairs']} validation pairs "
        "before**, by caption or clip, so the figures are optimistic beyond what is said below.\n"
        if known
        else ""
    )
    before, after = metrics["before"], metrics["after"]
    rows = "\n".join(
        f"| {name.upper()} | {_number(before[name])} | {_number(after[name])} |"
        for name in _METRICS
    )
    settings = "\n".join(f"- {key}: `{value}`" for key, value in training["settings"].items())
    return f"""---
library_name: humanclap
pipeline_tag: feature-extraction
tags: [CLAP, audio-text, human-ratings]
---

# A human-aligned CLAP

{simulation}{note}Fine-tuned by humanclap {training["humanclap"]} from `{base["name"]}` \
(`{base["fingerprint"]}`) with the objective `{training["settings"]["objective"]}`, \
seed {training["settings"]["seed"]}.

Use: `humanclap score --model FOLDER sound.wav "a dog barks"`

## Data

| | pairs | clips | captions |
|---|---|---|---|
| training | {_counts(data["train"])} |
| validation ({data["validation_name"]}) | {_counts(data["validation"])} |

Fingerprint of pairs and targets: `{data["fingerprint"]}`.
{closed}{met}
## Validation

Cosine against the target in 0..1, {data["validation"]["pairs"]} pairs. These pairs chose the
epoch ({training["best_epoch"]} of {training["epochs"]}) and the calibration, so the figures are
optimistic and the standard errors of predicted ratings a little too small; judge the model on pairs
it has not met.{unknown}

| | before | after |
|---|---|---|
{rows}

## Settings

{settings}
"""


def _counts(side: Mapping[str, int]) -> str:
    return " | ".join(f"{side[name]}" for name in ("pairs", "clips", "captions"))


def _number(value: float | None) -> str:
    return "–" if value is None or math.isnan(value) else f"{value:.3f}"
