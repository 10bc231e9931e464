"""The XACLE challenge (ICASSP 2026): its tables, its archive, its submissions, its figures.

Source: https://xacle.org, and the README of
XACLE-Challenge/the_first_XACLE_challenge_dataset_train_validation for columns and folders.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from humanclap.errors import InputError, listed
from humanclap.records import Pair, Rating, Score, Target
from humanclap.scale import RatingScale, ask_for_scale
from humanclap.tables import Table, check_distinct, read_table, write_rows

NAME, AVERAGE, PREDICTED = "wav_file_name", "average_score", "pred_score"
RATING_COLUMNS = (NAME, "text", "score", "listener_id")
AVERAGE_COLUMNS = (NAME, "text", AVERAGE)
LIST_COLUMNS = (NAME, "text")
SUBMISSION_COLUMNS = (NAME, PREDICTED)
SCALE = RatingScale(low=0.0, high=10.0)
METRICS = ("srcc", "lcc", "ktau", "mse")
"""The official figures: Spearman's, Pearson's and Kendall's (tau-b) correlation, squared error."""
LISTENERS_PER_PAIR = 4
"""Ratings behind each average, as the challenge describes its data; the table does not say."""
TABLES, CLIPS = "meta_data", "wav"
TRAIN, VALIDATION, TEST = "train", "validation", "test"


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """The unpacked archive. Paths of clips start at `clips`.

    rated: targets of the train and validation pairs, with their split; averages: the table of the
    validation pairs; test: pairs to predict, empty without the test archive.
    """

    rated: tuple[Target, ...]
    averages: Path
    test: tuple[Pair, ...]
    clips: Path


def read_xacle_ratings(table: Table, question: str | None, scale: RatingScale) -> list[Rating]:
    """The ratings of a table; they answer REL unless another question is given."""
    table.require(*RATING_COLUMNS)
    return table.make(
        lambda row: Rating(
            audio=row.text(NAME),
            text=row.text("text"),
            listener_id=row.text("listener_id"),
            score=row.rating("score", scale),
            question=question or "REL",
            line=row.line,
        )
    )


def read_averages(
    path: str | Path,
    *,
    scale: RatingScale | None = None,
    split: str | None = None,
    files_once: bool = False,
) -> list[Target]:
    """The targets of a table of averages. It names no listeners, so standard errors are NaN.

    scale: of the averages, 0..10 unless given; split: of all its pairs; files_once: refuse a
    second text of one file.
    Raises TableError for other columns, a pair that appears twice, an average outside the scale;
    InputError where the scale is `scale.UNSTATED` and all averages lie in 1..5 or 0..1.
    """
    on_scale = scale or RatingScale()
    table = read_table(path)
    table.require(*AVERAGE_COLUMNS)
    targets = table.make(
        lambda row: Target(
            audio=row.text(NAME),
            text=row.text("text"),
            target=on_scale.to_unit(row.rating(AVERAGE, on_scale)),
            mos=row.rating(AVERAGE, on_scale),
            n=LISTENERS_PER_PAIR,
            split=split,
        )
    )
    check_distinct((target.pair_id for target in targets), table.rows, what="pair")
    if files_once:
        check_distinct((target.audio for target in targets), table.rows, what="file")
    ask_for_scale([target.mos for target in targets], on_scale, where=str(path), option="--scale")
    return targets


def read_list(path: str | Path) -> list[Pair]:
    """The pairs to predict, from the columns `wav_file_name` and `text`; others are ignored.

    Raises TableError where a file appears twice: a submission names files only.
    """
    table = read_table(path)
    table.require(*LIST_COLUMNS)
    check_distinct((row.text(NAME) for row in table.rows), table.rows, what="file")
    return table.make(lambda row: Pair(audio=row.text(NAME), text=row.text("text")))


def columns_left_out(path: str | Path) -> list[str]:
    """Columns of a list that have no place in a submission, which has two columns only."""
    return [name for name in read_table(path).columns if name not in LIST_COLUMNS]


def write_submission(path: str | Path, scores: Sequence[Score]) -> None:
    """Write `wav_file_name,pred_score`, whole or not at all.

    pred_score: the calibrated rating on 0..10, or 10 * max(score, 0) where none has one. Raises
    InputError where a clip could not be scored, or only some scores have a rating.
    """
    failed = [row for row in scores if row.error is not None]
    if failed:
        named = listed(failed, show=lambda row: f"{row.audio} ({row.error})")
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
    write_rows(path, SUBMISSION_COLUMNS, rows)


def read_submission(path: str | Path) -> dict[str, float]:
    """Predicted rating on 0..10 of each file.

    Raises TableError with the line for a file that appears twice and for a rating outside 0..10.
    """
    table = read_table(path)
    table.require(*SUBMISSION_COLUMNS)
    check_distinct((row.text(NAME) for row in table.rows), table.rows, what="file")
    return {row.text(NAME): row.rating(PREDICTED, SCALE) for row in table.rows}


def read_archive(folder: str | Path) -> Archive:
    """Check the layout and read it. Raises InputError with a list of everything that is missing."""
    folder = Path(folder)
    clips, test_table = folder / CLIPS, folder / TABLES / "test.csv"
    tables = {split: folder / TABLES / f"{split}_average.csv" for split in (TRAIN, VALIDATION)}
    wanted = [*tables.values(), clips]
    missing = [str(path.relative_to(folder)) for path in wanted if not path.exists()]
    if missing:
        raise InputError(
            f"{folder}: not the layout of XACLE's archive; missing: {', '.join(missing)}. Expected "
            f"are {TABLES}/train_average.csv, {TABLES}/validation_average.csv, {CLIPS}/train/, "
            f"{CLIPS}/validation/, and for a submission {TABLES}/test.csv and {CLIPS}/test/"
        )
    rated = tuple(
        replace(target, audio=_place(clips, split, target.audio), pair_id="")
        for split, table in tables.items()
        for target in read_averages(table, scale=SCALE, split=split)
    )
    test = tuple(
        replace(pair, audio=_place(clips, TEST, pair.audio), pair_id="")
        for pair in (read_list(test_table) if test_table.is_file() else ())
    )
    names = [*(target.audio for target in rated), *(pair.audio for pair in test)]
    lost = [str(clips / name) for name in names if not (clips / name).is_file()]
    if lost:
        raise InputError(f"{folder}: {len(lost)} clips of the tables are missing: {listed(lost)}")
    return Archive(rated=rated, averages=tables[VALIDATION], test=test, clips=clips)


def _place(clips: Path, split: str, name: str) -> str:
    """Path of a clip below `clips`: in the folder of its split, or as the table writes it."""
    inside = f"{split}/{name}"
    return name if not (clips / inside).is_file() and (clips / name).is_file() else inside
