"""Checkpoints of LAION's CLAP with weights made from a seed, under the names `laion_clap` gives.

Needs numpy alone, as it is also run where `laion_clap` is (reference/make_laion_clap.py), which
takes these weights strictly: no name, shape or number is ours to choose. The stream of
`numpy.random.RandomState` is the same in all versions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Weights = dict[str, NDArray[np.float32] | NDArray[np.int64]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """Of a model: HTSAT's width, blocks and heads, and RoBERTa's."""

    width: int
    depths: tuple[int, ...]
    heads: tuple[int, ...] = (4, 8, 16, 32)
    words: int = 320
    text_width: int = 768
    text_layers: int = 2
    text_inner: int = 3072
    positions: int = 514
    joint: int = 512


TINY = Size(width=96, depths=(2, 2, 6, 2))
BASE = Size(width=128, depths=(2, 2, 12, 2))
SMALL = Size(  # of no published model; quick
    width=16, depths=(1, 2), heads=(2, 4), text_width=64, text_inner=96, positions=66, joint=24
)


def laion_weights(size: Size, *, fused: bool, seed: int) -> Weights:
    """Every weight of the model, those that make no embedding too; spread as trained ones are."""
    random = np.random.RandomState(seed)
    found: Weights = {}

    def noise(*shape: int) -> NDArray[np.float32]:
        """Uniform in [-1, 1)."""
        raw = np.frombuffer(random.bytes(math.prod(shape)), np.int8)
        return (raw.astype(np.float32) / 128).reshape(shape)

    def linear(name: str, *shape: int, bias: bool = True) -> None:
        found[f"{name}.weight"] = noise(*shape) * np.float32(2 / math.sqrt(math.prod(shape[1:])))
        if bias:
            found[f"{name}.bias"] = 0.1 * noise(shape[0])

    def norm(name: str, width: int) -> None:
        found[f"{name}.weight"] = 1 + 0.3 * noise(width)
        found[f"{name}.bias"] = 0.1 * noise(width)

    def batch_norm(name: str, width: int, mean: float = 0.0, spread: float = 1.0) -> None:
        norm(name, width)
        found[f"{name}.running_mean"] = mean + spread * noise(width)
        found[f"{name}.running_var"] = spread**2 * (1 + 0.5 * noise(width))
        found[f"{name}.num_batches_tracked"] = np.int64(1000)

    def attention_gate(name: str, first: int) -> None:
        inner = size.width // 4
        linear(f"{name}.{first}", inner, size.width, 1, 1)
        batch_norm(f"{name}.{first + 1}", inner)
        linear(f"{name}.{first + 3}", size.width, inner, 1, 1)
        batch_norm(f"{name}.{first + 4}", size.width)

    found["logit_scale_a"] = np.float32(math.log(1 / 0.07))
    found["logit_scale_t"] = np.float32(math.log(1 / 0.07))
    audio = "audio_branch"
    batch_norm(f"{audio}.bn0", 64, mean=-30.0, spread=20.0)
    linear(f"{audio}.patch_embed.proj", size.width, 1, 4, 4)
    norm(f"{audio}.patch_embed.norm", size.width)
    if fused:
        linear(f"{audio}.patch_embed.mel_conv2d", size.width, 1, 4, 12)
        attention_gate(f"{audio}.patch_embed.fusion_model.local_att", 0)
        attention_gate(f"{audio}.patch_embed.fusion_model.global_att", 1)
    for layer, (depth, heads) in enumerate(zip(size.depths, size.heads, strict=True)):
        width = size.width * 2**layer
        for number in range(depth):
            block = f"{audio}.layers.{layer}.blocks.{number}"
            norm(f"{block}.norm1", width)
            found[f"{block}.attn.relative_position_bias_table"] = noise(15 * 15, heads)
            linear(f"{block}.attn.qkv", 3 * width, width)
            linear(f"{block}.attn.proj", width, width)
            norm(f"{block}.norm2", width)
            linear(f"{block}.mlp.fc1", 4 * width, width)
            linear(f"{block}.mlp.fc2", width, 4 * width)
        if layer < len(size.depths) - 1:
            norm(f"{audio}.layers.{layer}.downsample.norm", 4 * width)
            linear(f"{audio}.layers.{layer}.downsample.reduction", 2 * width, 4 * width, bias=False)
    last = size.width * 2 ** (len(size.depths) - 1)
    norm(f"{audio}.norm", last)
    linear(f"{audio}.tscam_conv", 527, last, 2, 3)
    linear(f"{audio}.head", 527, 527)
    text, hidden = "text_branch", size.text_width
    found[f"{text}.embeddings.word_embeddings.weight"] = noise(size.words, hidden)
    found[f"{text}.embeddings.position_embeddings.weight"] = 0.3 * noise(size.positions, hidden)
    found[f"{text}.embeddings.token_type_embeddings.weight"] = 0.1 * noise(1, hidden)
    norm(f"{text}.embeddings.LayerNorm", hidden)
    for layer in range(size.text_layers):
        name = f"{text}.encoder.layer.{layer}"
        for part in ("query", "key", "value"):
            linear(f"{name}.attention.self.{part}", hidden, hidden)
        linear(f"{name}.attention.output.dense", hidden, hidden)
        norm(f"{name}.attention.output.LayerNorm", hidden)
        linear(f"{name}.intermediate.dense", size.text_inner, hidden)
        linear(f"{name}.output.dense", hidden, size.text_inner)
        norm(f"{name}.output.LayerNorm", hidden)
    linear(f"{text}.pooler.dense", hidden, hidden)
    for side, width in (("text", hidden), ("audio", last)):
        linear(f"{side}_projection.0", size.joint, width)
        linear(f"{side}_projection.2", size.joint, size.joint)
        for number in (0, 3):  # MLPLayers: linear, ReLU, dropout, linear
            linear(f"{side}_transform.sequential.{number}", size.joint, size.joint)
    return found


def sounds() -> dict[str, NDArray[np.int16]]:
    """Mono sounds of 16 bits at 48 kHz: shorter than 10 s and exactly 10 s."""
    time = np.arange(480_000) / 48_000
    random = np.random.RandomState(7)
    noise = random.uniform(-1, 1, 480_000)
    beats = (np.floor(4 * time) % 2) * noise
    found = {
        "noise": 0.2 * noise,
        "sweep": 0.7 * np.sin(2 * np.pi * (40 * time + 600 * time**2)),
        "chord": 0.2 * sum(np.sin(2 * np.pi * f * time) for f in (220.0, 277.2, 329.6)),
        "beats": 0.5 * beats,
        "quiet": 0.003 * noise + 0.002 * np.sin(2 * np.pi * 440 * time),
        "click": 0.9 * (np.arange(480_000) % 24_000 == 100),
        "3.3 s": (0.3 * noise + 0.3 * np.sin(2 * np.pi * 880 * time))[:158_400],
        "7.5 s": (0.5 * noise * np.exp(-time))[:360_000],
    }
    return {name: np.round(32_767 * signal).astype(np.int16) for name, signal in found.items()}


TEXTS = (
    "a dog barks while birds sing in the park",
    "rain falls on a roof, thunder rolls in the distance",
    "a man speaks and then a door closes with a bang",
    "x",
)
