"""How far to pool the errors of predicted ratings: studies made up, and ESC's answers halved.

    python benchmarks/rating_map_simulation.py --esc PATH/TO/esc [--model mini]

Made-up studies: each pair has a truth in 0..10, of which the score knows part; two pairs of a clip
share half of what the score does not know; each of 1 to 8 listeners answers the truth with an error
of 2.5, rounded and cut to 0..10. Truths lie in the `middle`, or, a part of the pairs being
mismatched, near the `edges` or the `ceiling`; `uneven`: in the middle, and the score knows less of
the higher. A map with its error is fitted on `pairs` of them and judged on 2,000 others. ESC: the
map of a model's scores to ten times the share of listeners who chose the label, on a random half of
the clips, judged on the other half.

For each strength of pooling (`metrics.rating_map.POOLED`, in groups of pairs): how often the 50, 80
and 95 % intervals hold the observed mean, of all pairs and of the fifths with the highest and the
lowest predictions. Writes benchmarks/results/rating_map_simulation.json.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from human_tuning_esc import TEN_WAY, balanced, examples_of
from numpy.typing import NDArray

from humanclap.clap.calibration import Calibration
from humanclap.clap.checkpoint import load_checkpoint
from humanclap.files import atomic_writer
from humanclap.metrics import rating_map
from humanclap.metrics.prediction_quality import coverage
from humanclap.training.loop.validation import cosines
from humanclap.training.model.towers import audio_tower
from humanclap.training.settings import TrainingSettings

RESULT = Path(__file__).parent / "results" / "rating_map_simulation.json"
LEVELS = (0.5, 0.8, 0.95)
POOLED = (2, 5, 20, 60, 100_000)
SIZES = (20, 50, 112, 400)
JUDGED = 2000
SHARE_OF_ANCHORS = 0.28
Floats = NDArray[np.float64]
Study = dict[str, Any]
"""score, observed, n: (k,); variance: of one rating; group: of each pair."""


def truths(world: str, rng: np.random.Generator, size: int) -> Floats:
    """What ever more listeners would say of each pair, before the scale cuts it off."""
    if world in ("middle", "uneven"):
        return rng.normal(5, 2, size)
    anchors = rng.random(size) < SHARE_OF_ANCHORS
    matched = {"edges": (4.0, 1.5), "ceiling": (8.0, 0.7)}[world]
    return np.where(anchors, 10 * rng.beta(0.5, 4, size), 10 * rng.beta(*matched, size))


def study(world: str, rng: np.random.Generator, size: int) -> Study:
    """A study of `size` pairs, two a clip."""
    truth = truths(world, rng, size)
    group = np.arange(size) // 2
    shared = rng.normal(size=group.max() + 1)[group]
    unknown = 0.15 * np.sqrt(0.5) * (shared + rng.normal(size=size))
    score = 0.08 * truth + unknown * (np.clip(truth, 0, 10) / 5 if world == "uneven" else 1)
    n = rng.integers(1, 9, size)
    answers = [
        np.rint(rng.normal(t, 2.5, count)).clip(0, 10) for t, count in zip(truth, n, strict=True)
    ]
    error = [a.std(ddof=1) / np.sqrt(a.size) if a.size > 1 else np.nan for a in answers]
    return {
        "score": score,
        "observed": np.array([a.mean() for a in answers]),
        "n": n,
        "variance": rating_map.rating_variance(n, error),
        "group": group,
    }


def esc_study(folder: Path, model: str) -> Study:
    """A packaged model's scores of ESC's ten-way answers, as many labels unchosen as chosen."""
    examples = balanced(examples_of(folder, TEN_WAY)[0])
    backbone = load_checkpoint(model).backbone
    backbone.module().eval()
    tower = audio_tower(backbone, TrainingSettings(train="projections"), list(examples))
    n = np.array([item.n for item in examples])
    share = np.array([item.relevance for item in examples])
    spread = 10 * np.sqrt(share * (1 - share) / (n - 1))
    return {
        "score": cosines(backbone, examples, tower),
        "observed": 10 * share,
        "n": n,
        "variance": rating_map.rating_variance(n, spread),
        "group": np.unique([item.audio for item in examples], return_inverse=True)[1],
    }


def part(whole: Study, chosen: NDArray[np.bool_]) -> Study:
    """The chosen pairs of a study."""
    cut = {name: whole[name][chosen] for name in ("score", "observed", "n", "group")}
    return {**cut, "variance": whole["variance"]}


def held(train: Study, test: Study) -> dict[str, Any]:
    """Shares of intervals that hold, by level and part of the predictions, and the mean error."""
    found = rating_map.fit_rating_map(
        train["score"],
        train["observed"],
        train["n"],
        train["variance"],
        groups=train["group"].tolist(),
    )
    fitted = Calibration(
        scores=found.scores, ratings=found.ratings, errors=found.errors, fitted_on="a study", n=1
    )
    rating = np.array([fitted.rating(score) for score in test["score"]])
    error = np.array([fitted.standard_error(score) for score in test["score"]])
    order = np.argsort(test["score"])
    fifth = order.size // 5
    places = {"all": order, "highest fifth": order[-fifth:], "lowest fifth": order[:fifth]}
    rows: dict[str, Any] = {"error": float(error.mean())}
    for name, where in places.items():
        rows[name] = [
            coverage(
                rating[where],
                error[where],
                test["observed"][where],
                test["n"][where],
                test["variance"],
                level,
            ).share
            for level in LEVELS
        ]
    return rows


def halves(whole: Study, rng: np.random.Generator) -> tuple[Study, Study]:
    """Two random halves by group."""
    groups = np.unique(whole["group"])
    inside = np.isin(whole["group"], rng.permutation(groups)[: groups.size // 2])
    return part(whole, inside), part(whole, ~inside)


def averaged(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Mean over studies."""
    return {
        name: np.round(np.mean([row[name] for row in rows], axis=0), 3).tolist() for name in rows[0]
    }


def main() -> None:
    """Simulate, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--esc", type=Path, required=True)
    parser.add_argument("--model", default="mini", help="one that met no answer of ESC's")
    parser.add_argument("--studies", type=int, default=40)
    parser.add_argument("--output", type=Path, default=RESULT)
    options = parser.parse_args()
    torch.set_num_threads(1)
    esc = esc_study(options.esc, options.model)
    rows = []
    for pooled in POOLED:
        rating_map.POOLED = pooled
        studies: dict[tuple[str, int], list[dict[str, Any]]] = defaultdict(list)
        for seed in range(options.studies):
            rng = np.random.default_rng(seed)  # the same studies for each strength
            for world in ("middle", "uneven", "edges", "ceiling"):
                test = study(world, rng, JUDGED)
                for size in SIZES:
                    studies[world, size].append(held(study(world, rng, size), test))
            train, test = halves(esc, rng)
            studies["ESC", train["score"].size].append(held(train, test))
        by_world: dict[tuple[str, int | None], list[dict[str, Any]]] = defaultdict(list)
        for (world, size), found in studies.items():
            by_world[world, None if world == "ESC" else size] += found
        for (world, pairs), found in by_world.items():
            row = {"pooled": pooled, "world": world, "pairs": pairs, **averaged(found)}
            rows.append(row)
            print(row, flush=True)
    result = {
        "studies": options.studies,
        "model": options.model,
        "esc_pairs": int(esc["score"].size),
        "rows": rows,
    }
    with atomic_writer(options.output) as file:
        file.write(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
