"""Read ratings of any known form; the form is told by the columns."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

from humanclap.choices import choice_form, has_sides, not_choices
from humanclap.errors import SettingsError, TableError
from humanclap.ratings import plain, relate, xacle
from humanclap.ratings.checks import check_answered_once
from humanclap.records import Question, Rating
from humanclap.scale import ENOUGH_TO_DOUBT, UNSTATED, RatingScale, other_scale
from humanclap.tables import Table, read_table

logger = logging.getLogger(__name__)

_FORMS = (
    (relate.COLUMNS, relate.read_relate),
    (xacle.COLUMNS, xacle.read_xacle),
    (plain.COLUMNS, plain.read_plain),
)


def read_ratings(
    path: str | Path, *, question: str | None = None, scale: RatingScale | None = None
) -> list[Rating]:
    """Read one table of ratings: RELATE's, XACLE's or the plain long form.

    question: REL, IS or OS, for a table that does not say which it answers; scale: 0..10 unless
    given. Raises TableError (file:line) for unknown columns, a rating outside the scale, a cell
    that cannot be used; InputError where a listener rates a pair twice.
    """
    return read_rating_files([path], question=question, scale=scale)


def read_rating_files(
    paths: Sequence[str | Path], *, question: str | None = None, scale: RatingScale | None = None
) -> list[Rating]:
    """As `read_ratings`, of several files, end to end; an answer may stand in only one of them."""
    if question is not None and question not in get_args(Question):
        raise SettingsError(f"question is {question!r}; expected one of REL, IS, OS")
    scale = scale or UNSTATED
    files = [(path, _read_one(Path(path), question, scale)) for path in paths]
    check_answered_once(files)
    return [rating for _, ratings in files for rating in ratings]


TableKind = Literal["ratings", "averages", "targets", "choices", "votes"]


def table_kind(path: str | Path) -> TableKind:
    """Told by the columns: XACLE's averages, targets made by `aggregate`, choices of listeners,
    votes (FENSE's or those of `aggregate`), else ratings.
    """
    columns = set(read_table(path).columns)
    form = choice_form(columns)
    if form is not None:
        return "choices" if form == "choices" else "votes"
    if set(xacle.AVERAGE_COLUMNS) <= columns:
        return "averages"
    return "targets" if {"audio", "text", "target", "mos", "n"} <= columns else "ratings"


def _read_one(path: Path, question: str | None, scale: RatingScale) -> list[Rating]:
    table = read_table(path)
    for columns, read in _FORMS:
        if set(columns) <= set(table.columns):
            ratings = read(table, question, scale)
            _doubt_the_scale(path, ratings, scale)
            return ratings
    raise TableError(path, _unknown_columns(table), 1)


def _unknown_columns(table: Table) -> str:
    has = f"the table has {', '.join(table.columns)}"
    if set(xacle.AVERAGE_COLUMNS) <= set(table.columns):
        return f"these are averages, not ratings of listeners; {has}"
    if choice_form(table.columns) is not None:
        return f"these are choices, not ratings (humanclap.choices reads them); {has}"
    if has_sides(table.columns):
        return not_choices(table.columns)
    return (
        f"not a table of ratings: {has}. Known forms:\n"
        f"  RELATE: {', '.join(relate.COLUMNS)}\n"
        f"  XACLE: {', '.join(xacle.COLUMNS)}\n"
        f"  plain: {', '.join(plain.COLUMNS)} [, {', '.join(plain.OPTIONAL_COLUMNS)}]"
    )


def _doubt_the_scale(path: Path, ratings: Sequence[Rating], scale: RatingScale) -> None:
    """Log a warning where all ratings lie in the lowest tenth of the scale, or, where none was
    stated, in 1..5 or 0..1.
    """
    highest = max(rating.score for rating in ratings)
    other = other_scale([rating.score for rating in ratings], scale)
    if other is not None:
        logger.warning(
            "%s: no rating leaves %s, on a scale of %s that was not stated; is it right?",
            path,
            other,
            scale,
        )
    elif len(ratings) >= ENOUGH_TO_DOUBT and scale.to_unit(highest) <= 0.1:
        logger.warning(
            "%s: no rating is above %g on a scale of %s; is the scale right?", path, highest, scale
        )
