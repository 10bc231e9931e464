"""The plot of data efficiency: agreement with people against the number of ratings, as SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import Any

from humanclap.experiments.recipe import Recipe
from humanclap.experiments.summary import SummaryRow

_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP, _RIGHT = 640, 400, 60, 56, 20, 150
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000")
"""Told apart by colour-blind readers too (Okabe & Ito 2008)."""


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
        y = y_of(row.srcc.mean)
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
    value = row.srcc
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
    points = [(x_of(row.ratings), y_of(row.srcc.mean)) for row in rows]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    body = [f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>']
    for row, (x, y) in zip(rows, points, strict=True):
        ends = [y_of(end) for end in _ends(row)]
        body.append(f'<path d="M{x:.1f} {ends[0]:.1f}V{ends[-1]:.1f}" stroke="{colour}"/>')
        body.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>')
    return body
