import hashlib
import json
import os

import pytest

from humanclap.download import seen
from humanclap.download.seen import sha256_once


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("HUMANCLAP_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "weights"
    path.write_bytes(b"one")
    return path


@pytest.fixture
def read(monkeypatch):
    """Names of the files that were read whole."""
    names = []
    plain = seen.sha256_file
    monkeypatch.setattr(seen, "sha256_file", lambda path: names.append(path.name) or plain(path))
    return names


def test_a_file_is_read_once(file, read):
    assert sha256_once(file) == sha256_once(file) == hashlib.sha256(b"one").hexdigest()
    assert read == ["weights"]


def test_a_link_is_the_file_it_leads_to(file, read, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(file)
    assert sha256_once(link) == sha256_once(file)
    assert read == ["weights"]


def test_a_changed_file_is_read_again_also_with_its_old_size_and_time(file, read):
    sha256_once(file)
    before = file.stat()
    file.write_bytes(b"two")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert sha256_once(file) == hashlib.sha256(b"two").hexdigest()
    assert len(read) == 2


@pytest.mark.parametrize("record", ["{", "[]", '{"FILE": 1}', '{"FILE": []}'])
def test_a_damaged_record_costs_nothing_but_itself(file, read, cache, record):
    cache.mkdir()
    (cache / "sha256.json").write_text(record.replace("FILE", str(file)))
    assert sha256_once(file) == sha256_once(file) == hashlib.sha256(b"one").hexdigest()
    assert len(read) == 1


def test_a_folder_that_cannot_be_made_costs_the_memory_only(file, read, cache):
    cache.write_text("a file in its place")
    assert sha256_once(file) == sha256_once(file) == hashlib.sha256(b"one").hexdigest()
    assert len(read) == 2


def test_files_that_are_gone_are_forgotten(file, cache, tmp_path):
    sha256_once(file)
    file.rename(tmp_path / "moved")
    sha256_once(tmp_path / "moved")
    assert list(json.loads((cache / "sha256.json").read_text())) == [str(tmp_path / "moved")]
