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
from humanclap.evaluation.report.choices_paper import choice_tables, ranking_tables
from humanclap.evaluation.report.common_words import signature_line
from humanclap.evaluation.report.comparability import judgement_signature, leaderboard_signature
from humanclap.evaluation.report.overview import overview
from humanclap.evaluation.short_forms import counted, p_value, signed, with_interval
from humanclap.typeset import PaperTable


def evaluation_tables(comparison: Comparison) -> list[PaperTable]:
    """Agreement of each metric over all pairs; SRCC by place where there are several, or a noise
    ceiling; differences on the same pairs where metrics are compared; then people's choices.
    """
    heads, rows = overview(comparison).rows
    tables = [_agreement(comparison)]
    if len(heads) > 2:
        tables.append(
            PaperTable(
                caption="Spearman correlation (SRCC) with the mean rating, overall and by place; "
                f"{_judged(comparison)}.",
                label="agreement-by-place",
                columns=["", *heads[1:]],
                rows=rows,
                notes=[_signatures(comparison)],
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
    signature = f"Scores: {board.signature or 'no signature in the tables'}."
    method = f"{leaderboard_words.method_line(board)}."
    standings = PaperTable(
        caption=f"Mean {board.settings.value} ({unit}, higher is better) of each system with its "
        f"{percent} interval; n = {about}.",
        label="systems",
        columns=["rank", *heads[1:]],
        rows=rows,
        notes=[
            *board.notes,
            signature,
            f"Compared as {leaderboard_signature(board)}.",
            method,
            *leaderboard_words.warnings(board),
        ],
    )
    heads, rows = leaderboard_words.duel_rows(board)
    duels = PaperTable(
        caption=f"Every two systems: difference in mean {board.settings.value} with its {percent} "
        f"interval, prompts won, tied and lost, and paired tests; n = {about}.",
        label="systems-two-by-two",
        columns=heads,
        rows=rows,
        notes=[signature, method],
    )
    people = [] if board.people is None else ranking_tables(board.people)
    return [*people, standings, duels]


def _agreement(comparison: Comparison) -> PaperTable:
    scale = comparison.settings.rating_scale
    rows = [
        [item.name, *cells(item.overall, STATISTICS, with_interval)]
        for item in comparison.evaluations
    ]
    return PaperTable(
        caption=f"Agreement with the mean human rating ({scale}; higher is better, of MSE and MAE "
        f"lower); {_judged(comparison)}.",
        label="agreement",
        columns=["metric", *(HEADINGS[name] for name in STATISTICS)],
        rows=rows,
        notes=[
            *comparison.notes,
            _signatures(comparison),
            f"Judged as {judgement_signature(comparison)}.",
            f"{words.bootstrap_line(comparison)}.",
            *warnings(comparison),
        ],
    )


def _differences(comparison: Comparison, differences: Sequence[Difference]) -> PaperTable:
    rows, tests = [], words.tests_line(comparison)
    for item in differences:
        test = comparison.test(item.name, item.baseline)
        values = cells(item.overall, STATISTICS, signed)
        p = "" if test is None else p_value(test)
        rows.append((f"{item.name} − {item.baseline}", *values, p))
    return PaperTable(
        caption=f"Differences on the same pairs; {_judged(comparison)}.",
        label="agreement-differences",
        columns=["difference", *(f"Δ {HEADINGS[name]}" for name in STATISTICS), "p of SRCC"],
        rows=rows,
        notes=[_signatures(comparison), *([f"{tests}."] if tests else [])],
    )


def _judged(comparison: Comparison) -> str:
    spread = f"{100 * comparison.settings.confidence:g} % intervals"
    return f"n = {words.about(comparison)}, with {spread}"


def _signatures(comparison: Comparison) -> str:
    found = [f"{item.name}: {signature_line(item.coverage)}" for item in comparison.metrics]
    return f"Scores: {'; '.join(found) or 'none, trivial predictors only'}."
