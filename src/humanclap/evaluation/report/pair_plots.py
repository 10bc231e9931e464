"""The judged pairs of one metric as plots of a page: scores, ranks, reliability."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Sequence
from typing import TypeVar

from scipy import stats

from humanclap.evaluation.agreement.result import Evaluation, JudgedPair
from humanclap.evaluation.markup.charts import Axis, Point, plane, ticks, value_range

MAX_POINTS = 5000
"""More pairs than this are thinned at random (seed 0), so that the page stays light."""
KINDS = {"natural": "natural", "synthetic": "synthetic", "anchor": "anchor", "other": "pair"}
"""Kind of mark -> its name in a legend."""
_SQUARE = (420, 420)

Item = TypeVar("Item")


def thinned(pairs: Sequence[Item]) -> Sequence[Item]:
    """The pairs, or MAX_POINTS of them drawn at random."""
    if len(pairs) <= MAX_POINTS:
        return pairs
    return random.Random(0).sample(pairs, MAX_POINTS)


def kind_of(pair: JudgedPair) -> str:
    """`anchor`, the pair's subset, or `other`."""
    return "anchor" if pair.kind == "anchor" else pair.subset or "other"


def ranks_in_percent(evaluation: Evaluation) -> list[tuple[JudgedPair, float, float]]:
    """Each pair with the rank of its score and of its mean rating, in percent."""
    pairs = evaluation.per_pair
    x, y = (
        stats.rankdata([getattr(pair, side) for pair in pairs]) * 100 / max(1, len(pairs))
        for side in ("score", "human")
    )
    return list(zip(pairs, x.tolist(), y.tolist(), strict=True))


def legend(evaluation: Evaluation) -> list[tuple[str, str, int]]:
    """(class, name, number of pairs) of each kind of mark in the scatter plot."""
    counts = Counter(map(kind_of, evaluation.per_pair))
    return [(kind, name, counts[kind]) for kind, name in KINDS.items() if kind in counts]


def scatter(evaluation: Evaluation) -> str:
    """Score against mean rating, one mark a pair, coloured by subset: an <svg> element."""
    pairs, scale = thinned(evaluation.per_pair), evaluation.settings.rating_scale
    low, high = value_range([pair.score for pair in pairs])
    margin = 0.03 * (scale.high - scale.low)
    return plane(
        [_point(pair, pair.score, pair.human) for pair in pairs],
        Axis(label="score", low=low, high=high),
        Axis(
            label="mean human rating (MOS)",
            low=scale.low - margin,
            high=scale.high + margin,
            marks=ticks(scale.low, scale.high),
        ),
        name=f"Score of {evaluation.name} against mean human rating, {len(pairs):,} pairs",
    )


def rank_plot(evaluation: Evaluation) -> str:
    """Rank of the score against rank of the mean rating, in percent: what SRCC sees."""
    return plane(
        [_point(pair, x, y) for pair, x, y in thinned(ranks_in_percent(evaluation))],
        Axis(label="rank of the score, %", low=0, high=100, marks=range(0, 101, 20)),
        Axis(label="rank of people, %", low=0, high=100, marks=range(0, 101, 20)),
        name=f"Ranks of {evaluation.name} against people",
        size=_SQUARE,
        diagonal=True,
    )


def reliability_plot(evaluation: Evaluation) -> str:
    """Mean human rating of pairs of like prediction, with its 95 % interval; the line is perfect.

    Empty where the scale map does not apply.
    """
    found, scale = evaluation.calibration, evaluation.settings.rating_scale
    if found is None:
        return ""
    points = []
    for one in found.bins:
        half = 1.96 * one.standard_error
        known = math.isfinite(half)
        points.append(
            Point(
                x=min(max(one.predicted, scale.low), scale.high),
                y=one.human,
                kind="dot",
                title=f"predicted {one.predicted:.2f}, people {one.human:.2f}, {one.n} pairs",
                low=max(one.human - half, scale.low) if known else math.nan,
                high=min(one.human + half, scale.high) if known else math.nan,
            )
        )
    return plane(
        points,
        Axis(label="predicted rating", low=scale.low, high=scale.high),
        Axis(label="mean human rating", low=scale.low, high=scale.high),
        name=f"Reliability of {evaluation.name}",
        size=_SQUARE,
        diagonal=True,
    )


def _point(pair: JudgedPair, x: float, y: float) -> Point:
    title = f"{pair.text} · {pair.audio} · score {pair.score:.3f}, MOS {pair.human:.2f}"
    return Point(x=x, y=y, kind=kind_of(pair), title=title)
