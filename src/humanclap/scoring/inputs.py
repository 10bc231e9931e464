"""Audio and text in any form that a caller may have, turned into clips and strings by one rule.

The rule, as a table with its reasons: docs/python.md, "What may be given as audio".
"""

from __future__ import annotations

import numbers
import operator
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from numpy.typing import NDArray

from humanclap.audio.decode import SoundBytes
from humanclap.audio.load import MOST_CHANNELS, Decoded, Source, Waveform
from humanclap.errors import AudioError, InputError
from humanclap.records import check_text
from humanclap.settings import check_choice

_BYTES = bytes | bytearray | memoryview
_KNOWN = str | Waveform | SoundBytes | Decoded
Samples = NDArray[Any] | torch.Tensor | Sequence[float]
Clip = _KNOWN | os.PathLike[str] | _BYTES | IO[bytes] | Samples | Mapping[str, Any]
"""One clip: a path, a sound file's bytes or open file, samples, or a dict of `datasets`."""
Clips = Clip | Iterable[Clip]
"""One clip or several; an array may be a batch: (batch, time) or (batch, channels, time)."""
Texts = str | Iterable[str]
"""One text or several."""

MOST_ROWS = 2
"""Rows of a wide array that may be the channels of one clip; with more rows it may be a batch."""
_PATH_BYTES = 1024
"""Bytes up to this length may have been meant as a path, which is checked."""


@dataclass(frozen=True, slots=True)
class Given:
    """Clips to be read. single: whether one clip was given by itself, not in a list or batch."""

    sources: list[Source]
    single: bool


@dataclass(frozen=True, slots=True, eq=False)
class Paired:
    """Clips and texts, and which of them make each of the n pairs: clip_at and text_at, (n,).

    single: one clip and one text, both given by themselves.
    """

    sources: list[Source]
    texts: list[str]
    clip_at: NDArray[np.intp]
    text_at: NDArray[np.intp]
    single: bool


def paired(audio: Clips, text: Texts, sample_rate: int | None) -> Paired:
    """Each clip with the text at its place; one clip with many texts, or one text with many clips.

    Raises InputError for unlike numbers of clips and texts, where neither was given by itself.
    """
    texts, one_text = texts_of(text)
    given = clips_of(audio, sample_rate, n_texts=None if one_text else len(texts))
    clips = len(given.sources)
    n = clips if one_text else len(texts)
    if n != clips and not given.single:
        raise InputError(
            f"{clips} clips and {len(texts)} texts; give as many texts as clips, or one text for "
            "all as a string"
        )
    counted, same = np.arange(n), np.zeros(n, np.intp)
    return Paired(
        given.sources,
        texts,
        clip_at=counted if n == clips else same,
        text_at=same if one_text else counted,
        single=given.single and one_text,
    )


def texts_of(text: Texts) -> tuple[list[str], bool]:
    """Texts, and whether one was given by itself; InputError for anything that is no string."""
    if isinstance(text, str):
        return [text], True
    if (axes := getattr(text, "ndim", 1)) == 0:
        return texts_of(text.item())  # type: ignore[attr-defined]
    if isinstance(text, bytes | Mapping) or not isinstance(text, Iterable):
        check_text(text)  # says what it is
    _check_order(text, "texts")
    if axes != 1:
        raise InputError(
            f"texts are a {type(text).__name__} of {axes} axes; expected a string or a list of "
            "strings, such as one column"
        )
    texts = list(text)
    for place, one in enumerate(texts):
        if not isinstance(one, str):
            check_text(one, what=f"texts[{place}]")
    return texts, False


def clips_of(audio: Clips, sample_rate: int | None, *, n_texts: int | None = None) -> Given:
    """The clips in one clip, a list of clips, or a batch.

    sample_rate: Hz, for arrays only. n_texts: number of texts in a list that goes with it; an array
    with as many rows is a batch. Raises InputError for what is no clip or could mean two things.
    """
    _check_order(audio, "clips")
    if _is_array(audio) and not isinstance(audio, torch.Tensor):
        audio = np.asarray(audio)
        if audio.dtype.kind in "OUST":  # a column of paths or dicts, as of pandas
            items = audio.tolist()
            return _of_items(items, sample_rate) if audio.ndim else clips_of(items, sample_rate)
    if isinstance(audio, torch.Tensor | np.ndarray):
        return _of_array(_array(audio, "<array>"), sample_rate, n_texts)
    if _is_one(audio):
        return Given([clip_of(audio, sample_rate)], single=True)
    items = list(audio)  # type: ignore[arg-type]
    if items and _is_number(items[0]):
        return Given([clip_of(items, sample_rate)], single=True)
    return _of_items(items, sample_rate)


