"""One of several processes that hold a metric together; `test_processes` starts them."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import torch
import torch.distributed

from humanclap.scoring.scorer import HumanCLAP
from humanclap.torchmetrics import HumanCLAPScore

RATE = 32000


def work(
    rank: int, count: int, folder: str, model: HumanCLAP, batches: list[Any], broken: Any
) -> None:
    """Every `count`th batch is ours; what each metric gave goes to a file of this rank."""
    torch.set_num_threads(1)
    meeting = f"file://{folder}/meeting"
    torch.distributed.init_process_group("gloo", init_method=meeting, rank=rank, world_size=count)
    try:
        ours = batches[rank::count]
        found = {
            "all": _all(HumanCLAPScore(model, confidence=0.9), ours),
            "one process has nothing": _all(
                HumanCLAPScore(model, confidence=0.9), batches if rank == 0 else []
            ),
            "nobody has anything": _all(HumanCLAPScore(model), []),
            "a broken clip": _all(
                HumanCLAPScore(model, on_error="skip"), [*ours, broken] if rank else ours
            ),
        }
        step = HumanCLAPScore(model, dist_sync_on_step=True)
        found["each step"] = [step(*batch, RATE) for batch in batches[rank : 2 * count : count]]
        found["after the steps"] = step.compute()
        alone = HumanCLAPScore(model, sync_on_compute=False)
        found["alone"] = _all(alone, ours)
        torch.save(found, Path(folder) / f"{rank}.pt")
    finally:
        torch.distributed.destroy_process_group()


def _all(metric: HumanCLAPScore, batches: list[Any]) -> dict[str, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of clips left out, and of a compute before any update
        for audio, texts in batches:
            metric.update(audio, texts, RATE)
        before = metric.n_samples, metric.n_failed
        value = metric.compute()
    return {"value": value, "before": before, "after": (metric.n_samples, metric.n_failed)}
