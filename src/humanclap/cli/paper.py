"""What `score`, `evaluate` and `compare` share for a paper: tables and figures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from humanclap.errors import InputError
from humanclap.files import STANDARD
from humanclap.formats import TABLE_SUFFIXES, suffix_of

if TYPE_CHECKING:
    from humanclap.typeset import Format

Command = TypeVar("Command", bound=Callable[..., Any])

_LATEX = click.option(
    "--latex",
    is_flag=True,
    help="Print tables for a paper in LaTeX (booktabs); also by an -o FILE named .tex.",
)


def paper_options(command: Command) -> Command:
    """Add --latex and --markdown, two flags, to a command."""
    markdown = click.option(
        "--markdown",
        is_flag=True,
        help="Print tables for a paper in Markdown; also by an -o FILE named .md.",
    )
    return _LATEX(markdown(command))


def report_options(command: Command) -> Command:
    """Add --latex, and --markdown that writes a whole report where it is given a FILE."""
    markdown = click.option(
        "--markdown",
        is_flag=False,
        flag_value=STANDARD,
        metavar="[FILE]",
        type=click.Path(dir_okay=False, path_type=Path),
        callback=_no_table,
        help="Print tables for a paper in Markdown (also by an -o FILE named .md), or with FILE "
        "write a Markdown report.  [default: neither]",
    )
    return _LATEX(markdown(command))


def figures_option(command: Command) -> Command:
    """Add --figures to a command."""
    return click.option(
        "--figures",
        metavar="DIR",
        type=click.Path(path_type=Path),
        help="Write figures as SVG and PDF into this folder (humanclap[figures]).  [default: none]",
    )(command)


def check_figures(folder: Path | None) -> None:
    """Before any work: raise MissingExtraError without matplotlib, InputError for a file."""
    if folder is None:
        return
    from humanclap.drawing import check_folder

    check_folder(folder)


def paper_format(
    output: Path | None, *, latex: bool, markdown: bool, as_json: bool
) -> Format | None:
    """The format of the tables that are the result; None where the result is something else.

    Raises click.UsageError where two formats are asked for.
    """
    from humanclap.typeset import SUFFIXES

    named = SUFFIXES.get(suffix_of(output)) if output is not None else None
    asked: dict[str, Format | None] = {
        "--latex": "latex" if latex else None,
        "--markdown": "markdown" if markdown else None,
        f"-o {output}": named,
    }
    found = {form: option for option, form in asked.items() if form}
    if as_json and found:
        raise click.UsageError(f"--json and {next(iter(found.values()))} are two formats; give one")
    if len(found) > 1:
        raise click.UsageError(f"{' and '.join(found.values())} are two formats; give one")
    return next(iter(found), None)


def is_flag(markdown: Path | None) -> bool:
    """Whether `report_options`' --markdown was given without a file."""
    return markdown is not None and str(markdown) == STANDARD


def written(path: Path | None) -> bool:
    """Whether this is the path of a file that was written."""
    return path is not None and str(path) != STANDARD


def _no_table(
    context: click.Context, parameter: click.Parameter, value: Path | None
) -> Path | None:
    """Refuse `--markdown scores.csv`, where the table behind the flag is meant to be read."""
    if value is not None and str(value) != STANDARD and suffix_of(value) in TABLE_SUFFIXES:
        raise InputError(
            f"{value}: --markdown would write a report over this table; to print tables give "
            "--markdown last or as --markdown=-, and name a report .md"
        )
    return value