def _of_items(items: Sequence[Any], sample_rate: int | None) -> Given:
    named = [clip_of(item, sample_rate, f"audio[{place}]") for place, item in enumerate(items)]
    return Given(named, single=False)


def _of_array(array: NDArray[Any], sample_rate: int | None, n_texts: int | None) -> Given:
    if array.ndim == 2 and len(array) != n_texts and len(array) != 0:
        rows, columns = array.shape
        if rows == 1 or 0 < columns <= min(MOST_CHANNELS, rows - 1):
            return Given([clip_of(array, sample_rate)], single=True)
        if rows <= MOST_ROWS:
            raise InputError(
                f"an array of shape {array.shape} may be {rows} clips or one clip of {rows} "
                "channels; for clips give x[:, None], (clips, 1, time), or list(x); for one clip "
                "give [x]"
            )
    if array.ndim < 2:
        return Given([clip_of(array, sample_rate)], single=True)
    if array.ndim > 3:
        raise InputError(
            f"an array of shape {array.shape}; expected (time,), (channels, time), (time, "
            "channels), (batch, time) or (batch, channels, time)"
        )
    single = len(array) == 1
    return Given(_of_items(list(array), sample_rate).sources, single=single)


def clip_of(audio: Any, sample_rate: int | None, name: str | None = None) -> Source:
    """One clip: a path, a sound file in memory, or samples with their rate.

    name: for errors, where the clip has no name of its own. Raises InputError for what is no clip,
    for samples without `sample_rate`, and for anything else with a `sample_rate`.
    """
    if isinstance(audio, Mapping):
        return _of_mapping(audio, sample_rate, name)
    if callable(getattr(audio, "get_all_samples", None)):  # an AudioDecoder of torchcodec
        _check_no_rate(sample_rate, "an AudioDecoder", name)
        try:
            decoded = audio.get_all_samples()
        except RuntimeError as error:
            raise AudioError(name or "<AudioDecoder>", f"cannot be decoded ({error})") from error
        return clip_of(decoded.data, int(decoded.sample_rate), name or "<AudioDecoder>")
    file = _file_of(audio, name)
    if file is not None:
        _check_no_rate(sample_rate, "a sound file or a Waveform", name)
        return file
    name = name or "<array>"
    samples = _time_first(_array(audio, name), name)
    if sample_rate is None:
        raise InputError(f"{name}: an array of samples needs its sample_rate (Hz)")
    return Waveform(samples=samples, sample_rate=rate_of(sample_rate), name=name)


def _file_of(audio: Any, name: str | None) -> Source | None:
    """A clip that has its own rate: a path, a sound file in memory, a `Waveform`; else None."""
    if isinstance(audio, _KNOWN):
        return audio
    if isinstance(audio, os.PathLike):
        return Path(os.fsdecode(audio))
    if isinstance(audio, _BYTES):
        data = bytes(audio)
        _check_no_path(data, name or "<bytes>")
        return SoundBytes(data=data, name=name or "<bytes>")
    if callable(getattr(audio, "read", None)):
        own = getattr(audio, "name", None)
        called = own if isinstance(own, str) and own else name or "<file>"
        return SoundBytes(data=_all_bytes(audio, called), name=called)
    return None


def _of_mapping(audio: Mapping[str, Any], sample_rate: int | None, name: str | None) -> Source:
    """The dicts of `datasets`: {"array", "sampling_rate"}, or {"bytes", "path"} as it is stored."""
    path = audio.get("path")
    called = str(path) if path else name
    if audio.get("array") is not None:
        rate = audio.get("sampling_rate")
        if rate is not None:
            _check_no_rate(sample_rate, "a dict with its sampling_rate", name)
        return clip_of(audio["array"], sample_rate if rate is None else rate, called)
    if audio.get("bytes") is not None:
        return clip_of(audio["bytes"], sample_rate, called)
    if path:
        return clip_of(path, sample_rate)
    raise InputError(
        f"{name or '<dict>'}: a dict with the keys {', '.join(map(str, audio))}; expected "
        '{"array", "sampling_rate"} or {"bytes", "path"}, as `datasets` gives'
    )


def _check_no_rate(sample_rate: int | None, what: str, place: str | None) -> None:
    """place: of the clip in a list."""
    if sample_rate is None:
        return
    beside = ""
    if place is not None:
        beside = "; samples in the same list have theirs in Waveform(samples=x, sample_rate=16000)"
    raise InputError(
        f"sample_rate is {sample_rate} and {place or 'the audio'} is {what}, which has its own; "
        f"leave sample_rate away (it is for arrays and tensors){beside}"
    )


