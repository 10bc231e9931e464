"""Requests that nobody should send: each is refused with a sentence, and the next one is served."""

from __future__ import annotations

import base64
import gzip
import io
import json
import re
import socket
import struct
import time
import zipfile

import numpy as np
import pytest
import soundfile
from pydantic import ValidationError
from safetensors.numpy import save

from humanclap.serving.bodies import ScoreRequest
from humanclap.serving.packed import MEDIA_TYPE

TOKEN = "a-token-of-the-tests-0123456789"


def coded(data: bytes) -> str:
    return base64.b64encode(data).decode()


SAMPLES = coded(np.full(16_000, 0.1, np.float32).tobytes())
CLIP = {"samples": SAMPLES, "sample_rate": 16_000}
GOOD = {"clips": CLIP, "texts": "rain"}


def clip(**changes: object) -> dict[str, object]:
    return {"clips": {**CLIP, **changes}, "texts": "rain"}


def samples(values: object, dtype: str = "float32") -> str:
    return coded(np.asarray(values, dtype).tobytes())


def bomb(seconds: int) -> str:
    """A FLAC of silence: some kilobytes for hours."""
    file = io.BytesIO()
    with soundfile.SoundFile(file, "w", 8_000, 1, format="FLAC") as sound:
        for _ in range(seconds // 100):
            sound.write(np.zeros(800_000, np.int16))
    return coded(file.getvalue())


def zipped() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", bytes(10_000_000))
    return file.getvalue()


def with_rate(rate: int) -> str:
    """A WAV whose header has this rate."""
    file = io.BytesIO()
    soundfile.write(file, np.full(4_000, 0.1), 16_000, format="WAV")
    data = bytearray(file.getvalue())
    data[24:28] = struct.pack("<I", rate)
    return coded(bytes(data))


def tensors(request: object, **arrays: np.ndarray) -> bytes:
    return save(arrays, metadata={"request": json.dumps(request)})


ONE = np.full(16_000, 0.1, np.float32)
BODIES = {
    "no JSON": (b"{", "no JSON"),
    "an empty body": (b"", "no JSON"),
    "another type": ([1, 2], "expected|valid|Input"),
    "a NaN of JSON": (b'{"clips": {"samples": "AAAA", "sample_rate": NaN}, "texts": "a"}', "."),
    "an infinite rate": (
        b'{"clips": {"samples": "AAAA", "sample_rate": 1e999}, "texts": "a"}', "."
    ),
    "deep nesting": (b"[" * 100_000 + b"]" * 100_000, "recursion|JSON"),
    "nesting in a field": (b'{"clips": ' + b"[" * 50_000, "recursion|JSON"),
    "an unknown key": ({**GOOD, "path": "/etc/passwd"}, "path"),
    "a path for a clip": ({"clips": "/etc/passwd", "texts": "rain"}, "clips"),
    "an address for a clip": ({"clips": {"url": "http://localhost"}, "texts": "rain"}, "url"),
    "no clip": ({"clips": [], "texts": []}, "no pair"),
    "no text": ({"clips": CLIP}, "texts"),
    "texts that are numbers": ({"clips": CLIP, "texts": [1]}, "string"),
    "unlike numbers": ({"clips": [CLIP, CLIP], "texts": ["a", "b", "c"]}, "2 clips and 3 texts"),
    "too many pairs": ({"clips": CLIP, "texts": ["a"] * 9}, "9 pairs; at most 8"),
    "an empty text": ({"clips": CLIP, "texts": " "}, "text is empty"),
    "half a character": (b'{"clips": {}, "texts": "\\ud800"}', "JSON"),
    "a NUL": ({"clips": CLIP, "texts": "a\0b"}, "NUL"),
    "a long text": ({"clips": CLIP, "texts": "a" * 10_001}, "10,001 characters"),
    "no UTF-8": (b'{"clips": {}, "texts": "\xff"}', "JSON"),
    "no base64": (clip(samples="***"), "base64"),
    "half a sample": (clip(samples=coded(b"abc")), "whole number of float32"),
    "no samples": (clip(samples=""), "no samples"),
    "a few samples": (clip(samples=samples([0.1] * 5)), "at least 10 ms"),
    "NaN samples": (clip(samples=samples([np.nan] * 16_000)), "NaN or infinite"),
    "infinite samples": (clip(samples=samples([np.inf] * 16_000)), "NaN or infinite"),
    "huge samples": (clip(samples=samples([1e30] * 16_000)), "full scale"),
    "a negative rate": (clip(sample_rate=-16_000), "sample_rate"),
    "a rate of 0": (clip(sample_rate=0), "sample_rate"),
    "a rate of 1": (clip(sample_rate=1), "sample rate of 1 Hz"),
    "a huge rate": (clip(sample_rate=2**31 - 1), "sample rate of 2147483647 Hz"),
    "a rate beyond numbers": (clip(sample_rate=10**400), "."),
    "a rate in words": (clip(sample_rate="16000"), "integer"),
    "no rate": ({"clips": {"samples": SAMPLES}, "texts": "rain"}, "sample_rate"),
    "another type of samples": (clip(dtype="object"), "float32"),
    "no channels": (clip(channels=0), "channels"),
    "a thousand channels": (clip(channels=1000), "channels"),
    "file and samples": (clip(file=coded(b"abc")), "not both"),
    "no sound": ({"clips": {"file": coded(b"hello" * 99)}, "texts": "rain"}, "not a sound file"),
    "no bytes": ({"clips": {"file": ""}, "texts": "rain"}, "empty"),
    "a zip bomb": ({"clips": {"file": coded(zipped())}, "texts": "rain"}, "not a sound file"),
    "a gzip bomb": ({"clips": {"file": coded(gzip.compress(bytes(10**7)))}, "texts": "r"}, "sound"),
    "a FLAC of hours": ({"clips": {"file": bomb(20_000)}, "texts": "rain"}, "longer than the 20 s"),
    "a file of 1 Hz": ({"clips": {"file": with_rate(1)}, "texts": "rain"}, "sample rate of 1 Hz"),
    "a file of 2 GHz": ({"clips": {"file": with_rate(2**31 - 1)}, "texts": "rain"}, "sample rate"),
    "a long name": (clip(name="n" * 201), "name"),
}  # fmt: skip


def test_a_list_is_left_where_it_is_too_long() -> None:
    """Each fault of a list that is read to its end would be kept: 600 bytes for two of the body."""
    with pytest.raises(ValidationError) as refused:
        ScoreRequest.model_validate_json(b'{"texts": [' + b",".join([b"1"] * 100_000) + b"]}")
    assert refused.value.error_count() < 70_000


@pytest.mark.parametrize("name", BODIES)
def test_bodies_of_json_are_refused_with_the_reason(target, name: str) -> None:
    body, said = BODIES[name]
    reply = target.score(body)
    assert reply.status == 422, reply.body
    assert re.search(said, reply.json["detail"]), reply.json["detail"]


def test_after_all_of_them_the_service_serves(target) -> None:
    assert target.score(GOOD).status == 200


PACKED = {
    "no such file": (b"\xff" * 100, "no safetensors file"),
    "a header of 2 GB": (struct.pack("<Q", 2**31) + b"{}", "no safetensors file"),
    "no request": (save({"0": ONE}), "metadata"),
    "another tensor": (
        tensors({"clips": {"sample_rate": 16000}, "texts": "a"}, x=ONE), "tensor '0'"
    ),
    "fewer tensors": (tensors({"clips": [{}, {}], "texts": "a"}, **{"0": ONE}), "2 clips and 1"),
    "an unknown type": (
        tensors({"clips": {"sample_rate": 1}, "texts": "a"}, **{"0": np.zeros(9, np.int64)}), "I64"
    ),
    "floats as a file": (tensors({"clips": {}, "texts": "a"}, **{"0": ONE}), "no sample_rate"),
    "four axes": (
        tensors({"clips": {"sample_rate": 16000}, "texts": "a"}, **{"0": np.zeros((1, 1, 1, 1))}),
        "shape",
    ),
    "no tensor": (tensors({"clips": [], "texts": []}), "no pair"),
}  # fmt: skip


@pytest.mark.parametrize("name", PACKED)
def test_packed_bodies_are_refused_with_the_reason(target, name: str) -> None:
    body, said = PACKED[name]
    reply = target.score(body, **{"Content-Type": MEDIA_TYPE})
    assert reply.status == 422, reply.body
    assert said in reply.json["detail"]


def part(name: str, data: bytes, more: str = "") -> bytes:
    head = f'--xx\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'
    return head.encode() + data + b"\r\n"


FORMS = {
    "no end": (part("clip", b"abc"), "last boundary"),
    "thousands of parts": (part("text", b"a") * 5000 + b"--xx--\r\n", "more than 16 parts"),
    "an unknown part": (part("url", b"http://localhost") + b"--xx--\r\n", "'url'"),
    "a long header": (part("text", b"a", "; x=" + "y" * 5000) + b"--xx--\r\n", "header size"),
    "no UTF-8": (part("clip", b"a") + part("text", b"\xff\xfe") + b"--xx--\r\n", "UTF-8"),
    "nothing": (b"--xx--\r\n", "cannot be read|no pair"),
    "no form": (b"hello", "cannot be read"),
}


@pytest.mark.parametrize("name", FORMS)
def test_forms_are_refused_with_the_reason(target, name: str) -> None:
    body, said = FORMS[name]
    reply = target.score(body, **{"Content-Type": "multipart/form-data; boundary=xx"})
    assert reply.status == 422, reply.body
    assert re.search(said, reply.json["detail"]), reply.json["detail"]


def test_a_name_with_a_path_is_a_name_and_nothing_more(target, wav) -> None:
    body = part("clip", wav, '; filename="../../../etc/passwd"') + part("text", b"rain")
    reply = target.score(
        body + b"--xx--\r\n", **{"Content-Type": "multipart/form-data; boundary=xx"}
    )
    assert reply.status == 200
    assert reply.json["pairs"][0]["audio"] == "../../../etc/passwd"


def test_unicode_of_all_kinds_is_a_text(target) -> None:
    reply = target.score({"clips": CLIP, "texts": ["rain \N{RAIN}‮‍", "rain 𝕣𝕒𝕚𝕟"]})
    assert reply.status == 200


ADDRESSES = [
    ("GET", "/v1/score", 405),
    ("PUT", "/v1/score", 405),
    ("DELETE", "/v1/model", 405),
    ("GET", "/../../etc/passwd", 404),
    ("GET", "/v1/score/%2e%2e/%00", 404),
    ("GET", "/docs", 404),
    ("GET", "/" + "a" * 600, 414),
    ("GET", "/v1/model?" + "a" * 600, 414),
]


@pytest.mark.parametrize(("method", "path", "status"), ADDRESSES)
def test_addresses_and_methods_are_refused(target, method: str, path: str, status: int) -> None:
    reply = target.ask(method, path)
    assert reply.status == status
    assert reply.json["detail"]


HEADERS = [
    ({"Content-Type": "text/plain"}, 415, "expected"),
    ({"Content-Type": ""}, 415, "expected"),
    ({"Content-Encoding": "gzip"}, 415, "compressed"),
    ({"Content-Type": "multipart/form-data"}, 422, "boundary"),
    ({"Content-Type": "multipart/form-data; boundary=" + "x" * 300}, 422, "Boundary length"),
    ({"Origin": "https://example.org"}, 403, "browser"),
    ({"Content-Length": "3000000"}, 413, "2 MB"),
]


@pytest.mark.parametrize(("headers", "status", "said"), HEADERS)
def test_headers_are_refused(target, headers: dict[str, str], status: int, said: str) -> None:
    size = int(headers.get("Content-Length", 0)) if status == 413 else 0
    reply = target.score(b" " * size if size else json.dumps(GOOD).encode(), **headers)
    assert reply.status == status
    assert said in reply.json["detail"]


@pytest.mark.parametrize("count", [1, 100])
def test_a_body_without_a_length_is_cut_where_it_is_too_large(target, count: int) -> None:
    def chunks():
        for _ in range(count):
            yield b" " * (3_000_000 // count)

    headers = {"Content-Type": "application/json"}
    reply = target.ask("POST", "/v1/score", chunks(), headers)
    assert reply.status == 413


def test_a_chunked_body_within_the_limits_is_served(target) -> None:
    body = json.dumps(GOOD).encode()
    pieces = (body[start : start + 1000] for start in range(0, len(body), 1000))
    reply = target.ask("POST", "/v1/score", pieces, {"Content-Type": "application/json"})
    assert reply.status == 200


def test_clips_too_long_together_are_refused(target) -> None:
    request = {
        "clips": [{"samples": samples([1000] * 8000 * 16, "int16"), "dtype": "int16",
                   "sample_rate": 8000}] * 3,
        "texts": "rain",
    }  # fmt: skip
    reply = target.score(request)
    assert reply.status == 413
    assert "longer together than the 30 s" in reply.json["detail"]


def raw(target, data: bytes, *, wait: bool = True) -> bytes:
    """What comes back until the server closes."""
    with socket.create_connection(target.address, timeout=10) as connection:
        connection.sendall(data)
        found = b""
        while wait and (more := connection.recv(65536)):
            found += more
        return found


HEAD = b"POST /v1/score HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
RAW = {
    "no HTTP": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 9 + b"\r\n\r\n", b"400"),
    "two lengths": (HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n{}   ", b"400"),
    "length and chunks": (
        HEAD + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"400"
    ),
    "another coding": (HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", b"400"),
    "a space in a name": (HEAD + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", b"400"),
    "a folded header": (HEAD + b"X: a\r\n b\x00c\r\n\r\n", b"400"),
    "a negative length": (HEAD + b"Content-Length: -5\r\n\r\n", b"400"),
    "a broken chunk": (HEAD + b"Transfer-Encoding: chunked\r\n\r\nZZZ\r\n", b"400"),
    "endless headers": (b"GET / HTTP/1.1\r\nX: " + b"a" * 40_000, b"400"),
    "a body too large, announced before it is sent": (
        HEAD + b"Content-Length: 9999999\r\nExpect: 100-continue\r\n\r\n", b"413"
    ),
    "a slow head": (b"GET / HTTP/1.1\r\nHost:", b"408"),
    "nothing at all": (b"", b"408"),
    "a slow body": (HEAD + b"Content-Length: 1000\r\n\r\n{", b"408"),
}  # fmt: skip


@pytest.mark.parametrize("name", RAW)
def test_what_is_no_honest_http_is_ended(target, name: str) -> None:
    data, status = RAW[name]
    begin = time.monotonic()
    answer = raw(target, data)
    assert answer.startswith(b"HTTP/1.1 " + status), answer
    assert answer.count(b"HTTP/1.1 ") == 1
    assert time.monotonic() - begin < 8


def test_clients_that_go_away_leave_nothing_behind(target) -> None:
    body = json.dumps(GOOD).encode()
    whole = HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body
    for data in (whole, whole[:-10], HEAD):
        raw(target, data, wait=False)
    with socket.create_connection(target.address, timeout=10) as half:
        half.sendall(whole)
        half.shutdown(socket.SHUT_WR)
    deadline = time.monotonic() + 10
    while b"humanclap_waiting_bytes 0.0" not in target.ask("GET", "/metrics").body:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert target.score(GOOD).status == 200


def test_a_client_that_never_fetches_its_answer_is_cut_off(started) -> None:
    """Eight long texts come back, and again, until no buffer takes more."""
    request = {"clips": CLIP, "texts": [f"{n}" + "a" * 9_000 for n in range(8)]}
    body = json.dumps(request).encode()
    with started(timeout_s=1.5) as target, socket.socket() as idle:
        idle.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        idle.connect(target.address)
        idle.settimeout(10)

        def ask_on() -> None:
            while True:
                idle.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body)
                time.sleep(0.05)

        with pytest.raises(ConnectionError):
            ask_on()


def test_a_token_is_asked_for_but_by_probes(started) -> None:
    with started(token=TOKEN) as target:
        for given in ("", "Bearer", f"Bearer {TOKEN[:-1]}", f"Bearer {TOKEN}x", TOKEN, "Bearer é"):
            reply = target.score(GOOD, Authorization=given)
            assert reply.status == 401
            assert "token" in reply.json["detail"]
        assert target.score(GOOD, Authorization=f"Bearer {TOKEN}").status == 200
        assert target.ask("GET", "/metrics").status == 401
        assert target.ask("GET", "/health/ready").status == 200


def test_too_many_connections_are_told_to_come_again(started) -> None:
    with started(connections=3) as target:
        held = [socket.create_connection(target.address) for _ in range(3)]
        time.sleep(0.3)
        reply = target.ask("GET", "/health/live")
        for connection in held:
            connection.close()
    assert (reply.status, reply.headers["retry-after"]) == (429, "1")
