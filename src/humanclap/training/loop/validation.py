"""How well the model agrees with people on the validation pairs, and the map to their ratings."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from humanclap.clap.backbone import Backbone
from humanclap.clap.calibration import Calibration
from humanclap.grouping import caption_key, connected_groups
from humanclap.metrics.agreement import ktau, lcc, mse, srcc, undefined_reason
from humanclap.metrics.bootstrap import (
    Statistics,
    bootstrap,
    cluster_bootstrap,
    paired_difference,
)
from humanclap.metrics.rating_map import LEAST_GROUPS, fit_rating_map, rating_variance
from humanclap.metrics.weighted import WeightedAgreement, cluster_codes
from humanclap.scale import RatingScale
from humanclap.training.data.choices import ChoiceExample, accuracy, credits
from humanclap.training.data.dataset import Example, HeardClip
from humanclap.training.data.splits import Splits
from humanclap.training.distributed.processes import Processes, share_of
from humanclap.training.model.towers import AudioTower, TextTower

TEXTS_PER_BATCH = 16

Agreement = dict[str, float]
"""n, srcc, lcc, ktau (NaN where undefined) and mse, the cosine's against the target in [0, 1]."""


@torch.no_grad()
def cosines(
    backbone: Backbone,
    examples: Sequence[HeardClip],
    tower: AudioTower,
    text_tower: TextTower | None = None,
) -> NDArray[np.float64]:
    """Cosine of each pair over the whole clip: (n,) in [-1, 1]. The caller sets eval mode.

    text_tower: kept features of the captions; the backbone itself where None.
    """
    embed_text = backbone.embed_text if text_tower is None else text_tower.embed
    paths = list(dict.fromkeys(item.path for item in examples))
    audio = {path: tower.embed_clip(path) for path in paths}  # each (dim,)
    captions = sorted({item.text for item in examples})
    text: dict[str, torch.Tensor] = {}
    for start in range(0, len(captions), TEXTS_PER_BATCH):
        batch = captions[start : start + TEXTS_PER_BATCH]
        embeddings = embed_text(batch).float().cpu()  # (batch, dim)
        text.update(zip(batch, embeddings, strict=True))
    values = [float(audio[item.path] @ text[item.text]) for item in examples]
    return np.clip(np.array(values, dtype=np.float64), -1.0, 1.0)


def cosines_shared(
    backbone: Backbone,
    examples: Sequence[HeardClip],
    tower: AudioTower,
    text_tower: TextTower,
    processes: Processes,
) -> NDArray[np.float64]:
    """Cosines of all pairs, (n,), of which each process computes its share."""
    own = examples[share_of(len(examples), rank=processes.rank, count=processes.count)]
    return np.concatenate(processes.gather_things(cosines(backbone, own, tower, text_tower)))


def agreement(cosine: NDArray[np.float64], examples: Sequence[Example]) -> Agreement:
    """Agreement of cosines (n,) with the targets of as many examples."""
    targets = np.array([item.relevance for item in examples])
    finite = bool(np.isfinite(cosine).all())
    statistics = {"srcc": srcc, "lcc": lcc, "ktau": ktau, "mse": mse}
    return {"n": len(targets)} | {
        name: statistic(cosine, targets) if finite else math.nan
        for name, statistic in statistics.items()
    }


def why_undefined(cosine: NDArray[np.float64], examples: Sequence[Example]) -> str | None:
    """Why the correlations of `agreement` are NaN, None where they are not, or none are asked."""
    if not examples:
        return None
    if not np.isfinite(cosine).all():
        return f"{int((~np.isfinite(cosine)).sum())} cosines are not finite"
    return undefined_reason(cosine, [item.relevance for item in examples])


def judge(cosine: NDArray[np.float64], splits: Splits) -> dict[str, float]:
    """`FIGURES` of the rated validation pairs, NaN where there are none, and `ACCURACY` where there
    are validation choices; cosine: of `splits.validated`.
    """
    rated, gaps = divided(cosine, splits)
    found = dict.fromkeys(FIGURES, math.nan)
    if splits.validation:
        every = agreement(rated, splits.validation)
        found = {name: every[name] for name in FIGURES}
    if splits.validation_choices:
        found[ACCURACY] = accuracy(gaps, splits.validation_choices)
    return found


