"""Kendall's discordant pairs in many weighted samples, in O(n log n)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Places = NDArray[np.intp]


class Inversions:
    """Weight of the discordant pairs, in O(n log v) for v distinct values of the coarser side.

    After Knight 1966: with pairs in order of one side, a discordant pair is an inversion of the
    other. Inversions are counted bit by bit of the codes: at each bit, among values equal in the
    higher bits, an inversion is a 1 that stands before a 0. The positions depend on the values
    only, so they are worked out once for all replicates.
    """

    def __init__(self, one: NDArray[np.int32], other: NDArray[np.int32]) -> None:
        fine, coarse = (one, other) if one.max() >= other.max() else (other, one)
        order = np.lexsort((coarse, fine))  # ties of the fine side hold no inversion
        self._levels = [
            self._level(order, coarse[order], bit) for bit in range(int(coarse.max()).bit_length())
        ]

    @staticmethod
    def _level(order: Places, codes: NDArray[np.int32], bit: int) -> tuple[Places, ...]:
        """Places of the ones and zeros, and the ones before each zero and before its group."""
        by_prefix = np.argsort(codes >> (bit + 1), kind="stable")
        order, codes = order[by_prefix], codes[by_prefix]
        prefix, is_one = codes >> (bit + 1), (codes >> bit) & 1 == 1
        ones_upto = np.concatenate([[0], np.cumsum(is_one)])
        group_start = np.searchsorted(prefix, prefix)
        zeros = np.flatnonzero(~is_one)
        return order[is_one], order[zeros], ones_upto[zeros], ones_upto[group_start[zeros]]

    def __call__(self, weights: Floats) -> Floats:
        """Weights (n, replicates), pair by pair -> weight of the inversions (replicates,)."""
        found = np.zeros(weights.shape[1])
        for ones, zeros, before, before_group in self._levels:
            upto = np.zeros((ones.size + 1, weights.shape[1]))
            np.cumsum(weights[ones], axis=0, out=upto[1:])
            found += np.einsum("zr,zr->r", weights[zeros], upto[before] - upto[before_group])
        return found
