"""What a model hears in clips: computed now or taken from the cache, in the clips' order."""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

from humanclap.audio.clip_codes import Codes, Hearing
from humanclap.audio.decode import SoundBytes
from humanclap.audio.load import Decoded, Source, Waveform
from humanclap.audio.window import Window
from humanclap.clap.cache import EmbeddingCache
from humanclap.clap.cache_keys import KnownBytes, KnownFile, known_bytes, known_file, text_key
from humanclap.clap.embedding import ClipEncoder, ClipWindows, Embedding
from humanclap.clap.known_pairs import ClipRoles, Identities
from humanclap.errors import AudioError

LAYOUT = 1
"""Of what an entry of the cache holds, see `_entry`; part of its key."""
_CHUNK = 64
"""Clips that are looked up at once."""
_KEPT_AT_ONCE = 32
"""Results are written after so many clips; a run that is killed loses at most these."""
_HASHING_THREADS = min(4, os.cpu_count() or 1)

Known = KnownFile | KnownBytes
"""A sound file by its content, on the disk or in memory."""
Told = Callable[[Source, float], None]
"""Called, in a thread that reads, with a clip and the seconds of it that were read so far."""


@dataclass(frozen=True, slots=True, eq=False)
class Heard:
    """What a model heard in a clip.

    embedding: (embedding_dim,), unit length. notes: what its reader should know (`audio_blocks`).
    roles: what the model met of it, None where nobody asked.
    """

    embedding: Embedding
    notes: tuple[str, ...] = ()
    roles: ClipRoles | None = None


@dataclass(frozen=True, slots=True)
class Shelf:
    """A cache, and the beginning of every key of this model with these settings."""

    cache: EmbeddingCache
    context: bytes


@dataclass(slots=True, eq=False)
class ClipReading:
    """A clip while it is read: its windows go to the encoder, and the rest is noted here.

    hearing: collects the clip's codes, None where nobody asks for them. file: the content of its
    file, where the result may be kept. heard: the result, where the cache has it.
    """

    source: Source
    sample_rate: int
    hearing: Hearing | None = None
    told: Told | None = None
    file: Known | None = None
    heard: Heard | None = None
    samples: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """How much of it was read."""
        return self.samples / self.sample_rate

    def windows(self, encoder: ClipEncoder) -> Iterator[Window]:
        """Its windows for an encoder, as they are read."""
        return encoder.windows(self.source, listen=self._listen, remark=self.notes.append)

    def _listen(self, block: NDArray[np.float32]) -> None:
        if self.hearing is not None:
            self.hearing.add(block)
        self.samples += len(block)
        if self.told is not None:
            self.told(self.source, self.seconds)


