"""Agreement on many resamples at once: the engine of the bootstrap.

A replicate is a sample in which cluster c (a caption with all its pairs) is drawn t_c times.
Nothing is written out: every statistic is a function of the counts t, for all replicates in one
array operation. Sums are products with cluster totals; ranks are running sums in the order of the
scores; KTAU and pairwise accuracy, sums over pairs of items, are quadratic forms t' F t whose
matrix F holds the totals of each pair of clusters. With very many clusters KTAU counts inversions
in O(n log n) instead (`inversions`).
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from humanclap.errors import InputError
from humanclap.metrics.agreement import MIN_PAIRS
from humanclap.metrics.inversions import Inversions
from humanclap.metrics.pairwise import blocks, signs

Floats = NDArray[np.float64]
Places = NDArray[np.intp]

DENSE_CLUSTERS = 4096
"""Up to here the quadratic forms are held as matrices (64 MiB each)."""
_ROWS_AT_ONCE = 64
_EXACT_IN_FLOAT32 = 2**24


def cluster_codes(clusters: Sequence[Hashable]) -> Places:
    """Clusters numbered 0, 1, ... by first appearance: shape (n,)."""
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(cluster, len(numbers)) for cluster in clusters], np.intp)


class WeightedAgreement:
    """SRCC, LCC, KTAU-b, MSE, MAE and pairwise accuracy for many bootstrap samples at once.

    metric, human: shape (n,), finite. predicted: the metric mapped to the human scale, shape (n,),
    for MSE and MAE; without it (or where it is NaN) these two are NaN. clusters: shape (n,),
    numbers 0..C-1 (`cluster_codes`); without them each pair is its own. threshold: largest
    difference of scores that pairwise accuracy calls a tie; None leaves accuracy out, and so do
    more than 4,096 clusters. ranks_only: leave KTAU and accuracy out, which cost most.

    >>> agreement = WeightedAgreement([1, 2, 3, 4], [1, 3, 2, 4])
    >>> agreement(np.array([[1, 1, 1, 1], [3, 0, 0, 1]]))["srcc"].round(3)
    array([0.8, 1. ])
    """

    def __init__(
        self,
        metric: ArrayLike,
        human: ArrayLike,
        predicted: ArrayLike | None = None,
        *,
        clusters: ArrayLike | None = None,
        threshold: float | None = None,
        ranks_only: bool = False,
    ) -> None:
        x, y = _finite(metric), _finite(human)
        unknown = np.full_like(y, np.nan)
        mapped = unknown if predicted is None else np.asarray(predicted, dtype=np.float64)
        codes = np.arange(y.size) if clusters is None else np.asarray(clusters, dtype=np.intp)
        if not x.shape == y.shape == mapped.shape == codes.shape:
            raise InputError("metric, human, predicted and clusters must have one length")
        self.n_clusters = int(codes.max()) + 1
        self._ranks = _Ranks(x, y, codes, self.n_clusters)
        self._moments = _Moments(x, y, mapped - y, codes, self.n_clusters)
        self._forms: _PairForms | None = None
        self._inversions: Inversions | None = None
        if ranks_only:
            return
        if self.n_clusters <= DENSE_CLUSTERS:
            self._forms = _PairForms(x, y, codes, self.n_clusters, threshold)
        else:
            self._inversions = Inversions(_dense_codes(x), _dense_codes(y))
            self._codes = codes

    def __call__(self, weights: ArrayLike) -> dict[str, Floats]:
        """All statistics where cluster c is drawn weights[r, c] times (whole numbers).

        weights: shape (replicates, C). Returns name -> shape (replicates,). A correlation is NaN
        where the sample has fewer than 3 pairs or one side is constant; exactly what the functions
        of `metrics.agreement` return for the sample written out.
        """
        times = np.asarray(weights, dtype=np.float64)
        if times.ndim != 2 or times.shape[1] != self.n_clusters:
            raise InputError(f"weights must have shape (replicates, {self.n_clusters})")
        parts = [
            self._block(times[start : start + _ROWS_AT_ONCE])
            for start in range(0, len(times), _ROWS_AT_ONCE)
        ]
        names = parts[0] if parts else {}
        values = {name: np.concatenate([part[name] for part in parts]) for name in names}
        if parts and self._forms is not None:
            balance, right = self._forms(times, values["total"])
            values |= self._of_pairs(balance, values)
            if right is not None:
                with np.errstate(divide="ignore", invalid="ignore"):
                    values["accuracy"] = right / (values["total"] * (values["total"] - 1) / 2)
        order = ("srcc", "lcc", "ktau", "accuracy", "mse", "mae")
        return {name: values[name] for name in order if name in values}

    def _block(self, times: Floats) -> dict[str, Floats]:
        srcc, untied_x, untied_y, total = self._ranks(times)
        found = self._moments(times, total)
        defined = (total >= MIN_PAIRS) & (untied_x > 0) & (untied_y > 0)
        found["srcc"] = np.where(defined, srcc, np.nan)
        found["lcc"] = np.where(defined, found["lcc"], np.nan)
        found |= {"untied_x": untied_x, "untied_y": untied_y, "total": total}
        if self._inversions is not None:
            tied_in_both = self._ranks.tied_in_both(times)
            balance = untied_x + untied_y - total * (total - 1) / 2 + tied_in_both
            balance -= 2 * self._inversions(np.ascontiguousarray(times[:, self._codes].T))
            found |= self._of_pairs(balance, found)
        return found

    @staticmethod
    def _of_pairs(balance: Floats, found: dict[str, Floats]) -> dict[str, Floats]:
        """KTAU-b from concordant minus discordant pairs."""
        with np.errstate(divide="ignore", invalid="ignore"):
            tau = balance / np.sqrt(found["untied_x"]) / np.sqrt(found["untied_y"])
        return {"ktau": np.where(np.isnan(found["srcc"]), np.nan, tau.clip(-1.0, 1.0))}


def _finite(values: ArrayLike) -> Floats:
    found = np.asarray(values, dtype=np.float64)
    if found.ndim != 1 or not found.size or not np.isfinite(found).all():
        raise InputError("values must be finite, at least one, of shape (n,)")
    return found


def _dense_codes(values: Floats) -> NDArray[np.int32]:
    return np.unique(values, return_inverse=True)[1].reshape(-1).astype(np.int32)


class _Groups:
    """Items in order of one side; a group holds those of one value."""

    def __init__(self, values: Floats) -> None:
        codes = _dense_codes(values)
        self.order = np.argsort(codes, kind="stable")
        self.codes = codes[self.order]
        self.starts = np.flatnonzero(np.append(True, self.codes[1:] != self.codes[:-1]))
        self.distinct = self.starts.size == codes.size

    def sums(self, ordered: Floats) -> Floats:
        """(replicates, n) in this order -> (replicates, groups)."""
        return ordered if self.distinct else np.add.reduceat(ordered, self.starts, axis=1)


class _Ranks:
    """SRCC and the counts of untied pairs."""

    def __init__(self, x: Floats, y: Floats, codes: Places, n_clusters: int) -> None:
        self._x = _Groups(x)
        self._clusters = codes[self._x.order]
        self._y_codes = _dense_codes(y)[self._x.order]
        self._both = _Groups(_dense_codes(x) * (self._y_codes.max() + 1.0) + _dense_codes(y))
        self._both_clusters = codes[self._both.order]
        n_values = int(self._y_codes.max()) + 1
        self._y_counts: Floats | None = None
        self._y = _Groups(y)
        self._y_clusters = codes[self._y.order]
        if n_clusters * n_values <= 4_000_000:  # a small table: sums by one product
            self._y_counts = np.zeros((n_clusters, n_values))
            np.add.at(self._y_counts, (self._clusters, self._y_codes), 1)

    def __call__(self, times: Floats) -> tuple[Floats, Floats, Floats, Floats]:
        """(SRCC, pairs untied in x, pairs untied in y, number of items), each (replicates,)."""
        items = times.take(self._clusters, axis=1)  # (replicates, n), in order of x
        of_x = self._x.sums(items)
        x_ranks = np.cumsum(of_x, axis=1)
        total = x_ranks[:, -1].copy()
        x_ranks -= of_x / 2 + total[:, None] / 2  # average ranks, minus their mean
        if not self._x.distinct:
            x_ranks = x_ranks.take(self._x.codes, axis=1)
        if self._y_counts is not None:
            of_y = times @ self._y_counts
        else:
            of_y = self._y.sums(times.take(self._y_clusters, axis=1))
        y_ranks = np.cumsum(of_y, axis=1) - of_y / 2 - total[:, None] / 2
        x_ranks *= items
        joint = np.einsum("rn,rn->r", x_ranks, y_ranks.take(self._y_codes, axis=1))
        spread_x = (total**3 - np.einsum("rg,rg,rg->r", of_x, of_x, of_x)) / 12
        spread_y = (total**3 - np.einsum("rg,rg,rg->r", of_y, of_y, of_y)) / 12
        with np.errstate(divide="ignore", invalid="ignore"):
            srcc = (joint / np.sqrt(spread_x) / np.sqrt(spread_y)).clip(-1.0, 1.0)
        pairs = total * (total - 1) / 2
        return srcc, pairs - _ties(of_x), pairs - _ties(of_y), total

    def tied_in_both(self, times: Floats) -> Floats:
        """Pairs of items tied on both sides: (replicates,)."""
        return _ties(self._both.sums(times.take(self._both_clusters, axis=1)))


class _Moments:
    """LCC, MSE and MAE, from sums over clusters."""

    def __init__(self, x: Floats, y: Floats, error: Floats, codes: Places, n_clusters: int) -> None:
        self._codes = codes
        self._x, self._y = scaled(x), scaled(y)
        columns = (self._x, self._y, self._x**2, self._y**2, self._x * self._y, error**2,
                   np.abs(error))  # fmt: skip
        self._sums = np.stack([np.bincount(codes, c, n_clusters) for c in columns], axis=1)

    def __call__(self, times: Floats, total: Floats) -> dict[str, Floats]:
        with np.errstate(divide="ignore", invalid="ignore"):
            x, y, xx, yy, xy, squared, absolute = (times @ self._sums / total[:, None]).T
            spread_x, spread_y = xx - x * x, yy - y * y
            lcc = (xy - x * y) / np.sqrt(spread_x) / np.sqrt(spread_y)
            # Where nearly all of the sum is the mean, digits are lost: centre first.
            for r in np.flatnonzero((spread_x < 1e-4 * xx) | (spread_y < 1e-4 * yy)):
                lcc[r] = self._two_pass(times[r])
        return {"lcc": lcc.clip(-1.0, 1.0), "mse": squared, "mae": absolute}

    def _two_pass(self, times: Floats) -> float:
        w = times[self._codes]
        x = self._x - w @ self._x / w.sum()
        y = self._y - w @ self._y / w.sum()
        return float((w * x) @ y / np.sqrt((w * x) @ x) / np.sqrt((w * y) @ y))


def scaled(values: Floats) -> Floats:
    """About their mean, in units of their range: equal means stay equal, however small they are."""
    found: Floats = (values - values.mean()) / (float(np.ptp(values)) or 1.0)
    return found


class _PairForms:
    """Sums over pairs of items: concordant minus discordant, and rightly ordered."""

    def __init__(
        self, x: Floats, y: Floats, codes: Places, n_clusters: int, threshold: float | None
    ) -> None:
        order = np.argsort(codes, kind="stable")
        x, y, rows_of = x[order], y[order], codes[order]
        starts = np.searchsorted(rows_of, np.arange(n_clusters))
        size = np.bincount(codes, minlength=n_clusters)
        self._size, self._largest = size.astype(np.float64), int(size.max())
        if size.min() < 1:
            raise InputError("cluster numbers must be 0..C-1, each with a pair")
        kept = np.float32 if self._largest**2 < _EXACT_IN_FLOAT32 else np.float64
        forms = [np.zeros((n_clusters, n_clusters), kept) for _ in range(2)]
        x_codes, y_codes = _dense_codes(x), _dense_codes(y)
        for rows in blocks(x.size):
            first = int(starts[rows_of[rows.start]])  # the forms are symmetric: earlier ones stand
            of_x, of_y = signs(x_codes, rows, 0.0, first), signs(y_codes, rows, 0.0, first)
            _add(forms[0], of_x * of_y, rows_of[rows], starts, first)
            if threshold is not None:
                of_x = signs(x, rows, threshold, first) if threshold else of_x
                _add(forms[1], of_x == of_y, rows_of[rows], starts, first)
        for form in forms:
            form += np.triu(form, 1).T - np.tril(form, -1)
        self._balance, self._right = forms[0], None if threshold is None else forms[1]

    def __call__(self, times: Floats, total: Floats) -> tuple[Floats, Floats | None]:
        """(concordant - discordant, right pairs or None), each (replicates,), exact."""
        exact = float(total.max()) * self._largest < _EXACT_IN_FLOAT32
        w = times.astype(np.float32) if exact else times
        balance = np.einsum("rc,rc->r", w @ self._balance.astype(w.dtype, copy=False), times) / 2
        if self._right is None:
            return balance, None
        twice = np.einsum("rc,rc->r", w @ self._right.astype(w.dtype, copy=False), times)
        return balance, (twice - times @ self._size) / 2  # an item is always tied with itself


def _add(
    form: NDArray[np.floating],
    of_items: NDArray[np.generic],
    rows: Places,
    starts: Places,
    first: int,
) -> None:
    """Add what rows of items and the items from `first` on, the first of a cluster, have."""
    own = int(rows[0])
    by_column = np.add.reduceat(of_items, starts[own:] - first, axis=1, dtype=np.int32)
    change = np.flatnonzero(np.append(True, rows[1:] != rows[:-1]))
    form[rows[change], own:] += np.add.reduceat(by_column, change, axis=0)


def _ties(groups: Floats) -> Floats:
    ties: Floats = np.einsum("rg,rg->r", groups, groups - 1)
    return ties / 2
