"""The fingerprint of a transformers CLAP: weights, architecture, front end and tokenizer."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from torch import Tensor

from humanclap.fingerprint import fingerprint_text

_ARCHITECTURE = {  # what besides the weights makes an embedding
    "audio_config": [
        "window_size",
        "spec_size",
        "num_mel_bins",
        "hidden_act",
        "patch_size",
        "patch_stride",
        "depths",
        "num_attention_heads",
        "enable_fusion",
        "fusion_type",
        "flatten_patch_embeds",
        "enable_patch_layer_norm",
        "layer_norm_eps",
        "projection_hidden_act",
    ],
    "text_config": [
        "hidden_act",
        "num_hidden_layers",
        "num_attention_heads",
        "layer_norm_eps",
        "pad_token_id",
        "projection_hidden_act",
    ],
}
_PROBES = (
    "a dog barks",
    " A man speaks, then 2 birds chirp.",
    "Glöckchen läuten; 犬が吠える!",
    "",
)
"""Texts whose tokens stand for how a tokenizer splits, joins and frames."""


def hf_fingerprint(model: Any, processor: Any) -> str:
    """8 hex digits of a `ClapModel` with its `ClapProcessor`.

    It is the same for a hub id and a copy of it, and on transformers 4.5x and 5.
    """
    state: dict[str, Tensor] = model.state_dict()
    parts = [
        _architecture(model.config),
        _front_end(processor.feature_extractor),
        _tokens(processor.tokenizer),
        *(
            f"{name}:{_tensor_hash(state[name])}"
            for name in sorted(state)
            if state[name].is_floating_point()
        ),
    ]
    return fingerprint_text(parts)


def _architecture(config: Any) -> str:
    """Canonical JSON of the settings that transformers 4.5x and 5 share."""
    kept = {
        section: {name: getattr(getattr(config, section), name) for name in names}
        for section, names in _ARCHITECTURE.items()
    }
    return json.dumps(kept, sort_keys=True)


def _front_end(extractor: Any) -> str:
    names = [
        "sampling_rate",
        "max_length_s",
        "padding",
        "truncation",
        "fft_window_size",
        "hop_length",
        "feature_size",
        "frequency_min",
        "frequency_max",
    ]
    values = {name: getattr(extractor, name) for name in names}
    numbers = {name: float(v) if isinstance(v, int) else v for name, v in values.items()}
    return json.dumps(numbers, sort_keys=True)


def _tokens(tokenizer: Any) -> str:
    """Vocabulary, and the token ids of a few texts (merges, splitting, framing)."""
    probes = [tokenizer(text)["input_ids"] for text in _PROBES]
    return json.dumps([sorted(tokenizer.get_vocab().items()), probes])


def _tensor_hash(tensor: Tensor) -> str:
    array = tensor.detach().float().cpu().contiguous().numpy()
    return f"{array.dtype}{array.shape}{hashlib.sha256(array.reshape(-1).data).hexdigest()}"
