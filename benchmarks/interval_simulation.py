"""Are the intervals and tests right? Simulated studies with a known truth, clustered by caption.

    python benchmarks/interval_simulation.py            # 500 studies, about ten minutes

Each study has captions of three clips. A caption shares most of its quality and most of a
metric's error, so clips of a caption are far from independent. Scores and ratings are normal, so
the true LCC is known and with it SRCC = 6/pi asin(r/2), KTAU = 2/pi asin(r), pairwise accuracy
= (1 + KTAU)/2. Counted: how often the 95 % intervals (percentile, BCa) hold the truth; how often
the paired permutation test, its Holm correction over three metrics, the interval of a difference
and the leaderboard's test call a difference where there is none. Writes
benchmarks/results/interval_simulation.json; the error of a rate of 0.95 over 500 studies is 0.01.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections import Counter
from collections.abc import Mapping
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from humanclap.evaluation.leaderboard.rank import leaderboard
from humanclap.evaluation.settings import LeaderboardSettings
from humanclap.metrics.bootstrap import (
    Statistics,
    bootstrap,
    draws,
    expanded_tail,
    paired_difference,
)
from humanclap.metrics.levels import WithinSystems
from humanclap.metrics.permutation import holm, permutation_p
from humanclap.metrics.weighted import WeightedAgreement
from humanclap.records import Score

CLIPS = 3
REPLICATES, PERMUTATIONS = 1000, 999
LEVEL = 0.05

Floats = NDArray[np.float64]


def quality(rng: np.random.Generator, captions: int, shared: float) -> Floats:
    """Standard normal values of which a share of the variance is the caption's: (pairs,)."""
    common = np.repeat(rng.normal(size=captions), CLIPS)
    own = rng.normal(size=captions * CLIPS)
    return math.sqrt(shared) * common + math.sqrt(1 - shared) * own


