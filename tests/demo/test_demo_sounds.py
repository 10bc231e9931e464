from __future__ import annotations

import numpy as np
import pytest

from humanclap.demo.sounds import EVENTS, SAMPLE_RATE, synthesise


@pytest.mark.parametrize("event", EVENTS)
def test_every_event_sounds_and_is_the_same_for_the_same_seed(event: str) -> None:
    first = synthesise(event, 2.0, np.random.default_rng(4))
    assert first.dtype == np.float32
    assert first.shape == (2 * SAMPLE_RATE,)
    assert np.isfinite(first).all()
    assert np.abs(first).max() == pytest.approx(0.5, abs=1e-3)
    assert np.sqrt(np.mean(first**2)) > 0.003
    again = synthesise(event, 2.0, np.random.default_rng(4))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, synthesise(event, 2.0, np.random.default_rng(5)))


def centroid_hz(event: str) -> float:
    power = np.abs(np.fft.rfft(synthesise(event, 2.0, np.random.default_rng(0)))) ** 2
    return float(np.average(np.fft.rfftfreq(2 * SAMPLE_RATE, 1 / SAMPLE_RATE), weights=power))


def test_events_lie_where_their_kind_of_sound_lies() -> None:
    assert centroid_hz("thunder rumbles") < 250 < centroid_hz("a church bell rings")
    assert centroid_hz("wind blows") < 800
    assert centroid_hz("crickets chirp") > 4000
