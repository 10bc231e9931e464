"""humanclap: does a sound match its text, as people hear it?

Importing this package loads neither torch nor transformers; what needs them, or decoders, is
fetched on first use. Each name with an example: docs/python.md.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from humanclap.errors import HumanCLAPError, InputError
from humanclap.records import Pair, Rating, Score, Target
from humanclap.scale import RatingScale
from humanclap.version import __version__

if TYPE_CHECKING:
    from humanclap.audio import SoundBytes, Waveform
    from humanclap.scoring.predictions import Predictions
    from humanclap.scoring.reward import reward
    from humanclap.scoring.scorer import HumanCLAP
    from humanclap.scoring.settings import ScoringSettings

__all__ = [
    "HumanCLAP",
    "HumanCLAPError",
    "InputError",
    "Pair",
    "Predictions",
    "Rating",
    "RatingScale",
    "Score",
    "ScoringSettings",
    "SoundBytes",
    "Target",
    "Waveform",
    "__version__",
    "reward",
]

_ON_FIRST_USE = {
    "HumanCLAP": "humanclap.scoring.scorer",
    "Predictions": "humanclap.scoring.predictions",
    "ScoringSettings": "humanclap.scoring.settings",
    "SoundBytes": "humanclap.audio",
    "Waveform": "humanclap.audio",
    "reward": "humanclap.scoring.reward",
}


def __getattr__(name: str) -> Any:
    if name in _ON_FIRST_USE:
        return getattr(importlib.import_module(_ON_FIRST_USE[name]), name)
    raise AttributeError(f"module 'humanclap' has no attribute {name!r}")
