"""The reward against `HumanCLAP.score` and finite differences; its memory and time.

    python benchmarks/reward_gradient.py [--clips 8] [--mn04 MN04]

Models: `mini`, with --mn04 `mini-mn04`, and a ClapModel of the size of laion/clap-htsat-unfused
with random weights (nothing is downloaded). Clips: 10 s of noise, half white, half of a power that
falls as 1/f, each with a slow random envelope.

Values: greatest |reward - score| at each rate. Gradients: at 44.1 kHz, slope of the score along the
gradient, by the gradient and by central differences whose step changes the score by about 1e-4
(float32) and 1e-7 (float64); at ten times these steps the bends of the score itself show, with
relative differences up to 4e-2 and 2e-4. Memory: what autograd keeps for the backward pass of a
batch of 10 s clips at the model's own rate, each storage once, weights left out. Time: CPU seconds
of the process on one thread, forward and backward over forward without gradient, the least of five.
--gradients: the gradients alone, into the file that is there.

Writes benchmarks/results/reward_gradient.json.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from full_size_steps import write_model
from reward_results import markdown
from torch import Tensor

import humanclap
from humanclap import HumanCLAP
from humanclap.files import atomic_writer
from humanclap.scoring.reward import Reward
from humanclap.scoring.settings import ScoringSettings

RESULT = Path(__file__).parent / "results" / "reward_gradient.json"
RATES = (8_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000)
GRADIENT_RATE = 44_100
CHANGE = {"float32": 1e-4, "float64": 1e-7}
TEXT = "a dog barks while rain falls"
SECONDS = 10


def clips_at(rate: int, count: int) -> Tensor:
    """Noise with envelopes, (count, time), float32; every second one falls as 1/f."""
    made = []
    for seed in range(count):
        rng = np.random.default_rng(seed)
        samples = SECONDS * rate
        spectrum = np.fft.rfft(rng.standard_normal(samples))
        if seed % 2:
            spectrum[1:] /= np.sqrt(np.arange(1, len(spectrum)))
        noise = np.fft.irfft(spectrum, samples)
        knots = rng.uniform(0, 1, 2 * SECONDS)
        envelope = np.interp(np.arange(samples) / rate, np.linspace(0, SECONDS, len(knots)), knots)
        made.append(0.1 * noise / noise.std() * envelope)
    return torch.from_numpy(np.stack(made)).float()


def differences(model: HumanCLAP, judge: Reward, count: int) -> dict[str, float]:
    """Greatest |reward - score| of the clips at each rate."""
    found = {}
    for rate in RATES:
        clips = clips_at(rate, count)
        scores = model.score_many(list(clips.numpy()), [TEXT] * count, sample_rate=rate)
        with torch.no_grad():
            ours = torch.cat([judge(clip[None], TEXT, sample_rate=rate) for clip in clips])
        found[str(rate)] = float(np.abs(ours.numpy() - scores).max())
    return found


def slope_errors(judge: Reward, kind: str, count: int) -> list[float]:
    """Relative error of the gradient's slope against central differences, for each clip."""
    found = []
    for clip in clips_at(GRADIENT_RATE, count).to(getattr(torch, kind)):
        start = clip[None].requires_grad_()
        judge(start, TEXT, sample_rate=GRADIENT_RATE).sum().backward()
        slope = start.grad.norm()
        step = CHANGE[kind] / slope * start.grad / slope
        with torch.no_grad():
            up, down = (
                judge(clip[None] + sign * step, TEXT, sample_rate=GRADIENT_RATE).double()
                for sign in (1, -1)
            )
        measured = float(up - down) / (2 * float(step.double().norm()))
        found.append(abs(float(slope) - measured) / measured)
    return found


def kept_bytes(judge: Reward, batch: int, rate: int) -> int:
    """Bytes that autograd keeps between forward and backward."""
    weights = {one.untyped_storage().data_ptr() for one in judge.state_dict().values()}
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    clips = clips_at(rate, batch).requires_grad_()
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        scores = judge(clips, TEXT, sample_rate=rate)
    del scores
    return sum(kept.values())


def seconds(call: Callable[[], object]) -> float:
    """CPU seconds, the least of five."""
    call()
    times = []
    for _ in range(5):
        start = time.process_time()
        call()
        times.append(time.process_time() - start)
    return min(times)


def gradients(model: HumanCLAP, count: int) -> dict[str, list[float]]:
    """Relative errors at both precisions."""
    judge = humanclap.reward(model)
    found = {"float32": slope_errors(judge, "float32", count)}
    found["float64"] = slope_errors(copy.deepcopy(judge).double(), "float64", count)
    return found


def measured(model: HumanCLAP, count: int) -> dict[str, Any]:
    """Everything of one model."""
    judge = humanclap.reward(model)
    rate = model.backbone.sample_rate
    clip = clips_at(rate, 1)

    def forward() -> None:
        with torch.no_grad():
            judge(clip, TEXT, sample_rate=rate)

    def both() -> None:
        judge(clip.clone().requires_grad_(), TEXT, sample_rate=rate).sum().backward()

    return {
        "signature": model.signature,
        "difference": differences(model, judge, count),
        "kept_mib": {n: round(kept_bytes(judge, n, rate) / 2**20) for n in (1, 4)},
        "forward_s": seconds(forward),
        "forward_backward_s": seconds(both),
        "slope_error": gradients(model, count),
    }


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=8)
    parser.add_argument("--mn04", help="weights of mn04; adds mini-mn04")
    parser.add_argument("--gradients", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    settings = ScoringSettings(device="cpu", cache=False)
    models = {"mini": HumanCLAP.from_pretrained("mini", settings=settings, offline=True)}
    if options.mn04:
        models["mini-mn04"] = HumanCLAP.from_pretrained(
            "mini-mn04", settings=settings, mn04=options.mn04, offline=True
        )
    with tempfile.TemporaryDirectory() as folder:
        write_model(Path(folder) / "htsat")
        models["HTSAT"] = HumanCLAP.from_pretrained(
            Path(folder) / "htsat", settings=settings, offline=True
        )
        if options.gradients:
            result = json.loads(RESULT.read_text(encoding="utf-8"))
            for name, model in models.items():
                result["models"][name]["slope_error"] = gradients(model, result["clips"])
        else:
            result = {
                "clips": options.clips,
                "torch": torch.__version__,
                "shared": os.getloadavg()[0] > 1.5,
                "models": {n: measured(model, options.clips) for n, model in models.items()},
            }
    print("\n".join(markdown(result)))
    with atomic_writer(RESULT) as file:
        file.write(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
