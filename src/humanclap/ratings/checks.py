"""Checks every reader of ratings makes: the scale, and one answer a listener and pair."""

from __future__ import annotations

from collections.abc import Iterable

from humanclap.errors import InputError
from humanclap.records import Rating
from humanclap.scale import RatingScale
from humanclap.tables import Row

_OTHER_SCALES = (RatingScale(high=10.0), RatingScale(high=100.0), RatingScale(low=-100, high=100))


def score_on_scale(row: Row, scale: RatingScale, column: str = "score") -> float:
    """The cell as a rating; raises TableError where it is outside the scale."""
    score = row.number(column)
    if score in scale:
        return score
    wider = next((other for other in _OTHER_SCALES if score in other), None)
    hint = f" (is this file on a {wider.low:g}-{wider.high:g} scale?)" if wider else ""
    raise row.error(f"rating {score:g} is outside {scale}{hint}")


def check_answered_once(files: Iterable[tuple[object, Iterable[Rating]]]) -> None:
    """Raise InputError where one listener answers one question about one pair twice.

    files: (path, its ratings). The message names both lines. No known table repeats an answer
    (RELATE's three have none), so a repeat is taken for a mistake, never averaged or dropped.
    """
    first: dict[tuple[str, ...], tuple[object, int | None]] = {}
    for path, ratings in files:
        for rating in ratings:
            key = (rating.listener_id, rating.audio, rating.text, rating.question, rating.kind)
            if key in first:
                home, line = first[key]
                where = f"line {line}" if home == path else f"{home}:{line}"
                if (home, line) == (path, rating.line):
                    where = "the same line: the file is given twice"
                raise InputError(
                    f"{path}:{rating.line}: listener {rating.listener_id!r} has rated this pair "
                    f"already on {where} (question {rating.question}, {rating.audio!r}, "
                    f"{rating.text!r}); keep one of the two"
                )
            first[key] = (path, rating.line)
