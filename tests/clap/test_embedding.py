import numpy as np
import pytest
import torch
from torch import nn

from humanclap.audio import Waveform
from humanclap.clap import embedding
from humanclap.clap.embedding import ClipEncoder, embed_clip
from humanclap.clap.pooling import pool_windows
from humanclap.errors import AudioError


class BandEnergies(nn.Module):
    """A backbone whose embedding is the mean power of four stretches of the window."""

    kind, sample_rate, window_s, fill = "mini", 100, 1.0, "zero"

    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(()))

    @property
    def logit_scale(self):
        return self.gain

    def module(self):
        return self

    def embed_audio(self, waveforms):
        power = waveforms.square().reshape(len(waveforms), 4, 25).mean(dim=2)
        return nn.functional.normalize(self.gain * power, dim=1)


@pytest.fixture
def clip():
    """6.5 windows."""
    samples = np.random.default_rng(0).uniform(-1, 1, 650).astype(np.float32)
    return Waveform(samples=samples, sample_rate=100)


def test_a_clip_of_many_windows_is_the_weighted_mean_of_its_windows(clip):
    backbone = BandEnergies()
    padded = np.pad(clip.samples, (0, 50)).reshape(7, 100)
    with torch.no_grad():
        by_window = backbone.embed_audio(torch.from_numpy(padded))
    weights = torch.tensor([1.0] * 6 + [0.5])
    expected = nn.functional.normalize((weights[:, None] * by_window).sum(0), dim=0)
    assert torch.allclose(embed_clip(backbone, clip), expected, atol=1e-6)


def test_one_clip_is_embedded_as_one_of_many(clip):
    backbone = BandEnergies()
    short = Waveform(samples=clip.samples[:130], sample_rate=100)
    for source, found in zip(
        (clip, short), ClipEncoder(backbone).embed([clip, short]), strict=True
    ):
        assert torch.allclose(embed_clip(backbone, source), torch.from_numpy(found), atol=1e-6)


def test_any_part_of_a_backbone_can_encode_the_windows_and_what_comes_may_take_gradients(clip):
    backbone = BandEnergies()
    encoder = ClipEncoder(backbone, lambda windows: windows[:, :3], batch_windows=2)
    (found,) = encoder.outputs([clip])
    assert found.outputs.shape == (7, 3)
    assert found.weights.tolist() == [1.0] * 6 + [0.5]
    assert found.outputs[1].tolist() == clip.samples[100:103].tolist()
    weight = torch.ones(3, requires_grad=True)
    pool_windows(found.outputs * weight, found.weights).sum().backward()
    assert weight.grad is not None


def test_a_clip_that_cannot_be_read_is_an_error_in_its_place(clip, tmp_path):
    missing = tmp_path / "gone.wav"
    found = list(ClipEncoder(BandEnergies()).embed([clip, missing, clip]))
    assert isinstance(found[1], AudioError)
    assert np.array_equal(found[0], found[2])
    with pytest.raises(AudioError, match=r"gone\.wav"):
        embed_clip(BandEnergies(), missing)


def test_the_number_of_threads_that_read_changes_no_digit(clip, tmp_path):
    random = np.random.default_rng(1)
    sources = [tmp_path / "gone.wav"]
    for length in (30, 650, 100, 99, 1310, 5, 220):
        samples = random.uniform(-1, 1, length).astype(np.float32)
        sources.append(Waveform(samples=samples, sample_rate=100))
    encoder = ClipEncoder(BandEnergies(), batch_windows=4)
    one = list(encoder.embed(sources, threads=1))
    assert [isinstance(found, AudioError) for found in one] == [True] + [False] * 7
    for threads in (2, 7):
        found = list(encoder.embed(sources, threads=threads))
        assert isinstance(found[0], AudioError)
        for before, now in zip(one[1:], found[1:], strict=True):
            assert np.array_equal(before, now)


def test_every_block_of_a_clip_is_heard_in_order_though_several_threads_read():
    ramps = [np.linspace(-0.5, 0.5, length, dtype=np.float32) for length in (900, 50, 2500, 400)]
    sources = [Waveform(samples=ramp, sample_rate=100) for ramp in ramps]
    heard = {source: [] for source in sources}
    encoder = ClipEncoder(BandEnergies())

    def windows_of(source):
        return encoder.windows(source, listen=heard[source].append)

    assert len(list(encoder.outputs_of(sources, windows_of, threads=4))) == 4
    for source, ramp in zip(sources, ramps, strict=True):
        assert np.array_equal(np.concatenate(heard[source]), ramp)


def test_float32_stays_float32_on_a_gpu_and_what_the_caller_allowed_comes_back():
    products, convolutions = torch.backends.cuda.matmul, torch.backends.cudnn
    assert convolutions.allow_tf32  # torch's own setting
    with embedding.without_tf32():
        assert not products.allow_tf32
        assert not convolutions.allow_tf32
    assert convolutions.allow_tf32
    assert not products.allow_tf32


def test_float32_stays_float32_until_the_last_of_several_threads_is_done():
    convolutions = torch.backends.cudnn
    first, second = embedding.without_tf32(), embedding.without_tf32()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert not convolutions.allow_tf32
    second.__exit__(None, None, None)
    assert convolutions.allow_tf32
