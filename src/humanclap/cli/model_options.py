"""Options of the commands that load a model to score with, and the model that they choose."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

import click

from humanclap.cli.console import (
    MODEL_HELP,
    Command,
    device_option,
    model_options,
    options,
    progress_bar,
)

if TYPE_CHECKING:
    from humanclap.clap.checkpoint import Checkpoint
    from humanclap.scoring.scorer import HumanCLAP
    from humanclap.scoring.settings import ScoringSettings

    _Scorer = TypeVar("_Scorer", bound=HumanCLAP)


def chosen_model(purpose: str) -> Callable[[Command], Command]:
    """Add --model, and the options of loading it and of the device; `ChosenModel` takes them.

    purpose: what the command does with the model, such as "score with".
    """
    said = f"Model to {purpose}: {MODEL_HELP}"
    model = click.option("-m", "--model", default="mini", help=said)
    return options(model, model_options, device_option)


engine_options = options(
    click.option(
        "--precision",
        type=click.Choice(["fp32", "bf16", "int8"]),
        default="fp32",
        help="Precision of the model's arithmetic (int8: of a transformers CLAP's audio tower, on "
        "the CPU; compare by humanclap bench); part of the signature.",
    ),
    click.option(
        "--engine",
        type=click.Choice(["torch", "openvino", "onnxruntime"]),
        default="torch",
        help="What runs a transformers CLAP's audio tower (the others: humanclap[openvino], "
        "humanclap[onnxruntime], on the CPU; compare by humanclap bench); part of the signature.",
    ),
)
"""--precision and --engine, which are part of the signature of scores."""


def threads_option(default: str = "torch's choice") -> Callable[[Command], Command]:
    """Add --threads; default: in words, what holds without it."""
    return click.option(
        "--threads",
        type=click.IntRange(min=1),
        help=f"Number of CPU threads.  [default: {default}]",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenModel:
    """A model and how to run it, as the command line names them.

    Commands without --precision or --engine run torch in float32.
    """

    model: str
    mn04: Path | None
    offline: bool
    revision: str | None
    processor: str | None
    device: str
    precision: str = "fp32"
    engine: str = "torch"

    @classmethod
    def taken_from(cls, given: dict[str, Any]) -> Self:
        """Take these options out of the parameters of a command."""
        names = [field.name for field in fields(cls) if field.name in given]
        return cls(**{name: given.pop(name) for name in names})

    @property
    def access(self) -> dict[str, Any]:
        """What loading takes beside the model's name."""
        names = ("mn04", "offline", "revision", "processor")
        return {name: getattr(self, name) for name in names}

    def settings(self, **more: Any) -> ScoringSettings:
        """Settings of a scorer; more: further fields."""
        from humanclap.scoring.settings import ScoringSettings

        return ScoringSettings(
            device=self.device,
            precision=self.precision,  # type: ignore[arg-type]
            engine=self.engine,  # type: ignore[arg-type]
            **more,
        )

    def scorer(self, kind: type[_Scorer], *, quiet: bool, **more: Any) -> _Scorer:
        """The loaded model as a scorer; more: further fields of its settings."""
        with progress_bar("fetching", quiet=quiet) as progress:
            return kind.from_pretrained(
                self.model, settings=self.settings(**more), progress=progress, **self.access
            )

    def checkpoint(self, *, quiet: bool) -> Checkpoint:
        """The loaded model, without settings."""
        from humanclap.clap.checkpoint import load_checkpoint

        with progress_bar("fetching", quiet=quiet) as progress:
            return load_checkpoint(self.model, progress=progress, **self.access)
