"""Find clips of `bank_more.csv` that may be an evaluation clip's recording, and leave them out.

Packages and ESC both draw on public sound collections. The loudest 0.75 s of each package clip is
looked up, as band energies, in ESC's test clips, every held-out clip, RELATE validation and
AudioCaps; the three likeliest are compared as waveforms, 1.5 s at 4 kHz. Writes
bank_more_banned.csv, which `bank_more.py` obeys when it assembles. The threshold is low: clicks and
drums that are merely alike are left out too. A copy at another pitch or speed is not found.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import scipy.fft
import soxr
from bank import judged_audio, load_waveform, read_bank, read_esc, read_rows
from bank_more import write_table
from bank_sound import SAMPLE_RATE
from scipy.signal import correlate

HOP, WINDOW, BANDS, PATCH = 800, 1600, 16, 30  # 40 frames a second, 0.75 s a patch
CANDIDATES, BATCH = 3, 64
ALIKE_ABOVE = 0.6  # band energies less alike than this are not compared as waveforms
RATE, COMPARED_S, COPY_ABOVE = 4_000, 1.5, 0.5


def energies(waveform: np.ndarray) -> np.ndarray:
    """Log energy in bands of equal ratio, 100 Hz-15 kHz, shape (frames, bands)."""
    short = max(WINDOW + (PATCH - 1) * HOP - len(waveform), 0)
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(waveform, (0, short)), WINDOW)[::HOP]
    power = np.abs(scipy.fft.rfft(frames * np.hanning(WINDOW).astype(np.float32), axis=1)) ** 2
    edges = np.geomspace(100, 15_000, BANDS) * WINDOW / SAMPLE_RATE
    banded = np.add.reduceat(power, edges.astype(int), axis=1)
    return np.log(banded + 1e-4 * banded.max() + 1e-12).astype(np.float32)


def patches(waveform: np.ndarray) -> np.ndarray:
    """Every run of frames as a vector without mean, of unit length."""
    runs = np.lib.stride_tricks.sliding_window_view(energies(waveform), PATCH, axis=0)
    flat = runs.reshape(len(runs), -1)
    flat = flat - flat.mean(axis=1, keepdims=True)
    return flat / (np.linalg.norm(flat, axis=1, keepdims=True) + 1e-6)


def running_power(waveform: np.ndarray, size: int) -> np.ndarray:
    """Energy of each run of `size` samples."""
    total = np.cumsum(np.concatenate([[0.0], waveform.astype(np.float64) ** 2]))
    return total[size:] - total[:-size]


def coarse(waveform: np.ndarray) -> np.ndarray:
    """At 4 kHz, differenced, which lets the bass count for less."""
    return np.diff(soxr.resample(waveform, SAMPLE_RATE, RATE))


def loudest(waveform: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The patch where most is heard, and the coarse sound around it."""
    size = WINDOW + (PATCH - 1) * HOP
    waveform = np.pad(waveform, (0, max(size - len(waveform), 0)))
    start = int(running_power(waveform, size).argmax())
    vector = patches(waveform[start : start + size])[0]
    before = max(start - (int(COMPARED_S * SAMPLE_RATE) - size) // 2, 0)
    return vector, coarse(waveform[before : before + int(COMPARED_S * SAMPLE_RATE)])


def likeness(heard: np.ndarray, known: np.ndarray) -> float:
    """Highest correlation of one waveform with a stretch of another, each of unit energy."""
    known = np.pad(known, len(heard) // 2 + 1)
    power = running_power(known, len(heard))
    energy = np.sqrt(np.maximum(power, 1e-3 * power.max()) * (heard**2).sum()) + 1e-9
    return float(np.abs(correlate(known, heard, "valid") / energy).max())


def load_clip(path: Path) -> np.ndarray:
    """A clip of the bank."""
    return np.load(path).astype(np.float32)


def evaluation_clips(shared: Path) -> list[Path]:
    """ESC's test clips, whatever is held out, and the clips that judge."""
    chosen = [clip.path for clip in read_esc(shared) if clip.test]
    chosen += [clip.path for clip in read_bank(shared) if clip.held_out]
    return chosen + judged_audio(shared)


def main() -> None:
    """Compare every package clip with every evaluation clip."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shared", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True, help="the folder of bank_more.py")
    arguments = parser.parse_args()
    paths = evaluation_clips(arguments.shared)
    waveforms = [load_waveform(path) for path in paths]
    grids = [patches(waveform)[::2] for waveform in waveforms]
    first = np.cumsum([0, *map(len, grids[:-1])])
    grid, known = np.concatenate(grids).T, [coarse(waveform) for waveform in waveforms]
    found, others, compared = [], 0.0, 0
    for table in sorted((arguments.work / "rows").glob("packages.*.csv")):
        rows = read_rows(table)
        if not rows:
            continue
        clips = [load_clip(arguments.work / row["path"]) for row in rows]
        vectors, heard = zip(*map(loudest, clips), strict=True)
        for at in range(0, len(rows), BATCH):
            likely = np.maximum.reduceat(np.stack(vectors[at : at + BATCH]) @ grid, first, axis=1)
            for offset, order in enumerate(np.argsort(likely, axis=1)[:, -CANDIDATES:]):
                order = order[likely[offset, order] > ALIKE_ABOVE]
                if not len(order):
                    continue
                peaks = [likeness(heard[at + offset], known[index]) for index in order]
                best = int(np.argmax(peaks))
                if peaks[best] > COPY_ABOVE:
                    name = paths[order[best]].name
                    found.append((rows[at + offset]["path"], name, f"{peaks[best]:.3f}"))
                else:
                    others = max(others, peaks[best])
        compared += len(rows)
        print(f"{table.stem}: {len(rows)} clips, {len(found)} left out so far", flush=True)
    columns = ("path", "evaluation_clip", "correlation")
    write_table(arguments.work / "bank_more_banned.csv", columns, found)
    print(f"{compared} clips compared with {len(paths)}: {len(found)} above {COPY_ABOVE}")
    print(f"highest of the others: {others:.3f}")


if __name__ == "__main__":
    main()
