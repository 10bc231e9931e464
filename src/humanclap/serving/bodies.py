"""The three forms of a request, each turned into pairs of clips and texts."""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from python_multipart import FormParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import File, parse_options_header

from humanclap.audio.decode import SoundBytes
from humanclap.audio.load import Waveform
from humanclap.errors import InputError
from humanclap.scoring.inputs import paired
from humanclap.serving.batching import Clip, Job
from humanclap.serving.packed import MEDIA_TYPE, MOST_NAME, unpacked
from humanclap.serving.settings import ServiceSettings

JSON, MULTIPART = "application/json", "multipart/form-data"
FORMS = (JSON, MULTIPART, MEDIA_TYPE)
_MOST_LISTED = 65_536
"""Most clips or texts in a list; the error for a longer one could take gigabytes."""
_DTYPES = {"float32": "<f4", "int16": "<i2"}

Name = Annotated[str, Field(max_length=MOST_NAME, description="What errors call the clip.")]
Rate = Annotated[int, Field(ge=1, le=2**31 - 1, description="Hz.")]


Texts = str | Annotated[list[str], Field(max_length=_MOST_LISTED)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class JsonClip(_Strict):
    """One clip: the bytes of a sound file, or samples with their rate."""

    file: str | None = Field(None, description="A whole sound file, in base64.")
    samples: str | None = Field(
        None, description="Little-endian samples in base64, channels interleaved."
    )
    dtype: Literal["float32", "int16"] = Field("float32", description="Type of the samples.")
    sample_rate: Rate | None = None
    channels: int = Field(1, ge=1, le=64)
    name: Name | None = None


class ScoreRequest(_Strict):
    """n clips and n texts, one clip with n texts, or n clips with one text."""

    clips: JsonClip | Annotated[list[JsonClip], Field(max_length=_MOST_LISTED)]
    texts: Texts


class PackedClip(_Strict):
    """One clip whose samples, or sound file without `sample_rate`, stand in a tensor."""

    name: Name | None = None
    sample_rate: Rate | None = None


class PackedRequest(_Strict):
    """As `ScoreRequest`, with the tensors 0, 1, 2, ... for the clips."""

    clips: PackedClip | Annotated[list[PackedClip], Field(max_length=_MOST_LISTED)]
    texts: Texts


def job_of(body: bytes, content_type: str, settings: ServiceSettings) -> Job:
    """The pairs of a body.

    Raises InputError for a body that does not have its form or exceeds the limits, and AudioError
    for samples of a wrong shape. A sound file is not opened here.
    """
    kind, options = parse_options_header(content_type)
    kind_name = kind.decode("latin-1").lower()
    clips: Clip | list[Clip]
    texts: str | list[str]
    if kind_name == JSON:
        clips, texts = _of_json(body)
    elif kind_name == MULTIPART:
        clips, texts = _of_parts(body, options.get(b"boundary", b""), 2 * settings.pairs)
    else:
        clips, texts = _of_packed(body)
    pairs = paired(clips, texts, None)
    count = len(pairs.clip_at)
    if not count:
        raise InputError("no pair to score; give at least one clip and one text")
    if count > settings.pairs:
        raise InputError(f"{count} pairs; at most {settings.pairs} are taken of a request")
    for place, text in enumerate(pairs.texts):
        _check_text(place, text, settings.text_characters)
    of_clip: list[list[str]] = [[] for _ in pairs.sources]
    for clip_at, text_at in zip(pairs.clip_at.tolist(), pairs.text_at.tolist(), strict=True):
        of_clip[clip_at].append(pairs.texts[text_at])
    return Job(clips=pairs.sources, texts=of_clip)  # type: ignore[arg-type]


def _check_text(place: int, text: str, most: int) -> None:
    if len(text) > most:
        raise InputError(f"texts[{place}] has {len(text):,} characters; at most {most:,} are taken")
    if "\0" in text:
        raise InputError(f"texts[{place}] holds a NUL character; remove it")


def _model(kind: type[Any], text: bytes | str) -> Any:
    try:
        return kind.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        said = first["msg"]
        raise InputError(f"{where}: {said}" if where else f"the body is no JSON: {said}") from error


# -- JSON -----------------------------------------------------------------------------------


def _of_json(body: bytes) -> tuple[Clip | list[Clip], str | list[str]]:
    request: ScoreRequest = _model(ScoreRequest, body)
    if isinstance(request.clips, list):
        clips = [_json_clip(clip, f"clips[{n}]") for n, clip in enumerate(request.clips)]
        return clips, request.texts
    return _json_clip(request.clips, "clips"), request.texts


def _json_clip(clip: JsonClip, where: str) -> Clip:
    name = clip.name or where
    if (clip.file is None) == (clip.samples is None):
        raise InputError(f"{where}: expected `file` or `samples`, and not both")
    if clip.file is not None:
        if clip.sample_rate is not None:
            raise InputError(f"{where}: a file has its own rate; leave sample_rate out")
        return SoundBytes(data=_decoded(clip.file, f"{where}.file"), name=name)
    if clip.sample_rate is None:
        raise InputError(f"{where}: samples need their sample_rate (Hz)")
    data = _decoded(clip.samples or "", f"{where}.samples")
    dtype = np.dtype(_DTYPES[clip.dtype])
    if len(data) % (dtype.itemsize * clip.channels):
        raise InputError(
            f"{where}: {len(data)} bytes are no whole number of {clip.dtype} samples of "
            f"{clip.channels} channels"
        )
    samples = np.frombuffer(data, dtype)
    if clip.channels > 1:
        samples = samples.reshape(-1, clip.channels)
    return Waveform(samples=samples, sample_rate=clip.sample_rate, name=name)


def _decoded(text: str, where: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InputError(f"{where} is not base64 ({error})") from error


# -- safetensors ----------------------------------------------------------------------------


def _of_packed(body: bytes) -> tuple[Clip | list[Clip], str | list[str]]:
    text, tensors = unpacked(body)
    request: PackedRequest = _model(PackedRequest, text)
    told = request.clips if isinstance(request.clips, list) else [request.clips]
    if len(told) != len(tensors):
        raise InputError(f"{len(told)} clips and {len(tensors)} tensors; expected one of each")
    clips = [_packed_clip(n, clip, tensors) for n, clip in enumerate(told)]
    return (clips if isinstance(request.clips, list) else clips[0]), request.texts


def _packed_clip(number: int, clip: PackedClip, tensors: Mapping[str, NDArray[Any]]) -> Clip:
    name = clip.name or f"clips[{number}]"
    if str(number) not in tensors:
        raise InputError(f"there is no tensor '{number}'; expected 0, 1, 2, ... for the clips")
    array = tensors[str(number)]
    if clip.sample_rate is not None:
        return Waveform(samples=array, sample_rate=clip.sample_rate, name=name)
    if array.dtype != np.uint8 or array.ndim != 1:
        raise InputError(
            f"clips[{number}] has no sample_rate; without one its tensor holds the bytes of a "
            "sound file, in one axis of uint8"
        )
    return SoundBytes(data=array.tobytes(), name=name)


# -- multipart ------------------------------------------------------------------------------


def _of_parts(body: bytes, boundary: bytes, most: int) -> tuple[Clip | list[Clip], str | list[str]]:
    if not boundary:
        raise InputError("multipart/form-data without a boundary")
    clips: list[Clip] = []
    texts: list[str] = []

    def take(field: bytes | None, file_name: bytes | None, data: bytes) -> None:
        name, called = ((part or b"").decode("utf-8", "replace") for part in (field, file_name))
        if len(clips) + len(texts) == most:
            raise InputError(f"more than {most} parts in the form")
        if name == "clip":
            clips.append(SoundBytes(data=data, name=called[-MOST_NAME:] or f"clip[{len(clips)}]"))
        elif name == "text":
            texts.append(_text_of(data, len(texts)))
        else:
            raise InputError(f"the form has a part {name!r:.80}; expected `clip` and `text`")

    def take_file(part: File) -> None:
        part.file_object.seek(0)
        take(part.field_name, part.file_name, part.file_object.read())

    try:
        parser = FormParser(
            MULTIPART,
            on_field=lambda part: take(part.field_name, None, part.value or b""),
            on_file=take_file,
            boundary=boundary,
            config={"MAX_MEMORY_FILE_SIZE": math.inf},
        )
        parser.write(body)
        parser.finalize()
    except FormParserError as error:
        raise InputError(f"the form cannot be read ({error})") from error
    if not body.rstrip(b"\r\n").endswith(b"--" + boundary + b"--"):
        raise InputError("the form ends before its last boundary")
    if len(texts) == 1:
        return clips, texts[0]
    return (clips[0] if len(clips) == 1 else clips), texts


def _text_of(data: bytes, place: int) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise InputError(f"text[{place}] is not UTF-8; write it in UTF-8") from error
