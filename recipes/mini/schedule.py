"""What the training recipes share: the learning-rate schedule and safe checkpoints."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch


def one_cycle(progress: float, peak: float, warm: float = 0.08) -> float:
    """Linear warm-up over `warm` of the run, then a cosine to a hundredth of the peak."""
    if progress < warm:
        return peak * (0.05 + 0.95 * progress / warm)
    share = (progress - warm) / (1 - warm)
    return peak * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * share)))


def save_atomically(state: dict[str, Any], path: Path) -> None:
    """torch.save beside the target, then rename: a killed run leaves the older checkpoint."""
    part = path.with_suffix(".part")
    torch.save(state, part)
    part.replace(path)
