"""How a model is trained: one frozen record, read from TOML, overridden by the command line."""

from __future__ import annotations

import difflib
import math
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from humanclap.errors import SettingsError
from humanclap.scale import RatingScale
from humanclap.training.losses import TERMS, Normalise


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSettings:
    """Settings of one training run; see docs/training.md for what each does.

    Raises SettingsError naming the setting that is out of range.
    """

    objective: str = "wsce+mae"
    """A sum of distinct terms out of sce, wsce, mse, mae."""
    wsce_normalise: Normalise = "batch"
    """Divisor of wSCE: `batch` (number of pairs) or `weight` (sum of relevances)."""
    learn_logit_scale: bool = True
    """Whether the contrastive temperature is trained."""
    mask_same_caption: bool = True
    """Leave a negative with the pair's own caption out of the softmax."""
    mask_same_clip: bool = True
    """Leave a negative with the pair's own clip out of the softmax."""
    train: str = "default"
    """`default` (what the model offers: mini its projections, a transformers CLAP everything),
    `all`, or `projections`; the logit scale learns in each."""
    epochs: int = 20
    batch_size: int = 32
    """Pairs embedded together; the in-batch negatives come from these."""
    gradient_accumulation: int = 1
    """Batches per optimiser step."""
    learning_rate: float = 1e-4
    weight_decay: float = 0.01
    """AdamW's, on matrices and kernels; never on biases, norms and scales."""
    warmup_fraction: float = 0.1
    """Share of all steps over which the learning rate rises from 0; then it follows a cosine."""
    max_grad_norm: float = 1.0
    """Gradients are scaled down to this norm; 0 switches clipping off."""
    patience: int = 5
    """Epochs without a better validation SRCC before training stops; 0 never stops early."""
    seed: int = 0
    precision: str = "fp32"
    """`fp32` or `bf16` (autocast)."""
    device: str = "auto"
    """A torch device; `auto` takes CUDA where there is one."""
    train_split: str = "train"
    validation_split: str = "validation"
    """Names in the table's `split` column."""
    allow_shared_captions: bool = False
    """Only for closed label sets, where every caption must stand in every split."""
    rating_scale: str = "0..10"
    """Scale of the column `mos`; predicted ratings are clipped to it."""
    clip_memory_gb: float = 2.0
    """Decoded clips kept in memory; the others are decoded again each time."""

    def __post_init__(self) -> None:
        for item in fields(self):
            object.__setattr__(self, item.name, _typed(item.name, getattr(self, item.name)))
        _check_objective(self.objective)
        RatingScale.parse(self.rating_scale)
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise SettingsError(
                    f"{name} is {getattr(self, name)!r}; expected one of {', '.join(choices)}"
                )
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if not low <= value <= high:
                top = "" if math.isinf(high) else f" and at most {high:g}"
                raise SettingsError(f"{name} is {value}; expected at least {low:g}{top}")
        if self.learning_rate <= 0:
            raise SettingsError(f"learning_rate is {self.learning_rate}; expected more than 0")
        if self.train_split == self.validation_split:
            raise SettingsError(f"train_split and validation_split are both {self.train_split!r}")

    @property
    def terms(self) -> tuple[str, ...]:
        """The objective's terms, in the order written."""
        return tuple(part.strip() for part in self.objective.split("+"))

    def as_dict(self) -> dict[str, Any]:
        """Plain dict, ready for JSON."""
        return asdict(self)


_CHOICES = {
    "wsce_normalise": ("batch", "weight"),
    "train": ("default", "all", "projections"),
    "precision": ("fp32", "bf16"),
}
_RANGES = {
    "epochs": (1, math.inf),
    "batch_size": (1, math.inf),
    "gradient_accumulation": (1, math.inf),
    "learning_rate": (0.0, 1.0),
    "weight_decay": (0.0, 1.0),
    "warmup_fraction": (0.0, 1.0),
    "max_grad_norm": (0.0, math.inf),
    "patience": (0, math.inf),
    "seed": (0, 2**63 - 1),
    "clip_memory_gb": (0.0, math.inf),
}


def _typed(name: str, value: object) -> object:
    expected = type(_default(name))
    if expected is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if type(value) is not expected:
        raise SettingsError(
            f"{name} is {value!r}; expected {_TYPE_NAMES[expected]} such as {_default(name)!r}"
        )
    return value


_TYPE_NAMES: dict[type, str] = {
    str: "a text",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
}


def _default(name: str) -> object:
    return next(item.default for item in fields(TrainingSettings) if item.name == name)


def _check_objective(objective: str) -> None:
    terms = [part.strip() for part in objective.split("+")]
    for term in terms:
        if term not in TERMS:
            raise SettingsError(
                f"objective {objective!r}: {term!r} is no term; expected a sum of "
                f"{', '.join(TERMS)}{_hint(term, TERMS)}"
            )
    if len(set(terms)) != len(terms):
        raise SettingsError(f"objective {objective!r} has a term twice")


def _hint(name: str, known: tuple[str, ...]) -> str:
    close = difflib.get_close_matches(name.lower(), known, n=2)
    return f" (did you mean {' or '.join(close)}?)" if close else ""


def read_settings(
    path: str | Path | None = None, overrides: Mapping[str, object] | None = None
) -> TrainingSettings:
    """Settings from a TOML file, with overrides on top; what neither names has its default.

    Raises SettingsError, with the file where the file is to blame, for a missing or broken file,
    an unknown key (with its likely spelling), a wrong type or a value out of range.
    """
    given: dict[str, object] = {}
    if path is not None:
        given = _read_toml(Path(path))
        _build(given, where=f"{path}: ")
    return _build({**given, **(overrides or {})}, where="")


def _read_toml(path: Path) -> dict[str, object]:
    try:
        with open(path, "rb") as file:
            return tomllib.load(file)
    except FileNotFoundError:
        raise SettingsError(f"{path}: no such settings file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: not TOML: {error}") from error


def _build(given: Mapping[str, object], *, where: str) -> TrainingSettings:
    known = tuple(item.name for item in fields(TrainingSettings))
    for name in given:
        if name not in known:
            raise SettingsError(f"{where}unknown setting {name!r}{_hint(name, known)}")
    try:
        return TrainingSettings(**given)  # type: ignore[arg-type]
    except SettingsError as error:
        raise SettingsError(f"{where}{error}") from error
