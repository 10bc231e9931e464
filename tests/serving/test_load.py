"""More than the service can take, clients that try again, and its end."""

from __future__ import annotations

import http.server
import json
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

import humanclap
from humanclap.audio.decode import SoundBytes
from humanclap.errors import AudioError, InputError, ServiceError, SettingsError
from humanclap.serving import Client, ServiceSettings
from humanclap.serving.packed import MEDIA_TYPE, packed

TOKEN = "a-token-of-the-tests-0123456789"


@contextmanager
def held_up(scorer, monkeypatch) -> Iterator[threading.Event]:
    """The model waits until the event is set."""
    gate = threading.Event()
    inner = type(scorer).score_decoded

    def held(self, clips, texts):
        assert gate.wait(20)
        return inner(self, clips, texts)

    with monkeypatch.context() as patch:
        patch.setattr(type(scorer), "score_decoded", held)
        try:
            yield gate
        finally:
            gate.set()


def wait_for(target, what: str) -> None:
    deadline = time.monotonic() + 20
    while what.encode() not in target.ask("GET", "/metrics").body:
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def test_what_finds_no_room_is_told_when_to_come_again_and_comes(
    started, scorer, tone, monkeypatch
) -> None:
    """Eight clips may wait; ten clients ask, and all of them are served in the end."""
    batch = [tone(0.1, pitch=200 + 10 * n) for n in range(10)]
    with held_up(scorer, monkeypatch) as gate, started(waiting_clips=8) as target:
        client = Client(target.url)
        with ThreadPoolExecutor(10) as pool:
            asked = [pool.submit(client.score, x, "rain", sample_rate=16000) for x in batch]
            wait_for(target, "humanclap_waiting_clips 8.0")
            wait_for(target, 'code="429",path="/v1/score"')
            gate.set()
            found = [future.result() for future in asked]
        client.close()
        page = target.ask("GET", "/metrics").body.decode()
    np.testing.assert_allclose(
        found, scorer.score_many(batch, "rain", sample_rate=16000), atol=1e-6
    )
    assert 'code="5' not in page


def test_the_time_to_come_again_is_what_the_queue_will_take(started, scorer) -> None:
    from humanclap.serving.batching import Batcher, BusyError, Job
    from humanclap.serving.counters import Metrics

    batcher = Batcher(scorer, ServiceSettings(waiting_clips=256), Metrics())
    try:
        batcher._waiting, batcher._clip_s = 250, 0.1
        with pytest.raises(BusyError, match="250 clips are waiting; try again in 10 s") as busy:
            batcher.submit(Job(clips=[None] * 106, texts=[]))  # 100 too many, 0.1 s each
        assert busy.value.retry_s == 10
        batcher._clip_s = 2.0  # 251 clips take 502 s, and the timeout is 120 s
        with pytest.raises(BusyError, match="would time out") as busy:
            batcher.submit(Job(clips=[None], texts=[]))
        assert busy.value.retry_s == 382
    finally:
        batcher._waiting = 0
        batcher.stop()


def test_bodies_that_find_no_room_are_answered_429(started, scorer, tone, monkeypatch) -> None:
    """One body of 1.3 MB waits, and only 2 MB may."""
    clip = tone(10, 32_000)
    with held_up(scorer, monkeypatch) as gate, started(waiting_mb=2) as target:
        client = Client(target.url, patience_s=0.5)
        with ThreadPoolExecutor(1) as pool:
            first = pool.submit(client.score, clip, "rain", sample_rate=32_000)
            wait_for(target, "humanclap_waiting_clips 1.0")
            with pytest.raises(ServiceError, match="too many requests are waiting") as refused:
                client.score(clip, "rain", sample_rate=32_000)
            gate.set()
            first.result()
        client.close()
    assert refused.value.status == 429


def test_a_request_that_takes_too_long_is_given_up(started, scorer, tone, monkeypatch) -> None:
    with held_up(scorer, monkeypatch) as gate, started(timeout_s=0.5) as target:
        with (
            Client(target.url, patience_s=0.1) as client,
            pytest.raises(ServiceError, match=r"not scored within 0\.5 s"),
        ):
            client.score(tone(0.1), "rain", sample_rate=16000)
        gate.set()


