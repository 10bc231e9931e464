"""`humanclap bench`: clips per second and drift of each engine, on the user's own files."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from humanclap.cli.console import (
    audio_root_option,
    emit,
    output_options,
    progress_bar,
    remark,
    text_table,
)
from humanclap.cli.model_options import ChosenModel, chosen_model, threads_option
from humanclap.json_values import to_json

if TYPE_CHECKING:
    from humanclap.scoring.bench import Timing


@click.command(
    epilog="""\b
Examples:
  humanclap bench clips/
  humanclap bench pairs.csv --model clap --clips 200
"""
)
@click.argument("source", type=click.Path(path_type=Path))
@audio_root_option
@chosen_model("measure")
@click.option(
    "--clips",
    "most",
    type=click.IntRange(min=1),
    default=64,
    help="At most so many clips, evenly over all.",
)
@click.option(
    "--rounds",
    type=click.IntRange(min=1),
    default=3,
    help="Times each way runs; the median counts.",
)
@threads_option()
@output_options
def bench(
    source: Path,
    audio_root: Path | None,
    most: int,
    rounds: int,
    threads: int | None,
    as_json: bool,
    quiet: bool,
    output: Path | None,
    **given: Any,
) -> None:
    """Measure how fast each engine and precision is here, and how far its scores drift.

    SOURCE is a folder of clips, or a table with the columns audio,text. All ways embed the same
    clips in turns. clips_per_s includes decoding. least_cosine compares each clip's embedding with
    that of torch fp32 and shows the worst clip. score_drift is the greatest change of a score, for
    a table with texts. The cache is not used.
    """
    clips, texts = _clips(source, audio_root, most)
    from humanclap.clap.device import use_threads
    from humanclap.scoring.bench import bench as measure

    if threads:
        use_threads(threads)
    chosen = ChosenModel.taken_from(given)
    checkpoint = chosen.checkpoint(quiet=quiet)
    with progress_bar("measuring", quiet=quiet) as progress:
        found = measure(
            checkpoint, clips, texts, device=chosen.device, rounds=rounds, progress=progress
        )
    if as_json:
        emit(to_json([asdict(item) for item in found]), output=output)
        return
    emit(_text(found), output=output)
    for told in dict.fromkeys(item.unusable for item in found if item.unusable):
        remark(told, quiet=quiet)


def _clips(
    source: Path, audio_root: Path | None, most: int
) -> tuple[Sequence[Path], Sequence[str]]:
    from humanclap.audio.folder import list_clips
    from humanclap.scoring.bench import spread_over
    from humanclap.tables import read_manifest

    if source.is_dir():
        files = [source / name for name in list_clips(source).clips]
        return [files[number] for number in spread_over(len(files), most)], []
    pairs, _ = read_manifest(source)
    by_clip = list({pair.audio: pair for pair in pairs}.values())
    chosen = [by_clip[number] for number in spread_over(len(by_clip), most)]
    root = audio_root or source.parent
    return [root / pair.audio for pair in chosen], [pair.text for pair in chosen]


def _text(found: Sequence[Timing]) -> str:
    columns = ("engine", "precision", "clips_per_s", "least_cosine", "score_drift")
    rows = [
        (
            item.engine,
            item.precision,
            *("not here" if item.unusable else _cell(item, name) for name in columns[2:]),
        )
        for item in found
    ]
    return text_table(columns, rows)


def _cell(item: Timing, name: str) -> str:
    value: float = getattr(item, name)
    if math.isnan(value):
        return "–"
    return f"{value:.1f}" if name == "clips_per_s" else f"{value:.7f}"
