"""SRCC with people of several seeds' scores at once, and its gain over another model's.

A view is a set of judged pairs; the same draws of captions serve both sides of a gain.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from humanclap.experiments.agreement import Scored, mean_srcc
from humanclap.experiments.words import figure
from humanclap.grouping import caption_key
from humanclap.metrics.agreement import MIN_PAIRS, srcc
from humanclap.metrics.bootstrap import bootstrap
from humanclap.metrics.permutation import PairedRun, mean_permutation_p
from humanclap.metrics.weighted import cluster_codes
from humanclap.records import Target

Floats = NDArray[np.float64]
Places = NDArray[np.intp]


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A figure with its 95 % interval by a bootstrap over captions; NaN where `reason` says why."""

    value: float
    low: float = math.nan
    high: float = math.nan
    reason: str | None = None

    def shown(self, *, signed: bool = False) -> str:
        """`0.452 [0.412, 0.490]`; a dash where undefined."""
        return figure(self.value, self.low, self.high, signed=signed)


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """Judged pairs by a name.

    sets: their places; several where the figure is the mean over them, as within systems.
    """

    name: str
    sets: tuple[Places, ...]

    @property
    def n(self) -> int:
        """Number of pairs."""
        return sum(len(places) for places in self.sets)


def views_of(targets: Sequence[Target]) -> list[View]:
    """All judged pairs; the split `test` alone; natural, synthetic; within systems; without each.

    Views of fewer than three pairs, and those that hold all pairs again, are left out.
    """
    systems = np.array([target.system or "" for target in targets])
    subsets = np.array([target.subset for target in targets])
    masks = {
        "all judged": [np.ones(len(targets), bool)],
        "test alone": [np.array([target.split == "test" for target in targets])],
        "natural": [subsets == "natural"],
        "synthetic": [subsets == "synthetic"],
    }
    names = sorted(set(systems) - {""})
    if len(names) > 1:
        masks["within systems"] = [systems == name for name in names]
        masks |= {f"without {name}": [systems != name] for name in names}
    kept = []
    for name, several in masks.items():
        sets = tuple(np.flatnonzero(mask) for mask in several if mask.sum() >= MIN_PAIRS)
        whole = len(sets) == 1 and len(sets[0]) == len(targets)
        if sets and (name == "all judged" or not whole):
            kept.append(View(name=name, sets=sets))
    return kept


class Judged:
    """The judged pairs and what people said of them; scores are judged against it.

    Scores of one model are a list of arrays, one a seed, (n,) each, in the order of the targets.
    """

    def __init__(self, targets: Sequence[Target], *, replicates: int = 1000) -> None:
        self.targets = targets
        self.views = views_of(targets)
        self._mos = np.array([target.mos for target in targets])
        self._captions = [caption_key(target.text) for target in targets]
        self._replicates = replicates

    def agreement(self, runs: Sequence[Floats], view: View) -> Estimate:
        """Mean over seeds of the SRCC in a view."""
        return self._estimate(view, [(runs, 1.0)])

    def gain(self, runs: Sequence[Floats], base: Sequence[Floats], view: View) -> Estimate:
        """By how much the mean SRCC of `runs` is above that of `base`, on the same draws."""
        return self._estimate(view, [(runs, 1.0), (base, -1.0)])

    def p_value(self, runs: Sequence[Floats], base: Sequence[Floats]) -> float:
        """Paired permutation test of the gain over all judged pairs, captions exchanged whole."""
        codes = cluster_codes(self._captions)
        several = [
            PairedRun(
                first=base[min(place, len(base) - 1)],
                second=one,
                human=self._mos,
                clusters=codes,
            )
            for place, one in enumerate(runs)
        ]
        return mean_permutation_p(several, rng=np.random.default_rng(0))

    def _estimate(self, view: View, sides: Sequence[tuple[Sequence[Floats], float]]) -> Estimate:
        value = sum(sign * self._observed(runs, view) for runs, sign in sides)
        if math.isnan(value):
            return Estimate(value=value, reason="all scores or all ratings of a set are equal")
        inside = sorted({self._captions[place] for places in view.sets for place in places})
        number = {caption: place for place, caption in enumerate(inside)}
        parts = [(mean_srcc(self._scored(runs, view, number)), sign) for runs, sign in sides]

        def statistic(times: Floats) -> dict[str, Floats]:
            return {"srcc": sum((sign * mean(times) for mean, sign in parts), np.zeros(len(times)))}

        found = bootstrap(
            statistic, len(inside), rng=np.random.default_rng(0), replicates=self._replicates
        )["srcc"]
        return Estimate(value=float(value), low=found.low, high=found.high, reason=found.reason)

    def _observed(self, runs: Sequence[Floats], view: View) -> float:
        each = [srcc(one[places], self._mos[places]) for one in runs for places in view.sets]
        return float(np.mean(each))

    def _scored(self, runs: Sequence[Floats], view: View, number: dict[str, int]) -> list[Scored]:
        """Every seed in every set of the view."""
        found = []
        for places in view.sets:
            clusters = [number[self._captions[place]] for place in places]
            found += [Scored(one[places], self._mos[places], clusters) for one in runs]
        return found
