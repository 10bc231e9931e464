"""Whole clips and lists of texts to unit embeddings, in bounded batches, deterministically.

Every embedding of a clip, in training, validation, recipes and scoring, is made here: its windows
go through `encode_clips`, what comes of them through `pooling`.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from humanclap.audio.ahead import read_ahead, reading_threads
from humanclap.audio.load import Source
from humanclap.audio.window import Window, windows
from humanclap.clap.backbone import Backbone
from humanclap.clap.device import Precision
from humanclap.clap.encoders import Encoders
from humanclap.clap.pooling import pool_windows
from humanclap.errors import AudioError

Embedding = NDArray[np.float32]
"""Shape (embedding_dim,), unit length."""

Encode = Callable[[torch.Tensor], torch.Tensor]
"""Waveforms (batch, window_samples) to one row each, (batch, features)."""


@dataclass(frozen=True, slots=True, eq=False)
class ClipWindows:
    """What came of every window of a clip: outputs (n_windows, features), on the CPU, and the
    weight of each, (n_windows,): its share of sound that is not fill (`audio.window`).
    """

    outputs: torch.Tensor
    weights: torch.Tensor


@dataclass(slots=True)
class _Clip:
    """A clip on its way through the batches."""

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


def embed_clips(
    backbone: Backbone,
    sources: Iterable[Source],
    *,
    hop_s: float | None = None,
    batch_windows: int = 8,
    precision: Precision = "fp32",
    listen: Callable[[int, NDArray[np.float32]], None] | None = None,
    remark: Callable[[int, str], None] | None = None,
    reading: int | None = None,
    encode: Encode | None = None,
) -> Iterator[Embedding | AudioError]:
    """Embed clips in their order: an embedding (embedding_dim,) each, or why it has none.

    Every window of a clip is embedded; their mean, weighted by unfilled length, is renormalised.
    At most `batch_windows` windows for each encoding thread, and as many again read ahead, are
    held, whatever a clip's length. The embedding does not depend on `batch_windows` or on the other
    clips (fp32: 1e-6), and on the number of threads not by a digit (`encoders`).
    listen: gets the number of a clip and its samples, block by block as they are decoded, in one
    of the threads that read ahead, clips beside each other; it has them all when the clip's
    embedding comes.
    remark: gets, likewise, the number of a clip and what is to be said of it (`audio_blocks`).
    reading: threads that decode, None: as many as are of use here. Batches, and so all digits, are
    the same whatever their number.
    encode: what embeds windows, None: the backbone's own `embed_audio` (`engines`).
    """
    for found in encode_clips(
        backbone,
        sources,
        encode or backbone.embed_audio,
        hop_s=hop_s,
        batch_windows=batch_windows,
        precision=precision,
        listen=listen,
        remark=remark,
        reading=reading,
    ):
        if isinstance(found, AudioError):
            yield found
        else:
            embedding: Embedding = pool_windows(found.outputs, found.weights).numpy()
            yield embedding


def embed_clip(backbone: Backbone, source: Source, *, hop_s: float | None = None) -> torch.Tensor:
    """Embed one clip of any length as `embed_clips` does: (embedding_dim,) on the CPU.

    The caller sets eval mode. Raises AudioError for a clip that cannot be read.
    """
    (found,) = embed_clips(backbone, [source], hop_s=hop_s)
    if isinstance(found, AudioError):
        raise found
    return torch.from_numpy(found)


def encode_clips(
    backbone: Backbone,
    sources: Iterable[Source],
    encode: Encode,
    *,
    hop_s: float | None = None,
    batch_windows: int = 8,
    precision: Precision = "fp32",
    listen: Callable[[int, NDArray[np.float32]], None] | None = None,
    remark: Callable[[int, str], None] | None = None,
    reading: int | None = None,
) -> Iterator[ClipWindows | AudioError]:
    """Every window of clips through `encode`, clips in their order: `ClipWindows`, or why not.

    encode: a part of the backbone, such as `embed_audio` or `encode_audio`; without gradients.
    Batches run across clips; with `batch_windows` 1 the last digit does not depend on them either.
    Else as `embed_clips`.
    """

    def read(number: int, source: Source) -> Iterator[Window]:
        return windows(
            source,
            sample_rate=backbone.sample_rate,
            window_s=backbone.window_s,
            hop_s=hop_s or backbone.window_s,
            fill=backbone.fill,
            listen=None if listen is None else partial(listen, number),
            remark=None if remark is None else partial(remark, number),
        )

    threads = reading_threads() if reading is None else reading
    with Encoders(backbone) as encoders:
        ahead = batch_windows * encoders.workers
        batches = _Batches(encode, encoders, backbone, batch_windows, precision)
        with closing(read_ahead(sources, read, threads=threads, items=ahead)) as clips_read:
            yield from batches.run(clips_read)


def embed_windows(
    backbone: Backbone,
    clips: Sequence[Sequence[Window]],
    *,
    batch_windows: int = 8,
    precision: Precision = "fp32",
    encode: Encode | None = None,
) -> Iterator[Embedding]:
    """Embed clips whose windows (`audio.window`) are made already, one or more of each clip.

    The embeddings (embedding_dim,) are those of `embed_clips`, in the clips' order. Batches are of
    like size, at most `batch_windows`, so that no encoder waits for another at the end.
    """
    count = sum(map(len, clips))
    with Encoders(backbone) as encoders:
        rounds = math.ceil(count / (encoders.workers * batch_windows))
        size = math.ceil(count / (encoders.workers * max(1, rounds)))
        batches = _Batches(encode or backbone.embed_audio, encoders, backbone, size, precision)
        for found in batches.run(clips):
            if isinstance(found, AudioError):
                raise found
            embedding: Embedding = pool_windows(found.outputs, found.weights).numpy()
            yield embedding


class _Batches:
    """Windows on their way through an encoder, in batches of one size, a few batches at once."""

    def __init__(
        self,
        encode: Encode,
        encoders: Encoders,
        backbone: Backbone,
        batch_windows: int,
        precision: Precision,
    ) -> None:
        self._encode = encode
        self._encoders = encoders
        self._device = backbone.logit_scale.device
        self._size = batch_windows
        self._precision = precision
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
        encode = partial(_encoded, self._encode, waveforms, self._device, self._precision)
        self._running.append((self._next, self._encoders.submit(encode)))
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
    encode: Encode, waveforms: NDArray[np.float32], device: torch.device, precision: str
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


class _WithoutTF32:
    """Matrix products and convolutions of float32 in float32, whatever the caller has allowed.

    TensorFloat-32 keeps 10 of 23 binary digits; torch allows it for convolutions by itself, for the
    whole process: the first thread inside turns it off, the last one puts back what was there.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._before = False, False

    @contextmanager
    def __call__(self) -> Iterator[None]:
        products, convolutions = torch.backends.cuda.matmul, torch.backends.cudnn
        with self._lock:
            if self._users == 0:
                self._before = products.allow_tf32, convolutions.allow_tf32
                products.allow_tf32 = convolutions.allow_tf32 = False
            self._users += 1
        try:
            yield
        finally:
            with self._lock:
                self._users -= 1
                if self._users == 0:
                    products.allow_tf32, convolutions.allow_tf32 = self._before


without_tf32 = _WithoutTF32()
