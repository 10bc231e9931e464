"""Every two systems of a leaderboard on the same prompts: difference, test, prompts needed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from humanclap.evaluation.leaderboard.result import Duel
from humanclap.evaluation.settings import LeaderboardSettings
from humanclap.evaluation.statistic import intervals_of
from humanclap.metrics.bootstrap import Interval
from humanclap.metrics.influence import LARGE_PAIRS
from humanclap.metrics.permutation import holm, sign_flip_p, sign_flips_p

Floats = NDArray[np.float64]


def duels(values: Floats, systems: Sequence[str], settings: LeaderboardSettings) -> list[Duel]:
    """Every two systems, the better first; Holm over all. values: shape (prompts, systems).

    With more than 20,000 values the draws are made once for all pairs; the differences are then
    those of sums of columns, and may be rounded otherwise.
    """
    order = np.argsort(-values.mean(axis=0), kind="stable")
    pairs = list(combinations(order.tolist(), 2))
    if values.size > LARGE_PAIRS:  # one draw for all pairs: the difference of two columns
        rng = np.random.default_rng(settings.seed)
        p_values = sign_flips_p(values, pairs, rng=rng, permutations=settings.permutations)
        intervals = _intervals_of_pairs(values, pairs, settings)
    else:
        apart = [values[:, a] - values[:, b] for a, b in pairs]
        p_values = [
            sign_flip_p(
                difference,
                rng=np.random.default_rng(settings.seed),
                permutations=settings.permutations,
            )
            for difference in apart
        ]
        intervals = [_interval(difference, settings) for difference in apart]
    corrected = holm(p_values)
    return [
        _duel(values[:, a] - values[:, b], (systems[a], systems[b]), interval, p, p_holm, settings)
        for (a, b), interval, p, p_holm in zip(pairs, intervals, p_values, corrected, strict=True)
    ]


def _intervals_of_pairs(
    values: Floats, pairs: Sequence[tuple[int, int]], settings: LeaderboardSettings
) -> list[Interval]:
    centred = values - values.mean(axis=1, keepdims=True)

    def means(times: Floats) -> dict[str, Floats]:
        of_systems = times @ centred / len(centred)
        return {f"{a} {b}": of_systems[:, a] - of_systems[:, b] for a, b in pairs}

    found = intervals_of(means, len(values), settings)
    return [found[f"{a} {b}"] for a, b in pairs]


def _interval(difference: Floats, settings: LeaderboardSettings) -> Interval:
    def mean(times: Floats) -> dict[str, Floats]:
        return {"mean": times @ difference / difference.size}

    return intervals_of(mean, difference.size, settings)["mean"]


def _duel(
    difference: Floats,
    names: tuple[str, str],
    interval: Interval,
    p: float,
    p_holm: float,
    settings: LeaderboardSettings,
) -> Duel:
    needed = prompts_needed(difference, alpha=settings.alpha, power=settings.power)
    return Duel(
        better=names[0],
        other=names[1],
        difference=float(difference.mean()),
        low=interval.low,
        high=interval.high,
        wins=int((difference > 0).sum()),
        ties=int((difference == 0).sum()),
        losses=int((difference < 0).sum()),
        p=p,
        p_holm=p_holm,
        settled=p_holm < settings.alpha,
        prompts_needed=needed,
        more_prompts=max(0.0, needed - difference.size),
        detectable=_both_tails(settings.alpha, settings.power)
        * float(difference.std(ddof=1))
        / math.sqrt(difference.size),
    )


def _both_tails(alpha: float, power: float) -> float:
    return float(stats.norm.ppf(1 - alpha / 2) + stats.norm.ppf(power))


def prompts_needed(difference: Floats, *, alpha: float = 0.05, power: float = 0.8) -> float:
    """Prompts at which a paired test finds a true difference as large as this mean one.

    difference: shape (prompts,). Normal approximation: ((z_{1 - alpha/2} + z_power) sd / mean)^2,
    rounded up; infinite where the mean is 0. Source: any textbook, e.g. Cohen 1988.

    >>> prompts_needed(np.array([1.0, -1.0, 1.0, -1.0, 1.0, 1.0]))   # mean 1/3, sd 1.033
    76.0
    """
    spread, mean = float(difference.std(ddof=1)), float(difference.mean())
    if mean == 0:
        return math.inf
    return float(math.ceil(round((_both_tails(alpha, power) * spread / mean) ** 2, 9)))
