"""Find training clips that are an evaluation clip's own recording, whatever their caption.

Every clip of tta-demos, ritta and ESC's training part against every clip of relate-validation and
audiocaps (which hold FENSE's) and ESC's test part. Peak of the normalised cross-correlation of the
two waveforms' differences at 4 kHz: 0.9 and more for a copy. Writes evaluation_audio.csv, which
`bank.read_bank` obeys, and prints the highest peak below the threshold.
"""

from __future__ import annotations

import argparse
import csv
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import scipy.fft
import soxr
from bank import EVALUATION_AUDIO, judged_audio, load_waveform, read_esc, read_rows

RATE = 4_000
LENGTH = 1 << 17
COPY_ABOVE = 0.3


def spectrum(path: Path) -> np.ndarray:
    """Transform of the first 12 s, differenced and of unit energy."""
    waveform = np.diff(soxr.resample(load_waveform(path), 32_000, RATE)[: 12 * RATE])
    waveform /= np.linalg.norm(waveform) + 1e-9
    return scipy.fft.rfft(waveform, LENGTH).astype(np.complex64)


def likest(path: Path, known: np.ndarray) -> tuple[int, float]:
    """Which of the known spectra (conjugates) the clip is most like, and how much."""
    correlation = scipy.fft.irfft(known * spectrum(path), axis=1)
    peaks = np.maximum(correlation.max(1), -correlation.min(1))
    best = int(peaks.argmax())
    return best, float(peaks[best])


def search(paths: list[Path], evaluation: list[Path]) -> list[tuple[int, float]]:
    """`likest` for each path."""
    known = np.conj(np.stack([spectrum(path) for path in evaluation]))
    return [likest(path, known) for path in paths]


def main() -> None:
    """Compare every training clip with every evaluation clip."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shared", type=Path, required=True)
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    data = arguments.shared / "data"
    esc = read_esc(arguments.shared)
    evaluation = judged_audio(arguments.shared) + [clip.path for clip in esc if clip.test]
    paths = [
        data / name / row["audio"]
        for name in ("tta-demos", "ritta")
        for row in read_rows(data / name / "pairs.csv")
    ]
    paths += [clip.path for clip in esc if not clip.test]
    parts = [paths[start::8] for start in range(8)]
    with ProcessPoolExecutor(arguments.processes) as pool:
        results = list(pool.map(partial(search, evaluation=evaluation), parts))
    found, highest = [], 0.0
    for part, peaks in zip(parts, results, strict=True):
        for path, (best, peak) in zip(part, peaks, strict=True):
            if peak > COPY_ABOVE:
                names = (path.relative_to(data), evaluation[best].relative_to(data))
                found.append((*map(str, names), f"{peak:.3f}"))
            else:
                highest = max(highest, peak)
    with EVALUATION_AUDIO.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("audio", "evaluation_clip", "correlation"))
        writer.writerows(sorted(found))
    print(f"{len(paths)} clips against {len(evaluation)}: {len(found)} copies")
    print(f"highest of the others: {highest:.3f}")


if __name__ == "__main__":
    main()