def metric(rng: np.random.Generator, human: Floats, r: float, shared: float) -> Floats:
    """A metric with a true correlation of r, whose error is shared within captions."""
    error = quality(rng, human.size // CLIPS, shared)
    return r * human + math.sqrt(1 - r * r) * error


def truths(r: float) -> dict[str, float]:
    """The true values of a bivariate normal."""
    tau = 2 / math.pi * math.asin(r)
    return {
        "srcc": 6 / math.pi * math.asin(r / 2),
        "lcc": r,
        "ktau": tau,
        "accuracy": (1 + tau) / 2,
        "mse": 2 - 2 * r,
        "within systems srcc": 6 / math.pi * math.asin(r / 2),
    }


def ends(
    statistics: Statistics, captions: int, rng: np.random.Generator, method: str
) -> Mapping[str, tuple[float, float]]:
    """Both ends of the 95 % interval of each statistic, by the package's percentiles or by BCa."""
    if method == "percentile":
        found = bootstrap(statistics, captions, rng=rng, replicates=REPLICATES)
        return {name: (interval.low, interval.high) for name, interval in found.items()}
    drawn = [statistics(times) for times in draws(captions, REPLICATES, rng)]
    observed = statistics(np.ones((1, captions)))
    without = statistics(np.ones((captions, captions)) - np.eye(captions))
    return {
        name: bca(
            np.concatenate([block[name] for block in drawn]),
            float(observed[name][0]),
            without[name],
            expanded_tail(1 - LEVEL, captions),
        )
        for name in observed
    }


def bca(values: Floats, observed: float, without: Floats, tail: float) -> tuple[float, float]:
    """Bias-corrected and accelerated ends (Efron 1987), the tail widened as for percentiles.

    values: in the replicates; without: with each caption left out, (captions,).
    """
    defined, left_out = values[np.isfinite(values)], without[np.isfinite(without)]
    below = (np.mean(defined < observed) + np.mean(defined <= observed)) / 2
    gap = left_out.mean() - left_out
    shares = np.array([tail, 1 - tail])
    if 0 < below < 1 and np.abs(gap).max() > 0:
        unit = gap / np.abs(gap).max()
        acceleration = np.sum(unit**3) / (6 * (unit @ unit) ** 1.5)
        bias, lower = stats.norm.ppf(below), stats.norm.ppf(tail)
        shifted = bias + np.array([lower, -lower])
        shrunk = 1 - acceleration * shifted
        if (shrunk > 0).all():
            shares = stats.norm.cdf(bias + shifted / shrunk)
    low, high = np.quantile(defined, shares)
    return float(low), float(high)


def coverage(runs: int, captions: int, r: float, method: str) -> dict[str, float]:
    """Share of studies whose interval holds the truth, by statistic."""
    held: Counter[str] = Counter()
    clusters = np.repeat(np.arange(captions), CLIPS)
    systems = np.tile(np.arange(CLIPS), captions)
    for run in range(runs):
        rng = np.random.default_rng([captions, run])
        human = quality(rng, captions, 0.6)
        scores = metric(rng, human, r, 0.6)
        engine = WeightedAgreement(scores, human, scores, clusters=clusters, threshold=0.0)
        within = WithinSystems(scores, human, systems, clusters, 0.0)

        def both(
            times: Floats,
            engine: WeightedAgreement = engine,
            within: WithinSystems = within,
        ) -> dict[str, Floats]:
            return {**engine(times), "within systems srcc": within(times)["srcc"]}

        found = ends(both, captions, rng, method)
        for name, truth in truths(r).items():
            held[name] += found[name][0] <= truth <= found[name][1]
    return {name: round(held[name] / runs, 3) for name in truths(r)}


def false_positives(runs: int, captions: int, r: float, shared: tuple[float, ...]) -> object:
    """Rates at which equal metrics are called different; shared: of each metric's error."""
    clusters = np.repeat(np.arange(captions), CLIPS)
    called: Counter[str] = Counter()
    for run in range(runs):
        rng = np.random.default_rng([captions, 7, run])
        human = quality(rng, captions, 0.6)
        metrics = [metric(rng, human, r, share) for share in shared]
        engines = [WeightedAgreement(m, human, clusters=clusters) for m in metrics]
        difference = paired_difference(engines[0], engines[1])
        interval = bootstrap(difference, captions, rng=rng, replicates=REPLICATES)["srcc"]
        called["interval of the difference"] += not interval.low <= 0 <= interval.high
        p_values = [
            permutation_p(a, b, human, clusters, rng=rng, permutations=PERMUTATIONS)
            for a, b in combinations(metrics, 2)
        ]
        called["permutation test"] += p_values[0] <= LEVEL
        called["any of three tests, Holm"] += min(holm(p_values)) <= LEVEL
    return {name: round(count / runs, 3) for name, count in called.items()}


def leaderboard_rates(runs: int, prompts: int) -> dict[str, float]:
    """Coverage of a system's mean, and false positives between two equal systems."""
    settings = LeaderboardSettings(replicates=REPLICATES, permutations=PERMUTATIONS, worst=0)
    covered = called = 0
    for run in range(runs):
        rng = np.random.default_rng([prompts, 11, run])
        prompt = rng.normal(size=prompts)
        tables = {
            name: [
                Score(audio=f"{name}{i}", text=f"prompt {i}", score=float(value))
                for i, value in enumerate(prompt + 0.7 * rng.standard_normal(prompts))
            ]
            for name in ("one", "other")
        }
        board = leaderboard(tables, settings)
        covered += board.standings[0].low <= 0 <= board.standings[0].high
        called += board.duels[0].p <= LEVEL
    return {"mean covered": round(covered / runs, 3), "test": round(called / runs, 3)}


def main() -> None:
    """Simulate, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    runs, start = arguments.runs, time.monotonic()
    methods = ("percentile", "bca")
    result = {
        "command": "python benchmarks/interval_simulation.py",
        "studies": runs,
        "clips_per_caption": CLIPS,
        "replicates": REPLICATES,
        "permutations": PERMUTATIONS,
        "coverage_of_95_percent_intervals": [
            {"captions": captions, "true_lcc": r, "interval": method}
            | coverage(runs, captions, r, method)
            for captions, r in ((200, 0.5), (20, 0.5), (100, 0.9))
            for method in methods
        ],
        "false_positives_at_5_percent": {
            "alike metrics, 100 captions": false_positives(runs, 100, 0.5, (0.6, 0.6, 0.6)),
            "alike metrics, 30 captions": false_positives(runs, 30, 0.5, (0.6, 0.6, 0.6)),
            "errors shared within captions by one metric, not by the other, 100 captions": (
                false_positives(runs, 100, 0.5, (0.9, 0.0, 0.6))
            ),
        },
        "leaderboard_of_two_equal_systems": {
            "50 prompts": leaderboard_rates(runs, 50),
            "15 prompts": leaderboard_rates(runs, 15),
        },
        "seconds": round(time.monotonic() - start),
    }
    path = arguments.output or Path(__file__).parent / "results" / "interval_simulation.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
