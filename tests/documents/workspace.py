"""A folder with the files that the documents' commands name. All of it is made up from a seed."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import soundfile

from humanclap.choices import write_choices
from humanclap.ratings.aggregate import aggregate
from humanclap.ratings.plain import write_plain
from humanclap.records import Choice, Rating, Score, Target
from humanclap.scale import RatingScale
from humanclap.tables import write_records, write_rows

SYSTEMS = {"north": 3.0, "east": 5.0, "south": 7.0}
TEXTS = [
    f"{what} {where}".strip()
    for what in (
        "a dog barks",
        "rain falls",
        "a bell rings",
        "a door shuts",
        "wind blows",
        "a phone rings",
        "glass breaks",
    )
    for where in ("", "far away", "indoors")
]
SIGNATURE = ("humanclap:0.1.0|model:{}|rate:32000|window:10s|hop:10s|fill:wrap|pool:mean|"
             "precision:fp32")  # fmt: skip
MINI, OTHER = SIGNATURE.format("mini@d2b10d51"), SIGNATURE.format("clap@3f9a1c2d")


def make_workspace(folder: Path) -> None:
    """Write every table and clip; clips stand in all the folders that pages keep them in."""
    rng = np.random.default_rng(0)
    ratings = [rating for number in range(len(TEXTS)) for rating in _rated(number, rng)]
    targets = aggregate(ratings, scale=RatingScale())
    for clip in sorted({target.audio for target in targets} | {"dog.wav"}):
        samples = 0.2 * rng.standard_normal(4_800)
        for place in ("", "clips", "samples", "wav"):
            (folder / place).mkdir(exist_ok=True)
            soundfile.write(folder / place / clip, samples, 16_000)
    _write_ratings(folder, ratings, targets)
    _write_scores(folder, targets, rng)
    _write_choices(folder, targets, rng)


def _rated(number: int, rng: np.random.Generator) -> list[Rating]:
    """Four ratings of each system's clip for a text, and the listeners' anchors."""
    split = ("train", "test")[number % 2]
    rows = []
    for system, level in SYSTEMS.items():
        heard = rng.normal(level, 1.5)
        for listener in rng.permutation(12)[:4]:
            score = float(np.clip(np.round(rng.normal(heard, 1)), 0, 10))
            rows.append(
                Rating(audio=f"{system}-{number:02}.wav", text=TEXTS[number], score=score,
                       listener_id=f"l{listener}", system=system, split=split)
            )  # fmt: skip
    if number < 3:
        rows += [
            Rating(audio=f"north-{number:02}.wav", text="a choir sings", score=0.0, kind="anchor",
                   listener_id=f"l{listener}", system="north", split=split)
            for listener in range(12)
        ]  # fmt: skip
    return rows


def _write_ratings(folder: Path, ratings: list[Rating], targets: list[Target]) -> None:
    for name in ("REL.csv", "ratings.csv"):
        write_plain(folder / name, ratings)
    rated = [rating for rating in ratings if rating.kind == "rating"]
    write_plain(folder / "kept.csv", [rating for rating in rated if rating.split == "test"])
    write_records(folder / "targets.csv", targets, record_type=Target)
    for split in ("train", "test"):
        those = [target for target in targets if target.split == split]
        write_records(folder / f"{split}.csv", those, record_type=Target)
    pairs = [{"audio": t.audio, "text": t.text, "system": t.system} for t in targets]
    for name in ("pairs.csv", "samples/pairs.csv"):
        write_rows(folder / name, ["audio", "text", "system"], pairs)
    names = [{"name": Path(t.audio).stem, "text": t.text} for t in targets]
    write_rows(folder / "texts.csv", ["name", "text"], [*names, {"name": "dog", "text": "rain"}])
    columns = ("wav_file_name", "text", "average_score", "pred_score")
    rows = [dict(zip(columns, (t.audio, t.text, t.mos, t.mos / 2), strict=True)) for t in targets]
    for name, kept in (("averages.csv", columns[:3]), ("submission.csv", columns[::3])):
        write_rows(folder / name, kept, [{column: row[column] for column in kept} for row in rows])


def _write_scores(folder: Path, targets: list[Target], rng: np.random.Generator) -> None:
    def scored(noise: float, signature: str) -> list[Score]:
        return [
            Score(audio=t.audio, text=t.text, system=t.system, signature=signature,
                  score=float(s := np.clip(t.mos / 10 + rng.normal(0, noise), -1, 1)),
                  rating=float(np.clip(10 * s, 0, 10)), rating_error=2.0)
            for t in targets
        ]  # fmt: skip

    for name, noise in (("scores", 0.1), ("ours", 0.1), ("old", 0.1), ("baseline", 0.1),
                        ("reward", 0.05)):  # fmt: skip
        write_records(folder / f"{name}.csv", scored(noise, MINI), record_type=Score)
    write_records(folder / "clapscore.csv", scored(0.3, OTHER), record_type=Score)
    for name, system in (("tango", "north"), ("audioldm", "south")):
        own = [score for score in scored(0.1, MINI) if score.system == system]
        write_records(folder / f"{name}.csv", own, record_type=Score)


def _write_choices(folder: Path, targets: list[Target], rng: np.random.Generator) -> None:
    choices, questions = [], []
    for text in TEXTS:
        clips = [target for target in targets if target.text == text]
        for a, b in combinations(clips, 2):
            asked = Choice(audio_a=a.audio, audio_b=b.audio, text_a=text, text_b=text,
                           system_a=a.system, system_b=b.system, split=a.split, choice="first",
                           listener_id="l0")  # fmt: skip
            questions.append({"text": text, "audio_a": a.audio, "audio_b": b.audio,
                              "system_a": a.system, "system_b": b.system})  # fmt: skip
            for listener in range(4):
                first = rng.random() < 1 / (1 + np.exp(b.mos - a.mos))
                choices.append(
                    replace(asked, listener_id=f"l{listener}", duration_s=4.0,
                            choice="first" if first else "second",
                            shown_first="a" if rng.random() < 0.5 else "b")
                )  # fmt: skip
    (folder / "choices").mkdir()
    for name in ("choices.csv", "votes.csv", "choices/choices.csv"):
        write_choices(folder / name, choices)
    write_rows(folder / "comparisons.csv", list(questions[0]), questions)
