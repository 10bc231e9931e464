"""What a reproduction will do, in words, before it does anything: fetch, disk, memory, hours."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from humanclap.clap.checkpoint_files import packaged_names
from humanclap.clap.plugin import plugin_names
from humanclap.clap.published.hub_cache import ANY_WEIGHTS, cached_file
from humanclap.clap.published.registry import KnownModel, known_model, similar_name
from humanclap.errors import CheckpointError, InputError, MissingExtraError
from humanclap.fetch.relate import ARCHIVE, ARCHIVE_BYTES, FOLDER
from humanclap.reproduce.data import checked, own_pairs
from humanclap.reproduce.grids import VALIDATION_FRACTION, recipe_of, runs_planned
from humanclap.reproduce.request import MAIN_OBJECTIVE, QUICK_EPOCHS, QUICK_PAIRS, Request
from humanclap.reproduce.stages import known_times
from humanclap.training.loop.timing import StepTimes, time_steps

SCORES_MB = 3.4
RELATE_TRAIN, RELATE_JUDGED, RELATE_SYSTEMS = 2862, 2598, 5
"""Screened pairs and systems, of RELATE's README."""
PARAMETERS = 153_507_530
_STATE_BYTES = 16
"""Of a parameter that learns: weight, gradient and two moments of AdamW, 4 bytes each."""
_ACTIVATIONS_MB = 450
"""Of one pair in a training step of a full-size CLAP, about (benchmarks/full_size_steps.py)."""
_FEATURES_MB = 0.01

TimeSteps = Callable[..., StepTimes]


@dataclass(frozen=True, slots=True)
class Need:
    """Something to fetch or keep: megabytes, 0 where it is there already; where it comes from."""

    what: str
    source: str
    megabytes: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """fetch: what comes over the network; keep: what lies on the disk at the most, MB by what.

    there_mb: of what is kept, what lies there already; free_mb: on the disk of the output;
    memory_mb: of this machine, NaN where unknown; needed_memory_mb: about, in training; runs:
    training runs by grid; hours: estimated, by part, from the beginning.
    """

    request: Request
    fetch: tuple[Need, ...]
    keep: tuple[Need, ...]
    there_mb: float
    free_mb: float
    memory_mb: float
    needed_memory_mb: float
    runs: dict[str, int]
    times: StepTimes
    hours: dict[str, float]

    @property
    def needed_mb(self) -> float:
        """Disk that is needed beyond what is there: what is fetched and what is kept."""
        kept = sum(need.megabytes for need in self.keep) - self.there_mb
        return sum(need.megabytes for need in self.fetch) + max(0.0, kept)

    def refuse(self) -> None:
        """Raise InputError where disk or memory are too small."""
        if self.free_mb < self.needed_mb:
            raise InputError(
                f"about {gb(self.needed_mb)} of disk are needed and {gb(self.free_mb)} are free; "
                "name an output folder on a larger disk (HF_HOME moves the hub's cache), or ask "
                "for fewer objectives or seeds"
            )
        if self.memory_mb < self.needed_memory_mb:
            raise InputError(
                f"about {gb(self.needed_memory_mb)} of memory are needed and the machine has "
                f"{gb(self.memory_mb)}; give a smaller --batch-size"
            )

    def lines(self) -> list[str]:
        """The plan in words, a line each."""
        return [*_fetch_lines(self), *_machine_lines(self), *_work_lines(self), *_answers(self)]


