"""The plot of data efficiency: agreement with people against the number of ratings, as SVG.

The file stands alone, so its colours are in it and not in a page's style sheet.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from humanclap.evaluation.markup.charts import Scale, linear, ticks, value_range
from humanclap.experiments.recipe import Recipe
from humanclap.experiments.summary import SummaryRow

_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP, _RIGHT = 640, 400, 60, 344, 20, 490
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000")
"""Told apart by colour-blind readers too (Okabe & Ito 2008)."""


def efficiency_plot(recipe: Recipe, rows: Sequence[SummaryRow]) -> str:
    """SRCC overall against the number of ratings (log scale), one line an objective: SVG.

    Bars are 95 % t intervals over seeds. The dashed line is the model as it came. Rows whose SRCC
    is undefined are left out.
    """
    defined = [row for row in rows if math.isfinite(row.srcc.mean)]
    trained = [row for row in defined if row.objective in recipe.objectives and row.ratings > 0]
    low, high = value_range([0.0, *(end for row in defined for end in _ends(row))])
    y_of = linear(low, high, _BOTTOM, _TOP)
    ratings = sorted({row.ratings for row in trained} or {1.0})
    few, many = math.log(ratings[0]), math.log(ratings[-1])
    x_of = linear(few, many if many > few else few + 1, _LEFT, _RIGHT)
    body = _axes(
        [(x_of(math.log(n)), n) for n in ratings], [(y_of(t), t) for t in ticks(low, high)]
    )
    for row in defined:
        if row.objective not in recipe.objectives:
            y = y_of(row.srcc.mean)
            body += (
                f'<path d="M{_LEFT} {y:.1f}H{_RIGHT}" stroke="#666" stroke-dasharray="5 4"/>'
                f'<text x="{_RIGHT + 8}" y="{y + 4:.1f}" fill="#666">{escape(row.objective)}</text>'
            )
    lines: dict[tuple[str, str, str], list[SummaryRow]] = {}
    for row in sorted(trained, key=lambda row: row.ratings):
        lines.setdefault((row.model, row.systems, row.objective), []).append(row)
    alone = len({key[:2] for key in lines}) == 1
    for number, (key, own) in enumerate(lines.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        name = escape(key[2] if alone else " ".join(key))
        y = _TOP + 18 * number + 10
        body += _line(own, colour, x_of, y_of)
        body += f'<text x="{_RIGHT + 8}" y="{y}" fill="{colour}">{name}</text>'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        f'font-family="sans-serif" font-size="12" role="img">'
        f"<title>{escape(recipe.title)}</title>"
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>{body}</svg>\n'
    )


def _ends(row: SummaryRow) -> tuple[float, float]:
    half = 0.0 if math.isnan(row.srcc.half_width) else row.srcc.half_width
    return row.srcc.mean - half, row.srcc.mean + half


def _axes(across: Sequence[tuple[float, float]], up: Sequence[tuple[float, float]]) -> str:
    """across, up: place and number of each mark."""
    marks = [
        f'<path d="M{_LEFT} {y:.1f}H{_RIGHT}" stroke="#ddd"/>'
        f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{tick:g}</text>'
        for y, tick in up
    ]
    marks += [
        f'<text x="{x:.1f}" y="{_BOTTOM + 16}" text-anchor="middle">{count:,.0f}</text>'
        for x, count in across
    ]
    return (
        f'{"".join(marks)}<path d="M{_LEFT} {_TOP}V{_BOTTOM}H{_RIGHT}" fill="none" stroke="#444"/>'
        f'<text x="{(_LEFT + _RIGHT) / 2}" y="{_HEIGHT - 14}" text-anchor="middle">human ratings '
        "bought (training and validation, log scale)</text>"
        f'<text transform="translate(16 {(_TOP + _BOTTOM) / 2}) rotate(-90)" '
        'text-anchor="middle">SRCC on pairs not met</text>'
    )


def _line(rows: Sequence[SummaryRow], colour: str, x_of: Scale, y_of: Scale) -> str:
    """Points joined by a line, each with its interval."""
    points = [(x_of(math.log(row.ratings)), row.srcc.mean, *_ends(row)) for row in rows]
    path = " ".join(f"{x:.1f},{y_of(mean):.1f}" for x, mean, _, _ in points)
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>' + "".join(
        f'<path d="M{x:.1f} {y_of(low):.1f}V{y_of(high):.1f}" stroke="{colour}"/>'
        f'<circle cx="{x:.1f}" cy="{y_of(mean):.1f}" r="3" fill="{colour}"/>'
        for x, mean, low, high in points
    )
