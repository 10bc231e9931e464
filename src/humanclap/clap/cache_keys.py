"""The keys of the cache: everything that changes a digit of an entry, and no name.

A key is made of all bytes of the file, or all letters of the text; of the model's fingerprint; of
the settings, the sources of this package, the libraries that decode and compute, and the arithmetic
of the machine. So an entry that is found is what would be computed here and now.
"""

from __future__ import annotations

import hashlib
import json
import stat
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import torch

from humanclap.audio.names import existing
from humanclap.clap.backbone import Backbone, weights_mark
from humanclap.fingerprint import fingerprint_bytes, sha256_file

_ROOMS = ("audio", "clap")
"""The rooms whose sources make an embedding."""
_LIBRARIES = ("torch", "numpy", "scipy", "soxr", "soundfile", "tokenizers")
_OF_OUR_OWN = frozenset({"mini", "mini-mn04"})
"""Kinds of backbone that do not need transformers."""


@lru_cache(maxsize=1)
def pipeline_version() -> str:
    """`sources_version` of this package; after a change to its sources no old entry is found."""
    return sources_version(Path(__file__).resolve().parents[1])


def sources_version(package: Path) -> str:
    """8 hex digits over the sources that make an embedding, those of the rooms audio and clap."""
    files = sorted(path for room in _ROOMS for path in (package / room).rglob("*.py"))
    parts = [
        part
        for path in files
        for part in (path.relative_to(package).as_posix().encode(), path.read_bytes())
    ]
    return fingerprint_bytes(*parts)


def arithmetic(backbone: Backbone) -> dict[str, object]:
    """What changes the last digits of an embedding: libraries, device, threads."""
    device = backbone.logit_scale.device
    libraries = [*_LIBRARIES, *([] if backbone.kind in _OF_OUR_OWN else ["transformers"])]
    found: dict[str, object] = {
        name: getattr(sys.modules.get(name), "__version__", "") for name in libraries
    }
    found["backbone"] = _code_of(type(backbone))
    soundfile: Any = sys.modules.get("soundfile")
    found["libsndfile"] = getattr(soundfile, "__libsndfile_version__", "")
    found["device"] = device.type
    if device.type == "cuda":
        found["device"] = torch.cuda.get_device_name(device)
        found["tf32"] = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    else:
        found["threads"] = torch.get_num_threads()
        found["capability"] = torch.backends.cpu.get_cpu_capability()
    return found


def _code_of(kind: type) -> list[str]:
    """Name, source and package version of a class, which may be a plug-in's."""
    module = sys.modules.get(kind.__module__)
    file = getattr(module, "__file__", None)
    source = fingerprint_bytes(Path(file).read_bytes()) if file and Path(file).is_file() else ""
    package = sys.modules.get(kind.__module__.partition(".")[0])
    version = getattr(package, "__version__", "")
    return [f"{kind.__module__}.{kind.__qualname__}", source, str(version)]


def context_of(backbone: Backbone, **what: object) -> bytes:
    """A digest of everything that all entries of a run share; what: further values by name."""
    whole = {"pipeline": pipeline_version(), "arithmetic": arithmetic(backbone), **what}
    return hashlib.sha256(json.dumps(whole, sort_keys=True, default=str).encode()).digest()


class Weights:
    """The fingerprint of a backbone, computed again only where its weights have changed."""

    def __init__(self, backbone: Backbone, fingerprint: str) -> None:
        """fingerprint: as it is now."""
        self._backbone = backbone
        self._mark = weights_mark(backbone.module())
        self._fingerprint = fingerprint

    def fingerprint(self) -> str:
        """The fingerprint of the weights as they are now."""
        mark = weights_mark(self._backbone.module())
        if mark is None or mark != self._mark:
            self._mark, self._fingerprint = mark, self._backbone.fingerprint()
        return self._fingerprint


@dataclass(frozen=True, slots=True)
class KnownFile:
    """The content of a file at a moment: the hash of all its bytes.

    stamp: inode, size and times at that moment.
    """

    path: Path
    sha256: str
    stamp: tuple[int, ...]

    @property
    def unchanged(self) -> bool:
        """Whether the file is still the one that was hashed."""
        return _stamp(self.path) == self.stamp

    def key(self, context: bytes) -> bytes:
        """Its key, with the suffix of its name, because libsndfile goes by some of them (.raw)."""
        return text_key(context, f"{self.path.suffix.lower()}|{self.sha256}")


@dataclass(frozen=True, slots=True)
class KnownBytes:
    """The content of a sound file in memory, which cannot change."""

    sha256: str
    unchanged: ClassVar[bool] = True

    def key(self, context: bytes) -> bytes:
        """Its key, which differs from that of a file: libsndfile may open that by its name."""
        return text_key(context, f"bytes|{self.sha256}")


def known_bytes(data: bytes) -> KnownBytes:
    """The content of a sound file in memory."""
    return KnownBytes(hashlib.sha256(data).hexdigest())


def known_file(path: str | Path) -> KnownFile | None:
    """The content of a file; None where it is no plain file or cannot be read."""
    found = existing(Path(path))
    before = _stamp(found)
    if before is None:
        return None
    try:
        digest = sha256_file(found)
    except OSError:
        return None
    known = KnownFile(found, digest, before)
    return known if known.unchanged else None


def text_key(context: bytes, text: str) -> bytes:
    """The key of a text."""
    return hashlib.sha256(context + text.encode("utf-8", "surrogatepass")).digest()


def _stamp(path: Path) -> tuple[int, ...] | None:
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    if not stat.S_ISREG(found.st_mode):
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
