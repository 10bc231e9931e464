"""All that a sound file holds is heard, or the file is refused: by format, from outside."""

from __future__ import annotations

import shutil
import struct
import subprocess

import numpy as np
import pytest
import soundfile

from humanclap.audio import SoundBytes, audio_blocks, load_audio
from humanclap.errors import AudioError

RATE = 16000
PLAIN = {
    "wav": {},
    "rf64": {"format": "RF64"},
    "w64": {"format": "W64"},
    "aiff": {},
    "svx": {"format": "SVX", "subtype": "PCM_16"},
    "caf": {"format": "CAF"},
    "au": {"format": "AU"},
    "nist": {"format": "NIST"},
}
OTHERS = {
    "flac": {},
    "ogg": {"format": "OGG", "subtype": "VORBIS"},
    "opus": {"format": "OGG", "subtype": "OPUS"},
    "mp3": {},
}
FORMATS = PLAIN | OTHERS
ODD = {
    "mat4": {"format": "MAT4"},
    "mat5": {"format": "MAT5"},
    "avr": {"format": "AVR"},
    "ircam": {"format": "IRCAM"},
    "pvf": {"format": "PVF"},
    "paf": {"format": "PAF"},
    "voc": {"format": "VOC"},
    "htk": {"format": "HTK"},
}


def refused(path) -> str:
    """Why a file is refused; its bytes are, for the same reason."""
    with pytest.raises(AudioError) as caught:
        load_audio(path, sample_rate=RATE)
    if path.exists():
        with pytest.raises(AudioError) as of_bytes:
            load_audio(in_memory(path), sample_rate=RATE)
        assert str(of_bytes.value) == str(caught.value)
    return caught.value.reason


def heard(path) -> np.ndarray:
    """The samples of a file; its bytes give the same."""
    samples = load_audio(path, sample_rate=RATE)
    np.testing.assert_array_equal(load_audio(in_memory(path), sample_rate=RATE), samples)
    return samples


def in_memory(path) -> SoundBytes:
    return SoundBytes(data=path.read_bytes(), name=str(path))


@pytest.fixture
def two_seconds(noise):
    return noise(2 * RATE)


@pytest.mark.parametrize("ending", [*FORMATS, *ODD])
def test_a_whole_file_of_every_format_is_read(two_seconds, wav, ending):
    path = wav(two_seconds, RATE, f"a.{ending}", **(FORMATS | ODD)[ending])
    assert len(heard(path)) == 2 * RATE


@pytest.mark.parametrize("ending", FORMATS)
def test_two_files_put_one_behind_the_other_are_refused(noise, wav, ending):
    first = wav(noise(2 * RATE), RATE, f"a.{ending}", **FORMATS[ending])
    second = wav(noise(4 * RATE), RATE, f"b.{ending}", **FORMATS[ending])
    first.write_bytes(first.read_bytes() + second.read_bytes())
    reason = refused(first)
    assert any(word in reason for word in ("bytes follow", "in a row", "lie after"))
    assert "convert it: ffmpeg" in reason or "export it again" in reason


