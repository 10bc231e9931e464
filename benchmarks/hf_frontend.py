"""Our torch front end against transformers' ClapFeatureExtractor: time and greatest difference.

    python benchmarks/hf_frontend.py

32 clips of 10 s at 48 kHz (noise, tones, sweeps, half silence, at several loudnesses), slaney and
HTK, with one thread and with two. The two front ends take turns; `best_s` is the quickest of
nine rounds (on a busy machine the one that tells least of its neighbours), `ratio` that of the
bests and `median_ratio` the median over rounds, ours to theirs. Prints and writes
benchmarks/results/hf_frontend.json.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

CLIPS = 32
ROUNDS = 9
BATCH = 8
RATE = 48000


def clips() -> Any:
    """(CLIPS, 10 s) float32."""
    import numpy as np

    time_s = np.arange(10 * RATE) / RATE
    random = np.random.default_rng(0)
    made = []
    for number in range(CLIPS):
        loudness = 10 ** (-random.uniform(0, 60) / 20)
        noise = random.standard_normal(len(time_s)) / 8
        made.append(
            loudness
            * (
                noise,
                np.sin(2 * np.pi * random.uniform(30, 12000) * time_s),
                np.sin(2 * np.pi * random.uniform(10, 600) * time_s**2),
                np.where(time_s < 5, noise, 0),
            )[number % 4]
        )
    return np.stack(made).astype(np.float32)


def seconds(run: Callable[[], Any]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def measure(threads: int) -> dict[str, Any]:
    """Both front ends on all clips, in this process."""
    import numpy as np
    import torch
    import transformers

    from humanclap.clap.frontend import DecibelMel

    torch.set_num_threads(threads)
    waveforms = clips()
    tensors = torch.from_numpy(waveforms)
    result: dict[str, Any] = {}
    for truncation, scale in (("rand_trunc", "slaney"), ("fusion", "htk")):
        extractor = transformers.ClapFeatureExtractor(truncation=truncation, frequency_min=50)
        front = DecibelMel(
            sample_rate=RATE, n_fft=1024, hop_length=480, n_mels=64, f_min=50, f_max=14000,
            scale=scale,
        )  # fmt: skip

        def theirs(extractor: Any = extractor) -> Any:
            made = extractor(list(waveforms), sampling_rate=RATE, return_tensors="np")
            return made["input_features"][:, 0]

        def ours(front: DecibelMel = front) -> Any:
            return torch.cat([front(batch) for batch in tensors.split(BATCH)]).numpy()

        difference = float(np.abs(theirs() - ours()).max())  # and warms both
        rounds = [(seconds(theirs), seconds(ours)) for _ in range(ROUNDS)]
        their_s, our_s = (min(side) for side in zip(*rounds, strict=True))
        result[scale] = {
            "max_difference_db": difference,
            "transformers_best_s": round(their_s, 4),
            "humanclap_best_s": round(our_s, 4),
            "ratio": round(our_s / their_s, 3),
            "median_ratio": round(statistics.median(o / t for t, o in rounds), 3),
        }
    return result | {"transformers": transformers.__version__, "torch": torch.__version__}


def main() -> None:
    """Measure in a process for each number of threads, print and write."""
    if len(sys.argv) == 2:
        print(json.dumps(measure(int(sys.argv[1]))))
        return
    result: dict[str, Any] = {
        "clips": CLIPS,
        "seconds_each": 10,
        "rounds": ROUNDS,
        "load_average_before": round(os.getloadavg()[0], 1),
        "threads": {},
    }
    for threads in (1, 2):
        limits = {name: str(threads) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
        done = subprocess.run(
            [sys.executable, __file__, str(threads)],
            env=os.environ | limits,
            check=True,
            stdout=subprocess.PIPE,
        )
        result["threads"][str(threads)] = json.loads(done.stdout)
    path = Path(__file__).parent / "results" / "hf_frontend.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
