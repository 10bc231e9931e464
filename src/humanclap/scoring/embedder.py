"""A model with settings: clips and texts become embeddings, with notes, warnings and errors."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray

from humanclap.audio.load import Source, name_of, tell
from humanclap.clap.cache import default_cache
from humanclap.clap.cache_keys import Weights, context_of
from humanclap.clap.checkpoint import Checkpoint
from humanclap.clap.device import resolve_device
from humanclap.clap.embedding import ClipEncoder, embed_texts
from humanclap.clap.encoders import Encode
from humanclap.clap.engines import audio_encoder, engine_version
from humanclap.clap.known_pairs import Identities
from humanclap.clap.text_account import TextAccount
from humanclap.errors import AudioError, InputError, SettingsError, listed
from humanclap.scoring.heard import LAYOUT, Ears, Heard, Shelf, Told, embed_texts_once
from humanclap.scoring.inputs import Clips, Texts, check_on_error, clips_of, texts_of
from humanclap.scoring.pair_scorer import OnError
from humanclap.scoring.settings import ScoringSettings
from humanclap.signature import Signature
from humanclap.version import __version__


class TextCutWarning(UserWarning):
    """A text is longer than the model reads; what stands beyond its limit changes no score."""


class NotScoredWarning(UserWarning):
    """With `on_error="nan"`: these clips or texts cannot be used, and why; they have NaN."""


@dataclass(frozen=True, slots=True, eq=False)
class ReadText:
    """A text: its embedding (embedding_dim,), NaN where `error` says why it has none.

    account: what the model reads of it, None for an empty text.
    """

    row: NDArray[np.float32]
    account: TextAccount | None = None
    error: InputError | None = None

    @property
    def notes(self) -> tuple[str, ...]:
        """What the reader of a score should know of the text."""
        said = None if self.account is None else self.account.remark()
        return () if said is None else (said,)


class Embedder:
    """Embeds clips and texts with one checkpoint and one set of settings; see `HumanCLAP`."""

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

    @cached_property
    def identities(self) -> Identities:
        """What the model was trained, tuned and calibrated on, as far as its checkpoint says."""
        return self._checkpoint.known_identities()

    def to(self, device: str | torch.device) -> Self:
        """Move the model to a torch device, such as `cuda:1`; returns the model itself.

        Raises SettingsError for a device that is not there, and for one other than the CPU where
        the engine or the precision needs the CPU.
        """
        settings = replace(self.settings, device=str(device))
        where = resolve_device(settings.device)
        if settings.cpu_alone and torch.device(where).type != "cpu":
            raise SettingsError(
                f"engine {settings.engine} at {settings.precision} computes on the CPU alone, not "
                f"on {where}"
            )
        self.backbone = self.backbone.to(where)
        self.settings = settings
        return self

    def embed_audio(
        self,
        audio: Clips,
        *,
        sample_rate: int | None = None,
        on_error: OnError = "raise",
    ) -> NDArray[np.float32]:
        """Embed clips: (n, embedding_dim), unit rows; a clip given by itself is one row.

        audio, sample_rate: as `HumanCLAP.predict`. Raises AudioError at the first clip that cannot
        be used; with on_error "nan" its row is NaN, and NotScoredWarning says why.
        """
        check_on_error(on_error)
        return self._hear_and_tell(clips_of(audio, sample_rate).sources, on_error)

    def embed_text(self, texts: Texts, *, on_error: OnError = "raise") -> NDArray[np.float32]:
        """Embed texts: (n, embedding_dim), unit rows; each distinct text is embedded once.

        Raises InputError for a text that is empty, no string, or of letters that the model does
        not know; with on_error "nan" the row of an empty or unreadable one is NaN, and
        NotScoredWarning says why. Warns TextCutWarning.
        """
        check_on_error(on_error)
        return self._read_and_tell(texts_of(texts)[0], on_error)

    def _hear_and_tell(self, sources: Sequence[Source], on_error: OnError) -> NDArray[np.float32]:
        """Embeddings of clips, NaN for those that cannot be used; warns of what should be known."""
        rows = np.full((len(sources), self.backbone.embedding_dim), np.nan, np.float32)
        errors = []
        for place, heard in enumerate(self._hear_all(sources, on_error)):
            if isinstance(heard, AudioError):
                errors.append(heard)
                continue
            rows[place] = heard.embedding
            for said in heard.notes:
                tell(name_of(sources[place]), said, None, stacklevel=_outside())
        _warn_of_errors(errors, len(sources), "clips")
        return rows

    def _read_and_tell(self, texts: Sequence[str], on_error: OnError) -> NDArray[np.float32]:
        """Embeddings of texts, NaN for those that cannot be used; warns of what should be known."""
        read = self._read_all(texts, on_error)
        for text, found in read.items():
            for said in found.notes:
                warnings.warn(f"{text[:40]!r}: {said}", TextCutWarning, stacklevel=_outside())
        _warn_of_errors(_placed(texts, read), len(texts), "texts")
        rows = [read[text].row for text in texts]
        return np.stack(rows) if rows else np.zeros((0, self.backbone.embedding_dim), np.float32)

    def _hear_all(self, sources: Sequence[Source], on_error: OnError) -> list[Heard | AudioError]:
        """What is heard in each clip, or with on_error "nan" why nothing is."""
        found = []
        for heard in self._ears().hear(sources):
            if isinstance(heard, AudioError) and on_error == "raise":
                raise heard
            found.append(heard)
        return found

    def _read_all(self, texts: Iterable[str], on_error: OnError) -> dict[str, ReadText]:
        """Each distinct text, embedded once; raises its error unless on_error is "nan"."""
        texts = list(texts)
        lettered = sorted({text for text in texts if text.strip()})
        accounts = dict(zip(lettered, self.backbone.text_accounts(lettered), strict=True))
        nothing = np.full(self.backbone.embedding_dim, np.nan, np.float32)
        read = {
            text: ReadText(nothing, accounts.get(text), _text_error(text, accounts.get(text)))
            for text in texts
        }
        if on_error == "raise" and (bad := _placed(texts, read)):
            raise bad[0]
        usable = [text for text, found in read.items() if found.error is None]
        for text, row in zip(usable, self._embed_texts(usable), strict=True):
            read[text] = replace(read[text], row=row)
        return read

    def _embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        def embed(missing: Sequence[str]) -> NDArray[np.float32]:
            return embed_texts(
                self.backbone,
                missing,
                batch_texts=self.settings.batch_texts,
                precision=self.settings.precision,
            )

        return embed_texts_once(texts, embed, self._shelf("text"))

    def _ears(self, identities: Identities | None = None, told: Told | None = None) -> Ears:
        shelf = self._shelf("clip")
        return Ears(self._clip_encoder(), identities=identities, shelf=shelf, told=told)

    def _clip_encoder(self) -> ClipEncoder:
        """The way of clips through the model, with its weights as they are now."""
        settings = self.settings
        encode = None if self._plain else self._audio_encoder()
        return ClipEncoder(
            self.backbone, encode, settings.hop_s, settings.batch_windows, settings.precision
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


def _text_error(text: str, account: TextAccount | None) -> InputError | None:
    if account is None:
        return InputError("text is empty")
    return None if account.readable else InputError(f"{text!r}: {account.refusal()}")


def _placed(texts: Sequence[str], read: Mapping[str, ReadText]) -> list[InputError]:
    """Errors of the texts that cannot be used, with their places where there are several."""
    errors = [read[text].error for text in texts]
    return [
        error if len(texts) == 1 else InputError(f"texts[{place}]: {error}")
        for place, error in enumerate(errors)
        if error is not None
    ]


def _warn_of_errors(bad: Sequence[InputError], count: int, what: str) -> None:
    if bad:
        told = listed(bad, 3, between="; ")
        message = f"{len(bad)} of {count} {what} cannot be used: {told}"
        warnings.warn(message, NotScoredWarning, stacklevel=_outside())


def _outside() -> int:
    """The `stacklevel` at which a warning of the calling function points out of this package."""
    frame, level = sys._getframe(1), 1
    while frame.f_back is not None and _is_ours(frame.f_globals.get("__name__", "")):
        frame, level = frame.f_back, level + 1
    return level


def _is_ours(module: str) -> bool:
    return module.partition(".")[0] == "humanclap"
