"""Other ways to run the audio tower of a transformers CLAP: OpenVINO, ONNX Runtime, 8-bit products.

For another engine the tower is exported once and kept in the user's cache folder, under the model's
fingerprint and the versions of the exporting packages. Torch still computes the front end and the
texts, in float32 or bfloat16.
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
from humanclap.clap.device import Precision
from humanclap.clap.encoders import MOST_WORKERS, Encode
from humanclap.clap.hf import features_of
from humanclap.clap.htsat import HTSAT, ByteProduct, one_by_one, runs_here
from humanclap.download.cache import cache_folder
from humanclap.errors import SettingsError
from humanclap.extras import require

Engine = Literal["torch", "openvino", "onnxruntime"]
PRECISIONS: dict[Engine, tuple[Precision, ...]] = {
    "torch": ("fp32", "bf16", "int8"),
    "openvino": ("fp32", "bf16"),
    "onnxruntime": ("fp32",),
}
"""The precisions that each engine offers."""
_EXPORT = 1
"""Version of the way of exporting; part of the folder's name."""
_OPSET = 17


def audio_encoder(backbone: Backbone, engine: Engine, precision: Precision) -> Encode:
    """What embeds windows under an engine, of the weights as they are now.

    torch: the backbone's `embed_audio`; at int8 its HTSAT with 8-bit products. openvino,
    onnxruntime: exported at first use, which takes half a minute, then read from the cache. They
    compute as many windows at once as torch has threads, each on one thread. Raises SettingsError
    for a precision that the engine lacks. All but torch's fp32 and bf16 also raise it for a
    backbone that is no transformers CLAP or not on the CPU. Raises MissingExtraError without the
    engine.
    """
    if precision not in PRECISIONS[engine]:
        raise SettingsError(
            f"engine {engine} has no precision {precision}; expected one of "
            f"{', '.join(PRECISIONS[engine])}"
        )
    if engine == "torch" and precision != "int8":
        return backbone.embed_audio
    if backbone.kind != "hf" or backbone.logit_scale.device.type != "cpu":
        asked = "precision int8" if engine == "torch" else f"engine {engine}"
        remedy = "take --precision fp32" if engine == "torch" else "leave --engine away"
        raise SettingsError(
            f"{asked} runs transformers CLAPs on the CPU; {backbone.name} is of kind "
            f"{backbone.kind!r} on {backbone.logit_scale.device.type}: {remedy}"
        )
    if engine == "torch":
        return _InBytes(backbone)
    return _OnOpenVINO(backbone, precision) if engine == "openvino" else _OnONNX(backbone)


def engine_version(engine: Engine) -> str:
    """The engine and its version; changes where a digit may."""
    module: Any = torch if engine == "torch" else require(engine, extra=engine)
    return f"{engine} {module.__version__}"


class _InBytes:
    """The audio tower with 8-bit products; the projection stays in float32."""

    def __init__(self, backbone: Any) -> None:
        encoder = backbone.model.audio_model.audio_encoder
        if not runs_here(encoder):
            raise SettingsError(
                f"precision int8 runs HTSAT as LAION built it; {backbone.name} has other parts "
                "(adapters, sizes): take --precision fp32"
            )
        self._backbone = backbone
        self._tower = HTSAT(encoder, ByteProduct)

    def __call__(self, waveforms: Tensor) -> Tensor:
        pooled = self._tower(self._backbone.spectrogram(waveforms))
        return one_by_one(self._backbone.project_audio, pooled)


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

        def write(path: Path) -> None:
            openvino.save_model(_exported_openvino(backbone, openvino), path, False)

        version = openvino.__version__.split("-")[0]
        network = _kept(backbone, "openvino", version, "audio.xml", write)
        self._compiled: Any = openvino.Core().compile_model(network, "CPU", settings)
        self._own = threading.local()

    def __call__(self, waveforms: Tensor) -> Tensor:
        mels = self._backbone.spectrogram(waveforms)
        if not hasattr(self._own, "request"):
            self._own.request = self._compiled.create_infer_request()
        found = self._own.request.infer([mels.numpy()])[0]
        return F.normalize(torch.from_numpy(found.copy()).float(), dim=-1)


class _OnONNX:
    """The audio tower of a transformers CLAP in ONNX Runtime."""

    def __init__(self, backbone: Backbone) -> None:
        runtime: Any = require("onnxruntime", extra="onnxruntime")
        require("onnx", extra="onnxruntime")  # what torch exports with
        self._backbone: Any = backbone
        network = _kept(
            backbone,
            "onnxruntime",
            runtime.__version__,
            "audio.onnx",
            lambda path: _write_onnx(backbone, path),
        )
        options: Any = runtime.SessionOptions()
        # a batch runs in the thread that brings it: its digits do not depend on their number
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session: Any = runtime.InferenceSession(
            network, options, providers=["CPUExecutionProvider"]
        )

    def __call__(self, waveforms: Tensor) -> Tensor:
        mels = self._backbone.spectrogram(waveforms)
        (found,) = self._session.run(None, {"mels": mels.numpy()})
        return F.normalize(torch.from_numpy(found).float(), dim=-1)


class _AudioTower(nn.Module):
    """What is exported: spectrograms (batch, 1, frames, n_mels) to features of any length."""

    def __init__(self, backbone: Any) -> None:
        super().__init__()
        self.model = backbone.model

    def forward(self, mels: Tensor) -> Tensor:
        not_longer = torch.zeros(len(mels), 1, dtype=torch.bool)
        return features_of(self.model.get_audio_features(input_features=mels, is_longer=not_longer))


def _kept(
    backbone: Any, engine: Engine, version: str, file: str, write: Callable[[Path], None]
) -> Path:
    """The exported network's file; made by `write` where it is not there."""
    transformers: Any = require("transformers", extra="hf")
    versions = f"{version}-{torch.__version__}-{transformers.__version__}"
    folder = cache_folder() / engine / f"{backbone.fingerprint()}-{_EXPORT}-{versions}"
    if not (folder / file).exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(dir=folder.parent, prefix="part-"))
        try:
            write(made / file)
            try:
                os.rename(made, folder)  # noqa: PTH104 - in one step, by whoever is first
            except OSError:
                if not (folder / file).exists():
                    raise
        finally:
            shutil.rmtree(made, ignore_errors=True)
    return folder / file


def _exported_openvino(backbone: Any, openvino: Any) -> Any:
    mels = _silence(backbone)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tracer's, of branches on fixed sizes
        shape = openvino.PartialShape([-1, *mels.shape[1:]])
        tower = _AudioTower(backbone).eval()
        return openvino.convert_model(tower, example_input=mels, input=[shape])


def _write_onnx(backbone: Any, path: Path) -> None:
    mels = _silence(backbone)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tracer's, and that torch has a newer exporter
        torch.onnx.export(
            _AudioTower(backbone).eval(),
            (mels,),
            str(path),
            input_names=["mels"],
            output_names=["features"],
            dynamic_axes={"mels": {0: "batch"}, "features": {0: "batch"}},
            opset_version=_OPSET,
            dynamo=False,  # the newer one needs a further package, and gives the same network
        )


def _silence(backbone: Any) -> Tensor:
    """Spectrograms of two silent windows."""
    with torch.no_grad():
        mels: Tensor = backbone.spectrogram(torch.zeros(2, backbone.window_samples))
    return mels
