"""A manifest cut into shards, always the same, kept on the driver's disk while it is scored."""

from __future__ import annotations

import hashlib
import json
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from itertools import groupby, islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet

from humanclap.cluster.manifest import Entry
from humanclap.cluster.places import is_url
from humanclap.errors import InputError
from humanclap.records import Score
from humanclap.tables import kept_as

DEFAULT_SHARD_ROWS = 500
SCORE_COLUMNS = tuple(field.name for field in fields(Score))
_TEXTS = ("pair_id", "audio", "text", "system", "subset", "split", "where", "further")


@dataclass(frozen=True, slots=True)
class Shard:
    """Rows that are scored and written together. sha256: of all that the rows say."""

    number: int
    rows: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class ShardPlan:
    """The shards of a manifest, and the file that keeps their rows, a row group each.

    further: column of the manifest -> its name in the table of scores (`tables.kept_as`).
    all_files: each clip is a file of its own, none lies in a store or an archive.
    """

    path: Path
    files: Sequence[str]
    shards: Sequence[Shard]
    further: Mapping[str, str]
    shard_rows: int
    all_files: bool = False

    @property
    def rows(self) -> int:
        """Rows of the manifest."""
        return sum(shard.rows for shard in self.shards)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over all shards."""
        return hashlib.sha256("\n".join(shard.sha256 for shard in self.shards).encode()).hexdigest()

    @property
    def columns(self) -> list[str]:
        """Columns of the table of scores."""
        return [*SCORE_COLUMNS, *self.further.values()]

    def packed(self, numbers: Iterable[int]) -> Iterator[dict[str, Any]]:
        """Shards as they travel: {"shard": number, "rows": an Arrow stream}."""
        with parquet.ParquetFile(self.path) as file:
            for number in numbers:
                table = file.read_row_group(number)
                sink = pa.BufferOutputStream()
                with pa.ipc.new_stream(sink, table.schema) as stream:
                    stream.write_table(table)
                yield {"shard": number, "rows": sink.getvalue().to_pybytes()}


def make_plan(
    entries: Iterable[tuple[int, Entry]],
    files: Sequence[str],
    path: Path,
    *,
    shard_rows: int = DEFAULT_SHARD_ROWS,
) -> ShardPlan:
    """Cut entries, each with the number of its file, into shards of `shard_rows` rows at `path`.

    Raises InputError where there are none, or a `pair_id` stands twice.
    """
    texts = [(name, pa.string()) for name in _TEXTS]
    numbers = [(name, pa.int64()) for name in ("row", "file", "offset", "size")]
    schema = pa.schema([*numbers, *texts])
    shards: list[Shard] = []
    filled: dict[str, bool] = {}
    ids = array("Q")
    all_files = True
    with parquet.ParquetWriter(path, schema) as writer:
        for part in _cut(entries, shard_rows):
            rows = [_row(number, entry, len(ids) + at) for at, (number, entry) in enumerate(part)]
            for _, entry in part:
                ids.append(_short(entry.pair.pair_id))
                all_files = all_files and entry.offset is None and not is_url(entry.where)
                for name, cell in entry.further.items():
                    filled[name] = filled.get(name, False) or bool(cell.strip())
            writer.write_table(pa.Table.from_pylist(rows, schema), row_group_size=len(rows))
            shards.append(Shard(len(shards), len(rows), _digest(rows)))
    if not shards:
        raise InputError(f"{', '.join(files)}: nothing to score, no rows")
    _check_distinct(ids, path, files)
    shown = {"": {name: "filled" if told else "" for name, told in filled.items()}}
    further = kept_as(SCORE_COLUMNS, shown)
    return ShardPlan(path=path, files=files, shards=shards, further=further, shard_rows=shard_rows,
                all_files=all_files)  # fmt: skip


def _cut(
    entries: Iterable[tuple[int, Entry]], shard_rows: int
) -> Iterator[list[tuple[int, Entry]]]:
    """Shards; each ends where its file ends, so that a clip's name means one clip in it."""
    for _, of_file in groupby(entries, key=lambda numbered: numbered[0]):
        while part := list(islice(of_file, shard_rows)):
            yield part


def _row(file: int, entry: Entry, row: int) -> dict[str, Any]:
    pair = entry.pair
    return {
        "row": row,
        "file": file,
        "offset": entry.offset,
        "size": entry.size,
        "pair_id": pair.pair_id,
        "audio": pair.audio,
        "text": pair.text,
        "system": pair.system,
        "subset": pair.subset,
        "split": pair.split,
        "where": entry.where,
        "further": json.dumps(entry.further, ensure_ascii=False) if entry.further else None,
    }


def _digest(rows: Sequence[Mapping[str, Any]]) -> str:
    digest = hashlib.sha256()
    for row in rows:
        digest.update(json.dumps(list(row.values()), ensure_ascii=False).encode())
    return digest.hexdigest()


def _short(pair_id: str) -> int:
    return int.from_bytes(hashlib.sha256(pair_id.encode()).digest()[:8], "big")


def _check_distinct(ids: array[int], path: Path, files: Sequence[str]) -> None:
    """ids: 8 bytes of each row's `pair_id`; those that stand twice are looked at whole."""
    values, counts = np.unique(np.frombuffer(ids, np.uint64), return_counts=True)
    twice = {int(value) for value in values[counts > 1]}
    if not twice:
        return
    first: dict[str, tuple[int, int]] = {}
    with parquet.ParquetFile(path) as file:
        for batch in file.iter_batches(columns=["row", "file", "pair_id"]):
            for row in batch.to_pylist():
                name = row["pair_id"]
                if _short(name) not in twice:
                    continue
                if name in first:
                    before, where = first[name]
                    raise InputError(
                        f"{files[row['file']]}: pair {name!r} (row {row['row'] + 1} of the whole "
                        f"manifest) stands already in {files[where]} (row {before + 1}); give each "
                        "pair its own pair_id"
                    )
                first[name] = row["row"], row["file"]
