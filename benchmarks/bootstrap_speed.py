"""How long the bootstrap of all metrics takes, against a plain loop over scipy's functions.

    python benchmarks/bootstrap_speed.py

3,000 pairs and 10,000 replicates: SRCC, LCC, KTAU-b, MSE, MAE, and pairwise accuracy with ties.
Simulated scores, ratings in quarters (four listeners), 1,000 captions of three clips; the second
case makes every pair a caption of its own. The loop draws the same way, calls scipy.stats on each
sample, is timed on a part of the replicates in the same process, in turns with ours, and scaled
up. It is timed once without pairwise accuracy (which scipy lacks) and once with it in numpy.
Writes benchmarks/results/bootstrap_speed.json.
"""

from __future__ import annotations

import json
import os
import platform
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from humanclap.metrics.bootstrap import bootstrap
from humanclap.metrics.pairwise import tie_threshold
from humanclap.metrics.weighted import WeightedAgreement

PAIRS, REPLICATES = 3_000, 10_000
LOOPED, LOOPED_WITH_ACCURACY, TURNS = 100, 4, 4

Floats = NDArray[np.float64]


def simulated(seed: int = 0) -> tuple[Floats, Floats]:
    """A metric and ratings in quarters on 0..10 that correlate at about 0.5."""
    rng = np.random.default_rng(seed)
    quality = rng.normal(size=PAIRS)
    human = np.clip(6 + 2 * quality + rng.normal(size=PAIRS), 0, 10).round(2)
    metric = quality + 1.5 * rng.normal(size=PAIRS)
    return metric, (human * 4).round() / 4


def ours(
    metric: Floats, human: Floats, clusters: NDArray[np.intp], replicates: int, accuracy: bool
) -> float:
    """Seconds for everything, the preparation included."""
    start = time.perf_counter()
    threshold = tie_threshold(metric, human).threshold if accuracy else None
    engine = WeightedAgreement(metric, human, metric, clusters=clusters, threshold=threshold)
    bootstrap(engine, engine.n_clusters, rng=np.random.default_rng(0), replicates=replicates)
    return time.perf_counter() - start


def looped(
    metric: Floats, human: Floats, clusters: NDArray[np.intp], replicates: int, accuracy: bool
) -> float:
    """Seconds for so many replicates, one after the other."""
    rng = np.random.default_rng(0)
    members = [np.flatnonzero(clusters == c) for c in range(clusters.max() + 1)]
    start = time.perf_counter()
    for _ in range(replicates):
        index = np.concatenate([members[c] for c in rng.integers(len(members), size=len(members))])
        x, y = metric[index], human[index]
        stats.spearmanr(x, y)
        stats.pearsonr(x, y)
        stats.kendalltau(x, y)
        np.mean((x - y) ** 2)
        np.mean(np.abs(x - y))
        if accuracy:
            np.mean(np.sign(x[:, None] - x) == np.sign(y[:, None] - y))
    return time.perf_counter() - start


def case(name: str, clusters: NDArray[np.intp]) -> dict[str, object]:
    """Times of one case, the median of several turns."""
    metric, human = simulated()
    times: dict[str, list[float]] = {"all": [], "five": [], "loop": []}
    for _ in range(TURNS):
        times["all"].append(ours(metric, human, clusters, REPLICATES, accuracy=True))
        times["five"].append(ours(metric, human, clusters, REPLICATES, accuracy=False))
        spent = looped(metric, human, clusters, LOOPED, accuracy=False)
        times["loop"].append(spent * REPLICATES / LOOPED)
    whole = looped(metric, human, clusters, LOOPED_WITH_ACCURACY, accuracy=True)
    whole *= REPLICATES / LOOPED_WITH_ACCURACY
    everything, five, loop = (float(np.median(times[key])) for key in ("all", "five", "loop"))
    return {
        "case": name,
        "pairs": PAIRS,
        "captions": int(clusters.max()) + 1,
        "replicates": REPLICATES,
        "ours_all_six_s": round(everything, 2),
        "ours_without_pairwise_accuracy_s": round(five, 2),
        "scipy_loop_without_pairwise_accuracy_s": round(loop, 1),
        "times_faster_without_pairwise_accuracy": round(loop / five, 1),
        "loop_with_pairwise_accuracy_s": round(whole, 1),
        "times_faster_all_six": round(whole / everything, 1),
        "each_turn_s": {key: [round(v, 2) for v in values] for key, values in times.items()},
    }


def main() -> None:
    """Time, print and write."""
    result = {
        "command": "python benchmarks/bootstrap_speed.py",
        "machine": {
            "cores": os.cpu_count(),
            "load_average_before": round(os.getloadavg()[0], 1),
            "threads": os.environ.get("OMP_NUM_THREADS", "not set"),
            "python": platform.python_version(),
            "numpy": np.__version__,
        },
        "metrics": ["srcc", "lcc", "ktau", "accuracy", "mse", "mae"],
        "cases": [
            case("three clips a caption", np.arange(PAIRS) // 3),
            case("every pair its own caption", np.arange(PAIRS)),
        ],
    }
    path = Path(__file__).parent / "results" / "bootstrap_speed.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
