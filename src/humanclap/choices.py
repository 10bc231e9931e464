"""Tables of people's choices: each row has one answer, or the votes of all listeners.

A table of answers has `audio,text_a,text_b,choice,listener_id` for two texts of one clip,
`text,audio_a,audio_b,choice,listener_id` for two clips of one text, or, for both kinds,
`audio_a,text_a,audio_b,text_b,choice,listener_id`. A table of votes has, in place of
`choice,listener_id`, the columns `n_first,n_second,n_equal`, or `judge1`, `judge2`, ... (1 the
first, -1 the second, 0 neither) and `sum`. FENSE's own JSON (`fense`) is read as votes too.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, cast, get_args

from humanclap.errors import TableError
from humanclap.fense import is_fense, read_fense
from humanclap.records import Answer, Choice, Side, Votes
from humanclap.tables import Row, Table, optional_columns, read_table, write_rows
from humanclap.votes import LABELS, VOTE_COLUMNS, joined_votes, votes_of

logger = logging.getLogger(__name__)

SIDES: dict[str, tuple[str, ...]] = {
    "texts": ("audio", "text_a", "text_b"),
    "clips": ("text", "audio_a", "audio_b"),
    "both": ("audio_a", "text_a", "audio_b", "text_b"),
}
"""Columns of the two sides, for choices between texts, between clips, and of both kinds."""
ANSWER_COLUMNS = ("choice", "listener_id")
CHOICE_OPTIONS = (*LABELS, "expected", "shown_first", "duration_s", "repeat")
_JUDGE = re.compile(r"judge\d+")
_WORDS: dict[str, Answer] = {
    **dict.fromkeys(("first", "1", "a", "left", "text_a", "audio_a"), "first"),
    **dict.fromkeys(("second", "2", "-1", "b", "right", "text_b", "audio_b"), "second"),
    **dict.fromkeys(("equal", "0", "=", "tie", "same", "both", "neither", "none"), "equal"),
}
"""What people write instead, and the word that it most likely means."""

Form = Literal["choices", "votes", "judges", "fense"]


def choice_form(columns: Iterable[str]) -> Form | None:
    """What the columns show: rows of answers, votes, judges, FENSE's JSON, or None for others.

    >>> choice_form(["audio", "text_a", "text_b", "judge1", "judge2", "sum"])
    'judges'
    """
    columns = set(columns)
    if is_fense(columns):
        return "fense"
    if not has_sides(columns):
        return None
    if columns.issuperset(ANSWER_COLUMNS):
        return "choices"
    if columns.issuperset(VOTE_COLUMNS):
        return "votes"
    return "judges" if any(map(_JUDGE.fullmatch, columns)) else None


def read_choices(*paths: str | Path) -> list[Choice]:
    """Read long tables of choices, end to end, in the order of their rows.

    Further columns: `kind`, `system_a`, `system_b`, `split`, `expected`, `shown_first` (a or b),
    `duration_s`, `repeat` (true or false). `choice` and `expected` are first (a), second (b) or
    equal. A listener's second answer to a question is a repeat where the sides were exchanged, or
    where the table says so.
    Raises TableError (file:line) for another form, a cell that is empty, NaN or unknown, a row in
    which nothing or both differ, and for a question that a listener answers twice.
    """
    return _choices_in([read_table(path) for path in paths])


def _choices_in(tables: Sequence[Table]) -> list[Choice]:
    answered: dict[tuple[str, str], list[tuple[Path, Choice]]] = {}
    read = []
    for table in tables:
        if choice_form(table.columns) != "choices":
            raise TableError(table.path, not_choices(table.columns), 1)
        sides = _sides_of(table)
        for row in table.rows:
            choice = row.make(partial(_choice, row, sides))
            if not choice.repeat:
                before = answered.setdefault((choice.listener_id, choice.choice_id), [])
                before.append((table.path, choice))
                choice = _answered_before(row, choice, before[:-1])
            read.append(choice)
    return read


def read_votes(path: str | Path, *, include_anchors: bool = False) -> list[Votes]:
    """Read any table of choices as votes, one record a question, in order of first appearance.

    `votes_of` counts the answers of a long table. Rows of votes with the same labels and exchanged
    sides are added up; rows with the sides in the same order stay apart, as FENSE counts them.
    Attention checks (kind anchor or attention_check, or a right answer in `expected`) are left out;
    `include_anchors` keeps those that are not of kind attention_check. The log counts what is left
    out. Raises TableError as `read_choices`, where `sum` or `share` contradicts the votes, and
    where nothing is left.
    """
    path = Path(path)
    table = read_table(path)
    form = choice_form(table.columns)
    if form == "choices":
        choices = _choices_in([table])
        asked = [one for one in choices if one.is_asked(include_anchors=include_anchors)]
        _tell_checks(path, len(choices) - len(asked), "answers to attention checks")
        votes = votes_of(asked, include_anchors=include_anchors, path=path)
    elif form is None:
        raise TableError(path, not_choices(table.columns), 1)
    else:
        votes = _read_counted(path, table, form, include_anchors)
    if not votes:
        raise TableError(path, "holds only attention checks; nothing is left to count")
    return votes


def _read_counted(path: Path, table: Table, form: Form, include_anchors: bool) -> list[Votes]:
    every = read_fense(path) if form == "fense" else _counted_rows(table, form)
    kept = [votes for votes in every if votes.is_asked(include_anchors=include_anchors)]
    _tell_checks(path, len(every) - len(kept), "attention checks")
    return joined_votes(path, kept)


def _counted_rows(table: Table, form: Form) -> list[Votes]:
    sides = _sides_of(table)
    judges = sorted(filter(_JUDGE.fullmatch, table.columns), key=lambda name: int(name[5:]))
    count = (lambda row: _judged(row, judges)) if form == "judges" else _counted
    return table.make(lambda row: _votes_in(row, sides, count))


def write_choices(path: str | Path, choices: Sequence[Choice]) -> None:
    """Write choices so that `read_choices` reads them; whole or not at all."""
    columns = (*SIDES[_form_of_sides(choices)], *ANSWER_COLUMNS, *CHOICE_OPTIONS)
    rows = ({**_row_of(one), "repeat": "true" if one.repeat else None} for one in choices)
    write_rows(path, columns, rows)


def write_votes(
    path: str | Path, votes: Sequence[Votes], further: Mapping[str, Sequence[float]] | None = None
) -> None:
    """Write votes so that `read_votes` reads them; whole or not at all.

    further: more columns behind `share`, such as the ends of its interval, shape (votes,) each.
    """
    further = further or {}
    columns = (*SIDES[_form_of_sides(votes)], *VOTE_COLUMNS, "n", "share", *further, *LABELS)
    rows = (
        {**_row_of(one), **{name: values[number] for name, values in further.items()}}
        for number, one in enumerate(votes)
    )
    write_rows(path, columns, rows)


# -- reading rows ---------------------------------------------------------------------------


def has_sides(columns: Iterable[str]) -> bool:
    """Whether a table with these columns has two sides to choose between."""
    return any(set(sides) <= set(columns) for sides in SIDES.values())


def not_choices(columns: Sequence[str]) -> str:
    """Why `read_choices` cannot take a table with these columns, with the known forms."""
    if choice_form(columns) is not None:
        return "these are votes without the listeners who gave them; read_votes reads them"
    return (
        f"not a table of choices: the table has {', '.join(columns)}. Known forms:\n"
        f"  two texts of a clip: {', '.join((*SIDES['texts'], *ANSWER_COLUMNS))}\n"
        f"  two clips of a text: {', '.join((*SIDES['clips'], *ANSWER_COLUMNS))}\n"
        f"  votes on either: {', '.join(VOTE_COLUMNS)}, or judge1, judge2, ... [, sum] in place "
        f"of {', '.join(ANSWER_COLUMNS)}\n"
        f"  further columns: {', '.join(CHOICE_OPTIONS)}"
    )


def _sides_of(table: Table) -> str:
    found = [name for name, sides in SIDES.items() if set(sides) <= set(table.columns)]
    return "both" if "both" in found else found[0]


def _cells_of_sides(row: Row, sides: str) -> dict[str, Any]:
    cells = {column: present(row, column) for column in SIDES[sides]}
    if sides == "texts":
        cells["audio_a"] = cells["audio_b"] = cells.pop("audio")
    if sides == "clips":
        cells["text_a"] = cells["text_b"] = cells.pop("text")
    return cells


def present(row: Row, column: str) -> str:
    """The cell; raises TableError where it is empty or a word for a missing value, such as nan."""
    value = row.text(column)
    if value.casefold() in ("nan", "<na>", "null"):
        raise row.error(f"column {column!r} is {value!r}, which means that the value is missing")
    return value


def _choice(row: Row, sides: str) -> Choice:
    expected = None if row.optional("expected") is None else _answer(row, "expected")
    return Choice(
        **_cells_of_sides(row, sides),
        choice=_answer(row, "choice"),
        listener_id=present(row, "listener_id"),
        expected=expected,
        shown_first=cast("Side | None", row.optional("shown_first")),
        duration_s=row.optional_number("duration_s"),
        repeat=_truth(row, "repeat"),
        line=row.line,
        **optional_columns(row, *LABELS),
    )


def _answer(row: Row, column: str) -> Answer:
    word = present(row, column)
    if word in get_args(Answer):
        return cast(Answer, word)
    likely = _WORDS.get(word.casefold())
    hint = f" (did you mean {likely}?)" if likely else ""
    raise row.error(
        f"{column} is {word!r}; expected first (the side a), second (the side b) or equal{hint}"
    )


def _truth(row: Row, column: str) -> bool:
    word = row.optional(column)
    if word is None or word.casefold() in ("false", "0", "no"):
        return False
    if word.casefold() in ("true", "1", "yes"):
        return True
    raise row.error(f"{column} is {word!r}; expected true or false")


def _answered_before(row: Row, choice: Choice, before: Sequence[tuple[Path, Choice]]) -> Choice:
    """The choice, marked as a repeat where the sides are exchanged; else answered twice: raises."""
    if not before:
        return choice
    same_order = [(path, one) for path, one in before if _in_front(one) == _in_front(choice)]
    if not same_order:
        return replace(choice, repeat=True)
    path, same = same_order[0]
    where = f"line {same.line}" if path == row.path else f"{path}:{same.line}"
    raise row.error(
        f"listener {choice.listener_id!r} has answered this question already on {where} "
        f"({choice.audio_a!r}, {choice.text_a!r} against {choice.audio_b!r}, {choice.text_b!r}); "
        "keep one of the two, or mark one as a repeat: column repeat, true"
    )


def _in_front(choice: Choice) -> str:
    return choice.pair_id_b if choice.shown_first == "b" else choice.pair_id_a


def _votes_in(row: Row, sides: str, count: Callable[[Row], dict[str, int]]) -> Votes:
    labels: dict[str, Any] = optional_columns(row, *LABELS)
    counts: dict[str, Any] = count(row)
    votes = Votes(**_cells_of_sides(row, sides), **counts, **labels)
    for name, true, tolerance in (("n", votes.n, 0.0), ("share", votes.share, 5e-3)):
        if row.optional(name) is not None and abs(row.number(name) - true) > tolerance:
            raise row.error(
                f"{name} is {row.text(name)}, but the votes {votes.n_first}, {votes.n_second} and "
                f"{votes.n_equal} make {true:.4g}; correct one of them"
            )
    return votes


def _counted(row: Row) -> dict[str, int]:
    return {column: row.count(column) for column in VOTE_COLUMNS}


def _judged(row: Row, judges: Sequence[str]) -> dict[str, int]:
    votes = Counter(row.number(judge) for judge in judges)
    unknown = votes.keys() - {1, -1, 0}
    if unknown:
        judge = next(judge for judge in judges if row.number(judge) in unknown)
        raise row.error(
            f"{judge} is {row.text(judge)!r}; expected 1 (the first), -1 (the second) or 0 (equal)"
        )
    if row.optional("sum") is not None and row.number("sum") != votes[1] - votes[-1]:
        total = votes[1] - votes[-1]
        raise row.error(
            f"sum is {row.text('sum')}, but the votes make {total}; correct one of them"
        )
    return {"n_first": votes[1], "n_second": votes[-1], "n_equal": votes[0]}


def _tell_checks(path: Path, n: int, what: str) -> None:
    if n:
        logger.warning("%s: %d %s left out", path, n, what)


# -- writing --------------------------------------------------------------------------------


def _form_of_sides(records: Sequence[Choice] | Sequence[Votes]) -> str:
    kinds = {one.between for one in records}
    return kinds.pop() if len(kinds) == 1 else "both"


def _row_of(record: Choice | Votes) -> dict[str, Any]:
    names = {*SIDES["both"], *ANSWER_COLUMNS, *VOTE_COLUMNS, *CHOICE_OPTIONS, "n", "share"}
    row = {name: getattr(record, name) for name in names if hasattr(record, name)}
    return {**row, "audio": record.audio_a, "text": record.text_a}
