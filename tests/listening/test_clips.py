from __future__ import annotations

import io
import random

import numpy as np
import pytest
import soundfile

from humanclap.errors import AudioError
from humanclap.listening.design import headphones
from humanclap.listening.design.clips import ClipCache


@pytest.mark.parametrize("form", ["flac", "wav"])
def test_sixteen_bit_clips_are_served_bit_exact(tmp_path, form) -> None:
    samples = np.random.default_rng(0).integers(-32768, 32767, (800, 2)).astype(np.int16)
    soundfile.write(tmp_path / "a.flac", samples, 22050, subtype="PCM_16")
    cache = ClipCache(tmp_path, tmp_path / "cache")
    heard, rate = soundfile.read(io.BytesIO(cache.content("a.flac", form)), dtype="int16")
    assert rate == 22050
    np.testing.assert_array_equal(heard, samples)


@pytest.mark.parametrize(
    ("form", "subtype", "error"),
    [("wav", "FLOAT", 1e-4), ("wav", "PCM_24", 1e-4), ("ogg", "VORBIS", 0.05), ("mp3", None, 0.05)],
)
def test_every_format_becomes_the_same_sound_in_sixteen_bits(
    tmp_path, form, subtype, error
) -> None:
    time_s = np.arange(16000) / 16000
    tone = 0.5 * np.sin(2 * np.pi * 440 * time_s)
    soundfile.write(tmp_path / f"a.{form}", tone, 16000, subtype=subtype)
    content = ClipCache(tmp_path, tmp_path / "cache").content(f"a.{form}", "wav")
    assert soundfile.info(io.BytesIO(content)).subtype == "PCM_16"
    heard, _ = soundfile.read(io.BytesIO(content))
    spectrum = np.abs(np.fft.rfft(heard[2000:14000]))
    assert spectrum.argmax() == 440 * 12000 // 16000
    assert abs(np.sqrt(np.mean(heard[2000:14000] ** 2)) - 0.5 / np.sqrt(2)) < error


def test_samples_beyond_full_scale_are_clipped_not_wrapped(tmp_path) -> None:
    soundfile.write(tmp_path / "a.wav", np.array([2.0, -2.0, 0.5]), 8000, subtype="FLOAT")
    content = ClipCache(tmp_path, tmp_path / "cache").content("a.wav", "wav")
    heard, _ = soundfile.read(io.BytesIO(content), dtype="int16")
    assert heard.tolist() == [32767, -32768, 16384]


def test_tags_of_the_original_are_not_served(tmp_path) -> None:
    with soundfile.SoundFile(tmp_path / "a.flac", "w", 8000, 1, subtype="PCM_16") as file:
        file.title, file.artist, file.comment = "a-title", "system-alpha", "a-comment"
        file.write(np.zeros(100))
    cache = ClipCache(tmp_path, tmp_path / "cache")
    assert b"system-alpha" in (tmp_path / "a.flac").read_bytes()
    for form in ("flac", "wav"):
        content = cache.content("a.flac", form)  # type: ignore[arg-type]
        for tag in (b"a-title", b"system-alpha", b"a-comment"):
            assert tag not in content


def test_a_clip_that_has_changed_is_made_anew_and_a_missing_one_named(tmp_path) -> None:
    cache = ClipCache(tmp_path, tmp_path / "cache")
    soundfile.write(tmp_path / "a.wav", np.zeros(100), 8000)
    first = cache.path("a.wav", "wav")
    soundfile.write(tmp_path / "a.wav", np.zeros(200), 8000)
    assert cache.path("a.wav", "wav") != first
    with pytest.raises(AudioError, match=r"b\.wav"):
        cache.path("b.wav", "wav")
    (tmp_path / "c.wav").write_bytes(b"not a sound")
    with pytest.raises(AudioError, match=r"c\.wav"):
        cache.path("c.wav", "wav")
    assert not [p for p in (tmp_path / "cache").iterdir() if p.stat().st_size == 0]


def test_the_tones_part_headphones_from_loudspeakers() -> None:
    """In the air the channels add; only the tone in opposite phase vanishes."""
    heard = {
        kind: soundfile.read(io.BytesIO(headphones.tone(kind)))[0] for kind in headphones.KINDS
    }
    in_ear = {kind: np.sqrt(np.mean(tone[:, 0] ** 2)) for kind, tone in heard.items()}
    in_air = {kind: np.sqrt(np.mean(tone.sum(axis=1) ** 2)) for kind, tone in heard.items()}
    assert in_ear["plain"] == pytest.approx(in_ear["opposite"], rel=1e-3)
    assert 20 * np.log10(in_ear["plain"] / in_ear["quiet"]) == pytest.approx(6.0, abs=0.05)
    assert in_air["opposite"] < 0.01 * in_air["quiet"]


def test_guessing_rarely_passes_the_headphone_check() -> None:
    """Five of six at one in three: (6 * 2 + 1) / 729 = 1.8 %."""
    generator = random.Random(0)
    passed = sum(
        headphones.n_right(f"{n}", [generator.randrange(3) for _ in range(6)]) >= headphones.PASS_AT
        for n in range(4000)
    )
    assert passed / 4000 == pytest.approx(13 / 729, abs=0.007)


def test_the_volume_noise_has_its_stated_level() -> None:
    samples, _ = soundfile.read(io.BytesIO(headphones.volume_noise((-23.0,))))
    assert 20 * np.log10(np.sqrt(np.mean(samples**2))) == pytest.approx(-23, abs=0.1)
