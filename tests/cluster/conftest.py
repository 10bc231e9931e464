"""One small Ray for all tests of the room, a small random model, clips, and a local S3."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

ray = pytest.importorskip("ray", reason="needs humanclap[ray]")

from humanclap.clap.calibration import Calibration  # noqa: E402
from humanclap.clap.checkpoint import Checkpoint, save_checkpoint  # noqa: E402
from humanclap.clap.mini import MiniCLAP, MiniConfig  # noqa: E402
from humanclap.cluster.local import ray_running  # noqa: E402
from humanclap.cluster.scoring import LoadModel  # noqa: E402
from humanclap.scoring.scorer import HumanCLAP  # noqa: E402
from humanclap.scoring.settings import ScoringSettings  # noqa: E402

RATE = 32_000


FILTERS = (
    "ignore::DeprecationWarning:ray.data.context",  # Ray Data, of its own defaults
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent.name == "cluster":
            for told in FILTERS:
                item.add_marker(pytest.mark.filterwarnings(told))


@dataclass(frozen=True)
class Store:
    """A local S3: its address, and fsspec's view of it."""

    bucket: str
    system: Any


@pytest.fixture(scope="session")
def store() -> Iterator[Store]:
    """An S3 server on this machine with one bucket; workers find it by the environment."""
    server_of = pytest.importorskip("moto.server", reason="needs moto[server]")
    s3fs = pytest.importorskip("s3fs", reason="needs s3fs")
    server = server_of.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    given = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in given.items():
            patch.setenv(name, value)
        system = s3fs.S3FileSystem()
        system.mkdir("study")
        yield Store("s3://study", system)
    server.stop()


@pytest.fixture(scope="session")
def running(store: Store) -> Iterator[None]:
    """Ray on this machine, shared by the tests; its workers know the store."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with ray_running(None, cpus=2):
        yield


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint folder of a tiny random model."""
    torch.manual_seed(7)
    calibration = Calibration(
        scores=(-1.0, 1.0), ratings=(0.0, 10.0), errors=(1.0, 3.0), fitted_on="nothing", n=3
    )
    backbone = MiniCLAP(MiniConfig.tiny())
    for parameter in backbone.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    folder = tmp_path_factory.mktemp("model") / "tiny"
    save_checkpoint(Checkpoint(backbone, calibration), folder)
    return folder


@pytest.fixture(scope="session")
def load(model: Path) -> LoadModel:
    return LoadModel(model=str(model), settings=ScoringSettings(device="cpu", cache=False))


@pytest.fixture(scope="session")
def scorer(load: LoadModel) -> HumanCLAP:
    return load()


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve clips: unlike lengths, rates and channels, a silent one, a broken one, a long one."""
    folder = tmp_path_factory.mktemp("clips")
    generator = np.random.default_rng(3)
    for number in range(12):
        seconds = (0.4, 3.0, 1.0, 12.5, 0.7, 2.0)[number % 6]
        rate = (RATE, 16_000, 44_100)[number % 3]
        t = np.arange(int(seconds * rate)) / rate
        tone = 0.3 * np.sin(2 * np.pi * (200 + 150 * number) * t)
        samples = tone + 0.05 * generator.standard_normal(len(t))
        stereo = np.stack([samples, 0.5 * samples], axis=1) if number % 2 else samples
        soundfile.write(folder / f"clip{number}.wav", stereo, rate)
    soundfile.write(folder / "silent.wav", np.zeros(RATE), RATE)
    both = np.sin(np.arange(RATE) / 30)
    soundfile.write(folder / "cancelling.wav", np.stack([both, -both], axis=1), RATE)
    (folder / "broken.wav").write_bytes(b"RIFF no sound")
    soundfile.write(folder / "long.wav", 0.1 * generator.standard_normal(16_000 * 61), 16_000)
    return folder


@pytest.fixture(scope="session")
def names(clips: Path) -> list[str]:
    """Clips, in an order that is none, and one that is not there."""
    return [*(f"clip{n}.wav" for n in (5, 0, 11, 2, 7, 3, 9, 1, 10, 4, 8, 6)),
            "silent.wav", "missing.wav", "broken.wav", "long.wav", "cancelling.wav"]  # fmt: skip


@pytest.fixture
def manifest(clips: Path, names: list[str]) -> Path:
    """34 pairs with further columns, one of which the scores have too; two texts a clip."""
    path = clips / "pairs.csv"
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["audio", "text", "system", "prompt_id", "score"])
        for number, text in enumerate(("a dog barks", "Regen fällt " * 30)):
            for place, name in enumerate(names):
                writer.writerow([name, text, f"s{place % 2}", f"p{number}", place])
    return path
