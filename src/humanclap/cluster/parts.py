"""The results of a run: a part for each shard, whole or absent, and their sums."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as parquet

from humanclap.cluster.places import (
    file_system,
    is_url,
    joined,
    names_in,
    reaching,
    read_bytes,
    remove,
    write_whole,
)
from humanclap.cluster.shards import SCORE_COLUMNS, Shard, ShardPlan
from humanclap.errors import InputError
from humanclap.formats import table_format
from humanclap.records import Score
from humanclap.scoring.rows import score_of
from humanclap.signature import comparable
from humanclap.tables import write_rows

RUN_FILE, SUCCESS_FILE, METRICS_FILE = "_run.json", "_SUCCESS.json", "_metrics.json"
_FACTS = b"humanclap"
"""Key in the schema's metadata for the shard, the rows and the model of a part."""
_AT_ONCE = 16
"""Parts that are checked at once; a store answers slowly, but many requests at a time."""


def score_schema(further: Iterable[str] = ()) -> Any:
    """Arrow schema of a table of scores: the columns of `Score`, then text columns."""
    of_type = {"float": pa.float64(), "int | None": pa.int64()}
    own = [(field.name, of_type.get(str(field.type), pa.string())) for field in fields(Score)]
    return pa.schema([*own, *((name, pa.string()) for name in further)])


