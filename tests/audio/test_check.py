"""What is wrong with a clip, by the rules of scoring and without an exception."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest

from humanclap.audio import ClipCheck, Waveform, check_clip, load_audio
from humanclap.errors import AudioError


def test_a_good_clip_has_its_duration_and_nothing_else(noise, wav):
    assert check_clip(wav(noise(44100 * 3, 2), 44100)) == ClipCheck(duration_s=3.0)
    assert check_clip(Waveform(samples=noise(800), sample_rate=16000)).duration_s == 0.05


def test_a_fault_at_the_very_end_is_found(noise, wav):
    samples = noise(16000 * 5)
    samples[-1] = np.nan
    found = check_clip(wav(samples, 16000, subtype="FLOAT"))
    assert math.isnan(found.duration_s)
    assert "sample 79999 (at 5.000 s) is NaN" in str(found.fault)


@pytest.mark.parametrize("ending", ["flac", "wav", "ogg", "mp3"])
def test_the_fault_of_half_a_file_is_the_one_that_scoring_gives(noise, wav, ending):
    path = wav(noise(16000 * 6), 16000, f"a.{ending}")
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(AudioError) as caught:
        load_audio(path, sample_rate=32000)
    assert check_clip(path).fault == caught.value.reason
    assert "truncated" in caught.value.reason


def test_a_missing_file_has_a_fault(tmp_path):
    assert "no such file" in str(check_clip(tmp_path / "dog.wav").fault)


def test_silence_and_cancelling_channels_are_notes_and_warn_of_nothing(noise, wav):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        silent = check_clip(wav(np.zeros((16000, 2)), 16000))
        opposite = check_clip(wav(np.stack([noise(16000), -noise(16000)], axis=1), 16000, "b.wav"))
    assert silent.duration_s == opposite.duration_s == 1
    assert str(silent.note).startswith("silent from start to end")
    assert str(opposite.note).startswith("its channels cancel")
