"""What `evaluate` and `compare` print of people's choices."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from humanclap.cli.console import emit, made_here, text_table
from humanclap.json_values import to_json

if TYPE_CHECKING:
    from humanclap.evaluation.choices.accuracy_result import JudgedChoices
    from humanclap.evaluation.choices.ranking_result import PeopleRanking
    from humanclap.evaluation.join import ScoreTable
    from humanclap.evaluation.settings import EvaluationSettings, LeaderboardSettings
    from humanclap.typeset import Format


def evaluate_choices(
    tables: Sequence[ScoreTable],
    path: Path,
    settings: EvaluationSettings,
    *,
    notes: Sequence[str],
    paper: Format | None,
    figures: Path | None,
    markdown: Path | None,
    html: Path | None,
    as_json: bool,
    output: Path | None,
) -> list[Path]:
    """Judge score tables by the choices of `path` alone; write and print; the figures drawn."""
    from humanclap.choices import read_votes
    from humanclap.evaluation.choices import judge_choices
    from humanclap.evaluation.report.choices_files import json_choices, write_choice_reports
    from humanclap.evaluation.report.choices_paper import choice_tables, draw_choices
    from humanclap.evaluation.report.metric_names import choices_by_model
    from humanclap.typeset import typeset

    votes = read_votes(path, include_anchors=True)
    judged = judge_choices(tables, votes, settings, where=str(path), notes=notes)
    made = made_here()
    named = choices_by_model(judged)
    write_choice_reports(named, markdown_path=markdown, html_path=html, made=made)
    text = json_choices(judged, made=made).rstrip() if as_json else choices_text(judged)
    emit(typeset(choice_tables(named), paper) if paper else text, output=output)
    return [] if figures is None else draw_choices(named, figures)


def choices_text(judged: JudgedChoices) -> str:
    """The whole judgement for the terminal."""
    from humanclap.evaluation.report import choices_words as words

    parts = list(judged.notes)
    parts += [f"warning: {warning}" for warning in words.warnings(judged)]
    parts += choices_tables(judged)
    return "\n\n".join([*parts, "\n".join([words.coverage(judged), *words.facts(judged)])])


def choices_tables(judged: JudgedChoices) -> list[str]:
    """Each table below its title."""
    from humanclap.evaluation.report import choices_words as words

    return [
        f"{title}\n{text_table(heads, rows)}" for title, (heads, rows) in words.sections(judged)
    ]


def compare_choices(
    path: Path,
    settings: LeaderboardSettings,
    *,
    notes: Sequence[str],
    paper: Format | None,
    figures: Path | None,
    markdown: Path | None,
    html: Path | None,
    as_json: bool,
    output: Path | None,
) -> list[Path]:
    """Rank systems by the choices of `path` alone; write and print; the figures drawn."""
    from humanclap.choices import read_votes
    from humanclap.evaluation.choices.ranking import rank_by_choices
    from humanclap.evaluation.report import ranking_words
    from humanclap.evaluation.report.choices_paper import draw_ranking, ranking_tables
    from humanclap.evaluation.report.ranking_report import html_ranking, markdown_ranking
    from humanclap.files import atomic_writer
    from humanclap.typeset import typeset

    votes = read_votes(path, include_anchors=True)
    ranking = rank_by_choices(votes, settings, where=str(path), notes=notes)
    made = made_here()
    for file, render in ((markdown, markdown_ranking), (html, html_ranking)):
        if file is not None:
            text = render(ranking, made=made)
            with atomic_writer(file) as written:
                written.write(text)
    if as_json:
        found = {"made": made.to_dict(), "notes": list(notes)}
        found |= {"warnings": ranking_words.warnings(ranking), "people": ranking.to_dict()}
        emit(to_json(found), output=output)
    else:
        text = typeset(ranking_tables(ranking), paper) if paper else ranking_text(ranking)
        emit(text, output=output)
    return [] if figures is None else draw_ranking(ranking, figures)


def ranking_text(ranking: PeopleRanking) -> str:
    """The whole ranking for the terminal."""
    from humanclap.evaluation.report import ranking_words
    from humanclap.evaluation.report.ranking_report import facts

    told = [*ranking.notes, *(f"warning: {one}" for one in ranking_words.warnings(ranking))]
    told += [*ranking_words.summary(ranking), *ranking_words.caveats(ranking)]
    tables = [f"{name}\n{text_table(*rows)}" for name, rows in ranking_words.sections(ranking)]
    return "\n\n".join(["\n".join(told), *tables, "\n".join(facts(ranking))])
