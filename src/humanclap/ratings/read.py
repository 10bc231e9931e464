"""Read ratings in any known form; the columns tell the form."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

from humanclap import xacle
from humanclap.choices import choice_form, has_sides, not_choices
from humanclap.errors import InputError, SettingsError, TableError
from humanclap.ratings import plain, relate
from humanclap.records import Question, Rating
from humanclap.scale import ENOUGH_TO_DOUBT, UNSTATED, RatingScale, other_scale
from humanclap.tables import Table, read_table

logger = logging.getLogger(__name__)

_FORMS = (
    (relate.COLUMNS, relate.read_relate),
    (xacle.RATING_COLUMNS, xacle.read_xacle_ratings),
    (plain.COLUMNS, plain.read_plain),
)


def read_ratings(
    *paths: str | Path, question: str | None = None, scale: RatingScale | None = None
) -> list[Rating]:
    """Read tables of ratings, end to end: RELATE's, XACLE's or the plain long form.

    question: REL, IS or OS, for a table that does not say which it answers; scale: 0..10 unless
    given. Raises TableError (file:line) for unknown columns, a rating outside the scale and a cell
    that cannot be used; InputError where a listener rates a pair twice, in one table or in two.
    """
    if question is not None and question not in get_args(Question):
        raise SettingsError(f"question is {question!r}; expected one of REL, IS, OS")
    scale = scale or UNSTATED
    files = [(path, _read_one(Path(path), question, scale)) for path in paths]
    _check_answered_once(files)
    return [rating for _, ratings in files for rating in ratings]


def _check_answered_once(files: Sequence[tuple[str | Path, Sequence[Rating]]]) -> None:
    """Raise InputError where a listener answers one question about one pair twice.

    No known table repeats an answer (RELATE's three do not), so a repeat is taken for a mistake.
    """
    first: dict[tuple[str, ...], tuple[str | Path, int | None]] = {}
    for path, ratings in files:
        for rating in ratings:
            key = (rating.listener_id, rating.audio, rating.text, rating.question, rating.kind)
            if key not in first:
                first[key] = (path, rating.line)
                continue
            home, line = first[key]
            where = f"line {line}" if home == path else f"{home}:{line}"
            if (home, line) == (path, rating.line):
                where = "the same line: the file is given twice"
            raise InputError(
                f"{path}:{rating.line}: listener {rating.listener_id!r} has rated this pair "
                f"already on {where} (question {rating.question}, {rating.audio!r}, "
                f"{rating.text!r}); keep one of the two"
            )


TableKind = Literal["ratings", "averages", "targets", "choices", "votes"]


def table_kind(path: str | Path) -> TableKind:
    """What the columns show: XACLE's averages, targets or votes that `aggregate` made, FENSE's
    votes, choices of listeners, else ratings.
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
        f"  XACLE: {', '.join(xacle.RATING_COLUMNS)}\n"
        f"  plain: {', '.join(plain.COLUMNS)} [, {', '.join(plain.OPTIONAL_COLUMNS)}]"
    )


def _doubt_the_scale(path: Path, ratings: Sequence[Rating], scale: RatingScale) -> None:
    """Log a warning where all ratings lie in the lowest tenth of the scale.

    Where no scale was stated, a warning also says that all lie in 1..5 or 0..1.
    """
    highest = max(rating.score for rating in ratings)
    other = other_scale([rating.score for rating in ratings], scale)
    if other is not None:
        logger.warning(
            "%s: all ratings lie in %s and no scale was stated, so it is taken as %s; is it right?",
            path,
            other,
            scale,
        )
    elif len(ratings) >= ENOUGH_TO_DOUBT and scale.to_unit(highest) <= 0.1:
        logger.warning(
            "%s: no rating is above %g on a scale of %s; is the scale right?", path, highest, scale
        )
