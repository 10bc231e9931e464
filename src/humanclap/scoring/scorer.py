"""`HumanCLAP`: a model, settings, and one question: how well does this audio match this text?"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Self, overload

import numpy as np
import torch
from numpy.typing import NDArray

from humanclap.audio.load import Source, name_of
from humanclap.audio.names import shown
from humanclap.clap.checkpoint import load_checkpoint
from humanclap.clap.checkpoint_files import packaged_names
from humanclap.errors import AudioError, InputError
from humanclap.progress import Progress, silent
from humanclap.records import UNKNOWN_MET, Pair, Score
from humanclap.scoring.embedder import Embedder, NotScoredWarning, ReadText, TextCutWarning
from humanclap.scoring.heard import Heard, Told
from humanclap.scoring.inputs import (
    Clips,
    Paired,
    Texts,
    check_on_error,
    clips_of,
    paired,
    texts_of,
)
from humanclap.scoring.manifest import check_pair_ids
from humanclap.scoring.pair_scorer import OnError, PairScorer
from humanclap.scoring.pickled import Origin, reloaded
from humanclap.scoring.predictions import Predictions
from humanclap.scoring.settings import Precision, ScoringSettings, settings_of

__all__ = ["HumanCLAP", "NotScoredWarning", "TextCutWarning"]

Scores = NDArray[Any] | torch.Tensor | Sequence[float]
"""Several scores, of any shape."""


class HumanCLAP(Embedder, PairScorer):
    """Scores pairs of audio and text with one checkpoint and one set of settings.

    Scores are cosines in [-1, 1]. They do not depend on batch size, order, neighbours or any
    random state (fp32: within 1e-6). Any number of threads may use one object. In a forked process
    (`multiprocessing` with `fork`, workers of a `DataLoader`) a loaded model goes on with one CPU
    thread; on CUDA use `spawn`. It pickles: a packaged model by its name and fingerprint, in a few
    hundred bytes; any other with its weights.

    `score` says what may be given as audio.
    """

    _origin: Origin | None = None

    @classmethod
    def from_pretrained(
        cls,
        model: str | Path = "mini",
        *,
        device: str | torch.device | None = None,
        precision: Precision | None = None,
        batch_size: int | None = None,
        revision: str | None = None,
        processor: str | Path | None = None,
        settings: ScoringSettings | None = None,
        mn04: str | Path | None = None,
        offline: bool = False,
        progress: Progress = silent,
    ) -> Self:
        """Load a model by name, a checkpoint folder or a hub id; see `load_checkpoint`.

        device: such as `cpu`, `cuda:1`; None: CUDA where there is one. precision: `fp32` or `bf16`.
        batch_size: windows per forward pass; memory and speed only. These three are fields of
        `settings` (`device`, `precision`, `batch_windows`); SettingsError where both are given.
        revision: of a hub id or published name. processor: folder or hub id of a transformers
        CLAP's tokenizer and feature extractor, where it is not its own. offline: use the network
        for nothing; CheckpointError where a file would have to be fetched.
        """
        settings = settings_of(
            settings,
            device=None if device is None else str(device),
            precision=precision,
            batch_windows=batch_size,
        )
        checkpoint = load_checkpoint(
            model,
            mn04=mn04,
            offline=offline,
            revision=revision,
            processor=processor,
            progress=progress,
        )
        scorer = cls(checkpoint, settings)
        if isinstance(model, str) and model in packaged_names():  # others may be missing elsewhere
            scorer._origin = Origin(model, scorer._weights.fingerprint(), mn04, offline)
        return scorer

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.signature}, device={self.backbone.logit_scale.device})"

    def __reduce__(self) -> tuple[Any, ...]:
        same = self.calibration is self._checkpoint.calibration
        loaded = self._origin is not None and self._origin.fingerprint
        if same and loaded == self._weights.fingerprint():
            return reloaded, (type(self), self._origin, self.settings)
        checkpoint = replace(self._checkpoint, calibration=self.calibration)
        return type(self), (checkpoint, self.settings)

    def _cosines(self, pairs: Paired, on_error: OnError) -> NDArray[np.float64]:
        text_rows = self._read_and_tell(pairs.texts, on_error)
        audio_rows = self._hear_and_tell(pairs.sources, on_error)
        places = zip(pairs.clip_at, pairs.text_at, strict=True)
        return np.array([_cosine(audio_rows[a], text_rows[t]) for a, t in places], np.float64)

    def similarity(
        self,
        audio: Clips,
        texts: Texts,
        *,
        sample_rate: int | None = None,
        on_error: OnError = "raise",
    ) -> NDArray[np.float64]:
        """Cosine of each of n clips with each of m texts: (n, m), row = clip.

        Each clip and text is embedded once. Raises and warns as `score`; with on_error "nan" the
        row of a bad clip, and the column of a bad text, are NaN.
        """
        check_on_error(on_error)
        sources = clips_of(audio, sample_rate).sources
        text_rows = self._read_and_tell(texts_of(texts)[0], on_error)
        audio_rows = self._hear_and_tell(sources, on_error)
        cosines = audio_rows.astype(np.float64) @ text_rows.astype(np.float64).T
        return np.clip(cosines, -1.0, 1.0)

    def _predicted(self, pairs: Paired, on_error: OnError) -> Predictions:
        texts = self._read_all(pairs.texts, on_error)
        clips = self._hear_all(pairs.sources, on_error)
        names = [shown(name_of(source)) for source in pairs.sources]
        rows = []
        for a, t in zip(pairs.clip_at.tolist(), pairs.text_at.tolist(), strict=True):
            pair = {"audio": names[a], "text": pairs.texts[t]}
            rows.append(self._row(pair, texts[pairs.texts[t]], clips[a]))
        return Predictions(tuple(rows), self.signature)

    @overload
    def rate(self, audio: float, text: None = None) -> float: ...

    @overload
    def rate(self, audio: Scores, text: None = None) -> NDArray[np.float64]: ...

    @overload
    def rate(
        self,
        audio: Clips,
        text: Texts,
        *,
        sample_rate: int | None = None,
        on_error: OnError = "raise",
    ) -> float | NDArray[np.float64]: ...

    def rate(
        self,
        audio: Any,
        text: Texts | None = None,
        *,
        sample_rate: int | None = None,
        on_error: OnError = "raise",
    ) -> float | NDArray[np.float64]:
        """Predicted human rating on 0..10; NaN where the model is not calibrated.

        rate(score): of one score a float, of an array of scores an array of its shape.
        rate(audio, text): of clips and texts as `score_many` takes them; a float of one clip and
        one text, else (n,). Raises and warns as `score`.
        """
        check_on_error(on_error)
        if text is not None:
            pairs = paired(audio, text, sample_rate)
            scores = self._cosines(pairs, on_error)
            return self.rate(float(scores[0]) if pairs.single else scores)
        if sample_rate is not None:
            raise InputError("a rating of audio needs its text: rate(audio, text)")
        return _of_each(audio, math.nan if self.calibration is None else self.calibration.rating)

    @overload
    def rating_error(self, score: float) -> float: ...

    @overload
    def rating_error(self, score: Scores) -> NDArray[np.float64]: ...

    def rating_error(self, score: float | Scores) -> float | NDArray[np.float64]:
        """Standard error of `rate(score)`, on 0..10; NaN where the model is not calibrated.

        score: one, gives a float, or an array of them. It is the standard deviation of (the mean
        rating that ever more listeners would give) minus (the predicted rating).
        """
        fitted = self.calibration
        return _of_each(score, math.nan if fitted is None else fitted.standard_error)

    @property
    def rating_covers(self) -> str | None:
        """Kinds of sound the calibration was fitted on, `; ` between them; None where unknown."""
        return "; ".join(self.calibration.covers) or None if self.calibration else None

    def score_pairs(
        self,
        pairs: Sequence[Pair],
        *,
        audio_root: str | Path = ".",
        source_of: Callable[[str], Source] | None = None,
        told: Told | None = None,
    ) -> Iterator[Score]:
        """Score a manifest; each distinct clip and text is embedded once.

        audio_root: where relative audio paths start. source_of: gives the clip for a pair's `audio`
        where that is no path. told: called with a clip and the seconds of it that were read so far,
        in a thread that reads. Pairs whose text the model cannot read come first. The others
        follow clip by clip, clips in order of first appearance. A text that cannot be read and a
        clip that cannot be used give a score of NaN with its `error`. For all others, `met` says
        whether the model was trained, tuned or calibrated on their caption or on a copy of their
        clip, and `note` whether the clip is silent or the text cut. Raises CheckpointError where
        the record of what the model met is damaged, InputError where two different pairs have one
        `pair_id`.
        """
        check_pair_ids(pairs)
        texts = self._read_all((pair.text for pair in pairs), "nan")
        by_audio: dict[str, list[Pair]] = {}
        for pair in pairs:
            text = texts[pair.text]
            if text.account is not None and text.error is not None:
                yield replace(self._row(asdict(pair), text), error=text.account.refusal())
            else:
                by_audio.setdefault(pair.audio, []).append(pair)
        source_of = source_of or (lambda audio: Path(audio_root) / audio)
        sources = [source_of(audio) for audio in by_audio]
        known = self.identities if self.identities.any_known else None
        clips = self._ears(known, told).hear(sources)
        for group, heard in zip(by_audio.values(), clips, strict=True):
            for pair in group:
                yield self._row(asdict(pair), texts[pair.text], heard, tell_met=True)

    def _row(
        self,
        pair: Mapping[str, Any],
        text: ReadText,
        heard: Heard | AudioError | None = None,
        *,
        tell_met: bool = False,
    ) -> Score:
        """The score of a pair, or why it has none; pair: its fields of `Score`."""
        account = text.account
        blank = Score(
            **pair,
            score=math.nan,
            signature=self.signature,
            text_cut=None if account is None else account.cut,
            text_unread=math.nan if account is None else account.unread,
            error="not scored",
        )
        error = text.error or (heard if isinstance(heard, AudioError) else None)
        if error is not None or not isinstance(heard, Heard):
            return blank if error is None else replace(blank, error=reason_of(error))
        met = None
        if tell_met:
            known = heard.roles
            met = UNKNOWN_MET if known is None else self.identities.met_of([blank.text], known)[0]
        cosine = _cosine(heard.embedding, text.row)
        return replace(
            blank,
            score=cosine,
            rating=self.rate(cosine),
            rating_error=self.rating_error(cosine),
            rating_covers=self.rating_covers,
            met=met,
            note="; ".join([*heard.notes, *text.notes]) or None,
            error=None,
        )


def reason_of(error: InputError) -> str:
    """What a row says of its error: the clip's name stands in the row already."""
    return error.reason if isinstance(error, AudioError) else str(error)


def _of_each(scores: Any, value: Callable[[float], float] | float) -> float | NDArray[np.float64]:
    """A value of one score, or of each of an array of them, in its shape."""
    if isinstance(scores, torch.Tensor):
        scores = scores.detach().double().cpu()
    array = np.asarray(scores)
    if array.dtype.kind not in "iuf" and array.size:
        raise InputError(f"{scores!r:.60} is no score; of audio give its text: rate(audio, text)")
    of_each = [value(float(one)) if callable(value) else value for one in array.flat]
    if array.ndim == 0:
        return of_each[0]
    return np.array(of_each, np.float64).reshape(array.shape)


def _cosine(audio: NDArray[np.float32], text: NDArray[np.float32]) -> float:
    """Dot product of two unit vectors (embedding_dim,), summed in float64, within [-1, 1]."""
    product = float(audio.astype(np.float64) @ text.astype(np.float64))
    return product if math.isnan(product) else max(-1.0, min(1.0, product))
