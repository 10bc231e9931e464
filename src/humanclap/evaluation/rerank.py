"""Best of N: keep the candidate a metric likes most, and what people gain by it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from humanclap.errors import InputError
from humanclap.evaluation.evaluate import judged_targets
from humanclap.evaluation.join import ScoreTable, join
from humanclap.evaluation.settings import EvaluationSettings
from humanclap.grouping import caption_key
from humanclap.metrics.bootstrap import bootstrap
from humanclap.records import Score, Target
from humanclap.signature import common_signature

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The candidate kept for a prompt; `margin`: its score above the second best, NaN for one."""

    audio: str
    text: str
    score: float
    candidates: int
    margin: float
    signature: str | None
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Gain:
    """What people say of the metric's choice among N candidates, on the scale of the ratings.

    chosen, random, best: mean MOS over prompts of the metric's choice, of a candidate at random,
    and of the one people like most; gain: chosen minus random, with its interval; share: gain as
    a share of what the best would gain, NaN where that is 0.
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


def choose(scores: Sequence[Score], *, force: bool = False) -> list[Choice]:
    """The highest score of each prompt, in order of first appearance; ties go to the first name.

    Prompts that differ only in case or spaces are one. Failed rows do not count; raises InputError
    where a prompt has no other, SignatureMismatchError for scores made in unlike ways unless
    `force`.
    """
    if not force:
        common_signature((row.signature for row in scores), where="the candidates' scores")
    candidates: dict[str, list[Score]] = {}
    for row in scores:
        candidates.setdefault(caption_key(row.text), []).append(row)
    found = []
    for rows in candidates.values():
        scored = sorted(
            (row for row in rows if row.error is None), key=lambda row: (-row.score, row.audio)
        )
        if not scored:
            raise InputError(f"no candidate for {rows[0].text!r} could be scored: {rows[0].error}")
        best = scored[0]
        found.append(
            Choice(
                audio=best.audio,
                text=best.text,
                score=best.score,
                candidates=len(scored),
                margin=best.score - scored[1].score if len(scored) > 1 else math.nan,
                signature=best.signature,
                note=best.note,
            )
        )
    return found


def expected_gains(
    table: ScoreTable, targets: Sequence[Target], settings: EvaluationSettings | None = None
) -> list[Gain]:
    """Human gain of best of N for N = 2 ... , over rated prompts that have N candidates.

    Where a prompt has more than N candidates, the mean over all its sets of N, exactly; equal
    scores share. The interval is a bootstrap over prompts. Raises InputError as `join`, and where
    no prompt has two rated candidates.
    """
    settings = settings or EvaluationSettings()
    judged, left_out = judged_targets(targets, settings, "targets")
    joined = join(
        [table],
        judged,
        left_out=left_out,
        key=settings.key,
        allow_missing=settings.allow_missing,
        force=settings.force,
    )
    prompts: dict[str, list[tuple[float, float]]] = {}
    for target, row in zip(joined.targets, joined.scores[table.name], strict=True):
        prompts.setdefault(caption_key(target.text), []).append((row.score, target.mos))
    sides = [np.array(rows).T for rows in prompts.values()]
    most = max(side.shape[1] for side in sides)
    if most < 2:
        raise InputError("no prompt has two rated candidates to choose from")
    return [_gain(n, [s for s in sides if s.shape[1] >= n], settings) for n in range(2, most + 1)]


def _gain(n: int, sides: Sequence[Floats], settings: EvaluationSettings) -> Gain:
    values = np.array(
        [
            (_best_of(score, human, n), human.mean(), _best_of(human, human, n))
            for score, human in sides
        ]
    )
    chosen, random, best = values.mean(axis=0)

    def statistics(times: Floats) -> dict[str, Floats]:
        return {"gain": times @ (values[:, 0] - values[:, 1]) / times.sum(axis=1)}

    interval = bootstrap(
        statistics,
        len(values),
        rng=np.random.default_rng(settings.seed),
        replicates=settings.replicates,
        confidence=settings.confidence,
    )["gain"]
    return Gain(
        n=n,
        prompts=len(values),
        chosen=float(chosen),
        random=float(random),
        best=float(best),
        gain=float(chosen - random),
        low=interval.low,
        high=interval.high,
        share=float((chosen - random) / (best - random)) if best > random else math.nan,
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
