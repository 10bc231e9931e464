"""Agreement with real listeners on real clips: RELATE's validation pairs.

    python benchmarks/relate_validation.py PATH/relate-validation --mn04 PATH/mn04_as_mAP_432.pt

PATH/relate-validation holds ratings_REL.csv and audio/. Two sets: the pairs that RELATE's own
screening kept (anchors left out), and every rated pair with every answer, anchors included.
Intervals: 95 %, bootstrap clustered by caption. Writes benchmarks/results/relate_validation.json.
None of these models saw a human rating or a clip of this set in training; `mini` and `mini-mn04`
did, so theirs are the cross-validated figures of alignment.py.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from humanclap.clap.checkpoint import load_checkpoint
from humanclap.evaluation.evaluate import compare
from humanclap.evaluation.join import ScoreTable
from humanclap.evaluation.result import Comparison
from humanclap.evaluation.settings import EvaluationSettings
from humanclap.ratings.aggregate import aggregate
from humanclap.ratings.read import read_ratings
from humanclap.ratings.screening import screen_published
from humanclap.records import Pair, Target
from humanclap.scoring.run import score_table
from humanclap.scoring.scorer import HumanCLAP

RESULTS = Path(__file__).parent / "results" / "relate_validation.json"
REPLICATES = 2000


def target_sets(folder: Path) -> dict[str, list[Target]]:
    """Targets of the two sets."""
    ratings = read_ratings(folder / "ratings_REL.csv")
    return {
        "screened": aggregate(screen_published(ratings).kept),
        "all rated, with anchors": aggregate(ratings, include_anchors=True),
    }


def score(models: dict[str, HumanCLAP], targets: list[Target], audio: Path) -> list[ScoreTable]:
    """One score table a model."""
    pairs = [Pair(audio=target.audio, text=target.text) for target in targets]
    return [
        ScoreTable(name=name, scores=score_table(model, pairs, audio_root=audio))
        for name, model in models.items()
    ]


def rows(name: str, comparison: Comparison) -> list[dict[str, object]]:
    """What the results file keeps of a comparison."""
    return [
        {
            "pairs": name,
            "model": item.name,
            "signature": item.coverage.signature,
            "n": item.overall.n,
            "captions": item.overall.captions,
            **{
                key: [round(value, 4) for value in (found.value, found.low, found.high)]
                for key, found in item.overall.statistics.items()
                if key in ("srcc", "lcc", "ktau")
            },
        }
        for item in comparison.evaluations
    ]


def main() -> None:
    """Score, evaluate, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--mn04", type=Path)
    parser.add_argument("--output", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    names = ["mini-clap", *(["mini-mn04-clap"] if arguments.mn04 else [])]
    models = {name: HumanCLAP(load_checkpoint(name, mn04=arguments.mn04)) for name in names}
    settings = EvaluationSettings(replicates=REPLICATES, include_anchors=True, by=())
    found: list[dict[str, object]] = []
    for name, targets in target_sets(arguments.folder).items():
        tables = score(models, targets, arguments.folder / "audio")
        found += rows(name, compare(tables, targets, settings))
    result = {"replicates": REPLICATES, "cluster": "caption", "rows": found}
    arguments.output.parent.mkdir(exist_ok=True)
    arguments.output.write_text(json.dumps(result, indent=2) + "\n")
    for row in found:
        print(f"{row['pairs']:<26}{row['model']:<12}n={row['n']:<5}SRCC {row['srcc']}")


if __name__ == "__main__":
    main()
