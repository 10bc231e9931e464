"""Resampling in torch against soxr, which scoring uses, and its adjoint."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import soxr
import torch

from humanclap.clap.resample import resample

RATES = [
    (8000, 32000),
    (16000, 32000),
    (22050, 32000),
    (44100, 32000),
    (48000, 32000),
    (192000, 32000),
    (44100, 48000),
    (16000, 48000),
    (44101, 32000),
]
SMALL_RATIOS = [(8000, 32000), (16000, 32000), (48000, 32000), (16000, 48000)]
"""Between others soxr interpolates its filter, and starts with a few samples of another one."""


def by_soxr(samples: np.ndarray, rate: int, to: int) -> np.ndarray:
    """As `audio.load` does it."""
    stream = soxr.ResampleStream(rate, to, 1, dtype="float32", quality="HQ")
    rest = np.zeros(0, np.float32)
    parts = (
        stream.resample_chunk(samples.astype(np.float32)),
        stream.resample_chunk(rest, last=True),
    )
    return np.concatenate(parts)


@pytest.mark.parametrize(("rate", "to"), RATES)
def test_noise_comes_out_as_by_soxr(rate, to):
    samples = np.random.default_rng(rate).standard_normal(rate + 17) / 10
    expected = by_soxr(samples, rate, to)
    found = resample(torch.from_numpy(samples).float()[None], rate, to)[0].numpy()
    assert len(found) == len(expected)
    difference = 10 * np.log10(np.mean((found - expected) ** 2) / np.mean(expected**2))
    assert difference < (-120 if (rate, to) in SMALL_RATIOS else -60)


@pytest.mark.parametrize(("rate", "to"), RATES)
@pytest.mark.parametrize("samples", [80, 441, 1999])
def test_short_clips_have_soxrs_length(rate, to, samples):
    found = resample(torch.ones(1, samples), rate, to)
    assert found.shape[1] == len(by_soxr(np.ones(samples), rate, to))


def tone(rate: int) -> np.ndarray:
    """1 kHz for one second."""
    return np.sin(2 * np.pi * 1000 * np.arange(rate) / rate)


@pytest.mark.parametrize(("rate", "to"), [(16000, 32000), (44100, 32000)])
def test_a_tone_keeps_its_phase_and_level(rate, to):
    found = resample(torch.from_numpy(tone(rate))[None], rate, to)[0].numpy()
    np.testing.assert_allclose(found[to // 4 : -to // 4], tone(to)[to // 4 : -to // 4], atol=1e-6)


def test_one_rate_changes_nothing():
    samples = torch.randn(2, 100)
    assert resample(samples, 32000, 32000) is samples


@pytest.mark.parametrize(("rate", "to"), [(16000, 32000), (44100, 32000), (48000, 8000)])
def test_the_gradient_is_that_of_a_linear_map(rate, to):
    start = torch.randn(2, 300, dtype=torch.float64, requires_grad=True)
    other = torch.randn(2, 300, dtype=torch.float64)
    out = resample(start, rate, to)
    weights = torch.randn_like(out)
    (gradient,) = torch.autograd.grad((out * weights).sum(), start)
    torch.testing.assert_close(
        (gradient * other).sum(), (resample(other, rate, to) * weights).sum()
    )


def test_autocast_does_not_reach_it():
    samples = torch.randn(1, 1600)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(resample(samples, 16000, 32000), resample(samples, 16000, 32000))
        assert resample(samples, 16000, 32000).dtype == torch.float32


def test_the_filter_made_in_inference_mode_has_a_gradient_later():
    with torch.inference_mode():
        resample(torch.ones(1, 100), 12347, 32000)  # a rate that no other test has
    waveforms = torch.ones(1, 100, requires_grad=True)
    resample(waveforms, 12347, 32000).sum().backward()
    assert waveforms.grad is not None
    assert waveforms.grad.isfinite().all()


@pytest.mark.parametrize("rate", [16, 300])
def test_a_rate_in_khz_by_mistake_costs_no_more_memory_than_its_sound(rate):
    """`sample_rate=16`: a response of 32,768 points would take gigabytes."""
    samples = np.sin(np.arange(3 * rate) / 2)
    expected = by_soxr(samples, rate, 32000)
    tracemalloc.start()
    found = resample(torch.from_numpy(samples).float()[None], rate, 32000)[0].numpy()
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 400e6
    assert np.abs(found - expected).max() < 0.02
