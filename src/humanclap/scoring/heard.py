"""What a model hears in clips, each heard now or known from before, in their order."""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from itertools import count, islice
from typing import Any, Protocol, cast

import numpy as np
import torch
from numpy.typing import NDArray

from humanclap.audio.clip_codes import Codes, Hearing
from humanclap.audio.decode import SoundBytes
from humanclap.audio.load import Decoded, Source, Waveform
from humanclap.clap.cache import EmbeddingCache
from humanclap.clap.cache_keys import KnownBytes, KnownFile, known_bytes, known_file, text_key
from humanclap.clap.known_pairs import ClipRoles, Identities
from humanclap.errors import AudioError

LAYOUT = 1
"""Of what an entry of the cache holds, see `_entry`; part of its key."""
_CHUNK = 64
"""Clips that are looked up at once."""
_KEPT_AT_ONCE = 32
"""Clips after which what was heard is written; a killed run loses at most these."""
_HASHING_THREADS = min(4, os.cpu_count() or 1)

Embedding = NDArray[np.float32]
Known = KnownFile | KnownBytes
"""A sound file by its content, on the disk or in memory."""


@dataclass(frozen=True, slots=True, eq=False)
class Heard:
    """What comes of a clip that was read to its end.

    embedding: (embedding_dim,), unit length; notes: what is to be said of it (`audio_blocks`);
    roles: what the model met of it, None where nobody asked.
    """

    embedding: Embedding
    notes: tuple[str, ...] = ()
    roles: ClipRoles | None = None


class Embed(Protocol):
    """`clap.embedding.embed_clips` of one model with its settings."""

    def __call__(
        self,
        sources: Iterable[Source],
        listen: Callable[[int, NDArray[np.float32]], None] | None = None,
        remark: Callable[[int, str], None] | None = None,
    ) -> Iterator[Embedding | AudioError]:
        """Embeddings of the sources, in their order."""


@dataclass(frozen=True, slots=True)
class Shelf:
    """A cache, and what all keys of this model and these settings begin with."""

    cache: EmbeddingCache
    context: bytes


@dataclass(slots=True, eq=False)
class _Asked:
    """A clip on its way: its file by content where it may be kept, and what was heard so far."""

    source: Source
    file: Known | None = None
    heard: Heard | None = None
    hearing: Hearing | None = None
    samples: int = 0
    notes: list[str] = field(default_factory=list)


