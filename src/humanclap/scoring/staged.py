"""Scoring in two stages: clips are decoded in any thread, and embedded by the model's own."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from humanclap.audio.clip_codes import Hearing
from humanclap.audio.load import Source, name_of
from humanclap.audio.names import shown
from humanclap.audio.window import Window, windows
from humanclap.clap.embedding import embed_windows
from humanclap.clap.known_pairs import ClipRoles
from humanclap.clap.text_account import TextAccount
from humanclap.errors import AudioError, InputError
from humanclap.records import UNKNOWN_MET, Score
from humanclap.scoring.scorer import HumanCLAP, reason_of

TEXTS_KEPT = 10_000
"""Texts whose embeddings are kept in memory, some 20 MB; the one not asked for longest goes."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CutClip:
    """A clip as the model takes it: all of its windows, or the error that kept it from them.

    notes: what is to be said of it; roles: what the model met of it, None where nothing is known;
    seconds: its length.
    """

    name: str
    windows: tuple[Window, ...] = ()
    seconds: float = 0.0
    notes: tuple[str, ...] = ()
    roles: ClipRoles | None = None
    error: AudioError | None = None


@dataclass(frozen=True, slots=True, eq=False)
class _Read:
    """A text that was read: its row (embedding_dim,) and notes, or why it cannot be used."""

    account: TextAccount | None
    row: NDArray[np.float32]
    notes: tuple[str, ...]
    error: InputError | None


class StagedCLAP(HumanCLAP):
    """A `HumanCLAP` whose stages are called apart; scores are those of `predict` and `score_pairs`.

    `decode` may be called in any number of threads, `score_decoded` in one at a time.
    """

    _kept: OrderedDict[bytes, _Read] | None = None

    def decode(self, source: Source, *, told: Callable[[float], None] | None = None) -> CutClip:
        """Read a clip to its end and cut it into windows; a clip that cannot be used has an error.

        told: gets the seconds of each block as it is read; what it raises ends the reading, and an
        AudioError of it becomes the clip's.
        """
        backbone, name = self.backbone, shown(name_of(source))
        rate, samples, notes = backbone.sample_rate, 0, list[str]()
        hearing = Hearing(rate) if self.identities.any_known else None

        def listen(block: NDArray[np.float32]) -> None:
            nonlocal samples
            samples += len(block)
            if told is not None:
                told(len(block) / rate)
            if hearing is not None:
                hearing.add(block)

        try:
            cut = windows(
                source,
                sample_rate=rate,
                window_s=backbone.window_s,
                hop_s=self.settings.hop_s or backbone.window_s,
                fill=backbone.fill,
                listen=listen,
                remark=notes.append,
            )
            found = tuple(cut)
        except AudioError as error:
            return CutClip(name=name, error=error, seconds=samples / rate)
        return CutClip(
            name=name,
            windows=found,
            seconds=samples / rate,
            notes=tuple(notes),
            roles=None if hearing is None else self.identities.roles_of(hearing.codes()),
        )

    def score_decoded(
        self, clips: Sequence[CutClip], texts: Sequence[Sequence[str]]
    ) -> list[list[Score]]:
        """Score each clip with each of the texts at its place: as many rows, in their order.

        A clip or text that cannot be used has a row with NaN and its `error`. Texts met before are
        taken from memory.
        """
        read = self._read_once({text for of_clip in texts for text in of_clip})
        usable = [clip for clip in clips if clip.error is None]
        embedded = embed_windows(
            self.backbone,
            [clip.windows for clip in usable],
            batch_windows=self.settings.batch_windows,
            precision=self.settings.precision,
            encode=None if self._plain else self._audio_encoder(),
        )
        rows = iter(list(embedded))
        return [
            self._rows_of(clip, of_clip, read, None if clip.error else next(rows))
            for clip, of_clip in zip(clips, texts, strict=True)
        ]

    def _rows_of(
        self,
        clip: CutClip,
        texts: Sequence[str],
        read: dict[str, _Read],
        embedding: NDArray[np.float32] | None,
    ) -> list[Score]:
        found = []
        for text in texts:
            known = read[text]
            blank = self._blank(clip.name, text, known.account)
            error = known.error or clip.error
            if error is not None:
                found.append(replace(blank, error=reason_of(error)))
                continue
            assert embedding is not None
            met = UNKNOWN_MET
            if clip.roles is not None:
                (met,) = self.identities.met_of([text], clip.roles)
            notes = [*clip.notes, *known.notes]
            scored = self._score_of(replace(blank, met=met), embedding, known.row, notes)
            found.append(scored)
        return found

    def _read_once(self, texts: set[str]) -> dict[str, _Read]:
        """The texts, each read now or kept from before (by its hash: texts may be long)."""
        kept = self._kept = OrderedDict() if self._kept is None else self._kept
        keys = {text: hashlib.sha256(text.encode()).digest() for text in texts}
        missing = [text for text, key in keys.items() if key not in kept]
        if missing:
            accounts = self._accounts(missing)
            new = self._read_all(missing, accounts, "nan")
            for place, text in enumerate(missing):
                account = accounts.get(text)
                kept[keys[text]] = _Read(
                    account, new.rows[place], new.notes[place], new.errors[place]
                )
        found = {text: kept[key] for text, key in keys.items()}
        for key in keys.values():
            kept.move_to_end(key)
        while len(kept) > TEXTS_KEPT:
            kept.popitem(last=False)
        return found
