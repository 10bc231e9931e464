"""Every chart of a page as inline SVG, drawn by hand: they need no package and open offline.

`chart` has a value with its interval in each row; labels and figures are text of the page, and only
the tracks between them are SVG, in percent, so that nothing is cut off on a narrow screen. `plane`
has marks at (x, y). Colours come from the page's style sheet by classes such as `mark natural`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape

from humanclap.drawing import Mark
from humanclap.evaluation.markup.html import broken
from humanclap.evaluation.short_forms import between

Scale = Callable[[float], float]

_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 16, 16, 48


def ticks(low: float, high: float, about: int = 6) -> list[float]:
    """Round numbers within low..high, about so many.

    >>> ticks(0, 10)
    [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]
    """
    if not high > low:
        return [low]
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * m for m in (1, 2, 5, 10) if power * m >= rough * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(k * step, 12) + 0.0 for k in range(first, last + 1)]


def value_range(values: Sequence[float]) -> tuple[float, float]:
    """Lowest and highest value with a little room."""
    low, high = min(values), max(values)
    margin = 0.04 * (high - low) or 0.5
    return low - margin, high + margin


def linear(low: float, high: float, start: float, end: float) -> Scale:
    """Map low..high to start..end."""
    return lambda value: start + (value - low) / (high - low) * (end - start)


def chart(bars: Sequence[Mark], *, zero: bool = False, limit_name: str = "noise ceiling") -> str:
    """Markup of the rows above one axis; zero: the axis holds 0. Labels are escaped."""
    every = (end for bar in bars for end in (bar.value, bar.low, bar.high, bar.limit))
    ends = list(filter(math.isfinite, every))
    low, high = value_range([0.0, *ends] if zero or not ends else ends)
    place = linear(low, high, 0.0, 100.0)
    marks = [(place(tick), tick) for tick in ticks(low, high, about=5)]
    grid = "".join(
        f'<line class="{"zero" if tick == 0 else "grid"}" x1="{at:.2f}%" x2="{at:.2f}%" '
        f'y1="0" y2="100%"/>'
        for at, tick in marks
    )
    rows = "".join(
        _row(
            broken(bar.label),
            grid + _bar(bar, place, limit_name),
            bar.said or between(bar.value, bar.low, bar.high),
        )
        for bar in bars
    )
    numbers = "".join(
        f'<text class="tick" x="{at:.2f}%" y="14" text-anchor="middle">{tick:g}</text>'
        for at, tick in marks
    )
    return f'<div class="chart">{rows}{_row("", numbers, "", kind="row axis")}</div>'


def _row(label: str, drawing: str, figures: str, kind: str = "row") -> str:
    return (
        f'<div class="{kind}"><span class="what">{label}</span><div class="track">'
        f'<svg aria-hidden="true">{drawing}</svg></div><span class="value">{figures}</span></div>'
    )


def _bar(bar: Mark, place: Scale, limit_name: str) -> str:
    body = ""
    if math.isfinite(bar.low):
        ends = f'x1="{place(bar.low):.2f}%" x2="{place(bar.high):.2f}%"'
        body += f'<line class="span" {ends} y1="50%" y2="50%"/>'
    if math.isfinite(bar.limit):
        at = f"{place(bar.limit):.2f}%"
        body += (
            f'<line class="limit" x1="{at}" x2="{at}" y1="8%" y2="92%">'
            f"<title>{limit_name} {bar.limit:.3f}</title></line>"
        )
    if math.isfinite(bar.value):
        body += f'<circle class="dot" cx="{place(bar.value):.2f}%" cy="50%" r="4"/>'
    return body


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """low..high: what is drawn; marks: the numbers at its lines, about six round ones if empty."""

    label: str
    low: float
    high: float
    marks: Sequence[float] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A mark at (x, y). kind: class of its colour, and its shape: a square for `synthetic`, a
    triangle for `anchor`, else a circle; `dot` is a larger one. low, high: interval of y, NaN for
    none; title: what is said of it.
    """

    x: float
    y: float
    kind: str
    title: str
    low: float = math.nan
    high: float = math.nan


def plane(
    points: Iterable[Point],
    x: Axis,
    y: Axis,
    *,
    name: str,
    size: tuple[int, int] = (640, 420),
    diagonal: bool = False,
) -> str:
    """Points above two axes, as an <svg> element called `name`; diagonal: the line from the lowest
    to the highest of both axes.
    """
    width, height = size
    right, bottom = width - _RIGHT, height - _BOTTOM
    to_x, to_y = linear(x.low, x.high, _LEFT, right), linear(y.low, y.high, bottom, _TOP)
    lines = "".join(
        f'<line class="grid" x1="{to_x(tick):.1f}" x2="{to_x(tick):.1f}" y1="{_TOP}" '
        f'y2="{bottom}"/><text class="tick" x="{to_x(tick):.1f}" y="{bottom + 18}" '
        f'text-anchor="middle">{tick:g}</text>'
        for tick in x.marks or ticks(x.low, x.high)
    )
    lines += "".join(
        f'<line class="grid" x1="{_LEFT}" x2="{right}" y1="{to_y(tick):.1f}" '
        f'y2="{to_y(tick):.1f}"/><text class="tick" x="{_LEFT - 8}" y="{to_y(tick) + 4:.1f}" '
        f'text-anchor="end">{tick:g}</text>'
        for tick in y.marks or ticks(y.low, y.high)
    )
    if diagonal:
        lines += f'<line class="zero" x1="{_LEFT}" y1="{bottom}" x2="{right}" y2="{_TOP}"/>'
    return (
        f'<svg class="plot" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(name)}">'
        f'<g class="axis">{lines}</g><g>{"".join(_mark(p, to_x, to_y) for p in points)}</g>'
        f'<text class="label" x="{(_LEFT + right) / 2:g}" y="{height - 8}" '
        f'text-anchor="middle">{escape(x.label)}</text>'
        f'<text class="label" transform="translate(14 {(_TOP + bottom) / 2:g}) rotate(-90)" '
        f'text-anchor="middle">{escape(y.label)}</text></svg>'
    )


def _mark(point: Point, to_x: Scale, to_y: Scale) -> str:
    x, y, title = to_x(point.x), to_y(point.y), f"<title>{escape(point.title)}</title>"
    if point.kind == "synthetic":
        place = f'x="{x - 2.7:.1f}" y="{y - 2.7:.1f}" width="5.4" height="5.4"'
        return f'<rect class="mark synthetic" {place}>{title}</rect>'
    if point.kind == "anchor":
        place = f"M{x:.1f} {y - 3.8:.1f}l3.6 6.4h-7.2z"
        return f'<path class="mark anchor" d="{place}">{title}</path>'
    kind, radius = ("dot", 4.5) if point.kind == "dot" else (f"mark {point.kind}", 3)
    circle = f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="{radius}">{title}</circle>'
    if math.isnan(point.low):
        return circle
    ends = f'x1="{x:.1f}" x2="{x:.1f}" y1="{to_y(point.low):.1f}" y2="{to_y(point.high):.1f}"'
    return f'<line class="span" {ends}/>{circle}'
