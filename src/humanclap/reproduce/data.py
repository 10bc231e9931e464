"""The rated pairs of a reproduction: screened, averaged, divided, with their clips at hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from humanclap.errors import InputError
from humanclap.fetch.relate import fetch_relate, fetch_scores
from humanclap.grouping import grouped_split
from humanclap.progress import Progress, silent
from humanclap.ratings.aggregate import aggregate
from humanclap.ratings.read import read_ratings
from humanclap.ratings.screening import screen, screen_attention
from humanclap.records import Rating, Target
from humanclap.reproduce.request import QUICK_PAIRS, Request
from humanclap.scale import RatingScale
from humanclap.tables import write_records
from humanclap.training.data.dataset import Example, check_files, example_of

TRAIN, JUDGED = "train", "test"
OWN_SHARES = {TRAIN: 0.7, "test": 0.3}
"""Of a user's own ratings whose table names no splits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RatedPairs:
    """targets: every rated pair with its own split; ratings: the answers they are made of.

    audio_root: where their paths start; read, kept: answers before and after screening.
    """

    targets: tuple[Target, ...]
    ratings: tuple[Rating, ...]
    audio_root: Path
    read: int
    kept: int

    @property
    def train(self) -> list[Target]:
        """Pairs that train, and choose the epoch."""
        return [target for target in self.targets if target.split == TRAIN]

    @property
    def judged(self) -> list[Target]:
        """Pairs that judge: of every other split."""
        return [target for target in self.targets if target.split != TRAIN]

    def examples(self) -> list[Example]:
        """The pairs for training, those that judge all in the split `test`."""
        moved = [
            target if target.split == TRAIN else replace(target, split=JUDGED)
            for target in self.targets
        ]
        return [
            example_of(target, root=self.audio_root, where=f"targets ({target.pair_id})")
            for target in moved
        ]


def fetch_data(request: Request, folder: Path, progress: Progress = silent) -> None:
    """Bring RELATE's ratings and clips into `folder`; nothing for the user's own ratings."""
    if request.own:
        return
    fetch_scores(folder, url=request.scores_url, sha256=request.scores_sha256, progress=progress)
    fetch_relate(folder, url=request.archive_url, sha256=request.archive_sha256, progress=progress)


def read_pairs(request: Request, folder: Path) -> RatedPairs:
    """Read, screen, average and divide; writes `folder`/targets.csv.

    Raises InputError and its kinds as the readers do, where a clip is missing or is no sound, and
    where too few pairs are left.
    """
    pairs = own_pairs(request) if request.own else _relate_pairs(folder)
    pairs = checked(_fewer(pairs) if request.quick else pairs)
    write_records(folder / "targets.csv", pairs.targets, record_type=Target)
    return pairs


def checked(pairs: RatedPairs) -> RatedPairs:
    """The pairs, checked. Raises InputError where too few train or judge, or a clip is missing."""
    for what, several, least in (("train", pairs.train, 20), ("judge", pairs.judged, 10)):
        if len(several) < least:
            splits = ", ".join(sorted({str(target.split) for target in pairs.targets}))
            raise InputError(
                f"{len(several)} rated pairs are left to {what} after screening; at least {least} "
                f"are needed. Those of the split `{TRAIN}` train, all others judge; the splits "
                f"are: {splits or 'none'}"
            )
    check_files(pairs.examples())
    return pairs


def _relate_pairs(folder: Path) -> RatedPairs:
    every = read_ratings(folder / "scores" / "REL.csv", question="REL")
    kept = [rating for rating in screen(every, ["published"]).kept if rating.kind == "rating"]
    return RatedPairs(
        targets=tuple(aggregate(kept)),
        ratings=tuple(kept),
        audio_root=folder / "RELATE_wave",
        read=len(every),
        kept=len(kept),
    )


def own_pairs(request: Request) -> RatedPairs:
    """Of the user's table: attention checks screen listeners, splits are made where none are.

    Raises InputError and its kinds as `ratings.read`, and where only some pairs name a split.
    """
    if request.ratings is None or request.audio_root is None:
        raise InputError("no ratings of the user's own are named")
    scale = RatingScale.parse(request.scale)
    every = read_ratings(request.ratings, scale=scale)
    questions = sorted({rating.question for rating in every})
    if len(questions) > 1 and "REL" not in questions:
        raise InputError(
            f"{request.ratings}: answers to {' and '.join(questions)}; keep those to one question"
        )
    wanted = "REL" if "REL" in questions else questions[0]
    answers = [rating for rating in every if rating.question == wanted]
    kept = [rating for rating in screen_attention(answers).kept if rating.kind == "rating"]
    targets = aggregate(kept, scale=scale)
    without = [target for target in targets if target.split is None]
    if 0 < len(without) < len(targets):
        raise InputError(
            f"{request.ratings}: {len(without)} of {len(targets)} pairs name no split, for example "
            f"{without[0].audio}; give every pair a split, or none"
        )
    if without:
        split_of = grouped_split(targets, OWN_SHARES)
        targets = [replace(target, split=split_of[target.pair_id]) for target in targets]
    return RatedPairs(
        targets=tuple(targets),
        ratings=tuple(kept),
        audio_root=request.audio_root,
        read=len(every),
        kept=len(kept),
    )


def _fewer(pairs: RatedPairs) -> RatedPairs:
    """At most `QUICK_PAIRS` that train and as many that judge, drawn by a fixed seed."""
    rng = np.random.default_rng(0)
    chosen = [*_some(pairs.train, rng), *_some(pairs.judged, rng)]
    names = {target.pair_id for target in chosen}
    return replace(
        pairs,
        targets=tuple(target for target in pairs.targets if target.pair_id in names),
        ratings=tuple(rating for rating in pairs.ratings if rating.pair_id in names),
    )


def _some(targets: Sequence[Target], rng: np.random.Generator) -> list[Target]:
    places = np.sort(rng.permutation(len(targets))[:QUICK_PAIRS])
    return [targets[place] for place in places]
