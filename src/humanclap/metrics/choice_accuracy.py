"""How often a score chooses as people do, and how often anything could.

A question is a choice between two things, on which several people voted for the first, the second
or neither. It is decided where one side has more votes than the other.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from humanclap.errors import InputError

Floats = NDArray[np.float64]

_CONCENTRATIONS = np.geomspace(0.02, 200.0, 161)
"""Values of the beta distribution's parameter that are tried."""


def credit(gap: ArrayLike, people: ArrayLike) -> Floats:
    """1 where the higher score is on the people's side, 0 where on the other, 0.5 for equal ones.

    gap: score of the first less that of the second, shape (n,); people: votes for the first less
    those for the second, none 0, shape (n,). Raises InputError for a question without a decision.

    >>> credit([0.8, 0.8, 0.0], [4, -1, 2])
    array([1. , 0. , 0.5])
    """
    sides = np.sign(np.asarray(people, dtype=np.float64))
    if not sides.all():
        raise InputError("a question without a decision has no right choice; leave it out")
    found: Floats = (1 + np.sign(np.asarray(gap, dtype=np.float64)) * sides) / 2
    return found


def votes_met(gap: ArrayLike, n_first: ArrayLike, n_second: ArrayLike) -> Floats:
    """Votes for the side with the higher score, half of both sides' where scores are equal: (n,).

    >>> votes_met([0.3, -0.3, 0.0], [3, 3, 3], [1, 1, 1])
    array([3., 1., 2.])
    """
    first, second = (np.asarray(votes, dtype=np.float64) for votes in (n_first, n_second))
    found: Floats = (first + second + np.sign(np.asarray(gap, np.float64)) * (first - second)) / 2
    return found


def one_judge(n_first: ArrayLike, n_second: ArrayLike) -> tuple[Floats, Floats]:
    """Votes that side with the sum of the question's other votes, and votes that can: (n,) each.

    A vote cannot where the others' sum is 0; equal votes count for nothing here.
    Source of the measure: Zhou et al. 2022 (FENSE).

    >>> agree, counted = one_judge([3, 1], [1, 1])
    >>> agree.tolist(), counted.tolist()
    ([3.0, 0.0], [4.0, 2.0])
    """
    first, second = (np.asarray(votes, dtype=np.float64) for votes in (n_first, n_second))
    rest = first - second - 1, second - first - 1
    agree: Floats = first * (rest[0] > 0) + second * (rest[1] > 0)
    counted: Floats = first * (rest[0] != 0) + second * (rest[1] != 0)
    return agree, counted


class MajorityCeiling:
    """Accuracy of a choice that knows which side all people together would prefer.

    With few votes a question, even such a choice misses some decisions. Model: the share of people
    who would vote for the first, among those who vote for a side, is Beta(a, a) over questions
    (symmetric, as which side is first means nothing), and votes are independent given it. a is
    the maximum likelihood among 161 values from 0.02 (all agree) to 200 (a coin). The value is the
    mean over decided questions of the chance that the decision is the true side's. At least one
    question needs two votes for a side; without one a cannot be told and the value is NaN.

    n_first, n_second: votes, shape (n,); calls take weights (replicates, n) and give "accuracy",
    shape (replicates,), so that `cluster_bootstrap` makes its interval.
    Source of the model: Skellam 1948 (beta-binomial).

    >>> agreed = MajorityCeiling([4, 0, 4, 0], [0, 4, 0, 4])(np.ones((1, 4)))["accuracy"]
    >>> torn = MajorityCeiling([3, 1, 1, 3], [1, 3, 3, 1])(np.ones((1, 4)))["accuracy"]
    >>> bool(agreed[0] > 0.99), bool(torn[0] < 0.7)
    (True, True)
    """

    def __init__(self, n_first: ArrayLike, n_second: ArrayLike) -> None:
        votes = np.stack([np.asarray(votes, dtype=np.float64) for votes in (n_first, n_second)])
        more, fewer = votes.max(axis=0), votes.min(axis=0)
        kinds, kind = np.unique(np.stack([more, fewer]), axis=1, return_inverse=True)
        high, low, a = kinds[0][:, None], kinds[1][:, None], _CONCENTRATIONS[None, :]
        fit = special.betaln(high + a, low + a) - special.betaln(a, a)
        # Given the votes, the share is Beta(high + a, low + a): which side of 1/2 is it on?
        right = special.betainc(low + a, high + a, 0.5)
        self._fit, self._right = fit[kind.ravel()], right[kind.ravel()]
        self._decided = (more != fewer).astype(np.float64)
        self._informs = (more + fewer > 1).astype(np.float64)

    def __call__(self, weights: Floats) -> Mapping[str, Floats]:
        """Accuracy where question i is drawn weights[r, i] times."""
        likely = weights @ self._fit
        best = likely.argmax(axis=1)
        decided = weights * self._decided
        total = decided.sum(axis=1)
        right = np.einsum("rn,nr->r", decided, self._right[:, best])
        known = (total > 0) & (weights @ self._informs > 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            return {"accuracy": np.where(known, right / total, np.nan)}
