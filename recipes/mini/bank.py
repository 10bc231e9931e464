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

from humanclap.audio import Waveform

SAMPLE_RATE = 32_000
EVALUATION_AUDIO = Path(__file__).with_name("evaluation_audio.csv")
HELD_OUT_SHARE = {"esc": 15, "tta-demos": 5, "ritta": 5}  # percent of the clips
ESC_TEST_FOLD = "4"
ESC_TEST_SHARE = 5  # one in so many clips of the classes that fold 4 does not hold
LEFT_OUT_CLASSES = {
    "rooster": r"roosters?",
    "chainsaw": r"chain ?saws?",
    "sneezing": r"sneez\w*",
    "clock_tick": r"clocks?|tick(s|ed|ing)?",
    "crackling_fire": r"crackl\w*|camp ?fires?|bonfires?|fires?(?! (truck|engine|alarm))",
    "church_bells": r"church bells?",
    "glass_breaking": r"glass",
    "car_horn": r"horns?|honk\w*",
    "cow": r"cows?|cattle|moo(s|ed|ing)?",
    "clock_alarm": r"alarm clocks?|clock alarms?",
    "keyboard_typing": r"keyboards?|typ(es?|ed|ing)|typewriters?",
    "snoring": r"snor\w*",
}
"""ESC classes of which no clip trains anything, and the words that name them: a clip of any source
whose text says one of these is left out too. They judge how untaught classes are heard."""
_LEFT_OUT = re.compile("|".join(rf"\b(?:{words})\b" for words in LEFT_OUT_CLASSES.values()))


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


def names_left_out(text: str) -> bool:
    """Whether a text names one of `LEFT_OUT_CLASSES`.

    >>> names_left_out("A rooster crows"), names_left_out("A crow caws")
    (True, False)
    """
    return _LEFT_OUT.search(normalise(text)) is not None


def judged_captions(shared: Path) -> set[str]:
    """Normalised captions that judge: RELATE validation's, AudioCaps' and FENSE's.

    No text student reads one, and rows with one leave the bank.
    """
    data, columns = shared / "data", ("text", "text_a", "text_b")
    tables = (
        *(data / f"relate-validation/ratings_{question}.csv" for question in ("REL", "IS", "OS")),
        data / "audiocaps/captions.csv",
        data / "fense/pairs.csv",
    )
    rows = (row for table in tables for row in read_rows(table))
    return {normalise(row[column]) for row in rows for column in columns if column in row}


def judged_audio(shared: Path) -> list[Path]:
    """Clips that judge: RELATE validation's and AudioCaps', on which FENSE's choices were made."""
    folders = (shared / "data" / name / "audio" for name in ("relate-validation", "audiocaps"))
    return [path for folder in folders for path in sorted(folder.iterdir())]


def evaluation_copies(source: str) -> set[str]:
    """Clips of a source, by their `audio`, that are recordings of evaluation clips
    (`find_evaluation_audio.py`)."""
    names = (row["audio"].partition("/") for row in read_rows(EVALUATION_AUDIO))
    return {audio for name, _, audio in names if name == source}


def _held_out(source: str, key: str) -> bool:
    return zlib.crc32(f"{source}/{key}".encode()) % 100 < HELD_OUT_SHARE[source]


def read_bank(shared: Path) -> list[Clip]:
    """ESC but its test clips; ritta; tta-demos. Without recordings and captions of evaluation
    clips, other captions of such recordings, and the classes left out.

    Held out by clip (ESC), by prompt (tta-demos) and by recording (ritta).
    """
    copies = evaluation_copies("esc")
    clips = [c for c in read_esc(shared) if not c.test and f"audio/{c.path.name}" not in copies]
    judged = judged_captions(shared)
    for source in ("tta-demos", "ritta"):
        rows = read_rows(shared / "data" / source / "pairs.csv")
        copies = evaluation_copies(source)
        banned = judged | {normalise(row["text"]) for row in rows if row["audio"] in copies}
        for row in rows:
            path = shared / "data" / source / row["audio"]
            text = normalise(row["text"])
            if row["audio"] in copies or text in banned or names_left_out(text):
                continue
            key = text if source == "tta-demos" else path.stem.rpartition("_")[0]
            clips.append(
                Clip(
                    path=path,
                    text=row["text"],
                    source=source,
                    system=row.get("system", ""),
                    held_out=_held_out(source, key),
                )
            )
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
    """Fold 4 of ESC-10, whole recordings up to a fifth of each other class, classes left out.

    A recording that has a test clip is whole among them.
    """
    test = {row["clip"] for row in rows if row["esc10"] == "True" and row["fold"] == ESC_TEST_FOLD}
    test |= {row["clip"] for row in rows if row["category"] in LEFT_OUT_CLASSES}
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
    recordings = {_recording(clip) for clip in test}
    return {row["clip"] for row in rows if _recording(row["clip"]) in recordings}


def draw_odds(clip: Clip) -> float:
    """How often a clip is drawn for a mix: one of ESC half as often again as another."""
    return 1.5 if clip.source == "esc" else 1.0


def more_rows(folder: Path) -> list[dict[str, str]]:
    """Rows of `bank_more.py` that may train: no room responses, no class left out."""
    rows = read_rows(folder / "bank_more.csv")
    return [row for row in rows if row["source"] != "room" and not names_left_out(row["text"])]


def read_more(folder: Path, *, per_text: int) -> list[Clip]:
    """Clips of `bank_more.py` whose text is known, at most `per_text` of one text."""
    counts: Counter[str] = Counter()
    clips = []
    for row in more_rows(folder):
        if not row["text"]:
            continue
        counts[row["text"]] += 1
        if counts[row["text"]] <= per_text:
            clips.append(Clip(path=folder / row["path"], text=row["text"], source="more"))
    return clips


def source_of(path: Path) -> Path | Waveform:
    """A clip as the package takes it: arrays of `bank_more.py` are no sound files."""
    if path.suffix != ".npy":
        return path
    return Waveform(samples=load_waveform(path).astype(np.float32), sample_rate=SAMPLE_RATE)


def load_waveform(path: Path) -> np.ndarray:
    """Mono at 32 kHz, shape (samples,): float32, or as stored for an array of `bank_more.py`."""
    if path.suffix == ".npy":
        return np.load(path)
    samples, rate = sf.read(path, dtype="float32", always_2d=True)
    mono = samples.mean(axis=1)
    return mono if rate == SAMPLE_RATE else soxr.resample(mono, rate, SAMPLE_RATE)
