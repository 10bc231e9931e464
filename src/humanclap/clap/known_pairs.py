"""Which captions and clips a model met: a record small enough to travel with its checkpoint.

A score says little about a pair that the model was trained on. So the record keeps a 40-bit hash of
every caption, and the codes of every clip (`audio.clip_codes`). Nobody can read a caption or hear a
clip from them, but a pair that is scored later can be looked up.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from humanclap.audio.clip_codes import ClipIndex, Codes, KeptClip, clip_codes, keep
from humanclap.audio.load import Source
from humanclap.errors import CheckpointError, naming_file
from humanclap.grouping import caption_hash
from humanclap.progress import Progress, silent
from humanclap.records import ROLES, UNKNOWN_MET, Role, met_in_words

IDENTITIES_FILE = "trained_on.safetensors"
"""Beside the weights. Nothing is known about a checkpoint without it, such as an older one."""
FORMAT = "humanclap-identities-1"
_CAPTION_BYTES = 5

Met = tuple[Source | None, str | None, Role]
"""A clip, a caption, or a pair of both, and what it was used for."""


@dataclass(frozen=True, slots=True)
class ClipRoles:
    """How a model met a clip.

    roles: what it used the clip for, as bits in the order of `records.ROLES`. told: whether the
    clip has enough codes to be recognised; only then a clip without roles counts as not met.
    """

    roles: int
    told: bool


@dataclass(frozen=True, eq=False)
class Identities:
    """The captions and clips that a model met, and what it used each of them for.

    captions: roles by caption hash. clips: kept codes with roles. Roles are bits in the order of
    `records.ROLES`. complete: whether the record names everything; it does not for a model that was
    tuned from one about which nothing is known. unknown_clips: how many clips it met that are too
    short, silent or steady to be recognised.
    """

    captions: Mapping[int, int] = field(default_factory=dict)
    clips: Sequence[tuple[KeptClip, int]] = ()
    complete: bool = True
    unknown_clips: int = 0

    def __or__(self, other: Identities) -> Identities:
        """Both records together; a caption or clip that is in both has the roles of both."""
        captions = dict(self.captions)
        for caption, roles in other.captions.items():
            captions[caption] = captions.get(caption, 0) | roles
        clips: dict[tuple[int, bytes], tuple[KeptClip, int]] = {}
        for clip, roles in (*self.clips, *other.clips):
            key = clip.stride, clip.codes.tobytes()
            clips[key] = clip, clips.get(key, (clip, 0))[1] | roles
        return Identities(
            captions,
            tuple(clips.values()),
            self.complete and other.complete,
            self.unknown_clips + other.unknown_clips,
        )

    @property
    def any_known(self) -> bool:
        """Whether the record can answer anything; if not, no codes need be computed."""
        return bool(self.captions or self.clips or self.complete)

    @cached_property
    def _index(self) -> ClipIndex:
        return ClipIndex([clip for clip, _ in self.clips])

    def met(self, texts: Sequence[str], codes: Codes) -> list[str]:
        """What the model met of a clip with each of `texts`, in the words of `records.Score.met`.

        codes: the clip's (`audio.clip_codes.clip_codes`). A pair that is not found is `unknown`
        where the record does not name everything, or the clip has too few codes.
        """
        return self.met_of(texts, self.roles_of(codes))

    def roles_of(self, codes: Codes) -> ClipRoles:
        """How the model met the clip with these codes; this takes most of the time of `met`."""
        clip = 0
        for number in self._index.find(codes):
            clip |= self.clips[number][1]
        return ClipRoles(clip, keep(codes) is not None)

    def met_of(self, texts: Sequence[str], clip: ClipRoles) -> list[str]:
        """As `met`, for a clip whose roles are known (`roles_of`)."""
        certain = self.complete and clip.told
        found = []
        for text in texts:
            caption = self.captions.get(caption_hash(text), 0)
            words = met_in_words(_role_names(caption), _role_names(clip.roles))
            found.append(words if certain or caption or clip.roles else UNKNOWN_MET)
        return found

    @cached_property
    def clips_digest(self) -> bytes:
        """SHA-256 over the clips and their roles; where it is the same, so are all `roles_of`."""
        digest = hashlib.sha256()
        for clip, roles in self.clips:
            digest.update(f"{len(clip.codes)} {clip.stride} {roles} ".encode())
            digest.update(clip.codes.tobytes())
        return digest.digest()

    def save(self, folder: str | Path) -> None:
        """Write `trained_on.safetensors` into a checkpoint's folder."""
        hashes = sorted(self.captions)
        kept = [clip for clip, _ in self.clips]
        raw = b"".join(number.to_bytes(_CAPTION_BYTES, "big") for number in hashes)
        planes = np.frombuffer(raw, np.uint8).reshape(-1, _CAPTION_BYTES).T
        content = {
            # sorted, with all first bytes together: an archive then needs little room for them
            "captions": np.ascontiguousarray(planes),
            "caption_roles": np.array([self.captions[h] for h in hashes], np.uint8),
            "codes": np.concatenate([np.zeros(0, np.uint32), *(clip.codes for clip in kept)]),
            "clip_lengths": np.array([len(clip.codes) for clip in kept], np.uint32),
            "clip_strides": np.array([clip.stride for clip in kept], np.uint8),
            "clip_roles": np.array([roles for _, roles in self.clips], np.uint8),
        }
        facts = {
            "format": FORMAT,
            "complete": "yes" if self.complete else "no",
            "unknown_clips": str(self.unknown_clips),
        }
        path = Path(folder) / IDENTITIES_FILE
        with naming_file(path):
            path.write_bytes(save(content, metadata=facts))

    @classmethod
    def read(cls, path: str | Path) -> Identities:
        """Read what `save` wrote; raises CheckpointError with the remedy for anything else."""
        try:
            with safe_open(path, framework="numpy") as file:
                facts = dict(file.metadata() or {})
                content = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            if facts.get("format") != FORMAT:
                raise ValueError(f"format {facts.get('format')!r}, this version reads {FORMAT}")
            return cls._of(content, facts)
        except (SafetensorError, OSError, KeyError, ValueError) as error:
            raise CheckpointError(
                f"{path}: cannot be read as the record of what the model was trained on ({error}); "
                "copy the checkpoint again, or delete this file: what the model met is then unknown"
            ) from error

    @classmethod
    def _of(cls, content: Mapping[str, NDArray[Any]], facts: Mapping[str, str]) -> Identities:
        planes, roles = content["captions"], content["caption_roles"]
        lengths = content["clip_lengths"].astype(np.int64)
        strides, clip_roles = content["clip_strides"], content["clip_roles"]
        codes = content["codes"].astype(np.uint32)
        if planes.shape != (_CAPTION_BYTES, len(roles)) or lengths.sum() != len(codes):
            raise ValueError("its parts are of unlike length")
        if (strides < 1).any():
            raise ValueError("a stride of 0")
        hashes = (int.from_bytes(column.tobytes(), "big") for column in planes.T)
        parts = np.split(codes, np.cumsum(lengths)[:-1]) if len(lengths) else []
        clips = zip(parts, strides, clip_roles, strict=True)
        return cls(
            dict(zip(hashes, map(int, roles), strict=True)),
            tuple((KeptClip(part, int(stride)), int(role)) for part, stride, role in clips),
            facts["complete"] == "yes",
            int(facts["unknown_clips"]),
        )


