"""The table of an experiment as Markdown, CSV rows and JSON, and the plot of data efficiency."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from humanclap.experiments.agreement import GROUPS, STATISTICS
from humanclap.experiments.recipe import Recipe
from humanclap.experiments.summary import OverSeeds, SummaryRow

_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP, _RIGHT = 640, 400, 60, 56, 20, 150
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000")
"""Told apart by colour-blind readers too (Okabe & Ito 2008)."""

UNDEFINED = (
    "–: undefined, as in one of its runs there are fewer than three pairs, or all scores or all "
    "ratings are equal; a difference is – where there is no baseline for it."
)


def markdown(recipe: Recipe, rows: Sequence[SummaryRow], notes: Sequence[str]) -> str:
    """One table for each model, choice of systems and number of pairs; SRCC in bold where best."""
    parts = [f"# {recipe.title}", *notes]
    if recipe.simulated:
        parts.insert(1, "**Simulated: these ratings were not given by people.**")
    for model, systems, pairs in dict.fromkeys((r.model, r.systems, r.pairs) for r in rows):
        own = [
            row for row in rows if (row.model, row.systems, row.pairs) == (model, systems, pairs)
        ]
        amount = f", {pairs} rated pairs" if pairs else ""
        of = "" if systems == "all" else f", trained on {systems}"
        parts.append(f"## {model}{of}{amount}\n\n{_table(own, recipe.baseline)}")
    if any("–" in cell(one) for row in rows for one in _shown(row, rows)):
        parts.append(UNDEFINED)
    return "\n\n".join(parts) + "\n"


def _shown(row: SummaryRow, rows: Sequence[SummaryRow]) -> list[OverSeeds]:
    """The figures of the groups that have any."""
    return [
        one
        for group in GROUPS
        if any(_defined(other, group) for other in rows)
        for one in row.cells[group].values()
    ]


def _table(rows: Sequence[SummaryRow], baseline: str) -> str:
    groups = [group for group in GROUPS if any(_defined(row, group) for row in rows)]
    heads = [f"{name.upper()} {group}" for group in groups for name in STATISTICS]
    chosen = ["accuracy on choices"] if any(row.accuracy for row in rows) else []
    columns = ["objective", *heads, *chosen, f"Δ SRCC against {baseline} [95 %]"]
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    for row in rows:
        cells = [cell(row.cells[group][name]) for group in groups for name in STATISTICS]
        cells += [accuracy_cell(row)] if chosen else []
        lines.append("| " + " | ".join([row.objective, *cells, gain_in_words(row)]) + " |")
    return "\n".join(lines)


def _defined(row: SummaryRow, group: str) -> bool:
    return any(math.isfinite(one.mean) for one in row.cells[group].values())


def cell(value: OverSeeds) -> str:
    """`0.512 ± 0.032`."""
    if math.isnan(value.mean):
        return "–"
    half = "" if math.isnan(value.half_width) else f" ± {value.half_width:.3f}"
    return f"{value.mean:.3f}{half}"


def accuracy_cell(row: SummaryRow) -> str:
    """Accuracy on choices; a dash where none are judged."""
    return "–" if row.accuracy is None else cell(row.accuracy)


def gain_in_words(row: SummaryRow) -> str:
    """`+0.031 [+0.010, +0.052] better`; a dash for the baseline itself."""
    if row.gain is None:
        return "–"
    gain = row.gain
    if math.isnan(gain.value):
        return f"– ({gain.reason})"
    word = {1: ", better", -1: ", worse", 0: ""}[gain.sign]
    interval = "" if math.isnan(gain.low) else f" [{gain.low:+.3f}, {gain.high:+.3f}]"
    p = "undefined" if math.isnan(gain.p_holm) else _p(gain.p_holm)
    return f"{gain.value:+.3f}{interval}, Holm p {p}{word}"


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


CSV_COLUMNS = (
    *("model", "systems", "pairs", "ratings", "objective", "group", "statistic"),
    *("mean", "half_width", "seeds"),
)


def csv_rows(rows: Sequence[SummaryRow]) -> list[dict[str, object]]:
    """One row a number; columns `CSV_COLUMNS`."""
    return [
        {
            "model": row.model,
            "systems": row.systems,
            "pairs": row.pairs or "all",
            "ratings": row.ratings,
            "objective": row.objective,
            "group": group,
            "statistic": name,
            "mean": value.mean,
            "half_width": value.half_width,
            "seeds": len(value.by_seed),
        }
        for row in rows
        for group, of_group in _groups_of(row).items()
        for name, value in of_group.items()
    ]


def _groups_of(row: SummaryRow) -> dict[str, dict[str, OverSeeds]]:
    """The figures by group, those of choices among them."""
    if row.accuracy is None:
        return row.cells
    return row.cells | {"choices": {"accuracy": row.accuracy}}


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
                "model": row.model,
                "systems": row.systems,
                "pairs": row.pairs or None,
                "ratings": row.ratings,
                "objective": row.objective,
                "figures": {
                    group: {
                        name: {
                            "mean": value.mean,
                            "half_width": value.half_width,
                            "by_seed": list(value.by_seed),
                        }
                        for name, value in of_group.items()
                    }
                    for group, of_group in _groups_of(row).items()
                },
                "srcc_gain": row.gain
                and {
                    "value": row.gain.value,
                    "low": row.gain.low,
                    "high": row.gain.high,
                    "clusters": row.gain.clusters,
                    "p": row.gain.p,
                    "p_holm": row.gain.p_holm,
                    "tests": row.gain.tests,
                    "permutations": row.gain.permutations,
                    "reason": row.gain.reason,
                },
            }
            for row in rows
        ],
    }


# -- the plot -------------------------------------------------------------------------------


def efficiency_plot(recipe: Recipe, rows: Sequence[SummaryRow]) -> str:
    """SRCC overall against the number of ratings (log scale), one line an objective: SVG.

    Bars are 95 % t intervals over seeds. Rows without a number of ratings to compare are the
    dashed line: the model as it came.
    """
    trained = [row for row in rows if row.objective in recipe.objectives and row.ratings > 0]
    untrained = [row for row in rows if row.objective not in recipe.objectives]
    values = [v for row in (*trained, *untrained) for v in _ends(row)]
    low, high = min([0.0, *values]), max(values)
    few, many = min(row.ratings for row in trained), max(row.ratings for row in trained)
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM

    def x_of(ratings: float) -> float:
        share = math.log(ratings / few) / (math.log(many / few) or 1.0)
        return _LEFT + share * (right - _LEFT)

    def y_of(value: float) -> float:
        return bottom - (value - low) / ((high - low) or 1.0) * (bottom - _TOP)

    body = _axes(sorted({row.ratings for row in trained}), (low, high), x_of, y_of)
    for row in untrained:
        y = y_of(row.cells["overall"]["srcc"].mean)
        body.append(
            f'<path d="M{_LEFT} {y:.1f}H{right}" stroke="#666" stroke-dasharray="5 4"/>'
            f'<text x="{right + 8}" y="{y + 4:.1f}" fill="#666">{escape(row.objective)}</text>'
        )
    lines = list(dict.fromkeys((row.model, row.systems, row.objective) for row in trained))
    for number, key in enumerate(lines):
        own = [row for row in trained if (row.model, row.systems, row.objective) == key]
        colour = _COLOURS[number % len(_COLOURS)]
        body += _line(sorted(own, key=lambda row: row.ratings), colour, x_of, y_of)
        y = _TOP + 18 * number + 10
        name = escape(key[2] if len({(k[0], k[1]) for k in lines}) == 1 else " ".join(key))
        body.append(f'<text x="{right + 8}" y="{y}" fill="{colour}">{name}</text>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        f'font-family="sans-serif" font-size="12" role="img">'
        f"<title>{escape(recipe.title)}</title>"
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>{"".join(body)}</svg>\n'
    )


def _ends(row: SummaryRow) -> list[float]:
    value = row.cells["overall"]["srcc"]
    half = 0.0 if math.isnan(value.half_width) else value.half_width
    return [end for end in (value.mean - half, value.mean + half) if math.isfinite(end)]


def _axes(ratings: Sequence[float], ends: tuple[float, float], x_of: Any, y_of: Any) -> list[str]:
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    body = [f'<path d="M{_LEFT} {_TOP}V{bottom}H{right}" fill="none" stroke="#444"/>']
    first, last = math.ceil(ends[0] * 10 - 1e-9), math.floor(ends[1] * 10 + 1e-9)
    for tick in range(first, last + 1):
        y = y_of(tick / 10)
        body.append(f'<path d="M{_LEFT} {y:.1f}H{right}" stroke="#ddd"/>')
        body.append(
            f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{tick / 10:.1f}</text>'
        )
    for value in ratings:
        place = f'x="{x_of(value):.1f}" y="{bottom + 16}"'
        body.append(f'<text {place} text-anchor="middle">{value:,.0f}</text>')
    middle = (_LEFT + right) / 2
    body.append(
        f'<text x="{middle}" y="{_HEIGHT - 14}" text-anchor="middle">human ratings bought '
        "(training and validation, log scale)</text>"
        f'<text transform="translate(16 {(_TOP + bottom) / 2}) rotate(-90)" '
        'text-anchor="middle">SRCC on pairs not met</text>'
    )
    return body


def _line(rows: Sequence[SummaryRow], colour: str, x_of: Any, y_of: Any) -> list[str]:
    points = [(x_of(row.ratings), y_of(row.cells["overall"]["srcc"].mean)) for row in rows]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    body = [f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>']
    for row, (x, y) in zip(rows, points, strict=True):
        ends = [y_of(end) for end in _ends(row)]
        body.append(f'<path d="M{x:.1f} {ends[0]:.1f}V{ends[-1]:.1f}" stroke="{colour}"/>')
        body.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>')
    return body
