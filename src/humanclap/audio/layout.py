"""How much sound a file holds, read from its structure and not through libsndfile.

libsndfile stops where a header says that the samples end, even if more follows, and it reads a file
that ends too soon without an error. The formats: Microsoft RIFF/RF64 (EBU Tech 3306), Sony Wave64,
Apple AIFF-C and Core Audio Format, IFF 8SVX, Sun AU, NIST SPHERE, and the pages of Ogg (RFC 3533).
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, replace
from typing import BinaryIO, Literal

SLACK_BYTES = 1024
"""A header may be wrong by so many bytes: a few hundredths of a second of sound."""
OggFault = Literal["cut", "chained", "behind"]
_STREAMED_BYTES = 0x7FFF0000
"""Sizes of 32 bits from here on are placeholders, as in a file that was written to a pipe."""
_STREAMED_BYTES_64 = 1 << 62
_PADDING_BYTES = 1 << 16
"""So many zeros after the sound may be padding up to a block of a disk or tape."""
_PRINTABLE = frozenset(range(32, 127))


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Where the sound of a file ends.

    announced: bytes of samples by the header, None where it leaves that open. present: bytes in the
    file from the first sample on. behind: bytes after the announced samples that are neither
    metadata nor padding, and that would not be heard.
    """

    announced: int | None
    present: int
    behind: int

    @property
    def missing(self) -> int:
        """Bytes that are announced but missing."""
        return max(0, (self.announced or 0) - self.present)

    @property
    def samples(self) -> int:
        """Bytes of samples that can be heard: those announced, as far as the file has them."""
        return self.present if self.announced is None else min(self.announced, self.present)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Chunks:
    """How a family of files is cut into chunks: a name, a size, a body."""

    start: int
    size: struct.Struct
    data: bytes
    roots: tuple[bytes, ...]
    align: int
    counts_its_head: bool = False
    zero_is_open: bool = False

    @property
    def name_bytes(self) -> int:
        return len(self.data)

    @property
    def head_bytes(self) -> int:
        return self.name_bytes + self.size.size


_RIFF = _Chunks(
    start=12,
    size=struct.Struct("<I"),
    data=b"data",
    roots=(b"RIFF", b"RIFX", b"RF64", b"BW64"),
    align=2,
)
_AIFF = _Chunks(
    start=12,
    size=struct.Struct(">I"),
    data=b"SSND",
    roots=(b"FORM",),
    align=2,
    zero_is_open=True,
)
_W64_TAIL = bytes.fromhex("f3acd3118cd100c04f8edb8a")
_SVX = replace(_AIFF, data=b"BODY", zero_is_open=False)
_CAF = _Chunks(start=8, size=struct.Struct(">q"), data=b"data", roots=(b"caff",), align=1)
_W64 = _Chunks(
    start=40,
    size=struct.Struct("<q"),
    data=b"data" + _W64_TAIL,
    roots=(b"riff" + bytes.fromhex("2e91cf11a5d628db04c10000"),),
    align=8,
    counts_its_head=True,
)
_FORMS = {b"AIFF": _AIFF, b"AIFC": _AIFF, b"8SVX": _SVX, b"16SV": _SVX}


def layout_of(file: BinaryIO, size: int) -> Layout | None:
    """Where the sound ends in a file of `size` bytes.

    None for a file of another format than those named above, or one without samples.
    """
    magic = _read(file, 0, 12)
    if magic[:4] in _RIFF.roots and magic[8:] == b"WAVE":
        order = ">I" if magic[:4] == b"RIFX" else "<I"
        return _chunked(file, size, replace(_RIFF, size=struct.Struct(order)))
    if magic[:4] == b"FORM" and magic[8:] in _FORMS:
        return _chunked(file, size, _FORMS[magic[8:]])
    if magic[:4] == b"caff":
        return _chunked(file, size, _CAF)
    if _W64.roots[0].startswith(magic) and len(magic) == 12:
        return _chunked(file, size, _W64)
    if magic[:4] in (b".snd", b"dns.") and len(magic) == 12:
        return _au(magic, file, size)
    if magic[:7] == b"NIST_1A":
        return _nist(file, size)
    return None


def _read(file: BinaryIO, at: int, count: int) -> bytes:
    file.seek(at)
    return file.read(count)


