"""Whole clips and lists of texts to unit embeddings, in bounded batches, deterministically.

Every embedding of a clip, in training, validation, recipes and scoring, is made here: its windows
go through `encode_clips`, what comes of them through `pooling`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from humanclap.audio.ahead import read_ahead, reading_threads
from humanclap.audio.load import Source
from humanclap.audio.window import Window, windows
from humanclap.clap.backbone import Backbone
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
    precision: Literal["fp32", "bf16"] = "fp32",
    listen: Callable[[int, NDArray[np.float32]], None] | None = None,
    remark: Callable[[int, str], None] | None = None,
    reading: int | None = None,
) -> Iterator[Embedding | AudioError]:
    """Embed clips in their order: an embedding (embedding_dim,) each, or why it has none.

    Every window of a clip is embedded; their mean, weighted by unfilled length, is renormalised.
    At most `batch_windows` windows and as many again read ahead are held, whatever a clip's
    length. The embedding does not depend on `batch_windows` or on the other clips (fp32: 1e-6).
    listen: gets the number of a clip and its samples, block by block as they are decoded, in one
    of the threads that read ahead, clips beside each other; it has them all when the clip's
    embedding comes.
    remark: gets, likewise, the number of a clip and what is to be said of it (`audio_blocks`).
    reading: threads that decode, None: as many as are of use here. Batches, and so all digits, are
    the same whatever their number.
    """
    for found in encode_clips(
        backbone,
        sources,
        backbone.embed_audio,
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
    precision: Literal["fp32", "bf16"] = "fp32",
    listen: Callable[[int, NDArray[np.float32]], None] | None = None,
    remark: Callable[[int, str], None] | None = None,
    reading: int | None = None,
) -> Iterator[ClipWindows | AudioError]:
    """Every window of clips through `encode`, clips in their order: `ClipWindows`, or why not.

    encode: a part of the backbone, such as `embed_audio` or `encode_audio`; without gradients.
    Batches run across clips; with `batch_windows` 1 the last digit does not depend on them either.
    Else as `embed_clips`.
    """
    clips: deque[_Clip] = deque()
    batch: list[tuple[_Clip, Window]] = []

    def flush() -> None:
        if batch:
            _encode_batch(encode, backbone.logit_scale.device, batch, precision)
            batch.clear()

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
    with closing(read_ahead(sources, read, threads=threads, items=batch_windows)) as clips_read:
        for windows_read in clips_read:
            clip = _Clip()
            clips.append(clip)
            for window in _until_error(windows_read, clip):
                clip.waiting += 1
                batch.append((clip, window))
                if len(batch) >= batch_windows:
                    flush()
                while clips[0].done:
                    yield clips.popleft().result()
            clip.ended = True
            while clips and clips[0].done:
                yield clips.popleft().result()
    flush()
    for clip in clips:
        yield clip.result()


def _until_error(windows_read: Iterator[Window], clip: _Clip) -> Iterator[Window]:
    try:
        yield from windows_read
    except AudioError as error:
        clip.error = error


def _encode_batch(
    encode: Encode, device: torch.device, batch: Sequence[tuple[_Clip, Window]], precision: str
) -> None:
    waveforms = torch.from_numpy(np.stack([window.waveform for _, window in batch]))
    if device.type == "cuda":
        waveforms = waveforms.pin_memory()  # copied while the host goes on
    with inference(device, precision):
        outputs = encode(waveforms.to(device, non_blocking=True)).float().cpu()
    for (clip, window), output in zip(batch, outputs, strict=True):
        clip.outputs.append(output)
        clip.weights.append(window.weight)
        clip.waiting -= 1


def embed_texts(
    backbone: Backbone,
    texts: Sequence[str],
    *,
    batch_texts: int = 32,
    precision: Literal["fp32", "bf16"] = "fp32",
) -> NDArray[np.float32]:
    """Embed texts, each distinct one once; returns (len(texts), embedding_dim), unit rows."""
    distinct = sorted(set(texts), key=lambda text: (len(text), text))
    device = backbone.logit_scale.device
    rows: list[NDArray[np.float32]] = []
    for start in range(0, len(distinct), batch_texts):
        with inference(device, precision):
            embedded = backbone.embed_text(distinct[start : start + batch_texts])
        rows.extend(embedded.float().cpu().numpy())
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
            stack.enter_context(_without_tf32())
        yield


@contextmanager
def _without_tf32() -> Iterator[None]:
    """Matrix products and convolutions of float32 in float32, whatever the caller has allowed.

    TensorFloat-32 keeps 10 of 23 binary digits; torch allows it for convolutions by itself.
    """
    products, convolutions = torch.backends.cuda.matmul, torch.backends.cudnn
    before = products.allow_tf32, convolutions.allow_tf32
    products.allow_tf32 = convolutions.allow_tf32 = False
    try:
        yield
    finally:
        products.allow_tf32, convolutions.allow_tf32 = before
