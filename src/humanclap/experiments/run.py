"""An experiment from its recipe to its table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from humanclap.clap.checkpoint import load_checkpoint
from humanclap.evaluation.report.document import how_made
from humanclap.experiments.data import Part, make_parts, read_data, read_recipe_choices
from humanclap.experiments.efficiency import efficiency_plot
from humanclap.experiments.grid import Done, run_grid
from humanclap.experiments.page import html_experiment
from humanclap.experiments.recipe import Recipe, read_recipe
from humanclap.experiments.submission import submit
from humanclap.experiments.summary import ALPHA, SummaryRow, summarise
from humanclap.experiments.tables import CSV_COLUMNS, as_json, csv_rows, markdown
from humanclap.files import atomic_writer
from humanclap.json_values import to_json
from humanclap.progress import Progress, silent
from humanclap.provenance import Provenance, provenance_now
from humanclap.tables import write_rows
from humanclap.training.data.choices import ChoiceExample
from humanclap.training.data.dataset import Example


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """What came of it; `text` is the table as Markdown, `done` the runs behind it."""

    recipe: Recipe
    parts: tuple[Part, ...]
    done: tuple[Done, ...]
    rows: tuple[SummaryRow, ...]
    text: str
    output: Path


def run_experiment(
    recipe_path: str | Path,
    *,
    output: str | Path,
    data_folder: str | Path | None = None,
    audio_root: str | Path | None = None,
    mn04: str | Path | None = None,
    offline: bool = False,
    progress: Progress = silent,
    made: Provenance | None = None,
) -> Experiment:
    """Run every cell of a recipe's grid that is not done yet, and write the table of all.

    data_folder: where the recipe's tables and audio are, the recipe's own folder where None;
    audio_root: of the audio, where it is elsewhere. Writes to `output`: `runs/`, each with
    settings, log, predictions and metrics; `features/`; `table.html`, `table.md`, `table.csv`,
    `table.json`; with several numbers of pairs `efficiency.svg`; with `submit` a submission. Run
    again, it goes on where it stopped. Raises InputError and its kinds.
    """
    recipe = read_recipe(recipe_path)
    folder = Path(recipe_path).parent if data_folder is None else Path(data_folder)
    output = Path(output)
    root = folder / recipe.data.audio_root if audio_root is None else Path(audio_root)
    examples = read_data(recipe.data, folder, root, recipe.rating_scale)
    found = run_recipe(
        recipe,
        examples,
        output,
        choices=read_recipe_choices(recipe.data, folder, root),
        mn04=mn04,
        offline=offline,
        progress=progress,
        made=made,
    )
    if recipe.data.submit:
        table = folder / recipe.data.submit
        submit(recipe, table, root, found.done, output, mn04=mn04, offline=offline)
    return found


def run_recipe(
    recipe: Recipe,
    examples: Sequence[Example],
    output: Path,
    *,
    choices: Sequence[ChoiceExample] = (),
    mn04: str | Path | None = None,
    offline: bool = False,
    progress: Progress = silent,
    made: Provenance | None = None,
) -> Experiment:
    """As `run_experiment`, of rated pairs and choices that were read already; no submission."""
    shared = recipe.settings.allow_shared_captions
    parts = make_parts(examples, recipe.data, shared_captions=shared, choices=choices)
    load = partial(load_checkpoint, mn04=mn04, offline=offline, progress=progress)
    done = run_grid(recipe, parts, output, load=load, progress=progress)
    rows = summarise(done, baseline=recipe.baseline, replicates=recipe.replicates, by_clip=shared)
    notes = _notes(recipe, parts, shared, rows)
    made = made or provenance_now()
    text = markdown(recipe, rows, notes) + _made_in_markdown(made, recipe)
    facts = {"made": made.to_dict(), "parts": list(map(_describe, parts)), "notes": notes}
    _write(output / "table.md", text)
    _write(output / "table.html", html_experiment(recipe, rows, notes, made=made))
    write_rows(output / "table.csv", CSV_COLUMNS, csv_rows(rows))
    _write(output / "table.json", to_json(as_json(recipe, rows, facts)) + "\n")
    if len(recipe.pairs) > 1:
        _write(output / "efficiency.svg", efficiency_plot(recipe, rows))
    return Experiment(
        recipe=recipe,
        parts=tuple(parts),
        done=tuple(done),
        rows=tuple(rows),
        text=text,
        output=output,
    )


def _made_in_markdown(made: Provenance, recipe: Recipe) -> str:
    return "\n".join(["", *how_made(made, recipe.models), ""])


def _write(path: Path, text: str) -> None:
    with atomic_writer(path) as file:
        file.write(text)


def _describe(part: Part) -> dict[str, Any]:
    sides = {"train": part.train, "validation": part.validation, "test": part.test}
    return {
        "name": part.name,
        **{
            name: {"pairs": len(side), "ratings": sum(item.n for item in side)}
            for name, side in sides.items()
        },
        **({"choices": _describe_choices(part)} if part.choices() else {}),
        "left_out_for_sharing_with_test": part.left_out,
        "listener_overlap": part.overlap(),
    }


def _describe_choices(part: Part) -> dict[str, Any]:
    sides = {
        "train": part.train_choices,
        "validation": part.validation_choices,
        "test": part.test_choices,
    }
    found: dict[str, Any] = {
        name: {
            "choices": len(side),
            "decided": sum(one.decided for one in side),
            "votes": sum(one.votes for one in side),
        }
        for name, side in sides.items()
    }
    return found | {"left_out_for_sharing_with_test": part.choices_left_out}


def _notes(
    recipe: Recipe, parts: Sequence[Part], shared: bool, rows: Sequence[SummaryRow]
) -> list[str]:
    seeds = len(recipe.seeds)
    tested = sum(len(part.test) for part in parts)
    cluster = "clips" if shared else "captions"
    lines = [
        f"Judged on {tested} pairs in {len(parts)} part{'s' if len(parts) > 1 else ''}, none met "
        f"in training. Cells: mean over {seeds} seeds ± half width of the 95 % t interval over "
        "seeds. MSE is that of the predicted rating, calibrated on the validation pairs. Last "
        f"column: paired bootstrap over {cluster} ({recipe.replicates} replicates) of the mean "
        "over seeds" + _tests(rows, cluster)
    ]
    if any(part.choices() for part in parts):
        decided = sum(choice.decided for part in parts for choice in part.test_choices)
        lines.append(
            f"Accuracy: share of {decided} decided choices, none met in training, in which the "
            "model sides with most people, equal scores counting half; mean over parts and seeds."
        )
    left_out = {
        "choices": sum(part.choices_left_out for part in parts),
        "pairs": sum(part.left_out for part in parts),
    }
    lines += [
        f"{count} {what} could have trained but share a clip or caption with those judged."
        for what, count in left_out.items()
        if count
    ]
    if shared:
        lines.append(
            "Captions stand on both sides (a closed label set): nothing is said of unseen captions."
        )
    overlaps = [found["test"]["train"] for part in parts if (found := part.overlap())]
    if overlaps:
        lines.append(
            f"{float(np.mean(overlaps)):.0%} of the ratings judged against were given by listeners "
            "who also rated training pairs."
        )
    return lines


def _tests(rows: Sequence[SummaryRow], cluster: str) -> str:
    """How the gains were tested."""
    gain = next((row.gain for row in rows if row.gain), None)
    if gain is None:
        return "."
    tests = f"{gain.tests} test" + ("s" if gain.tests > 1 else "")
    return (
        f"; p: paired permutation test, whole {cluster} exchanged, {gain.permutations:,} "
        f"permutations, with Holm's correction over {tests}; an objective is called better or "
        f"worse where the corrected p is below {ALPHA:g}."
    )
