"""How fast each engine and precision scores the user's clips here, and how far scores drift."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from humanclap.clap.checkpoint import Checkpoint
from humanclap.errors import InputError, MissingExtraError, SettingsError
from humanclap.progress import Progress, silent
from humanclap.scoring.scorer import HumanCLAP
from humanclap.scoring.settings import Engine, Precision, ScoringSettings

Rows = NDArray[np.float32]
"""Embeddings (n, embedding_dim)."""
Way = tuple[Engine, Precision]
WAYS: tuple[Way, ...] = (
    ("torch", "fp32"),
    ("torch", "bf16"),
    ("torch", "int8"),
    ("openvino", "fp32"),
    ("openvino", "bf16"),
    ("onnxruntime", "fp32"),
)
"""The others are compared with the first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """One engine with one precision.

    clips_per_s: clips decoded and embedded per second, the median of the rounds; NaN where it
    cannot run. least_cosine: between its embedding of the worst clip and that of the first way.
    score_drift: greatest difference of a score from the first way's; NaN without texts. unusable:
    why it cannot run here, else empty.
    """

    engine: str
    precision: str
    clips_per_s: float = math.nan
    least_cosine: float = math.nan
    score_drift: float = math.nan
    unusable: str = ""


def bench(
    checkpoint: Checkpoint,
    clips: Sequence[Path],
    texts: Sequence[str] = (),
    *,
    device: str = "auto",
    rounds: int = 3,
    progress: Progress = silent,
) -> list[Timing]:
    """Embed the clips in every way of `WAYS`; ways take turns, so that other load affects all
    alike.

    texts: one for each clip, or none. The cache is not used. Work that is done once (loading,
    exporting, the first batch) is not counted. Raises InputError without clips or for another
    number of texts, AudioError at a clip that cannot be read.
    """
    if not clips:
        raise InputError("no clips to measure with")
    if texts and len(texts) != len(clips):
        raise InputError(f"{len(clips)} clips and {len(texts)} texts; expected as many, or none")
    scorers, unusable = _scorers(checkpoint, clips[0], device)
    said = {way: scorer.embed_text(texts) for way, scorer in scorers.items()} if texts else {}
    heard, seconds = _timed(scorers, clips, rounds, progress)
    scores = {way: _products(heard[way], rows) for way, rows in said.items()}
    first = WAYS[0]
    return [
        Timing(
            engine=way[0],
            precision=way[1],
            clips_per_s=len(clips) / statistics.median(seconds[way]),
            least_cosine=min(1.0, float(_products(heard[way], heard[first]).min())),
            score_drift=float(np.abs(scores[way] - scores[first]).max()) if scores else math.nan,
        )
        if way in scorers
        else Timing(engine=way[0], precision=way[1], unusable=unusable[way])
        for way in WAYS
    ]


def _scorers(
    checkpoint: Checkpoint, clip: Path, device: str
) -> tuple[dict[Way, HumanCLAP], dict[Way, str]]:
    """A scorer for every way that runs here, after a first clip; why the others do not run."""
    scorers: dict[Way, HumanCLAP] = {}
    unusable: dict[Way, str] = {}
    for way in WAYS:
        engine, precision = way
        settings = ScoringSettings(engine=engine, precision=precision, device=device, cache=False)
        try:
            scorers[way] = HumanCLAP(checkpoint, settings)
        except (MissingExtraError, SettingsError) as error:
            if way == WAYS[0]:
                raise
            unusable[way] = str(error)
        else:
            scorers[way].embed_audio([clip])
    return scorers, unusable


def _timed(
    scorers: Mapping[Way, HumanCLAP], clips: Sequence[Path], rounds: int, progress: Progress
) -> tuple[dict[Way, Rows], dict[Way, list[float]]]:
    """The embeddings of all ways, and the seconds of each round."""
    heard: dict[Way, Rows] = {}
    seconds: dict[Way, list[float]] = {way: [] for way in scorers}
    for turn in range(rounds):
        for number, (way, scorer) in enumerate(scorers.items()):
            progress(turn * len(scorers) + number, rounds * len(scorers), " ".join(way))
            begin = time.perf_counter()
            heard[way] = scorer.embed_audio(clips)
            seconds[way].append(time.perf_counter() - begin)
    return heard, seconds


def _products(one: Rows, other: Rows) -> NDArray[np.float64]:
    """Scalar product of each row with the one at its place, (n,)."""
    products: NDArray[np.float64] = np.sum(one.astype(np.float64) * other, axis=1)
    return products


def spread_over(count: int, most: int) -> list[int]:
    """Numbers of at most `most` of `count` items, spread evenly.

    >>> spread_over(10, 4), spread_over(2, 4)
    ([0, 2, 5, 7], [0, 1])
    """
    kept = min(count, most)
    return [number * count // kept for number in range(kept)]
