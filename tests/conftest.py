"""What tests share: the reference data, and a file server on this machine."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session", autouse=True)
def no_network_for_models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Whatever a test loads: the user's cache is not touched, and nobody answers."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HUMANCLAP_CACHE", str(tmp_path_factory.mktemp("cache")))
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
