"""Windows and embeddings of batches in torch, against those that scoring makes of one clip."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from humanclap.audio.load import Waveform
from humanclap.audio.window import fill_window, windows
from humanclap.clap.embedding import embed_clip
from humanclap.clap.mini import MiniCLAP, MiniConfig
from humanclap.clap.waveforms import cut_windows, embed_waveforms, fill_windows


@pytest.mark.parametrize("fill", ["wrap", "repeat", "zero"])
@pytest.mark.parametrize("samples", [1, 3, 5, 10])
def test_fill_is_that_of_scoring(fill, samples):
    rows = np.random.default_rng(0).standard_normal((2, samples)).astype(np.float32)
    expected = np.stack([fill_window(row, 10, fill) for row in rows])
    assert np.array_equal(fill_windows(torch.from_numpy(rows), 10, fill).numpy(), expected)


@pytest.mark.parametrize("fill", ["wrap", "repeat", "zero"])
@pytest.mark.parametrize("hop_s", [1.0, 0.7, 0.25])
@pytest.mark.parametrize("samples", [10, 500, 999, 1000, 1009, 1010, 1700, 2000, 2005, 3333])
def test_windows_are_those_of_scoring(fill, hop_s, samples):
    clips = np.random.default_rng(1).standard_normal((2, samples)).astype(np.float32)
    found, weights = cut_windows(
        torch.from_numpy(clips),
        window_samples=1000,
        hop_samples=round(hop_s * 1000),
        least_samples=10,
        fill=fill,
    )
    for clip, row in zip(clips, found, strict=True):
        source = Waveform(samples=clip, sample_rate=1000)
        expected = list(windows(source, sample_rate=1000, window_s=1.0, hop_s=hop_s, fill=fill))
        assert np.array_equal(row.numpy(), np.stack([one.waveform for one in expected]))
        np.testing.assert_allclose(weights.numpy(), [one.weight for one in expected], rtol=1e-6)


@pytest.mark.parametrize("seconds", [0.3, 10.0, 25.5])
@pytest.mark.parametrize("hop_s", [None, 4.0])
def test_an_embedding_is_that_of_scoring(seconds, hop_s, sound):
    torch.manual_seed(0)
    model = MiniCLAP(MiniConfig.tiny()).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    clips = np.stack([sound(seed, seconds) for seed in (1, 2)]).astype(np.float32)
    found = embed_waveforms(model, torch.from_numpy(clips), sample_rate=32000, hop_s=hop_s)
    for clip, row in zip(clips, found, strict=True):
        expected = embed_clip(model, Waveform(samples=clip, sample_rate=32000), hop_s=hop_s)
        torch.testing.assert_close(row.detach(), expected, atol=1e-6, rtol=0)
