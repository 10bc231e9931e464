"""The journal of a scoring run: finished rows go to the disk at once, so a killed run can go on."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self, TextIO

from humanclap.audio.names import existing
from humanclap.errors import InputError, naming_file
from humanclap.fingerprint import fingerprint_text
from humanclap.records import Pair, Score
from humanclap.scoring.rows import row_of, score_of
from humanclap.signature import comparable

SUFFIX = ".partial.jsonl"


class Journal:
    """Rows of an unfinished run beside its output, in `OUTPUT.partial.jsonl`.

    A journal belongs to one signature and one manifest; it is refused for others. Scored again are
    rows whose audio file has changed since (size or time), rows with an error, and rows that lack a
    field of this version.
    """

    def __init__(
        self, output: Path, *, pairs: Sequence[Pair], signature: str, audio_root: Path
    ) -> None:
        self.path = output.with_name(output.name + SUFFIX)
        self._pairs = {pair.pair_id: pair for pair in pairs}
        self._audio_root = audio_root
        self._head = {
            "signature": signature,
            "manifest": fingerprint_text(
                part for pair in pairs for part in (pair.pair_id, pair.audio, pair.text)
            ),
        }
        self.finished: dict[str, Score] = {}
        self._file: TextIO | None = None

    def __enter__(self) -> Self:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        whole_bytes = self._read() if self.path.exists() else 0
        self._file = open(self.path, "a", encoding="utf-8")
        self._file.truncate(whole_bytes)
        if not whole_bytes:
            self._write(self._head)
        return self

    def __exit__(self, *raised: object) -> None:
        if self._file is not None:
            with naming_file(self.path):
                self._file.close()

    def _read(self) -> int:
        """Take over what is there; returns the bytes up to the last whole line."""
        whole_bytes = 0
        with open(self.path, "rb") as file:
            for number, line in enumerate(file):
                try:
                    item = json.loads(line)
                except ValueError:
                    break
                if not (line.endswith(b"\n") and isinstance(item, dict)):
                    break
                if number == 0:
                    self._check_head(item)
                else:
                    self._take(item)
                whole_bytes += len(line)
        return whole_bytes

    def _check_head(self, head: dict[str, Any]) -> None:
        for key, what in (("signature", "model or settings"), ("manifest", "table of pairs")):
            if comparable(str(head.get(key))) != comparable(self._head[key]):
                raise InputError(
                    f"{self.path}: an unfinished run with another {what}; "
                    "finish it as it was begun, or start over with --restart"
                )

    def _take(self, item: dict[str, Any]) -> None:
        pair = self._pairs.get(item.get("pair_id", ""))
        if pair is None or not item.keys() >= _KEPT:
            return
        if item.get("file") == self._stamp(pair.audio):
            kept = {name: item[name] for name in _KEPT}
            row = {**asdict(pair), **kept, "signature": self._head["signature"]}
            self.finished[pair.pair_id] = score_of(row)

    def _stamp(self, audio: str) -> list[int] | None:
        try:
            status = existing(self._audio_root / audio).stat()
        except OSError:
            return None
        return [status.st_size, status.st_mtime_ns]

    def add(self, score: Score) -> None:
        """Keep a finished row; errors are not kept, so that a resumed run tries them again."""
        if score.error is not None:
            return
        row = {name: value for name, value in row_of(score).items() if name in _KEPT}
        self._write({**row, "file": self._stamp(score.audio)})

    def _write(self, item: dict[str, Any]) -> None:
        if self._file is None:
            raise InputError(f"{self.path}: the journal is not open")
        with naming_file(self.path):
            self._file.write(json.dumps(item, ensure_ascii=False, allow_nan=False) + "\n")
            self._file.flush()

    def remove(self) -> None:
        """Delete the journal, once the output is written."""
        if self._file is not None:
            os.fsync(self._file.fileno())
            self._file.close()
        self.path.unlink(missing_ok=True)


_KEPT = frozenset(
    {
        *("pair_id", "score", "rating", "rating_error", "rating_covers", "met"),
        *("text_cut", "text_unread", "note"),
    }
)
