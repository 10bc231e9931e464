"""Pair the systems and prompts of two tables; report or refuse what has no counterpart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from humanclap.errors import InputError, listed
from humanclap.evaluation.gate.settings import GateSettings
from humanclap.evaluation.gate.table import GateRow, GateTable
from humanclap.grouping import caption_key

MAX_NAMED = 3
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedPrompts:
    """A system on its prompts, and the baseline's on the same ones where there is one.

    prompts: their keys, sorted; texts: as the new table writes them; new, baseline: mean value of
    each prompt's clips, (prompts,), the latter empty without a baseline; rows, baseline_rows: the
    scored clips of these prompts. left_out: texts that one side lacks; unscored: texts of which a
    side has failed rows only.
    """

    system: str | None
    baseline_system: str | None
    prompts: tuple[str, ...]
    texts: tuple[str, ...]
    new: Floats
    baseline: Floats
    rows: tuple[GateRow, ...]
    baseline_rows: tuple[GateRow, ...]
    left_out: tuple[str, ...]
    unscored: tuple[str, ...]


def paired_systems(
    new: GateTable, baseline: GateTable | None, settings: GateSettings
) -> list[PairedPrompts]:
    """Every system of the new table that is judged, with its prompts.

    Raises InputError for systems that one side lacks or that could be meant in two ways, and for
    prompts that one side lacks, unless `shared_only`.
    """
    chosen = _chosen(new, settings)
    if baseline is None:
        return [_paired(new, system, None, None, settings) for system in chosen]
    pairs = _opposite(new, baseline, chosen, settings)
    if new.where == baseline.where and any(system == other for system, other in pairs):
        raise new.error(
            "a system would be compared with itself; name the old one's table as the baseline, or "
            "its system with --baseline-system"
        )
    return [_paired(new, system, baseline, other, settings) for system, other in pairs]


def _chosen(new: GateTable, settings: GateSettings) -> list[str | None]:
    there = new.systems()
    unknown = [name for name in settings.systems if name not in there]
    if unknown:
        raise new.error(f"no system {unknown[0]!r}; there are: {_named(there)}")
    return [name for name in there if not settings.systems or name in settings.systems]


def _opposite(
    new: GateTable, baseline: GateTable, chosen: Sequence[str | None], settings: GateSettings
) -> list[tuple[str | None, str | None]]:
    """Each chosen system with the baseline's that it is set against."""
    there = baseline.systems()
    if settings.baseline_system is not None:
        if settings.baseline_system not in there:
            raise baseline.error(
                f"no system {settings.baseline_system!r}; there are: {_named(there)}"
            )
        if len(chosen) > 1:
            raise new.error(
                f"{len(chosen)} systems ({_named(chosen)}) against one of the baseline; --system "
                "chooses one"
            )
        return [(chosen[0], settings.baseline_system)]
    if len(chosen) == len(there) == 1:
        return [(chosen[0], there[0])]
    lacking = [name for name in chosen if name not in there]
    gone = [] if settings.systems else [name for name in there if name not in chosen]
    if lacking or gone:
        raise InputError(
            f"{new.where} has the systems {_named(chosen)}, {baseline.where} has {_named(there)}; "
            "choose with --system those that both have, or one of each with --system and "
            "--baseline-system"
        )
    return [(name, name) for name in chosen]


def _named(systems: Sequence[str | None]) -> str:
    return listed(systems, 8, show=lambda name: "rows without a system" if name is None else name)


def _paired(
    new: GateTable,
    system: str | None,
    baseline: GateTable | None,
    other: str | None,
    settings: GateSettings,
) -> PairedPrompts:
    mine = _by_prompt(new, system)
    theirs = mine if baseline is None else _by_prompt(baseline, other)
    apart = sorted(mine.keys() ^ theirs.keys())
    if baseline is not None and apart and not settings.shared_only:
        raise _unlike(new, mine, baseline, theirs)
    shared = sorted(mine.keys() & theirs.keys())
    prompts = [key for key in shared if _values(mine[key]) and _values(theirs[key])]
    unscored = [key for key in shared if key not in set(prompts)]
    text = {key: rows[0].score.text for key, rows in {**theirs, **mine}.items()}
    return PairedPrompts(
        system=system,
        baseline_system=other,
        prompts=tuple(prompts),
        texts=tuple(text[key] for key in prompts),
        new=_means(mine, prompts),
        baseline=np.empty(0) if baseline is None else _means(theirs, prompts),
        rows=_scored(mine, prompts),
        baseline_rows=() if baseline is None else _scored(theirs, prompts),
        left_out=tuple(text[key] for key in apart),
        unscored=tuple(text[key] for key in unscored),
    )


def _by_prompt(table: GateTable, system: str | None) -> dict[str, list[GateRow]]:
    found: dict[str, list[GateRow]] = {}
    for row in table.rows:
        if row.score.system == system:
            found.setdefault(caption_key(row.score.text), []).append(row)
    return found


def _values(rows: Sequence[GateRow]) -> list[float]:
    return [row.score.score for row in rows if row.score.error is None]


def _means(rows: dict[str, list[GateRow]], prompts: Sequence[str]) -> Floats:
    return np.array([np.mean(sorted(_values(rows[key]))) for key in prompts], dtype=np.float64)


def _scored(rows: dict[str, list[GateRow]], prompts: Sequence[str]) -> tuple[GateRow, ...]:
    return tuple(row for key in prompts for row in rows[key] if row.score.error is None)


def _unlike(
    new: GateTable,
    mine: dict[str, list[GateRow]],
    baseline: GateTable,
    theirs: dict[str, list[GateRow]],
) -> InputError:
    told = []
    for table, rows, lacks in ((new, mine, theirs), (baseline, theirs, mine)):
        alone = sorted(rows.keys() - lacks.keys())
        if alone:
            first = rows[alone[0]][0]
            named = listed([rows[key][0].score.text for key in alone], MAX_NAMED, show=repr)
            told.append(f"{len(alone)} only in {table.where} (line {first.line}): {named}")
    both = len(mine.keys() & theirs.keys())
    return InputError(
        f"the prompts differ: {'; '.join(told)}; score the same prompts, or give --shared-only "
        f"to compare on the {both} that both have"
    )
