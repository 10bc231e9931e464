"""The pipeline on Ray Data, and the driver that writes what comes of it, a part for each shard."""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from humanclap.cluster.decoding import CHUNK_BYTES, LONGEST_S, NAMED_BYTES, decode_shards
from humanclap.cluster.ledger import Ledger, refused
from humanclap.cluster.parts import METRICS_FILE, Parts
from humanclap.cluster.scoring import Load, Scoring
from humanclap.errors import InputError, listed
from humanclap.progress import Progress
from humanclap.scoring.settings import ScoringSettings

SHARDS_AT_ONCE = 2000
"""Shards of one pipeline; a longer manifest goes through several, one after the other."""
METRICS_EVERY_S = 5.0
_SCORING_SHARE = 0.75
"""Share of a processor that a scoring worker counts for; the rest is for decoding."""
_FEW_INPUTS = "The minimum number of concurrent actors"
"""Ray counts shards here; a shard comes in many chunks, which keep all workers busy."""
_IN_FLIGHT = 2
"""Chunks that a worker has or waits for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterOutcome:
    """What a run came to.

    rows: number of rows of the manifest. failed: how many have no score. scored_now: rows that this
    run scored; the others had a score already. seconds: of this run, from the first shard to the
    last. deaths: number of workers that died.
    """

    rows: int
    failed: int
    scored_now: int
    seconds: float
    deaths: int
    signature: str

    @property
    def rows_per_s(self) -> float:
        """Rows of this run a second."""
        return self.scored_now / self.seconds if self.seconds else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Workers that score, and what Ray sets aside for each of them and for a task that decodes."""

    workers: int
    threads: int
    scoring_cpus: float
    scoring_gpus: int
    decoding_cpus: float


