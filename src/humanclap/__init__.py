"""humanclap: does a sound match its text, as people hear it?

Importing this package loads neither torch nor transformers; `HumanCLAP` and `reward` are fetched
on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from humanclap.errors import HumanCLAPError, InputError
from humanclap.records import Pair, Rating, Score, Target
from humanclap.scale import RatingScale
from humanclap.version import __version__

if TYPE_CHECKING:
    from humanclap.scoring.reward import reward
    from humanclap.scoring.scorer import HumanCLAP

__all__ = [
    "HumanCLAP",
    "HumanCLAPError",
    "InputError",
    "Pair",
    "Rating",
    "RatingScale",
    "Score",
    "Target",
    "__version__",
    "reward",
]


def __getattr__(name: str) -> Any:
    if name == "HumanCLAP":
        from humanclap.scoring.scorer import HumanCLAP

        return HumanCLAP
    if name == "reward":
        from humanclap.scoring.reward import reward

        return reward
    raise AttributeError(f"module 'humanclap' has no attribute {name!r}")
