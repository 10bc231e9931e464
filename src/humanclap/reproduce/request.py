"""What the user asks to reproduce, and how much of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from humanclap.clap.device import resolve_device
from humanclap.errors import SettingsError
from humanclap.fetch.relate import README_ADDRESS, SCORES_ADDRESS, SCORES_SHA256
from humanclap.scale import RatingScale

PAPER_OBJECTIVES = {
    "SCE": "sce",
    "wSCE": "wsce",
    "MSE": "mse",
    "MAE": "mae",
    "wSCE+MSE": "wsce+mse",
    "wSCE+MAE": "wsce+mae",
    "MSE+MAE": "mse+mae",
    "wSCE+MSE+MAE": "wsce+mse+mae",
}
"""The sums of wSCE, MSE and MAE, whose checkpoints are published, and SCE as their control."""
MAIN_OBJECTIVE = "wSCE+MAE"
"""The paper's own choice (arXiv 2506.23553)."""
PLAIN = ("clap", "clap-fused")
"""Both conventional CLAPs, fused and unfused; the second is the base of the released models."""
RELEASED = (
    "human-clap",
    "human-clap-wsce",
    "human-clap-mse",
    "human-clap-mae",
    "human-clap-wsce-mse",
    "human-clap-mse-mae",
    "human-clap-wsce-mse-mae",
)
NUMBERS_OF_PAIRS = (10, 30, 100, 300, 1000)
"""Rated pairs to train on, for the question how few would have done; all of them is the grid's."""
QUICK_EPOCHS, QUICK_PAIRS, QUICK_NUMBERS = 2, 300, (10, 30)
QUICK_REPLICATES = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What to reproduce. Paths are as given; names are those of `humanclap models`.

    seeds: of every training run; objectives: names among `PAPER_OBJECTIVES`, the main one and SCE
    are always run; quick: few steps, one seed, few pairs, nothing but the projections trained: a
    rehearsal, whose figures mean nothing; base: the model trained; plain, released: the
    models judged beside it; precision: of training, `auto` for bf16 on CUDA and fp32 elsewhere
    (`used_precision`); ratings, audio_root: the user's own instead of RELATE; simulated: the
    ratings were not given by people, which every page then says; note: stands in every report.
    Raises SettingsError.
    """

    seeds: tuple[int, ...] = (0, 1, 2)
    objectives: tuple[str, ...] = tuple(PAPER_OBJECTIVES)
    quick: bool = False
    base: str = "clap-fused"
    plain: tuple[str, ...] = PLAIN
    released: tuple[str, ...] = RELEASED
    device: str = "auto"
    precision: str = "auto"
    epochs: int = 20
    batch_size: int = 32
    ratings: Path | None = None
    audio_root: Path | None = None
    scale: str = "0..10"
    scores_url: str = SCORES_ADDRESS
    scores_sha256: str | None = SCORES_SHA256
    archive_url: str = README_ADDRESS
    archive_sha256: str | None = None
    offline: bool = False
    simulated: bool = False
    note: str = ""

    def __post_init__(self) -> None:
        unknown = [name for name in self.objectives if name not in PAPER_OBJECTIVES]
        if unknown:
            known = ", ".join(PAPER_OBJECTIVES)
            raise SettingsError(f"no objective {unknown[0]!r}; there are {known}")
        if not self.seeds or len(set(self.seeds)) != len(self.seeds):
            raise SettingsError("give at least one seed, and none twice")
        if (self.ratings is None) != (self.audio_root is None):
            raise SettingsError(
                "your own ratings need their clips: give --ratings and --audio-root together"
            )
        if self.ratings is None and RatingScale.parse(self.scale) != RatingScale():
            raise SettingsError(f"scale {self.scale} is that of --ratings; RELATE's is 0..10")

    @property
    def own(self) -> bool:
        """Whether the ratings are the user's and not RELATE's."""
        return self.ratings is not None

    @property
    def labels(self) -> dict[str, str]:
        """Model -> its name in the report: of a path its last part, the last two where another
        model or an objective has that name.
        """
        names = dict.fromkeys((*self.plain, self.base, *self.released))
        paths = {name: Path(name).absolute() for name in names if Path(name).exists()}
        short = {name: paths[name].name if name in paths else name for name in names}
        taken = Counter([*short.values(), *PAPER_OBJECTIVES])
        return {
            name: "/".join(paths[name].parts[-2:]) if name in paths and taken[own] > 1 else own
            for name, own in short.items()
        }

    @property
    def used_precision(self) -> str:
        """`bf16` or `fp32`; most CPUs have no bf16 arithmetic and are slower with it."""
        if self.precision != "auto":
            return self.precision
        return "bf16" if resolve_device(self.device).startswith("cuda") else "fp32"

    @property
    def used_seeds(self) -> tuple[int, ...]:
        """Seeds that are run: the first one of a quick rehearsal."""
        return self.seeds[:1] if self.quick else self.seeds

    @property
    def used_objectives(self) -> dict[str, str]:
        """Name and terms of what is run, in the paper's order, with SCE and the main one."""
        needed = {"SCE", MAIN_OBJECTIVE, *self.objectives}
        return {name: terms for name, terms in PAPER_OBJECTIVES.items() if name in needed}

    @property
    def numbers_of_pairs(self) -> tuple[int, ...]:
        """Numbers of rated pairs, without that of all."""
        return QUICK_NUMBERS if self.quick else NUMBERS_OF_PAIRS

    def as_dict(self) -> dict[str, Any]:
        """Plain values of what decides the figures, ready for JSON."""
        plain = asdict(self)
        for way in ("offline", "scores_url", "archive_url"):
            del plain[way]
        for name in ("ratings", "audio_root"):
            plain[name] = plain[name] and str(Path(plain[name]).absolute())
        return {key: list(v) if isinstance(v, tuple) else v for key, v in plain.items()}
