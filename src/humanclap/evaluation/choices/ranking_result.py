"""What ranking systems by people's choices found: frozen records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from humanclap.evaluation.settings import LeaderboardSettings
from humanclap.evaluation.statistic import Statistic
from humanclap.json_values import plain


@dataclass(frozen=True, slots=True, kw_only=True)
class RankedSystem:
    """One system as people chose.

    strength: natural logarithm of its Bradley–Terry strength, the mean over systems being 0;
    rank_low, rank_high: interval of the rank in the same replicates; won, equal, lost: votes;
    metric, metric_rank: mean and rank by the metric of the score tables, NaN and 0 without one.
    """

    system: str
    rank: int
    strength: Statistic
    rank_low: int
    rank_high: int
    won: int
    equal: int
    lost: int
    prompts: int
    metric: float
    metric_rank: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PeopleDuel:
    """Two systems; difference: log strength of `better` less that of `other`.

    chance: of the votes for one of the two, the share for `better` that the model expects; won,
    equal, lost: votes where the two met, 0 where they never did; p: two-sided t-test of the
    difference with its bootstrap standard error; settled: p_holm below alpha.
    """

    better: str
    other: str
    difference: Statistic
    chance: float
    won: int
    equal: int
    lost: int
    p: float
    p_holm: float
    settled: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RankAgreement:
    """Kendall's tau-b between people's ranking and the metric's, of the same systems.

    prompts_metric: prompts behind the metric's means; prompts_both: those that are chosen on too.
    """

    tau: Statistic
    prompts_metric: int
    prompts_both: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PeopleRanking:
    """Systems in the order of people's choices.

    tie: Davidson's v, 0 where nobody called two clips equal; unbeaten: groups of systems that lost
    no vote to others, for which half a win was added to either side of each compared pair, empty
    where that was not needed; regularised: replicates in which it was; wins: share of the votes the
    first system got against the second, equal ones half, and how many votes there were.
    own: questions left out that had one system on both sides; cluster: what a bootstrap draws.
    """

    systems: tuple[RankedSystem, ...]
    duels: tuple[PeopleDuel, ...]
    tie: float
    unbeaten: tuple[tuple[str, ...], ...]
    regularised: int
    wins: Mapping[tuple[str, str], tuple[float, int]]
    votes: int
    questions: int
    own: int
    anchors: int
    clusters: int
    cluster: str
    asked: str
    agreement: RankAgreement | None
    settings: LeaderboardSettings
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, object]:
        """Plain values, ready for JSON: NaN is None."""
        names = ("tie", "regularised", "votes", "questions", "own", "anchors", "clusters",
                 "cluster")  # fmt: skip
        return {
            "model": "Bradley-Terry, ties by Davidson",
            **{name: plain(getattr(self, name)) for name in names},
            "unbeaten": [list(group) for group in self.unbeaten],
            "systems": [plain(asdict(one)) for one in self.systems],
            "duels": [plain(asdict(one)) for one in self.duels],
            "wins": [
                {"system": one, "other": other, "share": plain(share), "votes": count}
                for (one, other), (share, count) in self.wins.items()
            ],
            "agreement_with_metric": self.agreement and plain(asdict(self.agreement)),
        }
