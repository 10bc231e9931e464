"""The first stage: read clips and decode them, on any processor of the cluster, without torch.

Clips travel to the second stage as rows of Arrow tables, one a clip, with its pairs; so a block may
be cut anywhere.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from humanclap.audio.ahead import read_ahead
from humanclap.audio.decode import SoundBytes
from humanclap.audio.load import Decoded, Source, decode
from humanclap.cluster.ledger import LedgerClient
from humanclap.cluster.places import StoreError, is_url, read_bytes
from humanclap.errors import InputError

CHUNK_BYTES = 16 << 20
"""Samples that travel together; a few such chunks a worker are in memory at once."""
CHUNK_CLIPS = 64
LONGEST_S = 60.0
"""Longer clips are decoded where they are scored, window by window, and hold little memory."""
NAMED_BYTES = 32 << 10
"""Size of a chunk in which clips are only named: some 64 names."""
_REMOTE_READS = 8
"""Clips that are fetched from a store at once by one worker."""
OF_PAIR = ("pair_id", "audio", "text", "system", "subset", "split")

CLIPS = pa.schema(
    [
        ("shard", pa.int64()),
        ("audio", pa.string()),
        ("where", pa.string()),  # of a clip that is to be decoded where it is scored
        ("file", pa.large_binary()),  # likewise, of one that was fetched
        ("samples", pa.large_binary()),  # float32
        ("note", pa.string()),
        ("error", pa.string()),
        ("pairs", pa.large_binary()),  # JSON: a list of rows of the plan
    ]
)


@dataclass(frozen=True, slots=True)
class _Clip:
    """A clip of a shard: its place, and the rows of the plan that are about it."""

    number: int
    where: str
    offset: int | None
    size: int | None
    rows: Sequence[Mapping[str, Any]]

    @property
    def audio(self) -> str:
        return str(self.rows[0]["audio"])


@dataclass(frozen=True, slots=True)
class _Decoder:
    """Decodes at `sample_rate` Hz what is not longer than `most_s` seconds."""

    sample_rate: int
    most_s: float

    def decoded(self, clip: _Clip) -> Decoded | str | bytes:
        """Samples; for a clip that is decoded elsewhere its path, or its file if it was fetched."""
        source: Source
        if clip.offset is None and not is_url(clip.where):
            if not self.most_s:
                return clip.where
            source = Path(clip.where)
        else:
            try:
                data = read_bytes(clip.where, clip.offset, clip.size)
            except StoreError as error:
                raise StoreError(
                    f"{error} What is written stays: run the same command again"
                ) from error
            except InputError as error:
                return self.failed(clip, str(error).removeprefix(f"{clip.where}: "))
            source = SoundBytes(data=data, name=clip.audio)
        found = decode(source, sample_rate=self.sample_rate, most_s=self.most_s)
        if found is None:
            return source.data if isinstance(source, SoundBytes) else clip.where
        return found

    def failed(self, clip: _Clip, reason: str) -> Decoded:
        """In place of a clip that cannot be read."""
        none = np.zeros(0, np.float32)
        return Decoded(samples=none, sample_rate=self.sample_rate, name=clip.audio, error=reason)


def decode_shards(
    batch: pa.Table, *, sample_rate: int, ledger: Any, tries: int, most_s: float = LONGEST_S
) -> Iterator[pa.Table]:
    """Clips of packed shards (`ShardPlan.packed`), decoded at `sample_rate` Hz, in chunks of CLIPS.

    most_s: clips of more seconds are only named, and decoded where they are scored; 0: this holds
    for all files. Each distinct clip of a shard is read once. What cannot be read is a row with its
    error; a store that cannot be reached ends the run, and a later one goes on.
    """
    guard = LedgerClient(ledger, tries)
    with guard.telling():
        yield from _decoded_shards(batch, _Decoder(sample_rate, most_s), guard)


def _decoded_shards(batch: pa.Table, decoder: _Decoder, guard: LedgerClient) -> Iterator[pa.Table]:
    for shard, rows in zip(batch["shard"].to_pylist(), batch["rows"].to_pylist(), strict=True):
        clips = _clips_of(pa.ipc.open_stream(rows).read_all().to_pylist())
        with guard.work(f"decode/{shard}") as (well, counts):
            counts["decoded"] = len(clips)
            decoded = (
                _decoded_all(clips, decoder)
                if well
                else _decoded_one_by_one(clips, decoder, guard, shard)
            )
            yield from _chunks(shard, decoded)


def _clips_of(rows: Sequence[Mapping[str, Any]]) -> list[_Clip]:
    found: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for row in rows:
        found.setdefault((row["where"], row["offset"], row["size"], row["audio"]), []).append(row)
    return [
        _Clip(number, key[0], key[1], key[2], of_clip)
        for number, (key, of_clip) in enumerate(found.items())
    ]


def _decoded_all(clips: Sequence[_Clip], decoder: _Decoder) -> Iterator[tuple[_Clip, Any]]:
    """Clips in order; those of a store are fetched several at once."""
    if not any(is_url(clip.where) for clip in clips):
        for clip in clips:
            yield clip, decoder.decoded(clip)
        return
    read = read_ahead(
        clips,
        lambda number, clip: [(clip, decoder.decoded(clip))],
        threads=_REMOTE_READS,
        items=_REMOTE_READS,
    )
    for found in read:
        yield from found


def _decoded_one_by_one(
    clips: Sequence[_Clip], decoder: _Decoder, guard: LedgerClient, shard: int
) -> Iterator[tuple[_Clip, Any]]:
    for clip in clips:
        with guard.clip(f"decode/{shard}/{clip.number}") as poison:
            yield clip, decoder.failed(clip, poison) if poison else decoder.decoded(clip)


def _chunks(shard: int, clips: Iterable[tuple[_Clip, Any]]) -> Iterator[pa.Table]:
    rows: list[dict[str, Any]] = []
    size = 0
    for clip, found in clips:
        row: dict[str, Any] = dict.fromkeys(CLIPS.names)
        row |= {"shard": shard, "audio": clip.audio, "pairs": _packed_pairs(clip.rows)}
        if isinstance(found, Decoded):
            # bytes: pyarrow never lets go of a memoryview (26.0)
            samples = found.samples.tobytes()
            row |= {"samples": samples, "note": found.note, "error": found.error}
        else:
            row |= {"where": found} if isinstance(found, str) else {"file": found}
        size += len(row["samples"] or row["file"] or b"")
        rows.append(row)
        if size >= CHUNK_BYTES or len(rows) >= CHUNK_CLIPS:
            yield pa.Table.from_pylist(rows, CLIPS)
            rows, size = [], 0
    if rows:
        yield pa.Table.from_pylist(rows, CLIPS)


_KEPT = frozenset({*OF_PAIR, "row", "further"})


def _packed_pairs(rows: Sequence[Mapping[str, Any]]) -> bytes:
    kept = [{name: value for name, value in row.items() if name in _KEPT} for row in rows]
    return json.dumps(kept, ensure_ascii=False).encode()
