"""The XACLE challenge for a user who holds its archives: layout, grid, submission, its figures.

Layout, by the README of XACLE-Challenge/the_first_XACLE_challenge_dataset_train_validation: the
tables in meta_data/, the clips in wav/train, wav/validation and wav/test.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from humanclap.errors import InputError, listed
from humanclap.evaluation.xacle import (
    NAME,
    SCALE,
    XacleResult,
    evaluate_submission,
    write_submission,
)
from humanclap.experiments.grid import BEFORE, PREDICTIONS, Done
from humanclap.experiments.recipe import DataRecipe, Recipe
from humanclap.experiments.run import Experiment, run_recipe
from humanclap.experiments.submission import validation_srcc
from humanclap.made import Made
from humanclap.progress import Progress, silent
from humanclap.ratings.xacle import read_targets_xacle
from humanclap.records import Pair, Score
from humanclap.reproduce.plan import refuse_small_disk
from humanclap.reproduce.request import Request
from humanclap.reproduce.stages import StageLog, check_folder
from humanclap.scoring.run import score_table
from humanclap.scoring.scorer import HumanCLAP
from humanclap.scoring.settings import ScoringSettings
from humanclap.tables import read_scores, read_table
from humanclap.training.data.dataset import Example, example_of
from humanclap.training.settings import build_settings

TABLES, CLIPS = "meta_data", "wav"
TRAIN, VALIDATION, TEST = "train", "validation", "test"
OBJECTIVES: dict[str, dict[str, object]] = {
    "wSCE+MAE": {"objective": "wsce+mae"},
    "MSE": {"objective": "mse"},
    "wSCE+ListNet": {"objective": "wsce+listnet"},
    "SPO loss": {"objective": "mse+0.5*difference", "standardise_targets": True},
}
BASELINE = "wSCE+MAE"
_VALIDATION_FRACTION = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class XacleData:
    """rated: train and validation pairs; test: pairs to predict, empty without the test archive.

    averages: the table that judges; clips: the folder above all clips.
    """

    rated: tuple[Example, ...]
    test: tuple[Pair, ...]
    averages: Path
    clips: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class XacleReproduction:
    """experiment: the grid; best: name of the objective best on the pairs that chose; validation:
    the challenge's figures of its submission for the validation pairs; submission: for the test
    pairs, None without them; checkpoint: of the best run.
    """

    experiment: Experiment
    best: str
    validation: XacleResult
    submission: Path | None
    checkpoint: Path


def read_archive(folder: str | Path) -> XacleData:
    """Check the layout and read it. Raises InputError with a list of everything that is missing."""
    folder = Path(folder)
    tables = {split: folder / TABLES / f"{split}_average.csv" for split in (TRAIN, VALIDATION)}
    wanted = [*tables.values(), folder / CLIPS]
    missing = [str(path.relative_to(folder)) for path in wanted if not path.exists()]
    if missing:
        raise InputError(
            f"{folder}: not the layout of XACLE's archive; missing: {', '.join(missing)}. Expected "
            f"are {TABLES}/train_average.csv, {TABLES}/validation_average.csv, {CLIPS}/train/, "
            f"{CLIPS}/validation/, and for a submission {TABLES}/test.csv and {CLIPS}/test/"
        )
    rated = [one for split, table in tables.items() for one in _rated(table, split, folder / CLIPS)]
    test_table = folder / TABLES / "test.csv"
    test = _to_predict(test_table, folder / CLIPS) if test_table.is_file() else ()
    lost = [str(item.path) for item in rated if not item.path.is_file()]
    lost += [pair.audio for pair in test if not (folder / CLIPS / pair.audio).is_file()]
    if lost:
        raise InputError(f"{folder}: {len(lost)} clips of the tables are missing: {listed(lost)}")
    return XacleData(
        rated=tuple(rated), test=test, averages=tables[VALIDATION], clips=folder / CLIPS
    )


def _rated(table: Path, split: str, clips: Path) -> list[Example]:
    """Pairs of one table; those of the validation table judge, so their split is `test`."""
    targets = read_targets_xacle(table, scale=SCALE, split=TRAIN if split == TRAIN else TEST)
    return [
        example_of(
            replace(target, audio=_place(clips, split, target.audio), pair_id=""),
            root=clips,
            where=f"{table} ({target.audio})",
        )
        for target in targets
    ]


def _place(clips: Path, split: str, name: str) -> str:
    """Path of a clip below `clips`: in the folder of its split, or as the table writes it."""
    inside = f"{split}/{name}"
    return name if not (clips / inside).is_file() and (clips / name).is_file() else inside


def _to_predict(table: Path, clips: Path) -> tuple[Pair, ...]:
    read = read_table(table)
    read.require(NAME, "text")
    return tuple(
        Pair(audio=_place(clips, TEST, row.text(NAME)), text=row.text("text")) for row in read.rows
    )


def xacle_recipe(request: Request) -> Recipe:
    """The grid; a tenth of the training pairs chooses the epoch, the validation pairs judge."""
    common: dict[str, object] = {
        "train": "projections" if request.quick else "all",
        "epochs": 2 if request.quick else request.epochs,
        "batch_size": request.batch_size,
        "learning_rate": 1e-5,
        "patience": 5,
        "precision": request.used_precision,
        "device": request.device,
    }
    return Recipe(
        title="XACLE",
        data=DataRecipe(
            tables={"averages": ""}, split="column", validation_fraction=_VALIDATION_FRACTION
        ),
        settings=build_settings(common, where=""),
        objectives={
            name: build_settings({**common, **own}, where=f"{name}: ")
            for name, own in OBJECTIVES.items()
        },
        baseline=BASELINE,
        models=(request.base,),
        seeds=request.used_seeds,
        keep_checkpoints=True,
        simulated=request.simulated,
        scale_stated=True,
    )


def reproduce_xacle(
    request: Request,
    folder: str | Path,
    output: str | Path,
    *,
    resume: bool = False,
    made: Made | None = None,
    progress: Progress = silent,
) -> XacleReproduction:
    """Check the archive, train the grid, judge it on the validation pairs, predict the test pairs.

    Writes to `output`: the grid's table and runs, `validation_submission.csv`, and with the test
    archive `submission.csv`. Killed, it goes on with `resume`. Raises InputError and its kinds.
    """
    output = Path(output)
    recipe = xacle_recipe(request)
    data = read_archive(folder)
    check_folder(output, xacle_request(request, folder), resume=resume)
    refuse_small_disk(output, len(recipe.objectives) * len(recipe.seeds))
    with StageLog(output, xacle_request(request, folder), resume=resume) as ledger:
        with ledger.stage("train", progress) as told:
            experiment = run_recipe(
                recipe,
                data.rated,
                output,
                offline=request.offline,
                progress=told,
                made=made,
            )
        trained = [one for one in experiment.done if one.run.objective != BEFORE]
        best = max(trained, key=lambda one: validation_srcc(one, output))
        run = best.run.folder(output)
        with ledger.stage("judge and predict", progress) as told:
            judged = _judge(read_scores(run / PREDICTIONS), data, output)
            submission = _predict(best, data, output, request, told) if data.test else None
    return XacleReproduction(
        experiment=experiment,
        best=best.run.objective,
        validation=judged,
        submission=submission,
        checkpoint=run / "checkpoint",
    )


def xacle_request(request: Request, folder: str | Path) -> dict[str, Any]:
    """What decides its figures, ready for JSON."""
    return request.as_dict() | {"data": str(Path(folder).resolve())}


def _judge(scores: Sequence[Score], data: XacleData, output: Path) -> XacleResult:
    path = output / "validation_submission.csv"
    write_submission(path, _named_as_published(scores))
    return evaluate_submission(path, data.averages)


def _predict(
    best: Done, data: XacleData, output: Path, request: Request, progress: Progress = silent
) -> Path:
    scorer = HumanCLAP.from_pretrained(
        best.run.folder(output) / "checkpoint",
        settings=ScoringSettings(device=request.device),
        offline=request.offline,
    )
    scores = score_table(scorer, data.test, audio_root=data.clips, progress=progress)
    path = output / "submission.csv"
    write_submission(path, _named_as_published(scores))
    return path


def _named_as_published(scores: Sequence[Score]) -> list[Score]:
    """With the file names of the challenge's tables, which name no folder; ratings on 0..10."""
    return [
        replace(score, audio=Path(score.audio).name, rating=_kept_on_scale(score.rating))
        for score in scores
    ]


def _kept_on_scale(rating: float) -> float:
    return rating if math.isnan(rating) else min(max(rating, SCALE.low), SCALE.high)
