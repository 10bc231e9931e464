"""`humanclap experiment`: a grid of training runs, and its table."""

from __future__ import annotations

from pathlib import Path

import click

from humanclap.cli.console import made_here, mn04_options, progress_bar, remark
from humanclap.json_values import to_json


@click.command(
    epilog="""\b
Examples:
  humanclap experiment recipes/human-clap-relate.toml --data RELATE/ -o runs/relate
  humanclap experiment recipes/data-efficiency.toml --data mine/ -o runs/how-many
Run again, it goes on where it stopped.
"""
)
@click.argument("recipe", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path), help="Folder of the grid."
)
@click.option(
    "--data",
    "data_folder",
    type=click.Path(path_type=Path),
    help="Folder of the recipe's tables and audio.  [default: the recipe's folder]",
)
@click.option(
    "--audio-root", type=click.Path(path_type=Path), help="Where audio paths start, if elsewhere."
)
@mn04_options
@click.option("-q", "--quiet", is_flag=True, help="No progress and no remarks on stderr.")
@click.option("--json", "as_json", is_flag=True, help="Print the table as JSON.")
def experiment(
    recipe: Path,
    output: Path,
    data_folder: Path | None,
    audio_root: Path | None,
    mn04: Path | None,
    offline: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Train and judge every cell of RECIPE: objective, model, seed, systems, number of pairs.

    Each run is a folder with its settings, log, predictions and metrics; done runs are not done
    again. Ends in one table: a row an objective; SRCC, LCC, KTAU and MSE overall, on natural and
    synthetic audio and within a system; the gain over the baseline with its interval.
    """
    from humanclap.experiments.run import run_experiment

    with progress_bar("experiment", quiet=quiet) as progress:
        found = run_experiment(
            recipe,
            output=output,
            data_folder=data_folder,
            audio_root=audio_root,
            mn04=mn04,
            offline=offline,
            progress=progress,
            made=made_here(),
        )
    if as_json:
        import json

        table = json.loads((output / "table.json").read_text(encoding="utf-8"))
        click.echo(to_json(table))
    else:
        click.echo(found.text.rstrip())
    remark(f"tables: {output}/table.md, .html, .csv, .json", quiet=quiet)
