"""Agreement with real listeners on real clips: RELATE's validation pairs.

    python benchmarks/relate_validation.py --shared SHARED --mn04 MN04

SHARED/data/relate-validation holds ratings_REL.csv and audio/: 53 clips. Two sets: the 81 pairs
that RELATE's own screening kept (anchors left out), and all 112 rated pairs with every answer,
anchors included. Beside the models stands the noise ceiling of these very ratings. Intervals: 95 %,
bootstrap clustered by caption; differences of models from the same draws. Writes
benchmarks/results/relate_validation.json.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from judging_models import REPLICATES, arguments_of, load_models, write

from humanclap.evaluation.agreement.evaluate import compare
from humanclap.evaluation.agreement.result import Comparison, Group
from humanclap.evaluation.join import ScoreTable
from humanclap.evaluation.settings import EvaluationSettings
from humanclap.metrics.ceiling import NoiseCeiling
from humanclap.ratings.aggregate import aggregate
from humanclap.ratings.read import read_ratings
from humanclap.ratings.screening import screen_published
from humanclap.records import Pair, Rating, Target
from humanclap.scoring.run import score_table
from humanclap.scoring.scorer import HumanCLAP

SETTINGS = EvaluationSettings(replicates=REPLICATES, include_anchors=True, by=(), permutations=0)
STATISTICS = ("srcc", "lcc", "ktau")


@dataclass(frozen=True, slots=True, kw_only=True)
class RatedSet:
    """Pairs to judge on, with the ratings their targets were made of."""

    name: str
    ratings: tuple[Rating, ...]
    targets: tuple[Target, ...]


def rated_sets(table: Path) -> list[RatedSet]:
    """The two sets."""
    ratings = read_ratings(table)
    kept = [r for r in screen_published(ratings).kept if r.kind == "rating"]
    return [
        RatedSet(name="screened", ratings=tuple(kept), targets=tuple(aggregate(kept))),
        RatedSet(
            name="all rated, with anchors",
            ratings=tuple(ratings),
            targets=tuple(aggregate(ratings, include_anchors=True)),
        ),
    ]


def score(models: dict[str, HumanCLAP], targets: Sequence[Target], audio: Path) -> list[ScoreTable]:
    """One score table a model."""
    pairs = [Pair(audio=target.audio, text=target.text) for target in targets]
    return [
        ScoreTable(name=name, scores=score_table(model, pairs, audio_root=audio))
        for name, model in models.items()
    ]


def spans_of(group: Group) -> dict[str, list[float]]:
    """[value, low, high] of each correlation."""
    return {
        name: [round(v, 4) for v in (found.value, found.low, found.high)]
        for name, found in group.statistics.items()
        if name in STATISTICS
    }


def ceiling_of(ceiling: NoiseCeiling) -> dict[str, Any]:
    """What the results file keeps of a noise ceiling; the interval is that of the estimate."""
    return {
        "ratings": ceiling.n_ratings,
        "srcc": [round(v, 4) for v in (ceiling.srcc.value, ceiling.srcc_low, ceiling.srcc_high)],
        "one_listener_srcc": round(ceiling.one_listener_srcc, 4),
    }


def differences(tables: Sequence[ScoreTable], targets: Sequence[Target]) -> list[dict[str, Any]]:
    """Every two models: name - baseline, where the baseline stands later in the list."""
    found = []
    for place in range(1, len(tables)):
        compared = compare([tables[place], *tables[:place]], targets, SETTINGS)
        found += [
            {"name": one.name, "baseline": one.baseline, **spans_of(one.overall)}
            for one in compared.differences
        ]
    return found


def judged(rated: RatedSet, comparison: Comparison) -> dict[str, Any]:
    """Agreement and ceiling on one set."""
    overall = comparison.evaluations[0].overall
    return {
        "pairs": rated.name,
        "n": overall.n,
        "captions": overall.captions,
        "clips": len({target.audio for target in rated.targets}),
        "anchors": sum(target.kind == "anchor" for target in rated.targets),
        "ceiling": ceiling_of(comparison.ceilings["overall"]),
        "rows": {one.name: spans_of(one.overall) for one in comparison.evaluations},
    }


def main() -> None:
    """Score, evaluate, print and write."""
    arguments = arguments_of(__doc__, "relate_validation").parse_args()
    folder = arguments.shared / "data" / "relate-validation"
    models = load_models(arguments.models, arguments.mn04)
    sets = []
    for rated in rated_sets(folder / "ratings_REL.csv"):
        tables = score(models, rated.targets, folder / "audio")
        comparison = compare(tables, rated.targets, SETTINGS, ratings=rated.ratings)
        found = judged(rated, comparison)
        sets.append({**found, "differences": differences(tables, rated.targets)})
        print(f"{rated.name:<26}n={found['n']:<5}ceiling {found['ceiling']['srcc']}")
        for name, row in found["rows"].items():
            print(f"  {name:<20}SRCC {row['srcc']}")
    data = "RELATE validation (REL, 0-10), the natural clips at hand"
    write(arguments, __file__, models, {"data": data, "cluster": "caption", "sets": sets})


if __name__ == "__main__":
    main()
