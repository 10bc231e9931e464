"""Bring scores and human targets together, by key and never by order; no row vanishes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

from humanclap.errors import InputError, SignatureMismatchError, listed
from humanclap.evaluation.settings import EvaluationSettings, Key
from humanclap.grouping import Paired
from humanclap.records import Score
from humanclap.signature import common_signature, comparable
from humanclap.tables import Table, read_table, scores_in

MAX_NAMED = 5
"""How many pairs an error names."""

Row = TypeVar("Row", bound=Paired)
Judged = TypeVar("Judged", bound=Paired, covariant=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreTable:
    """One metric's scores: `name` stands in the report, `where` (the file) in errors.

    intervals: predicted intervals of the rating by `pair_id` (columns rating_low, rating_high).
    """

    name: str
    scores: Sequence[Score]
    where: str = ""
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.where:
            object.__setattr__(self, "where", self.name)

    @classmethod
    def read(cls, path: str | Path, *, name: str | None = None) -> ScoreTable:
        """Read a score table of any metric; named after its file unless `name` says otherwise."""
        table = read_table(path)
        scores = scores_in(table)
        return cls(
            name=name or Path(path).stem,
            scores=scores,
            where=str(path),
            intervals=_intervals(table, scores),
        )


def _intervals(table: Table, scores: Sequence[Score]) -> dict[str, tuple[float, float]]:
    if not {"rating_low", "rating_high"} & set(table.columns):
        return {}
    table.require("rating_low", "rating_high")
    found = {}
    for row, score in zip(table.rows, scores, strict=True):
        low, high = (row.optional_number(name) for name in ("rating_low", "rating_high"))
        if low > high:
            raise row.error(f"rating_low {low:g} is above rating_high {high:g}")
        found[score.pair_id] = (low, high)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """What the join did with one score table; the tuples hold pair ids.

    missing: judged targets without a row; failed: with an error row; extra: scores without a
    target; unsigned: rows without a signature in a table where others have one.
    """

    missing: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    signature: str | None = None
    signatures: int = 0
    unsigned: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined(Generic[Judged]):
    """Targets, sorted by key, and for each table the scores in the same order."""

    targets: tuple[Judged, ...]
    scores: Mapping[str, tuple[Score, ...]]
    coverage: Mapping[str, Coverage]


KEYS: dict[str, Callable[[Paired], str]] = {
    "pair_id": lambda row: row.pair_id,
    "audio+text": lambda row: f"{row.audio} | {row.text}",
    "audio-name+text": lambda row: f"{_file_name(row.audio)} | {row.text}",
}


def _file_name(audio: str) -> str:
    return audio.replace("\\", "/").rpartition("/")[2]


def join(
    tables: Sequence[ScoreTable],
    targets: Sequence[Judged],
    *,
    left_out: Sequence[Paired] = (),
    key: Key = "pair_id",
    allow_missing: bool = False,
    force: bool = False,
    targets_where: str = "targets",
    what: str = "target",
) -> Joined[Judged]:
    """Join score tables to targets; with several tables, the pairs that all of them scored.

    left_out: targets not judged (anchors); scores for them are not extra. `pair_id` is the
    table's own column, or the hash of audio and text where it has none. what: how errors call a
    target, which may be any pair with something people said of it.
    Raises InputError for a pair that stands twice under the key, for targets without a usable
    score unless `allow_missing`, and where nothing is left to judge; SignatureMismatchError for
    unlike signatures within one table unless `force`.
    """
    if len({table.name for table in tables}) < len(tables):
        raise InputError("two score tables have one name; give each its own")
    wanted = _by_key(targets, key, targets_where)
    known = wanted.keys() | {KEYS[key](target) for target in left_out}
    found: dict[str, dict[str, Score]] = {}
    coverage: dict[str, Coverage] = {}
    for table in tables:
        rows = _by_key(table.scores, key, table.where)
        found[table.name] = {
            name: row for name, row in rows.items() if name in wanted and not _failed(row)
        }
        coverage[table.name] = _cover(table, rows, wanted, known, force=force)
        if not allow_missing:
            _refuse_missing(table, rows, wanted, key, f"{what}s in {targets_where}")
    shared = sorted(name for name in wanted if all(name in rows for rows in found.values()))
    if not shared:
        hint = _other_key(tables[0].scores, targets, key) if tables else ""
        raise InputError(f"{targets_where}: no {what} has a score in every table{hint}")
    return Joined(
        targets=tuple(wanted[name] for name in shared),
        scores={table: tuple(rows[name] for name in shared) for table, rows in found.items()},
        coverage=coverage,
    )


def join_by(
    settings: EvaluationSettings,
    tables: Sequence[ScoreTable],
    targets: Sequence[Judged],
    *,
    left_out: Sequence[Paired],
    targets_where: str = "targets",
    what: str = "target",
) -> Joined[Judged]:
    """`join` with the key of the settings, and with what they allow."""
    return join(
        tables,
        targets,
        left_out=left_out,
        key=settings.key,
        allow_missing=settings.allow_missing,
        force=settings.force,
        targets_where=targets_where,
        what=what,
    )


def _failed(row: Score) -> bool:
    return row.error is not None or not math.isfinite(row.score)


def _by_key(rows: Iterable[Row], key: Key, where: str) -> dict[str, Row]:
    found: dict[str, Row] = {}
    twice: dict[str, int] = {}
    for row in rows:
        name = KEYS[key](row)
        if name in found:
            twice[name] = twice.get(name, 1) + 1
        found[name] = row
    if twice:
        counted = "1 pair appears" if len(twice) == 1 else f"{len(twice)} pairs appear"
        remedy = (
            "; files of one name in different folders? then --key audio+text"
            if key == "audio-name+text"
            else "; keep one row for each pair"
        )
        raise InputError(
            f"{where}: {counted} more than once under {key}: "
            f"{_named(_told(found[name]) for name in twice)}{remedy}"
        )
    return found


def _cover(
    table: ScoreTable,
    rows: Mapping[str, Score],
    wanted: Mapping[str, Paired],
    known: Iterable[str],
    *,
    force: bool,
) -> Coverage:
    known = set(known)
    signatures = {row.signature for row in table.scores if row.signature}
    unsigned = sum(not row.signature for row in table.scores) if signatures else 0
    signature = None
    try:
        signature = common_signature(signatures, where=table.where)
    except SignatureMismatchError as error:
        if not force:
            raise SignatureMismatchError(f"{error}, or give --force") from error
    return Coverage(
        missing=tuple(wanted[name].pair_id for name in wanted if name not in rows),
        failed=tuple(n.pair_id for k, n in rows.items() if k in wanted and _failed(n)),
        extra=tuple(row.pair_id for name, row in rows.items() if name not in known),
        signature=signature,
        signatures=len(set(map(comparable, signatures))),
        unsigned=unsigned,
    )


def _refuse_missing(
    table: ScoreTable,
    rows: Mapping[str, Score],
    wanted: Mapping[str, Paired],
    key: Key,
    which: str,
) -> None:
    missing = [name for name in wanted if name not in rows]
    failed = [name for name in wanted if name in rows and _failed(rows[name])]
    if missing:
        hint = _other_key(table.scores, list(wanted.values()), key)
        raise InputError(
            f"{table.where}: {len(missing)} of {len(wanted)} {which} have no "
            f"score: {_named(_told(wanted[name]) for name in missing)}{hint}; "
            "score them, or give --allow-missing"
        )
    if failed:
        reasons = [f"{_told(wanted[name])} ({rows[name].error})" for name in failed]
        raise InputError(
            f"{table.where}: {len(failed)} of {len(wanted)} {which} could not "
            f"be scored: {_named(reasons)}; mend them, or give --allow-missing"
        )


def _told(row: Paired) -> str:
    """A pair as its table shows it; a pair_id alone may be a hash that stands in no table."""
    return f"{row.audio} | {row.text} (pair_id {row.pair_id})"


def _other_key(scores: Sequence[Score], targets: Sequence[Paired], key: Key) -> str:
    """Advice to try another key, where one finds more pairs than this one."""

    def matches(name: str) -> int:
        of = KEYS[name]
        return len({of(row) for row in scores} & {of(target) for target in targets})

    best = max(KEYS, key=matches)
    if matches(best) <= matches(key):
        return ""
    return f" (with --key {best}, {matches(best)} would match)"


def _named(names: Iterable[str]) -> str:
    return listed(list(names), MAX_NAMED, show=repr)
