"""Checkpoint files of LAION's own CLAP (`630k-audioset-best.pt` and its kin) as a backbone.

They hold an HTSAT and a RoBERTa under other names than transformers' ClapModel does; architecture
and size are read off the shapes of the weights. Source of the names: the state_dict of `laion_clap`
1.1.7 (Wu et al. 2023, arXiv 2211.06687) and that of transformers' ClapModel.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from pickle import UnpicklingError
from typing import Any
from zipfile import is_zipfile

import numpy as np
import torch
from torch import Tensor

from humanclap.clap.hf import HFCLAP
from humanclap.errors import CheckpointError

LAYER_NORM_EPS = 1e-5
"""Of RoBERTa and HTSAT in `laion_clap`; transformers' ClapTextConfig has 1e-12 by default."""

_HEAD_WIDTH = 64  # of RoBERTa, base and large
_PATCH = "audio_branch.patch_embed.proj.weight"
_WORDS = "text_branch.embeddings.word_embeddings.weight"
_BLOCK = "audio_branch.layers.{}.blocks.{}."
_TEXT_LAYER = "text_branch.encoder.layer.{}."

_RENAMED = (
    (r"audio_branch\.bn0\.", "audio_model.audio_encoder.batch_norm."),
    (r"audio_branch\.", "audio_model.audio_encoder."),
    (r"text_branch\.", "text_model."),
    (r"_projection\.0\.", "_projection.linear1."),
    (r"_projection\.2\.", "_projection.linear2."),
    (r"(\.blocks\.\d+\.)norm1\.", r"\1layernorm_before."),
    (r"(\.blocks\.\d+\.)norm2\.", r"\1layernorm_after."),
    (r"(\.blocks\.\d+\.)attn\.proj\.", r"\1attention.output.dense."),
    (r"(\.blocks\.\d+\.)attn\.", r"\1attention.self."),
    (r"(\.blocks\.\d+\.)mlp\.fc1\.", r"\1intermediate.dense."),
    (r"(\.blocks\.\d+\.)mlp\.fc2\.", r"\1output.dense."),
)
_UNUSED = re.compile(
    r"audio_branch\.(spectrogram_extractor|logmel_extractor|tscam_conv|head)\."  # tags, front end
    r"|(audio|text)_transform\."  # LAION's extra heads, no part of an embedding
    r"|text_branch\.embeddings\.(position_ids|token_type_ids)$"  # counted, not learned
    r"|audio_branch\.layers\.\d+\.blocks\.\d+\.(attn_mask|attn\.relative_position_index)$"
)
_PARTS = re.compile(r"(audio|text)_(branch|projection)\.|logit_scale_[at]$")


def load_laion(
    file: str | Path, *, processor: str | Path | None = None, offline: bool = False
) -> HFCLAP:
    """Load a checkpoint file that LAION's training wrote, as float32, in eval mode.

    It may hold an HTSAT (tiny, base, large), fused by `aff_2d` or not, and a RoBERTa. The model has
    the name of the file. No code in the file is run (`weights_only`), and anything else in it, such
    as the state of the optimiser, is ignored. processor: folder or hub id of tokenizer and feature
    extractor; None: the one beside the file, else that of `laion/clap-htsat-fused` or `-unfused`.
    offline: use the hub's local cache only. Raises CheckpointError with the reason where it is no
    such file.
    """
    file = Path(file)
    state = read_state(file)
    clap = HFCLAP.from_weights(
        configuration(state, file=file),
        transformers_names(state, file=file),
        file=file,
        processor=processor,
        offline=offline,
    )
    _check_front_end(state, clap, file)
    return clap


def read_state(file: Path) -> dict[str, Tensor]:
    """The weights in a checkpoint file by LAION's names; without running what else may be in it."""
    if not file.is_file():
        raise CheckpointError(f"{file}: no such file")
    try:
        content = _load(file)
    except Exception as error:  # torch raises of many kinds
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise CheckpointError(
            f"{file}: cannot be read as a file of weights ({reason}); expected a checkpoint of "
            "LAION's CLAP such as 630k-audioset-best.pt, complete and undamaged"
        ) from error
    state = content.get("state_dict", content) if isinstance(content, dict) else {}
    state = {
        str(name).removeprefix("module."): tensor
        for name, tensor in (state.items() if isinstance(state, Mapping) else ())
        if isinstance(tensor, Tensor)
    }
    if not state:
        raise CheckpointError(f"{file}: holds no weights; expected a checkpoint of LAION's CLAP")
    return state


def _load(file: Path) -> Any:
    """The content of a torch file; a zip, the format since 2020, is mapped and not read whole.

    LAION's training left numpy numbers beside the weights. They run no code, and are allowed where
    torch has a list of allowed types (2.6 and later).
    """
    load = partial(torch.load, map_location="cpu", weights_only=True, mmap=is_zipfile(file))
    try:
        return load(file)
    except UnpicklingError:
        scalar = np.float64(0).__reduce__()[0]
        kinds = (type(np.dtype(name)) for name in ("float64", "float32", "int64", "bool"))
        names = ("numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar")
        known: list[Any] = [np.dtype, *kinds, *((scalar, name) for name in names)]
        with torch.serialization.safe_globals(known):
            return load(file)


