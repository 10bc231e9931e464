from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray


@pytest.fixture
def noise() -> Callable[..., NDArray[np.float32]]:
    """noise(n) or noise(n, channels): reproducible, about -20 dB."""

    def make(*shape: int) -> NDArray[np.float32]:
        return (0.1 * np.random.default_rng(7).standard_normal(shape)).astype(np.float32)

    return make


@pytest.fixture
def wav(tmp_path: Path) -> Callable[..., Path]:
    """wav(samples, rate, name="clip.wav", **soundfile options) -> path."""

    def write(samples: Any, rate: int, name: str = "clip.wav", **options: Any) -> Path:
        path = tmp_path / name
        soundfile.write(path, samples, rate, **options)
        return path

    return write