class Ears:
    """Hears clips through one model.

    identities: what the model met; where given, the roles of every clip are told. shelf: where what
    is heard of files is kept, and looked for by their content; None: everything is heard now.
    Errors are not kept, nor is what is heard of arrays (which are mostly generated and seldom come
    again), or of a file that changed meanwhile. told: called with a clip and the seconds of it read
    so far, in a thread that reads.
    """

    def __init__(
        self,
        embed: Embed,
        sample_rate: int,
        *,
        identities: Identities | None = None,
        shelf: Shelf | None = None,
        told: Callable[[Source, float], None] | None = None,
    ) -> None:
        self._told = told
        self._embed = embed
        self._rate = sample_rate
        self._identities = identities
        self._shelf = shelf
        self._to_keep: dict[bytes, dict[str, NDArray[Any]]] = {}

    def hear(self, sources: Iterable[Source]) -> Iterator[Heard | AudioError]:
        """What is heard in each clip, or why nothing is, in their order.

        Clips that are not known run through the model together, in the same batches as if there
        were no known ones between them.
        """
        chunks = self._chunks(iter(sources))
        try:
            while (chunk := next(chunks, None)) is not None:
                yield from self._run(chunk, chunks)
        finally:
            self._keep_all()

    def _run(
        self, chunk: list[_Asked], chunks: Iterator[list[_Asked]]
    ) -> Iterator[Heard | AudioError]:
        """Chunks up to the first one that is known throughout."""
        waiting: deque[_Asked] = deque()
        running: dict[int, _Asked] = {}

        def unknown() -> Iterator[Source]:
            """In the threads that read ahead, one at a time."""
            numbers = count()
            now: list[_Asked] | None = chunk
            while now is not None:
                waiting.extend(now)
                missing = [asked for asked in now if asked.heard is None]
                for asked in missing:
                    running[next(numbers)] = asked
                    yield asked.source
                now = next(chunks, None) if missing else None

        def listen(number: int, block: NDArray[np.float32]) -> None:
            asked = running[number]
            if self._identities is not None:
                if asked.hearing is None:
                    asked.hearing = Hearing(self._rate, _transform)
                asked.hearing.add(block)
            asked.samples += len(block)
            if self._told is not None:
                self._told(asked.source, asked.samples / self._rate)

        def remark(number: int, said: str) -> None:
            running[number].notes.append(said)

        deaf = self._identities is None and self._told is None
        embedded = self._embed(unknown(), None if deaf else listen, remark)
        with closing(cast(Generator[Embedding | AudioError], embedded)):
            for number, found in enumerate(embedded):
                yield from _known_in_front(waiting)
                running.pop(number)
                yield self._heard_now(waiting.popleft(), found)
                yield from _known_in_front(waiting)
        yield from _known_in_front(waiting)

    def _heard_now(self, asked: _Asked, found: Embedding | AudioError) -> Heard | AudioError:
        if isinstance(found, AudioError):
            return found
        codes = None
        if self._identities is not None:
            codes = (asked.hearing or Hearing(self._rate)).codes()
        heard = Heard(found, tuple(asked.notes), self._roles(codes))
        if self._shelf is not None and asked.file is not None and asked.file.unchanged:
            self._to_keep[asked.file.key(self._shelf.context)] = self._entry(heard, codes)
            if len(self._to_keep) >= _KEPT_AT_ONCE:
                self._keep_all()
        return heard

    def _keep_all(self) -> None:
        if self._shelf is not None:
            self._shelf.cache.write(self._to_keep, kind="clip")
        self._to_keep = {}

    def _roles(self, codes: Codes | None) -> ClipRoles | None:
        if self._identities is None or codes is None:
            return None
        return self._identities.roles_of(codes)

    def _chunks(self, sources: Iterator[Source]) -> Iterator[list[_Asked]]:
        """Clips in their order, looked up; the files of the next chunk are hashed meanwhile."""
        parts = iter(lambda: list(islice(sources, _CHUNK)), [])
        shelf = self._shelf
        if shelf is None:
            for part in parts:
                yield [_Asked(source) for source in part]
            return
        with ThreadPoolExecutor(_HASHING_THREADS, "humanclap-hash") as pool:
            part = next(parts, [])
            if len(part) == 1:  # not worth a thread
                yield self._looked_up(shelf, part, [_known(part[0])])
                part = next(parts, [])
            hashed = pool.map(_known, part)
            while part:
                following = next(parts, [])
                hashed_next = pool.map(_known, following)
                yield self._looked_up(shelf, part, list(hashed))
                part, hashed = following, hashed_next

    def _looked_up(
        self, shelf: Shelf, sources: Sequence[Source], files: Sequence[Known | None]
    ) -> list[_Asked]:
        keys = [None if file is None else file.key(shelf.context) for file in files]
        found = shelf.cache.read([key for key in keys if key is not None])
        return [
            _Asked(source, file, None if key not in found else self._from_entry(found[key]))
            for source, file, key in zip(sources, files, keys, strict=True)
        ]

    def _entry(self, heard: Heard, codes: Codes | None) -> dict[str, NDArray[Any]]:
        """Embedding and notes; where they were asked for, codes, and the roles by whose record."""
        entry: dict[str, NDArray[Any]] = {
            "embedding": heard.embedding,
            "notes": np.frombuffer(json.dumps(heard.notes).encode(), np.uint8),
        }
        if self._identities is not None and codes is not None and heard.roles is not None:
            entry["codes"] = codes
            entry["record"] = np.frombuffer(self._identities.clips_digest, np.uint8)
            entry["roles"] = np.array([heard.roles.roles, heard.roles.told], np.uint8)
        return entry

    def _from_entry(self, entry: dict[str, NDArray[Any]]) -> Heard | None:
        """None where the entry lacks the codes that are needed now."""
        roles = None
        if self._identities is not None:
            if "codes" not in entry:
                return None
            if entry["record"].tobytes() == self._identities.clips_digest:
                met, told = entry["roles"].tolist()
                roles = ClipRoles(met, bool(told))
            else:  # the same weights with another record of what they met
                roles = self._identities.roles_of(entry["codes"])
        notes = json.loads(entry["notes"].tobytes())
        return Heard(entry["embedding"], tuple(notes), roles)


def embed_texts_once(
    texts: Sequence[str],
    embed: Callable[[Sequence[str]], NDArray[np.float32]],
    shelf: Shelf | None,
) -> NDArray[np.float32]:
    """`embed` of the texts, (len(texts), embedding_dim), each taken from the shelf where it is."""
    if shelf is None:
        return embed(texts)
    keys = {text: text_key(shelf.context, text) for text in texts}
    found = {key: item["embedding"] for key, item in shelf.cache.read(list(keys.values())).items()}
    missing = [text for text, key in keys.items() if key not in found]
    if missing:
        rows = embed(missing)
        new = {keys[text]: row for text, row in zip(missing, rows, strict=True)}
        shelf.cache.write({key: {"embedding": row} for key, row in new.items()}, kind="text")
        found |= new
    return np.stack([found[keys[text]] for text in texts]) if texts else embed(texts)


def _transform(rows: NDArray[np.float32]) -> NDArray[np.complex64]:
    """torch's, which is there already; scipy's would first have to be imported."""
    spectra: NDArray[np.complex64] = torch.fft.rfft(torch.from_numpy(rows)).numpy()
    return spectra


def _known(source: Source) -> Known | None:
    if isinstance(source, Waveform | Decoded):
        return None
    return known_bytes(source.data) if isinstance(source, SoundBytes) else known_file(source)


def _known_in_front(waiting: deque[_Asked]) -> Iterator[Heard]:
    while waiting and (heard := waiting[0].heard) is not None:
        waiting.popleft()
        yield heard
