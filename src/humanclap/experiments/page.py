"""The table of an experiment as one self-contained HTML page: summary, picture, then detail."""

from __future__ import annotations

import math
from collections.abc import Sequence

from humanclap.drawing import Mark
from humanclap.evaluation.markup import html
from humanclap.evaluation.markup.charts import chart
from humanclap.evaluation.short_forms import counted
from humanclap.experiments.agreement import STATISTICS
from humanclap.experiments.recipe import Recipe
from humanclap.experiments.summary import SummaryRow
from humanclap.experiments.words import (
    SIMULATED,
    by_place,
    cell,
    gain_in_words,
    groups_shown,
    headline,
    place_name,
)
from humanclap.provenance import Provenance, provenance_now


def html_experiment(
    recipe: Recipe,
    rows: Sequence[SummaryRow],
    notes: Sequence[str],
    *,
    made: Provenance | None = None,
) -> str:
    """The experiment as one HTML document without outside references; text is escaped.

    notes: how it was judged; made: command, date and versions it names, None: those of now.
    """
    made = made or provenance_now()
    places = by_place(rows)
    models = ", ".join(dict.fromkeys(row.model for row in rows))
    body = html.opening(
        recipe.title,
        about=f"{models} · {counted(len(recipe.seeds), 'seed')} · {made.date}",
        notes=[SIMULATED] if recipe.simulated else [],
        headline=headline(recipe, rows),
        picture=_picture(recipe, rows, several=len(places) > 1),
        warnings=[],
    )
    for name, own in places:
        body += [f"<h2>{html.broken(name)}</h2>", *_tables(own, recipe.baseline)]
    body += ["<h2>How this was computed</h2>", html.bullets("facts", notes)]
    body.append(html.how_made(made, list(dict.fromkeys(row.model for row in rows))))
    return html.document(recipe.title, body)


def _picture(recipe: Recipe, rows: Sequence[SummaryRow], *, several: bool) -> str:
    bars = []
    for row in rows:
        found = row.srcc
        label = f"{row.objective}, {place_name(row)}" if several else row.objective
        ends = (found.mean - found.half_width, found.mean + found.half_width)
        low, high = (end if math.isnan(end) else min(1.0, max(-1.0, end)) for end in ends)
        bars.append(Mark(label=label, value=found.mean, low=low, high=high, said=cell(found)))
    caption = (
        "SRCC over all judged pairs: mean over seeds, with its 95 % t interval over seeds. Whether "
        "two rows differ, the last column of the table says."
    )
    return html.figure(chart(bars, zero=True), caption)


def _tables(rows: Sequence[SummaryRow], baseline: str) -> list[str]:
    """SRCC in every group with the gain, then each other statistic."""
    groups, found = groups_shown(rows), []
    for name in STATISTICS:
        gains = name == "srcc"
        heads = [name.upper(), *groups]
        lines = [
            [row.objective, *(cell(row.cells[group][name]) for group in groups)]
            + ([gain_in_words(row)] if gains else [])
            for row in rows
        ]
        found.append(html.table([*heads, f"Δ SRCC against {baseline}"] if gains else heads, lines))
    if any(row.accuracy for row in rows):
        lines = [[row.objective, cell(row.accuracy)] for row in rows]
        found.append(html.table(["accuracy", "choices"], lines))
    return found
