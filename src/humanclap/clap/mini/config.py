"""Every setting of `mini` that changes an embedding, as one frozen record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from humanclap.errors import SettingsError

FORMAT = "humanclap-mini-2"


@dataclass(frozen=True, slots=True, kw_only=True)
class MiniConfig:
    """Sizes of the two towers and of the audio front end.

    Frequencies in Hz, lengths of the front end in samples at `sample_rate`. `audio_widths` and
    `audio_depths` give the channels and the number of residual blocks of each stage: the stem
    reduces time and frequency by 4, every stage after the first by 2 more. `max_tokens` includes
    the two special tokens; longer texts are cut. `bridge_sharpness` is the exponent given to label
    probabilities before they weigh label embeddings. An embedding has `text_dim` columns for what
    is heard or said, `order_dim` for the order of its events, and one for what people think of
    sounds with such a caption whatever they hear.
    """

    name: str = "mini"
    sample_rate: int = 32_000
    window_s: float = 10.0
    text_dim: int = 384
    order_dim: int = 96
    n_fft: int = 1024
    window_length: int = 1024
    hop_length: int = 640
    n_mels: int = 64
    f_min: float = 50.0
    f_max: float = 14_000.0
    audio_stem: int = 32
    audio_widths: tuple[int, ...] = (32, 96, 224)
    audio_depths: tuple[int, ...] = (1, 2, 3)
    audio_features: int = 384
    n_labels: int = 527
    text_vocabulary: int = 8192
    text_width: int = 256
    text_layers: int = 4
    text_heads: int = 4
    text_feedforward: int = 768
    max_tokens: int = 77
    projection_hidden: int = 384
    projection_dropout: float = 0.4
    bridge_sharpness: float = 2.0

    def __post_init__(self) -> None:
        if len(self.audio_widths) != len(self.audio_depths):
            raise SettingsError(
                "audio_widths and audio_depths must name the same stages; got "
                f"{len(self.audio_widths)} and {len(self.audio_depths)}"
            )
        if self.text_width % self.text_heads:
            raise SettingsError(
                f"text_width {self.text_width} is not a multiple of text_heads {self.text_heads}"
            )
        if self.max_tokens < 3:
            raise SettingsError(f"max_tokens {self.max_tokens} leaves no room for a word")

    @property
    def embedding_dim(self) -> int:
        """Columns of an embedding."""
        return self.text_dim + self.order_dim + 1

    @classmethod
    def tiny(cls) -> Self:
        """A few thousand parameters, for tests of everything around the model.

        >>> MiniConfig.tiny().embedding_dim
        16
        """
        return cls(
            name="mini-tiny",
            text_dim=12,
            order_dim=3,
            audio_stem=8,
            audio_widths=(8, 8, 8),
            audio_depths=(1, 1, 1),
            audio_features=16,
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
        known = {field.name for field in fields(cls)}
        if unknown := sorted(set(given) - known):
            raise SettingsError(f"unknown keys: {', '.join(unknown)}")
        if missing := sorted(known - set(given)):
            raise SettingsError(f"missing keys: {', '.join(missing)}")
        tuples = {key: tuple(value) for key, value in given.items() if isinstance(value, list)}
        try:
            return cls(**{**given, **tuples})
        except TypeError as error:
            raise SettingsError(f"a value has the wrong type ({error})") from error
