"""People's choices in a run, beside the rated pairs: checks, scores, figures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from humanclap.errors import SettingsError
from humanclap.experiments.data import Part
from humanclap.fingerprint import fingerprint_text
from humanclap.metrics.agreement import MIN_PAIRS
from humanclap.tables import write_rows
from humanclap.training.data.choices import ChoiceExample
from humanclap.training.loop.validation import ACCURACY
from humanclap.training.settings import TrainingSettings

CHOSEN = "choices.csv"
CHOSEN_COLUMNS = (
    *("audio_a", "text_a", "score_a", "audio_b", "text_b", "score_b"),
    *("share", "n", "kind"),
)


def check_choices(part: Part, settings: TrainingSettings, objective: str) -> None:
    """Raise SettingsError where the objective asks for choices that the part does not have."""
    if settings.learns_choices and not part.train_choices:
        raise SettingsError(
            f"{part.name}: objective {objective!r} has the term 'choice' and no choice trains"
            + (f"; {part.choices_left_out} share with the test" if part.choices_left_out else "")
        )
    decided = sum(choice.decided for choice in part.validation_choices)
    if settings.best_by == ACCURACY and decided < MIN_PAIRS:
        raise SettingsError(
            f"{part.name}: best_by = 'accuracy' of objective {objective!r} needs {MIN_PAIRS} "
            f"decided validation choices; there are {decided}"
        )


def chosen_identity(part: Part) -> dict[str, str]:
    """Hash of sides and votes of the test choices; nothing where there are none."""
    if not part.test_choices:
        return {}
    found = fingerprint_text(
        said
        for choice in part.test_choices
        for said in (*(s for x in choice.sides for s in (x.audio, x.text)), repr(choice.share))
    )
    return {"test_choices": found}


def write_chosen(path: Path, choices: Sequence[ChoiceExample], sides: NDArray[np.float64]) -> None:
    """Both scores of every test choice beside people's share for the first; nothing for none."""
    rows = [
        {
            "audio_a": one.first.audio,
            "text_a": one.first.text,
            "score_a": float(first),
            "audio_b": one.second.audio,
            "text_b": one.second.text,
            "score_b": float(second),
            "share": one.share,
            "n": one.votes,
            "kind": one.kind,
        }
        for one, first, second in zip(choices, sides[0::2], sides[1::2], strict=True)
    ]
    if rows:
        write_rows(path, CHOSEN_COLUMNS, rows)


def chosen_metrics(part: Part, accuracy: float) -> dict[str, Any]:
    """What `metrics.json` says of choices; nothing where the part has none."""
    if not part.choices():
        return {}
    return {
        "train_choices": len(part.train_choices),
        "validation_choices": len(part.validation_choices),
        "test_choices": len(part.test_choices),
        "accuracy": None if math.isnan(accuracy) else accuracy,
    }
