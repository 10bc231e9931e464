"""A small ClapModel with random weights, laid out in a folder as LAION's are on the hub."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from tokenizers import ByteLevelBPETokenizer

CAPTIONS = [
    "a dog barks while birds sing in the park",
    "a man speaks and then a door closes with a bang",
    "rain falls on a roof, thunder rolls in the distance",
]
SPECIALS = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]


def write_clap(
    folder: Path, *, fused: bool = False, full_size: bool = False, processor: bool = True
) -> Path:
    """Write config.json, model.safetensors and, if asked for, the processor's files."""
    from transformers import ClapConfig, ClapModel

    folder.mkdir(parents=True)
    torch.manual_seed(1 if fused else 2)
    vocabulary = write_tokenizer(folder) if processor else 400
    config = ClapConfig(
        text_config={"vocab_size": vocabulary} | ({} if full_size else _TINY_TEXT),
        audio_config={
            "enable_fusion": fused,
            "fusion_type": "aff_2d" if fused else None,
            **({} if full_size else _TINY_AUDIO),
        },
        projection_dim=512 if full_size else 12,
    )
    model = ClapModel(config).eval()
    randomise(model)
    model.save_pretrained(folder)
    if processor:
        write_extractor(folder, fused=fused)
    return folder


_TINY_TEXT = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 66,
}
_TINY_AUDIO = {  # real spectrogram and patches, so the real front end fits
    "depths": [1, 1],
    "num_attention_heads": [2, 4],
    "patch_embeds_hidden_size": 16,
    "hidden_size": 32,
    "num_hidden_layers": 2,
}


def randomise(model: torch.nn.Module) -> None:
    """Spread weights and statistics, so that a clip, a text or a frame makes a difference."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if tensor.is_floating_point() and "logit_scale" not in name:
                noise = torch.randn(tensor.shape, generator=generator)
                tensor.add_(0.1 * noise.abs() if "running_var" in name else 0.1 * noise)


def write_extractor(folder: Path, *, fused: bool, **changes: object) -> None:
    """preprocessor_config.json with the values of LAION's two checkpoints."""
    settings = {
        "feature_extractor_type": "ClapFeatureExtractor",
        "processor_class": "ClapProcessor",
        "feature_size": 64,
        "sampling_rate": 48000,
        "hop_length": 480,
        "max_length_s": 10,
        "fft_window_size": 1024,
        "frequency_min": 50,
        "frequency_max": 14000,
        "top_db": None,
        "padding": "repeatpad",
        "truncation": "fusion" if fused else "rand_trunc",
        "return_attention_mask": False,
        "padding_value": 0.0,
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(settings | changes))


def write_tokenizer(folder: Path) -> int:
    """A byte-level BPE of RoBERTa's kind, as vocab.json and merges.txt; returns its size."""
    trained = ByteLevelBPETokenizer()
    trained.train_from_iterator(CAPTIONS, vocab_size=320, special_tokens=SPECIALS)
    trained.save_model(str(folder))
    settings = {"tokenizer_class": "RobertaTokenizer", "model_max_length": 512}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    names = ["bos_token", "pad_token", "eos_token", "unk_token", "mask_token"]
    special = dict(zip(names, SPECIALS, strict=True)) | {"cls_token": "<s>", "sep_token": "</s>"}
    (folder / "special_tokens_map.json").write_text(json.dumps(special))
    return trained.get_vocab_size()
