"""More plots as inline SVG: ranks against ranks, reliability."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from scipy import stats

from humanclap.evaluation.agreement.result import Evaluation
from humanclap.evaluation.markup.plots import axis, linear, mark, thinned, ticks

_SIDE, _LEFT, _BOTTOM, _EDGE = 420, 56, 44, 14


def _square(
    low: float, high: float, body: str, labels: tuple[str, str], name: str, marks: Sequence[float]
) -> str:
    """A square plot with one range on both axes and its diagonal."""
    x_of = linear(low, high, _LEFT, _SIDE - _EDGE)
    y_of = linear(low, high, _SIDE - _BOTTOM, _EDGE)
    lines = "".join(
        axis(x_of(tick), y_of(tick), tick, (_LEFT, _SIDE - _EDGE), (_EDGE, _SIDE - _BOTTOM))
        for tick in marks
    )
    return (
        f'<svg class="plot" viewBox="0 0 {_SIDE} {_SIDE}" role="img" '
        f'aria-label="{escape(name)}">{lines}'
        f'<line class="zero" x1="{x_of(low):.1f}" y1="{y_of(low):.1f}" x2="{x_of(high):.1f}" '
        f'y2="{y_of(high):.1f}"/>{body}'
        f'<text class="label" x="{(_LEFT + _SIDE - _EDGE) / 2:g}" y="{_SIDE - 6}" '
        f'text-anchor="middle">{escape(labels[0])}</text>'
        f'<text class="label" transform="translate(14 {(_EDGE + _SIDE - _BOTTOM) / 2:g}) '
        f'rotate(-90)" text-anchor="middle">{escape(labels[1])}</text></svg>'
    )


def rank_plot(evaluation: Evaluation) -> str:
    """Rank of the score against rank of the MOS, in percent; what SRCC sees."""
    pairs = evaluation.per_pair
    share = 100 / max(1, len(pairs))
    x = stats.rankdata([pair.score for pair in pairs]) * share
    y = stats.rankdata([pair.human for pair in pairs]) * share
    to_x = linear(0, 100, _LEFT, _SIDE - _EDGE)
    to_y = linear(0, 100, _SIDE - _BOTTOM, _EDGE)
    shown = thinned(list(zip(pairs, x, y, strict=True)))
    body = "".join(mark(pair, to_x(a), to_y(b)) for pair, a, b in shown)
    labels = ("rank of the score, %", "rank of people, %")
    return _square(
        0, 100, body, labels, f"Ranks of {evaluation.name} against people", range(0, 101, 20)
    )


def reliability_plot(evaluation: Evaluation) -> str:
    """Mean human rating of pairs of like prediction, with its 95 % interval; the line is perfect.

    Empty where the scale map does not apply.
    """
    found = evaluation.calibration
    if found is None:
        return ""
    scale = evaluation.settings.rating_scale
    to_x = linear(scale.low, scale.high, _LEFT, _SIDE - _EDGE)
    to_y = linear(scale.low, scale.high, _SIDE - _BOTTOM, _EDGE)
    body = []
    for one in found.bins:
        x, spread = to_x(min(max(one.predicted, scale.low), scale.high)), 1.96 * one.standard_error
        if math.isfinite(spread):
            low, high = max(one.human - spread, scale.low), min(one.human + spread, scale.high)
            body.append(
                f'<line class="span" x1="{x:.1f}" x2="{x:.1f}" y1="{to_y(low):.1f}" '
                f'y2="{to_y(high):.1f}"/>'
            )
        title = f"predicted {one.predicted:.2f}, people {one.human:.2f}, {one.n} pairs"
        body.append(
            f'<circle class="dot" cx="{x:.1f}" cy="{to_y(one.human):.1f}" r="4.5">'
            f"<title>{title}</title></circle>"
        )
    labels = ("predicted rating", "mean human rating")
    marks = ticks(scale.low, scale.high)
    name = f"Reliability of {evaluation.name}"
    return _square(scale.low, scale.high, "".join(body), labels, name, marks)
