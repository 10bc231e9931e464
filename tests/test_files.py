from __future__ import annotations

import gzip
import os
import stat
from pathlib import Path

import pytest

from humanclap.errors import TableError
from humanclap.files import atomic_bytes, atomic_writer, opened_text, read_text


@pytest.mark.parametrize("name", ["t.txt", "t.txt.gz", "T.GZ"])
def test_what_is_written_is_read_back_with_its_line_ends(tmp_path, name):
    text = "uno\r\ndós\n犬"
    with atomic_writer(tmp_path / name) as file:
        file.write(text)
    assert read_text(tmp_path / name) == text
    with opened_text(tmp_path / name) as lines:
        assert list(lines) == ["uno\r\n", "dós\n", "犬"]


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path):
    (tmp_path / "t.txt").write_bytes(b"\xef\xbb\xbfa")
    assert read_text(tmp_path / "t.txt") == "a"


def test_what_is_no_text_or_no_gzip_is_refused_by_name(tmp_path):
    (tmp_path / "latin.txt").write_bytes("é".encode("latin-1"))
    with pytest.raises(TableError, match=r"latin\.txt: not UTF-8 text .*save it as UTF-8"):
        read_text(tmp_path / "latin.txt")
    (tmp_path / "t.gz").write_bytes(gzip.compress(b"some text")[:-6])
    with pytest.raises(TableError, match=r"t\.gz: damaged gzip .*copy it again"):
        read_text(tmp_path / "t.gz")


def test_bytes_appear_whole_or_not_at_all(tmp_path):
    def fail_halfway():
        with atomic_bytes(tmp_path / "b") as file:
            file.write(b"new")
            raise RuntimeError("halfway")

    (tmp_path / "b").write_bytes(b"old")
    with pytest.raises(RuntimeError, match="halfway"):
        fail_halfway()
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("b", b"old")]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_device_is_written_to_and_its_error_is_told():
    with (
        pytest.raises(OSError, match="No space left on device"),
        atomic_writer("/dev/full") as file,
    ):
        file.write("x")
    with atomic_writer("/dev/null") as file:
        file.write("x")
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)


def test_a_file_name_that_is_not_utf8_can_be_named_in_a_report(tmp_path):
    with atomic_writer(tmp_path / "r.txt") as file:
        file.write(os.fsdecode(b"caf\xe9.csv"))
    assert (tmp_path / "r.txt").read_bytes() == rb"caf\udce9.csv"