def test_a_client_that_goes_away_gives_its_room_back_at_once(
    started, scorer, tone, wav, monkeypatch
) -> None:
    """The model has the clip of another client all the while."""
    body = packed([SoundBytes(data=wav)] * 5, ["rain"], one=(False, True))
    head = f"POST /v1/score HTTP/1.1\r\nHost: x\r\nContent-Type: {MEDIA_TYPE}\r\n"
    head += f"Content-Length: {len(body)}\r\n\r\n"
    with held_up(scorer, monkeypatch) as gate, started() as target, Client(target.url) as client:
        with ThreadPoolExecutor(1) as pool:
            first = pool.submit(client.score, tone(), "rain", sample_rate=16000)
            wait_for(target, "humanclap_batch_windows_count 1.0")
            with socket.create_connection(target.address) as goes:
                goes.sendall(head.encode() + body)
                wait_for(target, "humanclap_waiting_clips 6.0")
            wait_for(target, "humanclap_waiting_clips 1.0")
            gate.set()
            assert np.isfinite(first.result())
        assert b"humanclap_audio_seconds_total 1.0" in target.ask("GET", "/metrics").body


def test_a_fault_of_our_own_is_answered_and_the_next_request_served(
    started, scorer, wav, monkeypatch, caplog
) -> None:
    def broken(self, *arguments, **more):
        raise RuntimeError("out of order")

    with started() as target, Client(target.url) as client:
        with monkeypatch.context() as patch:
            patch.setattr(type(scorer), "score_decoded", broken)
            with pytest.raises(ServiceError, match="its log says how") as failed:
                client.score(wav, "rain")
        assert failed.value.status == 500
        with monkeypatch.context() as patch:
            patch.setattr(type(scorer), "decode", broken)
            with pytest.raises(AudioError, match="cannot be decoded"):
                client.score(wav, "rain")
        assert client.score(wav, "rain") == pytest.approx(scorer.score(wav, "rain"), abs=1e-6)
    assert "out of order" in caplog.text


class Flaky(http.server.BaseHTTPRequestHandler):
    """Closes, closes half-way, is busy, and then answers; the class counts."""

    protocol_version = "HTTP/1.1"
    asked: list[float]

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.asked.append(time.monotonic())
        if len(self.asked) == 1:
            self.close_connection = True
            return
        if len(self.asked) == 2:
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
            self.close_connection = True
            return
        if len(self.asked) == 3:
            self.answer(429, {"detail": "busy"}, "Retry-After: 1\r\n")
            return
        pair = {"audio": "x", "text": "rain", "score": 0.5, "rating": None, "rating_error": None}
        pair |= dict.fromkeys(
            ("rating_covers", "met", "text_cut", "text_unread", "note", "error", "fault")
        )
        self.answer(200, {"signature": "s", "pairs": [pair]})

    def do_GET(self):
        self.answer(200, {"signature": "s", "limits": {"pairs": 8, "body_bytes": 1e6}})

    def answer(self, status: int, reply: object, more: str = "") -> None:
        body = json.dumps(reply).encode()
        head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n{more}\r\n"
        self.wfile.write(head.encode() + body)

    def log_message(self, *arguments):
        pass


def test_the_client_asks_again_after_a_lost_connection_and_when_it_was_told_to(tone) -> None:
    Flaky.asked = []
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Flaky) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        with Client(f"http://127.0.0.1:{server.server_port}") as client:
            assert client.score(tone(0.1), "rain", sample_rate=16000) == 0.5
        server.shutdown()
        thread.join()
    assert len(Flaky.asked) == 4
    assert Flaky.asked[3] - Flaky.asked[2] >= 1.0


def test_a_service_that_is_not_there_is_told_so(tone) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(ServiceError, match="cannot be reached"):
        Client(f"http://127.0.0.1:{port}", patience_s=0.3).score(tone(), "a", sample_rate=16000)
    with pytest.raises(SettingsError, match="is no address"):
        Client("localhost:8080")