UNKNOWN = Identities(complete=False)
"""The record of a model about which nothing is known."""


def identities_of(met: Iterable[Met], *, progress: Progress = silent) -> Identities:
    """The record of clips, captions and pairs, each (clip or None, caption or None, role).

    A clip is a path or a `Waveform`; each distinct path is decoded once. Raises AudioError for a
    clip that cannot be decoded.

    >>> known = identities_of([(None, "A dog barks", "trained")])
    >>> known.met(["a dog  barks", "rain"], np.zeros(0, np.uint32))   # of a clip without codes
    ['caption:trained', 'unknown']
    """
    wanted = list(met)
    captions: dict[int, int] = {}
    clips: dict[object, tuple[Source, int]] = {}
    for source, text, role in wanted:
        bit = 1 << ROLES.index(role)
        if text is not None:
            captions[caption_hash(text)] = captions.get(caption_hash(text), 0) | bit
        if source is not None:
            key = str(source) if isinstance(source, str | Path) else id(source)
            clips[key] = source, clips.get(key, (source, 0))[1] | bit
    found = Identities(captions)
    kept: list[tuple[KeptClip, int]] = []
    for number, (source, roles) in enumerate(clips.values(), start=1):
        clip = keep(clip_codes(source))
        if clip is not None:
            kept.append((clip, roles))
        progress(number, len(clips), "clips identified")
    return found | Identities({}, kept, unknown_clips=len(clips) - len(kept))


def _role_names(roles: int) -> list[str]:
    return [role for bit, role in enumerate(ROLES) if roles >> bit & 1]
