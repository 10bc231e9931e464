"""Scoring in two stages: any thread decodes clips, one thread runs the model."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from humanclap.audio.clip_codes import Hearing
from humanclap.audio.load import Source, name_of
from humanclap.audio.names import shown
from humanclap.audio.window import Window
from humanclap.clap.known_pairs import ClipRoles
from humanclap.errors import AudioError
from humanclap.records import Score
from humanclap.scoring.embedder import ReadText
from humanclap.scoring.heard import ClipReading, Heard, Told
from humanclap.scoring.scorer import HumanCLAP

TEXTS_KEPT = 10_000
"""Texts whose embeddings stay in memory, about 20 MB; the one unused for longest is dropped."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CutClip:
    """All windows of a clip, or the error that it has instead.

    seconds: its length. notes: what its reader should know. roles: what the model met of it, None
    where nothing is known.
    """

    name: str
    windows: tuple[Window, ...] = ()
    seconds: float = 0.0
    notes: tuple[str, ...] = ()
    roles: ClipRoles | None = None
    error: AudioError | None = None


class StagedCLAP(HumanCLAP):
    """A `HumanCLAP` with two stages; its scores are those of `predict` and `score_pairs`.

    Any number of threads may call `decode` at once, one at a time `score_decoded`.
    """

    _kept: OrderedDict[bytes, ReadText] | None = None

    def decode(self, source: Source, *, told: Told | None = None) -> CutClip:
        """Read a clip to its end and cut it into windows; a clip that cannot be used has an error.

        told: called with the clip and the seconds of it that were read so far. What it raises ends
        the reading; an AudioError becomes the clip's.
        """
        rate, name = self.backbone.sample_rate, shown(name_of(source))
        hearing = Hearing(rate) if self.identities.any_known else None
        clip = ClipReading(source, rate, hearing, told)
        try:
            windows = tuple(clip.windows(self._clip_encoder()))
        except AudioError as error:
            return CutClip(name=name, error=error, seconds=clip.seconds)
        return CutClip(
            name=name,
            windows=windows,
            seconds=clip.seconds,
            notes=tuple(clip.notes),
            roles=None if hearing is None else self.identities.roles_of(hearing.codes()),
        )

    def score_decoded(
        self, clips: Sequence[CutClip], texts: Sequence[Sequence[str]]
    ) -> list[list[Score]]:
        """Score each clip with each of the texts at its place: as many rows, in their order.

        A clip or text that cannot be used has a row with NaN and its `error`. Texts that were read
        before are taken from memory.
        """
        read = self._read_once({text for of_clip in texts for text in of_clip})
        usable = [clip.windows for clip in clips if clip.error is None]
        embedded = iter(list(self._clip_encoder().embed_windows(usable)))
        heard = [clip.error or Heard(next(embedded), clip.notes, clip.roles) for clip in clips]
        return [
            [
                self._row({"audio": clip.name, "text": text}, read[text], found, tell_met=True)
                for text in of_clip
            ]
            for clip, found, of_clip in zip(clips, heard, texts, strict=True)
        ]

    def _read_once(self, texts: set[str]) -> dict[str, ReadText]:
        """The texts, each read now or kept from before (by its hash: texts may be long)."""
        kept = self._kept = OrderedDict() if self._kept is None else self._kept
        keys = {text: hashlib.sha256(text.encode()).digest() for text in texts}
        missing = [text for text, key in keys.items() if key not in kept]
        kept.update({keys[text]: read for text, read in self._read_all(missing, "nan").items()})
        found = {text: kept[key] for text, key in keys.items()}
        for key in keys.values():
            kept.move_to_end(key)
        while len(kept) > TEXTS_KEPT:
            kept.popitem(last=False)
        return found
