"""The table of an experiment as Markdown, CSV rows and JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from humanclap.experiments.agreement import STATISTICS
from humanclap.experiments.recipe import Recipe
from humanclap.experiments.summary import SummaryRow
from humanclap.experiments.words import SIMULATED, by_place, cell, gain_in_words, groups_shown

UNDEFINED = (
    "–: undefined, as in one of its runs there are fewer than three pairs, or all scores or all "
    "ratings are equal; a difference is – where there is no baseline for it."
)


def markdown(recipe: Recipe, rows: Sequence[SummaryRow], notes: Sequence[str]) -> str:
    """One table for each model, choice of systems and number of pairs."""
    simulated = [f"**{SIMULATED}**"] * recipe.simulated
    parts = [f"# {recipe.title}", *simulated, *notes]
    for name, own in by_place(rows):
        heads, cells = _table(own, recipe.baseline)
        lines = ["| " + " | ".join(line) + " |" for line in (heads, *cells)]
        lines.insert(1, "|" + "---|" * len(heads))
        parts.append(f"## {name}\n\n" + "\n".join(lines))
    groups = groups_shown(rows)
    if any(cell(one) == "–" for row in rows for g in groups for one in row.cells[g].values()):
        parts.append(UNDEFINED)
    return "\n\n".join(parts) + "\n"


def _table(rows: Sequence[SummaryRow], baseline: str) -> tuple[list[str], list[list[str]]]:
    groups = groups_shown(rows)
    heads = [f"{name.upper()} {group}" for group in groups for name in STATISTICS]
    chosen = ["accuracy on choices"] if any(row.accuracy for row in rows) else []
    lines = [
        [
            row.objective,
            *(cell(row.cells[group][name]) for group in groups for name in STATISTICS),
            *(cell(row.accuracy) for _ in chosen),
            gain_in_words(row),
        ]
        for row in rows
    ]
    return ["objective", *heads, *chosen, f"Δ SRCC against {baseline} [95 %]"], lines


CSV_COLUMNS = (
    *("model", "systems", "pairs", "ratings", "objective", "group", "statistic"),
    *("mean", "half_width", "seeds"),
)


def csv_rows(rows: Sequence[SummaryRow]) -> list[dict[str, object]]:
    """One row a number; columns `CSV_COLUMNS`."""
    return [
        {
            **_of_row(row, every="all"),
            "group": group,
            "statistic": name,
            "mean": value.mean,
            "half_width": value.half_width,
            "seeds": len(value.by_seed),
        }
        for row in rows
        for group, of_group in row.figures.items()
        for name, value in of_group.items()
    ]


def _of_row(row: SummaryRow, *, every: str | None) -> dict[str, object]:
    """What was trained; every: what stands for all pairs."""
    return {
        "model": row.model,
        "systems": row.systems,
        "pairs": row.pairs or every,
        "ratings": row.ratings,
        "objective": row.objective,
    }


def as_json(recipe: Recipe, rows: Sequence[SummaryRow], facts: Mapping[str, Any]) -> dict[str, Any]:
    """Everything of the table, plain."""
    return {
        "title": recipe.title,
        "simulated": recipe.simulated,
        "baseline": recipe.baseline,
        "seeds": list(recipe.seeds),
        "objectives": {name: one.as_dict() for name, one in recipe.objectives.items()},
        **facts,
        "rows": [
            {
                **_of_row(row, every=None),
                "figures": {
                    group: {name: asdict(value) for name, value in of_group.items()}
                    for group, of_group in row.figures.items()
                },
                "srcc_gain": row.gain and asdict(row.gain),
            }
            for row in rows
        ],
    }
