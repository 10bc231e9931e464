"""Whole clips and lists of texts to unit embeddings, in bounded batches, deterministically.

`ClipEncoder` is the one way from a clip to its embedding, for scoring, the service, training,
validation and recipes. A clip is cut into windows (`audio.window`), the windows go through an
encoder in batches, and `pooling` makes one embedding of what comes out. `waveforms` does the same
in torch, with a gradient.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from humanclap.audio.ahead import read_ahead, reading_threads
from humanclap.audio.load import Remark, Source
from humanclap.audio.window import Window, windows
from humanclap.clap.backbone import Backbone
from humanclap.clap.device import ChangedWhileUsed, Precision
from humanclap.clap.encoders import Encode, Encoders
from humanclap.clap.pooling import pool_windows
from humanclap.errors import AudioError

Embedding = NDArray[np.float32]
"""Shape (embedding_dim,), unit length."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, eq=False)
class ClipWindows:
    """What the encoder made of every window of a clip.

    outputs: (n_windows, features), on the CPU. weights: (n_windows,), the share of each window that
    is sound and not fill (`audio.window`).
    """

    outputs: torch.Tensor
    weights: torch.Tensor

    def embedding(self) -> Embedding:
        """The clip's embedding, where the outputs are unit embeddings of its windows."""
        pooled: Embedding = pool_windows(self.outputs, self.weights).numpy()
        return pooled


@dataclass(slots=True)
class _Clip:
    """A clip whose windows are on their way through the batches."""

    outputs: list[torch.Tensor] = field(default_factory=list)  # each (features,)
    weights: list[float] = field(default_factory=list)
    waiting: int = 0
    ended: bool = False
    error: AudioError | None = None

    @property
    def done(self) -> bool:
        return self.ended and self.waiting == 0

    def result(self) -> ClipWindows | AudioError:
        if self.error is not None:
            return self.error
        return ClipWindows(torch.stack(self.outputs), torch.tensor(self.weights))


@dataclass(frozen=True, slots=True)
class ClipEncoder:
    """The way of clips through a backbone, without gradients; the caller sets eval mode.

    encode: turns windows (batch, window_samples) into rows (batch, features), None: the backbone's
    `embed_audio`. hop_s: seconds between the starts of windows, None: the model's window.
    batch_windows: windows in a batch; batches run across clips. `batch_windows` and the other clips
    change an embedding by at most 1e-6 (fp32; with `batch_windows` 1 by nothing), the number of
    threads changes no digit (`encoders`).
    """

    backbone: Backbone
    encode: Encode | None = None
    hop_s: float | None = None
    batch_windows: int = 8
    precision: Precision = "fp32"

    def windows(
        self,
        source: Source,
        *,
        listen: Callable[[NDArray[np.float32]], None] | None = None,
        remark: Remark | None = None,
    ) -> Iterator[Window]:
        """The windows of a clip as the backbone takes them; see `audio.window.windows`."""
        backbone = self.backbone
        return windows(
            source,
            sample_rate=backbone.sample_rate,
            window_s=backbone.window_s,
            hop_s=self.hop_s or backbone.window_s,
            fill=backbone.fill,
            listen=listen,
            remark=remark,
        )

    def embed(
        self, sources: Iterable[Source], *, threads: int | None = None
    ) -> Iterator[Embedding | AudioError]:
        """Embed clips: for each, in order, its embedding (embedding_dim,) or why it has none.

        threads: as in `outputs`.
        """
        for found in self.outputs(sources, threads=threads):
            yield found if isinstance(found, AudioError) else found.embedding()

    def outputs(
        self, sources: Iterable[Source], *, threads: int | None = None
    ) -> Iterator[ClipWindows | AudioError]:
        """All windows of clips through the encoder: for each clip, in order, what came of them.

        threads: that decode, None: as many as are of use here; no digit depends on it.
        """
        return self.outputs_of(sources, self.windows, threads=threads)

    def outputs_of(
        self,
        clips: Iterable[_T],
        windows_of: Callable[[_T], Iterator[Window]],
        *,
        threads: int | None = None,
    ) -> Iterator[ClipWindows | AudioError]:
        """As `outputs`, for whatever `windows_of` makes windows of, in a thread that reads ahead.

        Whatever a clip's length, at most `batch_windows` windows for each encoding thread, and as
        many again that were read ahead, are held.
        """
        threads = reading_threads() if threads is None else threads
        with Encoders(self.backbone) as encoders:
            ahead = self.batch_windows * encoders.workers
            batches = self._batches(encoders, self.batch_windows)
            read = read_ahead(clips, lambda _, clip: windows_of(clip), threads=threads, items=ahead)
            with closing(read) as clips_read:
                yield from batches.run(clips_read)

    def embed_windows(self, clips: Sequence[Sequence[Window]]) -> Iterator[Embedding]:
        """Embed clips whose windows are made already, one or more of each clip, in their order.

        Batches have about the same size, at most `batch_windows`, so that no thread waits at the
        end.
        """
        count = sum(map(len, clips))
        with Encoders(self.backbone) as encoders:
            rounds = math.ceil(count / (encoders.workers * self.batch_windows))
            size = math.ceil(count / (encoders.workers * max(1, rounds)))
            for found in self._batches(encoders, size).run(clips):
                if isinstance(found, AudioError):
                    raise found
                yield found.embedding()

    def _batches(self, encoders: Encoders, size: int) -> _Batches:
        encode = self.encode or self.backbone.embed_audio
        device = self.backbone.logit_scale.device
        return _Batches(partial(_encoded, encode, device, self.precision), encoders, size)


