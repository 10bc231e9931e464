"""Judge metrics by people's choices: accuracy, intervals, ceilings, floors, paired tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from humanclap.errors import InputError
from humanclap.evaluation.choices.accuracy_result import (
    BEST,
    CEILINGS,
    ONE_JUDGE,
    ChoiceCounts,
    ChoiceDifference,
    ChoiceGroup,
    ChoiceMetric,
    JudgedChoices,
)
from humanclap.evaluation.choices.floors import floors
from humanclap.evaluation.exposure import exposure, refuse_met
from humanclap.evaluation.join import Joined, ScoreTable, join_by
from humanclap.evaluation.noted import noted
from humanclap.evaluation.settings import EvaluationSettings
from humanclap.evaluation.statistic import (
    UNMET,
    PairedTest,
    Statistic,
    intervals_of,
    paired_tests,
)
from humanclap.fingerprint import fingerprint_text
from humanclap.grouping import Paired, caption_key
from humanclap.metrics.choice_accuracy import MajorityCeiling, credit, one_judge, votes_met
from humanclap.metrics.permutation import sign_flip_p
from humanclap.metrics.weighted import cluster_codes
from humanclap.pairs import pair_id_of
from humanclap.records import Pair, Votes, roles_met

Floats = NDArray[np.float64]
Places = NDArray[np.intp]


def judge_choices(
    tables: Sequence[ScoreTable],
    votes: Sequence[Votes],
    settings: EvaluationSettings | None = None,
    *,
    others: Sequence[Paired] = (),
    where: str = "choices",
    notes: Sequence[str] = (),
) -> JudgedChoices:
    """How often each metric chooses as people do, on the questions all of them scored.

    The metric chooses the side with the higher score, half of either where they are equal.
    Intervals: bootstrap that draws clips (of choices between texts) or texts (between clips) whole,
    the same draws for all ways to choose. Of the settings, those of the rating scale count for
    nothing. tables may be empty: what can be reached here without ears? others: pairs that are
    judged by ratings; scores for them are not extra.
    Raises InputError as `join` of the pairs of both sides, and where no question is left;
    LeakageError with `refuse_trained_on` where a metric's model met judged pairs.

    >>> from humanclap.records import Score
    >>> votes = [Votes(audio_a=f"{i}.wav", audio_b=f"{i}.wav", text_a="rain", text_b="wind",
    ...                n_first=3, n_second=i % 2) for i in range(6)]
    >>> scores = [Score(audio=f"{i}.wav", text=text, score=score)
    ...           for i in range(6) for text, score in (("rain", 0.3), ("wind", (1 + i) / 10))]
    >>> found = judge_choices([ScoreTable(name="ours", scores=scores)], votes).overall
    >>> found.decided, found.accuracy["ours"].value   # 0.1, 0.2 | 0.3 is a tie | 0.4, 0.5, 0.6
    (6, 0.4166666666666667)
    """
    settings = settings or EvaluationSettings()
    asked = [one for one in votes if one.is_asked(include_anchors=settings.include_anchors)]
    if not asked:
        raise InputError(f"{where}: none of the {len(votes)} questions is to be judged")
    left_out = [*pairs_of(votes), *others]
    joined = join_by(
        settings, tables, pairs_of(asked), left_out=left_out, targets_where=where, what="pair"
    )
    place = {pair.pair_id: i for i, pair in enumerate(joined.targets)}
    judged = [one for one in asked if {one.pair_id_a, one.pair_id_b} <= place.keys()]
    if not judged:
        raise InputError(f"{where}: no question has a score of both sides in every table")
    if settings.refuse_trained_on:
        refuse_met(joined.scores)
    return _Judging(judged, joined, place, settings).judged(
        _counts(votes, asked, judged), tuple(notes)
    )


def pairs_of(votes: Sequence[Votes]) -> list[Pair]:
    """The pairs of both sides of all questions, each once."""
    found = {
        pair_id_of(audio, text): Pair(audio=audio, text=text)
        for one in votes
        for audio, text in ((one.audio_a, one.text_a), (one.audio_b, one.text_b))
    }
    return list(found.values())


def cluster_of(one: Votes) -> tuple[str, str]:
    """What a bootstrap draws whole: the clip of a choice between texts, else the text."""
    if one.between == "texts":
        return "clip", one.audio_a
    return "text", caption_key(one.text_a)


def _counts(
    votes: Sequence[Votes], asked: Sequence[Votes], judged: Sequence[Votes]
) -> ChoiceCounts:
    return ChoiceCounts(
        total=len(votes),
        anchors=sum(one.is_check for one in votes),
        anchors_judged=sum(one.is_check for one in judged),
        unscored=len(asked) - len(judged),
        judged=len(judged),
        one_vote=sum(one.n_first + one.n_second == 1 for one in judged),
    )


@dataclass(frozen=True, slots=True)
class _Asked:
    """The judged questions as columns, shape (n,) each. gaps: of every way to choose."""

    first: Floats
    second: Floats
    decided: NDArray[np.bool_]
    clusters: Places
    gaps: Mapping[str, Floats]

    def at(self, places: Places) -> _Asked:
        return _Asked(
            self.first[places],
            self.second[places],
            self.decided[places],
            self.clusters[places],
            {name: gap[places] for name, gap in self.gaps.items()},
        )

    def credits(self, name: str) -> Floats:
        """Credit of a way to choose, 0 for undecided questions: (n,)."""
        people = np.where(self.decided, self.first - self.second, 1.0)
        return np.where(self.decided, credit(self.gaps[name], people), 0.0)


Ratio = tuple[Floats, Floats]
"""Parts of a share by question: sums of both are divided."""


class _Judging:
    """One judgement at work."""

    def __init__(
        self,
        votes: Sequence[Votes],
        joined: Joined[Pair],
        place: Mapping[str, int],
        settings: EvaluationSettings,
    ) -> None:
        self._votes, self._joined, self._settings = votes, joined, settings
        self._a = np.array([place[one.pair_id_a] for one in votes])
        self._b = np.array([place[one.pair_id_b] for one in votes])
        gaps = {}
        for name, rows in joined.scores.items():
            scores = np.array([row.score for row in rows])
            gaps[name] = scores[self._a] - scores[self._b]
        clusters = [cluster_of(one) for one in votes]
        self._floors = floors(votes, clusters)
        taken = {*CEILINGS, *self._floors} & gaps.keys()
        if taken:
            raise InputError(f"a score table is named {min(taken)!r}, as a row of the report is")
        self._asked = _Asked(
            np.array([one.n_first for one in votes], dtype=np.float64),
            np.array([one.n_second for one in votes], dtype=np.float64),
            np.array([one.decided for one in votes], dtype=bool),
            cluster_codes(clusters),
            {**gaps, **self._floors},
        )
        self._metrics = list(gaps)

    def judged(self, counts: ChoiceCounts, notes: tuple[str, ...]) -> JudgedChoices:
        """All numbers of all groups."""
        floor = self._best_floor()
        versus = [(name, self._metrics[0]) for name in self._metrics[1:]]
        versus += [(name, floor) for name in self._metrics if floor]
        tested = [(b, a) for a, b in combinations(self._metrics, 2)]
        tested += [(name, floor) for name in self._metrics if floor]
        clusters = {cluster_of(one)[0] for one in self._votes}
        return JudgedChoices(
            metrics=tuple(map(self._metric, self._metrics)),
            floors=tuple(self._floors),
            groups=tuple(
                self._group(level, name, places, versus)
                for (level, name), places in self._places().items()
            ),
            tests=self._tests(tested),
            counts=counts,
            cluster=" or ".join(sorted(clusters)),
            questions=fingerprint_text(
                sorted(
                    f"{one.pair_id_a} {one.pair_id_b} {one.n_first} {one.n_second} {one.n_equal}"
                    for one in self._votes
                )
            ),
            settings=self._settings,
            notes=notes,
        )

    def _best_floor(self) -> str:
        sums = {name: float(self._asked.credits(name).sum()) for name in self._floors}
        return max(sums, key=lambda name: sums[name], default="")

    def _metric(self, name: str) -> ChoiceMetric:
        used = {*self._a, *self._b}
        rows = [row for i, row in enumerate(self._joined.scores[name]) if i in used]
        tied = self._asked.decided & (self._asked.gaps[name] == 0)
        return ChoiceMetric(
            name=name,
            coverage=self._joined.coverage[name],
            exposure=exposure(rows),
            ties=int(tied.sum()),
            noted=noted({name: rows}),
        )

    def _places(self) -> dict[tuple[str, str], Places]:
        everyone = np.arange(len(self._votes))
        found = {("overall", ""): everyone}
        met = np.zeros(len(self._joined.targets), dtype=bool)
        for rows in self._joined.scores.values():
            met |= [bool(roles_met(row.met)) for row in rows]
        unmet = everyone[~(met[self._a] | met[self._b])]
        if 0 < len(unmet) < len(everyone):
            found[UNMET, ""] = unmet
        kinds = [one.kind or "(not stated)" for one in self._votes]
        for kind in sorted(set(kinds)) if len(set(kinds)) > 1 else []:
            found["kind", kind] = everyone[[one == kind for one in kinds]]
        return found

    def _group(
        self, level: str, name: str, places: Places, versus: Sequence[tuple[str, str]]
    ) -> ChoiceGroup:
        asked = self._asked.at(places)
        shares = _shares(asked)
        found = _statistics(asked, shares, versus, self._settings)
        return ChoiceGroup(
            level=level,
            name=name,
            questions=len(places),
            decided=int(asked.decided.sum()),
            votes=int((asked.first + asked.second).sum()),
            clusters=len(set(asked.clusters.tolist())),
            accuracy={one: found[f"accuracy/{one}"] for one in (*CEILINGS, *asked.gaps)},
            votes_met={one: found[f"votes/{one}"] for one in (BEST, *asked.gaps)},
            differences=tuple(
                ChoiceDifference(name=one, baseline=other, accuracy=found[f"{one} - {other}"])
                for one, other in versus
            ),
        )

    def _tests(self, wanted: Sequence[tuple[str, str]]) -> tuple[PairedTest, ...]:
        """Credits of two ways to choose, whole clusters exchanged; Holm over all."""
        if not self._settings.permutations or not self._asked.decided.any():
            return ()
        differences = [self._asked.credits(one) - self._asked.credits(b) for one, b in wanted]
        p_values = [
            sign_flip_p(
                np.bincount(self._asked.clusters, weights=difference),
                rng=np.random.default_rng(self._settings.seed),
                permutations=self._settings.permutations,
            )
            for difference in differences
        ]
        decided = self._asked.decided.sum()
        apart = [float(difference.sum() / decided) for difference in differences]
        return paired_tests(wanted, apart, p_values, self._settings.permutations)


def _shares(asked: _Asked) -> dict[str, Ratio]:
    """Every share that is a ratio of sums, by name; see `ChoiceGroup`."""
    decided, votes = asked.decided.astype(np.float64), asked.first + asked.second
    found = {f"accuracy/{ONE_JUDGE}": one_judge(asked.first, asked.second)}
    found[f"votes/{BEST}"] = np.maximum(asked.first, asked.second), votes  # none can meet more
    for name, gap in asked.gaps.items():
        found[f"accuracy/{name}"] = asked.credits(name), decided
        found[f"votes/{name}"] = votes_met(gap, asked.first, asked.second), votes
    return found


def _statistics(
    asked: _Asked,
    shares: Mapping[str, Ratio],
    versus: Sequence[tuple[str, str]],
    settings: EvaluationSettings,
) -> dict[str, Statistic]:
    """All shares, the ceiling and the differences, from the same draws of clusters."""
    ceiling = MajorityCeiling(asked.first, asked.second)
    over, under = (np.stack([ratio[side] for ratio in shares.values()]) for side in (0, 1))

    def statistics(weights: Floats) -> dict[str, Floats]:
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios = (weights @ over.T) / (weights @ under.T)
        found = {name: ratios[:, i] for i, name in enumerate(shares)}
        found[f"accuracy/{BEST}"] = ceiling(weights)["accuracy"]
        for name, baseline in versus:
            difference = found[f"accuracy/{name}"] - found[f"accuracy/{baseline}"]
            found[f"{name} - {baseline}"] = difference
        return found

    codes = cluster_codes(asked.clusters.tolist())
    intervals = intervals_of(
        lambda times: statistics(times[:, codes]), int(codes.max()) + 1, settings
    )
    values = statistics(np.ones((1, len(asked.first))))
    counts = {name: int(ratio[1].sum()) for name, ratio in shares.items()}
    decided = int(asked.decided.sum())
    return {
        name: Statistic.of(
            float(values[name][0]),
            interval,
            n=counts.get(name, decided),
            undefined=_UNDEFINED.get(name, "no question is decided"),
        )
        for name, interval in intervals.items()
    }


_UNDEFINED = {
    f"accuracy/{BEST}": "no question has two votes for a side",
    f"accuracy/{ONE_JUDGE}": "no question has votes of two judges to set side by side",
}
