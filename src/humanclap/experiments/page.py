"""The table of an experiment as one self-contained HTML page: summary, picture, then detail."""

from __future__ import annotations

import math
from collections.abc import Sequence

from humanclap.evaluation.markup import html
from humanclap.evaluation.markup.charts import Bar, chart
from humanclap.evaluation.short_forms import counted
from humanclap.experiments.agreement import GROUPS, STATISTICS
from humanclap.experiments.recipe import Recipe
from humanclap.experiments.summary import OverSeeds, SummaryRow
from humanclap.experiments.tables import accuracy_cell, cell, gain_in_words
from humanclap.made import Made, made_now

SIMULATED = "Simulated: these ratings were not given by people."


def html_experiment(
    recipe: Recipe, rows: Sequence[SummaryRow], notes: Sequence[str], *, made: Made | None = None
) -> str:
    """The experiment as one HTML document without outside references; text is escaped.

    notes: how it was judged; made: command, date and versions it names, None: those of now.
    """
    made = made or made_now()
    places = list(dict.fromkeys((row.model, row.systems, row.pairs) for row in rows))
    models = ", ".join(dict.fromkeys(row.model for row in rows))
    body = html.opening(
        recipe.title,
        about=f"{models} · {counted(len(recipe.seeds), 'seed')} · {made.date}",
        notes=[SIMULATED] if recipe.simulated else [],
        headline=headline(recipe, rows),
        picture=_picture(recipe, rows, several=len(places) > 1),
        warnings=[],
    )
    for place in places:
        own = [row for row in rows if (row.model, row.systems, row.pairs) == place]
        body += [f"<h2>{html.broken(place_name(own[0]))}</h2>", *_tables(own, recipe.baseline)]
    body += ["<h2>How this was computed</h2>", html.bullets("facts", notes)]
    body.append(html.how_made(made, list(dict.fromkeys(row.model for row in rows))))
    return html.document(recipe.title, body)


def place_name(row: SummaryRow) -> str:
    """Model, systems and number of pairs a row was trained with: `mini, 100 rated pairs`."""
    of = "" if row.systems == "all" else f", trained on {row.systems}"
    return f"{row.model}{of}" + (f", {counted(row.pairs, 'rated pair')}" if row.pairs else "")


def headline(recipe: Recipe, rows: Sequence[SummaryRow]) -> list[str]:
    """The highest SRCC, and how many rows are shown to differ from the baseline."""
    defined = [row for row in rows if math.isfinite(_srcc(row).mean)]
    if not defined:
        return ["No agreement with people is defined here."]
    best = max(defined, key=lambda row: _srcc(row).mean)
    told = [
        f"{best.objective} has the highest mean SRCC with people, {cell(_srcc(best))} "
        f"({place_name(best)})."
    ]
    signs = [row.gain.sign for row in rows if row.gain is not None]
    if signs:
        told.append(
            f"Against {recipe.baseline}, {signs.count(1)} of {len(signs)} are shown to be better "
            f"and {signs.count(-1)} worse; a highest figure alone shows nothing."
        )
    return told


def _srcc(row: SummaryRow) -> OverSeeds:
    return row.cells["overall"]["srcc"]


def _picture(recipe: Recipe, rows: Sequence[SummaryRow], *, several: bool) -> str:
    bars = []
    for row in rows:
        found = _srcc(row)
        label = f"{row.objective}, {place_name(row)}" if several else row.objective
        ends = (found.mean - found.half_width, found.mean + found.half_width)
        low, high = (end if math.isnan(end) else min(1.0, max(-1.0, end)) for end in ends)
        bars.append(Bar(label=label, value=found.mean, low=low, high=high, said=cell(found)))
    caption = (
        "SRCC over all judged pairs: mean over seeds, with its 95 % t interval over seeds. Whether "
        "two rows differ, the last column of the table says."
    )
    return html.figure(chart(bars, zero=True), caption)


def _tables(rows: Sequence[SummaryRow], baseline: str) -> list[str]:
    """SRCC in every group with the gain, then each other statistic."""
    groups = [
        group
        for group in GROUPS
        if any(math.isfinite(one.mean) for row in rows for one in row.cells[group].values())
    ]
    found = []
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
        lines = [[row.objective, accuracy_cell(row)] for row in rows]
        found.append(html.table(["accuracy", "choices"], lines))
    return found