def embed_clip(backbone: Backbone, source: Source, *, hop_s: float | None = None) -> torch.Tensor:
    """Embed one clip of any length: (embedding_dim,) on the CPU.

    The caller sets eval mode. Raises AudioError for a clip that cannot be read.
    """
    (found,) = ClipEncoder(backbone, hop_s=hop_s).embed([source])
    if isinstance(found, AudioError):
        raise found
    return torch.from_numpy(found)


class _Batches:
    """Windows on their way through an encoder in batches of one size, several batches at once."""

    def __init__(
        self,
        encode: Callable[[NDArray[np.float32]], torch.Tensor],
        encoders: Encoders,
        size: int,
    ) -> None:
        self._encode = encode
        self._encoders = encoders
        self._size = size
        self._next: list[tuple[_Clip, Window]] = []
        self._running: deque[tuple[list[tuple[_Clip, Window]], Future[torch.Tensor]]] = deque()

    def run(self, clips_read: Iterable[Iterable[Window]]) -> Iterator[ClipWindows | AudioError]:
        """The windows of each clip in turn; what comes of them, in the clips' order."""
        clips: deque[_Clip] = deque()
        for windows_read in clips_read:
            clip = _Clip()
            clips.append(clip)
            for window in _until_error(windows_read, clip):
                self.add(clip, window)
                while clips[0].done:
                    yield clips.popleft().result()
            clip.ended = True
            while clips and clips[0].done:
                yield clips.popleft().result()
        self.finish()
        for clip in clips:
            yield clip.result()

    def add(self, clip: _Clip, window: Window) -> None:
        """One more window of a clip; what is ready is handed to the clips it is of."""
        clip.waiting += 1
        self._next.append((clip, window))
        if len(self._next) >= self._size:
            self._begin()
            self._collect(self._encoders.workers - 1)

    def finish(self) -> None:
        """The last batch, and all that is still running."""
        if self._next:
            self._begin()
        self._collect(0)

    def _begin(self) -> None:
        waveforms = np.stack([window.waveform for _, window in self._next])
        running = self._encoders.submit(partial(self._encode, waveforms))
        self._running.append((self._next, running))
        self._next = []

    def _collect(self, leave: int) -> None:
        """Wait until at most `leave` batches run, the oldest first."""
        while len(self._running) > leave or (self._running and self._running[0][1].done()):
            batch, future = self._running.popleft()
            for (clip, window), output in zip(batch, future.result(), strict=True):
                clip.outputs.append(output)
                clip.weights.append(window.weight)
                clip.waiting -= 1


def _until_error(windows_read: Iterable[Window], clip: _Clip) -> Iterator[Window]:
    try:
        yield from windows_read
    except AudioError as error:
        clip.error = error


def _encoded(
    encode: Encode, device: torch.device, precision: str, waveforms: NDArray[np.float32]
) -> torch.Tensor:
    """(batch, window_samples) to (batch, features), float32 on the CPU."""
    tensor = torch.from_numpy(waveforms)
    if device.type == "cuda":
        tensor = tensor.pin_memory()  # copied while the host goes on
    with inference(device, precision):
        return encode(tensor.to(device, non_blocking=True)).float().cpu()


def embed_texts(
    backbone: Backbone,
    texts: Sequence[str],
    *,
    batch_texts: int = 32,
    precision: Precision = "fp32",
) -> NDArray[np.float32]:
    """Embed texts, each distinct one once; returns (len(texts), embedding_dim), unit rows.

    Texts of like length share a batch, as the shorter are padded.
    """
    distinct = sorted(set(texts), key=lambda text: (len(text), text))
    device = backbone.logit_scale.device

    def embed(start: int) -> NDArray[np.float32]:
        with inference(device, precision):
            embedded = backbone.embed_text(distinct[start : start + batch_texts])
        rows: NDArray[np.float32] = embedded.float().cpu().numpy()
        return rows

    with Encoders(backbone) as encoders:
        starts = range(0, len(distinct), batch_texts)
        running = [encoders.submit(partial(embed, start)) for start in starts]
        rows = [row for future in running for row in future.result()]
    place = {text: index for index, text in enumerate(distinct)}
    if not rows:
        return np.zeros((0, backbone.embedding_dim), dtype=np.float32)
    return np.stack([rows[place[text]] for text in texts])


@contextmanager
def inference(device: torch.device, precision: str) -> Iterator[None]:
    """No gradients; bf16 arithmetic where asked for, else float32 with all its digits."""
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode())
        if precision == "bf16":
            stack.enter_context(torch.autocast(device.type, dtype=torch.bfloat16))
        elif device.type == "cuda":
            stack.enter_context(without_tf32())
        yield


def _forbid_tf32() -> tuple[bool, bool]:
    products, convolutions = torch.backends.cuda.matmul, torch.backends.cudnn
    before = products.allow_tf32, convolutions.allow_tf32
    products.allow_tf32 = convolutions.allow_tf32 = False
    return before


def _allow_tf32(before: tuple[bool, bool]) -> None:
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


without_tf32 = ChangedWhileUsed(_forbid_tf32, _allow_tf32)
"""Within it, products and convolutions of float32 are computed in float32.

TensorFloat-32 keeps 10 of 23 binary digits, and torch allows it for convolutions by default.
"""
