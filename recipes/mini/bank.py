"""The clips the students are trained on, and the rule that keeps evaluation clips out."""

from __future__ import annotations

import csv
import re
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile as sf
import soxr

SAMPLE_RATE = 32_000
RELATE_AUDIO = Path(__file__).with_name("relate_audio.csv")
HELD_OUT_SHARE = {"esc": 15, "tta-demos": 5, "ritta": 5}  # percent of the clips
ESC_TEST_FOLD = "4"


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """One clip of the bank. `held_out`: for choosing among students, never trained on."""

    path: Path
    text: str
    source: str
    system: str = ""
    fold: str = ""
    esc10: bool = False
    held_out: bool = False


def normalise(text: str) -> str:
    """Lower case, letters and digits only: two captions that differ in commas are one."""
    return " ".join(re.findall(r"[a-z0-9]+", text.lower()))


def read_rows(path: Path) -> list[dict[str, str]]:
    """Rows of a CSV with a header."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def relate_captions(shared: Path) -> set[str]:
    """Normalised captions of RELATE validation: rows with one of them leave the bank."""
    rows = read_rows(shared / "data/relate-validation/ratings_REL.csv")
    return {normalise(row["text"]) for row in rows}


def relate_audio() -> set[str]:
    """Clips of tta-demos that are RELATE validation's recordings (`find_relate_audio.py`)."""
    return {row["audio"] for row in read_rows(RELATE_AUDIO)}


def _left_out(shared: Path, rows: list[dict[str, str]]) -> set[str]:
    """Captions whose rows leave the bank: RELATE's, and any other caption of its recordings."""
    copies = relate_audio()
    others = {normalise(row["text"]) for row in rows if row["audio"] in copies}
    return relate_captions(shared) | others


def _held_out(source: str, key: str) -> bool:
    return zlib.crc32(f"{source}/{key}".encode()) % 100 < HELD_OUT_SHARE[source]


def read_bank(shared: Path) -> list[Clip]:
    """ESC folds 1, 2, 3, 5; tta-demos without RELATE validation's captions and clips; ritta.

    Held out by clip (ESC), by prompt (tta-demos) and by recording (ritta).
    """
    clips = [clip for clip in read_esc(shared) if clip.fold != ESC_TEST_FOLD]
    rows = read_rows(shared / "data/tta-demos/pairs.csv")
    banned = _left_out(shared, rows)
    for row in rows:
        key = normalise(row["text"])
        if key in banned:
            continue
        path = shared / "data/tta-demos" / row["audio"]
        held_out = _held_out("tta-demos", key)
        clips.append(
            Clip(
                path=path,
                text=row["text"],
                source="tta-demos",
                system=row["system"],
                held_out=held_out,
            )
        )
    for row in read_rows(shared / "data/ritta/pairs.csv"):
        path = shared / "data/ritta" / row["audio"]
        held_out = _held_out("ritta", path.stem.rpartition("_")[0])
        clips.append(Clip(path=path, text=row["text"], source="ritta", held_out=held_out))
    return clips


def read_esc(shared: Path) -> list[Clip]:
    """All ESC clips in `shared`, fold 4 included."""
    return [
        Clip(
            path=shared / "data/esc" / row["audio"],
            text=row["text"],
            source="esc",
            fold=row["fold"],
            esc10=row["esc10"] == "True",
            held_out=_held_out("esc", row["clip"]),
        )
        for row in read_rows(shared / "data/esc/clips.csv")
    ]


def load_waveform(path: Path) -> np.ndarray:
    """Mono float32 at 32 kHz, shape (samples,)."""
    samples, rate = sf.read(path, dtype="float32", always_2d=True)
    mono = samples.mean(axis=1)
    return mono if rate == SAMPLE_RATE else soxr.resample(mono, rate, SAMPLE_RATE)
