"""Human-CLAP from its publishers' files to a report, in stages that are not done twice."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from humanclap.errors import InputError
from humanclap.progress import Progress, silent
from humanclap.provenance import Provenance, provenance_now
from humanclap.records import Score
from humanclap.reproduce.data import RatedPairs, fetch_data, read_pairs
from humanclap.reproduce.findings import Findings, find
from humanclap.reproduce.grids import run_all
from humanclap.reproduce.models import scores_of
from humanclap.reproduce.plan import Plan
from humanclap.reproduce.report import write_report
from humanclap.reproduce.request import Request
from humanclap.reproduce.stages import StageLog

CHECKPOINT = "checkpoint"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reproduction:
    """findings: the figures; reports: the files that tell them; checkpoint: a model."""

    findings: Findings
    reports: tuple[Path, ...]
    checkpoint: Path


def reproduce_human_clap(
    request: Request,
    output: str | Path,
    *,
    plan: Plan | None = None,
    resume: bool = False,
    made: Provenance | None = None,
    progress: Progress = silent,
) -> Reproduction:
    """Fetch, score published models, train the grid and judge all on the same pairs.

    plan: refused first where disk or memory are too small for it. Writes to `output`: `data/`,
    `scores/`, `runs/`, the report's files and `checkpoint/`. Killed, it goes on with `resume` and
    loses at most an epoch of one run. Raises InputError and its kinds.
    """
    output = Path(output)
    with StageLog(output, request.as_dict(), resume=resume) as ledger:
        if plan is not None:
            plan.refuse()
            ledger.note_times(plan.times)
        with ledger.stage("fetch the ratings and clips", progress) as told:
            fetch_data(request, output / "data", told)
        with ledger.stage("read and screen", progress):
            (output / "data").mkdir(exist_ok=True)
            pairs = read_pairs(request, output / "data")
        published = _published(request, pairs, output / "scores", ledger, progress)
        with ledger.stage("train", progress) as told:
            grids = run_all(request, pairs, output, told)
        with ledger.stage("judge", progress):
            findings = find(request, pairs, published, grids, output)
        checkpoint = _keep_checkpoint(findings.chosen / CHECKPOINT, output / CHECKPOINT)
        reports = write_report(findings, ledger.stages(), made or provenance_now(), output)
    return Reproduction(findings=findings, reports=tuple(reports), checkpoint=checkpoint)


def _published(
    request: Request, pairs: RatedPairs, folder: Path, ledger: StageLog, progress: Progress
) -> dict[str, list[Score]]:
    names = dict.fromkeys((*request.plain, request.base, *request.released))
    found = {}
    for name in names:
        with ledger.stage(f"score with {request.labels[name]}", progress) as told:
            found[name] = scores_of(name, pairs.judged, pairs.audio_root, folder, request, told)
    return found


def _keep_checkpoint(trained: Path, place: Path) -> Path:
    """A copy of the chosen run's checkpoint, whole or not at all."""
    if not trained.is_dir():
        raise InputError(
            f"{trained}: the chosen run's checkpoint is gone; delete that run's folder"
        )
    beside = place.with_name(f".{place.name}.part")
    shutil.rmtree(beside, ignore_errors=True)
    shutil.copytree(trained, beside)
    shutil.rmtree(place, ignore_errors=True)
    beside.rename(place)
    return place
