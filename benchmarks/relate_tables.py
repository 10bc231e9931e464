"""The tables of RELATE, from its own CSVs: counts, screening, reliability, trivial predictors.

    python benchmarks/relate_tables.py PATH/TO/RELATE/scores

The folder holds REL.csv, IS.csv and OS.csv. Prints, and writes
benchmarks/results/relate_tables.json.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path
from statistics import fmean
from typing import Any

from humanclap.errors import LeakageError
from humanclap.grouping import check_leakage
from humanclap.json_values import to_json
from humanclap.metrics.agreement import srcc
from humanclap.ratings.aggregate import aggregate
from humanclap.ratings.read import read_ratings
from humanclap.ratings.screening import screen_relate
from humanclap.ratings.standardise import standardise
from humanclap.ratings.summary import GroupSummary, summarise
from humanclap.records import Rating, Target

SPLITS = ("train", "validation", "test")


def screened(path: Path) -> tuple[list[Rating], list[Rating]]:
    """All ratings of a table, and the ordinary ones that RELATE's rule keeps."""
    ratings = read_ratings(path)
    return ratings, [r for r in screen_relate(ratings).kept if r.kind == "rating"]


def counts(group: GroupSummary) -> dict[str, Any]:
    """A group's counts and means."""
    return {
        "ratings": group.reliability.n_ratings,
        "pairs": group.reliability.n_pairs,
        "listeners": group.n_listeners,
        "mean_rating": round(group.mean_rating, 3),
        "mean_mos": round(group.mean_mos, 3),
    }


def agreement(group: GroupSummary) -> dict[str, Any]:
    """A group's reliability."""
    return {
        "icc1": round(group.reliability.icc, 4),
        "leave_one_out_srcc": round(group.reliability.leave_one_out_srcc, 4),
        "split_half_srcc": round(group.reliability.split_half_srcc, 4),
        "spearman_brown": round(group.reliability.spearman_brown, 4),
    }


def trivial_predictors(targets: list[Target]) -> dict[str, float]:
    """SRCC on test of what needs no audio: the system's mean on train, the caption's length."""
    of_system: dict[str | None, list[float]] = defaultdict(list)
    for target in targets:
        if target.split == "train":
            of_system[target.system].append(target.mos)
    test = [target for target in targets if target.split == "test"]
    mos = [target.mos for target in test]
    return {
        "system_mean_of_train": round(srcc([fmean(of_system[t.system]) for t in test], mos), 4),
        "minus_caption_characters": round(srcc([-len(t.text) for t in test], mos), 4),
        "minus_caption_words": round(srcc([-len(t.text.split()) for t in test], mos), 4),
    }


def leakage(kept: list[Rating]) -> dict[str, str]:
    """What the published splits share."""
    found = {}
    for i, one in enumerate(SPLITS):
        for other in SPLITS[i + 1 :]:
            try:
                check_leakage({s: [r for r in kept if r.split == s] for s in (one, other)})
            except LeakageError as error:
                found[f"{one}/{other}"] = str(error).partition(" (make")[0]
    return found


def rel_tables(path: Path) -> dict[str, Any]:
    """Everything about REL.csv."""
    ratings, kept = screened(path)
    lines = {rating.line for rating in kept}
    judged = [rating for rating in ratings if rating.kind == "rating"]
    groups = {(group.split, group.system): group for group in summarise(kept)}
    z_scores = {(group.split, group.system): group for group in summarise(standardise(kept))}
    return {
        "rows": len(ratings),
        "anchor_rows": len(ratings) - len(judged),
        "listeners": len({rating.listener_id for rating in ratings}),
        "screening": {
            "rows_compared": len(judged),
            "mismatches": sum(r.excluded is (r.line in lines) for r in judged),
        },
        "splits": {split: counts(groups[split, "all"]) for split in SPLITS},
        "test_by_system": {
            system: counts(group) | agreement(group)
            for (split, system), group in groups.items()
            if split == "test" and system != "all"
        },
        "test_reliability": agreement(groups["test", "all"]),
        "test_reliability_of_z_scores": agreement(z_scores["test", "all"]),
        "test_srcc_of_trivial_predictors": trivial_predictors(aggregate(kept)),
        "shared_between_published_splits": leakage(kept),
    }


def main() -> None:
    """Compute, print and write."""
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder = Path(sys.argv[1])
    result: dict[str, Any] = {"REL": rel_tables(folder / "REL.csv")}
    for question in ("IS", "OS"):
        _, kept = screened(folder / f"{question}.csv")
        groups = {group.split: group for group in summarise(kept) if group.system == "all"}
        result[question] = {
            split: counts(groups[split]) | agreement(groups[split]) for split in ("train", "test")
        }
    path = Path(__file__).parent / "results" / "relate_tables.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(to_json(result) + "\n", encoding="utf-8")
    print(to_json(result))


if __name__ == "__main__":
    main()
