"""`humanclap demo`: every stage in turn on a synthesised set, with simulated listeners."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from humanclap.cli.console import (
    json_option,
    made_here,
    model_options,
    progress_bar,
    quiet_option,
    remark,
    text_table,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from humanclap.evaluation.agreement.result import Comparison
    from humanclap.records import Target

SPLITS = {"train": 0.5, "validation": 0.2, "test": 0.3}
MAX_ANCHOR_MEAN = 3.0
"""Listeners who rate the mismatched anchors this high on average are screened out."""
BASE, ALIGNED = "plain CLAPScore", "human-aligned"


@click.command(epilog="Example: humanclap demo --output demo-out")
@click.option(
    "--scenes",
    type=click.IntRange(min=8),
    default=120,
    help="Number of captions, each of four systems.",
)
@click.option(
    "--ratings-per-pair",
    type=click.IntRange(min=2),
    default=4,
    help="Simulated ratings of each clip.",
)
@click.option("--epochs", type=click.IntRange(min=1), default=20, help="Most epochs to train.")
@click.option("-m", "--model", default="mini", help="Model to start from.")
@model_options
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    help="Seed of sounds, listeners, split and training.",
)
@click.option(
    "-o",
    "--output",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("demo-out"),
    help="Folder to write to.",
)
@quiet_option
@json_option
def demo(
    scenes: int,
    ratings_per_pair: int,
    epochs: int,
    model: str,
    seed: int,
    folder: Path,
    quiet: bool,
    as_json: bool,
    **access: Any,
) -> None:
    """Run every step on sounds synthesised here and a SIMULATED listener panel.

    Writes audio/, ratings.csv, exclusions.csv, targets.csv, run/ (training), scores before and
    after, report.html and report.json, over those of an earlier demo. The figures show that the
    tool works; they say nothing about people.
    """
    from humanclap.demo.panel import NOTE

    start = time.monotonic()
    remark(NOTE, quiet=quiet)
    targets = _rated_set(folder, scenes, ratings_per_pair, seed, quiet)
    _score(folder, targets, model, BASE, quiet, **access)
    checkpoint = _train(folder, model, access, epochs, seed, quiet)
    own = {name: access[name] for name in ("mn04", "offline")}
    _score(folder, targets, checkpoint, ALIGNED, quiet, **own)
    comparison = _evaluate(folder, quiet)
    report = (folder / "report.json").read_text(encoding="utf-8").rstrip()
    click.echo(report if as_json else _table(comparison))
    remark(f"{time.monotonic() - start:.0f} s; see {folder / 'report.html'}", quiet=quiet)


def _rated_set(
    folder: Path, scenes: int, ratings_per_pair: int, seed: int, quiet: bool
) -> Sequence[Target]:
    """Clips, simulated ratings, screening, targets with splits; all written to `folder`."""
    from dataclasses import replace

    import numpy as np

    from humanclap.demo.panel import make_pairs, simulate_ratings
    from humanclap.grouping import grouped_split
    from humanclap.ratings.aggregate import aggregate
    from humanclap.ratings.plain import write_plain
    from humanclap.ratings.screening import Exclusion, screen_relate
    from humanclap.records import Target
    from humanclap.scale import RatingScale
    from humanclap.tables import write_records

    generator = np.random.default_rng(seed)
    with progress_bar("synthesising", quiet=quiet) as progress:
        made = make_pairs(folder / "audio", n_scenes=scenes, generator=generator, progress=progress)
    ratings = simulate_ratings(made, ratings_per_pair=ratings_per_pair, generator=generator)
    write_plain(folder / "ratings.csv", ratings)
    screened = screen_relate(ratings, limits={}, other_limit=MAX_ANCHOR_MEAN)
    write_records(folder / "exclusions.csv", screened.exclusions, record_type=Exclusion)
    targets = aggregate(screened.kept, scale=RatingScale())
    split_of = grouped_split(targets, SPLITS, seed)
    targets = [replace(target, split=split_of[target.pair_id]) for target in targets]
    write_records(folder / "targets.csv", targets, record_type=Target)
    test = [target for target in targets if target.split == "test"]
    write_records(folder / "targets-test.csv", test, record_type=Target)
    remark(
        f"{len(made)} clips, {len(ratings)} simulated ratings, {len(screened.exclusions)} screened "
        f"out; {len(targets)} targets, {len(test)} of them for the test",
        quiet=quiet,
    )
    return test


def _score(
    folder: Path,
    targets: Sequence[Target],
    model: str | Path,
    name: str,
    quiet: bool,
    **access: Any,
) -> None:
    from humanclap.records import Pair
    from humanclap.scoring.run import score_table
    from humanclap.scoring.scorer import HumanCLAP

    with progress_bar("fetching", quiet=quiet) as progress:
        scorer = HumanCLAP.from_pretrained(model, progress=progress, **access)
    pairs = [Pair(audio=target.audio, text=target.text) for target in targets]
    with progress_bar(f"scoring, {name}", quiet=quiet) as progress:
        score_table(
            scorer,
            pairs,
            audio_root=folder / "audio",
            output=_scores_path(folder, name),
            restart=True,
            progress=progress,
        )


def _scores_path(folder: Path, name: str) -> Path:
    return folder / f"{name.replace(' ', '-')}.csv"


def _train(
    folder: Path,
    model: str,
    access: dict[str, Any],
    epochs: int,
    seed: int,
    quiet: bool,
) -> Path:
    from humanclap.demo.panel import NOTE
    from humanclap.training.run import TrainingRequest, train_from_tables
    from humanclap.training.settings import TrainingSettings

    settings = TrainingSettings(objective="wsce+mae", epochs=epochs, seed=seed)
    request = TrainingRequest(
        targets=folder / "targets.csv",
        model=model,
        **access,
        output=folder / "run",
        settings=settings,
        audio_root=folder / "audio",
        overwrite=True,
        note=NOTE,
        simulated=True,
    )
    with progress_bar("training", quiet=quiet) as progress:
        return train_from_tables(request, progress).checkpoint


def _evaluate(folder: Path, quiet: bool) -> Comparison:
    from humanclap.demo.panel import NOTE
    from humanclap.evaluation.agreement.evaluate import compare
    from humanclap.evaluation.join import ScoreTable
    from humanclap.evaluation.report.files import write_reports
    from humanclap.tables import read_targets

    tables = [ScoreTable.read(_scores_path(folder, name), name=name) for name in (BASE, ALIGNED)]
    path = folder / "targets-test.csv"
    with progress_bar("bootstrap", quiet=quiet) as progress:
        comparison = compare(
            tables, read_targets(path), targets_where=str(path), notes=[NOTE], progress=progress
        )
    write_reports(
        comparison,
        json_path=folder / "report.json",
        html_path=folder / "report.html",
        made=made_here(),
    )
    return comparison


def _table(comparison: Comparison) -> str:
    from humanclap.evaluation.short_forms import signed, with_interval

    rows = [
        [item.name, item.overall.n, *(with_interval(item.overall.statistics[s]) for s in _SHOWN)]
        for item in comparison.evaluations
    ]
    difference = comparison.differences[0].overall
    rows.append(["difference", difference.n, *(signed(difference.statistics[s]) for s in _SHOWN)])
    title = "SIMULATED ratings, held-out captions; correlation with the panel's mean rating"
    return f"{title}\n\n" + text_table(["", "pairs", "SRCC", "LCC", "KTAU"], rows)


_SHOWN = ("srcc", "lcc", "ktau")
