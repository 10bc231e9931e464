"""A challenge's submission: predicted ratings of unrated pairs, by the best run on validation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from humanclap.errors import InputError, SettingsError
from humanclap.experiments.grid import BEFORE, Done
from humanclap.experiments.recipe import Recipe
from humanclap.records import Pair
from humanclap.scoring.scorer import HumanCLAP
from humanclap.scoring.settings import ScoringSettings
from humanclap.tables import check_distinct, read_table, write_rows
from humanclap.training.loop.state import LOG_FILE

SUBMISSION = "submission.csv"


def write_submission(
    recipe: Recipe,
    table_path: Path,
    audio_root: Path,
    done: Sequence[Done],
    output: Path,
    *,
    mn04: str | Path | None = None,
    offline: bool = False,
) -> Path:
    """Write `submission.csv` (wav_file_name, pred_score on the rating scale), XACLE's form.

    The run is the one with the highest validation SRCC: the pairs judged in the table choose
    nothing. Needs `keep_checkpoints`. Raises InputError where a clip cannot be scored.
    """
    if not recipe.keep_checkpoints:
        raise SettingsError("data.submit needs keep_checkpoints = true")
    trained = [one for one in done if one.run.objective != BEFORE]
    best = max(trained, key=lambda one: validation_srcc(one, output))
    table = read_table(table_path)
    table.require("wav_file_name", "text")
    pairs = [Pair(audio=row.text("wav_file_name"), text=row.text("text")) for row in table.rows]
    check_distinct((pair.audio for pair in pairs), table.rows, what="clip")
    scorer = HumanCLAP.from_pretrained(
        best.run.folder(output),
        settings=ScoringSettings(device=recipe.settings.device),
        mn04=mn04,
        offline=offline,
    )
    found = {score.audio: score for score in scorer.score_pairs(pairs, audio_root=audio_root)}
    failed = [score for score in found.values() if score.error]
    if failed:
        raise InputError(
            f"{len(failed)} of {len(pairs)} pairs to submit cannot be scored, for example "
            f"{failed[0].audio}: {failed[0].error}"
        )
    path = output / SUBMISSION
    rows = [{"wav_file_name": p.audio, "pred_score": found[p.audio].rating} for p in pairs]
    write_rows(path, ("wav_file_name", "pred_score"), rows)
    return path


def validation_srcc(one: Done, output: Path) -> float:
    """The highest SRCC of a run's epochs on its validation pairs, -inf where none is defined."""
    rows = read_table(one.run.folder(output) / LOG_FILE).rows
    values = [row.optional_number("validation_srcc") for row in rows]
    return max((value for value in values if not math.isnan(value)), default=-math.inf)
