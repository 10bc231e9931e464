"""Is one metric better than another? A paired permutation test, and Holm's correction.

Sources: permutation of both metrics' standardised scores, Deutsch, Dror & Roth 2021 (PERM-BOTH,
here whole captions are swapped); Holm 1979.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from humanclap.errors import InputError
from humanclap.metrics.agreement import paired, undefined_reason

PERMUTATIONS = 1000
_BLOCK = 100

Floats = NDArray[np.float64]


def permutation_p(
    first: ArrayLike,
    second: ArrayLike,
    human: ArrayLike,
    clusters: ArrayLike,
    *,
    rng: np.random.Generator,
    permutations: int = PERMUTATIONS,
) -> float:
    """Two-sided p-value of `SRCC(second) - SRCC(first)`, under the hypothesis of no difference.

    first, second, human: shape (n,); clusters: shape (n,), numbers 0..C-1. Both metrics are
    replaced by their ranks, then in each permutation the two are exchanged in about half of the
    clusters, whole. p = (1 + permutations at least as far apart) / (1 + permutations); NaN where
    an SRCC is undefined or there are fewer than 2 clusters.

    >>> human = np.arange(40.0)
    >>> noise = np.random.default_rng(0).normal(size=40)
    >>> p = permutation_p(human + 30 * noise, human, human, range(40), rng=np.random.default_rng(0))
    >>> p < 0.01
    True
    """
    if permutations < 1:
        raise InputError(f"permutations is {permutations}; expected at least 1")
    x, y = paired(first, human)
    z, _ = paired(second, human)
    codes = np.asarray(clusters, dtype=np.intp)
    count = int(codes.max()) + 1 if codes.size else 0
    if count < 2 or undefined_reason(x, y) or undefined_reason(z, y):
        return math.nan
    one, other, target = (stats.rankdata(side) for side in (x, z, y))
    target = (target - target.mean()) / math.sqrt(float(np.sum((target - target.mean()) ** 2)))
    observed = abs(float((_srcc(other[None], target) - _srcc(one[None], target))[0]))
    reached = 0
    for start in range(0, permutations, _BLOCK):
        swap = rng.integers(2, size=(min(_BLOCK, permutations - start), count))[:, codes] == 1
        difference = _srcc(np.where(swap, one, other), target) - _srcc(
            np.where(swap, other, one), target
        )
        reached += int(np.count_nonzero(np.abs(difference) >= observed - 1e-12))
    return (1 + reached) / (1 + permutations)


def _srcc(scores: Floats, target: Floats) -> Floats:
    """Rows (permutations, n) against unit centred ranks (n,)."""
    ranks = stats.rankdata(scores, axis=1)
    ranks -= ranks.mean(axis=1)[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        found: Floats = ranks @ target / np.sqrt(np.einsum("pn,pn->p", ranks, ranks))
    return np.nan_to_num(found)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjusted p-values, in the order given; NaN stays NaN and does not count.

    >>> [round(p, 3) for p in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    order = sorted(
        (i for i, p in enumerate(p_values) if not math.isnan(p)), key=lambda i: p_values[i]
    )
    adjusted = [math.nan] * len(p_values)
    highest = 0.0
    for rank, i in enumerate(order):
        highest = max(highest, min(1.0, (len(order) - rank) * p_values[i]))
        adjusted[i] = highest
    return adjusted
