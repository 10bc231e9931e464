"""The smallest form of a request, shared by client and server: a safetensors file.

Its tensors are the clips. They are named 0, 1, 2, ... and hold samples, (n,) or (n, channels), or
the bytes of a sound file as uint8. The metadata has one entry, `request`, with the JSON of
`PackedRequest`. Nothing in it can run code, and samples are copied unchanged.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

import numpy as np
import safetensors
from numpy.typing import NDArray
from safetensors.numpy import save

from humanclap.audio.decode import SoundBytes
from humanclap.audio.load import Waveform
from humanclap.audio.names import shown
from humanclap.errors import InputError
from humanclap.records import Score
from humanclap.scoring.rows import score_of

MEDIA_TYPE = "application/vnd.safetensors"
MOST_NAME = 200
"""Characters of a clip's name."""
FIELDS = (
    "audio", "text", "score", "rating", "rating_error", "rating_covers", "met", "text_cut",
    "text_unread", "note", "error",
)  # fmt: skip
"""Fields of a `Score` that the service gives for each pair."""
_TYPES = {
    "F64": np.float64,
    "F32": np.float32,
    "F16": np.float16,
    "I32": np.int32,
    "I16": np.int16,
    "I8": np.int8,
    "U8": np.uint8,
}


def packed(
    clips: Sequence[SoundBytes | Waveform], texts: Sequence[str], *, one: tuple[bool, bool]
) -> bytes:
    """The body of a request.

    one: whether a single clip goes with all texts, and a single text with all clips. Of a clip's
    path only the name is sent, for the server's messages.
    """
    tensors: dict[str, NDArray[Any]] = {}
    told: list[dict[str, object]] = []
    for number, clip in enumerate(clips):
        if isinstance(clip, Waveform):
            tensors[str(number)] = np.ascontiguousarray(clip.samples)
            told.append({"name": _short(clip.name), "sample_rate": int(clip.sample_rate)})
        else:
            tensors[str(number)] = np.frombuffer(clip.data, np.uint8)
            told.append({"name": _short(clip.name)})
    request = {"clips": told[0] if one[0] else told, "texts": texts[0] if one[1] else list(texts)}
    return save(tensors, metadata={"request": json.dumps(request)})


def _short(name: str) -> str:
    return shown(PurePath(name).name)[-MOST_NAME:]


def unpacked(body: bytes) -> tuple[str, Mapping[str, NDArray[Any]]]:
    """The JSON of a packed request, and its tensors; InputError for what is no such file."""
    try:
        tensors = {
            name: _array(name, found["dtype"], found["shape"], found["data"])
            for name, found in safetensors.deserialize(body)  # type: ignore[no-untyped-call]
        }
        length = int.from_bytes(body[:8], "little")
        metadata = json.loads(body[8 : 8 + length]).get("__metadata__") or {}
    except (safetensors.SafetensorError, ValueError, RecursionError) as error:
        raise InputError(f"the body is no safetensors file that is taken here ({error})") from error
    if "request" not in metadata:
        raise InputError("the safetensors file has no entry `request` in its metadata")
    return metadata["request"], tensors


def _array(name: str, dtype: str, shape: Sequence[int], data: bytes) -> NDArray[Any]:
    if dtype not in _TYPES:
        raise InputError(f"tensor {name!r} is {dtype}; expected one of {', '.join(_TYPES)}")
    return np.frombuffer(data, _TYPES[dtype]).reshape(shape)


def score_of_reply(pair: Mapping[str, Any], signature: str) -> Score:
    """A pair of the service's answer as a `Score`."""
    return score_of({**{name: pair[name] for name in FIELDS}, "signature": signature})
