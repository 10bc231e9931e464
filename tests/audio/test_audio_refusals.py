"""Bad clips: each is refused with its name, the reason and a remedy."""

from __future__ import annotations

import os
import sys

import numpy as np
import pytest
import soundfile

from humanclap.audio import Waveform, audio_blocks, load_audio
from humanclap.errors import AudioError, SettingsError


def refused(source, sample_rate=48000) -> str:
    with pytest.raises(AudioError) as caught:
        load_audio(source, sample_rate=sample_rate)
    error = caught.value
    assert str(error) == f"{error.path}: {error.reason}"
    return str(error)


def refused_array(samples, rate=48000) -> str:
    with pytest.raises(AudioError) as caught:
        load_audio(Waveform(samples=samples, sample_rate=rate), sample_rate=48000)
    assert caught.value.path == "<array>"
    return caught.value.reason


def test_refuses_a_missing_file(tmp_path):
    message = refused(tmp_path / "dog.wav")
    assert message.startswith(str(tmp_path / "dog.wav"))
    assert "no such file (is the path relative to another folder?)" in message


def test_refuses_a_file_in_a_missing_folder(tmp_path):
    assert "the folder" in refused(tmp_path / "clips" / "dog.wav")


def test_refuses_a_missing_file_and_names_the_one_of_another_ending(tmp_path, noise, wav):
    wav(noise(4800), 48000, "Dog.flac")
    assert "did you mean 'Dog.flac'?" in refused(tmp_path / "dog.wav")


def test_refuses_a_folder(tmp_path):
    assert "is a folder; expected one sound file" in refused(tmp_path)


def test_refuses_a_file_of_no_bytes(tmp_path):
    (tmp_path / "a.wav").touch()
    assert "empty (0 bytes)" in refused(tmp_path / "a.wav")


@pytest.mark.parametrize("name", ["a.wav", "a.mp3", "a.m4a", "a.raw", "a"])
def test_refuses_a_file_that_is_no_sound(tmp_path, name):
    (tmp_path / name).write_text("<html>404 not found</html>" * 50)
    message = refused(tmp_path / name)
    assert "not a sound file libsndfile can decode; convert it" in message


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="root reads everything")
def test_refuses_a_file_it_may_not_read(noise, wav):
    path = wav(noise(4800), 48000)
    path.chmod(0)
    assert "cannot be read: Permission denied" in refused(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_refuses_a_pipe_instead_of_waiting_for_it(tmp_path):
    os.mkfifo(tmp_path / "pipe.wav")
    assert "pipe or device" in refused(tmp_path / "pipe.wav")


def test_refuses_a_header_without_samples(wav):
    assert "holds no samples" in refused(wav(np.zeros(0), 48000))


@pytest.mark.parametrize("rate", [8000, 48000, 192000])
def test_refuses_three_milliseconds(noise, wav, rate):
    message = refused(wav(noise(round(0.003 * rate)), rate))
    assert "lasts 3 ms; at least 10 ms are needed" in message
    assert f"{rate} Hz" in message


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_refuses_samples_that_are_no_numbers_and_says_where(noise, wav, value):
    samples = noise(48000 * 5, 2)
    samples[144000, 1] = value
    message = refused(wav(samples, 48000, subtype="FLOAT"))
    assert "sample 144000 (at 3.000 s) is NaN or infinite" in message


def test_refuses_integers_stored_as_floats(noise):
    assert "are these integers stored as floats?" in refused_array(32768 * noise(4800))


def test_refuses_float64_beyond_the_range_of_float32():
    assert "full scale is 1.0" in refused_array(np.full(4800, 1e300))


@pytest.mark.parametrize("ending", ["wav", "aiff", "flac", "mp3"])
def test_refuses_a_truncated_file(noise, wav, ending):
    path = wav(noise(44100 * 6), 44100, f"a.{ending}")
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    assert "truncated" in refused(path)


def test_refuses_an_mp3_whose_length_libsndfile_misjudges(wav):
    loud = 0.1 * np.random.default_rng(0).standard_normal(44100 * 3)
    samples = np.concatenate([loud, np.zeros(44100 * 20), loud])
    path = wav(samples, 44100, "a.mp3", bitrate_mode="VARIABLE", compression_level=0.5)
    content = path.read_bytes()
    assert b"Xing" in content[:100]
    path.write_bytes(content[content.index(content[:2], 4) :])  # without its first, Xing, frame
    assert soundfile.info(path).duration < 10
    assert "variable bit rate" in refused(path)


def test_refuses_channels_before_samples(noise):
    reason = refused_array(noise(2, 48000))
    assert "more channels than samples" in reason
    assert "transpose it" in reason


def test_refuses_a_batch_of_clips(noise):
    assert "one at a time" in refused_array(noise(480, 128))
    assert "expected (samples,)" in refused_array(noise(3, 1, 4800))


@pytest.mark.parametrize("dtype", ["int64", "uint16", "bool", "complex64"])
def test_refuses_an_array_type_without_a_full_scale(dtype):
    assert f"samples are {dtype}; expected one of float16" in refused_array(np.ones(480, dtype))


def test_refuses_a_list_of_samples():
    assert "samples are a list; expected a numpy array" in refused_array([0.0] * 4800)


def test_refuses_an_array_without_its_rate(noise):
    message = refused(noise(4800))
    assert "expected a path or a Waveform (an array needs its rate" in message


@pytest.mark.parametrize("rate", [0, -48000, 44100.5, "48000", True, None])
def test_refuses_a_rate_that_is_no_whole_number_of_hertz(noise, rate):
    assert f"sample_rate is {rate!r}; expected Hz" in refused_array(noise(4800), rate)


def test_refuses_an_empty_array():
    assert "holds no samples" in refused_array(np.zeros(0, np.float32))
    assert "holds no samples" in refused_array(np.zeros((0, 2), np.float32))


@pytest.mark.parametrize("rate", [0, -1, 0.5])
def test_refuses_a_target_rate_that_is_none(noise, wav, rate):
    with pytest.raises(SettingsError, match="sample_rate is"):
        load_audio(wav(noise(4800), 48000), sample_rate=rate)


@pytest.mark.parametrize("block_s", [0.0, -1.0, float("nan")])
def test_refuses_blocks_of_no_length(noise, wav, block_s):
    with pytest.raises(SettingsError, match="block_s is"):
        audio_blocks(wav(noise(4800), 48000), sample_rate=48000, block_s=block_s)


def test_an_array_may_bear_a_name_for_its_errors():
    with pytest.raises(AudioError, match=r"^row 7: holds no samples"):
        load_audio(
            Waveform(samples=np.zeros(0), sample_rate=48000, name="row 7"), sample_rate=48000
        )