def make_plan(request: Request, output: Path, *, timer: TimeSteps | None = None) -> Plan:
    """Look at the machine and time a few steps; asks no network.

    Steps that were timed when `output` was begun are not timed again.

    Raises MissingExtraError without transformers, SettingsError for a device that is not here or
    a setting out of its range, CheckpointError for a model that nobody knows, InputError for the
    user's own ratings as `data.own_pairs` and `data.checked`.
    """
    recipe_of(request, split="column", pairs=[0], main_only=False)
    _check_models(request)
    size = _size_of(request)
    known = known_times(output)
    times = known or (timer or time_steps)(
        device=request.device, precision=request.used_precision, batch=request.batch_size
    )
    runs = runs_planned(request, train=size.train, systems=size.systems)
    return Plan(
        request=request,
        fetch=tuple(_to_fetch(request, output)),
        keep=tuple(_to_keep(request, runs, size)),
        there_mb=_there_mb(output),
        free_mb=shutil.disk_usage(_existing(output)).free / 1e6,
        memory_mb=_memory_mb(),
        needed_memory_mb=_needed_memory_mb(request),
        runs=runs,
        times=times,
        hours=_hours(request, times, runs, size),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Size:
    """Rated pairs that train and that judge, and systems that can be left out."""

    train: int
    judged: int
    systems: int


def _size_of(request: Request) -> _Size:
    """Of RELATE by its README, of the user's own ratings by reading them."""
    train, judged, systems = RELATE_TRAIN, RELATE_JUDGED, RELATE_SYSTEMS
    if request.own:
        pairs = checked(own_pairs(request))
        train, judged = len(pairs.train), len(pairs.judged)
        names = {target.system for target in pairs.targets} - {None}
        systems = len(names) if len(names) > 1 else 0
    if request.quick:
        train, judged = min(train, QUICK_PAIRS), min(judged, QUICK_PAIRS)
    return _Size(train=train, judged=judged, systems=systems)


def _check_models(request: Request) -> None:
    """Raise CheckpointError for a model that is no known name, path or name on the hub."""
    packaged = packaged_names()
    for name in (request.base, *request.plain, *request.released):
        there = name in {*packaged, *plugin_names()} or Path(name).exists()
        if not there and known_model(name.partition("@")[0]) is None and "/" not in name:
            raise CheckpointError(
                f"{name}: no such model{similar_name(name, packaged)}; give a name that `humanclap "
                "models` lists, a path, or OWNER/NAME of the hub"
            )


def _there_mb(output: Path) -> float:
    """What of the plan lies in the output already, the archive not counted."""
    found = 0
    for path in output.rglob("*"):
        if path.is_file() and not path.is_symlink() and not path.name.startswith(ARCHIVE):
            found += path.stat().st_size
    return found / 1e6


def _to_fetch(request: Request, output: Path) -> list[Need]:
    needs = []
    if not request.own:
        data = output / "data"
        there = (data / "scores" / "REL.csv").is_file()
        needs.append(Need("RELATE's ratings", request.scores_url, 0 if there else SCORES_MB))
        there = (data / FOLDER / "complete.json").is_file() or (data / ARCHIVE).is_file()
        size = 0 if there else ARCHIVE_BYTES / 1e6
        needs.append(Need("RELATE's clips", request.archive_url, size))
    for name in dict.fromkeys((request.base, *request.plain, *request.released)):
        known = known_model(name)
        if known is not None:
            size = 0 if _is_cached(known) else known.megabytes or 620
            needs.append(Need(f"the model {name}", known.address, size))
    return needs


def _is_cached(known: KnownModel) -> bool:
    try:
        found = [cached_file(known.source, name, known.revision) for name in ANY_WEIGHTS]
    except MissingExtraError:
        return False
    return any(path is not None for path in found)


def _to_keep(request: Request, runs: dict[str, int], size: _Size) -> list[Need]:
    """What is written beside what is fetched."""
    weights = PARAMETERS * 4 / 1e6
    needs = [] if request.own else [Need("the clips unpacked", "", ARCHIVE_BYTES / 1e6)]
    return [
        *needs,
        Need(f"{runs['grid'] + 1} checkpoints", "", (runs["grid"] + 1) * weights),
        Need("the state of the run in progress", "", 3 * weights),
        Need("tables, logs and features", "", 50 + (size.train + size.judged) * _FEATURES_MB),
    ]


def _hours(
    request: Request, times: StepTimes, runs: dict[str, int], size: _Size
) -> dict[str, float]:
    """By part: scoring published models; the grid; fewer ratings; systems left out."""
    train, judged = size.train, size.judged
    epochs = QUICK_EPOCHS if request.quick else request.epochs
    models = len({*request.plain, *request.released} - {request.base})
    per_epoch = train * (
        (1 - VALIDATION_FRACTION) * times.train_s + VALIDATION_FRACTION * times.embed_s
    )
    run = epochs * per_epoch + judged * times.embed_s
    few = sum(count / train for count in request.numbers_of_pairs if count < train)
    seeds = len(request.used_seeds)
    seconds = {
        "scores of published models": models * judged * times.embed_s,
        "the grid": runs["grid"] * run,
        "fewer ratings": seeds * (few * epochs * per_epoch)
        + runs["fewer"] * judged * times.embed_s,
        "each system left out": runs["left_out"] * (0.8 * epochs * per_epoch)
        + seeds * judged * times.embed_s,
    }
    if request.quick:  # only the projections learn: each clip is encoded once, for all runs
        once = (train + judged) * times.embed_s
        seconds |= {"the grid": once, "fewer ratings": 0.0, "each system left out": 0.0}
    return {part: value / 3600 for part, value in seconds.items()}


def _needed_memory_mb(request: Request) -> float:
    """Of the process on the CPU, about; on a GPU the activations lie there.

    Steps are timed with everything learning, so that much is needed with `--quick` too.
    """
    batch = 0 if request.quick else request.batch_size
    return 1500 + PARAMETERS * _STATE_BYTES / 1e6 + max(batch, 1) * _ACTIVATIONS_MB


def _memory_mb() -> float:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e6
    except (AttributeError, ValueError, OSError):
        return math.nan


def _existing(path: Path) -> Path:
    """The nearest folder above that is there."""
    path = path.absolute()
    while not path.exists():
        path = path.parent
    return path


def gb(megabytes: float) -> str:
    """`1.8 GB`; `3 MB` where it is little."""
    return f"{megabytes / 1000:.1f} GB" if megabytes >= 100 else f"{megabytes:.0f} MB"


def refuse_small_disk(output: Path, checkpoints: int) -> None:
    """Raise InputError where the disk has no room for so many more checkpoints of full size, the
    state of a run in progress and the kept features.
    """
    weights = PARAMETERS * 4 / 1e6
    needed = max(0.0, (checkpoints + 3) * weights + 50 - _there_mb(output))
    free = shutil.disk_usage(_existing(output)).free / 1e6
    if free < needed:
        raise InputError(
            f"about {gb(needed)} of disk are needed and {gb(free)} are free; name an output folder "
            "on a larger disk, or ask for fewer seeds"
        )


def _fetch_lines(plan: Plan) -> list[str]:
    lines = ["What is fetched:"]
    for need in plan.fetch:
        size = gb(need.megabytes) if need.megabytes else "here already"
        lines.append(f"  {need.what}: {size}, from {need.source}")
    total = sum(need.megabytes for need in plan.fetch)
    lines.append(f"  in all: {gb(total)}")
    return lines if plan.fetch else []


def _machine_lines(plan: Plan) -> list[str]:
    times = plan.times
    memory = "unknown" if math.isnan(plan.memory_mb) else gb(plan.memory_mb)
    kept = ", ".join(f"{need.what} {gb(need.megabytes)}" for need in plan.keep)
    return [
        f"Disk: about {gb(plan.needed_mb)} are needed, {gb(plan.free_mb)} are free.",
        f"  of it: {kept}",
        f"Memory: about {gb(plan.needed_memory_mb)} are needed in training, the machine has "
        f"{memory}.",
        f"Device: {times.device}, {plan.request.used_precision}. A pair takes "
        f"{times.train_s:.3f} s in training and {times.embed_s:.3f} s in scoring (median of "
        f"{times.steps} steps of {times.batch} pairs, random weights of "
        f"{times.parameters / 1e6:.1f} million parameters).",
    ]


def _work_lines(plan: Plan) -> list[str]:
    request, runs = plan.request, plan.runs
    seeds = ", ".join(map(str, request.used_seeds))
    total = sum(plan.hours.values())
    hours = ", ".join(f"{part} {duration(value)}" for part, value in plan.hours.items())
    lines = [
        f"Training runs: {sum(runs.values())}, with seeds {seeds}: {runs['grid']} of the grid "
        f"({', '.join(request.used_objectives)}), {runs['fewer']} on fewer ratings, "
        f"{runs['left_out']} with a system left out.",
        f"Time: about {duration(total)} by these steps, an estimate ({hours}). Training may stop "
        "earlier, where validation does not improve for 5 epochs.",
    ]
    if request.quick:
        lines.append(
            f"This is a quick rehearsal: {QUICK_PAIRS} pairs train and {QUICK_PAIRS} judge, "
            f"{QUICK_EPOCHS} epochs, one seed, only the projections learn. Its figures say nothing "
            "about the paper."
        )
    return lines


def duration(hours: float) -> str:
    """`3.2 hours`, `40 minutes`, `5.1 days`."""
    if hours >= 48:
        return f"{hours / 24:.1f} days"
    minutes = max(1, round(60 * hours))
    return f"{hours:.1f} hours" if hours >= 1 else f"{minutes} minute{'s' * (minutes > 1)}"


def _answers(plan: Plan) -> list[str]:
    own = "your ratings" if plan.request.own else "RELATE"
    return [
        "What it will answer:",
        f"  Does {MAIN_OBJECTIVE} agree better with people than its base, on {own}?",
        "  Which objective wins by more than its interval?",
        "  How do the released Human-CLAP checkpoints compare on the same pairs?",
        "  How near is that to what a perfect metric could reach, and to what hears nothing?",
        "  How few ratings would have done?",
        "  Do the predicted ratings hold people's means as often as their intervals say?",
    ]
