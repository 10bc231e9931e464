"""The table behind an evaluation: each judged pair, with every column of both tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path

from humanclap.evaluation.join import KEYS
from humanclap.evaluation.result import JudgedPair
from humanclap.evaluation.settings import Key
from humanclap.tables import Further, read_scored, read_table, read_targets, with_further

_SAID = {"mos": "human"}
"""Columns of targets that a judged pair has under another name."""


def pair_rows(
    pairs: Sequence[JudgedPair], scores: str | Path, targets: str | Path, key: Key
) -> tuple[list[str], list[Mapping[str, object]]]:
    """Columns and rows: those of JudgedPair, then all other columns of the two tables.

    A column that both tables have, or that a judged pair has too, stands once where all cells are
    equal; else that of the targets gets `_of_target` behind its name, and one that a judged pair
    has `_before` (`tables.kept_as`). key: how the tables were joined.
    """
    own = [field.name for field in fields(JudgedPair)]
    of_score = _cells(scores, read_scored(scores)[0], key)
    of_target = _cells(targets, read_targets(targets), key)
    rows = [(pair, KEYS[key](pair)) for pair in pairs]
    further: dict[str, dict[str, str]] = {}
    scored = list(next(iter(of_score.values())))
    targeted = list(next(iter(of_target.values())))
    unlike = {
        name
        for name in set(scored) & set(targeted)
        if any(of_score[place][name] != of_target[place][name] for _, place in rows)
    }
    for pair, place in rows:
        cells = dict(of_score[place])
        for name, cell in of_target[place].items():
            cells[f"{name}_of_target" if name in unlike else name] = cell
        further[pair.pair_id] = cells
    said = _said(pairs, further, own)
    further = {
        pair_id: {name: cell for name, cell in cells.items() if name not in said}
        for pair_id, cells in further.items()
    }
    return with_further(own, ((pair.pair_id, asdict(pair)) for pair in pairs), further)


def _cells(path: str | Path, records: Sequence[object], key: Key) -> dict[str, Mapping[str, str]]:
    """All cells of the table by the key of the join."""
    table = read_table(path)
    return {
        KEYS[key](record): {name: row.cells.get(name, "") for name in table.columns}  # type: ignore[arg-type]
        for record, row in zip(records, table.rows, strict=True)
    }


def _said(pairs: Sequence[JudgedPair], further: Further, own: Sequence[str]) -> set[str]:
    """Columns whose cells all say what the judged pair says."""
    names = [name for name in next(iter(further.values()), {}) if _SAID.get(name, name) in own]
    return {
        name
        for name in names
        if all(
            _same(further[pair.pair_id][name], getattr(pair, _SAID.get(name, name)))
            for pair in pairs
        )
    }


def _same(cell: str, value: object) -> bool:
    cell = cell.strip()
    if isinstance(value, int | float):
        try:
            return float(cell or "nan") == value or (value != value and not cell)
        except ValueError:
            return False
    return cell == (value or "")
