"""`humanclap rerank`: keep the best of N clips for each prompt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, fields
from functools import partial
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING

import click

from humanclap.cli.console import emit, output_options, remark, text_table, warn_of_notes
from humanclap.cli.judging_options import PATH, force_option, replicates_option, seed_option
from humanclap.formats import suffix_of
from humanclap.json_values import to_json

if TYPE_CHECKING:
    from humanclap.evaluation import EvaluationSettings
    from humanclap.evaluation.agreement.rerank import BestOfGain, KeptCandidate


@click.command(
    epilog="""\b
Examples:
  humanclap rerank scores.csv -o best.csv                # one clip a prompt and system
  humanclap rerank scores.csv --across-systems -o best.csv
  humanclap rerank scores.csv --targets targets.csv      # what do people gain?
"""
)
@click.argument("scores", type=PATH)
@click.option(
    "--across-systems",
    is_flag=True,
    help="Keep one clip a prompt, whatever system made it, not one a prompt and system.",
)
@click.option(
    "--targets", type=PATH, help="Table of human targets: state the expected gain instead."
)
@click.option("--allow-missing", is_flag=True, help="Leave targets without a score out.")
@force_option
@replicates_option(1000)
@seed_option()
@partial(output_options, report=False)
def rerank(
    scores: Path,
    across_systems: bool,
    targets: Path | None,
    allow_missing: bool,
    force: bool,
    replicates: int,
    seed: int,
    as_json: bool,
    quiet: bool,
    output: Path | None,
) -> None:
    """Keep the clip with the highest score for each prompt and system.

    SCORES is a table audio,text,score[,system] with several clips a prompt. Clips of unlike systems
    are not set against each other unless --across-systems is given; a table without the column
    system has one. With --targets nothing is chosen: the table says how much higher people rate the
    metric's choice among N clips than a clip at random, and how much higher they rate the best one.
    """
    from humanclap.evaluation import EvaluationSettings
    from humanclap.evaluation.agreement.rerank import KeptCandidate, choose
    from humanclap.tables import read_scored, rows_as_csv, with_further, write_rows

    if targets is not None:
        settings = EvaluationSettings(
            allow_missing=allow_missing, force=force, replicates=replicates, seed=seed
        )
        gains = _gains(scores, targets, settings, across_systems)
        as_json = as_json or (output is not None and suffix_of(output) == ".json")
        text = to_json([asdict(gain) for gain in gains]) if as_json else _gain_table(gains)
        emit(text, output=output)
        return
    rows, further = read_scored(scores)
    choices = choose(rows, force=force, across_systems=across_systems)
    columns, cells = with_further(
        [field.name for field in fields(KeptCandidate)],
        ((choice.pair_id, asdict(choice)) for choice in choices),
        further,
    )
    if as_json:
        emit(to_json(cells), output=output)
    elif output is None:
        emit(rows_as_csv(columns, cells).rstrip("\n"), output=None)
    else:
        write_rows(output, columns, cells)
    warn_of_notes(choices)
    remark(_counts(choices, across_systems), quiet=quiet)


def _gains(
    scores: Path, targets: Path, settings: EvaluationSettings, across_systems: bool
) -> list[BestOfGain]:
    from humanclap.evaluation import ScoreTable
    from humanclap.evaluation.agreement.rerank import expected_gains
    from humanclap.tables import read_targets

    return expected_gains(
        ScoreTable.read(scores), read_targets(targets), settings, across_systems=across_systems
    )


def _gain_table(gains: Sequence[BestOfGain]) -> str:
    rows = [
        (
            g.n,
            g.prompts,
            g.random,
            g.chosen,
            g.best,
            f"{g.gain:+.3f}" + ("" if g.reason else f" [{g.low:.3f}, {g.high:.3f}]"),
            "–" if isnan(g.share) else f"{100 * g.share:.0f} %",
        )
        for g in gains
    ]
    table = text_table(("N", "prompts", "random", "chosen", "best", "gain", "of possible"), rows)
    reasons = [f"no interval of N = {g.n}: {g.reason}" for g in gains if g.reason]
    reasons += [f"of possible, N = {g.n}: no clip is better" for g in gains if isnan(g.share)]
    return "\n".join([table, *reasons])


def _counts(choices: Sequence[KeptCandidate], across_systems: bool) -> str:
    alone = sum(choice.candidates == 1 for choice in choices)
    candidates = sum(choice.candidates for choice in choices)
    tied = sum(choice.margin == 0 for choice in choices)
    systems = {choice.system for choice in choices}
    of_systems = "" if across_systems or len(systems) < 2 else f" × systems ({len(systems)})"
    unnamed = sum(choice.system is None for choice in choices) if of_systems else 0
    told = (
        f"{candidates} clips, {len(choices)} prompts{of_systems}; {alone} with one clip only, "
        f"{tied} tied at the top (the first by name was kept)"
    )
    if unnamed:
        told += f"; {unnamed} name no system and count as one"
    if of_systems and alone == len(choices):
        told += "; --across-systems chooses one clip a prompt among the systems'"
    return told
