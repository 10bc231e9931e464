"""How a model is trained: one frozen record, read from TOML, overridden by the command line."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from humanclap.errors import SettingsError
from humanclap.scale import RatingScale
from humanclap.settings import check_choice, checked_values, hint, read_toml, record_of

CONTRASTIVE = ("sce", "wsce")
POINTWISE = ("mse", "mae", "huber")
WITHIN_BATCH = ("margin", "bradley-terry", "listnet", "difference")
LISTENER = "listener"
CHOICE = "choice"
TERMS: tuple[str, ...] = (*CONTRASTIVE, *POINTWISE, *WITHIN_BATCH, LISTENER, CHOICE)
"""Every term an objective may hold."""
HOW = ("default", "all", "projections", "last", "lora")
"""What may learn of a tower."""
Normalise = Literal["batch", "weight"]
"""What a weighted loss is divided by: the number of pairs, or the sum of their weights."""


def _setting(
    default: Any,
    *,
    least: float = -math.inf,
    most: float = math.inf,
    choices: tuple[str, ...] = (),
    option: str = "",
) -> Any:
    """A field with its range or choices; option: its help where `humanclap train` has one."""
    said = {"least": least, "most": most, "choices": choices, "option": option}
    return field(default=default, metadata=said)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSettings:
    """Settings of one training run: first the ten that matter, then the advanced ones.

    docs/training.md explains each. Raises SettingsError naming the setting that is out of range.
    """

    objective: str = _setting("wsce+mae", option="Sum of terms such as wsce, mae, choice.")
    """A sum of distinct `TERMS`, with factors or not: `mse+0.5*difference`."""
    train: str = _setting(
        "default",
        choices=HOW,
        option="What learns: default (what the model offers), projections, last, lora, or all.",
    )
    """`default` (what the model offers: projections of mini, everything of a transformers CLAP),
    `all`, `projections`, `last` (projections and the last layers of the encoders) or `lora`
    (projections and adapters in the encoders); the logit scale learns in each."""
    epochs: int = _setting(20, least=1, option="Most epochs to train.")
    batch_size: int = _setting(32, least=1, option="Pairs (and choices) per batch.")
    """Rated pairs embedded together, and as many choices; negatives come from the pairs."""
    learning_rate: float = _setting(1e-4, least=0.0, most=1.0, option="Peak learning rate.")
    patience: int = _setting(5, least=0, option="Epochs without gain before stopping; 0: never.")
    seed: int = _setting(0, least=0, most=2**63 - 1, option="Seed of order, crops and dropout.")
    precision: str = _setting(
        "fp32", choices=("fp32", "bf16"), option="Precision of the arithmetic: fp32 or bf16."
    )
    device: str = _setting("auto", option="Where to compute: auto, cpu, cuda, ...")
    """A torch device; `auto` takes CUDA where there is one."""
    rating_scale: str = _setting(
        "0..10",
        option="Scale of the column mos, as low..high; needed where none leaves 1..5 or 0..1.",
    )
    """Predicted ratings are on 0..10 whatever the scale of `mos` is."""

    # Advanced settings follow.
    gradient_accumulation: int = _setting(1, least=1, option="Batches per step.")
    """Batches per optimiser step."""
    allow_shared_captions: bool = _setting(
        False, option="For closed label sets only: validation may repeat captions."
    )
    """Only for closed label sets, where every caption must stand in every split."""
    train_audio: str = _setting("as train", choices=("as train", "frozen", *HOW))
    train_text: str = _setting("as train", choices=("as train", "frozen", *HOW))
    """`train` for one tower alone; `frozen` stops its projection too."""
    last_layers: int = _setting(1, least=1)
    """Layers of an encoder that learn with `last`."""
    lora_rank: int = _setting(8, least=1)
    lora_alpha: float = _setting(16.0, least=1e-6)
    """Adapters are scaled by alpha / rank."""
    audio_encoder_rate: float = _setting(1.0, least=0.0, most=1000.0)
    text_encoder_rate: float = _setting(1.0, least=0.0, most=1000.0)
    projection_rate: float = _setting(1.0, least=0.0, most=1000.0)
    scale_rate: float = _setting(1.0, least=0.0, most=1000.0)
    """Shares of the learning rate for these groups of parameters; 0 keeps a group still."""
    learn_logit_scale: bool = True
    """Whether the contrastive temperature is trained."""
    weight_decay: float = _setting(0.01, least=0.0, most=1.0)
    """AdamW's, on matrices and kernels; never on biases, norms and scales."""
    warmup_fraction: float = _setting(0.1, least=0.0, most=1.0)
    """Share of all steps over which the learning rate rises from 0; then it follows a cosine."""
    max_grad_norm: float = _setting(1.0, least=0.0)
    """Gradients are scaled down to this norm; 0 switches clipping off."""
    best_by: str = _setting("auto", choices=("auto", "srcc", "accuracy"))
    """What the best epoch has most of on the validation data: `srcc`, `accuracy` (of choices), or
    `auto`: SRCC where there are rated pairs, else accuracy."""
    ema_decay: float = _setting(0.0, least=0.0, most=0.999999)
    """Above 0, an exponential moving average of the weights is validated and kept instead."""
    soup: int = _setting(0, least=0)
    """At the end the weights of this many best epochs are averaged; kept if no worse."""
    wsce_normalise: Normalise = _setting("batch", choices=("batch", "weight"))  # noqa: RUF009
    """Divisor of wSCE: `batch` (number of pairs) or `weight` (sum of relevances)."""
    wsce_power: float = _setting(1.0, least=0.0, most=100.0)
    """Weight of a pair in wSCE = relevance to this power; 1 is the paper's, 0 weighs all alike."""
    mask_same_caption: bool = True
    """Leave a negative with the pair's own caption out of the softmax."""
    mask_same_clip: bool = True
    """Leave a negative with the pair's own clip out of the softmax."""
    huber_delta: float = _setting(0.1, least=1e-6)
    """Error above which `huber` is linear."""
    rank_margin: float = _setting(0.1, least=0.0)
    """By how much `margin` wants the better pair to lead."""
    rank_temperature: float = _setting(0.1, least=1e-6)
    """Divides cosines (and targets) in `bradley-terry` and `listnet`."""
    rank_least_difference: float = _setting(0.0, least=0.0)
    """`margin` and `bradley-terry` do not rank targets nearer than this."""
    difference_margin: float = _setting(0.1, least=0.0)
    """Error that costs nothing in `difference`."""
    choice_temperature: float = _setting(0.1, least=1e-6)
    """Divides the difference of two cosines in `choice`."""
    listener_ridge: float = _setting(0.1, least=0.0)
    """How strongly `listener` draws a listener to bias 0 and scale 1."""
    listener_learning_rate: float = _setting(0.01, least=0.0, most=1.0)
    """Of the listeners' biases and scales."""
    standardise_targets: bool = False
    """Targets and cosines in standard deviations of the training targets, in all terms but sce,
    wsce, listener and choice (as SPO-CLAPScore); margins and deltas are then in that unit too."""
    certainty_weights: bool = False
    """A pair counts by the certainty of its mean rating (n and spread), a choice by its votes."""
    train_split: str = "train"
    validation_split: str = "validation"
    """Names in the table's `split` column."""
    clip_memory_gb: float = _setting(2.0, least=0.0)
    """Decoded clips kept in memory; the others are decoded again each time."""

    def __post_init__(self) -> None:
        given = {item.name: getattr(self, item.name) for item in fields(self)}
        for name, value in checked_values(type(self), given).items():
            object.__setattr__(self, name, value)
        parse_objective(self.objective)
        RatingScale.parse(self.rating_scale)
        for item in fields(self):
            _check(item.name, getattr(self, item.name), **item.metadata)
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


