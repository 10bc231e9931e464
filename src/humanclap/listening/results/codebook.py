"""What every column of the exported tables means, and every code in them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from humanclap.listening.design.design import StudyDesign
from humanclap.listening.design.listener_questions import relate_code
from humanclap.settings import read_toml

COLUMNS = ("file", "column", "meaning", "value", "value_means")
CODED = "relate_listeners.csv"

_BOOK = read_toml(Path(__file__).with_suffix(".toml"))


def codebook(
    design: StudyDesign, tables: Sequence[tuple[str, Sequence[str]]]
) -> Iterator[dict[str, str]]:
    """A row for each column of each table, and behind it a row for each code that it may hold.

    tables: name of each exported file and its columns. Columns that the study's own questions
    about the listener fill are explained by the question as it was asked.
    """
    compared = design.between is not None
    meanings = _BOOK["meanings"] | (_BOOK["meanings_of_choices"] if compared else {})
    codes = _BOOK["codes"] | (_BOOK["codes_of_choices"] if compared else {})
    asked = {question.id: question for question in design.listener_questions}
    for file, columns in tables:
        for column in columns:
            question = None if column in meanings else asked.get(column)
            meaning = meanings.get(column, "")
            values = codes.get(_BOOK["same_codes"].get(column, column), {})
            if question is not None:
                place = "before the first" if question.when == "before" else "after the last"
                meaning = f"asked {place} sound: {question.prompt}"
                coded = file == CODED
                values = {relate_code(question, c) if coded else c: c for c in question.choices}
            plain = {"file": file, "column": column, "meaning": meaning}
            yield plain
            for value, means in values.items():
                yield plain | {"value": value, "value_means": means}
