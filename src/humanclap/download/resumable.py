"""A file over HTTP that may stop and go on, checked by length and hash."""

from __future__ import annotations

import http.client
import json
import logging
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from humanclap.errors import InputError
from humanclap.files import atomic_writer
from humanclap.fingerprint import sha256_file
from humanclap.progress import Progress, silent

log = logging.getLogger(__name__)

BLOCK_BYTES = 1 << 20
TRIES = 5
"""Connections in a row that bring nothing before giving up."""
TIMEOUT_S = 30.0
"""Silence after which a connection counts as broken."""
PASSING = (429, 500, 502, 503, 504)
"""HTTP statuses of a server that may answer the next time."""

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
    keep_other: bool = True,
    tries: int = TRIES,
    progress: Progress = silent,
    wait: Wait = time.sleep,
) -> Downloaded:
    """Bring `url` to `path`, going on with `path`.part where an earlier call stopped.

    A part is continued only if the server says the file is still the same (ETag or Last-Modified);
    else it starts anew. The hash is checked against `sha256` before the file gets its name; without
    it against `path`.sha256, written by the first complete download. A complete file is not brought
    again. keep_other: where `sha256` is another, leave the bytes in the part, for a call
    that expects them. tries: connections in a row that bring nothing before giving up.

    Raises InputError where the address cannot be reached, the bytes are others than announced or
    expected, or they cannot be written.
    """
    path = Path(path)
    if not url.startswith(("http://", "https://")):
        raise InputError(f"{url}: expected an address that begins with http:// or https://")
    if path.is_file():
        found = sha256_file(path)
        _check_hash(path, path, found, sha256)
        return Downloaded(path=path, sha256=found, brought=0)
    transfer = _Transfer(url, path, tries, progress, wait)
    brought = transfer.run()
    found = sha256_file(transfer.part)
    if not keep_other and sha256 is not None and found != sha256.lower():
        transfer.forget()
        raise InputError(
            f"{url}: what it sends has SHA-256 {found}, expected is {sha256}; nothing was kept"
        )
    _check_hash(transfer.part, path, found, sha256)
    transfer.part.replace(path)
    transfer.forget()
    return Downloaded(path=path, sha256=found, brought=brought)


def _check_hash(file: Path, path: Path, found: str, expected: str | None) -> None:
    """Compare with what is expected of `path`, or recorded beside it, or record it."""
    if expected is not None:
        if found != expected.lower():
            raise InputError(
                f"{file}: its SHA-256 is {found}, expected is {expected}; delete the file to bring "
                "it again"
            )
        return
    record = path.with_name(f"{path.name}.sha256")
    recorded = record.read_text(encoding="utf-8").split() if record.is_file() else []
    if recorded and recorded[0] != found:
        raise InputError(
            f"{file}: its SHA-256 is {found}, {record} says {recorded[0]}; delete the file to "
            "bring it again, its record too if the publisher has changed it"
        )
    if not recorded:
        with atomic_writer(record) as writer:
            writer.write(f"{found}  {path.name}\n")


