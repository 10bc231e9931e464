"""Score a manifest on Ray Data: read, decode, embed, score and write each row once."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from humanclap.cluster.local import ray_running
from humanclap.cluster.manifest import all_entries, manifest_files
from humanclap.cluster.parts import SUCCESS_FILE, Parts, check_free
from humanclap.cluster.pipeline import ClusterOutcome, Pipeline, pool_of
from humanclap.cluster.places import is_url, remove
from humanclap.cluster.scoring import Load
from humanclap.cluster.shards import DEFAULT_SHARD_ROWS, ShardPlan, make_plan
from humanclap.errors import InputError
from humanclap.formats import SHEET_SUFFIXES, TABLE_SUFFIXES, check_output, suffix_of
from humanclap.progress import Progress, silent
from humanclap.scoring.scorer import HumanCLAP
from humanclap.settings import check_least
from humanclap.version import __version__


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterSettings:
    """How a run uses Ray; nothing here changes a score.

    ray_address: of a running cluster (`auto`: that of this machine); None: Ray is started here.
    workers: processes that hold the model; None: one for each GPU where there are any, else one for
    each `threads` processors. threads: CPU threads of a worker. shard_rows: rows that are written
    together. tries: a clip is given up after it has killed so many workers.
    """

    ray_address: str | None = None
    workers: int | None = None
    threads: int = 1
    shard_rows: int = DEFAULT_SHARD_ROWS
    tries: int = 3

    def __post_init__(self) -> None:
        for name in ("workers", "threads", "shard_rows", "tries"):
            if (value := getattr(self, name)) is not None:
                check_least(name, value, 1)


@contextmanager
def scored_manifest(
    manifest: str,
    output: str,
    *,
    scorer: HumanCLAP,
    load: Load,
    audio_root: str | None = None,
    settings: ClusterSettings | None = None,
    restart: bool = False,
    progress: Progress = silent,
) -> Iterator[tuple[ClusterOutcome, Parts]]:
    """Score every row of a manifest into `output`; yields the outcome while the parts exist.

    manifest: as for `manifest.manifest_files`. output: path or address of a folder, which keeps the
    parts, or of a table (.parquet, .csv, ...), which is assembled from parts in OUTPUT.parts. A
    later call with the same arguments goes on where an unfinished one stopped. load: gives a worker
    the model. scorer: the same model here. audio_root: as for `manifest.entries_of`. Raises
    InputError for a manifest that cannot be used, and for an output where another run is, or is
    still running.
    """
    settings = settings or ClusterSettings()
    table = output if suffix_of(output) in {*TABLE_SUFFIXES, *SHEET_SUFFIXES} else None
    if table is not None:
        check_output(table)
    check_free(output, is_folder=table is None)
    folder = output if table is None else f"{table}.parts"
    with ExitStack() as there, tempfile.TemporaryDirectory(prefix="humanclap-plan-") as temporary:
        if settings.ray_address is not None:  # nothing is left where no cluster answers
            there.enter_context(ray_running(settings.ray_address, cpus=None))
        files = manifest_files(manifest)
        path = Path(temporary) / "plan.parquet"
        entries = all_entries(files, audio_root)
        plan = make_plan(entries, files, path, shard_rows=settings.shard_rows)
        parts = Parts(folder=folder, plan=plan, signature=scorer.signature)
        with _locked(folder):
            pipeline = Pipeline(parts, parts.begin(restart=restart), progress)
            if pipeline.left:
                _score_on_ray(pipeline, scorer, load, settings)
            outcome = pipeline.outcome()
            there.close()
            if table is None:
                parts.write_json(SUCCESS_FILE, _success(plan, outcome))
            else:
                parts.assemble(table)
            yield outcome, parts
            if table is not None:
                remove(folder)


def _score_on_ray(
    pipeline: Pipeline, scorer: HumanCLAP, load: Load, settings: ClusterSettings
) -> None:
    workers, threads = settings.workers, settings.threads
    cpus = None if workers is None else workers * threads
    with ray_running(settings.ray_address, cpus=cpus) as ray:
        pool = pool_of(ray, workers, threads, scorer.settings)
        rate = scorer.backbone.sample_rate
        pipeline.run(ray, pool, load, sample_rate=rate, tries=settings.tries)


@contextmanager
def _locked(folder: str) -> Iterator[None]:
    """Lock a folder for one driver. A store has no locks, but two drivers write the same bytes."""
    if is_url(folder):
        yield
        return
    Path(folder).mkdir(parents=True, exist_ok=True)
    lock = FileLock(Path(folder) / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise InputError(
            f"{folder}: another run writes there now; wait for its end, or name another output"
        ) from error
    try:
        yield
    finally:
        lock.release()


def _success(plan: ShardPlan, outcome: ClusterOutcome) -> dict[str, Any]:
    return {
        "rows": outcome.rows,
        "scored": outcome.rows - outcome.failed,
        "failed": outcome.failed,
        "signature": outcome.signature,
        "manifest": plan.fingerprint,
        "files": list(plan.files),
        "shards": len(plan.shards),
        "shard_rows": plan.shard_rows,
        "columns": plan.columns,
        "humanclap": __version__,
    }
