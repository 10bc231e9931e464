"""A small study with real sounds, for every test of the room."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import soundfile

from humanclap.listening.study.study import Study, create_study, open_study
from humanclap.records import Pair

CAPTIONS = (
    "A dog barks", "Rain falls on a roof", "An engine idles", "Birds sing in a forest",
    "A door slams", "Glass breaks", "Waves crash on rocks", "Thunder rumbles",
)  # fmt: skip
SYSTEMS = ("natural", "alpha", "beta")
DESIGN = """
title = "A small study"
seed = 3
[quota]
ratings_per_pair = 2
[session]
pairs = 6
anchors = 1
attention_checks = 1
practice = 1
volume_check = false
"""

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

    from .browser import Listener, Served
    from .postgres_server import PostgresServer

MakeStudy = Callable[..., Study]


def write_clips(folder: Path, seconds: float = 0.2) -> list[Pair]:
    generator = np.random.default_rng(0)
    forms = {"natural": ("flac", "PCM_16"), "alpha": ("wav", "FLOAT"), "beta": ("ogg", "VORBIS")}
    pairs = []
    for system in SYSTEMS:
        form, subtype = forms[system]
        for number, caption in enumerate(CAPTIONS):
            path = folder / system / f"{number}.{form}"
            path.parent.mkdir(parents=True, exist_ok=True)
            samples = 0.1 * generator.standard_normal(int(16000 * seconds))
            soundfile.write(path, samples, 16000, format=form.upper(), subtype=subtype)
            subset = "natural" if system == "natural" else "synthetic"
            audio = f"{system}/{number}.{form}"
            pairs.append(Pair(audio=audio, text=caption, system=system, subset=subset))
    return pairs


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Pair]]:
    folder = tmp_path_factory.mktemp("clips")
    return folder, write_clips(folder)


@pytest.fixture
def make_study(tmp_path: Path, clips: tuple[Path, list[Pair]]) -> Iterator[MakeStudy]:
    opened: list[Study] = []

    def make(design: str = DESIGN, *, n_pairs: int | None = None, name: str = "study") -> Study:
        folder, pairs = clips
        where = str(tmp_path / f"{name}.sqlite")
        chosen = pairs if n_pairs is None else pairs[:n_pairs]
        create_study(where, design_text=design, pairs=chosen, audio_root=folder)
        opened.append(open_study(where))
        return opened[-1]

    yield make
    for study in opened:
        study.close()


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server for all tests that need one."""
    pytest.importorskip("psycopg", reason="psycopg is not installed (the extra listen-postgres)")
    from .postgres_server import NoServerError, postgres_server

    try:
        with postgres_server("-c fsync=off") as running:  # the machine does not crash
            yield running
    except NoServerError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def driver() -> Iterator[Chrome]:
    """One headless Chromium for every test of the pages."""
    from .browser import chromium

    with chromium() as browser:
        yield browser


@pytest.fixture
def visit(driver: Chrome) -> Iterator[Callable[[Served], Listener]]:
    """What opens a browser that was never there before on a served study."""
    from .browser import Listener

    def visit(served: Served) -> Listener:
        someone = Listener(driver, served[1])
        someone.fresh()
        return someone

    yield visit
    driver.set_network_conditions(offline=False, latency=0, throughput=-1)
    driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
