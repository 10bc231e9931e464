"""Cards to listen to: a clip with its spectrogram, inside the page or beside it.

Inside: mono MP3 of the first 12 s and a small PNG, as data URIs, up to a total size. Beside: the
page links the user's own files by a relative path.
"""

from __future__ import annotations

import base64
import os
import struct
import warnings
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from io import BytesIO
from pathlib import Path
from urllib.parse import quote

import numpy as np
import soundfile
from numpy.typing import NDArray

from humanclap.audio.load import SilentAudioWarning, load_audio
from humanclap.audio.names import existing
from humanclap.errors import AudioError
from humanclap.evaluation.markup.html import broken

SAMPLE_RATE = 24_000
MAX_CLIP_S = 12.0
MAX_PAGE_BYTES = 12_000_000
"""Of embedded sound and pictures together; what is beyond is named but not embedded."""
_FRAME, _COLUMNS, _ROWS, _RANGE_DB = 1024, 256, 72, 75.0
_LOWEST_HZ = 60.0

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Card:
    """One clip: what is said of it, the largest line first."""

    audio: str
    text: str
    lines: tuple[str, ...]


@dataclass(slots=True)
class Players:
    """Makes cards of the clips under `root`; `link_from`: folder of the page, to link files.

    Holds how many bytes it has embedded.
    """

    root: Path | None
    link_from: Path | None = None
    embedded_bytes: int = 0
    _made: dict[str, str] = field(default_factory=dict)

    @classmethod
    def below(cls, root: str | Path | None, link_from: str | Path | None) -> Players:
        """Of paths as reports take them; without a root nothing is played."""
        return cls(
            None if root is None else Path(root), None if link_from is None else Path(link_from)
        )

    @property
    def linked(self) -> bool:
        """Do players use files beside the page?"""
        return self.link_from is not None

    def cards(self, cards: Sequence[Card]) -> str:
        """Markup of the cards."""
        return '<div class="cards">' + "".join(self._card(card) for card in cards) + "</div>"

    def _card(self, card: Card) -> str:
        lines = "".join(f'<p class="small">{broken(line)}</p>' for line in card.lines)
        heading = f'<p class="text">{escape(card.text)}</p>'
        name = f'<p class="small">{broken(card.audio)}</p>'
        return f'<div class="card">{heading}{self._player(card.audio)}{lines}{name}</div>'

    def _player(self, audio: str) -> str:
        if self.root is None:
            return ""
        if audio not in self._made:
            self._made[audio] = self._make(existing(self.root / audio))
        return self._made[audio]

    def _make(self, path: Path) -> str:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", SilentAudioWarning)
                samples = load_audio(path, sample_rate=SAMPLE_RATE, first_s=MAX_CLIP_S)
        except AudioError as error:
            return f'<p class="small">not playable: {escape(error.reason)}</p>'
        picture = _data_uri("image/png", spectrogram_png(samples))
        if self.link_from is not None:
            source = quote(os.path.relpath(path, self.link_from).replace(os.sep, "/"))
        else:
            source = _data_uri("audio/mpeg", _mp3(samples))
        size = len(picture) + (0 if self.linked else len(source))
        if self.embedded_bytes + size > MAX_PAGE_BYTES:
            return '<p class="small">not embedded: the page has its full size</p>'
        self.embedded_bytes += size
        return (
            f'<img src="{picture}" alt="spectrogram">'
            f'<audio controls preload="none" src="{source}"></audio>'
        )


def _data_uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _mp3(samples: Floats) -> bytes:
    file = BytesIO()
    loudest = float(np.abs(samples).max(initial=0.0))
    soundfile.write(file, samples / max(1.0, loudest), SAMPLE_RATE, format="MP3")
    return file.getvalue()


def spectrogram_png(samples: Floats) -> bytes:
    """A PNG of 256 x 72: time to the right, 60 Hz to 12 kHz upwards (logarithmic), 75 dB."""
    if samples.size < _FRAME:
        samples = np.pad(samples, (0, _FRAME - samples.size))
    starts = np.linspace(0, samples.size - _FRAME, _COLUMNS).astype(int)
    frames = samples[starts[:, None] + np.arange(_FRAME)] * np.hanning(_FRAME)
    power = np.abs(np.fft.rfft(frames, axis=1)) ** 2  # (columns, bins)
    edges = np.geomspace(_LOWEST_HZ, SAMPLE_RATE / 2, _ROWS + 1) * _FRAME / SAMPLE_RATE
    low = np.minimum(edges[:-1].astype(int), power.shape[1] - 1)
    high = np.maximum(np.minimum(np.ceil(edges[1:]).astype(int), power.shape[1]), low + 1)
    bands = np.stack([power[:, a:b].mean(axis=1) for a, b in zip(low, high, strict=True)])
    decibel = 10 * np.log10(bands + 1e-12)
    level = np.clip(1 + (decibel - decibel.max()) / _RANGE_DB, 0, 1)
    return _png((255 * level[::-1]).astype(np.uint8))


def _png(pixels: NDArray[np.uint8]) -> bytes:
    """An indexed PNG (rows, columns) in a palette from near black over blue and red to yellow."""
    stops = np.array([[8, 8, 24], [40, 30, 120], [150, 40, 110], [240, 120, 50], [255, 245, 170]])
    at = np.linspace(0, 4, 256)
    palette = np.stack([np.interp(at, range(5), stops[:, c]) for c in range(3)], axis=1)
    rows, columns = pixels.shape
    header = struct.pack(">IIBBBBB", columns, rows, 8, 3, 0, 0, 0)
    lines = np.pad(pixels, ((0, 0), (1, 0))).tobytes()  # each row starts with its filter, 0
    chunks = (
        (b"IHDR", header),
        (b"PLTE", palette.astype(np.uint8).tobytes()),
        (b"IDAT", zlib.compress(lines, 9)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
