"""Scores of the service are those of `HumanCLAP`, in whatever form they are asked for."""

from __future__ import annotations

import base64
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import soundfile
from prometheus_client.parser import text_string_to_metric_families

from humanclap import Waveform
from humanclap.records import Pair
from humanclap.scoring.scorer import HumanCLAP
from humanclap.serving import Client

TEXTS = ["a dog barks", "rain on a roof", "a man speaks", "wind", "a bell rings twice", "birds"]


def coded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def form(parts: list[tuple[str, str | None, bytes]]) -> tuple[bytes, dict[str, str]]:
    boundary = uuid.uuid4().hex
    body = b""
    for name, file_name, data in parts:
        said = f'form-data; name="{name}"' + (f'; filename="{file_name}"' if file_name else "")
        body += f"--{boundary}\r\nContent-Disposition: {said}\r\n\r\n".encode() + data + b"\r\n"
    kind = f"multipart/form-data; boundary={boundary}"
    return body + f"--{boundary}--\r\n".encode(), {"Content-Type": kind}


@pytest.fixture(scope="module")
def local(scorer, clips) -> np.ndarray:
    plain = HumanCLAP(scorer._checkpoint, scorer.settings)
    return plain.score_many(clips, TEXTS)


def test_a_form_of_files_scores_as_the_library_does(target, clips, local) -> None:
    parts = [("clip", path.name, path.read_bytes()) for path in clips]
    parts += [("text", None, text.encode()) for text in TEXTS]
    reply = target.ask("POST", "/v1/score", *form(parts))
    assert reply.status == 200
    found = [pair["score"] for pair in reply.json["pairs"]]
    np.testing.assert_allclose(found, local, atol=1e-6)
    assert [pair["audio"] for pair in reply.json["pairs"]] == [path.name for path in clips]


def test_json_takes_files_and_samples(target, scorer, clips, tone) -> None:
    samples = np.stack([tone(2), tone(2, pitch=900)], axis=1)
    whole = (tone(3) * 32767).astype(np.int16)
    request = {
        "clips": [
            {"file": coded(clips[0].read_bytes())},
            {"samples": coded(samples.tobytes()), "sample_rate": 16000, "channels": 2},
            {"samples": coded(whole.tobytes()), "sample_rate": 16000, "dtype": "int16"},
        ],
        "texts": "a dog barks",
    }
    given = [
        clips[0],
        Waveform(samples=samples, sample_rate=16000),
        Waveform(samples=whole, sample_rate=16000),
    ]
    expected = scorer.predict(given, "a dog barks")
    pairs = target.score(request).json["pairs"]
    np.testing.assert_allclose([p["score"] for p in pairs], expected.scores, atol=1e-6)
    np.testing.assert_allclose([p["rating"] for p in pairs], expected.ratings, atol=1e-5)


def test_the_client_gives_the_table_of_predict(target, scorer, clips, tone) -> None:
    silent = Waveform(samples=np.zeros(16000, np.float32), sample_rate=16000, name="silent.wav")
    short = Waveform(samples=tone(0.005), sample_rate=16000, name="short.wav")
    given = [*clips[:3], silent, short, clips[4]]
    texts = [*TEXTS[:3], "日本語のテキスト", "rain", ""]
    table, expected = Client(target.url).predict(given, texts), scorer.predict(given, texts)
    np.testing.assert_allclose(table.scores, expected.scores, atol=1e-6)
    np.testing.assert_allclose(table.rating_errors, expected.rating_errors, atol=1e-5)
    assert table.problems == expected.problems
    assert table.notes == expected.notes
    assert table.signature == expected.signature
    assert [row.audio for row in table] == [row.audio for row in expected]
    assert [row.text_cut for row in table] == [row.text_cut for row in expected]


def test_what_the_model_met_is_told_as_score_pairs_does(target, scorer, clips) -> None:
    pairs = [Pair(audio=str(path), text=text) for path, text in zip(clips, TEXTS, strict=True)]
    expected = {row.audio: row.met for row in scorer.score_pairs(pairs)}
    found = Client(target.url).predict(clips, TEXTS)
    assert {row.audio: row.met for row in found} == expected


