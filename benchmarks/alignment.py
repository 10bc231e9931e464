"""Before and after human alignment: RELATE validation (cross-validated) and ESC's answers.

    python benchmarks/alignment.py SHARED --cv WORK --mn04 MN04

WORK holds the files of `recipes/mini/align.py cv` (cv-mini.json, cv-mini-mn04.json): the score
of each of RELATE validation's 86 rated pairs by models that met neither its clip nor its caption,
for three seeds. SRCC with 95 % intervals, bootstrap over groups of pairs that share a clip or a
caption; the calibration is fitted on four fifths of the scores and judged on the fifth, in turn.
ESC: the shipped models before and after, on fold 4, whose answers no model met.
Writes benchmarks/results/mini_alignment.json.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from human_tuning_esc import FIFTY_WAY, TEN_WAY, compare, examples_of, judged_sets, mean_over
from numpy.typing import NDArray

from humanclap.clap.checkpoint import Calibration, load_checkpoint
from humanclap.metrics.agreement import srcc
from humanclap.metrics.bootstrap import cluster_bootstrap, paired_difference
from humanclap.metrics.calibration import coverage
from humanclap.metrics.rating_map import fit_rating_map, rating_variance
from humanclap.metrics.weighted import WeightedAgreement
from humanclap.tables import atomic_writer
from humanclap.training.settings import TrainingSettings
from humanclap.training.towers import audio_tower
from humanclap.training.validation import cosines

RESULT = Path(__file__).parent / "results" / "mini_alignment.json"
LEVELS = (0.5, 0.8, 0.95)
REPLICATES = 2000
BASES = {"mini": "mini-clap", "mini-mn04": "mini-mn04-clap"}


def agreement(report: dict[str, Any], key: str) -> dict[str, Any]:
    """SRCC before, of the caption's prior alone and after (mean of the seeds), on one set.

    key: `screened_mos` (pairs RELATE's screening kept) or `mos` (all, with every answer).
    """
    chosen = [place for place, pair in enumerate(report["pairs"]) if pair[key] is not None]
    pairs = [report["pairs"][place] for place in chosen]
    human = np.array([pair[key] for pair in pairs])
    groups = [pair["group"] for pair in pairs]
    seeds = [np.array(run["scores"])[chosen] for run in report["runs"]]
    before = WeightedAgreement(np.array([pair["before"] for pair in pairs]), human)
    prior = WeightedAgreement(np.array([pair["prior"] for pair in pairs]), human)
    after = mean_over([WeightedAgreement(scores, human) for scores in seeds])
    found = {
        "n": len(pairs),
        "groups": len(set(groups)),
        "srcc_by_seed": [round(srcc(scores, human), 4) for scores in seeds],
    }
    statistics = {
        "before": before,
        "prior_alone": prior,
        "after": after,
        "gain": paired_difference(before, after),
        "gain_over_prior": paired_difference(prior, after),
    }
    for name, statistic in statistics.items():
        interval = cluster_bootstrap(
            statistic, groups, rng=np.random.default_rng(0), replicates=REPLICATES
        )["srcc"]
        value = float(statistic(np.ones((1, len(pairs))))["srcc"][0])
        found[name] = [round(x, 4) for x in (value, interval.low, interval.high)]
    return found


def calibrated(report: dict[str, Any]) -> dict[str, Any]:
    """How far predicted ratings are off, and how often their intervals hold the observed mean."""
    pairs = report["pairs"]
    count = np.array([float(pair["n"]) for pair in pairs])
    spread = np.array([pair["standard_error"] or math.nan for pair in pairs])
    observed = np.array(
        [pair["mos"] if pair["screened_mos"] is None else pair["screened_mos"] for pair in pairs]
    )
    variance = rating_variance(count, spread)
    shares: dict[float, list[float]] = {level: [] for level in LEVELS}
    errors, typical = [], []
    for run in report["runs"]:
        scores, folds = np.array(run["scores"]), np.array(run["folds"])
        rating, error = np.zeros(len(pairs)), np.zeros(len(pairs))
        for fold in np.unique(folds):
            inside = folds != fold
            fitted = fit_rating_map(scores[inside], observed[inside], count[inside], variance)
            line = Calibration(
                scores=fitted.scores,
                ratings=fitted.ratings,
                errors=fitted.errors,
                fitted_on="four folds",
                n=int(inside.sum()),
            )
            for place in np.flatnonzero(~inside):
                rating[place] = line.rating(scores[place])
                error[place] = line.standard_error(scores[place])
        for level in LEVELS:
            held = coverage(rating, error, observed, count, variance, level)
            shares[level].append(held.share)
        errors.append(float(np.abs(rating - observed).mean()))
        typical.append(float(np.median(error)))
    return {
        "n": len(pairs),
        "variance_of_one_rating": round(variance, 3),
        "mean_absolute_error": round(float(np.mean(errors)), 3),
        "median_standard_error": round(float(np.mean(typical)), 3),
        "coverage": {str(level): round(float(np.mean(s)), 3) for level, s in shares.items()},
        "error_of_the_mean_rating": round(float(np.abs(observed - observed.mean()).mean()), 3),
    }


def esc(folder: Path, mn04: Path) -> dict[str, Any]:
    """SRCC of score and share of listeners before and after, on sets of fold 4."""
    ten, _ = examples_of(folder, TEN_WAY)
    fifty, _ = examples_of(folder, FIFTY_WAY)
    judged = judged_sets(folder, ten, fifty)[:4]  # the last set's clips were trained on
    found: dict[str, Any] = {}
    for name, base in BASES.items():
        scores: dict[str, list[NDArray[np.float64]]] = {}
        for model in (base, name):
            backbone = load_checkpoint(model, mn04=mn04).backbone
            backbone.module().eval()
            everything = [example for one in judged for example in one.examples]
            tower = audio_tower(backbone, TrainingSettings(train="projections"), everything)
            scores[model] = [cosines(backbone, one.examples, tower) for one in judged]
        found[name] = {
            one.name: compare(one, scores[base][place], [scores[name][place]] * 2)
            for place, one in enumerate(judged)
        }
    return found


def main() -> None:
    """Read the cross-validated scores, judge, write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("shared", type=Path)
    parser.add_argument("--cv", type=Path, required=True)
    parser.add_argument("--mn04", type=Path, required=True)
    parser.add_argument("--output", type=Path, default=RESULT)
    options = parser.parse_args()
    torch.set_num_threads(1)
    models: dict[str, Any] = {}
    for name in BASES:
        report = json.loads((options.cv / f"cv-{name}.json").read_text())
        models[name] = {
            "base": report["base"],
            "prior": report["prior"],
            "chosen": [run["chosen"] for run in report["runs"]],
            "screened": agreement(report, "screened_mos"),
            "all_rated": agreement(report, "mos"),
            "calibration": calibrated(report),
        }
    result = {
        "replicates": REPLICATES,
        "relate": models,
        "esc": esc(options.shared / "data/esc", options.mn04),
    }
    with atomic_writer(options.output) as file:
        file.write(json.dumps(result, indent=2) + "\n")
    print(
        json.dumps(
            {name: {k: v for k, v in m.items() if k != "chosen"} for name, m in models.items()},
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
