"""What the packaged models cost: one clip on one core beside HTSAT-tiny, and the size of the wheel.

    python benchmarks/model_costs.py --mn04 MN04

Time: one 10 s clip, waveform to embedding (front end, network, projection), fp32, batch 1, one
thread. Beside it: the audio tower of transformers' ClapModel at the sizes of its default
configuration (HTSAT-tiny), random weights, spectrogram to features, without its front end. Each
round times every model once, in an order that turns, each right after a call of the same model that
is not timed: clips are scored one after the other, and the first call after another model's also
pays for the memory which that one gave back. Times are CPU time of the process, which does not
count waiting for other processes, and time on the clock; the ratio is taken within a round.
Size: a wheel built from this tree, and the weights in it, compressed as they are there. Writes
benchmarks/results/model_costs.json.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from judging_models import arguments_of, load_models, write

from humanclap.scoring.scorer import HumanCLAP

ROOT = Path(__file__).resolve().parents[1]
HTSAT = "htsat-tiny"
WEIGHTS = "humanclap/clap/weights/"
WARM_UP = 3

Call = Callable[[], object]


def interleaved(
    calls: Mapping[str, Call],
    rounds: int,
    *,
    cpu: Callable[[], float] = time.process_time,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, dict[str, list[float]]]:
    """Milliseconds of each call in each round, CPU time and clock; first rounds are left out."""
    names = list(calls)
    found: dict[str, dict[str, list[float]]] = {name: {"cpu": [], "clock": []} for name in names}
    for turn in range(rounds + WARM_UP):
        shift = turn % len(names)
        for name in names[shift:] + names[:shift]:
            calls[name]()
            begin, start = clock(), cpu()
            calls[name]()
            spent, passed = cpu() - start, clock() - begin
            if turn >= WARM_UP:
                found[name]["cpu"].append(1000 * spent)
                found[name]["clock"].append(1000 * passed)
    return found


def summary(times: Mapping[str, Mapping[str, list[float]]], baseline: str) -> dict[str, Any]:
    """Median and least time of each, and the median ratio to the baseline with its quartiles.

    >>> a, b = {"cpu": [1, 2, 3], "clock": [1, 2, 3]}, {"cpu": [4] * 3, "clock": [4] * 3}
    >>> summary({"a": a, "b": b}, "b")["a"]["ratio"]
    [0.5, 0.375, 0.625]
    """
    rows = {}
    for name, kinds in times.items():
        ratios = np.array(kinds["cpu"]) / np.array(times[baseline]["cpu"])
        quartiles = np.quantile(ratios, [0.5, 0.25, 0.75])
        rows[name] = {
            "cpu_ms": {"median": _ms(np.median(kinds["cpu"])), "min": _ms(min(kinds["cpu"]))},
            "clock_ms": {"median": _ms(np.median(kinds["clock"])), "min": _ms(min(kinds["clock"]))},
            "ratio": [round(float(value), 4) for value in quartiles],
        }
    return rows


def _ms(value: Any) -> float:
    return round(float(value), 2)


def calls_of(models: Mapping[str, HumanCLAP]) -> dict[str, Call]:
    """One 10 s clip through every model, and through HTSAT-tiny."""
    from transformers import ClapAudioConfig, ClapAudioModel

    torch.manual_seed(0)
    htsat = ClapAudioModel(ClapAudioConfig()).eval()
    spectrogram = torch.rand(1, 1, 1001, 64)
    longer = torch.zeros(1, 1, dtype=torch.bool)

    def call(model: HumanCLAP) -> Call:
        samples = int(model.backbone.window_s * model.backbone.sample_rate)
        waveform = torch.rand(1, samples) - 0.5
        return lambda: model.backbone.embed_audio(waveform)

    ours = {name: call(model) for name, model in models.items()}
    return {**ours, HTSAT: lambda: htsat(input_features=spectrogram, is_longer=longer)}


def wheel_sizes(wheel: Path) -> dict[str, Any]:
    """Megabytes (10^6 bytes) of a wheel, and of the weights in it, compressed as they are there."""
    weights: dict[str, int] = {}
    with zipfile.ZipFile(wheel) as archive:
        for item in archive.infolist():
            if item.filename.startswith(WEIGHTS):
                name = item.filename.removeprefix(WEIGHTS).split("/")[0]
                weights[name] = weights.get(name, 0) + item.compress_size
    return {
        "wheel_mb": round(wheel.stat().st_size / 1e6, 2),
        "weights_mb": round(sum(weights.values()) / 1e6, 2),
        "weights_mb_of": {name: round(size / 1e6, 2) for name, size in sorted(weights.items())},
    }


def built_wheel() -> dict[str, Any]:
    """Build the wheel of this tree and measure it."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", folder, ROOT]
        subprocess.run([str(part) for part in command], check=True)
        [wheel] = Path(folder).glob("*.whl")
        return wheel_sizes(wheel)


def parameters(model: HumanCLAP) -> int:
    """Numbers a model holds."""
    return sum(parameter.numel() for parameter in model.backbone.module().parameters())


def main() -> None:
    """Time, build, print and write."""
    parser = arguments_of(__doc__, "model_costs", data=False)
    parser.add_argument("--rounds", type=int, default=60)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    load = [round(value, 1) for value in os.getloadavg()]
    models = load_models(arguments.models, arguments.mn04)
    with torch.inference_mode():
        times = interleaved(calls_of(models), arguments.rounds)
    found = {
        "rounds": arguments.rounds,
        "load_average_before": load,
        "torch": torch.__version__,
        "times": summary(times, HTSAT),
        "parameters": {name: parameters(model) for name, model in models.items()},
        "wheel": built_wheel(),
    }
    for name, row in found["times"].items():
        print(name, row)
    print(found["wheel"])
    write(arguments, __file__, models, found)


if __name__ == "__main__":
    main()
