"""From a packaged model's cosine to the rating people would give: fits and writes its calibration.

    python recipes/mini/rating_map.py --model mini --shared SHARED
    python recipes/mini/rating_map.py --model mini-mn04 --mn04 MN04 --shared SHARED

Fitted on RELATE validation's rated pairs, scored by the very embedding in the folder: the recording
with its own caption, of which the answers count that RELATE's screening kept (all of them where it
kept none), and the deliberately mismatched pairs (anchors) with every answer, since screening chose
listeners by these. Nothing else takes part. SHARED/data/relate-validation holds ratings_REL.csv and
audio/. The calibration goes into the folder's `humanclap.json`, whose other entries stay.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import torch

from humanclap.clap.calibration import Calibration
from humanclap.clap.checkpoint import Checkpoint, load_checkpoint, write_manifest
from humanclap.clap.checkpoint_files import PACKAGED
from humanclap.grouping import connected_groups
from humanclap.metrics.rating_map import fit_rating_map, rating_variance
from humanclap.ratings.aggregate import aggregate
from humanclap.ratings.read import read_ratings
from humanclap.ratings.screening import screen_published
from humanclap.records import Pair, Target
from humanclap.scoring.run import score_table
from humanclap.scoring.scorer import HumanCLAP

FOLDER = Path("data/relate-validation")
COVERS = ("natural",)


def rated_pairs(shared: Path) -> list[Target]:
    """RELATE validation's rated pairs, anchors included, with the answers that count."""
    ratings = read_ratings(shared / FOLDER / "ratings_REL.csv")
    screened = {target.pair_id: target for target in aggregate(screen_published(ratings).kept)}
    everyone = aggregate(ratings, include_anchors=True)
    return [screened.get(target.pair_id, target) for target in everyone]


def scores_of(checkpoint: Checkpoint, targets: Sequence[Target], audio: Path) -> list[float]:
    """The cosine of each pair, whose clips lie in `audio`."""
    pairs = [Pair(audio=target.audio, text=target.text) for target in targets]
    scored = score_table(HumanCLAP(checkpoint), pairs, audio_root=audio)
    failed = [score for score in scored if score.error is not None]
    if failed:
        raise SystemExit(f"{failed[0].audio}: {failed[0].error} ({len(failed)} pairs fail)")
    return [score.score for score in scored]


def variance_of(targets: Sequence[Target]) -> float:
    """Variance of one rating about its pair's mean."""
    return rating_variance(
        [target.n for target in targets], [target.standard_error for target in targets]
    )


def calibration(scores: Sequence[float], targets: Sequence[Target], variance: float) -> Calibration:
    """The map fitted on these pairs, groups of which share a clip or a caption."""
    found = fit_rating_map(
        scores,
        [target.mos for target in targets],
        [target.n for target in targets],
        variance,
        groups=connected_groups([(target.audio, target.text) for target in targets]),
    )
    clips = len({target.audio for target in targets})
    anchors = sum(target.kind == "anchor" for target in targets)
    return Calibration(
        **asdict(found),
        fitted_on=f"RELATE validation: {clips} natural recordings, {len(targets) - anchors} pairs "
        f"with their own captions and {anchors} with captions of others, scored by this embedding",
        n=len(targets),
        covers=COVERS,
    )


def in_words(found: Calibration) -> str:
    """A line a knot."""
    knots = zip(found.scores, found.errors, strict=True)
    return "\n".join(
        f"score {score:6.3f}: rating {found.rating(score):.2f} ± {error:.2f}"
        for score, error in knots
    )


def main() -> None:
    """Score, fit, write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", required=True, help="name of the packaged model, such as mini")
    parser.add_argument("--mn04", type=Path, help="the mn04_as file, for mini-mn04")
    parser.add_argument("--shared", type=Path, required=True)
    parser.add_argument(
        "--output", type=Path, help="the model's folder  [default: that in the package]"
    )
    options = parser.parse_args()
    torch.set_num_threads(1)
    folder = options.output or PACKAGED / options.model
    checkpoint = load_checkpoint(folder, mn04=options.mn04)
    if checkpoint.backbone.name != options.model:
        raise SystemExit(f"{folder} holds {checkpoint.backbone.name}, not {options.model}")
    targets = rated_pairs(options.shared)
    scores = scores_of(checkpoint, targets, options.shared / FOLDER / "audio")
    found = calibration(scores, targets, variance_of(targets))
    write_manifest(replace(checkpoint, calibration=found), folder)
    print(f"{found.fitted_on}\n{in_words(found)}\nwritten to {folder}")


if __name__ == "__main__":
    main()
