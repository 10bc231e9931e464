"""From ratings to targets: the mean opinion of each pair, with its n and standard error."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from humanclap.errors import InputError
from humanclap.pairs import agreed
from humanclap.records import Rating, Target
from humanclap.scale import UNSTATED, RatingScale, ask_for_scale


def aggregate(
    ratings: Sequence[Rating], *, scale: RatingScale | None = None, include_anchors: bool = False
) -> list[Target]:
    """One Target for each pair, in order of first appearance.

    mos: mean rating; target: mos mapped from `scale` (0..10 unless given) to 0..1; standard_error:
    sample deviation (ddof 1) / sqrt(n), NaN for n < 2. Attention checks are left out, and so are
    anchors unless asked for (then their `kind` says so).
    Raises InputError where ratings answer several questions, where a pair has two systems,
    subsets, splits or kinds (naming the lines), where a mean is outside the scale, or where no
    scale is given and all ratings lie in 1..5 or 0..1 (`scale.ask_for_scale`).
    """
    scale = scale or UNSTATED
    ask_for_scale([r.score for r in ratings], scale, where="the ratings", option="--scale")
    kinds = {"rating", "anchor"} if include_anchors else {"rating"}
    by_pair: dict[tuple[str, str], list[Rating]] = {}
    for rating in ratings:
        if rating.kind in kinds:
            by_pair.setdefault((rating.audio, rating.text), []).append(rating)
    check_one_question(ratings)
    return [_target(of_pair, scale) for of_pair in by_pair.values()]


def check_one_question(ratings: Sequence[Rating]) -> None:
    """Raise InputError where the ratings answer more than one question."""
    questions = sorted({rating.question for rating in ratings})
    if len(questions) > 1:
        raise InputError(
            f"the ratings answer {len(questions)} questions ({', '.join(questions)}); "
            "choose one: --question"
        )


def _target(ratings: Sequence[Rating], scale: RatingScale) -> Target:
    scores = [rating.score for rating in ratings]
    labels = {
        name: agreed(ratings, name, what="pair", show=_show, where="line ")
        for name in ("kind", "system", "subset", "split")
    }
    mos = math.fsum(scores) / len(scores)
    if mos not in scale:
        raise InputError(
            f"{ratings[0].audio}: mean rating {mos:g} is outside {scale}; state the scale"
        )
    return Target(
        audio=ratings[0].audio,
        text=ratings[0].text,
        target=scale.to_unit(mos),
        mos=mos,
        n=len(scores),
        standard_error=(
            statistics.stdev(scores) / math.sqrt(len(scores)) if len(scores) > 1 else math.nan
        ),
        **labels,
    )


def _show(rating: Rating) -> str:
    return f"{rating.audio!r}, {rating.text!r}"
