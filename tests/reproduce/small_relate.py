"""A data set of RELATE's form with simulated ratings, and clips under its names; any size."""

from __future__ import annotations

import csv
import io
import wave
import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

RATE = 16_000
COLUMNS = [
    *("wavname", "text", "score", "listener_id", "audio type", "anchor label"),
    *("in RELATE dataset", "in AudioCaps"),
]
SYSTEMS = ("audiocaps", "audioldm", "audioldm2", "tango", "tango2")
_TYPES = {"audiocaps": "natural", "audioldm2": "audioldm", "tango2": "tango"}
WORDS = ("dog", "rain", "cat", "bird", "engine", "bell")


def names(train: int, validation: int, test: int) -> list[tuple[str, str]]:
    """(wavname, split) of each clip, the systems in turn."""
    splits = ["train"] * train + ["validation"] * validation + ["test"] * test
    found = []
    for number, split in enumerate(splits):
        folder = "train" if split == "train" else "test"
        found.append((f"/{SYSTEMS[number % len(SYSTEMS)]}/{folder}/{number}.wav", split))
    return found


def write_scores(path: Path, clips: list[tuple[str, str]], *, seed: int = 0) -> None:
    """Two simulated ratings a clip, and an anchor."""
    rng = np.random.default_rng(seed)
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for number, (name, split) in enumerate(clips):
            system = name.split("/")[1]
            kind, corpus = _TYPES.get(system, system), "train" if split == "train" else "test"
            quality = rng.uniform(0, 10)
            text = f"a {WORDS[number % len(WORDS)]} number {number}"
            for listener in range(2):
                score = int(np.clip(round(quality + rng.normal()), 0, 10))
                who = f"{split}-{(number + listener) % 7}"
                writer.writerow([name, text, score, who, kind, False, split, corpus])
        first = clips[0][0]
        writer.writerow([first, "a whistle", 0, "train-0", "natural", True, "excluded", ""])


def wav(samples: NDArray[np.float64]) -> bytes:
    """Mono, 16 bits, 16 kHz."""
    held = io.BytesIO()
    with wave.open(held, "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes((32_767 * samples).astype("<i2").tobytes())
    return held.getvalue()


def tone(number: int, seconds: float) -> NDArray[np.float64]:
    """A tone of its own for each number, and noise."""
    rng = np.random.default_rng(number)
    time = np.arange(round(seconds * RATE)) / RATE
    sound = 0.4 * np.sin(2 * np.pi * (150 + 37 * (number % 97)) * time)
    return sound + 0.05 * rng.standard_normal(len(time))


def write_archive(path: Path, clips: list[tuple[str, str]], *, seconds: float) -> None:
    """RELATE_wave.zip with a clip for each name."""
    with zipfile.ZipFile(path, "w") as packed:
        for number, (name, _) in enumerate(clips):
            packed.writestr(f"RELATE_wave{name}", wav(tone(number, seconds)))