def test_the_client_raises_what_the_library_raises(target, scorer, tone, wav) -> None:
    bad = [
        (("gone.wav", "rain"), {}),
        ((b"hello" * 300, "rain"), {}),
        ((tone(), "rain"), {}),
        ((tone(), ""), {"sample_rate": 16000}),
        ((tone(), 5), {"sample_rate": 16000}),
        ((tone(0.001), "rain"), {"sample_rate": 16000}),
        ((np.full(16000, np.nan, np.float32), "rain"), {"sample_rate": 16000}),
        ((wav, "rain"), {"sample_rate": 16000}),
        ((tone(), "rain"), {"sample_rate": 16000, "on_error": "ignore"}),
    ]
    with Client(target.url) as client:
        for arguments, more in bad:
            with pytest.raises(InputError) as expected:
                scorer.score(*arguments, **more)
            with pytest.raises(type(expected.value)) as found:
                client.score(*arguments, **more)
            assert str(found.value) == str(expected.value)
        with pytest.raises(AudioError, match="longer than the 20 s"):
            client.score(tone(21, 8000), "rain", sample_rate=8000)


def test_a_client_takes_what_the_library_takes(target, scorer, clips, wav, tone) -> None:
    import torch

    tensor = torch.from_numpy(tone(0.5))
    given = [str(clips[0]), clips[0], wav, {"array": tone(0.3), "sampling_rate": 16000}]
    with Client(target.url) as client:
        for audio in given:
            assert client.score(audio, "rain") == pytest.approx(scorer.score(audio, "rain"))
        for samples in (tensor, tensor.double(), tensor.half(), (tensor * 32767).short()):
            found = client.score(samples, "rain", sample_rate=16000)
            expected = scorer.score(samples, "rain", sample_rate=16000)
            assert found == pytest.approx(expected, abs=1e-6)


def test_a_client_pickles_and_serves_threads(started, scorer, tone) -> None:
    with started(token=TOKEN) as target:
        client = pickle.loads(pickle.dumps(Client(target.url, token=TOKEN)))
        assert TOKEN not in repr(client)
        batch = [tone(0.1, pitch=300 + n) for n in range(12)]
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(lambda x: client.score(x, "rain", sample_rate=16000), batch))
        client.close()
        with pytest.raises(ServiceError, match="a token is needed"):
            Client(target.url).score(batch[0], "rain", sample_rate=16000)
    expected = scorer.score_many(batch, "rain", sample_rate=16000)
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"host": "0.0.0.0"}, "there is no token"),
        ({"token": "short"}, "16 characters"),
        ({"token": "with a space in the middle"}, "space"),
        ({"waiting_clips": 1}, "smaller than one request"),
        ({"timeout_s": 0}, "above 0"),
        ({"clip_s": float("nan")}, "above 0"),
        ({"port": 70000}, "0..65535"),
    ],
)
def test_settings_check_themselves(settings: dict[str, object], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        ServiceSettings(**settings)


@contextmanager
def command(*arguments: str, **environment: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`humanclap serve` in a process of its own, and its address."""
    source = str(Path(humanclap.__file__).parents[1])
    process = subprocess.Popen(
        [sys.executable, "-m", "humanclap", "serve", "--port", "0", "--threads", "1", *arguments],
        env={**os.environ, "PYTHONPATH": source, **environment},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        line = process.stderr.readline()
        yield process, line.rpartition(" on ")[2].strip()
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def test_sigterm_lets_what_was_taken_be_answered(tmp_path: Path, tone) -> None:
    token = tmp_path / "token.txt"
    token.write_text(TOKEN + "\n")
    batch = [tone(10, 32_000, pitch=300 + n) for n in range(6)]
    with (
        command("--token-file", str(token), HUMANCLAP_TOKEN="") as (process, url),
        Client(url, token=TOKEN) as client,
        ThreadPoolExecutor(1) as pool,
    ):
        assert client.model()["signature"].startswith("humanclap:")
        asked = pool.submit(client.predict, batch, "rain", sample_rate=32_000)
        metrics = b""
        while not metrics or b"waiting_clips 0.0" in metrics:
            connection = client._connection()
            headers = {"Authorization": f"Bearer {TOKEN}"}
            connection.request("GET", "/metrics", headers=headers)
            metrics = connection.getresponse().read()
            client._leave(connection, kept=True)
        process.send_signal(signal.SIGTERM)
        assert len(asked.result()) == 6
        assert process.wait(20) == 0


def test_a_second_signal_ends_it_at_once(monkeypatch) -> None:
    import uvicorn

    from humanclap.serving import server

    codes: list[int] = []
    monkeypatch.setattr(server.os, "_exit", codes.append)
    running = server._Server(uvicorn.Config(app=None))
    running.handle_exit(signal.SIGTERM, None)
    assert (running.should_exit, codes) == (True, [])
    running.handle_exit(signal.SIGTERM, None)
    assert codes == [143]