@dataclass(slots=True)
class SystemCount:
    """Scored clips of a system, the sum of their scores, and clips without a score."""

    clips: int = 0
    total: float = 0.0
    failed: int = 0

    @property
    def mean(self) -> float:
        """Mean score over clips; NaN where none is scored."""
        return self.total / self.clips if self.clips else math.nan


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The folder of a run's parts, for one plan and one signature.

    folder: path or address.
    """

    folder: str
    plan: ShardPlan
    signature: str

    def begin(self, *, restart: bool) -> dict[int, int]:
        """Shards that are finished: their number -> how many of their rows have no score.

        The run's facts are written where it is new.

        Raises InputError where the folder holds a run of another model or manifest.
        """
        if restart:
            self._forget()
        head = {
            "signature": self.signature,
            "manifest": self.plan.fingerprint,
            "shard_rows": self.plan.shard_rows,
            "rows": self.plan.rows,
            "shards": len(self.plan.shards),
            "files": list(self.plan.files),
        }
        names = names_in(self.folder)
        if RUN_FILE in names:
            self._check(json.loads(read_bytes(self.at(RUN_FILE))), head)
        elif any(name.startswith("part-") for name in names):
            raise InputError(
                f"{self.folder}: holds parts of something else (no {RUN_FILE}); name a new folder"
            )
        else:
            self.write_json(RUN_FILE, head)
        there = set(names)
        shards = [shard for shard in self.plan.shards if _name(shard.number) in there]
        with ThreadPoolExecutor(_AT_ONCE, "humanclap-parts") as pool:
            failed = list(pool.map(self._failed_of, shards))
        numbered = zip(shards, failed, strict=True)
        return {shard.number: found for shard, found in numbered if found is not None}

    def _check(self, found: Mapping[str, Any], head: Mapping[str, Any]) -> None:
        same_rows = found.get("shard_rows") == head["shard_rows"]
        for key, what in (
            ("signature", "model or settings"),
            ("manifest", "manifest" if same_rows else "--shard-rows or manifest"),
        ):
            if comparable(str(found.get(key))) != comparable(head[key]):
                raise InputError(
                    f"{self.folder}: a run with another {what}; finish it as it was begun, name "
                    "another output, or start over with --restart"
                )

    def _forget(self) -> None:
        for name in names_in(self.folder):
            known = name in {RUN_FILE, SUCCESS_FILE, METRICS_FILE}
            if known or (name.startswith("part-") and name.endswith(".parquet")):
                remove(self.at(name))

    def _failed_of(self, shard: Shard) -> int | None:
        """Rows without a score in a shard's part; None where that is not whole or differs."""
        place = self.at(_name(shard.number))
        system, path = file_system(place)
        try:
            with reaching(place), system.open(path, "rb") as file:
                try:
                    metadata = parquet.read_schema(file).metadata or {}
                except pa.ArrowException:
                    return None
        except InputError:
            return None
        facts = json.loads(metadata.get(_FACTS, b"{}"))
        same = comparable(str(facts.get("signature"))) == comparable(self.signature)
        return int(facts["failed"]) if same and facts.get("input") == shard.sha256 else None

    def at(self, name: str) -> str:
        """The place of a file in the folder."""
        return joined(self.folder, name)

    def write_json(self, name: str, facts: Mapping[str, Any]) -> None:
        """Write facts into the folder, whole."""
        text = json.dumps(facts, indent=2, ensure_ascii=False) + "\n"
        write_whole(self.at(name), lambda file: file.write(text.encode()))

    def write(self, shard: Shard, scored: Any) -> int:
        """Write the part of a shard; gives how many of its rows have no score.

        scored: an Arrow table with the columns of `Score` and `further`, a JSON object, a row for
        each of the shard's, in order.
        """
        schema = score_schema(self.plan.further.values())
        columns = [scored[name] for name in SCORE_COLUMNS]
        if self.plan.further:
            cells = [json.loads(text) if text else {} for text in scored["further"].to_pylist()]
            columns += [[row.get(name, "") for row in cells] for name in self.plan.further]
        failed = scored.num_rows - scored["error"].null_count
        facts = {
            "signature": self.signature,
            "input": shard.sha256,
            "shard": shard.number,
            "failed": failed,
        }
        table = _table(columns, schema.with_metadata({_FACTS: json.dumps(facts).encode()}))
        write_whole(self.at(_name(shard.number)), lambda file: parquet.write_table(table, file))
        return int(failed)

    def tables(self, columns: Sequence[str] | None = None) -> Iterator[Any]:
        """The part of each shard in order, as an Arrow table."""
        for shard in self.plan.shards:
            place = self.at(_name(shard.number))
            system, path = file_system(place)
            with reaching(place), system.open(path, "rb") as file:
                yield parquet.read_table(file, columns=columns)

    def scores(self) -> Iterator[Score]:
        """The scores of all rows, in the manifest's order."""
        for table in self.tables(list(SCORE_COLUMNS)):
            for row in table.to_pylist():
                yield score_of(row)

    def counts(self) -> dict[str | None, SystemCount]:
        """Clips of each system, in order of appearance; memory does not grow with the rows."""
        found: dict[str | None, SystemCount] = {}
        for table in self.tables(["system", "score", "error"]):
            for row in table.to_pylist():
                count = found.setdefault(row["system"], SystemCount())
                if row["error"] is None:
                    count.clips, count.total = count.clips + 1, count.total + row["score"]
                else:
                    count.failed += 1
        return found

    def assemble(self, output: str) -> None:
        """Write all parts as one table, in order, whole or not at all; its format by its name."""
        if table_format(output) == "parquet":
            write_whole(output, self._write_parquet)
        elif is_url(output):
            import tempfile

            with tempfile.TemporaryDirectory(prefix="humanclap-") as folder:
                copy = Path(folder) / output.rpartition("/")[2]
                self._write_rows(copy)
                system, path = file_system(output)
                with reaching(output):
                    system.put_file(str(copy), path)
        else:
            self._write_rows(Path(output))

    def _write_parquet(self, file: Any) -> None:
        with parquet.ParquetWriter(file, score_schema(self.plan.further.values())) as writer:
            for table in self.tables():
                writer.write_table(table.replace_schema_metadata(None))

    def _write_rows(self, path: Path) -> None:
        rows = (row for table in self.tables() for row in table.to_pylist())
        write_rows(path, self.plan.columns, rows)


def _table(columns: Sequence[Any], schema: Any) -> Any:
    arrays = [
        column if isinstance(column, pa.ChunkedArray) else pa.array(column, field.type)
        for column, field in zip(columns, schema, strict=True)
    ]
    return pa.Table.from_arrays(arrays, schema=schema)


def _name(number: int) -> str:
    return f"part-{number:06d}.parquet"


def check_free(output: str, *, is_folder: bool) -> None:
    """Raise InputError where a folder is named that is a file, or the other way round."""
    if is_url(output) or not Path(output).exists():
        return
    if is_folder != Path(output).is_dir():
        what = "a file; name a folder" if is_folder else "a folder; name it without a suffix"
        raise InputError(f"{output}: is {what}")
