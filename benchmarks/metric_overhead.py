"""What `HumanCLAPScore` costs beside the `score_many` that it calls, on 256 clips.

    python benchmarks/metric_overhead.py [--clips 256] [--batch 16] [--rounds 7]

Clips: noise of 10 s at the model's own rate, tensors (batch, 1, time), so nothing is resampled and
`score_many` has the least to do; 32 distinct texts; `mini`, the cache off, one thread. Every round
runs each way once, in an order that turns: `score_many` over the batches; the metric over the same
batches, `update` and one `compute`; the metric with an interval; the metric by `forward`, with an
interval at every step. Two ratios of each, of processor time and of the clock: to the `score_many`
of the same round, which other work on the machine moves; and to the time that was spent within
`score_many` in the very same run, which it hardly moves. Target: at most 1.03.
Writes benchmarks/results/metric_overhead.json.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchmetrics
from cache_speed import timed

from humanclap.files import atomic_writer
from humanclap.scoring.scorer import HumanCLAP
from humanclap.scoring.settings import ScoringSettings
from humanclap.torchmetrics import HumanCLAPScore

RESULT = Path(__file__).parent / "results" / "metric_overhead.json"
SECONDS, TEXTS = 10, 32
PLAIN = "score_many"

Batches = list[tuple[torch.Tensor, list[str]]]


def made(clips: int, batch: int, rate: int) -> Batches:
    """Clips of noise with their texts."""
    generator = torch.Generator().manual_seed(0)
    numbers = torch.arange(clips).split(batch)
    return [
        (
            0.1 * torch.randn(len(part), 1, SECONDS * rate, generator=generator),
            [f"noise number {int(number) % TEXTS}" for number in part],
        )
        for part in numbers
    ]


class Within:
    """Calls `score_many`, and adds up the seconds that it takes."""

    def __init__(self, call: Callable[..., Any]) -> None:
        self._call = call
        self.clock = self.cpu = 0.0

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        clock, cpu, found = timed(lambda: self._call(*args, **kwargs))
        self.clock += clock
        self.cpu += cpu
        return found


def ways(model: HumanCLAP, batches: Batches, rate: int) -> dict[str, Callable[[], Any]]:
    """Each way to the mean of all clips."""

    def plain() -> float:
        parts = [model.score_many(audio, texts, sample_rate=rate) for audio, texts in batches]
        return float(np.concatenate(parts).mean())

    def updated(metric: HumanCLAPScore) -> Any:
        metric.reset()
        for audio, texts in batches:
            metric.update(audio, texts, rate)
        return metric.compute()

    def forward(metric: HumanCLAPScore) -> Any:
        metric.reset()
        for audio, texts in batches:
            metric(audio, texts, rate)
        return metric.compute()

    mean, interval = HumanCLAPScore(model), HumanCLAPScore(model, confidence=0.95)
    return {
        PLAIN: plain,
        "metric, mean": lambda: updated(mean),
        "metric, mean and interval": lambda: updated(interval),
        "metric, both at every step": lambda: forward(interval),
    }


def measure(clips: int, batch: int, rounds: int) -> dict[str, Any]:
    """Rounds of all ways, and their ratios."""
    model = HumanCLAP.from_pretrained("mini", settings=ScoringSettings(device="cpu", cache=False))
    rate = model.backbone.sample_rate
    batches = made(clips, batch, rate)
    runs = ways(model, batches, rate)
    model.score_many(*batches[0], sample_rate=rate)
    within = Within(model.score_many)
    model.score_many = within  # type: ignore[assignment, method-assign]
    names = list(runs)
    rows: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    for turn in range(rounds):
        shift = turn % len(names)
        for name in names[shift:] + names[:shift]:
            within.clock = within.cpu = 0.0
            clock, cpu, _ = timed(runs[name])
            rows[name].append(
                {
                    "clock": clock,
                    "cpu": cpu,
                    "within_clock": within.clock,
                    "within_cpu": within.cpu,
                }
            )
            print(f"round {turn + 1}, {name}: {cpu:.2f} s of the processor", flush=True)
    return {name: ratios(found, rows[PLAIN]) for name, found in rows.items()}


def ratios(found: list[dict[str, float]], plain: list[dict[str, float]]) -> dict[str, Any]:
    """Seconds, and ratios within a round and within a run."""
    beside = list(zip(found, plain, strict=True))
    return {
        "cpu_s": [round(row["cpu"], 3) for row in found],
        "clock_s": [round(row["clock"], 3) for row in found],
        "by_score_many_of_the_round": {
            key: fine(row[key] / base[key] for row, base in beside) for key in ("cpu", "clock")
        },
        "by_score_many_within": {
            key: fine(row[key] / row[f"within_{key}"] for row in found) for key in ("cpu", "clock")
        },
    }


def fine(values: Any) -> dict[str, float]:
    """Least, median, most, with five digits."""
    row = np.array(list(values))
    ends = {"min": row.min(), "median": np.median(row), "max": row.max()}
    return {name: round(float(value), 5) for name, value in ends.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--clips", type=int, default=256)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--output", type=Path, default=RESULT)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    load = round(os.getloadavg()[0], 1)
    begin = time.perf_counter()
    result = {
        "command": shlex.join(["python", "benchmarks/metric_overhead.py", *sys.argv[1:]]),
        "clips": arguments.clips,
        "batch": arguments.batch,
        "seconds_each": SECONDS,
        "texts": TEXTS,
        "rounds": arguments.rounds,
        "processors": os.cpu_count(),
        "torch": torch.__version__,
        "torchmetrics": torchmetrics.__version__,
        "load_average_before": load,
        "ways": measure(arguments.clips, arguments.batch, arguments.rounds),
    }
    result["took_s"] = round(time.perf_counter() - begin)
    with atomic_writer(arguments.output) as file:
        file.write(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
