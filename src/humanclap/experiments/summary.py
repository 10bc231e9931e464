"""From runs to one table: means and intervals over seeds, paired tests against the baseline."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from humanclap.experiments.agreement import GROUPS, STATISTICS, Scored, mean_srcc
from humanclap.experiments.grid import Done
from humanclap.grouping import caption_key
from humanclap.metrics.agreement import srcc
from humanclap.metrics.bootstrap import bootstrap
from humanclap.metrics.permutation import (
    PERMUTATIONS,
    PairedRun,
    holm,
    mean_permutation_p,
)
from humanclap.progress import Progress, silent
from humanclap.training.data.dataset import Example

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class OverSeeds:
    """A mean over seeds, each the mean over the parts, and the half width of its 95 % t interval.

    half_width: NaN for fewer than two seeds.
    """

    mean: float
    half_width: float
    by_seed: tuple[float, ...]


ALPHA = 0.05
"""An objective is called better or worse where its corrected p-value is below this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GainOfRuns:
    """Difference of SRCC from the baseline on the same pairs and seeds, with its 95 % interval.

    p: two-sided paired permutation test, whole clusters exchanged; p_holm: corrected for all gains
    of the table, of which there are `tests`. NaN where `reason` says why.
    """

    value: float
    low: float
    high: float
    clusters: int
    p: float
    permutations: int
    p_holm: float = math.nan
    tests: int = 1
    reason: str | None = None

    @property
    def sign(self) -> int:
        """1 or -1 where the corrected test shows a difference, else 0."""
        return int(np.sign(self.value)) if self.p_holm < ALPHA else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SummaryRow:
    """One objective on one model, for one choice of systems and number of pairs.

    accuracy: on choices, None where none are judged.
    """

    model: str
    systems: str
    pairs: int
    objective: str
    ratings: float
    cells: dict[str, dict[str, OverSeeds]]
    gain: GainOfRuns | None
    accuracy: OverSeeds | None = None

    @property
    def srcc(self) -> OverSeeds:
        """Over all judged pairs."""
        return self.cells["overall"]["srcc"]

    @property
    def figures(self) -> dict[str, dict[str, OverSeeds]]:
        """Every figure by group, those of choices among them."""
        if self.accuracy is None:
            return self.cells
        return self.cells | {"choices": {"accuracy": self.accuracy}}


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
) -> list[SummaryRow]:
    """Summarise runs as the rows of a table, in the order of the runs.

    Gains are those of SRCC overall: mean over seeds and parts, bootstrapped over captions drawn
    whole (clips, `by_clip`, for closed label sets), the same draws for both sides. Their p-values
    are those of a permutation test that exchanges the two sides' captions (clips) whole, in all
    seeds and parts at once, corrected over all gains of the table (Holm 1979).
    """
    groups: dict[tuple[str, str, int, str], list[Done]] = {}
    for one in done:
        run = one.run
        groups.setdefault((run.model, run.systems, run.pairs, run.objective), []).append(one)
    of_baseline = {key[:3]: members for key, members in groups.items() if key[3] == baseline}
    compared = {key for key in groups if key[3] != baseline and key[:3] in of_baseline}
    permutations = permutations_for(len(compared))
    rows = []
    for number, (key, members) in enumerate(groups.items(), start=1):
        model, systems, pairs, objective = key
        gain = None
        if key in compared:
            base = of_baseline[key[:3]]
            gain = _gain(members, base, replicates, permutations, by_clip)
        seeds = sorted({one.run.seed for one in members})
        rows.append(
            SummaryRow(
                model=model,
                systems=systems,
                pairs=pairs,
                objective=objective,
                ratings=float(np.mean([one.ratings for one in members])),
                cells=_cells(members, seeds),
                gain=gain,
                accuracy=_accuracy(members, seeds),
            )
        )
        progress(number, len(groups), "bootstrap")
    return _corrected(rows)


def permutations_for(tests: int) -> int:
    """Permutations at which the smallest p-value can stay below 0.05 after Holm's correction.

    >>> permutations_for(18), permutations_for(100)
    (1000, 4000)
    """
    return max(PERMUTATIONS, 2 * math.ceil(tests / ALPHA))


def _corrected(rows: Sequence[SummaryRow]) -> list[SummaryRow]:
    """The rows with Holm's correction over all their gains."""
    p_values = [row.gain.p if row.gain else math.nan for row in rows]
    tests = sum(not math.isnan(p) for p in p_values)
    return [
        replace(row, gain=row.gain and replace(row.gain, p_holm=p_holm, tests=tests))
        for row, p_holm in zip(rows, holm(p_values), strict=True)
    ]


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


def _accuracy(members: Sequence[Done], seeds: Sequence[int]) -> OverSeeds | None:
    """On choices, of the parts that judge any; None where none does."""
    judging = [one for one in members if any(c.decided for c in one.run.part.test_choices)]
    if not judging:
        return None
    by_seed = [[one.accuracy for one in judging if one.run.seed == seed] for seed in seeds]
    return over_seeds([float(np.mean(values)) for values in by_seed])


def _gain(
    members: Sequence[Done],
    base: Sequence[Done],
    replicates: int,
    permutations: int,
    by_clip: bool,
) -> GainOfRuns:
    names = sorted({_cluster(item, by_clip) for one in base for item in one.run.part.test})
    number = {name: place for place, name in enumerate(names)}
    ours, theirs = (
        mean_srcc([_scored(one, number, by_clip) for one in side]) for side in (members, base)
    )

    def difference(times: Floats) -> dict[str, Floats]:
        return {"srcc": ours(times) - theirs(times)}

    observed = float(_observed(members) - _observed(base))
    rng = np.random.default_rng(0)
    interval = bootstrap(difference, len(names), rng=rng, replicates=replicates)["srcc"]
    runs = _paired_runs(members, base, number, by_clip)
    p = mean_permutation_p(runs, rng=np.random.default_rng(0), permutations=permutations)
    reason = "the SRCC of a run is undefined" if math.isnan(observed) else interval.reason
    return GainOfRuns(
        value=observed,
        low=interval.low,
        high=interval.high,
        clusters=interval.clusters,
        p=p,
        permutations=permutations,
        reason=reason,
    )


def _paired_runs(
    members: Sequence[Done], base: Sequence[Done], number: dict[str, int], by_clip: bool
) -> list[PairedRun]:
    """Each run of the baseline with that of the same part and seed, or the part's only one."""
    ours: dict[str, dict[int, Done]] = {}
    for one in members:
        ours.setdefault(one.run.part.name, {})[one.run.seed] = one
    runs = []
    for theirs in base:
        of_part = ours[theirs.run.part.name]
        own = of_part.get(theirs.run.seed) or next(iter(of_part.values()))
        scores, human, clusters = _scored(theirs, number, by_clip)
        runs.append(PairedRun(first=scores, second=own.scores, human=human, clusters=clusters))
    return runs


def _scored(one: Done, number: dict[str, int], by_clip: bool) -> Scored:
    test = one.run.part.test
    clusters = [number[_cluster(item, by_clip)] for item in test]
    return Scored(one.scores, [item.mos for item in test], clusters)


def _cluster(item: Example, by_clip: bool) -> str:
    return str(item.path) if by_clip else caption_key(item.text)


def _observed(runs: Sequence[Done]) -> float:
    return float(
        np.mean([srcc(one.scores, [item.mos for item in one.run.part.test]) for one in runs])
    )
