"""What a run of scores says about each system: the numbers for a paper, without torch."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from humanclap.grouping import caption_key
from humanclap.metrics.bootstrap import bootstrap
from humanclap.metrics.mean_rating import mean_rating_error
from humanclap.records import Score
from humanclap.typeset import PaperTable

REPLICATES = 2000
"""As many as `humanclap compare` draws, so that both give the same interval."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemSummary:
    """One system of a run; None where no row names one.

    clips: number of scored clips, for `prompts` prompts. failed: clips without a score. score: mean
    over prompts of the means of their clips. low, high: its interval, NaN where `reason` says why.
    rating: mean predicted rating on 0..10, with the same weights. rating_error: its standard error
    (`mean_rating_error`). Both are NaN where a clip has no rating.
    """

    system: str | None
    clips: int
    failed: int
    prompts: int = 0
    score: float = math.nan
    low: float = math.nan
    high: float = math.nan
    rating: float = math.nan
    rating_error: float = math.nan
    reason: str | None = None


def summarise(
    scores: Sequence[Score],
    map_error: Callable[[float], float] | None = None,
    *,
    replicates: int = REPLICATES,
    confidence: float = 0.95,
    seed: int = 0,
) -> list[SystemSummary]:
    """A summary for each system, in order of appearance; one for all where no row names a system.

    The mean counts each prompt once, as `evaluation.leaderboard.rank` does. The interval is a
    bootstrap over prompts, widened where they are few (`metrics.bootstrap.expanded_tail`).
    map_error: the shared part of the rating's error at a score (`Calibration.map_error`); None: all
    of it counts as shared.
    """
    of_system: dict[str | None, list[Score]] = {}
    for row in scores:
        of_system.setdefault(row.system, []).append(row)
    return [
        _summary(system, rows, map_error, replicates=replicates, confidence=confidence, seed=seed)
        for system, rows in of_system.items()
    ]


def _summary(
    system: str | None,
    rows: Sequence[Score],
    map_error: Callable[[float], float] | None,
    *,
    replicates: int,
    confidence: float,
    seed: int,
) -> SystemSummary:
    scored = [row for row in rows if row.error is None]
    failed = len(rows) - len(scored)
    if not scored:
        return SystemSummary(system=system, clips=0, failed=failed, reason="no clip scored")
    keys = [caption_key(row.text) for row in scored]
    names, code, clips_of = np.unique(keys, return_inverse=True, return_counts=True)
    weights: Floats = 1 / (len(names) * clips_of[code])
    values = np.array([row.score for row in scored])
    means = np.bincount(code, weights=values) / clips_of  # (prompts,), in order of their keys
    found = bootstrap(
        lambda times: {"mean": times @ means / len(means)},
        len(means),
        rng=np.random.default_rng(seed),
        replicates=replicates,
        confidence=confidence,
    )["mean"]
    return SystemSummary(
        system=system,
        clips=len(scored),
        failed=failed,
        prompts=len(means),
        score=float(means.mean()),
        low=found.low,
        high=found.high,
        rating=float(weights @ np.array([row.rating for row in scored])),
        rating_error=mean_rating_error(scored, weights, map_error),
        reason="a single prompt has no interval" if len(means) == 1 else found.reason,
    )


# -- in words -------------------------------------------------------------------------------


def lines(found: Sequence[SystemSummary]) -> list[str]:
    """An aligned line for each system: n, mean score with interval, mean rating, failures."""
    named = [row.system or "no system" if len(found) > 1 else row.system or "" for row in found]
    cells = [
        [
            name,
            f"n = {_counted(row.clips, 'clip')} of {_counted(row.prompts, 'prompt')}",
            f"score {_score(row)}",
            _rating(row) and f"predicted rating {_rating(row)} of 10",
            f"{row.failed:,} failed" if row.failed else "",
            f"({row.reason})" if row.reason else "",
        ]
        for name, row in zip(named, found, strict=True)
    ]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    padded = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True) if width)
        for row in cells
    )
    return [line.rstrip() for line in padded]


def method(found: Sequence[SystemSummary], *, covers: str | None = None) -> str:
    """How the numbers of `lines` were made, in one sentence or two."""
    told = (
        "mean over prompts [95 % expanded percentile interval, bootstrap over prompts, "
        f"{REPLICATES:,} replicates, seed 0, widened for few prompts]"
    )
    if any(math.isfinite(row.rating) for row in found):
        told += (
            "; predicted rating ± standard error, of which the map's own part does not shrink with "
            "n" + (f"; fitted on {covers} sound only" if covers else "")
        )
    return told


def paper_table(
    found: Sequence[SystemSummary], *, signature: str, covers: str | None = None, met: int = 0
) -> PaperTable:
    """The summaries as a table for a paper: units and n in its caption, signature below it.

    covers: the kinds of sound that predicted ratings were fitted on. met: number of clips that the
    metric's model met in training, or whose prompt it met.
    """
    rated = any(math.isfinite(row.rating) for row in found)
    failing = any(row.failed for row in found)
    columns = ["System", "clips", "prompts", "score [95 % CI]"]
    columns += ["predicted rating"] * rated + ["failed"] * failing
    rows = [
        (
            row.system or "–",
            f"{row.clips:,}",
            f"{row.prompts:,}",
            _score(row),
            *([_rating(row) or "–"] * rated),
            *([f"{row.failed:,}"] * failing),
        )
        for row in found
    ]
    caption = (
        "How well generated audio matches its prompt: mean score (cosine in −1..1, higher is "
        "better)" + (", mean rating predicted by it (0..10, ± standard error)" if rated else "")
        + f"; n = {_counted(sum(row.clips for row in found), 'clip')}."
    )  # fmt: skip
    told = method(found, covers=covers)
    notes = [f"Scores: {signature}.", f"{told[0].upper()}{told[1:]}."]
    missing = [("[–]" if row.clips else "–", row.reason) for row in found if row.reason]
    notes += [f"{dash}: {reason}." for dash, reason in dict.fromkeys(missing)]
    if met:
        notes.append(f"The metric's model met {met:,} of these clips or their prompts in training.")
    return PaperTable(
        caption=caption, label="scores", columns=tuple(columns), rows=tuple(rows),
        notes=tuple(notes),
    )  # fmt: skip


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _score(row: SystemSummary) -> str:
    if not row.clips:
        return "–"
    if math.isnan(row.low):
        return f"{row.score:.3f} [–]"
    return f"{row.score:.3f} [{row.low:.3f}, {row.high:.3f}]"


def _rating(row: SystemSummary) -> str:
    """Empty where there is none."""
    if math.isnan(row.rating):
        return ""
    error = "" if math.isnan(row.rating_error) else f" ± {row.rating_error:.2f}"
    return f"{row.rating:.2f}{error}"
