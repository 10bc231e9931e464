"""Plots as inline SVG, drawn by hand: they follow the page's colours and need no package.

Colours come from the page's style sheet through the classes `axis`, `mark natural`, ...
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from html import escape
from typing import TypeVar

from humanclap.evaluation.agreement.result import Evaluation, JudgedPair
from humanclap.scale import RatingScale

MAX_POINTS = 5000
"""More pairs than this are thinned at random (seed 0), so that the page stays light."""

Item = TypeVar("Item")

_WIDTH, _HEIGHT = 640, 420
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


def scatter(evaluation: Evaluation) -> str:
    """Score against MOS, one mark a pair, coloured by subset (anchors apart): an <svg> element."""
    pairs = thinned(evaluation.per_pair)
    scale: RatingScale = evaluation.settings.rating_scale
    low, high = value_range([pair.score for pair in pairs])
    x_of, y_of = linear(low, high, _LEFT, _WIDTH - _RIGHT), _y_of(scale)
    marks = "".join(mark(pair, x_of(pair.score), y_of(pair.human)) for pair in pairs)
    axes = "".join(_x_tick(x_of(tick), tick) for tick in ticks(low, high))
    axes += "".join(_y_tick(y_of(tick), tick) for tick in ticks(scale.low, scale.high))
    label = f"Score of {evaluation.name} against mean human rating, {len(pairs):,} pairs"
    return (
        f'<svg class="plot" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{escape(label)}">'
        f'<g class="axis">{axes}</g><g>{marks}</g>'
        f'<text class="label" x="{(_LEFT + _WIDTH - _RIGHT) / 2:g}" y="{_HEIGHT - 8}" '
        f'text-anchor="middle">score</text>'
        f'<text class="label" transform="translate(14 {(_TOP + _HEIGHT - _BOTTOM) / 2:g}) '
        f'rotate(-90)" text-anchor="middle">mean human rating (MOS)</text></svg>'
    )


def legend(evaluation: Evaluation) -> list[tuple[str, str, int]]:
    """(class, name, number of pairs) of each kind of mark in the scatter plot."""
    counts: dict[str, int] = {}
    for pair in evaluation.per_pair:
        counts[_class(pair)] = counts.get(_class(pair), 0) + 1
    names = {"natural": "natural", "synthetic": "synthetic", "anchor": "anchor", "other": "pair"}
    return [(kind, names[kind], counts[kind]) for kind in names if kind in counts]


def thinned(pairs: Sequence[Item]) -> Sequence[Item]:
    """The pairs, or MAX_POINTS of them drawn at random."""
    if len(pairs) <= MAX_POINTS:
        return pairs
    return random.Random(0).sample(pairs, MAX_POINTS)


def value_range(values: Sequence[float]) -> tuple[float, float]:
    """Lowest and highest value with a little room."""
    low, high = min(values), max(values)
    margin = 0.04 * (high - low) or 0.5
    return low - margin, high + margin


def linear(low: float, high: float, start: float, end: float) -> Callable[[float], float]:
    """Map low..high to start..end."""
    return lambda value: start + (value - low) / (high - low) * (end - start)


def _y_of(scale: RatingScale) -> Callable[[float], float]:
    margin = 0.03 * (scale.high - scale.low)
    return linear(scale.low - margin, scale.high + margin, _HEIGHT - _BOTTOM, _TOP)


def _class(pair: JudgedPair) -> str:
    return "anchor" if pair.kind == "anchor" else pair.subset or "other"


def mark(pair: JudgedPair, x: float, y: float) -> str:
    """The mark of one pair, its shape and colour by subset."""
    kind = _class(pair)
    title = escape(f"{pair.text} · {pair.audio} · score {pair.score:.3f}, MOS {pair.human:.2f}")
    if kind == "synthetic":
        shape = f'<rect class="mark {kind}" x="{x - 2.7:.1f}" y="{y - 2.7:.1f}"'
        return f'{shape} width="5.4" height="5.4"><title>{title}</title></rect>'
    if kind == "anchor":
        shape = f'<path class="mark {kind}" d="M{x:.1f} {y - 3.8:.1f}l3.6 6.4h-7.2z">'
        return f"{shape}<title>{title}</title></path>"
    shape = f'<circle class="mark {kind}" cx="{x:.1f}" cy="{y:.1f}" r="3">'
    return f"{shape}<title>{title}</title></circle>"


def _x_tick(x: float, value: float) -> str:
    return (
        f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{_HEIGHT - _BOTTOM}"/>'
        f'<text class="tick" x="{x:.1f}" y="{_HEIGHT - _BOTTOM + 18}" '
        f'text-anchor="middle">{value:g}</text>'
    )


def _y_tick(y: float, value: float) -> str:
    return (
        f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<text class="tick" x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{value:g}</text>'
    )


def axis(
    x: float, y: float, value: float, across: tuple[float, float], down: tuple[float, float]
) -> str:
    """Grid lines and numbers of one tick on both axes of a square plot."""
    return (
        f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{down[0]}" y2="{down[1]}"/>'
        f'<line class="grid" x1="{across[0]}" x2="{across[1]}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<text class="tick" x="{x:.1f}" y="{down[1] + 18}" text-anchor="middle">{value:g}</text>'
        f'<text class="tick" x="{across[0] - 8}" y="{y + 4:.1f}" text-anchor="end">{value:g}</text>'
    )
