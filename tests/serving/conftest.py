"""A service of a small random model, and clips for it."""

from __future__ import annotations

import http.client
import io
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
import soundfile
import torch

from humanclap.clap.calibration import Calibration
from humanclap.clap.checkpoint import Checkpoint
from humanclap.clap.mini import MiniCLAP, MiniConfig
from humanclap.scoring.settings import ScoringSettings
from humanclap.scoring.staged import StagedCLAP

for needed in ("fastapi", "prometheus_client", "python_multipart"):
    pytest.importorskip(needed, reason=f"{needed} is not installed (the extra serve)")

LIMITS = {"stall_s": 1.0, "body_mb": 2.0, "pairs": 8, "audio_s": 30.0, "clip_s": 20.0}


@pytest.fixture(scope="session")
def scorer() -> StagedCLAP:
    torch.manual_seed(7)
    calibration = Calibration(
        scores=(-1.0, 1.0), ratings=(0.0, 10.0), errors=(1.0, 3.0), fitted_on="nothing", n=3
    )
    model = MiniCLAP(MiniConfig.tiny())
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    settings = ScoringSettings(device="cpu", batch_windows=3, cache=False)
    return StagedCLAP(Checkpoint(model, calibration), settings)


@dataclass(frozen=True)
class Reply:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)


@dataclass(frozen=True)
class Target:
    """A running service."""

    url: str

    @property
    def address(self) -> tuple[str, int]:
        parts = urlsplit(self.url)
        return parts.hostname, parts.port

    def ask(self, method: str, path: str, body=None, headers=None) -> Reply:
        connection = http.client.HTTPConnection(*self.address, timeout=20)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return Reply(response.status, response.headers, response.read())
        finally:
            connection.close()

    def score(self, request: object, **headers: str) -> Reply:
        body = request if isinstance(request, bytes) else json.dumps(request).encode()
        return self.ask("POST", "/v1/score", body, {"Content-Type": "application/json", **headers})


@pytest.fixture(scope="session")
def started(scorer: StagedCLAP) -> Callable[..., Iterator[Target]]:
    """A service with limits; a context manager."""
    from humanclap.serving.server import serving
    from humanclap.serving.settings import ServiceSettings

    @contextmanager
    def start(model: StagedCLAP = scorer, **limits: object) -> Iterator[Target]:
        with serving(model, ServiceSettings(port=0, **{**LIMITS, **limits})) as url:
            yield Target(url)

    return start


@pytest.fixture(scope="module")
def target(started) -> Iterator[Target]:
    with started() as running:
        yield running


@pytest.fixture(scope="session")
def tone() -> Callable[..., np.ndarray]:
    """(seconds, rate, pitch) -> float32 samples of a tone in noise."""

    def make(seconds: float = 1.0, rate: int = 16_000, pitch: float = 440.0) -> np.ndarray:
        t = np.arange(round(seconds * rate)) / rate
        noise = np.random.default_rng(round(pitch)).standard_normal(len(t))
        return (0.3 * np.sin(2 * np.pi * pitch * t) + 0.02 * noise).astype(np.float32)

    return make


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory, tone) -> list[Path]:
    """Six sound files of unlike length, rate and format."""
    folder = tmp_path_factory.mktemp("clips")
    made = []
    for number, (seconds, rate, suffix) in enumerate(
        [(0.4, 32_000, "wav"), (12, 16_000, "flac"), (3, 44_100, "ogg"), (2, 32_000, "wav"),
         (2.5, 22_050, "flac"), (1, 8_000, "wav")]
    ):  # fmt: skip
        path = folder / f"clip {number}.{suffix}"
        soundfile.write(path, tone(seconds, rate, 200 + 150 * number), rate)
        made.append(path)
    return made


@pytest.fixture(scope="session")
def wav(tone) -> bytes:
    """A second of sound as a WAV file."""
    file = io.BytesIO()
    soundfile.write(file, tone(), 16_000, format="WAV")
    return file.getvalue()
