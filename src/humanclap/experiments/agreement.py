"""What a table shows of one run: agreement overall, by kind of audio, and within a system."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from humanclap.metrics.agreement import MIN_PAIRS, ktau, lcc, mse, srcc
from humanclap.metrics.weighted import WeightedAgreement
from humanclap.training.data.dataset import Example

STATISTICS = ("srcc", "lcc", "ktau", "mse")
GROUPS = ("overall", "natural", "synthetic", "within system")

Figures = dict[str, dict[str, float]]
"""Group -> statistic -> value; NaN where undefined."""


class Scored(NamedTuple):
    """Scores of a run, the mean ratings of the same pairs, and the cluster of each; all (n,)."""

    scores: NDArray[np.float64]
    human: Sequence[float] | NDArray[np.float64]
    clusters: Sequence[int]


def mean_srcc(
    runs: Sequence[Scored],
) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    """Mean SRCC of the runs, as a function of how often each cluster is drawn.

    The function takes times (draws, clusters): times[r, c] is how often draw r holds cluster c; and
    gives (draws,).
    """
    engines = []
    for scores, human, clusters in runs:
        present, codes = np.unique(clusters, return_inverse=True)
        engine = WeightedAgreement(scores, human, clusters=codes, ranks_only=True)
        engines.append((present, engine))
    return lambda times: np.mean(
        [engine(times[:, present])["srcc"] for present, engine in engines], axis=0
    )


def places_of(examples: Sequence[Example], group: str) -> list[NDArray[np.intp]]:
    """Places of the pairs a group is made of; several sets for `within system`, whose mean counts.

    A set of fewer than MIN_PAIRS pairs is left out.
    """
    everyone = np.arange(len(examples))
    if group == "overall":
        sets = [everyone]
    elif group in ("natural", "synthetic"):
        sets = [everyone[[item.subset == group for item in examples]]]
    else:
        systems = sorted({item.system for item in examples if item.system})
        sets = [everyone[[item.system == system for item in examples]] for system in systems]
    return [places for places in sets if len(places) >= MIN_PAIRS]


def figures(
    examples: Sequence[Example], scores: NDArray[np.float64], predicted: NDArray[np.float64]
) -> Figures:
    """Agreement with `mos`: correlations of the scores, MSE of the predicted ratings; both (n,).

    `within system` is the mean over systems of what holds within each: knowing only which system
    made a clip earns nothing there. Systems in which a statistic is undefined do not count for it.
    """
    human = np.array([item.mos for item in examples])
    found: Figures = {}
    for group in GROUPS:
        sets = places_of(examples, group)
        each = [_statistics(scores[p], predicted[p], human[p]) for p in sets]
        found[group] = {name: _mean_of_defined([one[name] for one in each]) for name in STATISTICS}
    return found


def _statistics(
    scores: NDArray[np.float64], predicted: NDArray[np.float64], human: NDArray[np.float64]
) -> dict[str, float]:
    return {
        "srcc": srcc(scores, human),
        "lcc": lcc(scores, human),
        "ktau": ktau(scores, human),
        "mse": mse(predicted, human),
    }


def _mean_of_defined(values: Sequence[float]) -> float:
    defined = [value for value in values if not math.isnan(value)]
    return float(np.mean(defined)) if defined else math.nan
