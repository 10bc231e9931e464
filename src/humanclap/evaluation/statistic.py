"""A number of a report with its interval, and a test of two: what every judgement is made of."""

from __future__ import annotations

from dataclasses import dataclass

UNMET = "unmet pairs"
"""The group of the pairs of which no metric's model met caption or clip, where some did."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedTest:
    """Permutation test of SRCC between two metrics: difference `name` minus `baseline`.

    p: two-sided; p_holm: corrected for all tests of the comparison. NaN where undefined.
    """

    name: str
    baseline: str
    difference: float
    p: float
    p_holm: float
    permutations: int
