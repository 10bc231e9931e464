import hashlib
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from humanclap.download import cache
from humanclap.download.cache import cache_folder, cached_file
from humanclap.errors import InputError


@pytest.fixture
def expected(server):
    return hashlib.sha256(server.body).hexdigest()


def no_wait(seconds):
    pass


def files(folder):
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".lock")


def test_first_use_fetches_and_the_second_does_not_touch_the_network(server, expected, tmp_path):
    path = tmp_path / "cache" / "model.pt"
    told = []
    found = cached_file(server.url, path, sha256=expected, progress=lambda *step: told.append(step))
    assert found == path
    assert path.read_bytes() == server.body
    assert told[0] == (0, 0, f"fetching {server.url} -> {path}")
    assert told[-1] == (len(server.body), len(server.body), "bytes of model.pt")
    assert files(path.parent) == ["model.pt"]
    told.clear()
    cached_file(server.url, path, sha256=expected, progress=lambda *step: told.append(step))
    assert (len(server.asked), told) == (1, [])


def test_a_whole_file_is_used_offline_and_nothing_is_written(server, expected, tmp_path):
    path = tmp_path / "model.pt"
    path.write_bytes(server.body)
    assert cached_file(server.url, path, sha256=expected, offline=True) == path
    assert [one.name for one in tmp_path.iterdir()] == ["model.pt"]
    assert server.asked == []


@pytest.mark.parametrize(("content", "state"), [(None, "not there yet"), (b"torn", "damaged")])
def test_offline_a_missing_or_damaged_file_is_refused(server, expected, tmp_path, content, state):
    path = tmp_path / "cache" / "model.pt"
    if content is not None:
        path.parent.mkdir()
        path.write_bytes(content)
    with pytest.raises(InputError, match=rf"model\.pt: {state}.* must not be fetched offline"):
        cached_file(server.url, path, sha256=expected, offline=True)
    assert server.asked == []
    assert path.parent.exists() == (content is not None)


def test_a_damaged_file_is_told_and_replaced(server, expected, tmp_path, caplog):
    path = tmp_path / "model.pt"
    path.write_bytes(server.body[:-1])
    cached_file(server.url, path, sha256=expected)
    assert path.read_bytes() == server.body
    assert f"{path} is damaged" in caplog.text


def test_an_interrupted_fetch_goes_on_where_it_was(server, expected, tmp_path):
    path = tmp_path / "model.pt"

    def stop(done, total, note):
        if done > 2_000_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cached_file(server.url, path, sha256=expected, progress=stop)
    assert not path.exists()
    kept = (tmp_path / "model.pt.part").stat().st_size
    cached_file(server.url, path, sha256=expected)
    assert path.read_bytes() == server.body
    assert server.asked == [None, f"bytes={kept}-"]


def test_other_bytes_are_refused_and_not_kept(server, tmp_path):
    path = tmp_path / "model.pt"
    with pytest.raises(InputError, match="nothing was kept"):
        cached_file(server.url, path, sha256="00" * 32)
    assert files(tmp_path) == []


def test_where_nobody_answers_it_is_given_up_soon(expected, tmp_path):
    waited = []
    with pytest.raises(InputError, match=r"9/m: given up after 2 tries \(.*refused\)$"):
        cached_file("http://127.0.0.1:9/m", tmp_path / "m", sha256=expected, wait=waited.append)
    assert waited == [2.0]


def test_a_folder_that_cannot_be_written_is_named_with_the_remedy(server, expected, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"file: .*; HUMANCLAP_CACHE names another folder"):
        cached_file(server.url, tmp_path / "file" / "model.pt", sha256=expected)


WORKER = """
import sys
from humanclap.download.cache import cached_file
url, path, sha256 = sys.argv[1:]
cached_file(url, path, sha256=sha256, progress=lambda *step: print(step[2], flush=True))
"""


def test_of_two_processes_one_fetches_and_the_other_waits(server, expected, tmp_path):
    path = tmp_path / "model.pt"
    server.gate.clear()

    def start():
        command = [sys.executable, "-c", WORKER, server.url, str(path), expected]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    with start() as first:
        assert first.stdout.readline().startswith("fetching")
        with start() as second:
            assert second.stdout.readline().startswith("waiting for another process")
            server.gate.set()
            assert second.stdout.read() == ""  # found whole, so not fetched again
    assert (first.returncode, second.returncode) == (0, 0)
    assert path.read_bytes() == server.body
    assert len(server.asked) == 1


HOME = Path("/home/someone")


@pytest.mark.parametrize(
    ("platform", "environment", "expected_folder"),
    [
        ("linux", {}, HOME / ".cache/humanclap"),
        ("linux", {"XDG_CACHE_HOME": "/scratch"}, Path("/scratch/humanclap")),
        ("linux", {"XDG_CACHE_HOME": "relative"}, HOME / ".cache/humanclap"),
        ("darwin", {}, HOME / "Library/Caches/humanclap"),
        ("win32", {"LOCALAPPDATA": "/local"}, Path("/local/humanclap/Cache")),
        ("win32", {}, HOME / "AppData/Local/humanclap/Cache"),
        ("linux", {"HUMANCLAP_CACHE": "/mine", "XDG_CACHE_HOME": "/scratch"}, Path("/mine")),
        ("linux", {"HUMANCLAP_CACHE": "~/mine"}, HOME / "mine"),
    ],
)
def test_the_cache_is_where_the_system_keeps_caches(
    monkeypatch, platform, environment, expected_folder
):
    monkeypatch.setattr(cache, "sys", SimpleNamespace(platform=platform))
    for name in ("HUMANCLAP_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"HOME": str(HOME), **environment}.items():
        monkeypatch.setenv(name, value)
    assert cache_folder() == expected_folder


def test_without_a_home_the_variable_is_named(monkeypatch):
    def home():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(cache, "sys", SimpleNamespace(platform="linux"))
    monkeypatch.setattr(Path, "home", home)
    monkeypatch.delenv("HUMANCLAP_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    with pytest.raises(InputError, match="set HUMANCLAP_CACHE"):
        cache_folder()
