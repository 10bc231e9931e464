"""Rank systems by people's choices between their clips, with intervals over prompts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from humanclap.errors import InputError, listed
from humanclap.evaluation.choices.accuracy import cluster_of
from humanclap.evaluation.choices.ranking_result import (
    PeopleDuel,
    PeopleRanking,
    RankAgreement,
    RankedSystem,
)
from humanclap.evaluation.settings import LeaderboardSettings
from humanclap.evaluation.statistic import Statistic, intervals_of
from humanclap.fingerprint import fingerprint_text
from humanclap.metrics.agreement import ktau_rows
from humanclap.metrics.bootstrap import Interval, standard_error
from humanclap.metrics.bradley_terry import (
    Strengths,
    compared_groups,
    fit_bradley_terry,
    unbeaten_groups,
)
from humanclap.metrics.permutation import holm
from humanclap.metrics.weighted import cluster_codes
from humanclap.records import Votes

Floats = NDArray[np.float64]

_CALLED = {"clip": "clip", "text": "prompt"}
"""How reports call what a bootstrap draws: systems answer prompts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricValues:
    """What a metric says of the systems: values, shape (prompts, systems); prompts: their keys."""

    prompts: Sequence[str]
    systems: Sequence[str]
    values: Floats


def rank_by_choices(
    votes: Sequence[Votes],
    settings: LeaderboardSettings | None = None,
    *,
    metric: MetricValues | None = None,
    where: str = "choices",
    notes: Sequence[str] = (),
) -> PeopleRanking:
    """Bradley–Terry strengths of systems, ties by Davidson; intervals by bootstrap over prompts.

    Every vote counts once. Attention checks and questions between two clips of one system are left
    out, and so are, with `systems`, those of others. A replicate draws prompts whole (clips, of
    choices between texts), with all their votes and the metric's values. Intervals of strengths and
    differences are value ± t · standard error of the replicates (their percentiles would double the
    estimate's outward bias), of ranks and tau expanded percentiles.
    Raises InputError for a side without a system, fewer than two systems, systems that were never
    compared with the rest, and where the metric's systems are not those people chose between.
    """
    settings = settings or LeaderboardSettings()
    asked = [one for one in votes if one.is_asked()]
    _refuse_unnamed(asked, where)
    wanted = set(settings.systems)
    given = [one for one in asked if not wanted or {one.system_a, one.system_b} <= wanted]
    kept = [one for one in given if one.system_a != one.system_b]
    systems = sorted({str(name) for one in kept for name in (one.system_a, one.system_b)})
    if len(systems) < 2:
        raise InputError(f"{where}: {len(systems)} systems were chosen between; ranking needs two")
    if metric is not None:
        _refuse_others(kept, systems, metric, where)
    ranking = _Ranking(kept, systems, settings, metric)
    ranking.refuse_apart(where)
    return ranking.ranked(
        own=len(given) - len(kept), anchors=len(votes) - len(asked), notes=tuple(notes)
    )


def _refuse_unnamed(votes: Sequence[Votes], where: str) -> None:
    unnamed = [one for one in votes if None in (one.system_a, one.system_b)]
    if unnamed:
        one = unnamed[0]
        raise InputError(
            f"{where}: {len(unnamed)} of {len(votes)} questions do not say which systems they are "
            f"between, for example {one.audio_a!r} against {one.audio_b!r}; fill the columns "
            "system_a and system_b"
        )


def _refuse_others(
    votes: Sequence[Votes], systems: Sequence[str], metric: MetricValues, where: str
) -> None:
    """The metric ranks systems by their clips: the same ones that people chose between."""
    if any(one.between == "texts" for one in votes):
        raise InputError(
            f"{where}: choices between texts rank what wrote them, the score tables what made the "
            "clips; give --choices without score tables"
        )
    unlike = set(systems) ^ set(metric.systems)
    if unlike:
        raise InputError(
            f"{where}: people chose between {listed(systems)}; the scores are of "
            f"{listed(sorted(metric.systems))}; name those both have with --system"
        )


