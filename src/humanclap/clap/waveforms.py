"""Batches of waveforms to unit embeddings on their device, with gradient from end to end.

This is `embedding` for tensors instead of files and arrays: the same windows, fill, encoder and
pooling, all in torch.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from humanclap.audio.load import MIN_DURATION_S
from humanclap.audio.window import Fill
from humanclap.clap.backbone import Backbone, at_least_float32
from humanclap.clap.pooling import pool_each
from humanclap.clap.resample import resample


def embed_waveforms(
    backbone: Backbone, waveforms: Tensor, *, sample_rate: int, hop_s: float | None = None
) -> Tensor:
    """Mono waveforms (batch, samples) at `sample_rate` Hz -> (batch, embedding_dim), unit length.

    waveforms: float32 or float64 as the backbone's weights, in [-1, 1], on their device, at least
    10 ms long. hop_s: seconds between window starts, None: the model's window. All windows of all
    clips go through the encoder at once. The caller checks the samples and sets eval mode.
    """
    heard = resample(waveforms, sample_rate, backbone.sample_rate)
    windows, weights = cut_windows(
        heard,
        window_samples=round(backbone.window_s * backbone.sample_rate),
        hop_samples=round((hop_s or backbone.window_s) * backbone.sample_rate),
        least_samples=MIN_DURATION_S * backbone.sample_rate,
        fill=backbone.fill,
    )
    embedded = at_least_float32(backbone.embed_audio(windows.flatten(0, 1)))
    batch, count = windows.shape[:2]
    return pool_each(embedded, weights.repeat(batch), [count] * batch)


def cut_windows(
    waveforms: Tensor, *, window_samples: int, hop_samples: int, least_samples: float, fill: Fill
) -> tuple[Tensor, Tensor]:
    """The windows of `audio.window.windows` for a batch of clips of one length.

    (batch, samples) -> (batch, n_windows, window_samples), and the weights of the windows,
    (n_windows,), on the CPU: the share of each that is sound and not fill. Fewer than
    `least_samples` after the last whole window are left out.
    """
    samples = waveforms.shape[1]
    whole = 0 if samples < window_samples else 1 + (samples - window_samples) // hop_samples
    parts = []
    weights = [1.0] * whole
    if whole:
        parts.append(waveforms.unfold(1, window_samples, hop_samples))
    unheard = samples - ((whole - 1) * hop_samples + window_samples) if whole else samples
    if not whole or unheard >= least_samples:
        rest = waveforms[:, whole * hop_samples :]
        parts.append(fill_windows(rest, window_samples, fill)[:, None])
        weights.append(rest.shape[1] / window_samples)
    return torch.cat(parts, dim=1), torch.tensor(weights)


def fill_windows(waveforms: Tensor, window_samples: int, fill: Fill) -> Tensor:
    """`audio.window.fill_window` of each row: (batch, samples) -> (batch, window_samples)."""
    samples = waveforms.shape[1]
    if fill == "wrap":
        return waveforms.repeat(1, -(-window_samples // samples))[:, :window_samples]
    copies = window_samples // samples if fill == "repeat" else 1
    return F.pad(waveforms.repeat(1, copies), (0, window_samples - copies * samples))
