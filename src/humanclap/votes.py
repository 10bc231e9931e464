"""People's choices counted by question: votes."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from humanclap.pairs import agreed
from humanclap.records import ANCHOR, Choice, Votes

logger = logging.getLogger(__name__)

VOTE_COLUMNS = ("n_first", "n_second", "n_equal")
LABELS = ("kind", "system_a", "system_b", "split")


def votes_of(
    choices: Sequence[Choice], *, include_anchors: bool = False, path: str | Path | None = None
) -> list[Votes]:
    """Count choices by question, in order of first appearance; sides as in its first row.

    Rows of one question with exchanged sides are joined. A repeat does not count, unless its
    listener's first answer is not among `choices`. Attention checks do not count either; with
    `include_anchors` those that have clips and texts to judge do, and their votes are of kind
    anchor. path: of the table, for messages.
    Raises InputError where a question has two kinds, splits or systems, naming the lines.
    """
    counted = [
        (one, (one.listener_id, one.choice_id))
        for one in choices
        if one.is_asked(include_anchors=include_anchors)
    ]
    answered = {key for one, key in counted if not one.repeat}
    questions: dict[str, list[Choice]] = {}
    for one, key in counted:
        if one.repeat and key in answered:
            continue
        answered.add(key)
        of_question = questions.setdefault(key[1], [])
        turned = bool(of_question) and of_question[0].pair_id_a != one.pair_id_a
        of_question.append(one.swapped() if turned else one)
    where = "line " if path is None else f"{path}:"
    return [_counted(of_question, where) for of_question in questions.values()]


def _counted(choices: Sequence[Choice], where: str) -> Votes:
    first, counts = choices[0], Counter(one.choice for one in choices)
    labels = {
        name: agreed(choices, name, what="question", show=_sides, where=where) for name in LABELS
    }
    if any(one.is_check for one in choices):
        labels["kind"] = ANCHOR  # votes have no `expected` to tell a check by
    return Votes(
        audio_a=first.audio_a,
        text_a=first.text_a,
        audio_b=first.audio_b,
        text_b=first.text_b,
        n_first=counts["first"],
        n_second=counts["second"],
        n_equal=counts["equal"],
        **labels,
    )


def _sides(one: Choice) -> str:
    return f"{one.audio_a!r}, {one.text_a!r} against {one.audio_b!r}, {one.text_b!r}"


def joined_votes(path: Path, votes: Sequence[Votes]) -> list[Votes]:
    """Add up the rows of a question where some of them have the sides exchanged.

    Rows of one question with the sides in the same order stay apart; a warning counts them.
    path: of their table, for that warning.
    """
    questions: dict[tuple[object, ...], list[int]] = {}
    for number, one in enumerate(votes):
        made_by = {(one.pair_id_a, one.system_a), (one.pair_id_b, one.system_b)}
        key = (one.choice_id, one.kind, one.split, frozenset(made_by))
        questions.setdefault(key, []).append(number)
    joined, repeated = dict(enumerate(votes)), 0
    for numbers in questions.values():
        rows = [votes[number] for number in numbers]
        if len({one.pair_id_a for one in rows}) == 1:
            repeated += len(rows) > 1
            continue
        joined[numbers[0]] = _added(rows)
        for number in numbers[1:]:
            del joined[number]
    if repeated:
        logger.warning(
            "%s: %d question%s in several rows with sides in the same order; each row counts",
            path,
            repeated,
            " appears" if repeated == 1 else "s appear",
        )
    return list(joined.values())


def _added(rows: Sequence[Votes]) -> Votes:
    first = rows[0]
    turned = [one if one.pair_id_a == first.pair_id_a else one.swapped() for one in rows]
    sums = {name: sum(getattr(one, name) for one in turned) for name in VOTE_COLUMNS}
    return replace(first, **sums)
