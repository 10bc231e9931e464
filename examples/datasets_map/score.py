"""Scores and predicted ratings as columns of a dataset, by `datasets.map`.

    python examples/datasets_map/score.py

The clips are made here; with your own, begin at `load_dataset`. The audio column is not decoded by
`datasets` (`Audio(decode=False)`, so no torchcodec is needed): `HumanCLAP` reads the files, or the
bytes that the dataset holds.
"""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import soundfile
from datasets import Audio, Dataset

from humanclap import HumanCLAP

RATE = 16_000


def write_clips(folder: Path) -> list[str]:
    """Four clips; the last file is cut off."""
    time = np.arange(2 * RATE) / RATE
    noise = np.random.default_rng(0).standard_normal(2 * RATE)
    made = {
        "tone.wav": 0.3 * np.sin(2 * np.pi * 440 * time),
        "hiss.wav": 0.1 * noise,
        "rumble.wav": 2.0 * np.convolve(noise, np.ones(200) / 200, "same"),
        "broken.wav": 0.1 * noise,
    }
    for name, samples in made.items():
        soundfile.write(folder / name, samples.clip(-1, 1), RATE)
    (folder / "broken.wav").write_bytes((folder / "broken.wav").read_bytes()[:30])
    return [str(folder / name) for name in made]


def score(batch: dict[str, list[Any]], model: HumanCLAP) -> dict[str, list[Any]]:
    """Columns for a batch of rows; a row without a score has its reason."""
    table = model.predict(batch["audio"], batch["text"])
    return {
        "score": table.scores.tolist(),
        "rating": table.ratings.tolist(),
        "problem": list(table.problems),
    }


def main() -> None:
    """Make a dataset, score it and print it."""
    datasets.disable_progress_bars()
    model = HumanCLAP.from_pretrained("mini", device="cpu")
    with tempfile.TemporaryDirectory() as folder:
        texts = ["a steady tone", "a dog barks", "a low rumble", "white noise"]
        rows = Dataset.from_dict({"audio": write_clips(Path(folder)), "text": texts})
        rows = rows.cast_column("audio", Audio(decode=False))
        scored = rows.map(partial(score, model=model), batched=True, batch_size=16)
        print(model.signature)
        for row in scored:
            name = Path(row["audio"]["path"]).name
            found = f"{row['score']:5.2f}  {row['rating']:4.1f}"
            print(f"{name:<10}  {row['text']:<13}  {found}  {row['problem'] or ''}".rstrip())


if __name__ == "__main__":
    main()
