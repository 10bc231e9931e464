"""CLAPs of other packages: found by entry point, then scored, trained and saved like ours.

A package that declares, in its pyproject.toml,

    [project.entry-points."humanclap.models"]
    their-clap = "their_package:TheirCLAP"

makes `their-clap` a name of a model. `TheirCLAP` is a `Backbone` whose `kind` is that name, with a
classmethod `from_pretrained(folder, *, offline)`: folder is None for the model as published, else
a folder that its `save_pretrained` wrote. `PluginCLAP` brings all but the two encoders.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Sequence
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from humanclap.audio.window import Fill
from humanclap.clap.backbone import Backbone, BackboneModule, fingerprint_of
from humanclap.clap.published.registry import PLUGIN_GROUP
from humanclap.clap.text_account import TextAccount
from humanclap.errors import CheckpointError

_WEIGHTS = "model.safetensors"


class PluginCLAP(BackboneModule):
    """What a model of another package needs to be a `Backbone`, but for its two encoders.

    A subclass sets the class attributes, calls `super().__init__()`, keeps its networks as
    attributes and writes `embed_audio` and `embed_text` (see `Backbone`). It overrides
    `text_accounts` where its tokenizer can tell what is cut or not known, and `settings` where more
    than its weights makes an embedding.
    """

    kind: ClassVar[str]
    """The entry point's name."""
    sample_rate: ClassVar[int]
    window_s: ClassVar[float]
    embedding_dim: ClassVar[int]
    fill: ClassVar[Fill] = "repeat"

    def __init__(self) -> None:
        super().__init__()
        self.log_logit_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))  # CLIP's start

    @property
    def name(self) -> str:
        """Short name for signatures."""
        return self.kind

    @classmethod
    def from_pretrained(cls, folder: Path | None, *, offline: bool = False) -> Self:
        """The model as published where folder is None, else with the weights of a saved one."""
        model = cls()
        if folder is not None:
            model.load_state_dict(load_file(folder / _WEIGHTS), strict=True)
        return model.eval()

    def save_pretrained(self, directory: Path, *, whole: bool = True) -> None:
        """Write every weight as safetensors."""
        tensors = {name: item.contiguous().clone() for name, item in self.state_dict().items()}
        save_file(tensors, Path(directory) / _WEIGHTS)

    def settings(self) -> dict[str, Any]:
        """Whatever makes an embedding beside the weights, for the fingerprint; JSON values."""
        return {
            "kind": self.kind,
            "sample_rate": self.sample_rate,
            "window_s": self.window_s,
            "fill": self.fill,
        }

    def fingerprint(self) -> str:
        """8 hex digits over the settings and the weights (as float32); computed on each call."""
        return fingerprint_of(self.settings(), self)

    def text_accounts(self, texts: Sequence[str]) -> list[TextAccount]:
        """Every word taken as one piece that is read: all that is known without a tokenizer."""
        counts = [len(text.split()) for text in texts]
        return [TextAccount(pieces=n, cut=0, unread=0.0, words=n, broken=0) for n in counts]

    @property
    def logit_scale(self) -> Tensor:
        """Scalar, after exp; learned in training."""
        return self.log_logit_scale.exp()


def plugin_names() -> list[str]:
    """Names of models that installed packages offer."""
    return sorted(entry_points(group=PLUGIN_GROUP).names)


def load_plugin(name: str, *, folder: Path | None = None, offline: bool = False) -> Backbone:
    """The model that an installed package offers under this name; see the head of this module.

    folder: of a saved checkpoint, None for the model as published. offline: use the network for
    nothing. Raises CheckpointError naming the package where two offer the name, where it cannot be
    imported or loaded, or where what it gives is no `Backbone` of that kind.
    """
    entry = _entry(name)
    package = _package(entry)
    try:
        model = entry.load().from_pretrained(folder, offline=offline)
    except Exception as error:  # code of others may raise anything
        raise CheckpointError(
            f"{name}: the plug-in of {package} cannot load it ({type(error).__name__}: {error})"
        ) from error
    absent = [part for part in _parts() if not hasattr(model, part)]
    if absent:
        raise CheckpointError(
            f"{name}: what the plug-in of {package} gives is no model; it lacks {', '.join(absent)}"
        )
    if model.kind != name:
        raise CheckpointError(
            f"{name}: the model of {package} calls its kind {model.kind!r}; expected the name of "
            "its entry point"
        )
    found: Backbone = model
    return found


def _entry(name: str) -> EntryPoint:
    found = {
        (entry.value, _package(entry)): entry
        for entry in entry_points(group=PLUGIN_GROUP, name=name)
    }
    if len(found) != 1:
        packages = ", ".join(sorted(package for _, package in found))
        raise CheckpointError(
            f"{name}: offered by {packages}; uninstall all but one"
            if found
            else f"{name}: no installed package offers this model"
        )
    return next(iter(found.values()))


def _package(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist is not None else entry.value


def _parts() -> list[str]:
    """Names of the members of a `Backbone`."""
    public = {name for name in vars(Backbone) if not name.startswith("_")}
    return sorted(public | set(inspect.get_annotations(Backbone)))
