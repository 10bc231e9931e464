from __future__ import annotations

import hashlib

import pytest

from humanclap.fingerprint import fingerprint_bytes, fingerprint_text, sha256_file


def test_a_fingerprint_is_the_start_of_a_sha256_over_lengths_and_parts():
    data = (2).to_bytes(8, "little") + b"ab" + (0).to_bytes(8, "little")
    assert fingerprint_bytes(b"ab", b"") == hashlib.sha256(data).hexdigest()[:8]


def test_order_and_borders_of_the_parts_count():
    assert fingerprint_text(["a", "b"]) != fingerprint_text(["b", "a"])
    assert fingerprint_text(["ab"]) != fingerprint_text(["a", "b"])
    assert fingerprint_text([]) != fingerprint_text([""])
    assert fingerprint_text(["ü"]) == fingerprint_bytes("ü".encode())


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1])
def test_a_file_of_any_size_has_the_sha256_of_its_bytes(tmp_path, size):
    path = tmp_path / "weights"
    path.write_bytes(b"\x07" * size)
    assert sha256_file(path) == hashlib.sha256(b"\x07" * size).hexdigest()
