"""A submission to the XACLE challenge: unrated pairs scored by the run best on validation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from humanclap.errors import SettingsError
from humanclap.experiments.grid import BEFORE, Done
from humanclap.experiments.recipe import Recipe
from humanclap.scoring.scorer import HumanCLAP
from humanclap.scoring.settings import ScoringSettings
from humanclap.tables import read_table
from humanclap.training.loop.state import LOG_FILE
from humanclap.xacle import read_list, write_submission

SUBMISSION = "submission.csv"


def submit(
    recipe: Recipe,
    table_path: Path,
    audio_root: Path,
    done: Sequence[Done],
    output: Path,
    *,
    mn04: str | Path | None = None,
    offline: bool = False,
) -> Path:
    """Write `submission.csv` (wav_file_name, pred_score) for the pairs of a table.

    The run with the highest validation SRCC predicts; the pairs that judge choose nothing. Raises
    SettingsError without `keep_checkpoints`, InputError where a clip cannot be scored.
    """
    if not recipe.keep_checkpoints:
        raise SettingsError("data.submit needs keep_checkpoints = true")
    trained = [one for one in done if one.run.objective != BEFORE]
    best = max(trained, key=lambda one: validation_srcc(one, output))
    scorer = HumanCLAP.from_pretrained(
        best.run.folder(output),
        settings=ScoringSettings(device=recipe.settings.device),
        mn04=mn04,
        offline=offline,
    )
    path = output / SUBMISSION
    write_submission(path, list(scorer.score_pairs(read_list(table_path), audio_root=audio_root)))
    return path


def validation_srcc(one: Done, output: Path) -> float:
    """The highest SRCC of a run's epochs on its validation pairs, -inf where none is defined."""
    rows = read_table(one.run.folder(output) / LOG_FILE).rows
    values = [row.optional_number("validation_srcc") for row in rows]
    return max((value for value in values if not math.isnan(value)), default=-math.inf)
