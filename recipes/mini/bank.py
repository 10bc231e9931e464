"""The clips the students are trained on, and the rule that keeps evaluation clips out."""

from __future__ import annotations

import csv
import re
import zlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile as sf
import soxr

SAMPLE_RATE = 32_000
RELATE_AUDIO = Path(__file__).with_name("relate_audio.csv")
HELD_OUT_SHARE = {"esc": 15, "tta-demos": 5, "ritta": 5}  # percent of the clips
ESC_TEST_FOLD = "4"
ESC_TEST_SHARE = 5  # one in so many clips of the classes that fold 4 does not hold


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """One clip. `held_out`: for choosing among students; `test`: for judging; none trains one."""

    path: Path
    text: str
    source: str
    system: str = ""
    fold: str = ""
    esc10: bool = False
    held_out: bool = False
    test: bool = False


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
    """ESC but its test clips; tta-demos without RELATE validation's captions and clips; ritta.

    Held out by clip (ESC), by prompt (tta-demos) and by recording (ritta).
    """
    clips = [clip for clip in read_esc(shared) if not clip.test]
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
    """All ESC clips in `shared`, test clips included."""
    rows = read_rows(shared / "data/esc/clips.csv")
    test = _esc_test_clips(rows)
    return [
        Clip(
            path=shared / "data/esc" / row["audio"],
            text=row["text"],
            source="esc",
            fold=row["fold"],
            esc10=row["esc10"] == "True",
            held_out=row["clip"] not in test and _held_out("esc", _recording(row["clip"])),
            test=row["clip"] in test,
        )
        for row in rows
    ]


def _recording(clip: str) -> str:
    """ESC cuts several clips from one recording: `4-154405-A` and `4-154405-B` are of 154405."""
    return clip.split("-")[1]


def _esc_test_clips(rows: list[dict[str, str]]) -> set[str]:
    """Fold 4 of ESC-10, and whole recordings up to a fifth of each other class."""
    test = {row["clip"] for row in rows if row["esc10"] == "True" and row["fold"] == ESC_TEST_FOLD}
    others = [row for row in rows if row["esc10"] != "True"]
    for name in sorted({row["text"] for row in others}):
        clips = [row["clip"] for row in others if row["text"] == name]
        recordings = sorted(set(map(_recording, clips)), key=lambda key: zlib.crc32(key.encode()))
        chosen: list[str] = []
        for recording in recordings:
            if len(chosen) >= round(len(clips) / ESC_TEST_SHARE):
                break
            chosen += [clip for clip in clips if _recording(clip) == recording]
        test |= set(chosen)
    return test


def read_more(folder: Path, *, per_text: int) -> list[Clip]:
    """Clips of `bank_more.py` whose text is known, at most `per_text` of one text."""
    counts: Counter[str] = Counter()
    clips = []
    for row in read_rows(folder / "bank_more.csv"):
        if row["source"] == "room" or not row["text"]:
            continue
        counts[row["text"]] += 1
        if counts[row["text"]] <= per_text:
            clips.append(Clip(path=folder / row["path"], text=row["text"], source="more"))
    return clips


def load_waveform(path: Path) -> np.ndarray:
    """Mono at 32 kHz, shape (samples,): float32, or as stored for an array of `bank_more.py`."""
    if path.suffix == ".npy":
        return np.load(path)
    samples, rate = sf.read(path, dtype="float32", always_2d=True)
    mono = samples.mean(axis=1)
    return mono if rate == SAMPLE_RATE else soxr.resample(mono, rate, SAMPLE_RATE)
