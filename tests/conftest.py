"""What tests share: the reference data, and a file server on this machine."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import signal


@pytest.fixture(scope="session", autouse=True)
def no_network_for_models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Whatever a test loads: the user's cache is not touched, nothing comes out of one that a test
    did not ask for, and nobody answers.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HUMANCLAP_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("HUMANCLAP_CACHE_MB", "0")
        patch.setenv("HUMANCLAP_MN04_URL", "http://127.0.0.1:9/mn04_as_mAP_432.pt")
        patch.delenv("HUMANCLAP_MN04", raising=False)
        yield


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference data beside the repository; tests that need it skip without it."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not folder.is_dir():
        pytest.skip(f"the reference data of {folder.name}/ is not beside the repository")
    return folder


@pytest.fixture(scope="session")
def sound() -> Callable[..., NDArray[np.float64]]:
    """(seed, seconds, rate) -> bursts of filtered noise over soft noise: unlike for each seed."""

    def make(seed: int, seconds: float, rate: int = 32_000) -> NDArray[np.float64]:
        rng = np.random.default_rng(seed)
        count = round(seconds * 32_000)
        samples = 0.02 * rng.standard_normal(count)
        for _ in range(max(2, round(3 * seconds))):
            length = int(rng.integers(3_000, 16_000))
            low = float(rng.uniform(200, 4_000))
            band = signal.butter(2, [low, 1.6 * low], "bandpass", fs=32_000, output="sos")
            burst = signal.sosfilt(band, rng.standard_normal(length)) * np.hanning(length)
            start = int(rng.integers(0, max(1, count - length)))
            part = samples[start : start + length]
            part += 0.5 * burst[: len(part)]
        if rate != 32_000:
            samples = signal.resample_poly(samples, rate, 32_000)
        return samples

    return make


class Server(http.server.ThreadingHTTPServer):
    """A file with ranges and an ETag.

    cut: bytes after which each answer ends early; refuse: statuses to answer with first; gate:
    nothing is answered before it is set; if_range: whether that header is known. Addresses with
    "moved" lead to the others.
    """

    body = bytes(range(256)) * 20_000  # 5 MB
    etag, cut, ranges, refuse, daemon_threads = '"one"', None, True, (), True
    if_range = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked = []
        self.gate = threading.Event()
        self.gate.set()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/RELATE_wave.zip"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        if "missing" in self.path:
            self.send_error(404)
            return
        if "moved" in self.path:
            self.send_response(302)
            self.send_header("Location", server.url)
            self.end_headers()
            return
        asked = self.headers.get("Range")
        server.asked.append(asked)
        server.gate.wait()
        if server.refuse:
            code, *server.refuse = server.refuse
            self.send_error(code)
            return
        start = 0
        same = not server.if_range or self.headers.get("If-Range") == server.etag
        if asked and server.ranges and same:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            self.send_response(206)
            self.send_header(
                "Content-Range", f"bytes {start}-{len(server.body) - 1}/{len(server.body)}"
            )
        else:
            self.send_response(200)
        self.send_header("ETag", server.etag)
        self.send_header("Content-Length", str(len(server.body) - start))
        self.end_headers()
        end = len(server.body) if server.cut is None else start + server.cut
        self.wfile.write(server.body[start:end])

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server():
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield running
        running.shutdown()
        thread.join()
