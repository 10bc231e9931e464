"""Windows: from the start, over the whole clip, the same every time, in little memory."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc

import numpy as np
import pytest

from humanclap.audio import Waveform, fill_window, load_audio, windows
from humanclap.errors import AudioError, SettingsError


def cut(samples, rate=1000, window_s=1.0, hop_s=1.0, fill="zero", sample_rate=1000):
    source = samples
    if isinstance(samples, np.ndarray):
        source = Waveform(samples=samples, sample_rate=rate)
    made = windows(source, sample_rate=sample_rate, window_s=window_s, hop_s=hop_s, fill=fill)
    return list(made)


def test_a_clip_of_one_window_is_that_window(noise):
    (only,) = cut(noise(1000))
    assert only.weight == 1.0
    np.testing.assert_array_equal(only.waveform, noise(1000))


def test_windows_follow_each_other_and_the_last_is_weighed_by_what_it_holds(noise):
    made = cut(noise(2250))
    assert [window.weight for window in made] == [1.0, 1.0, 0.25]
    np.testing.assert_array_equal(
        np.concatenate([window.waveform for window in made])[:2250], noise(2250)
    )
    assert not made[-1].waveform[250:].any()
    assert all(w.waveform.dtype == np.float32 and len(w.waveform) == 1000 for w in made)


def test_overlapping_windows_start_every_hop_and_stop_once_the_end_is_heard(noise):
    made = cut(noise(2250), hop_s=0.5)
    assert [window.weight for window in made] == [1.0, 1.0, 1.0, 0.75]
    for number, window in enumerate(made):
        held = round(1000 * window.weight)
        start = 500 * number
        np.testing.assert_array_equal(window.waveform[:held], noise(2250)[start : start + held])
    assert len(cut(noise(2000), hop_s=0.5)) == 3


def test_repeat_fills_with_whole_copies_and_then_zeros(noise):
    (only,) = cut(noise(300), fill="repeat")
    expected = np.concatenate([noise(300)] * 3 + [np.zeros(100)])
    np.testing.assert_array_equal(only.waveform, expected)
    assert only.weight == 0.3


def test_repeat_does_not_repeat_more_than_half_a_window(noise):
    (only,) = cut(noise(501), fill="repeat")
    assert not only.waveform[501:].any()


def test_wrap_goes_on_with_the_beginning_to_the_last_sample(noise):
    (only,) = cut(noise(700), fill="wrap")
    np.testing.assert_array_equal(only.waveform, np.concatenate([noise(700), noise(700)[:300]]))
    assert only.weight == 0.7


@pytest.mark.parametrize("length", [1, 7, 333, 500, 501, 999, 1000])
def test_repeat_is_the_repeatpad_of_clap(noise, length):
    # the rule as Wu et al. 2023 state it: repeat int(window / length) times, then pad
    repeated = np.pad(np.tile(noise(length), 1000 // length), (0, 1000 - 1000 // length * length))
    np.testing.assert_array_equal(fill_window(noise(length), 1000, "repeat"), repeated)


@pytest.mark.parametrize(("beyond", "number"), [(0, 1), (1, 1), (9, 1), (10, 2), (11, 2)])
def test_a_rest_under_ten_milliseconds_makes_no_window(noise, beyond, number):
    assert len(cut(noise(1000 + beyond))) == number
    assert len(cut(noise(1500 + beyond), hop_s=0.5)) == number + 1


def test_ten_milliseconds_are_a_window_and_three_are_refused(noise):
    (only,) = cut(noise(10), fill="repeat")
    assert only.weight == 0.01
    with pytest.raises(AudioError, match="lasts 3 ms"):
        cut(noise(3))


def test_windows_of_a_resampled_file_are_the_loaded_file(noise, wav):
    path = wav(noise(44100 * 7 + 13, 2), 44100)
    made = cut(path, window_s=2.0, hop_s=2.0, sample_rate=48000)
    whole = load_audio(path, sample_rate=48000)
    joined = np.concatenate([window.waveform for window in made])
    np.testing.assert_array_equal(joined[: len(whole)], whole)
    assert sum(window.weight for window in made) == pytest.approx(len(whole) / 96000)


def test_first_windows_come_before_a_fault_further_on(noise, wav):
    samples = noise(48000 * 20)
    samples[-1] = np.nan
    path = wav(samples, 48000, subtype="FLOAT")
    made = windows(path, sample_rate=48000, window_s=5, hop_s=5, fill="zero")
    assert next(made).weight == 1.0
    with pytest.raises(AudioError, match=r"at 20\.000 s"):
        list(made)


def test_a_window_is_the_callers_own(noise):
    made = windows(
        Waveform(samples=noise(3000), sample_rate=1000),
        sample_rate=1000,
        window_s=1.0,
        hop_s=0.5,
        fill="zero",
    )
    next(made).waveform[:] = 0
    np.testing.assert_array_equal(next(made).waveform, noise(3000)[500:1500])


def peak_bytes(path) -> int:
    tracemalloc.start()
    made = windows(path, sample_rate=32000, window_s=10, hop_s=10, fill="repeat")
    assert sum(window.weight for window in made) > 0.9
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def test_ten_minutes_need_no_more_memory_than_one(noise, wav):
    minute = (3000 * noise(60 * 16000)).astype(np.int16)
    one = peak_bytes(wav(minute, 16000, "one.wav"))
    ten = peak_bytes(wav(np.tile(minute, 10), 16000, "ten.wav"))
    assert ten < 1.05 * one
    assert ten < 8_000_000  # the whole clip is 77 MB at 32 kHz


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"window_s": 0.0}, "window_s is"),
        ({"window_s": 0.005, "hop_s": 0.005}, "window_s is"),
        ({"window_s": float("nan")}, "window_s is"),
        ({"hop_s": 0.0}, "hop_s is"),
        ({"hop_s": -1.0}, "hop_s is"),
        ({"hop_s": 1.5}, "no part of the clip is skipped"),
        ({"hop_s": float("nan")}, "hop_s is"),
        ({"hop_s": 1e-9}, "less than one sample"),
        ({"fill": "mirror"}, "fill is 'mirror'; expected one of repeat, wrap, zero"),
        ({"sample_rate": 0}, "sample_rate is 0"),
    ],
)
def test_refuses_settings_before_anything_is_read(settings, message):
    values = {"sample_rate": 1000, "window_s": 1.0, "hop_s": 1.0, "fill": "zero"} | settings
    with pytest.raises(SettingsError, match=message):
        windows("never-read.wav", **values)


def test_the_audio_room_loads_no_torch():
    code = "import sys, humanclap.audio; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
