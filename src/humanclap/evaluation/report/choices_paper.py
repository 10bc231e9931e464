"""Choices for a paper: tables, and figures as SVG and PDF files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from humanclap.drawing import Mark, forest, forest_height, save
from humanclap.evaluation.choices.accuracy_result import BEST, JudgedChoices
from humanclap.evaluation.choices.ranking_result import PeopleRanking
from humanclap.evaluation.report import choices_words as words
from humanclap.evaluation.report import ranking_words
from humanclap.evaluation.report.comparability import choices_signature, ranking_signature
from humanclap.evaluation.report.marks import choice_marks, ranking_marks
from humanclap.typeset import PaperTable


def choice_tables(judged: JudgedChoices) -> list[PaperTable]:
    """Accuracy by group, and differences where there are any."""
    first, *differences = [
        PaperTable(caption=f"{caption}; {words.about(judged)}.", label=label, columns=heads,
                   rows=rows, notes=[f"Judged as {choices_signature(judged)}."])
        for (label, caption), (heads, rows) in zip(
            (
                ("people-choices", "Accuracy of choosing as people do (0..1, higher is better) "
                 f"with {100 * judged.settings.confidence:g} % intervals"),
                ("people-choices-differences", "Differences in accuracy on the same questions"),
            ),
            (section.rows for section in words.sections(judged)),
            strict=False,
        )
    ]  # fmt: skip
    notes = [*judged.notes, *words.facts(judged), *words.warnings(judged)]
    return [replace(first, notes=notes), *differences]


def ranking_tables(ranking: PeopleRanking) -> list[PaperTable]:
    """The ranking, every two systems, and the win matrix."""
    about = ranking_words.about(ranking)
    spread = f"{100 * ranking.settings.confidence:g} % intervals"
    captions = {
        "people-ranking": f"Systems ranked by people's choices, with {spread}",
        "people-two-by-two": f"Every two systems by people's choices, with {spread}",
        "people-wins": "Share of the votes against each other system",
    }
    notes = [*ranking.notes, *ranking_words.method_lines(ranking)]
    notes += [f"Ranked as {ranking_signature(ranking)}.", *ranking_words.warnings(ranking)]
    first, *further = [
        PaperTable(
            caption=f"{caption}; n = {about}.", label=label, columns=section.rows[0],
            rows=section.rows[1],
        )
        for (label, caption), section in zip(
            captions.items(), ranking_words.sections(ranking), strict=True
        )
    ]  # fmt: skip
    return [replace(first, notes=notes), *further]


def draw_choices(judged: JudgedChoices, folder: Path) -> list[Path]:
    """Write `people-choices`, the accuracy of each metric and floor. Raises as `drawing.save`."""
    spread = f"{100 * judged.settings.confidence:g} % interval"
    title = f"accuracy of choosing as people do with {spread}; grey: what hears nothing"
    return draw_forest(folder, "people-choices", choice_marks(judged), title, limit=BEST)


def draw_ranking(ranking: PeopleRanking, folder: Path) -> list[Path]:
    """Write `people-ranking`, the log strengths. Raises as `drawing.save`."""
    title = f"log strength by people's choices, {100 * ranking.settings.confidence:g} % interval"
    return draw_forest(folder, "people-ranking", ranking_marks(ranking), title, zero=True)


def draw_forest(
    folder: Path,
    name: str,
    marks: Sequence[Mark],
    title: str,
    *,
    limit: str = "",
    zero: bool = False,
) -> list[Path]:
    """Write a forest plot; the arguments are those of `drawing.forest`."""
    draw = forest(marks, title=title, limit=limit, zero=zero)
    return save(folder, name, draw, height=forest_height(marks))
