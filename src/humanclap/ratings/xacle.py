"""The XACLE challenge's tables (ICASSP 2026): ratings, and averages without listeners."""

from __future__ import annotations

from pathlib import Path

from humanclap.errors import TableError
from humanclap.ratings.checks import score_on_scale
from humanclap.records import Rating, Target
from humanclap.scale import RatingScale, ask_for_scale
from humanclap.tables import Table, check_distinct, read_table

COLUMNS = ("wav_file_name", "text", "score", "listener_id")
AVERAGE_COLUMNS = ("wav_file_name", "text", "average_score")

LISTENERS_PER_PAIR = 4
"""Ratings behind each average, as the challenge describes its data; the table does not say."""


def read_xacle(table: Table, question: str | None, scale: RatingScale) -> list[Rating]:
    """The ratings of an XACLE table; they answer REL unless another question is given."""
    table.require(*COLUMNS)
    return [
        row.make(
            lambda row=row: Rating(  # type: ignore[misc]
                audio=row.text("wav_file_name"),
                text=row.text("text"),
                listener_id=row.text("listener_id"),
                score=score_on_scale(row, scale),
                question=question or "REL",
                line=row.line,
            )
        )
        for row in table.rows
    ]


def read_targets_xacle(
    path: str | Path,
    *,
    scale: RatingScale | None = None,
    n: int = LISTENERS_PER_PAIR,
    split: str | None = None,
) -> list[Target]:
    """The targets of an XACLE table of averages; standard errors are NaN (no listeners there).

    scale: of the averages, 0..10 unless given; n: ratings behind each; split: of all its pairs.
    Raises TableError for other columns, a pair that stands twice, an average outside the scale;
    InputError where the scale is `scale.UNSTATED` and no average leaves 1..5 or 0..1.
    """
    scale = scale or RatingScale()
    table = read_table(path)
    if "average_score" not in table.columns:
        raise TableError(path, f"no XACLE averages: expected columns {', '.join(AVERAGE_COLUMNS)}")
    table.require(*AVERAGE_COLUMNS)
    targets = []
    for row in table.rows:
        mos = score_on_scale(row, scale, "average_score")
        targets.append(
            row.make(
                lambda row=row, mos=mos: Target(  # type: ignore[misc]
                    audio=row.text("wav_file_name"),
                    text=row.text("text"),
                    target=scale.to_unit(mos),
                    mos=mos,
                    n=n,
                    split=split,
                )
            )
        )
    check_distinct((target.pair_id for target in targets), table.rows, what="pair")
    averages = [target.mos for target in targets]
    ask_for_scale(averages, scale, where=str(path), option="--scale")
    return targets