def _check_order(items: object, what: str) -> None:
    if isinstance(items, set | frozenset):
        raise InputError(f"{what} are a set, which has no order; give a list")


def _check_no_path(data: bytes, name: str) -> None:
    if 0 < len(data) <= _PATH_BYTES and b"\0" not in data and os.path.lexists(data):
        raise InputError(
            f"{name}: bytes are taken for what a sound file holds, and {data!r} is the path of "
            "one; give it as a string: os.fsdecode(path)"
        )


def _all_bytes(file: Any, name: str) -> bytes:
    """All bytes of an open file from its beginning; its position stays as it was.

    A file that cannot be rewound, such as a pipe, is read from its position.
    """
    try:
        seekable = bool(getattr(file, "seekable", lambda: False)())
        before = file.tell() if seekable else 0
        if seekable:
            file.seek(0)
        data = file.read()
        if seekable:
            file.seek(before)
    except (OSError, ValueError) as error:
        raise InputError(
            f"{name}: cannot be read ({error}); is the file still open, and was it opened with "
            "'rb'?"
        ) from error
    if not isinstance(data, _BYTES):
        raise InputError(
            f"{name}: its read() gives a {type(data).__name__}; expected bytes (open it with 'rb')"
        )
    return bytes(data)


def _is_array(audio: object) -> bool:
    """Whether it is an array; strings and bytes of numpy are not, though they have `__array__`."""
    return hasattr(audio, "__array__") and not isinstance(audio, Mapping | Waveform | str | bytes)


def _is_one(audio: object) -> bool:
    """Whether it is certainly one clip, or nothing that has items."""
    one = isinstance(audio, _KNOWN | _BYTES | os.PathLike | Mapping)
    reads = callable(getattr(audio, "read", None)) or hasattr(audio, "get_all_samples")
    return one or reads or not isinstance(audio, Iterable)


def _is_number(item: object) -> bool:
    of_no_axes = hasattr(item, "__array__") and getattr(item, "ndim", None) == 0
    return isinstance(item, numbers.Real) or (of_no_axes and not isinstance(item, str | bytes))


def _array(audio: Any, name: str) -> NDArray[Any]:
    """Samples as a numpy array on the CPU; short floats become float32, long ones float64."""
    try:
        if isinstance(audio, torch.Tensor):
            tensor = audio.detach()
            if tensor.is_floating_point() and tensor.dtype.itemsize < 4:
                tensor = tensor.float()
            array: NDArray[Any] = tensor.cpu().numpy()
        else:
            array = np.asarray(audio)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(
            f"{name}: a {type(audio).__name__} that is no array of samples ({error}); for several "
            "clips give a list of arrays to score_many or predict"
        ) from error
    if array.dtype.kind not in "biufc":
        raise InputError(f"{name}: a {type(audio).__name__} is no clip; expected {_EXPECTED}")
    if array.ndim == 0:
        raise InputError(f"{name}: {audio!r:.60} is a single number; expected {_EXPECTED}")
    if array.dtype.kind == "f" and array.dtype.itemsize > 8:
        return array.astype(np.float64)
    return array


_EXPECTED = "a path, bytes or an open file, an array or tensor of samples, or a dict of `datasets`"


def _time_first(array: NDArray[Any], name: str) -> NDArray[Any]:
    """One clip as (samples,) or (samples, channels); its longer side is its time."""
    if array.ndim == 3 and len(array) == 1:
        array = array[0]
    if array.ndim not in (1, 2):
        raise InputError(
            f"{name}: shape {array.shape}; expected one clip: (time,), (channels, time) or (time, "
            "channels); score_many and predict take batches"
        )
    if array.size == 0:
        return array.reshape(-1)
    if array.ndim == 1 or len(array) > array.shape[1]:
        return array
    if len(array) <= MOST_ROWS:
        return array.T
    raise InputError(
        f"{name}: shape {array.shape} may be {len(array)} clips or one clip of {len(array)} "
        "channels; give clips to score_many or predict as x[:, None], (clips, 1, time); give one "
        "clip of so many channels as x.T, (time, channels)"
    )


def rate_of(rate: Any) -> int:
    """A whole number as int, also one of numpy or a tensor without axes, as `datasets` has them.

    Numbers of numpy overflow in products. Anything else comes back unchanged.
    """
    if isinstance(rate, bool):
        return rate
    try:
        return operator.index(rate)
    except TypeError:
        return rate  # type: ignore[no-any-return]  # `check_rate` says what it is


def check_on_error(on_error: str) -> None:
    """Raise SettingsError unless it is `raise` or `nan`."""
    check_choice("on_error", on_error, ("raise", "nan"))