def configuration(state: Mapping[str, Tensor], *, file: Path) -> dict[str, Any]:
    """Settings of the ClapConfig whose model has weights of these shapes.

    Raises CheckpointError for other encoders (PANN, BERT, BART, ...) and other kinds of fusion.
    """
    try:
        _check_kind(state, file)
        return {
            "projection_dim": len(state["audio_projection.0.bias"]),
            "audio_config": _audio_settings(state),
            "text_config": _text_settings(state),
        }
    except KeyError as error:
        raise CheckpointError(
            f"{file}: weights are missing, for example {error.args[0]}; is it a whole checkpoint?"
        ) from error


def _check_kind(state: Mapping[str, Tensor], file: Path) -> None:
    problem = None
    if not any(_PARTS.match(name) for name in state):
        problem = f"its weights (such as {next(iter(state))}) are those of something else"
    elif _PATCH not in state:
        problem = "its audio branch is no HTSAT"
    elif _WORDS not in state:
        problem = "its text branch is no RoBERTa"
    elif len(state["text_branch.embeddings.token_type_embeddings.weight"]) != 1:
        problem = "its text branch is BERT, no RoBERTa"
    elif any(".fusion_model.local_att2." in name for name in state) or (
        state[_PATCH].shape[1] != 1 or any(".mel_conv1d." in name for name in state)
    ):
        problem = "its kind of fusion is not aff_2d"
    if problem:
        raise CheckpointError(
            f"{file}: {problem}; expected a CLAP of LAION with HTSAT and RoBERTa, fused by aff_2d "
            "or not"
        )


def _audio_settings(state: Mapping[str, Tensor]) -> dict[str, Any]:
    depths: list[int] = []
    while blocks := _count(state, _BLOCK.format(len(depths), "{}") + "norm1.weight"):
        depths.append(blocks)
    tables = [
        state[_BLOCK.format(layer, 0) + "attn.relative_position_bias_table"]
        for layer in range(len(depths))
    ]
    wide, narrow = state[_BLOCK.format(0, 0) + "mlp.fc1.weight"].shape
    width, _, patch, _ = state[_PATCH].shape
    fused = "audio_branch.patch_embed.mel_conv2d.weight" in state
    return {
        "patch_embeds_hidden_size": width,
        "patch_size": patch,
        "patch_stride": [patch, patch],
        "depths": depths,
        "num_hidden_layers": len(depths),
        "num_attention_heads": [table.shape[1] for table in tables],
        "window_size": (math.isqrt(len(tables[0])) + 1) // 2,  # (2 window - 1)² offsets
        "hidden_size": len(state["audio_branch.norm.weight"]),
        "mlp_ratio": wide / narrow,
        "num_mel_bins": len(state["audio_branch.bn0.weight"]),
        "layer_norm_eps": LAYER_NORM_EPS,
        "enable_fusion": fused,
        "fusion_type": "aff_2d" if fused else None,
    }


def _text_settings(state: Mapping[str, Tensor]) -> dict[str, Any]:
    words, width = state[_WORDS].shape
    return {
        "vocab_size": words,
        "hidden_size": width,
        "num_hidden_layers": _count(state, _TEXT_LAYER + "output.dense.weight"),
        "num_attention_heads": width // _HEAD_WIDTH,
        "intermediate_size": len(state[_TEXT_LAYER.format(0) + "intermediate.dense.weight"]),
        "max_position_embeddings": len(state["text_branch.embeddings.position_embeddings.weight"]),
        "layer_norm_eps": LAYER_NORM_EPS,
    }


def _count(state: Mapping[str, Tensor], name: str) -> int:
    """How many weights there are of a name with a number in it, from 0 on."""
    count = 0
    while name.format(count) in state:
        count += 1
    return count


def transformers_names(state: Mapping[str, Tensor], *, file: Path) -> dict[str, Tensor]:
    """The weights that make an embedding, by the names of transformers' ClapModel, as float32.

    Raises CheckpointError where a weight is of no known part.
    """
    renamed: dict[str, Tensor] = {}
    for name, tensor in state.items():
        if _UNUSED.match(name):
            continue
        if not _PARTS.match(name):
            raise CheckpointError(f"{file}: weight {name} is of no known part of LAION's CLAP")
        tensor = tensor.float() if tensor.is_floating_point() else tensor
        new = name
        for old, better in _RENAMED:
            new = re.sub(old, better, new)
        if ".qkv." in new:
            for part, rows in zip(("query", "key", "value"), tensor.chunk(3), strict=True):
                renamed[new.replace("qkv", part)] = rows.clone()
        else:
            renamed[new] = tensor
    return renamed


def _check_front_end(state: Mapping[str, Tensor], clap: HFCLAP, file: Path) -> None:
    """Refuse a processor that hears otherwise than the front end stored in an unfused file.

    A fused one is fed by torchaudio's mels, of which the file holds nothing.
    """
    stored = state.get("audio_branch.logmel_extractor.melW")
    if stored is None or clap.model.config.audio_config.enable_fusion:
        return
    ours = clap.frontend.filters
    if stored.shape != ours.shape or (stored.float() - ours).abs().max() > 1e-3 * ours.max():
        raise CheckpointError(
            f"{file}: its mel bands are not those of the processor ({2 * (len(stored) - 1)} "
            f"samples and {stored.shape[-1]} bands against {2 * (len(ours) - 1)} and "
            f"{ours.shape[-1]}, or other edges); give the processor it was trained with"
        )
