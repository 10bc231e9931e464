"""`humanclap rerank`: keep the best of N clips for each prompt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from humanclap.cli.console import emit, output_options, remark, text_table, to_json

if TYPE_CHECKING:
    from humanclap.evaluation import EvaluationSettings
    from humanclap.evaluation.rerank import Choice, Gain

_PATH = click.Path(path_type=Path)


@click.command(
    epilog="""\b
Examples:
  humanclap rerank scores.csv -o best.csv
  humanclap rerank scores.csv --targets targets.csv      # what do people gain?
"""
)
@click.argument("scores", type=_PATH)
@click.option(
    "--targets", type=_PATH, help="Table of human targets: state the expected gain instead."
)
@click.option("--allow-missing", is_flag=True, help="Leave targets without a score out.")
@click.option("--force", is_flag=True, help="Accept scores made in unlike ways.")
@click.option(
    "--replicates", default=1000, show_default=True, help="Number of bootstrap replicates."
)
@click.option("--seed", default=0, show_default=True, help="Seed of the bootstrap.")
@output_options
def rerank(
    scores: Path,
    targets: Path | None,
    allow_missing: bool,
    force: bool,
    replicates: int,
    seed: int,
    as_json: bool,
    quiet: bool,
    output: Path | None,
) -> None:
    """Keep the clip with the highest score for each prompt.

    SCORES is a table audio,text,score with several clips a prompt. With --targets nothing is
    chosen: the table says how much higher people rate the metric's choice among N clips than a
    clip at random, and how much higher they rate the best one.
    """
    from humanclap.evaluation import EvaluationSettings
    from humanclap.evaluation.rerank import Choice, choose
    from humanclap.tables import read_scores, records_as_csv, write_records

    if targets is not None:
        settings = EvaluationSettings(
            allow_missing=allow_missing, force=force, replicates=replicates, seed=seed
        )
        gains = _gains(scores, targets, settings)
        text = to_json([asdict(gain) for gain in gains]) if as_json else _gain_table(gains)
        emit(text, output=output)
        return
    choices = choose(read_scores(scores), force=force)
    if as_json:
        emit(to_json([asdict(choice) for choice in choices]), output=output)
    elif output is None:
        emit(records_as_csv(choices, record_type=Choice).rstrip("\n"), output=None)
    else:
        write_records(output, choices, record_type=Choice)
    remark(_counts(choices), quiet=quiet)


def _gains(scores: Path, targets: Path, settings: EvaluationSettings) -> list[Gain]:
    from humanclap.evaluation import ScoreTable
    from humanclap.evaluation.rerank import expected_gains
    from humanclap.tables import read_targets

    return expected_gains(ScoreTable.read(scores), read_targets(targets), settings)


def _gain_table(gains: Sequence[Gain]) -> str:
    rows = [
        (
            g.n,
            g.prompts,
            g.random,
            g.chosen,
            g.best,
            f"{g.gain:+.3f} [{g.low:.3f}, {g.high:.3f}]",
            "–" if g.share != g.share else f"{100 * g.share:.0f} %",
        )
        for g in gains
    ]
    return text_table(("N", "prompts", "random", "chosen", "best", "gain", "of possible"), rows)


def _counts(choices: Sequence[Choice]) -> str:
    alone = sum(choice.candidates == 1 for choice in choices)
    candidates = sum(choice.candidates for choice in choices)
    tied = sum(choice.margin == 0 for choice in choices)
    return (
        f"{candidates} clips, {len(choices)} prompts; {alone} with one clip only, "
        f"{tied} tied at the top (the first by name was kept)"
    )
