import numpy as np
import pytest
import torch
from torch import nn

from humanclap.audio import Waveform
from humanclap.clap.pooling import embed_clip, pool_windows
from humanclap.errors import InputError


class BandEnergies(nn.Module):
    """A backbone whose embedding is the mean power of four stretches of the window."""

    sample_rate, window_s, fill = 100, 1.0, "zero"

    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(()))

    def module(self):
        return self

    def embed_audio(self, waveforms):
        power = waveforms.square().reshape(len(waveforms), 4, 25).mean(dim=2)
        return nn.functional.normalize(self.gain * power, dim=1)


def test_pooling_weighs_windows_by_their_sound_and_has_unit_length():
    pooled = pool_windows(torch.eye(2), torch.tensor([3.0, 4.0]))
    assert torch.allclose(pooled, torch.tensor([0.6, 0.8]))


def test_pooling_does_not_depend_on_the_unit_of_the_weights():
    embeddings = nn.functional.normalize(torch.randn(5, 8), dim=1)
    weights = torch.rand(5) + 0.1
    assert torch.allclose(
        pool_windows(embeddings, weights), pool_windows(embeddings, 32000 * weights), atol=1e-6
    )


def test_one_window_is_its_own_pool():
    embedding = nn.functional.normalize(torch.randn(1, 8), dim=1)
    assert torch.equal(pool_windows(embedding, torch.tensor([0.3])), embedding[0])


@pytest.mark.parametrize("weights", [[0.0, 0.0], [1.0, -0.5], [float("nan"), 1.0]])
def test_weights_that_cannot_weigh_are_refused(weights):
    with pytest.raises(InputError, match="weights must be at least 0 and not all 0"):
        pool_windows(torch.eye(2), torch.tensor(weights))


def test_unlike_shapes_are_refused():
    with pytest.raises(InputError, match=r"not \(2, 2\) and \(3,\)"):
        pool_windows(torch.eye(2), torch.ones(3))


def test_a_clip_of_many_windows_is_the_weighted_mean_of_its_windows():
    generator = np.random.default_rng(0)
    clip = generator.uniform(-1, 1, 650).astype(np.float32)  # 6.5 windows: two batches
    backbone = BandEnergies()
    padded = np.pad(clip, (0, 50)).reshape(7, 100)
    with torch.no_grad():
        by_window = backbone.embed_audio(torch.from_numpy(padded))
    weights = torch.tensor([1.0] * 6 + [0.5])
    expected = nn.functional.normalize((weights[:, None] * by_window).sum(0), dim=0)
    assert torch.allclose(
        embed_clip(backbone, Waveform(samples=clip, sample_rate=100)), expected, atol=1e-6
    )
