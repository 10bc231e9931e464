"""How a model is trained: one frozen record, read from TOML, overridden by the command line."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from humanclap.errors import SettingsError
from humanclap.scale import RatingScale
from humanclap.settings import check_choice, checked_values, read_toml, record_of
from humanclap.training.objective.losses import Normalise
from humanclap.training.objective.objective import CHOICE, parse_objective


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSettings:
    """Settings of one training run; see docs/training.md for what each does.

    Raises SettingsError naming the setting that is out of range.
    """

    objective: str = "wsce+mae"
    """A sum of distinct terms of `objective.TERMS`, with factors or not: `mse+0.5*difference`."""
    wsce_normalise: Normalise = "batch"
    """Divisor of wSCE: `batch` (number of pairs) or `weight` (sum of relevances)."""
    wsce_power: float = 1.0
    """Weight of a pair in wSCE = relevance to this power."""
    huber_delta: float = 0.1
    """Error from which `huber` is straight."""
    rank_margin: float = 0.1
    """By how much the better pair shall lead in `margin`."""
    rank_temperature: float = 0.1
    """Divides cosines (and targets) in `bradley-terry` and `listnet`."""
    choice_temperature: float = 0.1
    """Divides the difference of two cosines in `choice`."""
    rank_least_difference: float = 0.0
    """`margin` and `bradley-terry` do not rank targets nearer than this."""
    difference_margin: float = 0.1
    """Error that costs nothing in `difference`."""
    standardise_targets: bool = False
    """Targets and cosines in standard deviations of the training targets, in all terms but sce,
    wsce and choice (as SPO-CLAPScore); margins and deltas are then in that unit too."""
    certainty_weights: bool = False
    """A pair counts by the certainty of its mean rating (n and spread), a choice by its votes."""
    listener_ridge: float = 0.1
    """How strongly `listener` draws a listener to bias 0 and scale 1."""
    listener_learning_rate: float = 0.01
    """Of the listeners' biases and scales."""
    learn_logit_scale: bool = True
    """Whether the contrastive temperature is trained."""
    mask_same_caption: bool = True
    """Leave a negative with the pair's own caption out of the softmax."""
    mask_same_clip: bool = True
    """Leave a negative with the pair's own clip out of the softmax."""
    train: str = "default"
    """`default` (what the model offers: mini its projections, a transformers CLAP everything),
    `all`, `projections`, `last` (projections and the last layers of the encoders) or `lora`
    (projections and adapters in the encoders); the logit scale learns in each."""
    train_audio: str = "as train"
    train_text: str = "as train"
    """Of one tower, where it differs: as `train`, or `frozen` (its projection too)."""
    last_layers: int = 1
    """Layers of an encoder that learn with `last`."""
    lora_rank: int = 8
    lora_alpha: float = 16.0
    """Adapters are scaled by alpha / rank."""
    epochs: int = 20
    batch_size: int = 32
    """Rated pairs embedded together, and as many choices; negatives come from the pairs."""
    gradient_accumulation: int = 1
    """Batches per optimiser step."""
    learning_rate: float = 1e-4
    audio_encoder_rate: float = 1.0
    text_encoder_rate: float = 1.0
    projection_rate: float = 1.0
    scale_rate: float = 1.0
    """Shares of the learning rate for these groups of parameters; 0 keeps a group still."""
    weight_decay: float = 0.01
    """AdamW's, on matrices and kernels; never on biases, norms and scales."""
    warmup_fraction: float = 0.1
    """Share of all steps over which the learning rate rises from 0; then it follows a cosine."""
    max_grad_norm: float = 1.0
    """Gradients are scaled down to this norm; 0 switches clipping off."""
    best_by: str = "auto"
    """What the best epoch has most of on the validation data: `srcc`, `accuracy` (of choices), or
    `auto`: SRCC where there are rated pairs, else accuracy."""
    patience: int = 5
    """Epochs without a better one before training stops; 0 never stops early."""
    ema_decay: float = 0.0
    """Above 0, an exponential moving average of the weights is validated and kept instead."""
    soup: int = 0
    """At the end the weights of the best so many epochs are averaged; kept if no worse."""
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
    """Scale of the column `mos`; predicted ratings are on 0..10 whatever it is."""
    clip_memory_gb: float = 2.0
    """Decoded clips kept in memory; the others are decoded again each time."""

    def __post_init__(self) -> None:
        given = {item.name: getattr(self, item.name) for item in fields(self)}
        for name, value in checked_values(type(self), given).items():
            object.__setattr__(self, name, value)
        parse_objective(self.objective)
        RatingScale.parse(self.rating_scale)
        for name, choices in _CHOICES.items():
            check_choice(name, getattr(self, name), choices)
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if not low <= value <= high:
                most = high if isinstance(high, int) else f"{high:g}"
                top = "" if math.isinf(high) else f" and at most {most}"
                raise SettingsError(f"{name} is {value}; expected at least {low:g}{top}")
        if self.learning_rate <= 0:
            raise SettingsError(f"learning_rate is {self.learning_rate}; expected more than 0")
        if self.train_split == self.validation_split:
            raise SettingsError(f"train_split and validation_split are both {self.train_split!r}")

    @property
    def terms(self) -> tuple[str, ...]:
        """The objective's terms, in the order written."""
        return tuple(self.coefficients)

    @property
    def coefficients(self) -> dict[str, float]:
        """Factor of each term of the objective, in the order written."""
        return parse_objective(self.objective)

    @property
    def rating_coefficients(self) -> dict[str, float]:
        """Those of the terms that learn from ratings."""
        return {name: value for name, value in self.coefficients.items() if name != CHOICE}

    @property
    def learns_choices(self) -> bool:
        """Whether the objective has a term for people's choices."""
        return CHOICE in self.coefficients

    def as_dict(self) -> dict[str, Any]:
        """Plain dict, ready for JSON."""
        return asdict(self)


