"""The score as a metric of torchmetrics: `HumanCLAPScore`, and `functional.human_clap_score`.

Importing this package does not load torchmetrics; asking for `HumanCLAPScore` does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from humanclap.extras import require

if TYPE_CHECKING:
    from humanclap.torchmetrics.score import HumanCLAPScore

__all__ = ["HumanCLAPScore"]


def __getattr__(name: str) -> Any:
    if name == "HumanCLAPScore":
        require("torchmetrics", extra="torchmetrics")
        from humanclap.torchmetrics.score import HumanCLAPScore

        return HumanCLAPScore
    raise AttributeError(f"module 'humanclap.torchmetrics' has no attribute {name!r}")
