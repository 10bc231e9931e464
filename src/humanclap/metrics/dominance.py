"""Pairs of items in people's order, item by item, in O(n log n): for tables of very many pairs.

`relations` of `pairwise` writes out all n^2 pairs; here they are counted only. With the items in
order of the metric, those that lie below an item by more than a threshold are the first k, and
how many of these people rate lower is answered by a wavelet matrix (Claude, Navarro & Ordonez
2015).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int32]
"""Half the memory of int64, and as many items as anybody judges."""


class PrefixCounts:
    """How many of the first k codes are below c.

    codes: shape (n,), whole numbers from 0 up.

    >>> counts = PrefixCounts(np.array([3, 0, 2, 1]))
    >>> counts(np.array([3, 4], np.int32), np.array([3, 1], np.int32))
    array([2, 1], dtype=int32)
    """

    def __init__(self, codes: NDArray[np.integer]) -> None:
        self._levels: list[tuple[int, Integers]] = []
        for bit in reversed(range(int(codes.max() + 1).bit_length())):
            zero = (codes >> bit) & 1 == 0
            self._levels.append((bit, np.append(0, np.cumsum(zero)).astype(np.int32)))
            codes = np.concatenate([codes[zero], codes[~zero]])

    def __call__(self, k: Integers, c: Integers) -> Integers:
        """k: 0..n, c: 0..the highest code + 1, of one shape; so is the answer."""
        low, high, found = np.zeros_like(k), k, np.zeros_like(k)
        for bit, zeros in self._levels:
            is_one = (c >> bit) & 1 == 1
            of_low, of_high = zeros[low], zeros[high]
            found += np.where(is_one, of_high - of_low, 0)
            low = np.where(is_one, zeros[-1] + low - of_low, of_low)
            high = np.where(is_one, zeros[-1] + high - of_high, of_high)
        return found


class Relations:
    """For each item, how many others the metric orders as people do.

    metric, human: shape (n,), finite. Counts are in the order of the items given.
    """

    def __init__(self, metric: Floats, human: Floats) -> None:
        self._order = np.argsort(metric, kind="stable")
        self._values, self._size = np.unique(metric, return_counts=True)
        self._starts = np.append(0, np.cumsum(self._size)).astype(np.int32)
        codes = np.unique(human, return_inverse=True)[1].reshape(-1)[self._order]
        self._codes = codes.astype(np.int32)
        self._upto = np.append(0, np.cumsum(np.bincount(codes))).astype(np.int32)
        self._below = PrefixCounts(self._codes)

    @property
    def n(self) -> int:
        """Number of items."""
        return self._order.size

    def right(self, threshold: float) -> Integers:
        """Items in the same strict order on both sides, or tied on both (itself too): (n,).

        threshold: the largest difference of the metric that is a tie.
        """
        first, last = self._tied(threshold)
        lower, equal_before = self._split(first)
        lower_upto, equal_upto = self._split(last)
        higher = (self.n - self._upto[self._codes + 1]) - (last - lower_upto - equal_upto)
        return self._given(lower + higher + equal_upto - equal_before)

    def balance(self) -> Integers:
        """Items ordered alike on both sides less those ordered otherwise: shape (n,)."""
        first, last = self._tied(0.0)
        lower, equal = self._split(first)
        lower_upto, equal_upto = self._split(last)
        all_lower = self._upto[self._codes]
        higher_after = (self.n - self._upto[self._codes + 1]) - (last - lower_upto - equal_upto)
        alike = lower + higher_after
        otherwise = (first - lower - equal) + (all_lower - lower_upto)
        return self._given(alike - otherwise)

    def _split(self, k: Integers) -> tuple[Integers, Integers]:
        """Of the first k by the metric: those people rate lower than the item, and those alike."""
        lower = self._below(k, self._codes)
        return lower, self._below(k, self._codes + 1) - lower

    def _tied(self, threshold: float) -> tuple[Integers, ...]:
        """First item, and the one after the last, that the metric calls tied with each item."""
        values, places = self._values, np.arange(self._values.size)
        first = np.searchsorted(values, values - threshold, side="left")
        last = np.searchsorted(values, values + threshold, side="right")
        while True:  # a difference may be rounded across the threshold: look at it as it is
            more = (first < places) & (values - values[first] > threshold)
            less = (first > 0) & ~(values - values[first - 1] > threshold)
            if not (more.any() or less.any()):
                break
            first = first + more - less
        while True:
            end = np.minimum(last, values.size - 1)
            more = (last < values.size) & ~(values[end] - values > threshold)
            less = (last > places + 1) & (values[last - 1] - values > threshold)
            if not (more.any() or less.any()):
                break
            last = last + more - less
        return tuple(np.repeat(self._starts[end], self._size) for end in (first, last))

    def _given(self, counts: Integers) -> Integers:
        found = np.empty_like(counts)
        found[self._order] = counts
        return found
