"""A transformers ClapModel and its processor from their files, each checked before it is used."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import Tensor

from humanclap.audio.window import Fill
from humanclap.clap.checkpoint_files import read_json
from humanclap.clap.hub import processor_folder
from humanclap.errors import CheckpointError
from humanclap.extras import require

FILLS: dict[str, Fill] = {"repeatpad": "repeat", "pad": "zero"}
"""A feature extractor's name for how short clips are filled -> ours."""


def load_model(folder: Path) -> Any:
    """The `ClapModel` of a folder; CheckpointError where it is damaged, incomplete or no CLAP."""
    transformers: Any = require("transformers", extra="hf")
    if (kind := read_json(folder / "config.json").get("model_type")) != "clap":
        raise CheckpointError(f"{folder}: a model of type {kind!r}; expected 'clap'")
    with _loading(folder), no_bars():
        model, info = transformers.ClapModel.from_pretrained(
            folder, local_files_only=True, output_loading_info=True
        )
    _check_complete(folder, model, info)
    return model


def model_of(configuration: dict[str, Any], weights: dict[str, Tensor], file: Path) -> Any:
    """A `ClapModel` of weights by its names; see `HFCLAP.from_weights`."""
    transformers: Any = require("transformers", extra="hf")
    with _loading(file), no_bars(), _no_report():
        model, info = transformers.ClapModel.from_pretrained(
            None,
            config=transformers.ClapConfig(**configuration),
            state_dict=weights,
            output_loading_info=True,
        )
    _check_complete(file, model, info)
    if left_over := sorted(info["unexpected_keys"]):
        raise CheckpointError(
            f"{file}: {len(left_over)} weights have no place in a ClapModel, for example "
            f"{left_over[0]}"
        )
    return model


def load_processor(folder: Path, model: Any, *, processor: str | Path | None, offline: bool) -> Any:
    """The `ClapProcessor` for a model; see `hub.processor_folder`."""
    source = processor_folder(
        folder,
        fused=model.config.audio_config.enable_fusion,
        processor=processor,
        offline=offline,
    )
    transformers: Any = require("transformers", extra="hf")
    with _loading(source):
        return transformers.ClapProcessor.from_pretrained(source, local_files_only=True)


def check_belonging(config: Any, processor: Any, name: str) -> None:
    """Raise CheckpointError where a processor does not fit the model's configuration."""
    audio, extractor = config.audio_config, processor.feature_extractor
    if len(processor.tokenizer) > config.text_config.vocab_size:
        raise CheckpointError(
            f"{name}: the tokenizer has {len(processor.tokenizer)} tokens, the model knows "
            f"{config.text_config.vocab_size}; they are of different models"
        )
    if extractor.padding not in FILLS:
        raise CheckpointError(
            f"{name}: padding {extractor.padding!r} of its preprocessor_config.json is not "
            f"supported; expected one of {', '.join(FILLS)}"
        )
    if extractor.truncation == "fusion" and not audio.enable_fusion:
        raise CheckpointError(
            f"{name}: the processor is of a fused checkpoint, the model is not; give "
            "processor='laion/clap-htsat-unfused'"
        )
    if extractor.feature_size != audio.num_mel_bins:
        raise CheckpointError(
            f"{name}: the processor makes {extractor.feature_size} mel bands, the model takes "
            f"{audio.num_mel_bins}"
        )
    frames = round(extractor.max_length_s * extractor.sampling_rate) // extractor.hop_length + 1
    longest = audio.spec_size * (audio.spec_size // audio.num_mel_bins)
    if frames > longest:
        raise CheckpointError(
            f"{name}: the processor makes {frames} frames, the model takes at most {longest}"
        )


@contextmanager
def _loading(folder: Path) -> Iterator[None]:
    """Turn any failure inside transformers, of whatever kind, into a CheckpointError."""
    try:
        yield
    except Exception as error:
        raise CheckpointError(
            f"{folder}: transformers cannot load it ({type(error).__name__}: {error}); is the "
            "copy complete and undamaged?"
        ) from error


@contextmanager
def no_bars() -> Iterator[None]:
    """Without transformers' progress bars: the work takes a second, and --quiet forbids them."""
    log: Any = require("transformers.utils.logging", extra="hf")
    shown = log.is_progress_bar_enabled()
    log.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            log.enable_progress_bar()


@contextmanager
def _no_report() -> Iterator[None]:
    """Without transformers' table of missing buffers, which are made and not learned."""
    log: Any = require("transformers.utils.logging", extra="hf")
    level = log.get_verbosity()
    log.set_verbosity_error()
    try:
        yield
    finally:
        log.set_verbosity(level)


def _check_complete(folder: Path, model: Any, info: dict[str, Any]) -> None:
    """Refuse absent weights: transformers would leave them random and go on."""
    buffers = {
        name for name, tensor in model.state_dict().items() if not tensor.is_floating_point()
    }
    missing = sorted(set(info["missing_keys"]) - buffers)
    if missing:
        raise CheckpointError(
            f"{folder}: {len(missing)} weights are missing, for example {missing[0]}; is it a "
            "whole ClapModel?"
        )
