"""Loading: right amplitude, rate and mono whatever the file; the stream equals one-shot soxr."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from humanclap.audio import (
    CancellingChannelsWarning,
    SilentAudioWarning,
    Waveform,
    audio_blocks,
    load_audio,
)
from humanclap.audio.load import decode
from humanclap.errors import AudioError, SettingsError


def sine(frequency: float, seconds: float, rate: int) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate)


def waveform(samples: np.ndarray, rate: int) -> Waveform:
    return Waveform(samples=samples, sample_rate=rate)


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 44100, 48000, 96000, 44101])
def test_a_sine_keeps_its_frequency_and_amplitude_at_another_rate(rate):
    loaded = load_audio(waveform(sine(1000, 1.0, rate), rate), sample_rate=32000)
    assert loaded.dtype == np.float32
    assert len(loaded) == pytest.approx(32000, abs=1)
    middle = slice(3200, 28800)
    expected = sine(1000, 1.0, 32000)[middle]
    np.testing.assert_allclose(loaded[middle], expected, atol=2e-4)


@pytest.mark.parametrize("block_s", [0.001, 0.1, 1.0, 60.0])
@pytest.mark.parametrize("rate", [22050, 44100, 44101, 48000])
def test_the_stream_equals_one_shot_soxr_whatever_the_block_size(noise, rate, block_s):
    samples = noise(rate // 2 + 17)
    blocks = list(audio_blocks(waveform(samples, rate), sample_rate=32000, block_s=block_s))
    expected = soxr.resample(samples, rate, 32000)
    np.testing.assert_array_equal(np.concatenate(blocks), expected)


def test_the_same_rate_is_not_touched(noise):
    samples = noise(48000)
    np.testing.assert_array_equal(load_audio(waveform(samples, 48000), sample_rate=48000), samples)


def test_channels_are_averaged(noise, wav):
    samples = noise(4800, 2)
    path = wav(samples, 48000, subtype="FLOAT")
    expected = (samples[:, 0] + samples[:, 1]) / 2
    np.testing.assert_allclose(load_audio(path, sample_rate=48000), expected, atol=1e-7)
    array = load_audio(waveform(samples, 48000), sample_rate=48000)
    np.testing.assert_allclose(array, expected, atol=1e-7)


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        (np.int16([0, 16384, -32768]), [0, 0.5, -1]),
        (np.int32([0, 2**30, -(2**31)]), [0, 0.5, -1]),
        (np.uint8([128, 192, 0]), [0, 0.5, -1]),
        (np.int8([0, 64, -128]), [0, 0.5, -1]),
        (np.float16([0, 0.5, -1]), [0, 0.5, -1]),
        (np.float64([0, 0.5, -1]), [0, 0.5, -1]),
        (np.float32([0, 0.5, -1]), [0, 0.5, -1]),
    ],
)
def test_full_scale_of_every_array_type_is_one(samples, expected):
    loaded = load_audio(waveform(np.repeat(samples, 200), 48000), sample_rate=48000)
    np.testing.assert_array_equal(loaded, np.repeat(np.float32(expected), 200))


@pytest.mark.parametrize(
    ("name", "subtype", "tolerance"),
    [
        ("a.wav", "PCM_U8", 1 / 128),
        ("a.wav", "PCM_16", 1 / 32768),
        ("a.wav", "PCM_24", 1 / 2**23),
        ("a.wav", "DOUBLE", 1e-7),
        ("a.flac", "PCM_16", 1 / 32768),
        ("a.flac", "PCM_24", 1 / 2**23),
        ("a.aiff", "PCM_16", 1 / 32768),
        ("a.ogg", "VORBIS", 0.02),
        ("a.mp3", "MPEG_LAYER_III", 0.02),
    ],
)
def test_every_format_gives_the_same_waveform(wav, name, subtype, tolerance):
    samples = sine(440, 1.0, 44100)
    loaded = load_audio(wav(samples, 44100, name, subtype=subtype), sample_rate=44100)
    assert len(loaded) == 44100
    np.testing.assert_allclose(loaded[2000:-2000], samples[2000:-2000], atol=tolerance)


def test_an_int16_file_and_its_array_are_the_same_sound(wav):
    samples = np.random.default_rng(0).integers(-32768, 32767, 44100).astype(np.int16)
    from_file = load_audio(wav(samples, 44100), sample_rate=48000)
    from_array = load_audio(waveform(samples, 44100), sample_rate=48000)
    np.testing.assert_array_equal(from_file, from_array)


def test_a_path_may_be_text_and_hold_any_letters(noise, wav, tmp_path):
    (tmp_path / "[ordner] ä").mkdir()
    path = wav(noise(4800), 48000, "[ordner] ä/犬が吠える – ×1.wav", subtype="FLOAT")
    np.testing.assert_array_equal(load_audio(str(path), sample_rate=48000), noise(4800))


@pytest.mark.parametrize("rate", [1, 7, 100])
def test_a_strange_rate_is_taken_at_its_word(rate):
    loaded = load_audio(waveform(np.full(30 * rate, 0.25), rate), sample_rate=8000)
    assert len(loaded) == pytest.approx(240000, rel=1e-3)
    assert loaded[len(loaded) // 2] == pytest.approx(0.25, abs=0.01)


def test_ten_milliseconds_are_enough(noise):
    assert len(load_audio(waveform(noise(441), 44100), sample_rate=48000)) == 480


def test_a_wav_written_to_a_pipe_is_whole_though_its_header_says_4_gigabytes(noise, wav):
    path = wav(noise(48000), 48000)
    content = bytearray(path.read_bytes())
    content[4:8] = content[40:44] = b"\xff" * 4
    path.write_bytes(content)
    assert len(load_audio(path, sample_rate=48000)) == 48000


@pytest.mark.parametrize("value", [0.0, 1e-6])
def test_a_silent_clip_warns_once_and_is_read(wav, value):
    path = wav(np.full(48000 * 5, value), 48000, subtype="FLOAT")
    with pytest.warns(SilentAudioWarning, match=r"clip\.wav: silent from start to end") as caught:
        loaded = load_audio(path, sample_rate=48000)
    assert len(caught) == 1
    assert len(loaded) == 48000 * 5


def test_channels_that_cancel_have_a_warning_of_their_own(noise):
    samples = np.stack([noise(4800), -noise(4800)], axis=1)
    with pytest.warns(CancellingChannelsWarning, match="its channels cancel") as caught:
        load_audio(waveform(samples, 48000), sample_rate=48000)
    assert "silent" not in str(caught[0].message)
    assert issubclass(CancellingChannelsWarning, SilentAudioWarning)


def test_what_is_to_be_said_of_a_clip_goes_to_who_asks_for_it_and_warns_of_nothing(noise):
    said = []
    samples = np.stack([noise(4800), -noise(4800)], axis=1)
    for block in audio_blocks(waveform(samples, 48000), sample_rate=16000, remark=said.append):
        assert not block.any()
    (remark,) = said
    assert remark.startswith("its channels cancel")


def test_channels_that_all_but_cancel_warn_though_their_average_is_not_silent(noise):
    samples = np.stack([noise(4800), -0.97 * noise(4800)], axis=1)  # (0.03 / 2)^2 = -36 dB
    assert np.abs(samples.mean(axis=1)).max() > 100 * 1e-5
    with pytest.warns(CancellingChannelsWarning):
        load_audio(waveform(samples, 48000), sample_rate=48000)


@pytest.mark.parametrize("channels", [2, 64])
def test_channels_that_have_nothing_in_common_do_not_cancel(noise, channels):
    load_audio(waveform(noise(48000, channels), 48000), sample_rate=48000)


def test_one_channel_in_opposite_phase_and_a_little_louder_does_not_warn(noise):
    samples = np.stack([noise(4800), -0.85 * noise(4800)], axis=1)  # (0.15 / 2)^2 = -22 dB
    load_audio(waveform(samples, 48000), sample_rate=48000)


def test_a_silent_clip_of_two_channels_is_silent_and_does_not_cancel():
    with pytest.warns(SilentAudioWarning, match="silent from start") as caught:
        load_audio(waveform(np.zeros((4800, 2)), 48000), sample_rate=48000)
    assert caught[0].category is SilentAudioWarning


@pytest.mark.parametrize("sample_rate", [48000, 16000])
@pytest.mark.parametrize("first_s", [0.5, 2.0, 2.001, 4.5, 60.0])
def test_the_first_seconds_are_those_of_the_whole_clip(noise, wav, sample_rate, first_s):
    path = wav(noise(48000 * 5), 48000)
    whole = load_audio(path, sample_rate=sample_rate)
    first = load_audio(path, sample_rate=sample_rate, first_s=first_s)
    np.testing.assert_array_equal(first, whole[: round(first_s * sample_rate)])


def test_the_first_seconds_of_a_long_clip_cost_no_more_than_these(noise, wav, monkeypatch):
    path = wav(np.tile(noise(8000), 600), 8000)  # ten minutes
    read = []
    whole = soundfile.SoundFile.read

    def counted(sound, *given, **named):
        block = whole(sound, *given, **named)
        read.append(len(block) / 8000)
        return block

    monkeypatch.setattr(soundfile.SoundFile, "read", counted)
    assert len(load_audio(path, sample_rate=8000, first_s=12)) == 12 * 8000
    assert sum(read) <= 14


@pytest.mark.parametrize("first_s", [0.0, -1.0, float("nan")])
def test_refuses_first_seconds_that_are_none(noise, wav, first_s):
    with pytest.raises(SettingsError, match="first_s is"):
        load_audio(wav(noise(4800), 48000), sample_rate=48000, first_s=first_s)


def test_a_quiet_clip_does_not_warn():
    samples = np.zeros(4800, np.int16)
    samples[7] = 1
    load_audio(waveform(samples, 48000), sample_rate=48000)


def test_the_source_array_is_not_changed(noise):
    samples = noise(48000)
    before = samples.copy()
    for block in audio_blocks(waveform(samples, 48000), sample_rate=48000):
        block[:] = 0
    np.testing.assert_array_equal(samples, before)


def test_a_file_is_closed_when_its_reader_is_abandoned(noise, wav):
    path: Path = wav(noise(48000 * 5), 48000)
    blocks = audio_blocks(path, sample_rate=48000, block_s=1.0)
    next(blocks)
    blocks.close()
    path.unlink()


@pytest.mark.parametrize("channels", [1, 2, 3, 5, 6, 7, 8, 9, 64])
@pytest.mark.parametrize("kind", ["float32", "float64"])
def test_the_average_of_channels_has_the_digits_of_numpys_mean(channels, kind):
    samples = np.random.default_rng(channels).uniform(-1, 1, (4000, channels)).astype(kind)
    expected = samples.astype(np.float64).mean(axis=1).astype(np.float32)
    loaded = load_audio(waveform(samples, 32000), sample_rate=32000)
    assert np.array_equal(loaded, expected)


@pytest.mark.parametrize("channels", [2, 6])
def test_the_average_of_a_files_channels_has_the_digits_of_numpys_mean(channels, wav):
    samples = np.random.default_rng(channels).uniform(-1, 1, (4000, channels)).astype(np.float32)
    path = wav(samples, 32000, subtype="FLOAT")
    assert np.array_equal(load_audio(path, sample_rate=32000), samples.mean(axis=1))


@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_a_clip_decoded_before_gives_the_same_samples_notes_and_faults(
    rate: int,
) -> None:
    wave = np.random.default_rng(1).standard_normal(5 * rate) * 0.1
    bad = np.full(rate, np.inf)
    for name, samples in (("noise", wave), ("silent", 0 * wave), ("bad", bad)):
        source = Waveform(samples=samples, sample_rate=rate, name=name)
        before = decode(source, sample_rate=32_000)
        assert before is not None
        said: tuple[list[str], list[str]] = [], []
        for clip, told in zip((source, before), said, strict=True):
            blocks = audio_blocks(clip, sample_rate=32_000, remark=told.append)
            if name == "bad":
                with pytest.raises(AudioError, match=r"bad: sample 0 .* infinite") as raised:
                    list(blocks)
                told.append(str(raised.value))
            else:
                assert np.array_equal(np.concatenate(list(blocks)), before.samples)
        assert said[0] == said[1]
        assert bool(said[0]) == (name != "noise")


def test_a_clip_longer_than_may_be_held_is_left_to_its_hearer() -> None:
    clip = Waveform(samples=np.full(64_000, 0.1), sample_rate=32_000)
    assert decode(clip, sample_rate=32_000, most_s=1.9) is None
    found = decode(clip, sample_rate=32_000, most_s=2.0)
    assert found is not None
    with pytest.raises(SettingsError, match="decoded at 32000 Hz, not 16000"):
        list(audio_blocks(found, sample_rate=16_000))
