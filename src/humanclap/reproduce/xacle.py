"""The XACLE challenge, for a user who holds its archive: a grid, its submission, its figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from humanclap.evaluation.xacle import XacleResult, evaluate_submission
from humanclap.experiments.grid import BEFORE, PREDICTIONS, Done
from humanclap.experiments.recipe import DataRecipe, Recipe
from humanclap.experiments.run import Experiment, run_recipe
from humanclap.experiments.submission import validation_srcc
from humanclap.progress import Progress, silent
from humanclap.provenance import Provenance
from humanclap.records import Score
from humanclap.reproduce.plan import refuse_small_disk
from humanclap.reproduce.request import Request
from humanclap.reproduce.stages import StageLog, check_folder
from humanclap.scoring.run import score_table
from humanclap.scoring.scorer import HumanCLAP
from humanclap.scoring.settings import ScoringSettings
from humanclap.tables import read_scores
from humanclap.training.data.dataset import Example, example_of
from humanclap.training.settings import build_settings
from humanclap.xacle import SCALE, TEST, VALIDATION, Archive, read_archive, write_submission

OBJECTIVES: dict[str, dict[str, object]] = {
    "wSCE+MAE": {"objective": "wsce+mae"},
    "MSE": {"objective": "mse"},
    "wSCE+ListNet": {"objective": "wsce+listnet"},
    "SPO loss": {"objective": "mse+0.5*difference", "standardise_targets": True},
}
BASELINE = "wSCE+MAE"
_VALIDATION_FRACTION = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class XacleReproduction:
    """experiment: the grid; best: the objective with the best SRCC on the pairs that choose the
    epoch; validation: the challenge's figures of its predictions for the validation pairs;
    submission: for the test pairs, None without them; checkpoint: of the best run.
    """

    experiment: Experiment
    best: str
    validation: XacleResult
    submission: Path | None
    checkpoint: Path


def examples_of(archive: Archive) -> list[Example]:
    """The rated pairs; those of the validation table judge, so their split is `test`."""
    return [
        example_of(
            replace(target, split=TEST) if target.split == VALIDATION else target,
            root=archive.clips,
            where=f"{archive.clips / target.audio}",
        )
        for target in archive.rated
    ]


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
    made: Provenance | None = None,
    progress: Progress = silent,
) -> XacleReproduction:
    """Check the archive, train the grid, judge it on the validation pairs, predict the test pairs.

    Writes to `output`: the grid's table and runs, `validation_submission.csv`, and with the test
    archive `submission.csv`. Killed, it goes on with `resume`. Raises InputError and its kinds.
    """
    output = Path(output)
    recipe = xacle_recipe(request)
    data = read_archive(folder)
    asked = request.as_dict() | {"data": str(Path(folder).resolve())}
    check_folder(output, asked, resume=resume)
    refuse_small_disk(output, len(recipe.objectives) * len(recipe.seeds))
    with StageLog(output, asked, resume=resume) as ledger:
        with ledger.stage("train", progress) as told:
            experiment = run_recipe(
                recipe,
                examples_of(data),
                output,
                offline=request.offline,
                progress=told,
                made=made,
            )
        trained = [one for one in experiment.done if one.run.objective != BEFORE]
        best = max(trained, key=lambda one: validation_srcc(one, output))
        run = best.run.folder(output)
        with ledger.stage("judge and predict", progress) as told:
            validation = output / "validation_submission.csv"
            write_submission(validation, _named_as_published(read_scores(run / PREDICTIONS)))
            judged = evaluate_submission(validation, data.averages)
            submission = _predict(best, data, output, request, told) if data.test else None
    return XacleReproduction(
        experiment=experiment,
        best=best.run.objective,
        validation=judged,
        submission=submission,
        checkpoint=run / "checkpoint",
    )


def _predict(
    best: Done, data: Archive, output: Path, request: Request, progress: Progress = silent
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
    """The scores with the file names of the challenge's tables, and ratings kept on 0..10."""
    return [
        replace(
            score,
            audio=Path(score.audio).name,
            rating=float(np.clip(score.rating, SCALE.low, SCALE.high)),
        )
        for score in scores
    ]