class _Ranking:
    """One ranking at work."""

    def __init__(
        self,
        votes: Sequence[Votes],
        systems: Sequence[str],
        settings: LeaderboardSettings,
        metric: MetricValues | None,
    ) -> None:
        self._votes, self._systems, self._settings = votes, list(systems), settings
        own = [cluster_of(one) for one in votes]
        further = [] if metric is None else [("text", prompt) for prompt in metric.prompts]
        codes = cluster_codes([*own, *further])  # those of the choices come first
        self._codes = codes[: len(votes)]
        self._count = int(self._codes.max()) + 1
        self._wins, self._ties = self._counted()
        self._values = self._mean_values(metric, codes[len(votes) :])
        self._regularised = 0

    def _counted(self) -> tuple[Floats, Floats]:
        """Wins and ties by prompt: (prompts, systems, systems) each."""
        place = {name: i for i, name in enumerate(self._systems)}
        wins, ties = np.zeros((2, self._count, len(place), len(place)))
        for one, code in zip(self._votes, self._codes, strict=True):
            a, b = place[str(one.system_a)], place[str(one.system_b)]
            wins[code, a, b] += one.n_first
            wins[code, b, a] += one.n_second
            ties[code, a, b] += one.n_equal
            ties[code, b, a] += one.n_equal
        return wins, ties

    def _mean_values(self, metric: MetricValues | None, codes: NDArray[np.intp]) -> Floats | None:
        """The metric's values by prompt, and 1 where a prompt has them: (prompts, systems + 1)."""
        if metric is None:
            return None
        found = np.zeros((max(self._count, int(codes.max()) + 1), len(self._systems) + 1))
        order = [list(metric.systems).index(name) for name in self._systems]
        found[codes, :-1] = metric.values[:, order]
        found[codes, -1] = 1
        return found

    def refuse_apart(self, where: str) -> None:
        """Strengths of systems that were never compared have nothing to do with each other."""
        groups = compared_groups(self._wins.sum(axis=0), self._ties.sum(axis=0))
        if len(groups) > 1:
            named = "; ".join(", ".join(self._systems[i] for i in group) for group in groups)
            raise InputError(
                f"{where}: the systems fall into {len(groups)} groups between which nobody chose "
                f"({named}); rank each by itself (--system), or collect choices between them"
            )

    def _fit(self, times: Floats) -> Strengths:
        shape = (len(times), *self._wins.shape[1:])
        wins, ties = (
            (times @ counts.reshape(self._count, -1)).reshape(shape)
            for counts in (self._wins, self._ties)
        )
        return fit_bradley_terry(wins, ties)

    def _statistics(self, times: Floats) -> dict[str, Floats]:
        fitted = self._fit(times)
        self._regularised += int(fitted.regularised.sum())
        strengths = fitted.log_strengths
        ranks = stats.rankdata(-strengths, axis=1)
        found = {f"strength/{i}": strengths[:, i] for i in range(len(self._systems))}
        found |= {f"rank/{i}": ranks[:, i] for i in range(len(self._systems))}
        for a, b in combinations(range(len(self._systems)), 2):
            found[f"difference/{a}/{b}"] = strengths[:, a] - strengths[:, b]
        return found

    def ranked(self, *, own: int, anchors: int, notes: tuple[str, ...]) -> PeopleRanking:
        """All numbers."""
        once = np.ones((1, self._count))
        fitted, observed = self._fit(once), self._statistics(once)
        intervals, errors = self._spread({name: float(x[0]) for name, x in observed.items()})
        weak = bool(fitted.regularised[0])
        unbeaten = unbeaten_groups(self._wins.sum(axis=0)) if weak else []
        return PeopleRanking(
            systems=tuple(self._standings(observed, intervals)),
            duels=tuple(self._duels(observed, intervals, errors)),
            tie=float(fitted.tie[0]),
            unbeaten=tuple(tuple(self._systems[i] for i in group) for group in unbeaten),
            regularised=self._regularised,
            wins=self._shares(),
            votes=sum(one.n for one in self._votes),
            questions=len(self._votes),
            own=own,
            anchors=anchors,
            clusters=len(set(self._codes.tolist())),
            cluster=" or ".join(sorted({_CALLED[cluster_of(one)[0]] for one in self._votes})),
            asked=fingerprint_text(
                sorted(
                    f"{one.pair_id_a} {one.system_a} {one.pair_id_b} {one.system_b} {one.n_first} "
                    f"{one.n_second} {one.n_equal}"
                    for one in self._votes
                )
            ),
            agreement=self._agreement(),
            settings=self._settings,
            notes=notes,
        )

    def _spread(
        self, observed: Mapping[str, float]
    ) -> tuple[dict[str, Interval], dict[str, float]]:
        """Interval of every statistic, and the standard error of all but ranks."""
        self._regularised = 0
        drawn: dict[str, list[Floats]] = {}

        def kept(times: Floats) -> Mapping[str, Floats]:
            found = self._statistics(times)
            for name, values in found.items():
                drawn.setdefault(name, []).append(values)
            return found

        intervals = intervals_of(kept, self._count, self._settings)
        errors = {}
        for name, values in drawn.items():
            if not name.startswith("rank/"):
                errors[name] = max(
                    standard_error(np.concatenate(values), self._count),
                    least_error(observed[name], self._count),
                )
                intervals[name] = self._t_interval(observed[name], errors[name], intervals[name])
        return intervals, errors

    def _statistic(self, value: float, interval: Interval) -> Statistic:
        votes = sum(one.n for one in self._votes)
        return Statistic.of(value, interval, n=votes, undefined="all systems are equal on one side")

    def _standings(
        self, observed: Mapping[str, Floats], intervals: Mapping[str, Interval]
    ) -> list[RankedSystem]:
        wins, ties = self._wins.sum(axis=0), self._ties.sum(axis=0)
        strengths = np.array([observed[f"strength/{i}"][0] for i in range(len(self._systems))])
        ranks = stats.rankdata(-strengths.round(12), method="min")
        means = _means(self._values, None)[0] if self._values is not None else wins[0] * np.nan
        by_metric = stats.rankdata(-means, method="min")
        prompts = (self._wins + self._ties).sum(axis=2) + self._wins.sum(axis=1) > 0
        found = [
            RankedSystem(
                system=name,
                rank=int(ranks[i]),
                strength=self._statistic(strengths[i], intervals[f"strength/{i}"]),
                rank_low=_whole(intervals[f"rank/{i}"].low),
                rank_high=_whole(intervals[f"rank/{i}"].high),
                won=int(wins[i].sum()),
                equal=int(ties[i].sum()),
                lost=int(wins[:, i].sum()),
                prompts=int(prompts[:, i].sum()),
                metric=float(means[i]),
                metric_rank=0 if self._values is None else int(by_metric[i]),
            )
            for i, name in enumerate(self._systems)
        ]
        return sorted(found, key=lambda one: (one.rank, one.system))

    def _duels(
        self,
        observed: Mapping[str, Floats],
        intervals: Mapping[str, Interval],
        errors: Mapping[str, float],
    ) -> list[PeopleDuel]:
        pairs = list(combinations(range(len(self._systems)), 2))
        p_values = [
            _t_test(observed[name][0], errors[name], self._count)
            for name in (f"difference/{a}/{b}" for a, b in pairs)
        ]
        found = [
            self._duel(a, b, observed, intervals, p, corrected)
            for (a, b), p, corrected in zip(pairs, p_values, holm(p_values), strict=True)
        ]
        strength = {
            name: observed[f"strength/{i}"][0].item() for i, name in enumerate(self._systems)
        }
        return sorted(found, key=lambda one: (-strength[one.better], -strength[one.other]))

    def _duel(
        self,
        a: int,
        b: int,
        observed: Mapping[str, Floats],
        intervals: Mapping[str, Interval],
        p: float,
        p_holm: float,
    ) -> PeopleDuel:
        name = f"difference/{a}/{b}"
        found = self._statistic(observed[name][0], intervals[name])
        if found.value < 0:
            a, b = b, a
            found = replace(found, value=-found.value, low=-found.high, high=-found.low)
        wins, ties = self._wins.sum(axis=0), self._ties.sum(axis=0)
        return PeopleDuel(
            better=self._systems[a],
            other=self._systems[b],
            difference=found,
            chance=float(special.expit(found.value)),
            won=int(wins[a, b]),
            equal=int(ties[a, b]),
            lost=int(wins[b, a]),
            p=p,
            p_holm=p_holm,
            settled=p_holm < self._settings.alpha,
        )

    def _shares(self) -> dict[tuple[str, str], tuple[float, int]]:
        wins, ties = self._wins.sum(axis=0), self._ties.sum(axis=0)
        found = {}
        for a, one in enumerate(self._systems):
            for b, other in enumerate(self._systems):
                count = wins[a, b] + wins[b, a] + ties[a, b]
                if count:
                    share = float((wins[a, b] + ties[a, b] / 2) / count)
                    found[one, other] = (share, int(count))
        return found

    def _agreement(self) -> RankAgreement | None:
        """Prompts of either side are drawn, with their choices and the metric's values."""
        if self._values is None:
            return None
        values = self._values

        def tau(times: Floats) -> dict[str, Floats]:
            strengths = self._fit(times[:, : self._count]).log_strengths
            return {"tau": ktau_rows(strengths, _means(values, times))}

        interval = intervals_of(tau, len(values), self._settings)["tau"]
        value = float(tau(np.ones((1, len(values))))["tau"][0])
        return RankAgreement(
            tau=self._statistic(value, interval),
            prompts_metric=int(values[:, -1].sum()),
            prompts_both=int(values[: self._count, -1].sum()),
        )

    def _t_interval(self, value: float, error: float, drawn: Interval) -> Interval:
        """value ± t · standard error, so that it holds 0 where the test's p is above alpha."""
        if math.isnan(drawn.low):
            return drawn
        quantile = stats.t.ppf((1 + self._settings.confidence) / 2, self._count - 1)
        reach = float(quantile) * error
        return replace(drawn, low=value - reach, high=value + reach)


def _means(values: Floats, times: Floats | None) -> Floats:
    """The metric's mean of each system, (replicates, systems); NaN where no prompt has values."""
    total = values.sum(axis=0, keepdims=True) if times is None else times @ values
    with np.errstate(divide="ignore", invalid="ignore"):
        found: Floats = total[:, :-1] / total[:, -1:]
    return found


def least_error(value: float, clusters: int) -> float:
    """The smallest standard error that is believed of a strength or difference; 0 for one cluster.

    Where no prompt says otherwise all replicates are alike, and their standard error is next to 0
    however few prompts there are. With this one p is at least 2^(1 - C), the smallest p-value that
    an exact sign-flip test of C clusters can have.
    """
    if clusters < 2:
        return 0.0
    return abs(value) / float(stats.t.isf(0.5**clusters, clusters - 1))


def _t_test(difference: float, error: float, clusters: int) -> float:
    """Two-sided p of a difference; NaN where it has no standard error."""
    if not error > 0:
        return math.nan
    return float(2 * stats.t.sf(abs(difference) / error, clusters - 1))


def _whole(value: float) -> int:
    """A rank, 0 where there is no interval."""
    return 0 if math.isnan(value) else round(value)
