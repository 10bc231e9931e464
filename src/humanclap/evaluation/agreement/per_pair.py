"""The table behind an evaluation: each judged pair, with every column of both tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import NamedTuple

from humanclap.evaluation.agreement.result import JudgedPair
from humanclap.evaluation.join import KEYS
from humanclap.evaluation.settings import Key
from humanclap.pairs import pair_id_of
from humanclap.tables import Row, further_names, read_table

_SAID = {"mos": "human"}
"""Columns of targets that a judged pair has under another name."""
_OWN = [field.name for field in fields(JudgedPair)]

Columns = Mapping[str, Sequence[str]]


def pair_rows(
    pairs: Sequence[JudgedPair], scores: str | Path, targets: str | Path, key: Key
) -> tuple[list[str], Iterator[Mapping[str, object]]]:
    """Columns and rows: those of JudgedPair, then all other columns of the two tables.

    A column that both tables have, or that a judged pair has too, stands once where all cells are
    equal; else that of the targets gets `_of_target` behind its name, and one that a judged pair
    has `_before` (`tables.further_names`). key: how the tables were joined. The rows are made as
    they are asked for: what is held is a pointer a cell.
    """
    place = {KEYS[key](pair): i for i, pair in enumerate(pairs)}
    found = dict(_cells(scores, place, key))
    for name, cells in _cells(targets, place, key).items():
        alike = name not in found or found[name] == cells
        found[name if alike else f"{name}_of_target"] = cells
    further = {name: cells for name, cells in found.items() if not _is_said(name, cells, pairs)}
    names = further_names(_OWN, further)
    kept = [(names[name], cells) for name, cells in further.items() if name in names]
    return [*_OWN, *(name for name, _ in kept)], _rows(pairs, kept)


class _Named(NamedTuple):
    """What names the pair of a row."""

    audio: str
    text: str
    pair_id: str

    @classmethod
    def of(cls, row: Row) -> _Named:
        audio, text = row.text("audio"), row.text("text")
        return cls(audio, text, row.optional("pair_id") or pair_id_of(audio, text))


def _rows(
    pairs: Sequence[JudgedPair], kept: Sequence[tuple[str, Sequence[str]]]
) -> Iterator[Mapping[str, object]]:
    for i, pair in enumerate(pairs):
        own = {name: getattr(pair, name) for name in _OWN}
        yield {**{name: cells[i] for name, cells in kept}, **own}


def _cells(path: str | Path, place: Mapping[str, int], key: Key) -> Columns:
    """All cells of the table by column, in the order of the judged pairs."""
    table = read_table(path)
    order = [-1] * len(place)
    for i, row in enumerate(table.rows):
        judged = place.get(KEYS[key](_Named.of(row)))
        if judged is not None:
            order[judged] = i
    found = {}
    for name in table.columns:
        cells = table.column(name)
        found[name] = [cells[i] for i in order]
    return found


def _is_said(name: str, cells: Sequence[str], pairs: Sequence[JudgedPair]) -> bool:
    """Whether the cells of a column all say what the judged pair says."""
    name = _SAID.get(name, name)
    return name in _OWN and all(
        _same(cell, getattr(pair, name)) for cell, pair in zip(cells, pairs, strict=True)
    )


def _same(cell: str, value: object) -> bool:
    cell = cell.strip()
    if isinstance(value, int | float):
        try:
            return float(cell or "nan") == value or (value != value and not cell)
        except ValueError:
            return False
    return cell == (value or "")
