"""How scores are made. Every setting that changes a number is part of the signature."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, get_args

from humanclap.clap.device import Precision as Precision
from humanclap.clap.engines import Engine as Engine
from humanclap.errors import SettingsError
from humanclap.settings import check_choice


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoringSettings:
    """Settings of a scorer.

    hop_s: seconds between window starts; None: the model's window (no overlap). precision:
    arithmetic of the encoders; int8 is for the audio tower of a transformers CLAP only. device: a
    torch device; `auto`: cuda where there is one. batch_windows, batch_texts: windows and texts in
    a forward pass; they change memory and speed, never a score. cache: keep the embeddings of files
    and texts in the user's cache folder (`clap.cache.default_cache`), and take them from there when
    they are scored again; it changes speed only. engine: what runs the audio tower of a
    transformers CLAP; scores differ a little from torch's (docs/speed.md), so it is part of the
    signature.
    """

    hop_s: float | None = None
    precision: Precision = "fp32"
    device: str = "auto"
    batch_windows: int = 8
    batch_texts: int = 32
    cache: bool = True
    engine: Engine = "torch"

    def __post_init__(self) -> None:
        hop_s = self.hop_s
        if hop_s is not None and not (isinstance(hop_s, Real) and 0 < hop_s < math.inf):
            raise SettingsError(f"hop_s is {hop_s!r}; expected seconds above 0")
        check_choice("precision", self.precision, get_args(Precision))
        check_choice("engine", self.engine, get_args(Engine))
        for name in ("batch_windows", "batch_texts"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
                raise SettingsError(f"{name} is {value!r}; expected a whole number of at least 1")

    @property
    def cpu_alone(self) -> bool:
        """Whether the engine or the precision is one that computes on the CPU alone."""
        return self.engine != "torch" or self.precision == "int8"


def settings_of(settings: ScoringSettings | None, **given: Any) -> ScoringSettings | None:
    """Settings from a whole record, or from single fields, where None means not given.

    Raises SettingsError where both are given.
    """
    given = {name: value for name, value in given.items() if value is not None}
    if settings is not None and given:
        names = ", ".join(f"{name}={value!r}" for name, value in given.items())
        raise SettingsError(
            f"settings= is given and {names} beside it; give all in one: "
            f"settings=ScoringSettings({names})"
        )
    return ScoringSettings(**given) if given else settings