def pool_of(ray: Any, workers: int | None, threads: int, settings: ScoringSettings) -> Pool:
    """One worker for each GPU if there are any and the settings allow them, else on processors.

    workers: their number, None: as many as there are GPUs, or processors / threads.
    """
    there = ray.cluster_resources()
    on_gpu = settings.device == "auto" or settings.device.startswith("cuda")
    gpus = 0 if settings.cpu_alone or not on_gpu else int(there.get("GPU", 0))
    if gpus:
        return Pool(workers=workers or gpus, threads=threads, scoring_cpus=1, scoring_gpus=1,
                    decoding_cpus=1)  # fmt: skip
    return Pool(
        workers=workers or max(1, int(there.get("CPU", 1)) // threads),
        threads=threads,
        scoring_cpus=_SCORING_SHARE * threads,
        scoring_gpus=0,
        decoding_cpus=1 - _SCORING_SHARE,
    )


class Pipeline:
    """Scores the shards of a plan that have no part yet.

    finished: number of a shard that has a part -> how many of its rows have no score.
    """

    def __init__(self, parts: Parts, finished: dict[int, int], progress: Progress) -> None:
        self._parts = parts
        self._plan = parts.plan
        self._failed = dict(finished)
        self._progress = progress
        self._before = sum(shard.rows for shard in self._plan.shards if shard.number in finished)
        self._written = 0
        self._waiting: dict[int, list[pa.Table]] = {}
        self._status: dict[str, int] = {}
        self._began = self._ended = self._told = time.monotonic()

    @property
    def left(self) -> list[int]:
        """Numbers of the shards without a part."""
        return [one.number for one in self._plan.shards if one.number not in self._failed]

    def outcome(self) -> ClusterOutcome:
        """What has come of it so far."""
        return ClusterOutcome(
            rows=self._plan.rows,
            failed=sum(self._failed.values()),
            scored_now=self._written,
            seconds=self._ended - self._began,
            deaths=self._status.get("deaths", 0),
            signature=self._parts.signature,
        )

    def run(self, ray: Any, pool: Pool, load: Load, *, sample_rate: int, tries: int) -> None:
        """Score what is left; raises what a worker raised."""
        ledger = ray.remote(num_cpus=0)(Ledger).remote()
        self._began = time.monotonic()
        left = self.left
        for start in range(0, len(left), SHARDS_AT_ONCE):
            numbers = left[start : start + SHARDS_AT_ONCE]
            dataset = self._dataset(ray, numbers, pool, load, ledger, sample_rate, tries)
            try:
                with warnings.catch_warnings():
                    warnings.filterwarnings("ignore", _FEW_INPUTS)
                    for table in dataset.iter_batches(batch_size=None, batch_format="pyarrow"):
                        self._take(table)
                        self._tell(ray, ledger, pool)
            except ray.exceptions.RayError as error:
                refusal = ray.get(ledger.refusal.remote())
                raise (refused(refusal) if refusal else error) from error
        if self.left:
            named = listed(self.left)
            raise InputError(f"shards {named} came back unfinished; run the command again")
        self._ended = time.monotonic()
        self._tell(ray, ledger, pool, last=True)

    def _dataset(
        self,
        ray: Any,
        numbers: Sequence[int],
        pool: Pool,
        load: Load,
        ledger: Any,
        sample_rate: int,
        tries: int,
    ) -> Any:
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        context.memory_usage_poll_interval_s = None  # a worker would weigh itself each second
        context.print_on_execution_start = False
        # a worker on a processor decodes for less than it costs to hand samples over
        named = self._plan.all_files and not pool.scoring_gpus
        # else Ray joins chunks, and spills
        context.target_max_block_size = NAMED_BYTES if named else CHUNK_BYTES
        reading = {"sample_rate": sample_rate, "ledger": ledger, "tries": tries,
                   "most_s": 0.0 if named else LONGEST_S}  # fmt: skip
        tables = {"batch_size": None, "batch_format": "pyarrow", "zero_copy_batch": True}
        shards = ray.data.from_items(list(self._plan.packed(numbers)),
                                     override_num_blocks=len(numbers))  # fmt: skip
        return shards.map_batches(
            decode_shards,
            **tables,
            num_cpus=pool.decoding_cpus,
            fn_kwargs=reading,
        ).map_batches(
            Scoring,
            **tables,
            num_cpus=pool.scoring_cpus,
            num_gpus=pool.scoring_gpus,
            compute=ray.data.ActorPoolStrategy(
                size=pool.workers, max_tasks_in_flight_per_actor=_IN_FLIGHT
            ),
            fn_constructor_args=(load, self._parts.signature, pool.threads, ledger, tries),
        )

    def _take(self, table: pa.Table) -> None:
        """Keep scores until those of a shard are whole, then write them."""
        for number in table["shard"].unique().to_pylist():
            mine = table.filter(pa.compute.equal(table["shard"], number))
            self._waiting.setdefault(number, []).append(mine)
            scored = pa.concat_tables(self._waiting[number])
            _, first = np.unique(scored["row"].to_numpy(), return_index=True)  # sorted, each once
            shard = self._plan.shards[number]
            if number in self._failed or len(first) < shard.rows:
                continue
            del self._waiting[number]
            self._failed[number] = self._parts.write(shard, scored.take(first))
            self._written += shard.rows

    def _tell(self, ray: Any, ledger: Any, pool: Pool, *, last: bool = False) -> None:
        now = time.monotonic()
        if not last and now - self._told < 1.0:
            return
        self._told = now
        self._status = ray.get(ledger.status.remote())
        seconds = max(now - self._began, 1e-9)
        status = self._status
        rate = status["scored"] / seconds
        self._progress(
            self._before + status["scored"],
            self._plan.rows,
            f"{rate:.1f} pairs/s, {status['waiting']} clips wait, {status['failed']} failed"
            + (f", {status['deaths']} workers died" if status["deaths"] else ""),
        )
        if last or seconds // METRICS_EVERY_S != (seconds - 1.0) // METRICS_EVERY_S:
            facts = {**asdict(pool), **status, "seconds": seconds, "pairs_per_s": rate}
            done = self._before + self._written
            self._parts.write_json(
                METRICS_FILE, {"rows": self._plan.rows, "written": done, **facts}
            )
