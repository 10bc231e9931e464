"""Retrieval among AudioCaps test clips: a caption's clip, and a clip's captions.

    python benchmarks/audiocaps_retrieval.py --shared SHARED --mn04 MN04

SHARED/data/audiocaps/captions.csv: five human captions of each clip. Text to audio: the place of a
caption's own clip among all clips; audio to text: whether one of a clip's own captions is among the
first of all captions. Ties stand in random order: R@k counts the chance that the right one is then
among the first k, and the rank is the mean over the orders (1 + better ones + half of the tied
others). Intervals: 95 %, bootstrap clustered by clip; the clips to choose from stay all of them.
Captions that two clips share have one right clip each time. Writes
benchmarks/results/audiocaps_retrieval.json.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from judging_models import (
    Floats,
    arguments_of,
    chance_within,
    load_models,
    means,
    paired,
    place_among,
    spans,
    write,
)
from numpy.typing import ArrayLike

from humanclap.metrics.bootstrap import Statistics, paired_difference
from humanclap.scoring.scorer import HumanCLAP
from humanclap.tables import read_table

TEXT_TO_AUDIO, AUDIO_TO_TEXT = (1, 5, 10), (1, 10)


def mean_rank(better: int, tied: int) -> float:
    """Mean place of an item over all orders of those tied with it.

    >>> mean_rank(2, 0), mean_rank(0, 3)
    (3.0, 2.5)
    """
    return 1 + better + tied / 2


def median(column: ArrayLike) -> Statistics:
    """Median rank where item i stands weights[r, i] times (whole numbers); column: shape (n,).

    >>> median([5.0, 1.0, 3.0])(np.array([[1, 1, 1], [1, 1, 0], [0, 3, 1]]))["median_rank"]
    array([3., 3., 1.])
    """
    values = np.asarray(column, dtype=np.float64)
    order = np.argsort(values, kind="stable")
    ascending = values[order]

    def statistics(weights: Floats) -> dict[str, Floats]:
        upto = np.cumsum(np.asarray(weights, np.float64)[:, order], axis=1)
        half = upto[:, -1:] / 2
        low, high = (upto >= half).argmax(axis=1), (upto > half).argmax(axis=1)
        return {"median_rank": (ascending[low] + ascending[high]) / 2}

    return statistics


def together(*parts: Statistics) -> Statistics:
    """Several statistics of the same items as one."""
    return lambda weights: dict(chain.from_iterable(part(weights).items() for part in parts))


def text_to_audio(cosines: Floats, own: Sequence[int]) -> Statistics:
    """R@k and median rank of each caption's own clip; cosines: (captions, clips), own: (captions,).

    >>> found = text_to_audio(np.array([[0.9, 0.1], [0.5, 0.5]]), [0, 1])(np.ones((1, 2)))
    >>> float(found["R@1"][0]), float(found["median_rank"][0])
    (0.75, 1.25)
    """
    clips = np.arange(cosines.shape[1])
    places = [place_among(row, clips == right) for row, right in zip(cosines, own, strict=True)]
    recalls = {f"R@{k}": [chance_within(k, *place) for place in places] for k in TEXT_TO_AUDIO}
    ranks = [mean_rank(better, tied) for better, tied, _ in places]
    return together(means(recalls), median(ranks))


def audio_to_text(cosines: Floats, own: Sequence[int]) -> Statistics:
    """R@k of each clip: one of its own captions is among the first k; arguments as above."""
    places = [place_among(column, np.array(own) == clip) for clip, column in enumerate(cosines.T)]
    return means({f"R@{k}": [chance_within(k, *place) for place in places] for k in AUDIO_TO_TEXT})


def chance(captions: int, clips: int) -> dict[str, dict[str, float]]:
    """What a model with one score for everything would get, five captions a clip or so."""
    own = captions // clips
    return {
        "text_to_audio": {
            **{f"R@{k}": round(k / clips, 4) for k in TEXT_TO_AUDIO},
            "median_rank": mean_rank(0, clips - 1),
        },
        "audio_to_text": {
            f"R@{k}": round(chance_within(k, 0, captions - own, own), 4) for k in AUDIO_TO_TEXT
        },
    }


def cosines_of(
    model: HumanCLAP, texts: Sequence[str], clips: Sequence[str], folder: Path
) -> Floats:
    """(texts, clips); the same text has the same row to the last bit."""
    distinct = sorted(set(texts))
    audio = model.embed_audio([folder / clip for clip in clips]).astype(np.float64)
    rows = model.embed_text(distinct).astype(np.float64) @ audio.T
    found: Floats = rows[[distinct.index(text) for text in texts]]
    return found


def main() -> None:
    """Embed, rank, print and write."""
    arguments = arguments_of(__doc__, "audiocaps_retrieval").parse_args()
    folder = arguments.shared / "data" / "audiocaps"
    rows = read_table(folder / "captions.csv").rows
    texts = [row.text("text") for row in rows]
    clips = sorted({row.text("audio") for row in rows})
    own = [clips.index(row.text("audio")) for row in rows]
    models = load_models(arguments.models, arguments.mn04)
    by_text, by_clip = {}, {}
    for name, model in models.items():
        cosines = cosines_of(model, texts, clips, folder)
        by_text[name], by_clip[name] = text_to_audio(cosines, own), audio_to_text(cosines, own)
    found: dict[str, Any] = {
        "data": "AudioCaps test, the clips at hand",
        "captions": len(texts),
        "clips": len(clips),
        "cluster": "clip",
        "chance": chance(len(texts), len(clips)),
    }
    every = list(range(len(clips)))
    for task, statistics, clusters in (
        ("text_to_audio", by_text, own),
        ("audio_to_text", by_clip, every),
    ):
        found[task] = {
            "n": len(clusters),
            "rows": {name: spans(one, clusters) for name, one in statistics.items()},
            "differences": [
                {
                    "name": name,
                    "baseline": baseline,
                    **spans(paired_difference(statistics[baseline], statistics[name]), clusters),
                }
                for name, baseline in paired(list(models))
            ],
        }
        for name, row in found[task]["rows"].items():
            print(task, name, row)
    write(arguments, __file__, models, found)


if __name__ == "__main__":
    main()
