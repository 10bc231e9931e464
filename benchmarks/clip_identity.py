"""Does a clip's fingerprint survive re-encoding, and does it keep other clips apart?

    python benchmarks/clip_identity.py --shared SHARED [--copies FOLDER]

Every clip of SHARED's data (ESC, RiTTA, text-to-audio demos, AudioCaps, RELATE validation) is made
known; then a sample of them comes again as MP3, Vorbis, Opus, at 16 kHz, trimmed to half its
length, and trimmed and MP3 (ffmpeg writes and, for Opus, reads the copies; --copies keeps them).
Clips are halved by their order: the bounds were chosen on the first half, and are judged on the
second. A clip met under another name is a false alarm only where no half second of the two
recordings correlates above 0.5; the data do hold recordings under several names. Then the cost of
it all, on one core.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len, rfft
from scipy.signal import butter, sosfilt

from humanclap.audio import Waveform, load_audio
from humanclap.audio import clip_codes as bounds
from humanclap.audio.clip_codes import ClipIndex, Codes, KeptClip, clip_codes, keep
from humanclap.clap.checkpoint import Checkpoint, load_checkpoint
from humanclap.clap.known_pairs import IDENTITIES_FILE, Identities
from humanclap.records import Pair
from humanclap.scoring.scorer import HumanCLAP
from humanclap.scoring.settings import ScoringSettings

RESULTS = Path(__file__).parent / "results" / "clip_identity.json"
SETS = {
    "relate-validation": 60,
    "audiocaps": 60,
    "esc": 160,
    "ritta": 100,
    "tta-demos": 150,
}
"""Folder -> clips of it that are copied."""
COPIES = {
    "mp3": ["-c:a", "libmp3lame", "-b:a", "64k", "-ar", "22050"],
    "ogg": ["-c:a", "libvorbis", "-q:a", "2"],
    "opus": ["-c:a", "libopus", "-b:a", "48k"],
    "wav": ["-ar", "16000"],
}
TITLES = {
    "mp3": "MP3 64 kbit/s, 22.05 kHz",
    "ogg": "Vorbis quality 2",
    "opus": "Opus 48 kbit/s",
    "wav": "16 kHz WAV",
    "half": "trimmed to half",
    "half mp3": "trimmed to half, MP3",
}
RATE = 8_000
SAME_RECORDING = 0.5
GRID = [(0.2, 9.0), (0.24, 9.0), (0.28, 7.0), (0.28, 9.0), (0.28, 11.0), (0.32, 9.0)]


def clips_of(shared: Path) -> dict[str, list[Path]]:
    """All clips by set, sorted."""
    found = {}
    for name in SETS:
        paths = (shared / "data" / name / "audio").rglob("*")
        found[name] = sorted(path for path in paths if path.suffix in {".ogg", ".wav"})
    return found


def sampled(clips: dict[str, list[Path]]) -> list[tuple[str, Path]]:
    """The clips that are copied, in random order."""
    rng = random.Random(0)
    jobs = [
        (name, path)
        for name, paths in clips.items()
        for path in rng.sample(paths, min(SETS[name], len(paths)))
    ]
    rng.shuffle(jobs)
    return jobs


def ffmpeg(*arguments: str) -> bytes:
    """Run ffmpeg quietly; gives its stdout."""
    command = ["ffmpeg", "-v", "error", "-y", "-threads", "1", *arguments]
    return subprocess.run(command, check=True, stdin=subprocess.DEVNULL, capture_output=True).stdout


def copied_codes(path: Path, stem: Path) -> dict[str, Codes]:
    """Codes of each copy of a clip; copies and codes are made where they are not there yet."""
    kept = stem.with_suffix(".npz")
    if not kept.exists():
        np.savez(kept, **dict(copies(path, stem)))
    with np.load(kept) as file:
        return dict(file)


def copies(path: Path, stem: Path) -> Iterator[tuple[str, Codes]]:
    """Codes of each copy of a clip; files are made where they are not there yet."""
    if not stem.with_suffix(".wav").exists():
        ends = [part for kind, how in COPIES.items() for part in (*how, f"{stem}.{kind}")]
        ffmpeg("-i", str(path), *ends)
    for kind in ("mp3", "ogg", "wav"):
        yield kind, clip_codes(stem.with_suffix(f".{kind}"))
    raw = ffmpeg("-i", f"{stem}.opus", "-ac", "1", "-ar", "48000", "-f", "f32le", "-")
    yield "opus", codes_of(np.frombuffer(raw, np.float32), 48_000)
    for kind, source, share in (("half", path, 0.27), ("half mp3", stem.with_suffix(".mp3"), 0.31)):
        samples = load_audio(source, sample_rate=32_000)
        start = int(share * len(samples)) + 173
        yield kind, codes_of(samples[start : start + len(samples) // 2], 32_000)


def codes_of(samples: NDArray[np.float32], rate: int) -> Codes:
    """Codes of an array."""
    return clip_codes(Waveform(samples=samples, sample_rate=rate))


@lru_cache(maxsize=256)
def high_passed(path: Path) -> NDArray[np.float64]:
    """A clip at `RATE`, without what lies below 300 Hz."""
    filters = butter(2, 300, "hp", fs=RATE, output="sos")
    found: NDArray[np.float64] = sosfilt(filters, load_audio(path, sample_rate=RATE))
    return found


def correlation(one: Path, other: Path) -> float:
    """Largest normalised correlation of half a second of one clip anywhere in the other."""
    a, b = sorted((high_passed(one), high_passed(other)), key=len)
    length = RATE // 2
    if len(a) < length:
        return 0.0
    size = next_fast_len(len(b) + length, real=True)
    spectrum = rfft(b, size)
    ones = irfft(rfft(b**2, size) * rfft(np.ones(length), size), size)[length - 1 : len(b)]
    energy = np.sqrt(np.maximum(ones, 1e-8))
    best = 0.0
    for start in range(0, len(a) - length + 1, length):
        part = a[start : start + length]
        norm = float(np.sqrt((part**2).sum()))
        if norm > 1e-3:
            found = irfft(spectrum * rfft(part[::-1], size), size)[length - 1 : len(b)]
            best = max(best, float(np.abs(found / (energy * norm)).max()))
    return best


class Found:
    """Who is found among the known clips, and which of the others are of the same recording."""

    def __init__(self, paths: Sequence[Path], kept: Sequence[KeptClip]) -> None:
        self.paths, self.index = paths, ClipIndex(kept)
        self._same: dict[tuple[int, int], float] = {}

    def others(self, own: int, codes: Codes) -> tuple[bool, list[int]]:
        """Whether the clip itself is found, and the others."""
        found = [int(number) for number in self.index.find(codes)]
        return own in found, [number for number in found if number != own]

    def false(self, own: int, others: Sequence[int]) -> list[int]:
        """Those of the others that are not of the same recording."""
        return [o for o in others if self._correlation(own, o) < SAME_RECORDING]

    def _correlation(self, own: int, other: int) -> float:
        key = min(own, other), max(own, other)
        if key not in self._same:
            one, two = self.paths[own], self.paths[other]
            self._same[key] = correlation(one, two)
        return self._same[key]

    @property
    def pairs(self) -> dict[tuple[int, int], float]:
        """Pairs looked at, with their correlation."""
        return self._same


def all_against_all(found: Found, codes: Sequence[Codes], half: int) -> dict[str, Any]:
    """Every clip of one half asked for among all."""
    missed, false, asked, pairs = 0, [], 0, set()
    for own in range(half, len(codes), 2):
        asked += 1
        itself, others = found.others(own, codes[own])
        missed += not itself
        pairs |= {(min(own, other), max(own, other)) for other in others}
        wrong = found.false(own, others)
        false += [[str(found.paths[own].name), str(found.paths[o].name)] for o in wrong]
    return {"asked": asked, "missed": missed, "met_under_another_name": len(pairs), "false": false}


def judge_copies(
    found: Found, places: dict[Path, int], heard: dict[Path, dict[str, Codes]], half: int
) -> dict[str, Any]:
    """Misses and false alarms of the copies of one half, by kind."""
    rows: dict[str, Any] = {}
    for kind in TITLES:
        asked, missed, few, false = 0, 0, 0, 0
        for path, codes in heard.items():
            own = places.get(path)
            if own is None or own % 2 != half:
                continue
            if np.count_nonzero(codes[kind]) // MIN_FRAMES_A_CODE < bounds.MIN_CODES:
                few += 1
                continue
            asked += 1
            itself, others = found.others(own, codes[kind])
            missed += not itself
            false += len(found.false(own, others))
        rows[kind] = {"asked": asked, "missed": missed, "too_short": few, "false": false}
    return rows


MIN_FRAMES_A_CODE = bounds.MIN_STRIDE


def choose(
    found: Found, places: dict[Path, int], heard: dict[Path, dict[str, Codes]], codes: list[Codes]
) -> list[dict[str, Any]]:
    """Misses and false alarms of the first half under each pair of bounds."""
    shipped = bounds.MAX_ERROR_RATE, bounds.MIN_DEVIATION
    rows = []
    for bounds.MAX_ERROR_RATE, bounds.MIN_DEVIATION in GRID:
        by_kind = judge_copies(found, places, heard, 0).values()
        rows.append(
            {
                "max_error_rate": bounds.MAX_ERROR_RATE,
                "min_deviation": bounds.MIN_DEVIATION,
                "missed": sum(row["missed"] for row in by_kind),
                "asked": sum(row["asked"] for row in by_kind),
                "false": sum(row["false"] for row in by_kind)
                + len(all_against_all(found, codes, 0)["false"]),
            }
        )
    bounds.MAX_ERROR_RATE, bounds.MIN_DEVIATION = shipped
    return rows


def cost(paths: Sequence[Path], known: Identities) -> dict[str, Any]:
    """Milliseconds a 10 s clip on one core, and the share of scoring with `mini`."""
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    samples = rng.standard_normal(320_000).astype(np.float32) * 0.1
    blocks = np.array_split(samples, 5)

    def coded() -> Codes:
        hearing = bounds.Hearing(32_000)
        for block in blocks:
            hearing.add(block)
        return hearing.codes()

    codes = coded()
    known.met(["a"], codes)
    checkpoint = load_checkpoint("mini")
    bare = Checkpoint(checkpoint.backbone, checkpoint.calibration)
    full = Checkpoint(checkpoint.backbone, checkpoint.calibration, {}, known)
    pairs = [Pair(audio=str(path), text="a dog barks") for path in paths]
    scorers = [HumanCLAP(item, ScoringSettings(device="cpu", cache=False)) for item in (bare, full)]
    times: list[list[float]] = [[], []]
    scores: list[list[float]] = [[], []]
    for _ in range(5):
        for which, scorer in enumerate(scorers):
            begun = time.process_time()
            scores[which] = [score.score for score in scorer.score_pairs(pairs)]
            times[which].append((time.process_time() - begun) / len(pairs) * 1000)
    without, with_identities = (min(values) for values in times)
    return {
        "coding_ms": round(fastest(coded), 3),
        "finding_ms": round(fastest(lambda: known.met(["a"], codes)), 3),
        "known_clips": len(known.clips),
        "score_ms": round(without, 2),
        "score_with_identities_ms": round(with_identities, 2),
        "scored_clips": len(pairs),
        "scores_differ": scores[0] != scores[1],
    }


def fastest(work: Any) -> float:
    """Milliseconds of the fastest of 30 calls."""
    times = []
    for _ in range(30):
        begun = time.perf_counter()
        work()
        times.append(time.perf_counter() - begun)
    return 1000 * min(times)


def size(known: Identities) -> dict[str, int]:
    """Bytes of the file, as it is and in an archive."""
    with tempfile.TemporaryDirectory() as folder:
        known.save(folder)
        content = (Path(folder) / IDENTITIES_FILE).read_bytes()
    return {
        "clips": len(known.clips),
        "captions": len(known.captions),
        "bytes": len(content),
        "compressed": len(zlib.compress(content)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shared", type=Path, required=True)
    parser.add_argument("--copies", type=Path, help="Keep the copies here.")
    arguments = parser.parse_args()
    clips = clips_of(arguments.shared)
    jobs = sampled(clips)
    copied = {path for _, path in jobs}
    order = [path for _, path in jobs]
    order += [path for paths in clips.values() for path in paths if path not in copied]
    all_codes = {path: clip_codes(path) for path in order}
    kept = {path: clip for path in order if (clip := keep(all_codes[path])) is not None}
    paths = list(kept)
    places = {path: place for place, path in enumerate(paths)}
    codes = [all_codes[path] for path in paths]
    found = Found(paths, list(kept.values()))
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.copies or Path(scratch)
        folder.mkdir(exist_ok=True, parents=True)
        heard = {
            path: copied_codes(path, folder / f"{number:04d}")
            for number, (_, path) in enumerate(jobs)
        }
    roles = dict.fromkeys(range(20000), 1)
    known = Identities(roles, [(clip, 1) for clip in kept.values()])
    tens = [path for name in ("audiocaps", "relate-validation") for path in clips[name]][:64]
    print(f"{len(paths)} clips known, {len(heard)} copied", flush=True)
    result = {
        "clips": {name: len(found_in) for name, found_in in clips.items()},
        "unknowable": dict(Counter(set_of(path) for path in order if path not in kept)),
        "copied": len(jobs),
        "titles": TITLES,
        "chosen_on": choose(found, places, heard, codes),
        "copies": {
            "first": judge_copies(found, places, heard, 0),
            "second": judge_copies(found, places, heard, 1),
        },
        "all_against_all": {
            "first": all_against_all(found, codes, 0),
            "second": all_against_all(found, codes, 1),
        },
        "same_recording": same_recordings(found),
        "size": size(Identities({}, known.clips)),
        "cost": cost(tens, known),
    }
    RESULTS.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=2))


def set_of(path: Path) -> str:
    """The set a clip is of."""
    return next(name for name in SETS if name in path.parts)


def same_recordings(found: Found) -> dict[str, Any]:
    """Pairs of clips of one recording, by their sets, and the correlations at the border."""
    same = {pair: value for pair, value in found.pairs.items() if value >= SAME_RECORDING}
    sets = Counter(" and ".join(sorted(set_of(found.paths[p]) for p in pair)) for pair in same)
    others = [value for value in found.pairs.values() if value < SAME_RECORDING]
    return {
        "pairs": len(same),
        "by_sets": dict(sets.most_common()),
        "lowest_correlation": round(min(same.values(), default=0.0), 3),
        "highest_of_others": round(max(others, default=0.0), 3),
    }


if __name__ == "__main__":
    main()
