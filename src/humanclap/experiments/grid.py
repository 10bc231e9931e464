"""Runs a recipe's grid: each run a folder, done runs skipped, broken ones resumed."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from humanclap.clap.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from humanclap.clap.device import resolve_device
from humanclap.experiments.agreement import Figures, figures
from humanclap.experiments.chosen import (
    CHOSEN,
    check_choices,
    chosen_identity,
    chosen_metrics,
    write_chosen,
)
from humanclap.experiments.data import Part, fewer_pairs, only_systems
from humanclap.experiments.recipe import Recipe
from humanclap.files import atomic_writer
from humanclap.fingerprint import fingerprint_text
from humanclap.json_values import to_json
from humanclap.progress import Progress, silent
from humanclap.records import Score
from humanclap.scale import RatingScale
from humanclap.scoring.scorer import HumanCLAP
from humanclap.scoring.settings import ScoringSettings
from humanclap.tables import read_scores, write_records
from humanclap.training.data.choices import accuracy, sides_of
from humanclap.training.data.dataset import Example, HeardClip, check_files
from humanclap.training.data.met import identities_after
from humanclap.training.loop.loop import TrainingOutcome, train
from humanclap.training.loop.state import RunFolder
from humanclap.training.loop.validation import (
    Intervals,
    cosines,
    gaps_of,
    validation_intervals,
)
from humanclap.training.model.features import FeatureFiles
from humanclap.training.model.towers import AudioTower, EmbedTexts, audio_tower, text_tower
from humanclap.training.outputs.card import model_card
from humanclap.training.run import (
    base_record,
    calibrate,
    training_record,
    tuned_name,
    warn_of_texts,
)
from humanclap.training.settings import TrainingSettings

BEFORE = "before training"
"""Name of the row of the models as they come."""
SAVE_EVERY_S = 20.0
"""Runs over kept features take seconds; saving each of their epochs would take longer."""
METRICS, PREDICTIONS = "metrics.json", "predictions.csv"


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One cell of the grid. pairs: 0 for all; settings: None for `BEFORE`."""

    model: str
    objective: str
    systems: str
    pairs: int
    part: Part
    seed: int
    settings: TrainingSettings | None

    def name_of(self, base: str) -> str:
        """Name of the model it trains from `base`, other than that of every other run."""
        systems = "" if self.systems == "all" else self.systems
        pairs = f"{self.pairs}-pairs" if self.pairs else ""
        steps = (self.objective, systems, pairs, self.part.name, f"seed-{self.seed}")
        return tuned_name(base, Path("-".join(filter(None, steps)).replace("/", "-")))

    def folder(self, output: Path) -> Path:
        """Where its files are."""
        amount = f"{self.pairs} pairs" if self.pairs else "all pairs"
        steps = (self.model, self.objective, self.systems, amount, self.part.name)
        folder = output / "runs"
        for step in steps:
            folder /= re.sub(r"[^\w.+-]+", "-", step).strip("-") or "-"
        return folder / f"seed-{self.seed}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A finished run: its scores of the test pairs, in their order, and what they come to.

    accuracy: on the test choices, NaN where there are none.
    """

    run: Run
    scores: NDArray[np.float64]
    found: Figures
    best_epoch: int
    ratings: int
    accuracy: float = math.nan


def plan(recipe: Recipe, parts: Sequence[Part]) -> list[Run]:
    """Every run, those of one model together."""
    runs = []
    for model in recipe.models:
        for part in parts:
            untrained = Run(
                model=model,
                objective=BEFORE,
                systems="all",
                pairs=0,
                part=part,
                seed=recipe.seeds[0],
                settings=None,
            )
            runs += [untrained, *_trained_from(untrained, recipe)]
    return runs


def _trained_from(untrained: Run, recipe: Recipe) -> Iterator[Run]:
    """The runs on one model and one part."""
    cells = product(recipe.systems.items(), recipe.pairs, recipe.seeds)
    for (systems, names), pairs, seed in cells:
        cut = fewer_pairs(only_systems(untrained.part, names), pairs, seed)
        own = replace(untrained, systems=systems, pairs=pairs, part=cut, seed=seed)
        for objective, settings in recipe.objectives.items():
            yield replace(own, objective=objective, settings=replace(settings, seed=seed))


def run_grid(
    recipe: Recipe,
    parts: Sequence[Part],
    output: Path,
    *,
    load: Callable[[str], Checkpoint] = load_checkpoint,
    progress: Progress = silent,
) -> list[Done]:
    """Train and judge every run that is not done yet; gives them all.

    load: gives the model of a name; it has its own weights again when the grid is done. Raises
    InputError for what a user can have wrong, SettingsError where a folder holds a run of another
    recipe.
    """
    examples = heard_in(parts)
    check_files(examples)
    runs = plan(recipe, parts)
    for run in runs:
        if run.settings is not None:
            check_choices(run.part, run.settings, run.objective)
    done: list[Done] = []
    for model, of_model in groupby(runs, key=lambda run: run.model):
        loaded = load(model)
        warn_of_texts(loaded.backbone, examples)
        kept = _GridModel(loaded, recipe, examples, output)
        for run in of_model:
            done.append(kept.finished(run) or kept.execute(run))
            note = f"{model}, {run.objective}, {run.part.name}, seed {run.seed}"
            progress(len(done), len(runs), note)
        kept.restore()
    return done


def heard_in(parts: Sequence[Part]) -> list[HeardClip]:
    """Every rated pair and side of a choice of the parts."""
    rated = [item for part in parts for item in (*part.train, *part.validation, *part.test)]
    return [*rated, *(side for part in parts for side in sides_of(part.choices()))]


class _GridModel:
    """One model, trained again and again from where it began, over features kept once."""

    def __init__(
        self, loaded: Checkpoint, recipe: Recipe, examples: Sequence[HeardClip], output: Path
    ) -> None:
        self.recipe, self.output = recipe, output
        self.loaded = loaded
        self.backbone = loaded.backbone.to(resolve_device(recipe.settings.device))
        self.base = base_record(loaded)
        state = self.backbone.module().state_dict()
        self._start = {name: tensor.clone() for name, tensor in state.items()}
        self._examples = list({(item.path, item.text): item for item in examples}.values())
        self._towers: dict[tuple[str, ...], tuple[AudioTower, EmbedTexts]] = {}

    def restore(self) -> None:
        """Give the model the weights that it came with."""
        self.backbone.module().load_state_dict(self._start)

    def _towers_for(self, settings: TrainingSettings) -> tuple[AudioTower, EmbedTexts]:
        """Towers do not depend on the objective, only on what of them learns."""
        key = (settings.train, settings.train_audio, settings.train_text)
        if key not in self._towers:
            files = FeatureFiles(self.output / "features", self.base["fingerprint"])
            self._towers[key] = (
                audio_tower(self.backbone, settings, self._examples, files=files),
                text_tower(self.backbone, settings, self._examples, files=files),
            )
        return self._towers[key]

    def _identity(self, run: Run) -> dict[str, Any]:
        tested = fingerprint_text(
            part for item in run.part.test for part in (item.audio, item.text, repr(item.mos))
        )
        return {
            "settings": None if run.settings is None else run.settings.as_dict(),
            "base_model": self.base,
            "targets": run.part.splits(run.settings or self.recipe.settings).fingerprint(),
            "test": tested,
            **chosen_identity(run.part),
            "simulated": self.recipe.simulated,
        }

    def finished(self, run: Run) -> Done | None:
        """The run as its folder tells it, None where it is not done."""
        folder = run.folder(self.output)
        if not (folder / METRICS).is_file():
            return None
        RunFolder(folder, self._identity(run)).check_same_run()
        saved = json.loads((folder / METRICS).read_text(encoding="utf-8"))
        return Done(
            run=run,
            scores=np.array([row.score for row in read_scores(folder / PREDICTIONS)]),
            found={
                group: {name: _number(value) for name, value in values.items()}
                for group, values in saved["test"].items()
            },
            best_epoch=saved["best_epoch"],
            ratings=saved["ratings"],
            accuracy=_number(saved.get("accuracy")),
        )

    def execute(self, run: Run) -> Done:
        """Train where there is something to train, then score the test pairs."""
        self.restore()
        settings = run.settings or self.recipe.settings
        towers = self._towers_for(settings)
        folder = RunFolder(run.folder(self.output), self._identity(run))
        state = folder.open(resume=True, overwrite=False)
        splits = run.part.splits(settings)
        before = cosines(self.backbone, splits.validated, *towers)
        outcome = None
        if run.settings is not None:
            outcome = train(
                self.backbone,
                splits,
                settings,
                tower=towers[0],
                embed_text=towers[1],
                run_folder=folder,
                state=state,
                save_every_s=SAVE_EVERY_S,
            )
        self.backbone.module().eval()
        after = cosines(self.backbone, splits.validated, *towers)
        checkpoint = Checkpoint(
            self.backbone,
            calibrate(after, splits, settings),
            name=self.base["name"] if outcome is None else run.name_of(self.base["name"]),
            licence=self.loaded.licence,
        )
        done = self._judge(run, checkpoint, towers, folder.directory)
        if outcome is not None:
            done = replace(done, best_epoch=outcome.best_epoch)
            if self.recipe.keep_checkpoints:
                intervals = validation_intervals(before, after, splits)
                self._save(run, settings, outcome, checkpoint, folder, intervals)
        _write_metrics(folder.directory / METRICS, done)
        folder.finish()
        return done

    def _judge(
        self, run: Run, checkpoint: Checkpoint, towers: tuple[AudioTower, EmbedTexts], folder: Path
    ) -> Done:
        """Score the test pairs and choices, and write the scores into the run's folder."""
        part, settings = run.part, run.settings or self.recipe.settings
        scores = cosines(self.backbone, part.test, *towers)
        scoring = ScoringSettings(device=self.recipe.settings.device)  # where the backbone is
        rows = _score_rows(part.test, scores, HumanCLAP(checkpoint, scoring))
        scale = RatingScale.parse(settings.rating_scale)
        predicted = np.array([scale.from_unit(row.rating / 10) for row in rows])
        write_records(folder / PREDICTIONS, rows, record_type=Score)
        sides = cosines(self.backbone, sides_of(part.test_choices), *towers)
        write_chosen(folder / CHOSEN, part.test_choices, sides)
        return Done(
            run=run,
            scores=scores,
            found=figures(part.test, scores, predicted),
            best_epoch=0,
            ratings=sum(item.n for item in (*part.train, *part.validation)),
            accuracy=accuracy(gaps_of(sides), part.test_choices),
        )

    def _save(
        self,
        run: Run,
        settings: TrainingSettings,
        outcome: TrainingOutcome,
        checkpoint: Checkpoint,
        folder: RunFolder,
        intervals: Intervals,
    ) -> None:
        note = f"{self.recipe.title}: {run.objective}, {run.part.name}."
        splits = run.part.splits(settings)
        record = training_record(splits, settings, outcome, self.base, note, intervals)
        known = self.loaded.known_identities()
        trained = replace(checkpoint, training=record, identities=identities_after(known, splits))
        card = model_card(trained, simulated=self.recipe.simulated)
        save_checkpoint(trained, folder.checkpoint, model_card=card, whole=False)


def _number(saved: float | None) -> float:
    return math.nan if saved is None else float(saved)


def _score_rows(
    examples: Sequence[Example], scores: NDArray[np.float64], scorer: HumanCLAP
) -> list[Score]:
    return [
        Score(
            audio=item.audio,
            text=item.text,
            score=float(score),
            rating=scorer.rate(float(score)),
            rating_error=scorer.rating_error(float(score)),
            rating_covers=scorer.rating_covers,
            pair_id=item.pair_id,
            system=item.system,
            subset=item.subset,
            split=item.split,
            signature=scorer.signature,
        )
        for item, score in zip(examples, scores, strict=True)
    ]


def _write_metrics(path: Path, done: Done) -> None:
    content = {
        "objective": done.run.objective,
        "model": done.run.model,
        "part": done.run.part.name,
        "seed": done.run.seed,
        "best_epoch": done.best_epoch,
        "train_pairs": len(done.run.part.train),
        "validation_pairs": len(done.run.part.validation),
        "test_pairs": len(done.run.part.test),
        "ratings": done.ratings,
        **chosen_metrics(done.run.part, done.accuracy),
        "test": done.found,
    }
    with atomic_writer(path) as file:
        file.write(to_json(content) + "\n")