def _check(
    name: str,
    value: Any,
    *,
    least: float = -math.inf,
    most: float = math.inf,
    choices: tuple[str, ...] = (),
    option: str = "",
) -> None:
    """Raise SettingsError where a value is outside its range or none of its choices."""
    if choices:
        check_choice(name, value, choices)
    elif isinstance(value, (int, float)) and not least <= value <= most:
        shown = most if isinstance(most, int) else f"{most:g}"
        top = "" if math.isinf(most) else f" and at most {shown}"
        raise SettingsError(f"{name} is {value}; expected at least {least:g}{top}")


def parse_objective(text: str) -> dict[str, float]:
    """Coefficient of each term: `wsce+mae`, `mse + 0.5*difference`. Raises SettingsError.

    >>> parse_objective("mse + 0.5*difference")
    {'mse': 1.0, 'difference': 0.5}
    """
    found: dict[str, float] = {}
    for part in text.split("+"):
        factor, star, term = part.rpartition("*")
        term = term.strip()
        if term not in TERMS:
            raise SettingsError(
                f"objective {text!r}: {term!r} is no term; expected a sum of "
                f"{', '.join(TERMS)}{hint(term, TERMS, most=2)}"
            )
        if term in found:
            raise SettingsError(f"objective {text!r} has a term twice")
        found[term] = _coefficient(factor, text) if star else 1.0
    return found


def _coefficient(written: str, objective: str) -> float:
    try:
        value = float(written)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise SettingsError(
            f"objective {objective!r}: coefficient {written.strip()!r}; expected a number above 0, "
            "as in 0.5*difference"
        )
    return value


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
    return build_settings({**given, **(overrides or {})})


def build_settings(given: Mapping[str, object], *, where: str = "") -> TrainingSettings:
    """Settings from a mapping. Raises SettingsError, its message behind `where`."""
    return record_of(TrainingSettings, given, where=where)