def divided(
    cosine: NDArray[np.float64], splits: Splits
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Divide cosines of `splits.validated`: those of the rated pairs, and the choices' gaps.

    A gap is the cosine of the first side less that of the second.
    """
    count = len(splits.validation)
    return cosine[:count], gaps_of(cosine[count:])


def gaps_of(cosine: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cosines of `sides_of` choices, (2 n,) -> first less second side, (n,)."""
    return cosine[0::2] - cosine[1::2]


Intervals = dict[str, dict[str, tuple[float, float] | None]]
"""`before`, `after` and `gain` -> figure -> ends of its interval, None where there is none."""

FIGURES = ("srcc", "lcc", "ktau", "mse")
"""What a model card tells of the validation pairs."""
ACCURACY = "accuracy"
"""What it tells of the validation choices: the share that the model decides as most people did."""


def validation_intervals(
    before: NDArray[np.float64], after: NDArray[np.float64], splits: Splits
) -> Intervals:
    """95 % intervals of what `judge` finds before and after training, and of `after - before`.

    before, after: cosines of `splits.validated`.
    """
    (rated, gaps), (rated_after, gaps_after) = (divided(one, splits) for one in (before, after))
    found: Intervals = {when: {} for when in ("before", "after", "gain")}
    if splits.validation:
        found = rating_intervals(rated, rated_after, splits.validation)
    if splits.validation_choices:
        chosen = choice_intervals(gaps, gaps_after, splits.validation_choices)
        for when, ends in chosen.items():
            found[when][ACCURACY] = ends
    return found


def choice_intervals(
    before: NDArray[np.float64], after: NDArray[np.float64], choices: Sequence[ChoiceExample]
) -> dict[str, tuple[float, float] | None]:
    """95 % intervals of the accuracy `before` and `after`, and of its `gain`.

    before, after: gaps (n,). What the sides of a choice share, clip or text, is drawn whole.
    """
    (first, clusters), (second, _) = credits(before, choices), credits(after, choices)
    columns = {"before": first, "after": second, "gain": second - first}
    if not all(len(column) and np.isfinite(column).all() for column in columns.values()):
        return dict.fromkeys(columns)

    def means(times: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        return {name: times @ column / times.sum(axis=1) for name, column in columns.items()}

    drawn = cluster_bootstrap(means, clusters, rng=np.random.default_rng(0))
    return {
        name: (one.low, one.high) if math.isfinite(one.low) else None for name, one in drawn.items()
    }


def rating_intervals(
    before: NDArray[np.float64], after: NDArray[np.float64], examples: Sequence[Example]
) -> Intervals:
    """95 % intervals of `FIGURES` before and after training, and of `after - before` (`gain`).

    before, after: cosines (n,) of as many examples. Captions are drawn whole, the same draws for
    all three (`metrics.bootstrap`); None where there is no interval.
    """
    nothing: dict[str, tuple[float, float] | None] = dict.fromkeys(FIGURES)
    if not (np.isfinite(before).all() and np.isfinite(after).all()):
        return {when: dict(nothing) for when in ("before", "after", "gain")}
    captions = cluster_codes([caption_key(item.text) for item in examples])
    targets = [item.relevance for item in examples]
    first, second = (
        WeightedAgreement(cosine, targets, cosine, clusters=captions) for cosine in (before, after)
    )
    sides: dict[str, Statistics] = {
        "before": first,
        "after": second,
        "gain": paired_difference(first, second),
    }

    def statistics(times: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        found = {when: side(times) for when, side in sides.items()}
        return {f"{when} {name}": found[when][name] for when in sides for name in FIGURES}

    drawn = bootstrap(statistics, first.n_clusters, rng=np.random.default_rng(0))
    ends = {name: (one.low, one.high) for name, one in drawn.items()}
    return {
        when: {
            name: ends[f"{when} {name}"] if math.isfinite(ends[f"{when} {name}"][0]) else None
            for name in FIGURES
        }
        for when in sides
    }


def fit_calibration(
    cosine: NDArray[np.float64],
    examples: Sequence[Example],
    *,
    scale: RatingScale,
    fitted_on: str,
) -> Calibration:
    """Least-squares line from cosine (n,) to the mean ratings of as many examples, with its error.

    Ratings and errors are on 0..10, to which those of a study on another `scale` are moved. The
    slope is held at 0 or above; with slope 0 the prediction is the mean rating. The error is fitted
    as `metrics.rating_map.fit_rating_map` says, by pairs left out together with all that share
    their clip or caption; with fewer than 10 groups of such pairs it is a guess, and says so. The
    noise of the mean ratings is taken out of it
    where examples have standard errors of their means; where none has, it stays in, and the error
    is that of predicting means of so few listeners. The pairs that chose the epoch make the error a
    little too small, as they make every figure of theirs a little too good.
    """
    unit = 10 / (scale.high - scale.low)
    kinds = {item.system or item.subset for item in examples}
    n = [item.n for item in examples]
    variance = rating_variance(n, [unit * item.standard_error for item in examples])
    found = fit_rating_map(
        cosine,
        [10 * scale.to_unit(item.mos) for item in examples],
        n,
        0.0 if math.isnan(variance) else variance,
        groups=_groups(examples),
    )
    return Calibration(
        scores=found.scores,
        ratings=found.ratings,
        errors=found.errors,
        map_errors=found.map_errors,
        guess=found.guess,
        fitted_on=fitted_on,
        n=len(examples),
        covers=() if None in kinds else tuple(sorted(filter(None, kinds))),
    )


def _groups(examples: Sequence[Example]) -> list[int]:
    """Pairs that share a clip or a caption; those of a clip where few captions join them all."""
    joined = connected_groups([(item.audio, item.text) for item in examples])
    if len(set(joined)) >= LEAST_GROUPS:
        return joined
    clips = {audio: place for place, audio in enumerate({item.audio: None for item in examples})}
    return [clips[item.audio] for item in examples]
