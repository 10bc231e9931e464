"""Every setting of `mini` that changes an embedding, as one frozen record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from humanclap.clap.mini.tagger import AUDIO_BLOCKS, TaggerSizes
from humanclap.errors import SettingsError
from humanclap.settings import record_of

FORMAT = "humanclap-mini-3"


@dataclass(frozen=True, slots=True, kw_only=True)
class MiniConfig:
    """Sizes of the two towers and of what they share.

    `sample_rate` in Hz, `window_s` in seconds. `audio_expanded` and `audio_out` give the widths
    inside and after each block of the audio tower (`tagger.TaggerSizes`). `max_tokens` includes the
    two special tokens; longer texts are cut. An embedding has `n_labels` columns for the profile of
    labels that are heard or asked for, in powers `profile_power` of the labels' probabilities;
    `text_dim` for the meaning, of length `meaning_weight` beside the profile's 1; and `order_dim`
    for the order of the events.
    """

    name: str = "mini"
    sample_rate: int = 32_000
    window_s: float = 10.0
    text_dim: int = 384
    order_dim: int = 96
    audio_expanded: tuple[int, ...] = (
        *(8, 24, 40, 48, 64, 64),
        *(144, 120, 112, 112, 288, 408, 408, 576, 576),
    )
    audio_out: tuple[int, ...] = (8, 16, 16, 16, 16, 16, 32, 32, 32, 32, 48, 48, 64, 64, 64)
    audio_features: int = 384
    audio_hidden: int = 512
    n_labels: int = 527
    text_vocabulary: int = 8192
    text_width: int = 256
    text_layers: int = 4
    text_heads: int = 4
    text_feedforward: int = 768
    max_tokens: int = 77
    projection_hidden: int = 384
    projection_dropout: float = 0.4
    profile_power: float = 0.3
    meaning_weight: float = 0.5

    def __post_init__(self) -> None:
        for name in ("audio_expanded", "audio_out"):
            if (found := len(getattr(self, name))) != AUDIO_BLOCKS:
                raise SettingsError(f"{name} must name {AUDIO_BLOCKS} widths; got {found}")
        if self.text_width % self.text_heads:
            raise SettingsError(
                f"text_width {self.text_width} is not a multiple of text_heads {self.text_heads}"
            )
        if self.max_tokens < 3:
            raise SettingsError(f"max_tokens {self.max_tokens} leaves no room for a word")

    @property
    def audio_sizes(self) -> TaggerSizes:
        """Widths of the audio tower."""
        return TaggerSizes(
            expanded=self.audio_expanded,
            out=self.audio_out,
            features=self.audio_features,
            hidden=self.audio_hidden,
            labels=self.n_labels,
        )

    @property
    def embedding_dim(self) -> int:
        """Columns of an embedding."""
        return self.n_labels + self.text_dim + self.order_dim

    @classmethod
    def tiny(cls) -> Self:
        """A few thousand parameters, for tests of everything around the model.

        >>> MiniConfig.tiny().embedding_dim
        27
        """
        return cls(
            name="mini-tiny",
            text_dim=12,
            order_dim=3,
            audio_expanded=(8,) * 15,
            audio_out=(8,) * 15,
            audio_features=16,
            audio_hidden=16,
            n_labels=12,
            text_vocabulary=512,
            text_width=16,
            text_layers=1,
            text_heads=2,
            text_feedforward=32,
            max_tokens=32,
            projection_hidden=16,
        )

    def to_json(self) -> dict[str, Any]:
        """A plain mapping, with the format's name first."""
        return {"format": FORMAT, **asdict(self)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Inverse of `to_json`; an unknown or missing key raises SettingsError."""
        given = dict(values)
        if (found := given.pop("format", None)) != FORMAT:
            raise SettingsError(f"format is {found!r}; this version reads {FORMAT!r}")
        if missing := sorted({field.name for field in fields(cls)} - set(given)):
            raise SettingsError(f"missing keys: {', '.join(missing)}")
        return record_of(cls, given)
