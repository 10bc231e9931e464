"""Find clips of tta-demos that are RELATE validation's own recordings, whatever their caption.

Peak of the normalised cross-correlation of the two waveforms' differences at 4 kHz: 0.93 and more
for a copy, below 0.28 for other sounds. Writes relate_audio.csv, which `bank.read_bank` obeys.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np
import scipy.fft
import soxr
from bank import RELATE_AUDIO, load_waveform, read_rows

RATE = 4_000
LENGTH = 1 << 17
COPY_ABOVE = 0.3


def spectrum(path: Path) -> np.ndarray:
    """Transform of the first 12 s, differenced and of unit energy."""
    waveform = np.diff(soxr.resample(load_waveform(path), 32_000, RATE)[: 12 * RATE])
    waveform /= np.linalg.norm(waveform) + 1e-9
    return scipy.fft.rfft(waveform, LENGTH).astype(np.complex64)


def main() -> None:
    """Compare every demonstration clip with every validation clip."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shared", type=Path, required=True)
    data = parser.parse_args().shared / "data"
    validation = sorted((data / "relate-validation/audio").iterdir())
    known = np.conj(np.stack([spectrum(path) for path in validation]))
    found = []
    for row in read_rows(data / "tta-demos/pairs.csv"):
        correlation = scipy.fft.irfft(known * spectrum(data / "tta-demos" / row["audio"]), axis=1)
        peaks = np.abs(correlation).max(1)
        best = int(peaks.argmax())
        if peaks[best] > COPY_ABOVE:
            found.append((row["audio"], validation[best].name, f"{peaks[best]:.3f}"))
    with RELATE_AUDIO.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("audio", "relate_validation", "correlation"))
        writer.writerows(sorted(found))
    print(f"{len(found)} clips are RELATE validation's")


if __name__ == "__main__":
    main()
