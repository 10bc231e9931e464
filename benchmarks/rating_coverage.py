"""How often predicted ratings hold: RELATE validation one clip out, and ESC's answers.

    python benchmarks/rating_coverage.py --shared SHARED --models mini mini-mn04 --mn04 MN04

RELATE: each clip's pairs are predicted by a map fitted, by `recipes/mini/rating_map.py`, without
the clip and without every pair that shares a caption with it. ESC: the map fitted on all of RELATE
validation's pairs, unchanged, on ten-way answers (`objectives_esc.py`): there people chose one of
ten labels, and the rating is ten times the share that chose this one, which is another question
than how well a caption fits. An embedding that was tuned on these ratings would make the first look
too good; those of the packaged models were not.

For each group: mean predicted minus mean observed rating, and the share of observed means within
the 50, 80 and 95 % intervals (`metrics.prediction_quality.coverage`), with 95 % bootstrap intervals
clustered by clip. Writes benchmarks/results/rating_coverage.json.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from objectives_esc import targets_of as esc_targets

from humanclap.clap.calibration import Calibration
from humanclap.clap.checkpoint import Checkpoint, load_checkpoint
from humanclap.files import atomic_writer
from humanclap.grouping import without_shared
from humanclap.metrics.bootstrap import cluster_bootstrap
from humanclap.metrics.prediction_quality import coverage
from humanclap.records import Target

sys.path.insert(0, str(Path(__file__).parents[1] / "recipes" / "mini"))
from rating_map import FOLDER, calibration, rated_pairs, scores_of, variance_of

RESULT = Path(__file__).parent / "results" / "rating_coverage.json"
LEVELS = (0.5, 0.8, 0.95)
REPLICATES = 2000
UNMET_FOLD = "4"
Floats = NDArray[np.float64]


def judged(
    predicted: Floats, error: Floats, targets: Sequence[Target], variance: float
) -> dict[str, Any]:
    """Bias and coverage of some pairs, each with its interval."""
    observed = np.array([target.mos for target in targets])
    columns = {"bias": predicted - observed}
    for level in LEVELS:
        columns[str(level)] = np.array(
            [
                coverage([p], [e], [target.mos], [target.n], variance, level).share
                for p, e, target in zip(predicted, error, targets, strict=True)
            ]
        )

    def means(weights: Floats) -> dict[str, Floats]:
        return {name: weights @ c / weights.sum(axis=1) for name, c in columns.items()}

    clips = [target.audio for target in targets]
    found = cluster_bootstrap(means, clips, rng=np.random.default_rng(0), replicates=REPLICATES)
    spans = {
        name: [round(float(x), 4) for x in (c.mean(), found[name].low, found[name].high)]
        for name, c in columns.items()
    }
    return {
        "n": len(targets),
        "clips": len(set(clips)),
        "observed": round(float(observed.mean()), 3),
        "bias": spans.pop("bias"),
        "mean_absolute_miss": round(float(np.abs(predicted - observed).mean()), 3),
        "error": round(float(error.mean()), 3),
        "coverage": spans,
    }


def predictions(found: Calibration, scores: Sequence[float]) -> tuple[Floats, Floats]:
    """Ratings and errors, each (k,)."""
    ratings = [found.rating(score) for score in scores]
    return np.array(ratings), np.array([found.standard_error(score) for score in scores])


def one_clip_out(
    scores: Sequence[float], targets: Sequence[Target], variance: float
) -> tuple[Floats, Floats]:
    """Each pair's rating and error by the map that met neither its clip nor its caption."""
    score_of = {t.pair_id: score for t, score in zip(targets, scores, strict=True)}
    rating, error = np.empty(len(targets)), np.empty(len(targets))
    for clip in dict.fromkeys(target.audio for target in targets):
        out = [place for place, target in enumerate(targets) if target.audio == clip]
        kept, _ = without_shared(targets, [targets[place] for place in out])
        found = calibration([score_of[t.pair_id] for t in kept], kept, variance)
        rating[out], error[out] = predictions(found, [scores[place] for place in out])
    return rating, error


def relate(checkpoint: Checkpoint, shared: Path) -> tuple[dict[str, Any], Calibration]:
    """Groups of RELATE validation's pairs, one clip out; and the map fitted on all of them."""
    targets = rated_pairs(shared)
    scores = scores_of(checkpoint, targets, shared / FOLDER / "audio")
    variance = variance_of(targets)
    rating, error = one_clip_out(scores, targets, variance)
    groups = {
        "all pairs": np.arange(len(targets)),
        "own captions": np.array([i for i, t in enumerate(targets) if t.kind == "rating"]),
        "anchors": np.array([i for i, t in enumerate(targets) if t.kind == "anchor"]),
    }
    found = {
        f"RELATE validation, {name}": judged(
            rating[at], error[at], [targets[place] for place in at], variance
        )
        for name, at in groups.items()
    }
    return found, calibration(scores, targets, variance)


def esc(checkpoint: Checkpoint, fitted: Calibration, shared: Path) -> dict[str, Any]:
    """Pairs of ESC's ten-way answers under the map of RELATE: all, and those of the unmet fold."""
    targets, _ = esc_targets(shared / "data/esc")
    folder = shared / "data/esc"
    root = folder if (folder / targets[0].audio).is_file() else folder / "audio"
    rating, error = predictions(fitted, scores_of(checkpoint, targets, root))
    variance = variance_of(targets)
    chosen = np.array([target.mos > 0 for target in targets])
    unmet = np.array([target.split == UNMET_FOLD for target in targets])
    groups = {
        "all": np.ones(len(targets), bool),
        "fold 4": unmet,
        "labels somebody chose": chosen,
        "labels nobody chose": ~chosen,
    }
    return {
        f"ESC, {name}": judged(
            rating[at],
            error[at],
            [target for target, inside in zip(targets, at, strict=True) if inside],
            variance,
        )
        for name, at in groups.items()
    }


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--shared", type=Path, required=True)
    parser.add_argument("--models", nargs="+", default=["mini", "mini-mn04"])
    parser.add_argument("--mn04", type=Path)
    parser.add_argument("--output", type=Path, default=RESULT)
    options = parser.parse_args()
    torch.set_num_threads(1)
    models: dict[str, Any] = {}
    for name in options.models:
        checkpoint = load_checkpoint(name, mn04=options.mn04)
        groups, fitted = relate(checkpoint, options.shared)
        groups |= esc(checkpoint, fitted, options.shared)
        fingerprint = checkpoint.backbone.fingerprint()
        models[name] = {"fingerprint": fingerprint, "fitted_on": fitted.fitted_on, "groups": groups}
        for title, found in groups.items():
            held = {level: span[0] for level, span in found["coverage"].items()}
            print(f"{name:<16}{title:<36}n={found['n']:<5}bias {found['bias'][0]:+.2f}  {held}")
    result = {"replicates": REPLICATES, "models": models}
    with atomic_writer(options.output) as file:
        file.write(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
