"""The training runs of a reproduction: the paper's grid, fewer ratings, each system left out.

All lie in one folder, so that a run that two of them need is trained once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from humanclap.clap.checkpoint import Checkpoint, load_checkpoint
from humanclap.errors import LeakageError, SettingsError
from humanclap.experiments.data import make_parts
from humanclap.experiments.grid import Done, run_grid
from humanclap.experiments.recipe import DataRecipe, Recipe
from humanclap.progress import Progress, silent
from humanclap.reproduce.data import RatedPairs
from humanclap.reproduce.request import MAIN_OBJECTIVE, QUICK_EPOCHS, Request
from humanclap.training.settings import TrainingSettings, build_settings

VALIDATION_FRACTION = 0.1
"""Of the training pairs, to choose the epoch and fit the rating map: nothing judged chooses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grids:
    """grid: every objective and seed, `before training` too; fewer: the main objective on fewer
    rated pairs; left_out: the main objective trained without each system, judged on that system;
    not_left_out: why there are none of these.
    """

    grid: list[Done]
    fewer: list[Done]
    left_out: list[Done]
    not_left_out: str | None = None


def recipe_of(request: Request, *, split: str, pairs: Sequence[int], main_only: bool) -> Recipe:
    """One of the grids as a recipe of `humanclap experiment`."""
    common = settings_of(request)
    objectives = request.used_objectives
    if main_only:
        objectives = {MAIN_OBJECTIVE: objectives[MAIN_OBJECTIVE]}
    data = DataRecipe(
        tables={"targets.csv": ""}, split=split, validation_fraction=VALIDATION_FRACTION
    )
    return Recipe(
        title="Human-CLAP's grid",
        data=data,
        settings=common,
        objectives={name: replace(common, objective=terms) for name, terms in objectives.items()},
        baseline=MAIN_OBJECTIVE if main_only else "SCE",
        models=(request.base,),
        seeds=request.used_seeds,
        pairs=tuple(pairs),
        keep_checkpoints=not main_only,
        simulated=request.simulated,
    )


def settings_of(request: Request) -> TrainingSettings:
    """What all runs share; the paper states none of these, so they are humanclap's own."""
    given: dict[str, object] = {
        "train": "all",
        "epochs": request.epochs,
        "batch_size": request.batch_size,
        "learning_rate": 1e-5,
        "weight_decay": 0.01,
        "patience": 5,
        "precision": request.used_precision,
        "device": request.device,
        "rating_scale": request.scale,
    }
    if request.quick:
        given |= {"train": "projections", "epochs": QUICK_EPOCHS}
    return build_settings(given)


def run_all(
    request: Request, pairs: RatedPairs, folder: Path, progress: Progress = silent
) -> Grids:
    """Every run that is not done yet; gives them all.

    A killed run goes on at the epoch it was in. Raises InputError and its kinds.
    """
    examples = pairs.examples()

    @cache
    def load(model: str) -> Checkpoint:
        return load_checkpoint(model, offline=request.offline, progress=progress)

    def grid(split: str, numbers: Sequence[int], *, main_only: bool) -> list[Done]:
        recipe = recipe_of(request, split=split, pairs=numbers, main_only=main_only)
        parts = make_parts(examples, recipe.data, shared_captions=False)
        return run_grid(recipe, parts, folder, load=load, progress=progress)

    why = None
    left_out: list[Done] = []
    main = grid("column", [0], main_only=False)
    numbers = _fewer_than(len(pairs.train), request)
    fewer = grid("column", numbers, main_only=True) if numbers else []
    if len({target.system for target in pairs.targets} - {None}) < 2:
        why = "the ratings name no systems, or one only"
    else:
        try:
            left_out = grid("systems", [0], main_only=True)
        except (SettingsError, LeakageError) as error:  # of parts that are too small
            why = str(error)
    return Grids(grid=main, fewer=fewer, left_out=left_out, not_left_out=why)


def _fewer_than(train: int, request: Request) -> list[int]:
    """The numbers of pairs to train on that are fewer than there are."""
    return [count for count in request.numbers_of_pairs if count < train]


def runs_planned(request: Request, *, train: int, systems: int) -> dict[str, int]:
    """Number of training runs of each grid, for so many pairs that train."""
    seeds = len(request.used_seeds)
    return {
        "grid": seeds * len(request.used_objectives),
        "fewer": seeds * len(_fewer_than(train, request)),
        "left_out": seeds * systems,
    }
