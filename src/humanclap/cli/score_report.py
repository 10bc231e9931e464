"""What `humanclap score` says after a table, with either runner."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from humanclap.cli.console import emit, remark
from humanclap.cli.main import EXIT_SOME_FAILED
from humanclap.errors import listed
from humanclap.records import UNKNOWN_MET, Score, roles_met

if TYPE_CHECKING:
    from humanclap.scoring.scorer import HumanCLAP
    from humanclap.typeset import Format


def summarise_scores(
    scores: Sequence[Score],
    scorer: HumanCLAP,
    paper: Format | None,
    output: Path | None,
    figures: Path | None,
    quiet: bool,
    *,
    kept: bool,
) -> None:
    """Print a line for each system on stderr, or the table for a paper; draw figures.

    kept: whether the scores of the pairs have been written.
    """
    from humanclap.scoring.summary import lines, method, paper_table, summarise
    from humanclap.typeset import typeset

    fitted, covers = scorer.calibration, scorer.rating_covers
    found = summarise(scores, fitted.map_error if fitted else None)
    if paper:
        met = sum(bool(roles_met(item.met)) for item in scores)
        table = paper_table(found, signature=scorer.signature, covers=covers, met=met)
        emit(typeset([table], paper), output=output)
        if not kept:
            told = f"the scores of the pairs are not kept; -o scores.csv --{paper} keeps them and"
            remark(f"{told} prints the table", quiet=quiet)
    else:
        remark("\n".join([*lines(found), method(found, covers=covers)]), quiet=quiet)
    if figures is not None:
        from humanclap.scoring.figures import draw_scores

        for path in draw_scores(scores, found, figures):
            remark(f"wrote {path}", quiet=quiet)


def remark_renamed(renamed: Mapping[str, str], quiet: bool) -> None:
    """Say which columns of the table have another name now: old name -> new name."""
    if renamed:
        names = ", ".join(f"{name} as {kept}" for name, kept in renamed.items())
        remark(f"columns of the table that have new values are kept: {names}", quiet=quiet)


def _say_first(rows: Sequence[Score], line: str) -> None:
    """Say a line on stderr for each of the first few rows; {0} in it is the row."""
    click.echo(listed(rows, show=line.format, between="\n", rest=""), err=True)


def _warn_of_met(scores: Sequence[Score], quiet: bool) -> None:
    """Warn of pairs that the model met in training: nobody should judge a model by them."""
    met = [item for item in scores if roles_met(item.met)]
    if met:
        _say_first(met, "warning: met in training: {0.audio} | {0.text}: {0.met}")
        click.echo(
            f"warning: the model met {len(met)} of {len(scores)} pairs in training", err=True
        )
    unknown = sum(item.met == UNKNOWN_MET for item in scores)
    if unknown:
        remark(
            f"what the model met in training is unknown for {unknown} of {len(scores)} pairs "
            "(the checkpoint does not name all, or a clip has too little sound to be known)",
            quiet=quiet,
        )


def report(scores: Sequence[Score], signature: str, output: Path | str | None, quiet: bool) -> int:
    """Say what failed, what was met in training and how many are scored; return the exit code."""
    failed = [item for item in scores if item.error is not None]
    if failed:
        _say_first(failed, "error: {0.audio}: {0.error}")
        click.echo(f"{len(failed)} of {len(scores)} pairs could not be scored", err=True)
    _warn_of_met(scores, quiet)
    where = f" -> {output}" if output else ""
    remark(f"{len(scores) - len(failed)} scored{where}  {signature}", quiet=quiet)
    return EXIT_SOME_FAILED if failed else 0
