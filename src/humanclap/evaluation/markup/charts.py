"""A value with its interval, a row each: a chart whose labels and figures wrap and keep their size.

Labels and figures are text of the page; only the tracks between them are SVG, with positions in
percent, so that nothing is cut off or shrunk on a narrow screen.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from humanclap.evaluation.markup.html import broken
from humanclap.evaluation.markup.plots import linear, ticks, value_range
from humanclap.evaluation.report.agreement_words import number


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One row. low, high: NaN without an interval; limit: the dashed mark, NaN for none; said: the
    figures in words where they are not value and interval.
    """

    label: str
    value: float
    low: float = math.nan
    high: float = math.nan
    limit: float = math.nan
    said: str = ""

    @property
    def ends(self) -> list[float]:
        """Every number that must be in sight."""
        found = (self.value, self.low, self.high, self.limit)
        return [end for end in found if math.isfinite(end)]

    @property
    def figures(self) -> str:
        """`0.515 [0.460, 0.567]`."""
        if self.said:
            return self.said
        spread = f" [{number(self.low)}, {number(self.high)}]" if math.isfinite(self.low) else ""
        return f"{number(self.value)}{spread}"


def chart(bars: Sequence[Bar], *, zero: bool = False, limit_name: str = "noise ceiling") -> str:
    """Markup of the rows above one axis; zero: the axis holds 0. Labels are escaped."""
    ends = [end for bar in bars for end in bar.ends]
    low, high = value_range([0.0, *ends] if zero or not ends else ends)
    place = linear(low, high, 0.0, 100.0)
    marks = [(place(tick), tick) for tick in ticks(low, high, about=5)]
    grid = "".join(
        f'<line class="{"zero" if tick == 0 else "grid"}" x1="{at:.2f}%" x2="{at:.2f}%" '
        f'y1="0" y2="100%"/>'
        for at, tick in marks
    )
    rows = "".join(
        _row(broken(bar.label), grid + _drawn(bar, place, limit_name), bar.figures) for bar in bars
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


def _drawn(bar: Bar, place: Callable[[float], float], limit_name: str) -> str:
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
