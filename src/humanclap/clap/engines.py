"""Other engines for the audio tower of a transformers CLAP: OpenVINO on the CPU.

The tower is exported once and kept in the user's cache folder, by the fingerprint of the model and
the versions of what exported it. The front end and texts stay with torch.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from humanclap.clap.backbone import Backbone
from humanclap.clap.encoders import MOST_WORKERS
from humanclap.download.cache import cache_folder
from humanclap.errors import SettingsError
from humanclap.extras import require

Engine = Literal["torch", "openvino"]
_NETWORK = "audio.xml"
_EXPORT = 1
"""Of the way of exporting; part of the folder's name."""


def audio_encoder(
    backbone: Backbone, engine: Engine, precision: Literal["fp32", "bf16"]
) -> Callable[[Tensor], Tensor]:
    """What embeds windows under an engine: (batch, samples) to (batch, embedding_dim), unit length.

    torch: the backbone's own `embed_audio`. openvino: exported at first use, which takes half a
    minute, then read from the cache; as many windows at once as torch has threads, each on one.
    Raises SettingsError for a backbone that is no transformers CLAP or not on the CPU,
    MissingExtraError without OpenVINO.
    """
    if engine == "torch":
        return backbone.embed_audio
    if backbone.kind != "hf" or backbone.logit_scale.device.type != "cpu":
        raise SettingsError(
            f"engine openvino runs transformers CLAPs on the CPU; {backbone.name} is of kind "
            f"{backbone.kind!r} on {backbone.logit_scale.device.type}: leave --engine away"
        )
    return _OnOpenVINO(backbone, precision)


def engine_version(engine: Engine) -> str:
    """The engine and its version; changes where a digit may."""
    if engine == "torch":
        return f"torch {torch.__version__}"
    openvino: Any = require("openvino", extra="openvino")
    return f"openvino {openvino.__version__}"


class _OnOpenVINO:
    """The audio tower of a transformers CLAP, compiled."""

    def __init__(self, backbone: Backbone, precision: str) -> None:
        openvino: Any = require("openvino", extra="openvino")
        self._backbone: Any = backbone
        threads = min(MOST_WORKERS, torch.get_num_threads())
        # a thread to a stream: a batch's digits then do not depend on the number of threads
        settings = {
            "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
            "NUM_STREAMS": threads,
            "INFERENCE_NUM_THREADS": threads,
        }
        network = _kept(backbone, openvino)
        self._compiled: Any = openvino.Core().compile_model(network, "CPU", settings)
        self._own = threading.local()

    def __call__(self, waveforms: Tensor) -> Tensor:
        mels = self._backbone.spectrogram(waveforms)
        if not hasattr(self._own, "request"):
            self._own.request = self._compiled.create_infer_request()
        found = self._own.request.infer([mels.numpy()])[0]
        return F.normalize(torch.from_numpy(found.copy()).float(), dim=-1)


class _AudioTower(nn.Module):
    """What is exported: spectrograms (batch, 1, frames, n_mels) to features of any length."""

    def __init__(self, backbone: Any) -> None:
        super().__init__()
        self.model = backbone.model

    def forward(self, mels: Tensor) -> Tensor:
        not_longer = torch.zeros(len(mels), 1, dtype=torch.bool)
        found = self.model.get_audio_features(input_features=mels, is_longer=not_longer)
        features: Tensor = found if isinstance(found, Tensor) else found.pooler_output
        return features


def _kept(backbone: Any, openvino: Any) -> Path:
    """The exported network's file; made where it is not there."""
    transformers: Any = require("transformers", extra="hf")
    versions = (
        f"{openvino.__version__.split('-')[0]}-{torch.__version__}-{transformers.__version__}"
    )
    name = f"{backbone.fingerprint()}-{_EXPORT}-{versions}"
    folder = cache_folder() / "openvino" / name
    if not (folder / _NETWORK).exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(dir=folder.parent, prefix="part-"))
        try:
            openvino.save_model(_exported(backbone, openvino), made / _NETWORK, False)
            try:
                os.rename(made, folder)  # noqa: PTH104 - in one step, by whoever is first
            except OSError:
                if not (folder / _NETWORK).exists():
                    raise
        finally:
            shutil.rmtree(made, ignore_errors=True)
    return folder / _NETWORK


def _exported(backbone: Any, openvino: Any) -> Any:
    silence = torch.zeros(2, backbone.window_samples)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tracer's, of branches on fixed sizes
        mels = backbone.spectrogram(silence)
        shape = openvino.PartialShape([-1, *mels.shape[1:]])
        tower = _AudioTower(backbone).eval()
        return openvino.convert_model(tower, example_input=mels, input=[shape])