def _chunked(file: BinaryIO, size: int, kind: _Chunks) -> Layout | None:
    at, found, long_data = kind.start, None, 0
    while (head := _head(file, at, size, kind)) is not None:
        name, length = head
        body = at + kind.head_bytes
        if name == b"ds64":
            long_data = int.from_bytes(_read(file, body + 8, 8), "little")
        if name == kind.data:
            if found is not None:
                break
            if length == 0xFFFFFFFF and long_data:
                length = long_data
            found = _data(body, length, size, kind)
            if found.announced is None or found.missing:
                return found
        elif body + length > size:
            break
        at = _next(file, body + length, size, kind)
    if found is None:
        return None
    return replace(found, behind=unheard_bytes(file, at, size))


def _head(file: BinaryIO, at: int, size: int, kind: _Chunks) -> tuple[bytes, int] | None:
    """Name and length of the chunk at a place; None where there is none, or a file begins anew."""
    head = _read(file, at, kind.head_bytes)
    if len(head) < kind.head_bytes:
        return None
    name = head[: kind.name_bytes]
    (length,) = kind.size.unpack(head[kind.name_bytes :])
    if kind.counts_its_head:
        length -= kind.head_bytes
    if name in kind.roots or not _PRINTABLE.issuperset(name[:4]):
        return None
    if length < 0 and name != kind.data:
        return None
    return name, length


def _data(body: int, length: int, size: int, kind: _Chunks) -> Layout:
    present = size - body
    streamed = _STREAMED_BYTES if kind.size.size == 4 else _STREAMED_BYTES_64
    open_end = length < 0 or (length > present and length >= streamed)
    if open_end or (length == 0 and kind.zero_is_open):
        return Layout(announced=None, present=present, behind=0)
    return Layout(announced=length, present=present, behind=0)


def _next(file: BinaryIO, end: int, size: int, kind: _Chunks) -> int:
    """Where the next chunk starts; some writers leave out the byte that evens an odd length."""
    aligned = end + (-end) % kind.align
    if aligned != end and _head(file, aligned, size, kind) is None:
        head = _head(file, end, size, kind)
        if head is not None and end + kind.head_bytes + head[1] <= size:
            return end
    return min(aligned, size)


def _au(magic: bytes, file: BinaryIO, size: int) -> Layout:
    order = "<" if magic[:4] == b"dns." else ">"
    start, announced = struct.unpack(order + "II", magic[4:])
    present = max(0, size - start)
    if announced >= _STREAMED_BYTES and announced > present:
        return Layout(announced=None, present=present, behind=0)
    behind = unheard_bytes(file, start + announced, size)
    return Layout(announced=announced, present=present, behind=behind)


def _nist(file: BinaryIO, size: int) -> Layout | None:
    text = _read(file, 0, 1024).decode("latin-1")
    start = re.match(r"NIST_1A\s+(\d+)", text)
    given = [
        re.search(rf"^{field} -i (\d+)", text, re.MULTILINE)
        for field in ("sample_count", "channel_count", "sample_n_bytes")
    ]
    if start is None or any(one is None for one in given):
        return None
    announced = 1
    for one in given:
        announced *= int(one[1]) if one else 1
    begin = int(start[1])
    behind = unheard_bytes(file, begin + announced, size)
    return Layout(announced=announced, present=size - begin, behind=behind)


def unheard_bytes(file: BinaryIO, at: int, size: int) -> int:
    """Bytes from a place to the end of a file, less known tags (ID3, APE) and zeros that pad it."""
    while at < size:
        head = _read(file, at, 32)
        if head[:3] == b"ID3" and len(head) >= 10:
            at += 10 + sum((byte & 127) << 7 * place for place, byte in enumerate(head[9:5:-1]))
        elif head[:8] == b"APETAGEX" and len(head) == 32:
            at += 32 + struct.unpack("<I", head[12:16])[0]
        elif head[:3] == b"TAG" and size - at == 128:
            return 0
        else:
            break
    left = max(0, size - at)
    if left <= _PADDING_BYTES and not _read(file, at, left).strip(b"\0"):
        return 0
    return left


def ogg_fault(file: BinaryIO, size: int) -> OggFault | None:
    """Why an Ogg file cannot be heard whole; None where it can, or where it is no Ogg file.

    "cut": it ends within a page. "chained": a second stream follows the first. "behind": something
    else follows it.
    """
    at, under_way = 0, False
    if _read(file, 0, 4) != b"OggS":
        return None
    while at < size:
        head = _read(file, at, 27 + 255)
        if not head.startswith(b"OggS"):
            return "behind" if unheard_bytes(file, at, size) > SLACK_BYTES else None
        segments = head[26] if len(head) > 26 else 256
        table = head[27 : 27 + segments]
        at += 27 + segments + sum(table)
        if len(table) < segments or at > size:
            return "cut"
        begins = bool(head[5] & 2)
        if begins and under_way:
            return "chained"
        under_way |= not begins
    return None
