"""Pass, fail, or not enough prompts to tell: one-sided bounds over prompts.

A check passes where the bound on its bad side clears the limit, and fails where the bound on the
good side does not reach it. At a truth that lies exactly on the limit either happens by mistake
with 1 - confidence. With several checks, all must pass, which needs no correction (intersection-
union test, Berger 1982); the bounds that fail share the error (Bonferroni).
Source: non-inferiority by confidence bound, e.g. CONSORT extension, Piaggio et al. 2012.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from humanclap.errors import SettingsError, SignatureMismatchError
from humanclap.evaluation.exposure import exposure
from humanclap.evaluation.gate.pairing import PairedPrompts, paired_systems
from humanclap.evaluation.gate.questions import Question, question
from humanclap.evaluation.gate.result import (
    Check,
    ClipWithoutScore,
    Gate,
    Kind,
    PromptChange,
    Verdict,
)
from humanclap.evaluation.gate.settings import GateSettings
from humanclap.evaluation.gate.table import GateRow, GateTable
from humanclap.evaluation.noted import noted
from humanclap.metrics.mean_rating import MapError
from humanclap.records import roles_met
from humanclap.signature import common_signature

Floats = NDArray[np.float64]


def gate(
    new: GateTable,
    baseline: GateTable | None = None,
    settings: GateSettings | None = None,
    *,
    map_error: MapError | None = None,
) -> Gate:
    """Judge the systems of `new` by the margin to a baseline, by limits, or by both.

    map_error: the shared part of the rating's error at a score; None: all of it is taken as shared.
    Raises SettingsError where nothing is asked, or a margin without a baseline or the reverse;
    InputError for systems or prompts that do not meet, and for a rating wanted but absent;
    SignatureMismatchError for scores made in unlike ways unless `force`.

    >>> from humanclap.records import Score
    >>> rows = [GateRow(line=i, score=Score(audio=f"{i}", text=f"{i}", score=0.01 * i))
    ...         for i in range(20)]
    >>> gate(GateTable(where="new.csv", rows=tuple(rows)), settings=GateSettings(min_score=0.05))
    Gate(verdict='pass', ...)
    """
    settings = settings or GateSettings()
    _check_asked(baseline, settings)
    found = paired_systems(new, baseline, settings)
    asked = _asked(settings)
    count = len(asked) * len(found)
    checks = tuple(
        _check(question(kind, pair, settings, new, map_error), kind, pair, settings, count)
        for pair in found
        for kind in asked
    )
    failed = _failed(new, [pair.system for pair in found])
    old_failed = _failed(baseline, [p.baseline_system for p in found]) if baseline else []
    signature, unsigned = _signature(new, baseline, found, settings)
    return Gate(
        verdict=_whole(checks, len(failed) > settings.max_failed),
        checks=checks,
        new_where=new.where,
        baseline_where=None if baseline is None else baseline.where,
        failed=tuple(failed),
        baseline_failed=len(old_failed),
        left_out=tuple(dict.fromkeys(text for pair in found for text in pair.left_out)),
        unscored=tuple(dict.fromkeys(text for pair in found for text in pair.unscored)),
        worst=_worst(found, settings),
        identical=baseline is not None
        and all(pair.prompts and (pair.new == pair.baseline).all() for pair in found),
        signature=signature,
        unsigned=unsigned,
        map_known=map_error is not None,
        settings=settings,
        **_said_by_rows(new, baseline, found),
    )


def _said_by_rows(
    new: GateTable, baseline: GateTable | None, found: Sequence[PairedPrompts]
) -> dict[str, Any]:
    """What the judged rows say beside their values: what was met, notes, what the map covers."""
    rows = [(new, row) for pair in found for row in pair.rows]
    rows += [(baseline, row) for pair in found for row in pair.baseline_rows if baseline]
    scores = [row.score for _, row in rows]
    covers = sorted({row.rating_covers for row in scores if row.rating_covers})
    return {
        "exposure": exposure(scores),
        "met": tuple(_place(table, row) for table, row in rows if roles_met(row.score.met)),
        "noted": noted({t.where: [r.score for u, r in rows if u is t] for t, _ in rows}),
        "covers": "; ".join(covers) or None,
    }


def _check_asked(baseline: GateTable | None, settings: GateSettings) -> None:
    if settings.margin is None and baseline is not None:
        raise SettingsError("a baseline needs a margin: how much worse the new mean may be")
    if settings.margin is not None and baseline is None:
        raise SettingsError("a margin needs a baseline: the table that the new one is set against")
    if baseline is None and (settings.baseline_system is not None or settings.shared_only):
        raise SettingsError("baseline_system and shared_only need a baseline and a margin")
    if not _asked(settings):
        raise SettingsError(
            "nothing is asked; give a margin with a baseline, a limit of the score, or min_rating"
        )


def _asked(settings: GateSettings) -> list[Kind]:
    kinds: dict[Kind, float | None] = {
        "margin": settings.margin,
        "limit": settings.limit,
        "rating": settings.min_rating,
    }
    return [kind for kind, value in kinds.items() if value is not None]


def _whole(checks: Sequence[Check], too_many_failed: bool) -> Verdict:
    verdicts = {check.verdict for check in checks}
    if "fail" in verdicts or too_many_failed:
        return "fail"
    return "undecided" if "undecided" in verdicts else "pass"


def _check(
    question: Question, kind: Kind, pair: PairedPrompts, settings: GateSettings, checks: int
) -> Check:
    fail_confidence = 1 - (1 - settings.confidence) / checks
    lower, upper = question.bounds(settings, fail_confidence)
    verdict, reason = _decide(question, lower, upper, settings)
    ends = sorted((question.sign * lower, question.sign * upper))
    differs = kind == "margin"
    deciding = fail_confidence if question.mean < question.limit else settings.confidence
    new = question.values if kind == "rating" else pair.new
    return Check(
        kind=kind,
        system=pair.system,
        baseline_system=pair.baseline_system if differs else None,
        limit=question.sign * question.limit or 0.0,
        verdict=verdict,
        estimate=question.sign * question.mean,
        sd=question.spread,
        lower=ends[0],
        upper=ends[1],
        pass_confidence=settings.confidence,
        fail_confidence=fail_confidence,
        prompts=len(pair.prompts),
        clips=len(pair.rows),
        baseline_clips=len(pair.baseline_rows) if differs else 0,
        new_mean=float(new.mean()) if new.size else math.nan,
        baseline_mean=float(pair.baseline.mean()) if pair.baseline.size and differs else math.nan,
        map_error=question.shared,
        lower_is_better=question.sign < 0,
        needed_if_equal=question.needed(-question.limit, settings, settings.confidence)
        if differs
        else math.nan,
        needed_as_seen=question.needed(abs(question.mean - question.limit), settings, deciding),
        reason=reason,
    )


def _decide(
    question: Question, lower: float, upper: float, settings: GateSettings
) -> tuple[Verdict, str | None]:
    """The verdict, and why there is none where that is not the bounds."""
    count = question.values.size
    if count < settings.min_prompts:
        return "undecided", f"fewer than {settings.min_prompts} prompts"
    if lower > question.limit:
        return "pass", None
    if upper < question.limit:
        return "fail", None
    bounded = math.isfinite(lower) and math.isfinite(upper)
    return "undecided", None if bounded else "all but one or two have the same value"


def _failed(table: GateTable, systems: Sequence[str | None]) -> list[ClipWithoutScore]:
    return [
        ClipWithoutScore(
            where=f"{table.where}:{row.line}",
            audio=row.score.audio,
            text=row.score.text,
            error=row.score.error or "",
        )
        for row in table.rows
        if row.score.error is not None and row.score.system in systems
    ]


def _worst(found: Sequence[PairedPrompts], settings: GateSettings) -> tuple[PromptChange, ...]:
    """The prompts that lost the most, or that are the worst where there is no baseline."""
    sign = -1.0 if settings.lower_is_better else 1.0
    changes = [
        PromptChange(text=text, system=pair.system, new=new, baseline=old, difference=new - old)
        for pair in found
        for text, new, old in zip(
            pair.texts,
            pair.new.tolist(),
            pair.baseline.tolist() or [math.nan] * len(pair.texts),
            strict=True,
        )
    ]
    lost = [change for change in changes if not sign * change.difference >= 0]

    def worth(change: PromptChange) -> float:
        return sign * (change.new if math.isnan(change.difference) else change.difference)

    return tuple(sorted(lost, key=lambda one: (worth(one), one.text))[: settings.worst])


def _signature(
    new: GateTable,
    baseline: GateTable | None,
    found: Sequence[PairedPrompts],
    settings: GateSettings,
) -> tuple[str | None, bool]:
    """The scores' common signature, and whether some rows have none where others have one."""
    rows = [row.score for pair in found for row in (*pair.rows, *pair.baseline_rows)]
    signatures = {row.signature for row in rows if row.signature}
    unsigned = bool(signatures) and any(not row.signature for row in rows)
    if settings.force:
        return (next(iter(signatures)) if len(signatures) == 1 else None), unsigned
    where = new.where if baseline is None else f"{new.where} and {baseline.where}"
    try:
        return common_signature(signatures, where=where), unsigned
    except SignatureMismatchError as error:
        raise SignatureMismatchError(f"{error}, or give --force") from error


def _place(table: GateTable, row: GateRow) -> str:
    return f"{table.where}:{row.line} {row.score.audio} | {row.score.text}: {row.score.met}"
