"""`humanclap compare`: which text-to-audio system follows its prompts best, by one metric?"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from humanclap.cli.console import made_here, progress_bar, tell_reading, text_table
from humanclap.cli.judging_options import (
    PATH,
    Forms,
    Results,
    force_option,
    power_option,
    refuse_trained_on_option,
    replicates_option,
    result_options,
    seed_option,
    shared_only_option,
    systems_option,
)

if TYPE_CHECKING:
    from humanclap.evaluation.leaderboard.result import Leaderboard
    from humanclap.evaluation.settings import LeaderboardSettings


@click.command(
    epilog="""\b
Examples:
  humanclap compare scores.csv --html leaderboard.html
  humanclap compare tango.csv audioldm.csv --shared-only
  humanclap compare scores.csv --choices choices.csv --html leaderboard.html
  humanclap compare scores.csv --figures figures/ --latex > systems.tex
"""
)
@click.argument("scores", nargs=-1, type=PATH)
@click.option(
    "--choices",
    type=PATH,
    help="Table of people's choices between the systems' clips: ranks the systems by them too; "
    "SCORES may then be left out.",
)
@systems_option("Compare")
@shared_only_option("some system")
@click.option(
    "--value",
    type=click.Choice(["score", "rating"]),
    default="score",
    show_default=True,
    help="What to compare: the score, or the rating of a calibrated model.",
)
@click.option(
    "--worst", default=3, show_default=True, help="Number of lowest clips to list for each system."
)
@power_option
@replicates_option(2000)
@click.option(
    "--permutations", default=10000, show_default=True, help="Permutations of each paired test."
)
@seed_option("bootstrap and tests")
@force_option
@refuse_trained_on_option(
    help="Stop where the metric's model met clips or prompts in training (column met)."
)
@result_options
def compare(
    scores: tuple[Path, ...], choices: Path | None, notes: tuple[str, ...], **given: Any
) -> None:
    """Which system follows its prompts best?

    SCORES are tables of one metric, audio,text,score[,system,rating]; a row without a system is of
    the system its file is named after. A clip and prompt of one system may appear only once.
    Systems are compared on the same prompts: mean with interval, paired tests, win matrix, how many
    more prompts would settle a tie, the lowest clips, and means by caption type. Where the column
    met says that the metric's model met clips or prompts in training, the report warns of it and
    ranks the systems without those prompts too. With --choices the systems are also ranked by what
    people chose, and the metric's ranking is set beside theirs.
    """
    from humanclap.choices import read_votes
    from humanclap.evaluation.leaderboard.rank import leaderboard
    from humanclap.evaluation.settings import LeaderboardSettings
    from humanclap.tables import read_scores

    results = Results.of(given)
    if len({path.stem for path in scores}) < len(scores):
        raise click.UsageError("two score tables have one file name; give each system's its own")
    settings = LeaderboardSettings.from_mapping(given)
    if not scores:
        if choices is None:
            raise click.UsageError("Missing argument 'SCORES...' (only --choices does without).")
        if results.audio_root is not None:
            raise click.UsageError("--audio-root plays the clips of SCORES; give some")
        results.write(_by_choices(choices, settings, notes))
        return
    tell_reading(scores, quiet=results.quiet)
    with progress_bar("comparing", quiet=results.quiet) as progress:
        board = leaderboard(
            {path.stem: read_scores(path) for path in scores},
            settings,
            votes=None if choices is None else read_votes(choices, include_anchors=True),
            votes_where=str(choices),
            notes=notes,
            progress=progress,
        )
    results.write(_forms(board, results))


def _forms(board: Leaderboard, results: Results) -> Forms:
    from humanclap.evaluation.report.figures import draw_leaderboard
    from humanclap.evaluation.report.leaderboard_report import (
        html_leaderboard,
        json_leaderboard,
        leaderboard_document,
    )
    from humanclap.evaluation.report.paper import leaderboard_tables

    made = made_here()
    document = leaderboard_document(board, made=made)
    return Forms(
        page=partial(html_leaderboard, board, made=made, **results.sound),
        markdown=document.markdown,
        json=partial(json_leaderboard, board, made=made),
        text=partial(document.text, text_table),
        tables=partial(leaderboard_tables, board),
        draw=partial(draw_leaderboard, board),
    )


def _by_choices(choices: Path, settings: LeaderboardSettings, notes: tuple[str, ...]) -> Forms:
    """Rank systems by choices alone."""
    from humanclap.choices import read_votes
    from humanclap.evaluation.choices.ranking import rank_by_choices
    from humanclap.evaluation.report.choices_paper import draw_ranking, ranking_tables
    from humanclap.evaluation.report.choices_report import json_ranking, ranking_document

    votes = read_votes(choices, include_anchors=True)
    ranking = rank_by_choices(votes, settings, where=str(choices), notes=notes)
    made = made_here()
    document = ranking_document(ranking, made=made)
    return Forms(
        page=document.page,
        markdown=document.markdown,
        json=partial(json_ranking, ranking, made=made),
        text=partial(document.text, text_table),
        tables=partial(ranking_tables, ranking),
        draw=partial(draw_ranking, ranking),
    )