HOW = ("default", "all", "projections", "last", "lora")
"""What may learn of a tower."""
_CHOICES: dict[str, tuple[str, ...]] = {
    "wsce_normalise": ("batch", "weight"),
    "train": HOW,
    "train_audio": ("as train", "frozen", *HOW),
    "train_text": ("as train", "frozen", *HOW),
    "precision": ("fp32", "bf16"),
    "best_by": ("auto", "srcc", "accuracy"),
}
_RANGES = {
    "epochs": (1, math.inf),
    "batch_size": (1, math.inf),
    "gradient_accumulation": (1, math.inf),
    "learning_rate": (0.0, 1.0),
    "listener_learning_rate": (0.0, 1.0),
    "audio_encoder_rate": (0.0, 1000.0),
    "text_encoder_rate": (0.0, 1000.0),
    "projection_rate": (0.0, 1000.0),
    "scale_rate": (0.0, 1000.0),
    "wsce_power": (0.0, 100.0),
    "huber_delta": (1e-6, math.inf),
    "rank_margin": (0.0, math.inf),
    "rank_temperature": (1e-6, math.inf),
    "choice_temperature": (1e-6, math.inf),
    "rank_least_difference": (0.0, math.inf),
    "difference_margin": (0.0, math.inf),
    "listener_ridge": (0.0, math.inf),
    "last_layers": (1, math.inf),
    "lora_rank": (1, math.inf),
    "lora_alpha": (1e-6, math.inf),
    "ema_decay": (0.0, 0.999999),
    "soup": (0, math.inf),
    "weight_decay": (0.0, 1.0),
    "warmup_fraction": (0.0, 1.0),
    "max_grad_norm": (0.0, math.inf),
    "patience": (0, math.inf),
    "seed": (0, 2**63 - 1),
    "clip_memory_gb": (0.0, math.inf),
}


def read_settings(
    path: str | Path | None = None, overrides: Mapping[str, object] | None = None
) -> TrainingSettings:
    """Settings from a TOML file, with overrides on top; what neither names has its default.

    Raises SettingsError, with the file where the file is to blame, for a missing or broken file,
    an unknown key (with its likely spelling), a wrong type or a value out of range.
    """
    given: dict[str, object] = {}
    if path is not None:
        given = read_toml(path)
        build_settings(given, where=f"{path}: ")
    return build_settings({**given, **(overrides or {})}, where="")


def build_settings(given: Mapping[str, object], *, where: str) -> TrainingSettings:
    """Settings from a mapping. Raises SettingsError, its message behind `where`."""
    return record_of(TrainingSettings, given, where=where)
