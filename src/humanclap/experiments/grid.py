"""Runs a recipe's grid: each run a folder, done runs skipped, broken ones resumed."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
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
from humanclap.training.model.towers import AudioTower, TextTower, audio_tower, text_tower
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
    return list(_runs(recipe, parts))


def _runs(recipe: Recipe, parts: Sequence[Part]) -> Iterator[Run]:
    for model in recipe.models:
        for part in parts:
            yield Run(
                model=model,
                objective=BEFORE,
                systems="all",
                pairs=0,
                part=part,
                seed=recipe.seeds[0],
                settings=None,
            )
            for systems, names in recipe.systems.items():
                for pairs in recipe.pairs:
                    for seed in recipe.seeds:
                        cut = fewer_pairs(only_systems(part, names), pairs, seed)
                        for objective, settings in recipe.objectives.items():
                            yield Run(
                                model=model,
                                objective=objective,
                                systems=systems,
                                pairs=pairs,
                                part=cut,
                                seed=seed,
                                settings=replace(settings, seed=seed),
                            )


def run_grid(
    recipe: Recipe,
    parts: Sequence[Part],
    output: Path,
    *,
    mn04: str | Path | None = None,
    offline: bool = False,
    progress: Progress = silent,
) -> list[Done]:
    """Train and judge every run that is not done yet; gives them all.

    Raises InputError for what a user can have wrong, SettingsError where a folder holds a run of
    another recipe.
    """
    examples = heard_in(parts)
    check_files(examples)
    runs = plan(recipe, parts)
    for run in runs:
        if run.settings is not None:
            check_choices(run.part, run.settings, run.objective)
    done: list[Done] = []
    bench: _Bench | None = None
    for run in runs:
        if bench is None or bench.model != run.model:
            loaded = load_checkpoint(run.model, mn04=mn04, offline=offline, progress=progress)
            warn_of_texts(loaded.backbone, examples)
            bench = _Bench(run.model, loaded, recipe, parts, output)
        done.append(bench.finished(run) or bench.execute(run))
        note = f"{run.model}, {run.objective}, {run.part.name}, seed {run.seed}"
        progress(len(done), len(runs), note)
    return done


def heard_in(parts: Sequence[Part]) -> list[HeardClip]:
    """Every rated pair and side of a choice of the parts."""
    rated = [item for part in parts for item in (*part.train, *part.validation, *part.test)]
    return [*rated, *(side for part in parts for side in sides_of(part.choices()))]


class _Bench:
    """One model, trained again and again from where it began, over features kept once."""

    def __init__(
        self,
        model: str,
        loaded: Checkpoint,
        recipe: Recipe,
        parts: Sequence[Part],
        output: Path,
    ) -> None:
        self.model, self.recipe, self.output = model, recipe, output
        self.loaded = loaded
        self.backbone = loaded.backbone.to(resolve_device(recipe.settings.device))
        self.base = base_record(loaded)
        state = self.backbone.module().state_dict()
        self._start = {name: tensor.clone() for name, tensor in state.items()}
        self._examples = {(item.path, item.text): item for item in heard_in(parts)}
        self._towers: dict[tuple[str, ...], tuple[AudioTower, TextTower]] = {}

    def _towers_for(self, settings: TrainingSettings) -> tuple[AudioTower, TextTower]:
        """Towers do not depend on the objective, only on what of them learns."""
        key = (settings.train, settings.train_audio, settings.train_text)
        if key not in self._towers:
            files = FeatureFiles(self.output / "features", self.base["fingerprint"])
            examples = list(self._examples.values())
            self._towers[key] = (
                audio_tower(self.backbone, settings, examples, files=files),
                text_tower(self.backbone, settings, examples, files=files),
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
                group: {name: math.nan if v is None else float(v) for name, v in values.items()}
                for group, values in saved["test"].items()
            },
            best_epoch=saved["best_epoch"],
            ratings=saved["ratings"],
            accuracy=math.nan if saved.get("accuracy") is None else float(saved["accuracy"]),
        )

    def execute(self, run: Run) -> Done:
        """Train where there is something to train, then score the test pairs."""
        self.backbone.module().load_state_dict(self._start)
        settings = run.settings or self.recipe.settings
        audio, text = self._towers_for(settings)
        folder = RunFolder(run.folder(self.output), self._identity(run))
        state = folder.open(resume=True, overwrite=False)
        splits = run.part.splits(settings)
        before = cosines(self.backbone, splits.validated, audio, text)
        outcome = None
        if run.settings is not None:
            outcome = train(
                self.backbone,
                splits,
                settings,
                tower=audio,
                text_tower=text,
                run_folder=folder,
                state=state,
                save_every_s=SAVE_EVERY_S,
            )
        self.backbone.module().eval()
        after = cosines(self.backbone, splits.validated, audio, text)
        checkpoint = Checkpoint(
            self.backbone,
            calibrate(after, splits, settings),
            name=self.base["name"] if outcome is None else run.name_of(self.base["name"]),
            licence=self.loaded.licence,
        )
        scores = cosines(self.backbone, run.part.test, audio, text)
        scoring = ScoringSettings(device=self.recipe.settings.device)  # where the backbone is
        rows = _score_rows(run.part.test, scores, HumanCLAP(checkpoint, scoring))
        scale = RatingScale.parse(settings.rating_scale)
        predicted = np.array([scale.from_unit(row.rating / 10) for row in rows])
        found = figures(run.part.test, scores, predicted)
        write_records(folder.directory / PREDICTIONS, rows, record_type=Score)
        if outcome is not None and self.recipe.keep_checkpoints:
            intervals = validation_intervals(before, after, splits)
            self._save(run, settings, outcome, checkpoint, folder, intervals)
        sides = cosines(self.backbone, sides_of(run.part.test_choices), audio, text)
        write_chosen(folder.directory / CHOSEN, run.part.test_choices, sides)
        done = Done(
            run=run,
            scores=scores,
            found=found,
            best_epoch=0 if outcome is None else outcome.best_epoch,
            ratings=sum(item.n for item in (*run.part.train, *run.part.validation)),
            accuracy=accuracy(gaps_of(sides), run.part.test_choices),
        )
        _write_metrics(folder.directory / METRICS, done)
        folder.finish()
        return done

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
        record = training_record(splits, settings, outcome, self.base, note)
        record["validation"]["intervals"] = intervals
        known = self.loaded.known_identities()
        trained = replace(checkpoint, training=record, identities=identities_after(known, splits))
        card = model_card(trained, simulated=self.recipe.simulated)
        save_checkpoint(trained, folder.checkpoint, model_card=card, whole=False)


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
        "test": {
            group: {name: None if math.isnan(v) else v for name, v in values.items()}
            for group, values in done.found.items()
        },
    }
    with atomic_writer(path) as file:
        file.write(json.dumps(content, indent=2, ensure_ascii=False) + "\n")