def test_a_fifth_of_a_second_of_flac_behind_a_flac_is_refused(noise, wav):
    first = wav(noise(2 * RATE), RATE, "a.flac")
    second = wav(noise(RATE // 5), RATE, "b.flac")
    assert second.stat().st_size < 8192
    first.write_bytes(first.read_bytes() + second.read_bytes())
    assert "after the length that its FLAC header announces" in refused(first)


@pytest.mark.parametrize("ending", [*PLAIN, "ogg", "opus", "flac", "mp3"])
def test_half_a_file_is_refused(two_seconds, wav, ending):
    path = wav(two_seconds, RATE, f"a.{ending}", **FORMATS[ending])
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    assert "truncated" in refused(path)


def test_a_wav_whose_header_covers_one_second_of_six_is_refused(noise, wav):
    six = wav(noise(6 * RATE), RATE, "six.wav").read_bytes()
    one = wav(noise(RATE), RATE, "one.wav").read_bytes()
    path = wav(noise(RATE), RATE, "a.wav")
    path.write_bytes(one[:44] + six[44:])
    assert soundfile.info(path).duration == 1
    reason = refused(path)
    assert "160000 bytes follow the 32000 bytes of samples" in reason  # 5 s and 1 s
    assert "ffmpeg -ignore_length 1 -i a.wav a-whole.wav" in reason


def test_a_wav_whose_recorder_never_wrote_a_length_is_refused_for_that(noise, wav):
    path = wav(noise(RATE), RATE)
    content = path.read_bytes()
    path.write_bytes(content[:40] + struct.pack("<I", 0) + content[44:])
    assert "32000 bytes follow the 0 bytes of samples" in refused(path)


def test_a_second_data_chunk_is_refused(noise, wav):
    path = wav(noise(RATE), RATE)
    content = path.read_bytes()
    path.write_bytes(content + content[36:])
    assert "would not be heard" in refused(path)


TAG = b"ID3\x03\0\0" + bytes([0, 0, 0x7F, 0x7F]) + b"\x01" * 16383  # 127 * 128 + 127 bytes


@pytest.mark.parametrize(
    "behind",
    [
        b"LIST" + struct.pack("<I", 20001) + b"\x01" * 20001 + b"\0",  # odd, evened
        b"LIST" + struct.pack("<I", 20001) + b"\x01" * 20001 + b"bext\x04\0\0\0abcd",  # not evened
        b"\0" * 60000,
        b"TAG" + b"x" * 125,
        TAG,
        TAG + b"TAG" + b"x" * 125,
        b"\x01" * 1000,
    ],
    ids=["chunk", "odd chunk", "padding", "ID3v1", "ID3v2", "both", "a few bytes"],
)
def test_what_stands_behind_a_wav_and_is_no_sound_does_no_harm(noise, wav, behind):
    path = wav(noise(RATE), RATE)
    path.write_bytes(path.read_bytes() + behind)
    assert len(heard(path)) == RATE


@pytest.mark.parametrize("ending", ["flac", "mp3", "ogg", "au"])
def test_an_id3v1_tag_behind_a_file_does_no_harm(noise, wav, ending):
    path = wav(noise(RATE), RATE, f"a.{ending}", **FORMATS[ending])
    path.write_bytes(path.read_bytes() + b"TAG" + b"x" * 125)
    assert len(heard(path)) == RATE


@pytest.mark.parametrize(
    ("ending", "at", "placeholder"),
    [("wav", 40, b"\xff\xff\xff\xff"), ("au", 8, b"\xff\xff\xff\xff"), ("aiff", 42, b"\0\0\0\0")],
)
def test_a_file_written_to_a_pipe_is_read_to_its_end(noise, wav, ending, at, placeholder):
    path = wav(noise(RATE), RATE, f"a.{ending}", **FORMATS[ending])
    content = path.read_bytes()
    path.write_bytes(content[:at] + placeholder + content[at + 4 :])
    assert len(heard(path)) == RATE


def without_length(flac: bytes) -> bytes:
    """A FLAC whose STREAMINFO says 0 samples, which stands for "unknown" (RFC 9639, 8.2)."""
    return flac[:21] + bytes([flac[21] & 0xF0]) + b"\0\0\0\0" + flac[26:]


def test_a_flac_of_unknown_length_is_read_to_its_end(noise, wav):
    samples = noise(6 * RATE)
    path = wav(samples, RATE, "a.flac")
    whole = heard(path)
    path.write_bytes(without_length(path.read_bytes()))
    assert soundfile.info(path).frames > 1 << 60
    np.testing.assert_array_equal(heard(path), whole)
    assert len(whole) == 6 * RATE


def test_half_a_flac_of_unknown_length_is_refused(noise, wav):
    path = wav(noise(6 * RATE), RATE, "a.flac")
    content = without_length(path.read_bytes())
    path.write_bytes(content[: len(content) // 2])
    assert "truncated or damaged?" in refused(path)


def test_a_caf_of_open_length_is_refused_for_that_and_not_as_damaged(noise, wav):
    path = wav(noise(RATE), RATE, "a.caf", format="CAF")
    content = path.read_bytes()
    at = content.index(b"data") + 4
    path.write_bytes(content[:at] + struct.pack(">q", -1) + content[at + 8 :])
    reason = refused(path)
    assert "leaves open how long it is" in reason
    assert "ffmpeg -i a.caf a.wav" in reason


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")
@pytest.mark.parametrize(
    ("ending", "options"),
    [("flac", ()), ("wav", ()), ("ogg", ("-c:a", "libvorbis")), ("opus", ("-c:a", "libopus"))],
)
def test_what_ffmpeg_writes_to_a_pipe_is_read_to_its_end(noise, wav, tmp_path, ending, options):
    source = wav(noise(3 * RATE), RATE, "in.wav")
    made = subprocess.run(
        ["ffmpeg", "-v", "error", "-i", source, *options, "-f", ending, "pipe:"],
        check=True,
        capture_output=True,
    )
    path = tmp_path / f"piped.{ending}"
    path.write_bytes(made.stdout)
    assert len(heard(path)) == pytest.approx(3 * RATE, abs=RATE // 50)


@pytest.mark.parametrize("block_s", [2.0, 0.5, 0.1])
def test_an_mp3_of_variable_bit_rate_is_the_same_whatever_the_block(wav, block_s):
    tone = 0.3 * np.sin(2 * np.pi * 440 * np.arange(44100 * 6) / 44100)
    path = wav(tone, 44100, "a.mp3", bitrate_mode="VARIABLE", compression_level=0.5)
    at_once, _ = soundfile.read(path, dtype="float32")
    blocks = np.concatenate(list(audio_blocks(path, sample_rate=44100, block_s=block_s)))
    np.testing.assert_allclose(blocks, at_once, atol=1e-6)


def test_names_in_the_remedy_are_those_of_the_file(tmp_path):
    path = tmp_path / "a dog's bark.m4a"
    path.write_bytes(b"\0\0\0\x20ftypM4A " + b"\0" * 200)
    assert """ffmpeg -i 'a dog'"'"'s bark.m4a' 'a dog'"'"'s bark.wav'""" in refused(path)


def test_a_git_lfs_pointer_and_a_link_to_nothing_say_what_they_are(tmp_path):
    pointer = tmp_path / "dog.wav"
    pointer.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n")
    assert "git lfs pull" in refused(pointer)
    link = tmp_path / "cat.wav"
    link.symlink_to("../.git/annex/objects/cat.wav")
    reason = refused(link)
    assert reason.startswith("is a link to ../.git/annex/objects/cat.wav, which is not there")
    assert "git annex get" in reason


def test_bytes_without_a_name_have_a_remedy_too():
    with pytest.raises(AudioError, match=r"^<bytes>: not a sound file.*: ffmpeg -i IN OUT.wav$"):
        load_audio(SoundBytes(data=b"<html>404 not found</html>" * 50), sample_rate=RATE)
    with pytest.raises(AudioError, match=r"^<bytes>: the file is empty \(0 bytes\)"):
        load_audio(SoundBytes(data=b""), sample_rate=RATE)
