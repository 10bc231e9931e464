"""Tables for a paper: of an evaluation and of a leaderboard, with units, n and signatures."""

from __future__ import annotations

from collections.abc import Sequence

from humanclap.evaluation.agreement.result import (
    HEADINGS,
    STATISTICS,
    Comparison,
    Difference,
)
from humanclap.evaluation.leaderboard.result import Leaderboard
from humanclap.evaluation.report import agreement_words as words
from humanclap.evaluation.report import leaderboard_words
from humanclap.evaluation.report.agreement_rows import cells
from humanclap.evaluation.report.agreement_warnings import warnings
from humanclap.evaluation.report.choices_paper import choice_tables, paper_table, ranking_tables
from humanclap.evaluation.report.common_words import signature_line
from humanclap.evaluation.report.comparability import judgement_signature, leaderboard_signature
from humanclap.evaluation.report.overview import overview
from humanclap.evaluation.short_forms import counted, p_value, signed, with_interval
from humanclap.typeset import PaperTable


def evaluation_tables(comparison: Comparison) -> list[PaperTable]:
    """Agreement of each metric over all pairs; SRCC by place where there are several, or a noise
    ceiling; differences on the same pairs where metrics are compared; then people's choices.
    """
    places = overview(comparison)
    tables = [_agreement(comparison)]
    if len(places.columns) > 2:
        tables.append(
            paper_table(
                f"Spearman correlation (SRCC) with the mean rating, overall and by place; "
                f"{_judged(comparison)}.",
                "agreement-by-place",
                ["", *places.columns[1:]],
                [row.cells for row in places.rows],
                [_signatures(comparison)],
            )
        )
    differences = (*comparison.differences, *comparison.against_trivial)
    tables += [_differences(comparison, differences)] if differences else []
    return tables + ([] if comparison.choices is None else choice_tables(comparison.choices))


def leaderboard_tables(board: Leaderboard) -> list[PaperTable]:
    """People's ranking where there is one, mean of each system with its rank, every two systems."""
    about = f"{counted(board.prompts, 'prompt')} that all systems have"
    unit = "cosine in −1..1" if board.settings.value == "score" else "predicted, 0..10"
    heads, rows = leaderboard_words.standing_rows(board, board.standings)
    percent = f"{100 * board.settings.confidence:g} %"
    standings = paper_table(
        f"Mean {board.settings.value} ({unit}, higher is better) of each system with its {percent} "
        f"interval; n = {about}.",
        "systems",
        ["rank", *heads[1:]],
        rows,
        _leaderboard_notes(board),
    )
    heads, rows = leaderboard_words.duel_rows(board)
    duels = paper_table(
        f"Every two systems: difference in mean {board.settings.value} with its {percent} "
        f"interval, prompts won, tied and lost, and paired tests; n = {about}.",
        "systems-two-by-two",
        heads,
        rows,
        [_leaderboard_signature(board), f"{leaderboard_words.method_line(board)}."],
    )
    people = [] if board.people is None else ranking_tables(board.people)
    return [*people, standings, duels]


def _agreement(comparison: Comparison) -> PaperTable:
    scale = comparison.settings.rating_scale
    rows = [
        [item.name, *cells(item.overall, STATISTICS, with_interval)]
        for item in comparison.evaluations
    ]
    return paper_table(
        f"Agreement with the mean human rating ({scale}; higher is better, of MSE and MAE lower); "
        f"{_judged(comparison)}, with "
        f"{100 * comparison.settings.confidence:g} % intervals.",
        "agreement",
        ["metric", *(HEADINGS[name] for name in STATISTICS)],
        rows,
        _evaluation_notes(comparison),
    )


def _differences(comparison: Comparison, differences: Sequence[Difference]) -> PaperTable:
    rows, tests = [], words.tests_line(comparison)
    for item in differences:
        test = comparison.test(item.name, item.baseline)
        values = cells(item.overall, STATISTICS, signed)
        p = "" if test is None else p_value(test)
        rows.append((f"{item.name} − {item.baseline}", *values, p))
    return paper_table(
        f"Differences on the same pairs; {_judged(comparison)}, with "
        f"{100 * comparison.settings.confidence:g} % intervals.",
        "agreement-differences",
        ["difference", *(f"Δ {HEADINGS[name]}" for name in STATISTICS), "p of SRCC"],
        rows,
        [_signatures(comparison), *([f"{tests}."] if tests else [])],
    )


def _judged(comparison: Comparison) -> str:
    return f"n = {words.about(comparison)}"


def _evaluation_notes(comparison: Comparison) -> list[str]:
    return [
        *comparison.notes,
        _signatures(comparison),
        f"Judged as {judgement_signature(comparison)}.",
        f"{words.bootstrap_line(comparison)}.",
        *warnings(comparison),
    ]


def _signatures(comparison: Comparison) -> str:
    found = [f"{item.name}: {signature_line(item.coverage)}" for item in comparison.metrics]
    return f"Scores: {'; '.join(found) or 'none, trivial predictors only'}."


def _leaderboard_notes(board: Leaderboard) -> list[str]:
    return [
        *board.notes,
        _leaderboard_signature(board),
        f"Compared as {leaderboard_signature(board)}.",
        f"{leaderboard_words.method_line(board)}.",
        *leaderboard_words.warnings(board),
    ]


def _leaderboard_signature(board: Leaderboard) -> str:
    return f"Scores: {board.signature or 'no signature in the tables'}."