class Ears:
    """Hears clips through one model.

    identities: what the model met; where given, the roles of every clip are looked for. shelf: the
    cache of results, which are known by the content of the clip's file; None: everything is
    computed now. Not kept are errors, arrays (most are generated and seldom come again), and files
    that changed while they were read. told: see `Told`.
    """

    def __init__(
        self,
        encoder: ClipEncoder,
        *,
        identities: Identities | None = None,
        shelf: Shelf | None = None,
        told: Told | None = None,
    ) -> None:
        self._encoder = encoder
        self._identities = identities
        self._shelf = shelf
        self._told = told
        self._to_keep: dict[bytes, dict[str, NDArray[Any]]] = {}

    def hear(self, sources: Iterable[Source]) -> Iterator[Heard | AudioError]:
        """What is heard in each clip, or why nothing is, in their order.

        Clips that the cache lacks run through the model in the same batches as if the others were
        not there.
        """
        chunks = self._chunks(iter(sources))
        try:
            while (chunk := next(chunks, None)) is not None:
                yield from self._run(chunk, chunks)
        finally:
            self._keep_all()

    def _run(
        self, chunk: list[ClipReading], chunks: Iterator[list[ClipReading]]
    ) -> Iterator[Heard | AudioError]:
        """Chunks up to the first one that the cache has whole."""
        waiting: deque[ClipReading] = deque()

        def unknown() -> Iterator[ClipReading]:
            """In the threads that read ahead, one at a time."""
            now: list[ClipReading] | None = chunk
            while now is not None:
                waiting.extend(now)
                missing = [clip for clip in now if clip.heard is None]
                yield from missing
                now = next(chunks, None) if missing else None

        outputs = self._encoder.outputs_of(unknown(), lambda clip: clip.windows(self._encoder))
        with closing(cast(Any, outputs)):
            for found in outputs:
                yield from _known_in_front(waiting)
                yield self._heard_now(waiting.popleft(), found)
                yield from _known_in_front(waiting)
        yield from _known_in_front(waiting)

    def _heard_now(self, clip: ClipReading, found: ClipWindows | AudioError) -> Heard | AudioError:
        if isinstance(found, AudioError):
            return found
        codes = None if clip.hearing is None else clip.hearing.codes()
        roles = None
        if self._identities is not None and codes is not None:
            roles = self._identities.roles_of(codes)
        heard = Heard(found.embedding(), tuple(clip.notes), roles)
        if self._shelf is not None and clip.file is not None and clip.file.unchanged:
            self._to_keep[clip.file.key(self._shelf.context)] = self._entry(heard, codes)
            if len(self._to_keep) >= _KEPT_AT_ONCE:
                self._keep_all()
        return heard

    def _keep_all(self) -> None:
        if self._shelf is not None:
            self._shelf.cache.write(self._to_keep, kind="clip")
        self._to_keep = {}

    def _reading(
        self, source: Source, file: Known | None = None, heard: Heard | None = None
    ) -> ClipReading:
        rate = self._encoder.backbone.sample_rate
        asked = self._identities is not None and heard is None
        hearing = Hearing(rate, _transform) if asked else None
        return ClipReading(source, rate, hearing, self._told, file, heard)

    def _chunks(self, sources: Iterator[Source]) -> Iterator[list[ClipReading]]:
        """Clips in their order, looked up; the files of the next chunk are hashed meanwhile."""
        parts = iter(lambda: list(islice(sources, _CHUNK)), [])
        shelf = self._shelf
        if shelf is None:
            for part in parts:
                yield list(map(self._reading, part))
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
    ) -> list[ClipReading]:
        keys = [None if file is None else file.key(shelf.context) for file in files]
        found = shelf.cache.read([key for key in keys if key is not None])
        return [
            self._reading(source, file, self._from_entry(found[key]) if key in found else None)
            for source, file, key in zip(sources, files, keys, strict=True)
        ]

    def _entry(self, heard: Heard, codes: Codes | None) -> dict[str, NDArray[Any]]:
        """Embedding and notes. Where roles were asked for, also the codes, the record that was
        searched, and the roles that it gave.
        """
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
        """The result an entry holds; None where it lacks codes that are needed now."""
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
    if shelf is None or not texts:
        return embed(texts)
    keys = {text: text_key(shelf.context, text) for text in texts}
    found = {key: item["embedding"] for key, item in shelf.cache.read(list(keys.values())).items()}
    missing = [text for text, key in keys.items() if key not in found]
    if missing:
        new = {keys[text]: row for text, row in zip(missing, embed(missing), strict=True)}
        shelf.cache.write({key: {"embedding": row} for key, row in new.items()}, kind="text")
        found |= new
    return np.stack([found[keys[text]] for text in texts])


def _transform(rows: NDArray[np.float32]) -> NDArray[np.complex64]:
    """torch's transform, which is loaded already; scipy's would first have to be imported."""
    spectra: NDArray[np.complex64] = torch.fft.rfft(torch.from_numpy(rows)).numpy()
    return spectra


def _known(source: Source) -> Known | None:
    if isinstance(source, Waveform | Decoded):
        return None
    return known_bytes(source.data) if isinstance(source, SoundBytes) else known_file(source)


def _known_in_front(waiting: deque[ClipReading]) -> Iterator[Heard]:
    while waiting and (heard := waiting[0].heard) is not None:
        waiting.popleft()
        yield heard
