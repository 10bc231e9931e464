from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest

from humanclap.cluster import local
from humanclap.errors import HumanCLAPError, InputError


class Unwilling:
    """A Ray that does not start so often."""

    def __init__(self, times: int) -> None:
        self.times, self.tried = times, 0

    def init(self, **given: Any) -> None:
        self.tried += 1
        if self.tried <= self.times:
            raise RuntimeError("The current node timed out during startup")

    def shutdown(self) -> None:
        pass


@pytest.fixture(autouse=True)
def short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))


def test_a_ray_that_starts_late_is_waited_for_and_its_logs_go(tmp_path: Path) -> None:
    ray = Unwilling(times=2)
    with local._logs() as folder:
        local._start(ray, 1, folder)
    assert ray.tried == 3
    assert not list(tmp_path.iterdir())


def test_a_ray_that_does_not_start_leaves_its_logs_and_names_them(tmp_path: Path) -> None:
    def start() -> None:
        with local._logs() as folder, local._descriptor_into(folder / "stderr.txt"):
            os.write(2, b"a raylet's last words")
            local._start(Unwilling(times=99), 1, folder)

    with pytest.raises(HumanCLAPError, match="timed out during startup") as raised:
        start()
    (folder,) = tmp_path.iterdir()
    assert str(folder) in str(raised.value)
    assert (folder / "stderr.txt").read_text() == "a raylet's last words"


def test_logs_stay_where_ray_fails_and_go_where_the_user_is_to_mend(tmp_path: Path) -> None:
    with pytest.raises(InputError), local._logs():
        raise InputError("pairs.csv: no rows")
    assert not list(tmp_path.iterdir())
    with pytest.raises(RuntimeError) as raised, local._logs() as folder:
        raise RuntimeError("a worker crashed")
    assert folder.exists()
    assert str(folder) in raised.value.__notes__[0]


def test_a_ray_of_one_run_has_a_token_of_its_own_in_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ray = pytest.importorskip("ray", reason="needs humanclap[ray]")
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    with local._own_token(ray):
        assert re.fullmatch("[0-9a-f]{64}", os.environ["RAY_AUTH_TOKEN"])
    assert "RAY_AUTH_TOKEN" not in os.environ
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    with local._own_token(ray):
        assert "RAY_AUTH_TOKEN" not in os.environ