def test_one_clip_goes_with_many_texts_and_one_text_with_many_clips(target, scorer, clips) -> None:
    client = Client(target.url)
    for audio, text in ((clips[0], TEXTS), (clips[::5], "rain"), (clips[:1], ["rain"])):
        found, expected = client.predict(audio, text).scores, scorer.predict(audio, text).scores
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_batch_larger_than_a_request_goes_in_several(target, scorer, tone) -> None:
    batch = np.stack([tone(0.1, pitch=200 + 10 * n) for n in range(10)])
    texts = [f"a sound of number {n % 3}" for n in range(10)]
    found = Client(target.url).predict(batch, texts, sample_rate=16000).scores
    expected = scorer.predict(batch, texts, sample_rate=16000).scores
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_files_too_long_together_go_in_several(target, scorer, tone, tmp_path) -> None:
    """Five files of 12 s, where a request may have 30 s."""
    files = [tmp_path / f"{n}.flac" for n in range(5)]
    for number, path in enumerate(files):
        soundfile.write(path, tone(12, 8_000, 200 + 50 * number), 8_000)
    texts = [f"a sound of number {n % 3}" for n in range(5)]
    with Client(target.url) as client:
        found = client.predict(files, texts)
    expected = scorer.predict(files, texts)
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-6)
    assert [row.audio for row in found] == [row.audio for row in expected]


def test_requests_are_scored_together_and_none_changes_another(
    started, scorer, clips, local, monkeypatch
) -> None:
    """The model is held up until all requests wait; then it takes them in one batch or two."""
    gate, sizes = threading.Event(), []
    inner = type(scorer).score_decoded

    def held(self, decoded, texts):
        assert gate.wait(20)
        sizes.append(len(decoded))
        return inner(self, decoded, texts)

    monkeypatch.setattr(type(scorer), "score_decoded", held)
    with started() as target:
        client = Client(target.url)
        with ThreadPoolExecutor(6) as pool:
            asked = [pool.submit(client.score, c, t) for c, t in zip(clips, TEXTS, strict=True)]
            waiting = 0.0
            while waiting < 6:
                waiting = metrics(target)["humanclap_waiting_clips"]
            gate.set()
            found = [future.result() for future in asked]
    assert sum(sizes) == 6
    assert len(sizes) <= 3
    np.testing.assert_allclose(found, local, atol=1e-6)


def metrics(target) -> dict[str, float]:
    text = target.ask("GET", "/metrics").body.decode()
    samples = [s for family in text_string_to_metric_families(text) for s in family.samples]
    labels = ("path", "code", "fault")
    return {
        s.name + "".join(f"[{s.labels[name]}]" for name in labels if name in s.labels): s.value
        for s in samples
    }


def test_metrics_count_what_was_asked(started, wav, tone) -> None:
    with started() as target:
        good = {"clips": {"file": coded(wav)}, "texts": ["rain", ""]}
        assert target.score(good).status == 200
        assert target.score(b"{").status == 422
        found = metrics(target)
    assert found["humanclap_requests_total[/v1/score][200]"] == 1
    assert found["humanclap_requests_total[/v1/score][422]"] == 1
    assert found["humanclap_request_seconds_count"] == 2
    assert found["humanclap_audio_seconds_total"] == pytest.approx(1.0)
    assert found["humanclap_pairs_total"] == 1
    assert found["humanclap_pair_errors_total[text]"] == 1
    assert found["humanclap_batch_windows_sum"] == 1
    assert found["humanclap_waiting_clips"] == found["humanclap_waiting_bytes"] == 0
    assert found["process_cpu_seconds_total"] > 0


def test_the_model_says_what_it_is_and_takes(target, scorer) -> None:
    found = target.ask("GET", "/v1/model").json
    assert found["signature"] == scorer.signature
    assert (found["sample_rate"], found["window_s"]) == (32000, 10.0)
    assert found["limits"]["pairs"] == 8
    assert found["calibration"]["fitted_on"] == "nothing"


def test_the_openapi_description_is_valid_and_names_the_forms(target) -> None:
    from openapi_spec_validator import validate

    found = target.ask("GET", "/openapi.json").json
    validate(found)
    forms = found["paths"]["/v1/score"]["post"]["requestBody"]["content"]
    assert set(forms) == set(target.ask("GET", "/v1/model").json["forms"])


def test_probes_answer(target) -> None:
    assert target.ask("GET", "/health/live").status == 200
    assert target.ask("GET", "/health/ready").status == 200
