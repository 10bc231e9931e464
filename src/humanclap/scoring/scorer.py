"""`HumanCLAP`: a model, settings, and one question: how well does this audio match this text?"""

from __future__ import annotations

import math
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from humanclap.audio.load import Source, Waveform, tell
from humanclap.clap.cache import default_cache
from humanclap.clap.cache_keys import Weights, context_of
from humanclap.clap.checkpoint import Checkpoint, load_checkpoint
from humanclap.clap.device import resolve_device
from humanclap.clap.embedding import Encode, embed_clips, embed_texts
from humanclap.clap.engines import audio_encoder, engine_version
from humanclap.clap.identities import Identities
from humanclap.clap.text_account import TextAccount
from humanclap.errors import AudioError, InputError
from humanclap.progress import Progress, silent
from humanclap.records import UNKNOWN_MET, Pair, Score, check_text
from humanclap.scoring.heard import LAYOUT, Ears, Heard, Shelf, embed_texts_once
from humanclap.scoring.settings import ScoringSettings
from humanclap.signature import Signature
from humanclap.version import __version__


class TextCutWarning(UserWarning):
    """A text is longer than the model reads; texts that differ only behind that score alike."""


Audio = str | Path | Waveform | NDArray[np.generic]


class HumanCLAP:
    """Scores pairs of audio and text with one checkpoint and one set of settings.

    Scores are cosines in [-1, 1]. They do not depend on batch size, order, neighbours or any
    random state (fp32: within 1e-6). In a forked process (`multiprocessing` with `fork`) a loaded
    model goes on with one CPU thread; on CUDA use `spawn` and load it there.
    """

    def __init__(self, checkpoint: Checkpoint, settings: ScoringSettings | None = None) -> None:
        self.settings = settings or ScoringSettings()
        self.calibration = checkpoint.calibration
        self._checkpoint = checkpoint
        self.backbone = checkpoint.backbone.to(resolve_device(self.settings.device))
        self.backbone.module().eval()
        self._weights = Weights(self.backbone, self.backbone.fingerprint())
        self._engine: tuple[str, Encode] | None = None
        self._audio_encoder()
        self.signature = str(self._signature())
        self._cache = default_cache() if self.settings.cache else None

    @classmethod
    def from_pretrained(
        cls,
        model: str | Path = "mini",
        *,
        settings: ScoringSettings | None = None,
        mn04: str | Path | None = None,
        offline: bool = False,
        revision: str | None = None,
        processor: str | Path | None = None,
        progress: Progress = silent,
    ) -> Self:
        """Load a model by name, a checkpoint folder or a hub id; see `load_checkpoint`.

        offline: use the network for nothing; CheckpointError where a file would have to be fetched.
        revision: of a hub id or published name. processor: folder or hub id of a transformers
        CLAP's tokenizer and feature extractor, where it is not its own.
        """
        checkpoint = load_checkpoint(
            model,
            mn04=mn04,
            offline=offline,
            revision=revision,
            processor=processor,
            progress=progress,
        )
        return cls(checkpoint, settings)

    def _signature(self) -> Signature:
        backbone = self.backbone
        return Signature(
            version=__version__,
            model=self._checkpoint.name,
            fingerprint=self._weights.fingerprint(),
            sample_rate=backbone.sample_rate,
            window_s=backbone.window_s,
            hop_s=self.settings.hop_s or backbone.window_s,
            fill=backbone.fill,
            precision=self.settings.precision,
            revision=self._checkpoint.revision,
            engine=self.settings.engine,
        )

    @property
    def _plain(self) -> bool:
        """Whether the backbone itself embeds windows."""
        return self.settings.engine == "torch" and self.settings.precision != "int8"

    def _audio_encoder(self) -> Encode:
        """What embeds windows, of the weights as they are now."""
        weights = self._weights.fingerprint()
        if self._engine is None or self._engine[0] != weights:
            made = audio_encoder(self.backbone, self.settings.engine, self.settings.precision)
            self._engine = weights, made
        return self._engine[1]

    def score(self, audio: Audio, text: str, *, sample_rate: int | None = None) -> float:
        """Cosine of one clip and one text, in [-1, 1].

        audio: a path, a `Waveform`, or an array (samples,) or (samples, channels) with its
        `sample_rate` in Hz. Raises AudioError for audio that cannot be used, InputError for a
        text that is empty, no string, or of letters that the model does not know. Warns
        SilentAudioWarning of a clip whose score says nothing, and TextCutWarning.
        """
        return float(self.score_many([audio], [text], sample_rate=sample_rate)[0])

    def score_many(
        self, audio: Sequence[Audio], texts: Sequence[str], *, sample_rate: int | None = None
    ) -> NDArray[np.float64]:
        """Cosine of each clip with the text at its place: two sequences of length n, gives (n,).

        Raises as `score`, and InputError for sequences of unlike length. To go on past bad clips
        use `score_pairs`.
        """
        if len(audio) != len(texts):
            raise InputError(f"{len(audio)} clips and {len(texts)} texts; expected as many")
        text_rows = self.embed_text(texts)
        audio_rows = self.embed_audio(audio, sample_rate=sample_rate)
        cosines = [_cosine(a, t) for a, t in zip(audio_rows, text_rows, strict=True)]
        return np.array(cosines, dtype=np.float64)

    def rate(self, score: float) -> float:
        """Predicted human rating on 0..10 for a score; NaN where the model is not calibrated."""
        return math.nan if self.calibration is None else self.calibration.rating(score)

    def rating_error(self, score: float) -> float:
        """Standard error of `rate(score)`, on 0..10; NaN where the model is not calibrated.

        The standard deviation of (the mean rating that ever more listeners would give) minus (the
        predicted rating).
        """
        return math.nan if self.calibration is None else self.calibration.standard_error(score)

    @property
    def rating_covers(self) -> str | None:
        """Kinds of sound the calibration was fitted on, `; ` between them; None where unknown."""
        return "; ".join(self.calibration.covers) or None if self.calibration else None

    def embed_audio(
        self, audio: Sequence[Audio], *, sample_rate: int | None = None
    ) -> NDArray[np.float32]:
        """Embed clips: (n, embedding_dim), unit rows; raises AudioError at the first bad one."""
        rows: list[NDArray[np.float32]] = []
        sources = [_source(item, sample_rate) for item in audio]
        for source, heard in zip(sources, self._ears().hear(sources), strict=True):
            if isinstance(heard, AudioError):
                raise heard
            rows.append(heard.embedding)
            for said in heard.notes:
                name = source.name if isinstance(source, Waveform) else source
                tell(name, said, None, stacklevel=_outside())
        return np.stack(rows) if rows else np.zeros((0, self.backbone.embedding_dim), np.float32)

    def embed_text(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed texts: (n, embedding_dim), unit rows; each distinct text is embedded once.

        Raises InputError for a text that is empty, no string, or of letters that the model does
        not know; warns TextCutWarning.
        """
        for text in texts:
            check_text(text)
        for text, account in self._accounts(texts).items():
            if not account.readable:
                raise InputError(f"{text!r}: {account.refusal()}")
            if said := account.remark():
                warnings.warn(f"{text[:40]!r}: {said}", TextCutWarning, stacklevel=_outside())
        return self._embed_texts(texts)

    def _accounts(self, texts: Iterable[str]) -> dict[str, TextAccount]:
        distinct = sorted(set(texts))
        return dict(zip(distinct, self.backbone.text_accounts(distinct), strict=True))

    def _embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        def embed(missing: Sequence[str]) -> NDArray[np.float32]:
            return embed_texts(
                self.backbone,
                missing,
                batch_texts=self.settings.batch_texts,
                precision=self.settings.precision,
            )

        return embed_texts_once(texts, embed, self._shelf("text"))

    def _ears(
        self,
        identities: Identities | None = None,
        told: Callable[[Source, float], None] | None = None,
    ) -> Ears:
        return Ears(
            self._embed_clips,
            self.backbone.sample_rate,
            identities=identities,
            shelf=self._shelf("clip"),
            told=told,
        )

    def _shelf(self, kind: str) -> Shelf | None:
        """Where embeddings of the model as it now is, and of all these settings, are kept."""
        if self._cache is None:
            return None
        settings = asdict(self.settings)
        del settings["cache"]
        context = context_of(
            self.backbone,
            kind=kind,
            layout=LAYOUT,
            signature=str(self._signature()),
            settings=settings,
            engine=engine_version(self.settings.engine),
        )
        return Shelf(self._cache, context)

    @cached_property
    def identities(self) -> Identities:
        """What the model was trained, tuned and calibrated on, as far as its checkpoint says."""
        return self._checkpoint.known_identities()

    def _embed_clips(
        self,
        sources: Iterable[Source],
        listen: Callable[[int, NDArray[np.float32]], None] | None = None,
        remark: Callable[[int, str], None] | None = None,
    ) -> Iterator[NDArray[np.float32] | AudioError]:
        return embed_clips(
            self.backbone,
            sources,
            hop_s=self.settings.hop_s,
            batch_windows=self.settings.batch_windows,
            precision=self.settings.precision,
            listen=listen,
            remark=remark,
            encode=None if self._plain else self._audio_encoder(),
        )

    def score_pairs(
        self,
        pairs: Sequence[Pair],
        *,
        audio_root: str | Path = ".",
        told: Callable[[Source, float], None] | None = None,
    ) -> Iterator[Score]:
        """Score a manifest; each distinct clip and text is embedded once.

        Relative audio paths start at `audio_root`. Pairs whose text the model cannot read come
        first, then scores grouped by clip, clips in order of first appearance. The first, and
        clips that cannot be used, give scores of NaN with their `error`. Of
        the others `met` says whether the model was trained, tuned or calibrated on their caption or
        on a copy of their clip, and `note` that the clip is silent or the text cut. told: called
        with a clip and the seconds of it read so far, in a thread that reads. Raises
        CheckpointError where that record is damaged, InputError where two unlike pairs have one
        `pair_id`.
        """
        check_pair_ids(pairs)
        accounts = self._accounts(pair.text for pair in pairs)
        texts = [text for text, account in accounts.items() if account.readable]
        text_rows = dict(zip(texts, self._embed_texts(texts), strict=True))
        by_audio: dict[str, list[Pair]] = {}
        for pair in pairs:
            account = accounts[pair.text]
            if account.readable:
                by_audio.setdefault(pair.audio, []).append(pair)
            else:
                yield replace(self._blank(pair, account), error=account.refusal())
        sources = [Path(audio_root) / audio for audio in by_audio]
        known = self.identities if self.identities.any_known else None
        clips = self._ears(known, told).hear(sources)
        for group, heard in zip(by_audio.values(), clips, strict=True):
            yield from self._scores_of(group, heard, text_rows, accounts)

    def _scores_of(
        self,
        group: Sequence[Pair],
        heard: Heard | AudioError,
        text_rows: Mapping[str, NDArray[np.float32]],
        accounts: Mapping[str, TextAccount],
    ) -> Iterator[Score]:
        """Scores of the pairs of one clip."""
        if isinstance(heard, AudioError):
            for pair in group:
                yield replace(self._blank(pair, accounts[pair.text]), error=heard.reason)
            return
        words = [UNKNOWN_MET] * len(group)
        if heard.roles is not None:
            words = self.identities.met_of([pair.text for pair in group], heard.roles)
        for pair, said in zip(group, words, strict=True):
            account = accounts[pair.text]
            notes = [*heard.notes, *filter(None, [account.remark()])]
            score = self._score_of(
                self._blank(pair, account), heard.embedding, text_rows[pair.text]
            )
            yield replace(score, met=said, note="; ".join(notes) or None)

    def _blank(self, pair: Pair, account: TextAccount) -> Score:
        return Score(
            audio=pair.audio,
            text=pair.text,
            score=math.nan,
            pair_id=pair.pair_id,
            system=pair.system,
            subset=pair.subset,
            split=pair.split,
            signature=self.signature,
            text_cut=account.cut,
            text_unread=account.unread,
            error="not scored",
        )

    def _score_of(
        self, blank: Score, embedding: NDArray[np.float32], text_row: NDArray[np.float32]
    ) -> Score:
        cosine = _cosine(embedding, text_row)
        return replace(
            blank,
            score=cosine,
            rating=self.rate(cosine),
            rating_error=self.rating_error(cosine),
            rating_covers=self.rating_covers,
            error=None,
        )


def check_pair_ids(pairs: Iterable[Pair]) -> None:
    """Raise InputError where two unlike pairs have one `pair_id`: only one could be told of."""
    known: dict[str, Pair] = {}
    for pair in pairs:
        first = known.setdefault(pair.pair_id, pair)
        if first != pair:
            raise InputError(
                f"pair_id {pair.pair_id!r} stands for two pairs: {first.audio} | {first.text}, and "
                f"{pair.audio} | {pair.text}; give each its own"
            )


def _outside() -> int:
    """The `stacklevel` at which a warning of the calling function points out of this module."""
    frame, level = sys._getframe(1), 1
    while frame.f_back is not None and frame.f_globals.get("__name__") == __name__:
        frame, level = frame.f_back, level + 1
    return level


def _cosine(audio: NDArray[np.float32], text: NDArray[np.float32]) -> float:
    """Dot product of two unit vectors (embedding_dim,), summed in float64, within [-1, 1]."""
    product = float(audio.astype(np.float64) @ text.astype(np.float64))
    return max(-1.0, min(1.0, product))


def _source(audio: Audio, sample_rate: int | None) -> Source:
    if isinstance(audio, (str, Path, Waveform)):
        return audio
    if sample_rate is None:
        raise InputError("an array of samples needs its sample_rate (Hz)")
    return Waveform(samples=audio, sample_rate=sample_rate)