class _Transfer:
    def __init__(self, url: str, path: Path, tries: int, progress: Progress, wait: Wait) -> None:
        self.part = path.with_name(f"{path.name}.part")
        self._url = url
        self._note = path.with_name(f"{path.name}.part.json")
        self._tries = tries
        self._progress = progress
        self._wait = wait
        self._reason = ""
        path.parent.mkdir(parents=True, exist_ok=True)

    def run(self) -> int:
        """Bytes brought; returns when the part is whole."""
        brought, failures = 0, 0
        while True:
            got, whole = self._connect()
            brought += got
            if whole:
                return brought
            log.info("%s: %s", self._url, self._reason)
            failures = 0 if got else failures + 1
            if failures >= self._tries:
                kept = f"; what came is kept in {self.part}, the same command goes on from there"
                raise InputError(
                    f"{self._url}: given up after {self._tries} tries ({self._reason})"
                    + (kept if self.part.is_file() else "")
                )
            self._wait(2.0**failures)

    def forget(self) -> None:
        """Remove the part and what is known of it."""
        self.part.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)

    def _connect(self) -> tuple[int, bool]:
        """One connection: (bytes brought, whether the part is whole now)."""
        known = self._known()
        have = self.part.stat().st_size if known and self.part.is_file() else 0
        if have and have == known["total"]:
            return 0, True
        if have > (known.get("total") or have):  # no part of this file, whoever wrote it
            have = 0
        answer = self._ask(have, known)
        if answer is None:
            return 0, False
        with answer:
            if answer.status != http.client.PARTIAL_CONTENT:
                have = 0
            elif not _goes_on(answer.headers, have, known["tag"]):
                self.forget()
                self._reason = "the file at the address is another than the part's"
                return 0, False
            length = answer.headers.get("Content-Length")
            total = None if length is None else have + int(length)
            try:
                if not have:  # an old part must never be taken for one of what is noted next
                    self.part.unlink(missing_ok=True)
                self._remember(answer.headers, total)
                got, ended = self._copy(answer, have, total)
            except OSError as error:  # of this machine: _blocks keeps those of the connection
                raise InputError(
                    f"{self.part}: cannot be written ({error.strerror or error}); what came "
                    "before is kept, the same command goes on from there"
                ) from error
        return got, ended if total is None else have + got == total

    def _ask(self, have: int, known: dict[str, Any]) -> Any:
        """The server's answer, None where there is none this time."""
        request = urllib.request.Request(self._url, headers={"User-Agent": "humanclap"})
        if have:
            request.add_header("Range", f"bytes={have}-")
            request.add_header("If-Range", known["tag"])
        try:
            return urllib.request.urlopen(request, timeout=TIMEOUT_S)
        except urllib.error.HTTPError as error:
            with error:
                if error.code not in PASSING:
                    raise InputError(f"{self._url}: {error}") from error
                self._reason = str(error)
        except (ValueError, http.client.InvalidURL) as error:
            raise InputError(f"{self._url}: {error}") from error
        except (OSError, http.client.HTTPException) as error:
            self._reason = str(getattr(error, "reason", error))
        return None

    def _copy(self, answer: Any, have: int, total: int | None) -> tuple[int, bool]:
        """Append what the answer brings: (bytes, whether it came to its end)."""
        got, self._reason = 0, ""
        with open(self.part, "ab" if have else "wb") as file:
            for block in self._blocks(answer):
                file.write(block)
                got += len(block)
                self._progress(have + got, total or have + got, "bytes")
            file.flush()
            os.fsync(file.fileno())
        ended = not self._reason
        self._reason = self._reason or "the connection ended early"
        return got, ended

    def _blocks(self, answer: Any) -> Iterator[bytes]:
        while True:
            try:
                block = answer.read(BLOCK_BYTES)
            except (OSError, http.client.HTTPException) as error:
                self._reason = str(error)
                return
            if not block:
                return
            yield block

    def _known(self) -> dict[str, Any]:
        """What the server said of the file when the part began; empty where it may not go on."""
        try:
            known = json.loads(self._note.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return known if known.get("url") == self._url and known.get("tag") else {}

    def _remember(self, headers: Any, total: int | None) -> None:
        note = {"url": self._url, "tag": _tag(headers), "total": total}
        with atomic_writer(self._note) as file:
            file.write(json.dumps(note) + "\n")


def _tag(headers: Any) -> str:
    """What tells one state of the file from another, "" where the server does not say."""
    etag = headers.get("ETag") or ""
    return etag if etag and not etag.startswith("W/") else headers.get("Last-Modified") or ""


def _goes_on(headers: Any, have: int, tag: str) -> bool:
    """Whether a partial answer continues the part; some servers do not know If-Range."""
    begins = (headers.get("Content-Range") or "").startswith(f"bytes {have}-")
    return begins and _tag(headers) in ("", tag)
