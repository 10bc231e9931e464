"""`humanclap compare`: which text-to-audio system follows its prompts best, by one metric?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from humanclap.cli.console import (
    emit,
    made_here,
    output_options,
    progress_bar,
    remark,
    tell_reading,
    text_table,
)
from humanclap.cli.paper import (
    check_figures,
    figures_option,
    is_flag,
    paper_format,
    report_options,
    written,
)
from humanclap.json_values import to_json

if TYPE_CHECKING:
    from humanclap.evaluation.leaderboard.result import Leaderboard

_PATH = click.Path(path_type=Path)
_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command(
    epilog="""\b
Examples:
  humanclap compare scores.csv --html leaderboard.html
  humanclap compare tango.csv audioldm.csv --shared-only
  humanclap compare scores.csv --choices choices.csv --html leaderboard.html
  humanclap compare scores.csv --figures figures/ --latex > systems.tex
"""
)
@click.argument("scores", nargs=-1, type=_PATH)
@click.option(
    "--choices",
    type=_PATH,
    help="Table of people's choices between the systems' clips: ranks the systems by them too; "
    "SCORES may then be left out.",
)
@click.option(
    "--system",
    "systems",
    multiple=True,
    help="Compare only this system and others named so; may be repeated.  [default: all]",
)
@click.option("--shared-only", is_flag=True, help="Leave out prompts that some system lacks.")
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
@click.option(
    "--power",
    default=0.8,
    show_default=True,
    help="Power at which the number of prompts needed is told.",
)
@click.option(
    "--replicates", default=2000, show_default=True, help="Number of bootstrap replicates."
)
@click.option(
    "--permutations", default=10000, show_default=True, help="Permutations of each paired test."
)
@click.option("--seed", default=0, show_default=True, help="Seed of bootstrap and tests.")
@click.option("--force", is_flag=True, help="Accept scores made in unlike ways.")
@click.option(
    "--refuse-trained-on",
    is_flag=True,
    help="Stop where the metric's model met clips or prompts in training (column met).",
)
@click.option(
    "--note", "notes", multiple=True, help="Sentence to show above every report; may be repeated."
)
@report_options
@figures_option
@click.option("--html", type=_FILE, help="Write a self-contained HTML report.")
@click.option(
    "--audio-root",
    type=_PATH,
    help="Where relative audio paths start: adds players to the HTML report.",
)
@click.option("--link-audio", is_flag=True, help="Link the clips instead of embedding them.")
@output_options
def compare(
    scores: tuple[Path, ...],
    choices: Path | None,
    notes: tuple[str, ...],
    latex: bool,
    markdown: Path | None,
    figures: Path | None,
    html: Path | None,
    audio_root: Path | None,
    link_audio: bool,
    as_json: bool,
    quiet: bool,
    output: Path | None,
    **given: Any,
) -> None:
    """Which system follows its prompts best?

    SCORES are tables of one metric, audio,text,score[,system,rating]; a row without a system is of
    the system its file is named after. A clip and prompt of one system may stand only once. Systems
    are compared on the same prompts: mean with interval, paired tests, win matrix, how many more
    prompts would settle a tie, the lowest clips, and means by caption type. Where the column met
    says that the metric's model met clips or prompts in training, that is warned of, and the
    systems are ranked without those prompts too. With --choices systems are ranked by what people
    chose as well, and the metric's ranking stands beside theirs.
    """
    from humanclap.choices import read_votes
    from humanclap.cli.choices import compare_choices
    from humanclap.evaluation.leaderboard.rank import leaderboard
    from humanclap.evaluation.report.comparability import leaderboard_signature
    from humanclap.evaluation.report.figures import draw_leaderboard
    from humanclap.evaluation.report.leaderboard_words import markdown_leaderboard, warnings
    from humanclap.evaluation.report.paper import leaderboard_tables
    from humanclap.evaluation.settings import LeaderboardSettings
    from humanclap.files import atomic_writer
    from humanclap.tables import read_scores
    from humanclap.typeset import typeset

    paper = paper_format(output, latex=latex, markdown=is_flag(markdown), as_json=as_json)
    check_figures(figures)
    if len({path.stem for path in scores}) < len(scores):
        raise click.UsageError("two score tables have one file name; give each system's its own")
    settings = LeaderboardSettings.from_mapping(given)
    if not scores:
        if choices is None:
            raise click.UsageError("Missing argument 'SCORES...' (only --choices does without).")
        if audio_root is not None:
            raise click.UsageError("--audio-root plays the clips of SCORES; give some")
        drawn = compare_choices(
            choices, settings, notes=notes, paper=paper, figures=figures, html=html,
            markdown=None if is_flag(markdown) else markdown, as_json=as_json, output=output,
        )  # fmt: skip
        for path in filter(written, (markdown, html, output, *drawn)):
            remark(f"wrote {path}", quiet=quiet)
        return
    tell_reading(scores, quiet=quiet)
    with progress_bar("comparing", quiet=quiet) as progress:
        board = leaderboard(
            {path.stem: read_scores(path) for path in scores},
            settings,
            votes=None if choices is None else read_votes(choices, include_anchors=True),
            votes_where=str(choices),
            notes=notes,
            progress=progress,
        )
    made = made_here()
    if markdown is not None and not is_flag(markdown):
        with atomic_writer(markdown) as file:
            file.write(markdown_leaderboard(board, made=made))
    if html is not None:
        from humanclap.evaluation.report.leaderboard_page import html_leaderboard

        root = None if audio_root is None else audio_root.resolve()
        folder = html.resolve().parent if link_audio else None
        with atomic_writer(html) as file:
            file.write(html_leaderboard(board, audio_root=root, link_from=folder, made=made))
    found = {
        "compared_as": leaderboard_signature(board),
        "made": made.to_dict(),
        "warnings": warnings(board),
        **board.to_dict(),
    }
    text = typeset(leaderboard_tables(board), paper) if paper else _text(board)
    emit(to_json(found) if as_json else text, output=output)
    drawn = [] if figures is None else draw_leaderboard(board, figures)
    for path in filter(written, (markdown, html, output, *drawn)):
        remark(f"wrote {path}", quiet=quiet)


def _text(board: Leaderboard) -> str:
    from humanclap.evaluation.report.comparability import leaderboard_signature
    from humanclap.evaluation.report.leaderboard_words import method_line, sections, text_sections
    from humanclap.evaluation.report.ranking_words import method_lines

    parts = [f"{title}\n{text_table(heads, rows)}" for title, (heads, rows) in sections(board)]
    ending = f"signature    {board.signature or 'none in the tables'}\n"
    ending += f"compared as  {leaderboard_signature(board)}\n{method_line(board)}"
    ending = "\n".join([ending, *([] if board.people is None else method_lines(board.people))])
    return "\n\n".join(["\n".join(text_sections(board)), *parts, ending])
