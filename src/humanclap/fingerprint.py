"""Content hashes: the same bytes give the same name on every machine."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

FINGERPRINT_LENGTH = 8
_BLOCK_BYTES = 1 << 20


def fingerprint_bytes(*parts: bytes) -> str:
    """First 8 hex digits of the SHA-256 over the parts, each preceded by its length.

    >>> fingerprint_bytes(b"ab", b"c") == fingerprint_bytes(b"a", b"bc")
    False
    """
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.hexdigest()[:FINGERPRINT_LENGTH]


def fingerprint_text(parts: Iterable[str]) -> str:
    """Fingerprint of a sequence of strings (UTF-8), order included."""
    return fingerprint_bytes(*(part.encode() for part in parts))


def sha256_file(path: str | Path) -> str:
    """Whole SHA-256 of a file, in hex, read in blocks of 1 MiB."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()
