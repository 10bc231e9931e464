"""A model with settings: clips and texts to embeddings, and what is to be said of them."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray

from humanclap.audio.load import Source, name_of, tell
from humanclap.clap.cache import default_cache
from humanclap.clap.cache_keys import Weights, context_of
from humanclap.clap.checkpoint import Checkpoint
from humanclap.clap.device import resolve_device
from humanclap.clap.embedding import Encode, embed_clips, embed_texts
from humanclap.clap.engines import audio_encoder, engine_version
from humanclap.clap.known_pairs import Identities
from humanclap.clap.text_account import TextAccount
from humanclap.errors import AudioError, InputError, SettingsError, listed
from humanclap.scoring.heard import LAYOUT, Ears, Shelf, embed_texts_once
from humanclap.scoring.inputs import Clips, Texts, check_on_error, clips_of, texts_of
from humanclap.scoring.settings import ScoringSettings
from humanclap.signature import Signature
from humanclap.version import __version__

OnError = Literal["raise", "nan"]
"""What becomes of a clip or text that cannot be used: an error, or NaN in its place."""


class TextCutWarning(UserWarning):
    """A text is longer than the model reads; texts that differ only behind that score alike."""


class NotScoredWarning(UserWarning):
    """With `on_error="nan"`: clips or texts that cannot be used, and why; NaN is in their place."""


@dataclass(frozen=True, slots=True, eq=False)
class Embedded:
    """Embeddings of clips or texts, (n, embedding_dim): rows of NaN where `errors` has the reason.

    notes: what is to be said of each of the others.
    """

    rows: NDArray[np.float32]
    errors: tuple[InputError | None, ...]
    notes: tuple[tuple[str, ...], ...]


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
        """Move the model to a torch device, such as `cuda:1`; gives the model itself.

        Raises SettingsError for a device that is not there, and where the engine or the precision
        is one of the CPU alone.
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
        return self._hear_and_tell(clips_of(audio, sample_rate).sources, on_error).rows

    def embed_text(self, texts: Texts, *, on_error: OnError = "raise") -> NDArray[np.float32]:
        """Embed texts: (n, embedding_dim), unit rows; each distinct text is embedded once.

        Raises InputError for a text that is empty, no string, or of letters that the model does
        not know; with on_error "nan" the row of an empty or unreadable one is NaN, and
        NotScoredWarning says why. Warns TextCutWarning.
        """
        check_on_error(on_error)
        return self._read_and_tell(texts_of(texts)[0], on_error).rows

    def _hear_and_tell(self, sources: Sequence[Source], on_error: OnError) -> Embedded:
        """As `_hear_all`, with warnings of what is to be said."""
        found = self._hear_all(sources, on_error)
        for source, notes in zip(sources, found.notes, strict=True):
            for said in notes:
                tell(name_of(source), said, None, stacklevel=_outside())
        _warn_of_errors([error for error in found.errors if error is not None], found, "clips")
        return found

    def _read_and_tell(self, texts: Sequence[str], on_error: OnError) -> Embedded:
        """As `_read_all`, with warnings of what is to be said."""
        found = self._read_all(texts, self._accounts(texts), on_error)
        for text, notes in dict(zip(texts, found.notes, strict=True)).items():
            for said in notes:
                warnings.warn(f"{text[:40]!r}: {said}", TextCutWarning, stacklevel=_outside())
        _warn_of_errors(_placed(found.errors), found, "texts")
        return found

    def _hear_all(self, sources: Sequence[Source], on_error: OnError) -> Embedded:
        rows = np.full((len(sources), self.backbone.embedding_dim), np.nan, np.float32)
        errors: list[InputError | None] = [None] * len(sources)
        notes: list[tuple[str, ...]] = [()] * len(sources)
        for place, heard in enumerate(self._ears().hear(sources)):
            if not isinstance(heard, AudioError):
                rows[place], notes[place] = heard.embedding, heard.notes
            elif on_error == "raise":
                raise heard
            else:
                errors[place] = heard
        return Embedded(rows, tuple(errors), tuple(notes))

    def _read_all(
        self, texts: Sequence[str], accounts: Mapping[str, TextAccount], on_error: OnError
    ) -> Embedded:
        """accounts: of the texts that are not empty."""
        errors = [_text_error(text, accounts.get(text)) for text in texts]
        if on_error == "raise" and (bad := _placed(errors)):
            raise bad[0]
        rows = np.full((len(texts), self.backbone.embedding_dim), np.nan, np.float32)
        usable = [place for place, error in enumerate(errors) if error is None]
        rows[usable] = self._embed_texts([texts[place] for place in usable])
        remarks = [text in accounts and accounts[text].remark() for text in texts]
        return Embedded(rows, tuple(errors), tuple((said,) if said else () for said in remarks))

    def _accounts(self, texts: Iterable[str]) -> dict[str, TextAccount]:
        """What the model reads of each distinct text that is not empty."""
        distinct = sorted({text for text in texts if text.strip()})
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


def _placed(errors: Sequence[InputError | None]) -> list[InputError]:
    """Those of texts that cannot be used, each with its place where there are several texts."""
    return [
        error if len(errors) == 1 else InputError(f"texts[{place}]: {error}")
        for place, error in enumerate(errors)
        if error is not None
    ]


def _warn_of_errors(bad: Sequence[InputError], found: Embedded, what: str) -> None:
    if bad:
        told = listed(bad, 3, between="; ")
        message = f"{len(bad)} of {len(found.errors)} {what} cannot be used: {told}"
        warnings.warn(message, NotScoredWarning, stacklevel=_outside())


def _outside() -> int:
    """The `stacklevel` at which a warning of the calling function points out of this package."""
    frame, level = sys._getframe(1), 1
    while frame.f_back is not None and _is_ours(frame.f_globals.get("__name__", "")):
        frame, level = frame.f_back, level + 1
    return level


def _is_ours(module: str) -> bool:
    return module.partition(".")[0] == "humanclap"
