"""A file over HTTP that may stop and go on, checked by length and hash."""

from __future__ import annotations

import http.client
import json
import logging
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from humanclap.errors import InputError
from humanclap.fingerprint import sha256_file
from humanclap.progress import Progress, silent
from humanclap.tables import atomic_writer

log = logging.getLogger(__name__)

BLOCK_BYTES = 1 << 20
TRIES = 5
"""Connections in a row that bring nothing before giving up."""
TIMEOUT_S = 60.0

Wait = Callable[[float], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Downloaded:
    """path: the file; sha256: of its bytes; brought: bytes that came over the network this time."""

    path: Path
    sha256: str
    brought: int


def download(
    url: str,
    path: str | Path,
    *,
    sha256: str | None = None,
    progress: Progress = silent,
    wait: Wait = time.sleep,
) -> Downloaded:
    """Bring `url` to `path`, going on with `path`.part where an earlier call stopped.

    A part is continued only if the server says the file is still the same (ETag or Last-Modified);
    else it starts anew. The hash is checked against `sha256`, and against `path`.sha256, written
    by the first complete download. A complete file is not brought again. Raises InputError where
    the address cannot be reached, or the bytes are others than announced or expected.
    """
    path = Path(path)
    if not url.startswith(("http://", "https://")):
        raise InputError(f"{url}: expected an address that begins with http:// or https://")
    brought = 0
    if not path.is_file():
        brought = _Transfer(url, path, progress, wait).run()
        path.with_name(f"{path.name}.part").replace(path)
        path.with_name(f"{path.name}.part.json").unlink(missing_ok=True)
    found = sha256_file(path)
    _check_hash(path, found, sha256)
    return Downloaded(path=path, sha256=found, brought=brought)


def _check_hash(path: Path, found: str, expected: str | None) -> None:
    record = path.with_name(f"{path.name}.sha256")
    recorded = record.read_text(encoding="utf-8").split()[0] if record.is_file() else None
    for source, wanted in (("expected", expected and expected.lower()), (str(record), recorded)):
        if wanted and wanted != found:
            raise InputError(
                f"{path}: its SHA-256 is {found}, {source} says {wanted}; delete the file to bring "
                "it again"
            )
    if recorded is None:
        with atomic_writer(record) as file:
            file.write(f"{found}  {path.name}\n")


class _Transfer:
    def __init__(self, url: str, path: Path, progress: Progress, wait: Wait) -> None:
        self._url = url
        self._part = path.with_name(f"{path.name}.part")
        self._note = path.with_name(f"{path.name}.part.json")
        self._progress = progress
        self._wait = wait
        path.parent.mkdir(parents=True, exist_ok=True)

    def run(self) -> int:
        """Bytes brought; returns when the part is whole."""
        brought, failures = 0, 0
        while True:
            try:
                got, whole = self._connect()
            except (urllib.error.HTTPError, ValueError) as error:
                raise InputError(f"{self._url}: {error}") from error
            except (OSError, http.client.HTTPException) as error:
                log.info("%s: %s", self._url, error)
                got, whole, reason = 0, False, str(error)
            else:
                reason = "the connection ended early"
            brought += got
            if whole:
                return brought
            failures = 0 if got else failures + 1
            if failures >= TRIES:
                raise InputError(
                    f"{self._url}: given up after {TRIES} tries ({reason}); what came is kept in "
                    f"{self._part}, the same command goes on from there"
                )
            self._wait(2.0**failures)

    def _connect(self) -> tuple[int, bool]:
        """One connection: (bytes brought, whether the part is whole now)."""
        known = self._known()
        have = self._part.stat().st_size if known and self._part.is_file() else 0
        if have and have == known["total"]:
            return 0, True
        request = urllib.request.Request(self._url, headers={"User-Agent": "humanclap"})
        if have:
            request.add_header("Range", f"bytes={have}-")
            request.add_header("If-Range", known["tag"])
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
            if answer.status != http.client.PARTIAL_CONTENT:
                have = 0
            length = answer.headers.get("Content-Length")
            total = None if length is None else have + int(length)
            self._remember(answer.headers, total)
            got = self._copy(answer, have, total)
        whole = total is None or have + got == total
        return got, whole

    def _copy(self, answer: Any, have: int, total: int | None) -> int:
        got = 0
        with open(self._part, "ab" if have else "wb") as file:
            try:
                while block := answer.read(BLOCK_BYTES):
                    file.write(block)
                    got += len(block)
                    self._progress(have + got, total or have + got, "bytes")
            except (OSError, http.client.HTTPException) as error:
                log.info("%s: %s", self._url, error)
        return got

    def _known(self) -> dict[str, Any]:
        """What the server said of the file when the part began; empty where it may not go on."""
        try:
            known = json.loads(self._note.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return known if known.get("url") == self._url and known.get("tag") else {}

    def _remember(self, headers: Any, total: int | None) -> None:
        etag = headers.get("ETag") or ""
        tag = headers.get("Last-Modified") or "" if etag.startswith("W/") or not etag else etag
        with atomic_writer(self._note) as file:
            file.write(json.dumps({"url": self._url, "tag": tag, "total": total}) + "\n")
