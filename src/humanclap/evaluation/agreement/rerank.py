"""Best of N: keep the candidate a metric likes most, and what people gain by it."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from humanclap.errors import InputError
from humanclap.evaluation.agreement.judged import judged_targets
from humanclap.evaluation.join import ScoreTable, join_by
from humanclap.evaluation.settings import EvaluationSettings
from humanclap.evaluation.statistic import intervals_of
from humanclap.grouping import caption_key
from humanclap.metrics.weighted import cluster_codes
from humanclap.records import Score, Target
from humanclap.signature import common_signature

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptCandidate(Score):
    """The candidate kept for a prompt: its score, from how many clips and by how much.

    candidates: clips it was chosen from; margin: its score above the second best, NaN for one.
    """

    candidates: int
    margin: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BestOfGain:
    """What people say of the metric's choice among N candidates, on the scale of the ratings.

    prompts: choices that were made, one a prompt, or a prompt and system; chosen, random, best:
    mean MOS over these of the metric's choice, of a candidate at random, and of the one people
    like most; gain: chosen minus random, with its interval; share: gain as a share of what the
    best would gain, NaN where that is 0; reason: why there is no interval.
    """

    n: int
    prompts: int
    chosen: float
    random: float
    best: float
    gain: float
    low: float
    high: float
    share: float
    reason: str | None = None


def choose(
    scores: Sequence[Score], *, force: bool = False, across_systems: bool = False
) -> list[KeptCandidate]:
    """The highest score of each prompt and system, in order of first appearance; ties go to the
    first name.

    across_systems: of each prompt, whatever made the clips; rows that name no system are one.
    Prompts that differ only in case or spaces are one. Failed rows do not count; raises InputError
    where a prompt has no other, SignatureMismatchError for scores made in unlike ways unless
    `force`.

    >>> rows = [Score(audio=f"{s}.wav", text="rain", score=v, system=s[0])
    ...         for s, v in (("a1", 0.1), ("a2", 0.2), ("b1", 0.4))]
    >>> [choice.audio for choice in choose(rows)]
    ['a2.wav', 'b1.wav']
    >>> [choice.audio for choice in choose(rows, across_systems=True)]
    ['b1.wav']
    """
    if not force:
        common_signature((row.signature for row in scores), where="the candidates' scores")
    candidates: dict[Hashable, list[Score]] = {}
    for row in scores:
        place = _prompt(row.text, row.system, across_systems)
        candidates.setdefault(place, []).append(row)
    found = []
    for rows in candidates.values():
        scored = sorted(
            (row for row in rows if row.error is None), key=lambda row: (-row.score, row.audio)
        )
        if not scored:
            of = f" of {rows[0].system}" if rows[0].system and not across_systems else ""
            raise InputError(
                f"no candidate{of} for {rows[0].text!r} could be scored: {rows[0].error}"
            )
        margin = scored[0].score - scored[1].score if len(scored) > 1 else math.nan
        best = {field.name: getattr(scored[0], field.name) for field in fields(Score)}
        found.append(KeptCandidate(candidates=len(scored), margin=margin, **best))
    return found


def _prompt(text: str, system: str | None, across_systems: bool) -> tuple[str, str | None]:
    """What a choice is made for."""
    return caption_key(text), None if across_systems else system


def expected_gains(
    table: ScoreTable,
    targets: Sequence[Target],
    settings: EvaluationSettings | None = None,
    *,
    across_systems: bool = False,
) -> list[BestOfGain]:
    """Human gain of best of N for N = 2 ... , over rated prompts that have N candidates.

    The candidates are clips of one prompt and system (as the target says, else the score), or of
    one prompt with `across_systems`. Where there are more than N, the mean over all sets of N,
    exactly; equal scores share. The interval is a bootstrap over prompts, all systems' choices for
    a prompt together. Raises InputError as `join`, and where no prompt has two rated candidates.
    """
    settings = settings or EvaluationSettings()
    judged, left_out = judged_targets(targets, settings, "targets")
    joined = join_by(settings, [table], judged, left_out=left_out)
    prompts: dict[tuple[str, str | None], list[tuple[float, float]]] = {}
    for target, row in zip(joined.targets, joined.scores[table.name], strict=True):
        place = _prompt(target.text, target.system or row.system, across_systems)
        prompts.setdefault(place, []).append((row.score, target.mos))
    sides = [_Side(prompt=prompt, values=np.array(rows).T) for (prompt, _), rows in prompts.items()]
    most = max(side.candidates for side in sides)
    if most < 2:
        across = len({side.prompt for side in sides}) < len(sides)
        hint = " of one system; --across-systems chooses among all of them" if across else ""
        raise InputError(f"no prompt has two rated candidates to choose from{hint}")
    return [_gain(n, [s for s in sides if s.candidates >= n], settings) for n in range(2, most + 1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Side:
    """The candidates of one choice: scores and mean ratings, shape (2, candidates)."""

    prompt: str
    values: Floats

    @property
    def candidates(self) -> int:
        return int(self.values.shape[1])


def _gain(n: int, sides: Sequence[_Side], settings: EvaluationSettings) -> BestOfGain:
    values = np.array(
        [
            (_best_of(score, human, n), human.mean(), _best_of(human, human, n))
            for score, human in (side.values for side in sides)
        ]
    )
    chosen, random, best = values.mean(axis=0)
    codes = cluster_codes([side.prompt for side in sides])

    def statistics(weights: Floats) -> dict[str, Floats]:
        return {"gain": weights @ (values[:, 0] - values[:, 1]) / weights.sum(axis=1)}

    interval = intervals_of(
        lambda times: statistics(times[:, codes]), int(codes.max()) + 1, settings
    )["gain"]
    return BestOfGain(
        n=n,
        prompts=len(values),
        chosen=float(chosen),
        random=float(random),
        best=float(best),
        gain=float(chosen - random),
        low=interval.low,
        high=interval.high,
        share=float((chosen - random) / (best - random)) if best > random else math.nan,
        reason="one prompt only" if interval.clusters < 2 else interval.reason,
    )


def _best_of(score: Floats, human: Floats, n: int) -> float:
    """Expected human value of the highest score among n of these, drawn without replacement.

    In ascending order the i-th (from 0) is the highest of comb(i, n - 1) sets of the comb(m, n).
    """
    inverse = np.unique(score, return_inverse=True)[1]
    of_equals = np.bincount(inverse, human) / np.bincount(inverse)
    shared = of_equals[inverse][np.argsort(score, kind="stable")]
    sets = [math.comb(i, n - 1) for i in range(score.size)]
    return float(np.dot(sets, shared)) / math.comb(score.size, n)
