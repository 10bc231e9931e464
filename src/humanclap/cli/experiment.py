"""`humanclap experiment`: a grid of training runs, and its table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from humanclap.cli.console import made_here, mn04_options, progress_bar, quiet_option, remark
from humanclap.cli.training_options import PATH, output_folder


@click.command(
    epilog="""\b
Examples:
  humanclap experiment recipes/human-clap-relate.toml --data RELATE/ -o runs/relate
  humanclap experiment recipes/data-efficiency.toml --data mine/ -o runs/how-many
Run again, it goes on where it stopped.
"""
)
@click.argument("recipe", type=PATH)
@output_folder("Folder of the grid.")
@click.option(
    "--data",
    "data_folder",
    type=PATH,
    help="Folder of the recipe's tables and audio.  [default: the recipe's folder]",
)
@click.option("--audio-root", type=PATH, help="Where audio paths start, if elsewhere.")
@mn04_options
@quiet_option
@click.option("--json", "as_json", is_flag=True, help="Print the table as JSON.")
def experiment(recipe: Path, output: Path, quiet: bool, as_json: bool, **options: Any) -> None:
    """Train and judge every cell of RECIPE: objective, model, seed, systems, number of pairs.

    Each run is a folder with its settings, log, predictions and metrics; finished runs are not
    repeated. The result is one table with a row for each objective: SRCC, LCC, KTAU and MSE
    overall, on natural and synthetic audio and within a system, and the gain over the baseline
    with its interval.
    """
    from humanclap.experiments.run import run_experiment

    with progress_bar("experiment", quiet=quiet) as progress:
        found = run_experiment(
            recipe, output=output, progress=progress, made=made_here(), **options
        )
    table = (output / "table.json").read_text(encoding="utf-8") if as_json else found.text
    click.echo(table.rstrip())
    remark(f"tables: {output}/table.md, .html, .csv, .json", quiet=quiet)
