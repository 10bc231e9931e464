"""What a comparison of systems found: frozen records."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace

from humanclap.evaluation.choices.ranking_result import PeopleRanking
from humanclap.evaluation.exposure import Exposure
from humanclap.evaluation.noted import Noted
from humanclap.evaluation.settings import LeaderboardSettings
from humanclap.json_values import plain

MAX_GROUPS = 8
"""How many sets of systems are listed with the prompts that they have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """One clip of a system with its value."""

    audio: str
    text: str
    system: str
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One system over all prompts.

    rank_low, rank_high: interval of the rank in the same replicates as that of the mean;
    best_share: share of the prompts where it is best, a tie shared out.
    """

    system: str
    rank: int
    mean: float
    low: float
    high: float
    rank_low: int
    rank_high: int
    best_share: float
    clips: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Duel:
    """Two systems on the same prompts; difference: mean of `better` minus `other`.

    p: two-sided sign-flip permutation test; settled: p_holm below alpha; prompts_needed: at which
    a true difference of this size is found with the wanted power; more_prompts: beyond those there
    are, 0 where there are enough; detectable: the smallest difference these prompts would find.
    """

    better: str
    other: str
    difference: float
    low: float
    high: float
    wins: int
    ties: int
    losses: int
    p: float
    p_holm: float
    settled: bool
    prompts_needed: float
    more_prompts: float
    detectable: float

    @property
    def win_rate(self) -> float:
        """Share of the prompts that `better` wins, ties counted half."""
        return (self.wins + self.ties / 2) / (self.wins + self.ties + self.losses)


@dataclass(frozen=True, slots=True, kw_only=True)
class TypeStanding:
    """One system on the prompts of one caption type."""

    caption_type: str
    system: str
    mean: float
    low: float
    high: float
    prompts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptsOf:
    """How many prompts these systems have, and no other one."""

    systems: tuple[str, ...]
    prompts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """How many clips of a system, failed ones too, stand in one table."""

    system: str
    table: str
    clips: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaderboard:
    """Systems in order of their mean.

    prompts_of: of all prompts, which systems have them; sources: the tables of each system;
    exposure: what the metric's model met of the clips and prompts; unmet: the systems over the
    `unmet_prompts` of which it met nothing, empty where that is all prompts or fewer than two.
    noted: clips whose score has a note, such as silent ones; they count all the same. people: the
    same systems ranked by people's choices, None where there are none.
    """

    standings: tuple[Standing, ...]
    duels: tuple[Duel, ...]
    by_type: tuple[TypeStanding, ...]
    worst: tuple[Clip, ...]
    prompts: int
    prompts_fingerprint: str
    prompts_left_out: int
    failed: int
    signature: str | None
    settings: LeaderboardSettings
    notes: tuple[str, ...] = ()
    exposure: Exposure = field(default_factory=lambda: Exposure(total=0))
    unmet: tuple[Standing, ...] = ()
    unmet_prompts: int = 0
    prompts_of: tuple[PromptsOf, ...] = ()
    sources: tuple[Source, ...] = ()
    noted: tuple[Noted, ...] = ()
    people: PeopleRanking | None = None

    def win_rate(self, system: str, other: str) -> float | None:
        """Share of prompts `system` wins against `other`, None for itself."""
        for duel in self.duels:
            if (duel.better, duel.other) == (system, other):
                return duel.win_rate
            if (duel.better, duel.other) == (other, system):
                return 1 - duel.win_rate
        return None

    def to_dict(self) -> dict[str, object]:
        """Plain values, ready for JSON: NaN and infinities are None."""
        found = {name: plain(value) for name, value in asdict(replace(self, people=None)).items()}
        return {**found, "people": self.people and self.people.to_dict()}
