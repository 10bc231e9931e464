"""Where the rows of a run's log go beside `log.csv`: TensorBoard, Weights & Biases."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from humanclap.errors import SettingsError
from humanclap.extras import require

REPORTERS = ("tensorboard", "wandb")


class Reporter(Protocol):
    """Takes the rows of the log as they come."""

    def write(self, row: Mapping[str, Any]) -> None:
        """One epoch."""

    def close(self) -> None:
        """No more rows."""


class _TensorBoard:
    def __init__(self, folder: Path, first_epoch: int) -> None:
        require("tensorboard", extra="train")
        board: Any = require("torch.utils.tensorboard", extra="train")
        self._writer = board.SummaryWriter(str(folder / "tensorboard"), purge_step=first_epoch)

    def write(self, row: Mapping[str, Any]) -> None:
        for name, value in _numbers(row).items():
            self._writer.add_scalar(name, value, row["epoch"])
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()


class _WandB:
    def __init__(self, folder: Path, identity: Mapping[str, Any]) -> None:
        wandb: Any = require("wandb", extra="wandb")
        self._run = wandb.init(
            project="humanclap",
            name=folder.name,
            dir=str(folder),
            config=dict(identity),
            resume="allow",
        )

    def write(self, row: Mapping[str, Any]) -> None:
        self._run.log(_numbers(row), step=row["epoch"])

    def close(self) -> None:
        self._run.finish()


def _numbers(row: Mapping[str, Any]) -> dict[str, float]:
    return {
        name: float(value)
        for name, value in row.items()
        if isinstance(value, (int, float)) and math.isfinite(value)
    }


@contextmanager
def reporters(
    names: Sequence[str], folder: Path, identity: Mapping[str, Any], *, first_epoch: int
) -> Iterator[list[Reporter]]:
    """Open the reporters of these names and close them at the end of the block.

    first_epoch: of the rows to come; what TensorBoard holds from there on is replaced. Raises
    SettingsError for an unknown name, MissingExtraError where a package is not installed.
    """
    opened: list[Reporter] = []
    try:
        for name in names:
            if name == "tensorboard":
                opened.append(_TensorBoard(folder, first_epoch))
            elif name == "wandb":
                opened.append(_WandB(folder, identity))
            else:
                raise SettingsError(f"{name!r}: no such log; expected {' or '.join(REPORTERS)}")
        yield opened
    finally:
        for reporter in opened:
            reporter.close()
