"""From runs to one table: means and intervals over seeds, paired bootstrap against the baseline."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from humanclap.experiments.grid import Done
from humanclap.experiments.judge import GROUPS, STATISTICS
from humanclap.grouping import caption_key
from humanclap.metrics.agreement import srcc
from humanclap.metrics.bootstrap import Statistics, bootstrap
from humanclap.metrics.weighted import WeightedAgreement
from humanclap.progress import Progress, silent
from humanclap.training.dataset import Example

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class OverSeeds:
    """A mean over seeds, each the mean over the parts, and the half width of its 95 % t interval.

    half_width: NaN for fewer than two seeds.
    """

    mean: float
    half_width: float
    by_seed: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gain:
    """Difference of SRCC from the baseline on the same pairs and seeds, with its 95 % interval."""

    value: float
    low: float
    high: float
    clusters: int

    @property
    def sign(self) -> int:
        """1 or -1 where the interval leaves 0 out, else 0."""
        return int(self.low > 0) - int(self.high < 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One objective on one model, for one choice of systems and number of pairs."""

    model: str
    systems: str
    pairs: int
    objective: str
    ratings: float
    cells: dict[str, dict[str, OverSeeds]]
    gain: Gain | None


def over_seeds(values: Sequence[float]) -> OverSeeds:
    """Mean and t interval.

    >>> found = over_seeds([0.1, 0.2, 0.3])
    >>> round(found.mean, 3), round(found.half_width, 3)   # 4.303 * 0.1 / sqrt(3)
    (0.2, 0.248)
    """
    several = np.array(values, dtype=np.float64)
    half = math.nan
    if several.size > 1 and np.isfinite(several).all():
        error = float(several.std(ddof=1)) / math.sqrt(several.size)
        half = float(stats.t.ppf(0.975, several.size - 1)) * error
    return OverSeeds(mean=float(several.mean()), half_width=half, by_seed=tuple(values))


def summarise(
    done: Sequence[Done],
    *,
    baseline: str,
    replicates: int = 1000,
    by_clip: bool = False,
    progress: Progress = silent,
) -> list[Row]:
    """The rows of the table, in the order of the runs.

    Gains are those of SRCC overall: mean over seeds and parts, bootstrapped over captions drawn
    whole (clips, `by_clip`, for closed label sets), the same draws for both sides.
    """
    groups: dict[tuple[str, str, int, str], list[Done]] = {}
    for one in done:
        run = one.run
        groups.setdefault((run.model, run.systems, run.pairs, run.objective), []).append(one)
    rows = []
    for number, (key, members) in enumerate(groups.items(), start=1):
        model, systems, pairs, objective = key
        base = groups.get((model, systems, pairs, baseline), [])
        compared = objective != baseline and bool(base)
        gain = _gain(members, base, replicates, by_clip) if compared else None
        seeds = sorted({one.run.seed for one in members})
        rows.append(
            Row(
                model=model,
                systems=systems,
                pairs=pairs,
                objective=objective,
                ratings=float(np.mean([one.ratings for one in members])),
                cells=_cells(members, seeds),
                gain=gain,
            )
        )
        progress(number, len(groups), "bootstrap")
    return rows


def _cells(members: Sequence[Done], seeds: Sequence[int]) -> dict[str, dict[str, OverSeeds]]:
    def value(seed: int, group: str, name: str) -> float:
        several = [one.found[group][name] for one in members if one.run.seed == seed]
        return float(np.mean(several))

    return {
        group: {
            name: over_seeds([value(seed, group, name) for seed in seeds]) for name in STATISTICS
        }
        for group in GROUPS
    }


def _gain(
    members: Sequence[Done], base: Sequence[Done], replicates: int, by_clip: bool
) -> Gain | None:
    names = sorted({_cluster(item, by_clip) for one in base for item in one.run.part.test})
    number = {name: place for place, name in enumerate(names)}
    ours, theirs = (_mean_srcc(side, number, by_clip) for side in (members, base))

    def difference(times: Floats) -> dict[str, Floats]:
        return {"srcc": ours(times)["srcc"] - theirs(times)["srcc"]}

    observed = float(_observed(members) - _observed(base))
    rng = np.random.default_rng(0)
    interval = bootstrap(difference, len(names), rng=rng, replicates=replicates)["srcc"]
    return Gain(value=observed, low=interval.low, high=interval.high, clusters=interval.clusters)


def _cluster(item: Example, by_clip: bool) -> str:
    return str(item.path) if by_clip else caption_key(item.text)


def _observed(runs: Sequence[Done]) -> float:
    return float(
        np.mean([srcc(one.scores, [item.mos for item in one.run.part.test]) for one in runs])
    )


def _mean_srcc(runs: Sequence[Done], number: dict[str, int], by_clip: bool) -> Statistics:
    """Mean SRCC of the runs where cluster c stands times[r, c] times."""
    engines = []
    for one in runs:
        test = one.run.part.test
        own = [number[_cluster(item, by_clip)] for item in test]
        present, codes = np.unique(own, return_inverse=True)
        human = [item.mos for item in test]
        engines.append((present, WeightedAgreement(one.scores, human, clusters=codes)))

    def mean(times: Floats) -> dict[str, Floats]:
        each = [engine(times[:, present])["srcc"] for present, engine in engines]
        return {"srcc": np.mean(each, axis=0)}

    return mean
