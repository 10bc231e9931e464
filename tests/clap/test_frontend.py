"""Mel filters and spectrograms against transformers' and scipy's, and their few properties."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.signal import get_window

from humanclap.clap.frontend import DecibelMel, PowerMel, hz_to_mel, mel_filterbank, mel_to_hz

SCALES = ["slaney", "htk", "kaldi"]


@pytest.mark.parametrize("scale", SCALES)
def test_mels_and_hertz_are_inverse(scale):
    hertz = torch.linspace(0, 24000, 101, dtype=torch.float64)
    torch.testing.assert_close(mel_to_hz(hz_to_mel(hertz, scale), scale), hertz)


@pytest.mark.parametrize(
    ("scale", "mels"), [("slaney", 15.0), ("htk", 999.9855), ("kaldi", 999.99)]
)
def test_one_kilohertz_is_where_each_scale_puts_it(scale, mels):
    at = hz_to_mel(torch.tensor(1000.0, dtype=torch.float64), scale)
    assert at.item() == pytest.approx(mels, abs=0.01)


@pytest.mark.parametrize(("scale", "norm"), [("slaney", "slaney"), ("htk", None)])
@pytest.mark.parametrize(("rate", "n_mels", "f_max"), [(48000, 64, 14000), (32000, 40, 16000)])
def test_filters_equal_those_of_transformers(scale, norm, rate, n_mels, f_max):
    audio_utils = pytest.importorskip("transformers.audio_utils")
    expected = audio_utils.mel_filter_bank(513, n_mels, 50, f_max, rate, norm, scale)
    filters = mel_filterbank(
        sample_rate=rate, n_fft=1024, n_mels=n_mels, f_min=50, f_max=f_max, scale=scale
    )
    np.testing.assert_allclose(filters.numpy(), expected, atol=1e-7)


def power_mel(**changes) -> PowerMel:
    settings = {
        "sample_rate": 32000,
        "n_fft": 512,
        "window_length": 400,
        "hop_length": 160,
        "n_mels": 20,
        "f_min": 0,
        "f_max": 16000,
        "scale": "htk",
    }
    return PowerMel(**(settings | changes))


@pytest.mark.parametrize("periodic", [True, False])
def test_a_frame_is_the_transform_of_its_windowed_samples(periodic):
    samples = np.random.default_rng(0).standard_normal(4000)
    front = power_mel(periodic=periodic, fft_dtype=torch.float64)
    window = np.pad(get_window("hann", 400, fftbins=periodic), 56)
    frame = samples[1600 - 256 : 1600 + 256] * window  # frame 10 is centred on sample 1600
    expected = np.abs(np.fft.rfft(frame)) ** 2 @ front.filters.numpy()
    mels = front(torch.from_numpy(samples)[None])
    assert mels.shape == (1, 26, 20)
    np.testing.assert_allclose(mels[0, 10], expected, rtol=1e-5)


def test_autocast_leaves_the_front_end_alone():
    waveforms = torch.randn(2, 4000, generator=torch.Generator().manual_seed(0))
    front = power_mel()
    with torch.autocast("cpu", torch.bfloat16):
        inside = front(waveforms)
    assert inside.dtype == torch.float32
    torch.testing.assert_close(inside, front(waveforms), rtol=0, atol=0)


def decibel_mel() -> DecibelMel:
    return DecibelMel(
        sample_rate=48000,
        n_fft=1024,
        hop_length=480,
        n_mels=64,
        f_min=50,
        f_max=14000,
        scale="slaney",
    )


def test_silence_is_at_minus_100_decibels():
    mels = decibel_mel()(torch.zeros(1, 48000))
    assert mels.shape == (1, 101, 64)
    assert mels.dtype == torch.float32
    assert (mels == -100).all()


def test_ten_times_the_amplitude_is_20_decibels_more():
    waveforms = 0.05 * torch.randn(1, 48000, generator=torch.Generator().manual_seed(0))
    front = decibel_mel()
    torch.testing.assert_close(
        front(10 * waveforms.double()), front(waveforms.double()) + 20, rtol=0, atol=1e-5
    )


def test_a_clip_has_one_spectrogram_whatever_its_neighbours():
    waveforms = torch.randn(3, 48000, generator=torch.Generator().manual_seed(0))
    front = decibel_mel()
    together = front(waveforms)
    for clip, mels in zip(waveforms, together, strict=True):
        assert torch.equal(front(clip[None])[0], mels)


def test_the_front_end_lets_gradients_through():
    waveforms = torch.randn(1, 4800, requires_grad=True)
    decibel_mel()(waveforms).sum().backward()
    assert waveforms.grad is not None
    assert waveforms.grad.isfinite().all()


def test_a_batch_of_spectrograms_has_the_digits_of_each_alone():
    mel = PowerMel(
        sample_rate=32000, n_fft=1024, window_length=800, hop_length=320, n_mels=128, f_min=0.0,
        f_max=15000.0, scale="kaldi", periodic=False,
    )  # fmt: skip
    waveforms = torch.rand(5, 32000, generator=torch.Generator().manual_seed(0)) - 0.5
    batch = mel(waveforms)
    assert batch.shape == (5, 101, 128)
    for row, waveform in zip(batch, waveforms, strict=True):
        assert torch.equal(row, mel(waveform[None])[0])
