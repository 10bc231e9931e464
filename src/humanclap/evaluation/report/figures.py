"""Figures of an evaluation and of a leaderboard as SVG and PDF files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from humanclap.drawing import (
    GREY,
    ORANGE,
    Mark,
    file_name,
    points,
    reliability,
    save,
)
from humanclap.evaluation.agreement.result import Comparison, Evaluation, JudgedPair
from humanclap.evaluation.leaderboard.result import Leaderboard
from humanclap.evaluation.report.agreement_rows import places
from humanclap.evaluation.report.choices_paper import draw_choices, draw_forest, draw_ranking
from humanclap.evaluation.report.marks import group_marks, system_marks
from humanclap.evaluation.report.pair_plots import KINDS, kind_of, ranks_in_percent, thinned

LIMIT = "noise ceiling"


def draw_evaluation(comparison: Comparison, folder: Path) -> list[Path]:
    """Write `agreement` (SRCC of every metric, trivial predictors in grey), and of each metric
    `NAME-groups`, `NAME-ratings`, `NAME-ranks` and `NAME-reliability`, as SVG and PDF; with
    choices `people-choices` too.

    A metric without a scale map has no reliability, one with a single group no `-groups`. Raises
    as `drawing.save`.
    """
    marks = group_marks([(item.name, item.overall) for item in comparison.evaluations], comparison)
    title = f"SRCC over all pairs with {100 * comparison.settings.confidence:g} % interval"
    title += "; grey: predictors that hear nothing" * bool(comparison.trivial)
    paths = draw_forest(folder, "agreement", marks, title, limit=LIMIT, zero=True)
    names = _file_names([item.name for item in comparison.metrics])
    for item, name in zip(comparison.metrics, names, strict=True):
        groups = places(item)
        if len(groups) > 1:
            of_groups = group_marks([(group.label, group) for group in groups], comparison)
            spread = f"{100 * item.settings.confidence:g} % interval"
            title = f"SRCC of {item.name} by group with {spread}"
            paths += draw_forest(folder, f"{name}-groups", of_groups, title, limit=LIMIT, zero=True)
        paths += _pairs(folder, name, item)
    choices = comparison.choices
    return paths + ([] if choices is None else draw_choices(choices, folder))


def draw_leaderboard(board: Leaderboard, folder: Path) -> list[Path]:
    """Write `systems` (means) and `differences` (every two systems, paired by prompt; those that
    the corrected test settles in colour) as SVG and PDF. Raises as `drawing.save`.
    """
    value = board.settings.value
    differences = [
        Mark(
            label=f"{duel.better} − {duel.other}",
            value=duel.difference,
            low=duel.low,
            high=duel.high,
            colour=ORANGE if duel.settled else GREY,
        )
        for duel in board.duels
    ]
    n = f"n = {board.prompts:,} prompts"
    spread = f"{100 * board.settings.confidence:g} % interval"
    return [
        *([] if board.people is None else draw_ranking(board.people, folder)),
        *draw_forest(folder, "systems", system_marks(board), f"mean {value} with {spread}, {n}"),
        *draw_forest(
            folder,
            "differences",
            differences,
            f"difference in mean {value} with {spread}, {n}; colour: settled by the paired test",
            zero=True,
        ),
    ]


def _pairs(folder: Path, name: str, evaluation: Evaluation) -> list[Path]:
    scale = evaluation.settings.rating_scale
    by_kind: dict[str, list[tuple[JudgedPair, float, float]]] = {}
    for place in thinned(ranks_in_percent(evaluation)):
        kind = kind_of(place[0])
        by_kind.setdefault(KINDS.get(kind, kind), []).append(place)
    kinds = sorted(by_kind.items())
    ratings = points(
        [(kind, [p.score for p, _, _ in of], [p.human for p, _, _ in of]) for kind, of in kinds],
        labels=(f"score of {evaluation.name}", f"mean human rating ({scale})"),
        y_range=(scale.low, scale.high),
    )
    ranks = points(
        [(kind, [x for _, x, _ in of], [y for _, _, y in of]) for kind, of in kinds],
        labels=(f"rank of the score of {evaluation.name}, %", "rank of the mean rating, %"),
        diagonal=True,
    )
    paths = save(folder, f"{name}-ratings", ratings, height=4.2)
    paths += save(folder, f"{name}-ranks", ranks, height=4.8, width=4.8)
    found = evaluation.calibration
    if found is not None:
        drawn = reliability(
            [(one.predicted, one.human, 1.96 * one.standard_error) for one in found.bins],
            (scale.low, scale.high),
            labels=(f"rating predicted by {evaluation.name}", "mean human rating, 95 % interval"),
        )
        paths += save(folder, f"{name}-reliability", drawn, height=4.8, width=4.8)
    return paths


def _file_names(names: Sequence[str]) -> list[str]:
    """File names of metrics, unlike each other on file systems that ignore case too."""
    found: list[str] = []
    taken: set[str] = set()
    for name in names:
        of_file, number = file_name(name), 2
        while of_file.casefold() in taken:
            of_file, number = f"{file_name(name)}-{number}", number + 1
        taken.add(of_file.casefold())
        found.append(of_file)
    return found
