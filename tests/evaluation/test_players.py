import base64
import re
import struct
import zlib
from io import BytesIO

import numpy as np
import pytest
import soundfile

from humanclap.evaluation import EvaluationSettings, ScoreTable, compare, html_report
from humanclap.evaluation.markup import players as module
from humanclap.evaluation.markup.players import Card, Players, spectrogram_png
from humanclap.evaluation.report.files import write_reports


@pytest.fixture
def clips(tmp_path):
    """A folder with a clip of 2 s: a tone of 1 kHz, then of 4 kHz."""
    t = np.arange(16_000) / 16_000
    tone = np.concatenate([np.sin(2 * np.pi * 1000 * t), np.sin(2 * np.pi * 4000 * t)])
    soundfile.write(tmp_path / "tone.wav", 0.5 * tone, 16_000)
    return tmp_path


def pixels(png):
    """(rows, columns) of an indexed PNG, checking every checksum."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    at, chunks = 8, {}
    while at < len(png):
        (size,) = struct.unpack(">I", png[at : at + 4])
        kind, data = png[at + 4 : at + 8], png[at + 8 : at + 8 + size]
        assert struct.unpack(">I", png[at + 8 + size : at + 12 + size])[0] == zlib.crc32(
            kind + data
        )
        chunks[kind], at = data, at + 12 + size
    columns, rows = struct.unpack(">II", chunks[b"IHDR"][:8])
    raw = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(rows, columns + 1)
    assert (raw[:, 0] == 0).all()
    assert len(chunks[b"PLTE"]) == 3 * 256
    return raw[:, 1:]


def test_the_spectrogram_shows_each_tone_at_its_height_and_time():
    t = np.arange(24_000) / 24_000
    tone = np.concatenate([np.sin(2 * np.pi * 1000 * t), np.sin(2 * np.pi * 4000 * t)])
    found = pixels(spectrogram_png(tone.astype(np.float32)))
    assert found.shape == (72, 256)
    # Row r counts from the top: 12 kHz * (60 / 12000) ** (r / 72), so 4 kHz is 14.9, 1 kHz 33.8.
    assert found[:, 40].argmax() == pytest.approx(33.8, abs=1.5)
    assert found[:, 215].argmax() == pytest.approx(14.9, abs=1.5)


def test_a_clip_shorter_than_a_frame_has_a_spectrogram_too():
    assert pixels(spectrogram_png(np.ones(10, np.float32))).shape == (72, 256)


def test_the_sound_inside_the_page_is_the_clip(clips):
    found = Players(clips).cards([Card("tone.wav", "a tone", ("score 1",))])
    (encoded,) = re.findall(r'src="data:audio/mpeg;base64,([^"]*)"', found)
    samples, rate = soundfile.read(BytesIO(base64.b64decode(encoded)))
    assert rate == 24_000
    assert samples.size == pytest.approx(48_000, abs=3_000)
    first = np.abs(np.fft.rfft(samples[4_000:20_000]))
    assert first.argmax() * 24_000 / 16_000 == pytest.approx(1000, abs=3)


def test_linked_clips_are_named_relative_to_the_page(clips):
    (clips / "a b").mkdir()
    (clips / "tone.wav").rename(clips / "a b" / "tone&.wav")
    found = Players(clips, clips / "reports").cards([Card("a b/tone&.wav", "a tone", ())])
    assert 'src="../a%20b/tone%26.wav"' in found
    assert "audio/mpeg" not in found


def test_a_clip_that_cannot_be_played_says_why(clips):
    (clips / "bad.wav").write_bytes(b"no sound")
    found = Players(clips).cards([Card("none.wav", "x", ()), Card("bad.wav", "y", ())])
    assert found.count("not playable: ") == 2
    assert "<audio" not in found


def test_the_page_has_a_full_size(clips, monkeypatch):
    monkeypatch.setattr(module, "MAX_PAGE_BYTES", 1000)
    found = Players(clips).cards([Card("tone.wav", "a tone", ())])
    assert "not embedded: the page has its full size" in found


def test_text_and_names_of_clips_are_escaped(clips):
    found = Players(clips).cards([Card('"><b>.wav', "<i>", ("<u>",))])
    for tag in ("<b>", "<i>", "<u>"):
        assert tag not in found


def test_the_report_plays_and_its_policy_allows_that_alone(targets, scores_of, clips):
    tables = [ScoreTable(name="m", scores=scores_of(targets))]
    settings = EvaluationSettings(replicates=40, permutations=9)
    found = compare(tables, targets, settings)
    for target in targets[:3]:
        path = clips / target.audio
        path.parent.mkdir(exist_ok=True)
        path.write_bytes((clips / "tone.wav").read_bytes())
    page = html_report(found, audio_root=clips)
    for title in ("Highest scores", "Lowest scores", "disagree most"):
        assert title in page
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    assert "media-src data:;" in policy
    write_reports(found, html_path=clips / "r.html", audio_root=clips, link_audio=True)
    linked = (clips / "r.html").read_text(encoding="utf-8")
    assert "media-src data: 'self' file:;" in linked


def test_the_hashes_of_the_policy_are_those_of_the_page(targets, scores_of):
    import hashlib

    tables = [ScoreTable(name="m", scores=scores_of(targets))]
    page = html_report(compare(tables, targets, EvaluationSettings(replicates=40)))
    for tag in ("style", "script"):
        (content,) = re.findall(f"<{tag}>(.*?)</{tag}>", page, flags=re.S)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in page


def test_only_the_seconds_that_are_kept_are_decoded(tmp_path):
    noise = 0.1 * np.random.default_rng(0).standard_normal(16_000 * 60)
    noise[-1] = np.nan  # a fault in the last minute of a long clip, which the card does not hold
    soundfile.write(tmp_path / "long.wav", noise, 16_000, subtype="FLOAT")
    found = Players(tmp_path).cards([Card("long.wav", "noise", ())])
    (encoded,) = re.findall(r'src="data:audio/mpeg;base64,([^"]*)"', found)
    sound = soundfile.info(BytesIO(base64.b64decode(encoded)))
    assert sound.duration == pytest.approx(12, abs=0.1)
