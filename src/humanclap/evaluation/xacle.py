"""The XACLE challenge's submission: read, write and judge it; strict where its script is not.

On complete inputs the figures are those of the challenge's definition (SRCC, LCC, KTAU tau-b,
MSE). Its own script drops unmatched and NaN rows and calls a constant predictor 0.0; here the
first are refused by name and the second is undefined.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from humanclap.errors import InputError, TableError
from humanclap.grouping import caption_key
from humanclap.metrics import agreement
from humanclap.metrics.bootstrap import Interval, agreement_intervals
from humanclap.records import Pair, Score
from humanclap.scale import RatingScale
from humanclap.tables import Table, check_distinct, read_table, write_rows

NAME, PREDICTED, AVERAGE = "wav_file_name", "pred_score", "average_score"
SCALE = RatingScale(low=0.0, high=10.0)
MAX_NAMED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class XacleResult:
    """The challenge's four figures; NaN where `reason` says why. intervals: by caption."""

    srcc: float
    lcc: float
    ktau: float
    mse: float
    n: int
    intervals: dict[str, Interval]
    reason: str | None = None


def read_list(path: str | Path) -> list[Pair]:
    """The pairs to predict: columns `wav_file_name`, `text`; other columns do not matter.

    Raises TableError where a file name stands twice: a submission names files only.
    """
    table = read_table(path)
    table.require(NAME, "text")
    _check_once(table)
    return [
        row.make(lambda row=row: Pair(audio=row.text(NAME), text=row.text("text")))  # type: ignore[misc]
        for row in table.rows
    ]


def columns_left_out(path: str | Path) -> list[str]:
    """Columns of a list that a submission, whose format has two, has no place for."""
    return [name for name in read_table(path).columns if name not in (NAME, "text")]


def write_submission(path: str | Path, scores: Sequence[Score]) -> None:
    """Write `wav_file_name,pred_score`, whole or not at all.

    pred_score: the calibrated rating on 0..10, or 10 * max(score, 0) where none has one. Raises
    InputError where a clip could not be scored, or only some have a rating.
    """
    failed = [row for row in scores if row.error is not None]
    if failed:
        named = ", ".join(f"{row.audio} ({row.error})" for row in failed[:MAX_NAMED])
        raise InputError(
            f"{len(failed)} of {len(scores)} clips could not be scored: {named}; a submission "
            "must be complete, so none is written"
        )
    rated = sum(math.isfinite(row.rating) for row in scores)
    if rated not in (0, len(scores)):
        raise InputError(f"{rated} of {len(scores)} scores have a rating; expected all or none")
    rows = [
        {NAME: row.audio, PREDICTED: row.rating if rated else 10 * max(row.score, 0.0)}
        for row in scores
    ]
    write_rows(path, (NAME, PREDICTED), rows)


def evaluate_submission(
    submission: str | Path,
    averages: str | Path,
    *,
    replicates: int = 1000,
    seed: int = 0,
) -> XacleResult:
    """Judge a submission by the challenge's averages (`wav_file_name,text,average_score`).

    Raises TableError with file and line, or InputError naming the files, for a score missing,
    extra, twice, not a number or outside 0..10.
    """
    wanted, given = read_table(averages), read_table(submission)
    wanted.require(NAME, "text", AVERAGE)
    given.require(NAME, PREDICTED)
    _check_once(wanted)
    _check_once(given)
    human = {row.text(NAME): _on_scale(row.number(AVERAGE), row.error) for row in wanted.rows}
    predicted = {row.text(NAME): _on_scale(row.number(PREDICTED), row.error) for row in given.rows}
    missing = [name for name in human if name not in predicted]
    extra = [name for name in predicted if name not in human]
    for names, what in ((missing, "have no prediction"), (extra, "are not in the averages")):
        if names:
            named = ", ".join(names[:MAX_NAMED])
            raise InputError(f"{submission}: {len(names)} files {what}: {named}")
    x = np.array([predicted[name] for name in human])
    y = np.array(list(human.values()))
    captions = [caption_key(row.text("text")) for row in wanted.rows]
    intervals = agreement_intervals(
        x, y, captions, rng=np.random.default_rng(seed), predicted=x, replicates=replicates
    )
    return XacleResult(
        srcc=agreement.srcc(x, y),
        lcc=agreement.lcc(x, y),
        ktau=agreement.ktau(x, y),
        mse=agreement.mse(x, y),
        n=x.size,
        intervals={name: intervals[name] for name in ("srcc", "lcc", "ktau", "mse")},
        reason=agreement.undefined_reason(x, y),
    )


def _check_once(table: Table) -> None:
    check_distinct((row.text(NAME) for row in table.rows), table.rows, what="file")


def _on_scale(value: float, error: Callable[[str], TableError]) -> float:
    if value not in SCALE:
        raise error(f"score {value:g} is outside {SCALE}")
    return value
