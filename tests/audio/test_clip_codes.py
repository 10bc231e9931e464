from __future__ import annotations

import numpy as np
import pytest
import scipy.fft
import soundfile

from humanclap.audio import Waveform
from humanclap.audio.clip_codes import (
    CODES_KEPT,
    MIN_CODES,
    ClipIndex,
    Hearing,
    KeptClip,
    _fast_length,
    _product,
    clip_codes,
    keep,
)
from humanclap.errors import AudioError

RATE = 32_000


def codes(samples, rate=RATE):
    return clip_codes(Waveform(samples=np.asarray(samples, np.float32), sample_rate=rate))


@pytest.fixture(scope="module")
def known(sound):
    """Twelve clips of 4 s, and their index."""
    clips = [sound(seed, 4.0) for seed in range(12)]
    return clips, ClipIndex([keep(codes(clip)) for clip in clips])


WRITTEN = {
    "MP3 of 64 kbit/s at 22.05 kHz": ("x.mp3", 22_050, {"compression_level": 0.6}),
    "Vorbis": ("x.ogg", 32_000, {}),
    "16 bits at 16 kHz": ("x.wav", 16_000, {}),
    "FLAC at 44.1 kHz": ("x.flac", 44_100, {}),
}


@pytest.mark.parametrize("kind", WRITTEN)
def test_a_clip_is_found_in_another_format_and_no_other_is(known, sound, tmp_path, kind):
    name, rate, options = WRITTEN[kind]
    for seed in range(12):
        samples = sound(seed, 4.0, rate)
        stereo = np.stack([samples, 0.3 * samples], axis=1)
        soundfile.write(tmp_path / name, stereo, rate, **options)
        assert known[1].find(clip_codes(tmp_path / name)).tolist() == [seed]


@pytest.mark.parametrize("gain", [0.001, 0.1, 4.0])
def test_level_does_not_matter(known, gain):
    for seed, clip in enumerate(known[0]):
        assert known[1].find(codes(gain * clip)).tolist() == [seed]


def test_half_a_clip_is_found_wherever_it_was_cut(known):
    for seed, clip in enumerate(known[0]):
        for start in (0, 7_777, 31_415, 63_999):
            assert seed in known[1].find(codes(clip[start : start + 64_000]))


def test_a_clip_is_found_between_other_sounds_and_digital_silence(known, sound):
    silence = np.zeros(50_001)
    for seed, clip in enumerate(known[0]):
        among = np.concatenate((sound(500, 2.0), silence, clip, silence))
        assert known[1].find(codes(among)).tolist() == [seed]


def test_other_clips_are_not_found(known, sound):
    for seed in range(100, 130):
        assert not len(known[1].find(codes(sound(seed, 5.0))))


def test_silence_matches_nothing_not_even_silence():
    for samples in (np.zeros(RATE * 3), np.full(RATE * 3, 0.25), 1e-7 * np.ones(RATE * 3)):
        found = codes(samples)
        assert not found.any()
        assert keep(found) is None
        assert not len(ClipIndex([KeptClip(np.zeros(20, np.uint32), 3)]).find(found))


def test_a_constant_tone_has_no_codes():
    time = np.arange(3 * RATE) / RATE
    assert keep(codes(0.5 * np.sin(2 * np.pi * 440 * time))) is None


def test_faint_noise_around_a_sound_has_no_codes(sound):
    rng = np.random.default_rng(0)
    clip = sound(3, 2.0)
    faint = 1e-5 * rng.standard_normal(3 * RATE)
    padded = codes(np.concatenate((faint, clip, faint)))
    told = np.flatnonzero(padded) * 0.032
    assert told.min() > 2.5
    assert told.max() < 5.2


def test_one_second_is_enough_and_half_a_second_is_not(sound):
    for seed in range(12):
        second = keep(codes(sound(seed, 1.0)))
        assert second is not None
        assert ClipIndex([second]).find(codes(0.5 * sound(seed, 1.0))).tolist() == [0]
        assert keep(codes(sound(seed, 0.5))) is None


def test_what_is_kept_of_a_clip_is_small(sound):
    ten = keep(codes(sound(1, 10.0)))
    assert MIN_CODES < len(ten.codes) <= CODES_KEPT + 1
    assert len(keep(codes(sound(1, 60.0))).codes) * 4 < 60 * 11  # 11 bytes a second


def test_blocks_of_any_size_give_the_same_codes(sound):
    samples = sound(5, 3.0).astype(np.float32)
    whole = codes(samples)
    for size in (701, 1_024, 30_000):
        hearing = Hearing(RATE)
        for start in range(0, len(samples), size):
            hearing.add(samples[start : start + size])
        found = hearing.codes()
        # a bit whose change is within rounding of 0 may turn
        assert len(found) == len(whole)
        assert np.mean(found == whole) > 0.97


def test_the_same_samples_give_the_same_codes(sound):
    assert np.array_equal(codes(sound(2, 3.0)), codes(sound(2, 3.0)))


def test_nan_is_refused_where_it_is_decoded_and_has_no_codes_elsewhere():
    samples = np.random.default_rng(0).standard_normal(2 * RATE).astype(np.float32)
    samples[9_000] = np.nan
    with pytest.raises(AudioError, match="NaN"):
        codes(samples)
    hearing = Hearing(RATE)
    hearing.add(samples)
    assert not hearing.codes().any()


def test_rates_too_low_for_the_bands_and_clips_too_short_have_no_codes(sound):
    hearing = Hearing(8_000)
    hearing.add(sound(1, 3.0, 8_000).astype(np.float32))
    assert not len(hearing.codes())
    assert not len(codes(sound(1, 0.3)))


def test_an_empty_index_finds_nothing(sound):
    assert not len(ClipIndex([]).find(codes(sound(1, 2.0))))


@pytest.mark.parametrize("length", [2048, 2822, 1021, 3 * 7 * 11, 3072])
def test_transforms_are_of_scipys_fast_lengths(length):
    assert _fast_length(length) == scipy.fft.next_fast_len(length, real=True)


@pytest.mark.parametrize("rate", [16_000, 32_000, 44_100])
def test_codes_hardly_depend_on_whose_transform_it_is(sound, rate):
    samples = sound(3, 4.0)
    plain, other = Hearing(rate), Hearing(rate, lambda rows: np.fft.rfft(rows).astype(np.complex64))
    for hearing in (plain, other):
        hearing.add(samples)
    assert np.count_nonzero(plain.codes()) > MIN_CODES
    assert np.mean(plain.codes() != other.codes()) < 0.05


@pytest.mark.parametrize("rows", [1, 17, 313])
def test_products_in_parts_are_the_product(rows):
    rng = np.random.default_rng(rows)
    left, right = rng.random((rows, 417), np.float32), rng.random((417, 33), np.float32)
    np.testing.assert_allclose(_product(left, right), left @ right, rtol=1e-5)
