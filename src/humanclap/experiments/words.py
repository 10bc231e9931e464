"""What tables and pages say of results, in words that every report of runs shares."""

from __future__ import annotations

import math
from collections.abc import Sequence

from humanclap.evaluation.short_forms import counted
from humanclap.experiments.agreement import GROUPS
from humanclap.experiments.recipe import Recipe
from humanclap.experiments.summary import OverSeeds, SummaryRow

SIMULATED = "Simulated: these ratings were not given by people."


def by_place(rows: Sequence[SummaryRow]) -> list[tuple[str, list[SummaryRow]]]:
    """Rows of one model, choice of systems and number of pairs, under their name.

    Such a name is `mini, trained on natural, 100 rated pairs`.
    """
    found: dict[str, list[SummaryRow]] = {}
    for row in rows:
        found.setdefault(place_name(row), []).append(row)
    return list(found.items())


def place_name(row: SummaryRow) -> str:
    """Model, systems and number of pairs a row was trained with: `mini, 100 rated pairs`."""
    of = "" if row.systems == "all" else f", trained on {row.systems}"
    amount = f", {counted(row.pairs, 'rated pair')}" if row.pairs else ""
    return f"{row.model}{of}{amount}"


def groups_shown(rows: Sequence[SummaryRow]) -> list[str]:
    """The groups of pairs in which any row has a figure."""
    return [
        group
        for group in GROUPS
        if any(math.isfinite(one.mean) for row in rows for one in row.cells[group].values())
    ]


def cell(value: OverSeeds | None) -> str:
    """`0.512 ± 0.032`; a dash where there is no figure."""
    if value is None or math.isnan(value.mean):
        return "–"
    half = "" if math.isnan(value.half_width) else f" ± {value.half_width:.3f}"
    return f"{value.mean:.3f}{half}"


def figure(value: float, low: float, high: float, *, signed: bool = False) -> str:
    """`0.452 [0.412, 0.490]`; a dash where undefined."""
    if math.isnan(value):
        return "–"
    sign = "+" if signed else ""
    spread = "" if math.isnan(low) else f" [{low:{sign}.3f}, {high:{sign}.3f}]"
    return f"{value:{sign}.3f}{spread}"


def p_value(value: float) -> str:
    """`0.012`, or `< 0.001`."""
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def gain_in_words(row: SummaryRow) -> str:
    """`+0.031 [+0.010, +0.052] better`; a dash for the baseline itself."""
    if row.gain is None:
        return "–"
    gain = row.gain
    if math.isnan(gain.value):
        return f"– ({gain.reason})"
    word = {1: ", better", -1: ", worse", 0: ""}[gain.sign]
    p = "undefined" if math.isnan(gain.p_holm) else p_value(gain.p_holm)
    return f"{figure(gain.value, gain.low, gain.high, signed=True)}, Holm p {p}{word}"


def headline(recipe: Recipe, rows: Sequence[SummaryRow]) -> list[str]:
    """The highest SRCC, and how many rows are shown to differ from the baseline."""
    defined = [row for row in rows if math.isfinite(row.srcc.mean)]
    if not defined:
        return ["No agreement with people is defined here."]
    best = max(defined, key=lambda row: row.srcc.mean)
    told = [
        f"{best.objective} has the highest mean SRCC with people, {cell(best.srcc)} "
        f"({place_name(best)})."
    ]
    signs = [row.gain.sign for row in rows if row.gain is not None]
    if signs:
        told.append(
            f"Against {recipe.baseline}, {signs.count(1)} of {len(signs)} are shown to be better "
            f"and {signs.count(-1)} worse; a highest figure alone shows nothing."
        )
    return told
