"""`humanclap gate`: for CI, is a new system no worse than the old one, and good enough?"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from humanclap.cli.console import emit, made_here, output_options, remark, text_table
from humanclap.cli.judging_options import (
    FILE,
    PATH,
    force_option,
    power_option,
    replicates_option,
    seed_option,
    shared_only_option,
    systems_option,
)
from humanclap.errors import CheckpointError, InputError, SettingsError, naming_file
from humanclap.json_values import to_json

if TYPE_CHECKING:
    from humanclap.clap.calibration import Calibration
    from humanclap.evaluation.gate import Gate, GateTable
    from humanclap.metrics.mean_rating import MapError

EXIT_FAIL = 1
EXIT_UNDECIDED = 3
_ROUNDING = 0.05
"""Ratings of a table may be rounded; those of another map are further off."""


@click.command(
    epilog="""\b
Examples:
  humanclap gate scores.csv --baseline old.csv --margin 0.02
  humanclap gate scores.csv --min-rating 6 --max-failed 2
  humanclap gate all.csv --system new --baseline all.csv --baseline-system old --margin 0.02
  humanclap gate fad.csv --metric fad --lower-is-better --baseline old.csv --margin 0.1

\b
Exit codes: 0 pass, 1 fail, 2 bad input, 3 not enough prompts to tell (--undecided).
"""
)
@click.argument("scores", type=PATH)
@click.option("--baseline", type=PATH, help="Table of the old system on the same prompts.")
@click.option(
    "--margin",
    type=float,
    help="How much worse than the baseline's the mean may be; 0 asks for a better one.",
)
@click.option("--min-score", type=float, help="Least mean of the score, or of --metric.")
@click.option("--max-score", type=float, help="Greatest mean of --metric, with --lower-is-better.")
@click.option("--min-rating", type=float, help="Least mean predicted rating, on 0..10.")
@click.option(
    "--metric", default="score", show_default=True, help="Column to judge by; higher is better."
)
@click.option("--lower-is-better", is_flag=True, help="Of --metric, lower is better.")
@systems_option("Judge")
@click.option(
    "--baseline-system",
    help="System of the baseline to compare with.  [default: the one of the same name]",
)
@shared_only_option("one table")
@click.option(
    "--max-failed",
    default=0,
    show_default=True,
    help="Number of rows of SCORES that may lack a score; with more the gate fails.",
)
@click.option(
    "--min-prompts",
    default=20,
    show_default=True,
    help="With fewer prompts the answer is never pass or fail.",
)
@click.option(
    "--confidence", default=0.95, show_default=True, help="Confidence of each one-sided bound."
)
@power_option
@click.option(
    "--undecided",
    type=click.Choice(["pass", "fail"]),
    help="Take 'not enough prompts to tell' for this one.  [default: exit code 3]",
)
@click.option(
    "--model",
    help="Model whose map made the ratings (for their error).  [default: as the signature says]",
)
@force_option
@click.option("--worst", default=5, show_default=True, help="Number of prompts to list.")
@replicates_option(10000)
@seed_option()
@click.option(
    "--summary",
    type=FILE,
    help="Append a summary in Markdown to this file.  [default: $GITHUB_STEP_SUMMARY, if set]",
)
@output_options
def gate(
    scores: Path,
    baseline: Path | None,
    undecided: str | None,
    model: str | None,
    summary: Path | None,
    as_json: bool,
    quiet: bool,
    output: Path | None,
    **given: Any,
) -> int:
    """For CI: is the new system no worse than the old one, and good enough?

    SCORES and the baseline are tables audio,text,score[,system,rating,rating_error] of one metric
    over the same prompts; a prompt's value is the mean of its clips. With --margin the gate passes
    where the mean is shown to be no more than that below the baseline's, fails where it is shown to
    be further below, and else says that there are not enough prompts to tell and how many would be
    enough. At a loss of exactly the margin it passes wrongly in 5 % of all runs, and fails in 5 %.
    --min-score and --min-rating do the same for a limit of the mean; several may be combined. A
    predicted rating comes with the error of its map. Unlike prompts and signatures are refused.
    """
    from humanclap.evaluation.gate import GateSettings, read_gate_table
    from humanclap.evaluation.gate import gate as judge
    from humanclap.evaluation.gate.words import annotation, sentences, warnings

    settings = GateSettings(**given)
    new = read_gate_table(scores, settings.metric)
    old = None if baseline is None else read_gate_table(baseline, settings.metric)
    if model is not None and settings.min_rating is None:
        raise SettingsError("--model names the map of predicted ratings, so it needs --min-rating")
    map_error = None if settings.min_rating is None else _map_error(new, model, settings.metric)
    found = judge(new, old, settings, map_error=map_error)
    code = exit_code(found.verdict, undecided)
    kept = {
        "verdict": found.verdict,
        "exit_code": code,
        "told": sentences(found),
        "warnings": warnings(found),
        "made": made_here().to_dict(),
        **found.to_dict(),
    }
    _summarise(found, summary, quiet)
    emit(to_json(kept) if as_json else _text(found), output=output)
    if os.environ.get("GITHUB_ACTIONS") == "true":
        click.echo(annotation(found, stops=code != 0), err=True)
    return code


def exit_code(verdict: str, undecided: str | None) -> int:
    """0 pass, 1 fail, 3 undecided, unless that is to be taken for one of the others."""
    if verdict == "undecided" and undecided is not None:
        verdict = undecided
    return {"pass": 0, "fail": EXIT_FAIL, "undecided": EXIT_UNDECIDED}[verdict]


def _text(found: Gate) -> str:
    from humanclap.evaluation.gate.words import method_line, sections, sentences, warnings

    parts = ["\n".join(sentences(found))]
    parts += [f"{title}\n{text_table(heads, rows)}" for title, (heads, rows) in sections(found)]
    if told := warnings(found):
        parts.append("\n".join(f"warning: {line}" for line in told))
    parts.append(f"signature  {found.signature or 'none in the tables'}\n{method_line(found)}")
    return "\n\n".join(parts)


def _summarise(found: Gate, summary: Path | None, quiet: bool) -> None:
    from humanclap.evaluation.gate.words import markdown

    named = os.environ.get("GITHUB_STEP_SUMMARY")
    path = summary or (Path(named) if named else None)
    if path is None:
        return
    try:
        with naming_file(path), path.open("a", encoding="utf-8") as file:
            file.write(markdown(found) + "\n")
    except OSError as error:
        if summary is not None:
            raise
        click.echo(f"warning: no summary, as {path} cannot be written: {error.strerror}", err=True)
    else:
        remark(f"appended to {path}", quiet=quiet)


def _map_error(new: GateTable, model: str | None, metric: str) -> MapError | None:
    """The shared part of the error, by the map that gave these very ratings; None where unknown."""
    from humanclap.clap.checkpoint import read_calibration
    from humanclap.clap.checkpoint_files import packaged_names

    name = model or _model_of(new)
    if metric != "score" or name is None or (model is None and name not in packaged_names()):
        return None
    calibration = read_calibration(name)
    if calibration is None:
        raise CheckpointError(f"{name}: has no map to ratings; leave --model out")
    if not _made_by(calibration, new):
        if model is None:
            return None
        raise InputError(
            f"{new.where}: its ratings are not those of the map of {model}; name the model that "
            "scored it"
        )
    return calibration.map_error


def _model_of(new: GateTable) -> str | None:
    from humanclap.signature import Signature

    signatures = {row.score.signature for row in new.rows if row.score.signature}
    try:
        models = {Signature.parse(signature).model for signature in signatures}
    except InputError:  # another metric's
        return None
    return models.pop() if len(models) == 1 else None


def _made_by(calibration: Calibration, new: GateTable) -> bool:
    """Whether the map gives the ratings of the table."""
    rows = [row.score for row in new.rows if row.score.error is None]
    return not any(abs(calibration.rating(row.score) - row.rating) > _ROUNDING for row in rows)
