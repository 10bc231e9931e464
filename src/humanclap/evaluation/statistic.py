"""A number of a report with its interval, and a test of two: what every judgement is made of."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from humanclap.evaluation.settings import EvaluationSettings, LeaderboardSettings
from humanclap.metrics.bootstrap import Interval, Statistics, bootstrap
from humanclap.metrics.permutation import holm
from humanclap.progress import Progress, silent

UNMET = "unmet pairs"
"""The group of the pairs whose caption and clip no metric's model met, where some were met."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistic:
    """One number with its interval.

    value, low, high: NaN where undefined, and then `reason` says why; n: pairs that count, which in
    a mean over systems or captions are those of the ones that have a value; captions: clusters
    of the bootstrap; undefined: replicates of `replicates` left out because they had no value.
    """

    value: float
    low: float
    high: float
    n: int
    captions: int
    replicates: int
    undefined: int
    reason: str | None = None

    @classmethod
    def of(cls, value: float, interval: Interval, *, n: int, undefined: str) -> Statistic:
        """The value with its interval; NaN throughout, for the reason `undefined`, where it is."""
        known = not math.isnan(value)
        return cls(
            value=float(value),
            low=interval.low if known else math.nan,
            high=interval.high if known else math.nan,
            n=n,
            captions=interval.clusters,
            replicates=interval.replicates,
            undefined=interval.undefined,
            reason=interval.reason if known else undefined,
        )


Bootstrapped = EvaluationSettings | LeaderboardSettings
"""Settings of a bootstrap."""


def intervals_of(
    statistics: Statistics, clusters: int, settings: Bootstrapped, progress: Progress = silent
) -> dict[str, Interval]:
    """Bootstrap intervals as the settings want them: the same draws for the same clusters."""
    return bootstrap(
        statistics,
        clusters,
        rng=np.random.default_rng(settings.seed),
        replicates=settings.replicates,
        confidence=settings.confidence,
        progress=progress,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedTest:
    """Permutation test of two metrics: difference `name` minus `baseline` in SRCC or accuracy.

    p: two-sided; p_holm: corrected for all tests of the comparison. NaN where undefined.
    """

    name: str
    baseline: str
    difference: float
    p: float
    p_holm: float
    permutations: int


def paired_tests(
    wanted: Sequence[tuple[str, str]],
    differences: Sequence[float],
    p_values: Sequence[float],
    permutations: int,
) -> tuple[PairedTest, ...]:
    """Tests of (name, baseline), with Holm's correction over all of them."""
    found = zip(wanted, differences, p_values, holm(p_values), strict=True)
    return tuple(
        PairedTest(
            name=name,
            baseline=baseline,
            difference=difference,
            p=p,
            p_holm=corrected,
            permutations=permutations,
        )
        for (name, baseline), difference, p, corrected in found
    )
