"""The run folder: what identifies the run, its log, and the state from which it goes on."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from humanclap.clap.checkpoint_files import RUN_CHECKPOINT
from humanclap.errors import CheckpointError, SettingsError, naming_file
from humanclap.files import atomic_writer
from humanclap.tables import write_rows

IDENTITY_FILE = "run.json"
STATE_FILE = "state.pt"
LOG_FILE = "log.csv"


@dataclass(slots=True, kw_only=True)
class RunState:
    """Everything that changes from epoch to epoch.

    epoch: epochs done; step: optimiser steps done; weights, best_weights: what learns, by name,
    with the buffers; best_figure: what the best epoch was chosen by; log: one row per epoch, epoch
    0 = before training; average: the EMA's weights; listeners: biases and scales; best: the best
    epochs for the soup, each with its figure, epoch and weights, best first.
    """

    epoch: int = 0
    step: int = 0
    best_epoch: int = 0
    best_figure: float = float("nan")
    weights: dict[str, Tensor] = field(default_factory=dict)
    best_weights: dict[str, Tensor] = field(default_factory=dict)
    optimizer: dict[str, Any] = field(default_factory=dict)
    log: list[dict[str, Any]] = field(default_factory=list)
    average: dict[str, Tensor] = field(default_factory=dict)
    listeners: dict[str, Tensor] = field(default_factory=dict)
    best: list[dict[str, Any]] = field(default_factory=list)


def learned_weights(module: nn.Module) -> dict[str, Tensor]:
    """Copies, on the CPU, of the parameters that learn and of all buffers a state_dict holds."""
    frozen = {name for name, item in module.named_parameters() if not item.requires_grad}
    return {
        name: tensor.detach().cpu().clone()
        for name, tensor in module.state_dict().items()
        if name not in frozen
    }


def put_weights(module: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Inverse of `learned_weights`."""
    unexpected = module.load_state_dict(dict(weights), strict=False).unexpected_keys
    if unexpected:
        raise CheckpointError(f"saved weights do not fit the model: {', '.join(unexpected[:3])}")


class RunFolder:
    """A folder that belongs to one training run.

    identity: settings, data and model; a run is resumed only with an equal one.
    """

    def __init__(self, directory: Path, identity: Mapping[str, Any]) -> None:
        self.directory = directory
        self.identity = json.loads(json.dumps(identity))

    @property
    def checkpoint(self) -> Path:
        """Where the trained model is saved."""
        return self.directory / RUN_CHECKPOINT

    def open(self, *, resume: bool, overwrite: bool) -> RunState | None:
        """Claim the folder; returns the state to go on from, None for a fresh start.

        Raises SettingsError where the folder holds another run or something else, CheckpointError
        where its state is damaged.
        """
        if self.directory.exists() and not self.directory.is_dir():
            raise SettingsError(f"{self.directory}: is a file; --output names a folder")
        if self.directory.exists() and not self._is_unclaimed():
            if not (self.directory / IDENTITY_FILE).is_file():
                raise SettingsError(
                    f"{self.directory}: exists and is no training run; choose another --output"
                )
            if overwrite:
                shutil.rmtree(self.directory)
            elif resume:
                self.check_same_run()
                return self._read_state()
            else:
                raise SettingsError(
                    f"{self.directory}: holds a training run; go on with --resume or start anew "
                    "with --overwrite"
                )
        self.directory.mkdir(parents=True, exist_ok=True)
        with atomic_writer(self.directory / IDENTITY_FILE) as file:
            file.write(json.dumps(self.identity, indent=2, ensure_ascii=False) + "\n")
        return None

    def _is_unclaimed(self) -> bool:
        """Empty, or with nothing but the identity that a killed process was about to write."""
        return all(one.name.startswith(f".{IDENTITY_FILE}.") for one in self.directory.iterdir())

    def check_same_run(self) -> None:
        """Raise SettingsError where the folder holds another run, naming what differs."""
        path = self.directory / IDENTITY_FILE
        try:
            saved = json.loads(path.read_text(encoding="utf-8"))
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise CheckpointError(f"{path}: damaged JSON ({error})") from error
        then, now = flat(saved), flat(self.identity)
        unlike = sorted(key for key in {*then, *now} if then.get(key) != now.get(key))
        if unlike:
            named = "; ".join(f"{key} was {then.get(key)!r}, is {now.get(key)!r}" for key in unlike)
            raise SettingsError(f"{self.directory}: cannot resume, this is another run: {named}")

    def _read_state(self) -> RunState | None:
        path = self.directory / STATE_FILE
        if not path.is_file():
            if self.checkpoint.is_dir():
                raise SettingsError(
                    f"{self.directory}: this run is complete (its model: {self.checkpoint}); "
                    "start anew with --overwrite"
                )
            return None
        try:
            return RunState(**torch.load(path, map_location="cpu", weights_only=True))
        except Exception as error:  # the unpickler fails in any way on bytes that are not its own
            raise CheckpointError(
                f"{path}: damaged ({error}); start anew with --overwrite"
            ) from error

    def save(self, state: RunState) -> None:
        """Write state and log; each appears whole or not at all."""
        temporary = self.directory / f".{STATE_FILE}"
        with naming_file(self.directory / STATE_FILE), open(temporary, "wb") as file:
            torch.save({name: getattr(state, name) for name in RunState.__slots__}, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self.directory / STATE_FILE)
        write_rows(self.directory / LOG_FILE, list(state.log[0]), state.log)

    def finish(self) -> None:
        """Delete the state, which only a resumed run needs."""
        (self.directory / STATE_FILE).unlink(missing_ok=True)


def flat(nested: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """A nested mapping as one of single values.

    >>> flat({"settings": {"epochs": 2}, "note": ""})
    {'settings.epochs': 2, 'note': ''}
    """
    found: dict[str, Any] = {}
    for key, value in nested.items():
        if isinstance(value, Mapping):
            found.update(flat(value, f"{prefix}{key}."))
        else:
            found[f"{prefix}{key}"] = value
    return found
