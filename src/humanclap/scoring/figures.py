"""Figures of a run of scores: the mean of each system, and how its scores lie."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from humanclap.drawing import Mark, distributions, forest, forest_height, save
from humanclap.errors import InputError
from humanclap.records import Score
from humanclap.scoring.summary import SystemSummary


def draw_scores(
    scores: Sequence[Score], found: Sequence[SystemSummary], folder: Path
) -> list[Path]:
    """Write `systems` (means with intervals) and `scores` (distributions) as SVG and PDF.

    found: the summary of `scores`. Systems without a scored clip are left out; raises InputError
    where none has one, or as `drawing.save`.
    """
    shown = [row for row in found if row.clips]
    if not shown:
        raise InputError(f"{folder}: no clip was scored, so there is nothing to draw")
    marks = [
        Mark(label=_named(row.system), value=row.score, low=row.low, high=row.high) for row in shown
    ]
    values = [
        (
            _named(row.system),
            [s.score for s in scores if s.system == row.system and s.error is None],
        )
        for row in shown
    ]
    mean = forest(marks, title="mean score (cosine) with 95 % interval over prompts")
    lie = distributions(values, title="score (cosine) of each clip")
    height = forest_height(marks)
    return [
        *save(folder, "systems", mean, height=height),
        *save(folder, "scores", lie, height=height + 0.25 * len(marks)),
    ]


def _named(system: str | None) -> str:
    return system or "all clips"
