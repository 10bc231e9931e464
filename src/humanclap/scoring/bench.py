"""How fast each engine and precision scores the user's own clips here, and how far it drifts."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from humanclap.clap.checkpoint import Checkpoint
from humanclap.errors import InputError, MissingExtraError, SettingsError
from humanclap.progress import Progress, silent
from humanclap.scoring.scorer import HumanCLAP
from humanclap.scoring.settings import Engine, Precision, ScoringSettings

WAYS: tuple[tuple[Engine, Precision], ...] = (
    ("torch", "fp32"),
    ("torch", "bf16"),
    ("openvino", "fp32"),
    ("openvino", "bf16"),
)
"""The first is what the others are held against."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """One engine with one precision.

    clips_per_s: decoding and embedding, the median of the rounds, NaN where it cannot run.
    least_cosine: between its embedding of a clip and the first way's, of the worst clip.
    score_drift: greatest difference of a score to the first way's, NaN without texts.
    unusable: why it cannot run here, else empty.
    """

    engine: str
    precision: str
    clips_per_s: float = float("nan")
    least_cosine: float = float("nan")
    score_drift: float = float("nan")
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
    """Embed the clips in every way of `WAYS`; ways take turns, so that all share what else runs.

    texts: of the clips at their places, or none. The cache is left out. What is done once (loading,
    exporting, the first batch) is not counted. Raises InputError without clips or for another
    number of texts, AudioError at a clip that cannot be read.
    """
    if not clips:
        raise InputError("no clips to measure with")
    if texts and len(texts) != len(clips):
        raise InputError(f"{len(clips)} clips and {len(texts)} texts; expected as many, or none")
    scorers: dict[tuple[Engine, Precision], HumanCLAP] = {}
    unusable: dict[tuple[Engine, Precision], str] = {}
    rows: dict[tuple[Engine, Precision], tuple[np.ndarray, np.ndarray | None]] = {}
    for engine, precision in WAYS:
        settings = ScoringSettings(engine=engine, precision=precision, device=device, cache=False)
        try:
            scorer = HumanCLAP(checkpoint, settings)
        except (MissingExtraError, SettingsError) as error:
            if engine == "torch":
                raise
            unusable[engine, precision] = str(error)
            continue
        scorer.embed_audio(clips[:1])
        scorers[engine, precision] = scorer
        rows[engine, precision] = (np.zeros(0), scorer.embed_text(texts) if texts else None)
    seconds: dict[tuple[Engine, Precision], list[float]] = {way: [] for way in scorers}
    for turn in range(rounds):
        for number, (way, scorer) in enumerate(scorers.items()):
            progress(turn * len(scorers) + number, rounds * len(scorers), " ".join(way))
            begin = time.perf_counter()
            found = scorer.embed_audio(clips)
            seconds[way].append(time.perf_counter() - begin)
            rows[way] = (found, rows[way][1])
    return [
        Timing(engine=way[0], precision=way[1], unusable=unusable[way])
        if way in unusable
        else _timing(way, len(clips) / statistics.median(seconds[way]), rows[way], rows[WAYS[0]])
        for way in WAYS
    ]


def _timing(
    way: tuple[Engine, Precision],
    clips_per_s: float,
    rows: tuple[np.ndarray, np.ndarray | None],
    reference: tuple[np.ndarray, np.ndarray | None],
) -> Timing:
    cosines = np.sum(rows[0].astype(np.float64) * reference[0], axis=1)
    drift = float("nan")
    if rows[1] is not None and reference[1] is not None:
        scores = np.sum(rows[0].astype(np.float64) * rows[1], axis=1)
        before = np.sum(reference[0].astype(np.float64) * reference[1], axis=1)
        drift = float(np.abs(scores - before).max())
    return Timing(
        engine=way[0],
        precision=way[1],
        clips_per_s=clips_per_s,
        least_cosine=min(1.0, float(cosines.min())),
        score_drift=drift,
    )


def spread_over(count: int, most: int) -> list[int]:
    """Numbers of at most `most` of `count` items, evenly over all of them.

    >>> spread_over(10, 4), spread_over(2, 4)
    ([0, 2, 5, 7], [0, 1])
    """
    kept = min(count, most)
    return [number * count // kept for number in range(kept)]
