"""Judge a submission to the XACLE challenge; strict where the challenge's own script is not.

On complete inputs the figures are those that the challenge defines. Its script drops rows that do
not match or are NaN, and gives a constant predictor 0.0. Here the first are refused by name, and
the second is undefined.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from humanclap.errors import InputError, listed
from humanclap.grouping import caption_key
from humanclap.metrics import agreement
from humanclap.metrics.bootstrap import Interval, agreement_intervals
from humanclap.xacle import METRICS, SCALE, read_averages, read_submission


@dataclass(frozen=True, slots=True, kw_only=True)
class XacleResult:
    """The challenge's four figures; NaN where `reason` says why. intervals: by caption."""

    srcc: float
    lcc: float
    ktau: float
    mse: float
    n: int
    intervals: dict[str, Interval]
    reason: str | None = None


def evaluate_submission(
    submission: str | Path,
    averages: str | Path,
    *,
    replicates: int = 1000,
    seed: int = 0,
) -> XacleResult:
    """Judge a submission by the challenge's averages (`wav_file_name,text,average_score`).

    Raises TableError with file and line, or InputError naming the files, for a score that is
    missing, extra, given twice, not a number or outside 0..10.
    """
    targets = read_averages(averages, scale=SCALE, files_once=True)
    predicted = read_submission(submission)
    human = {target.audio: target.mos for target in targets}
    missing = [name for name in human if name not in predicted]
    extra = [name for name in predicted if name not in human]
    for files, what in ((missing, "have no prediction"), (extra, "are not in the averages")):
        if files:
            raise InputError(f"{submission}: {len(files)} files {what}: {listed(files)}")
    x = np.array([predicted[name] for name in human])
    y = np.array(list(human.values()))
    captions = [caption_key(target.text) for target in targets]
    intervals = agreement_intervals(
        x, y, captions, rng=np.random.default_rng(seed), predicted=x, replicates=replicates
    )
    return XacleResult(
        srcc=agreement.srcc(x, y),
        lcc=agreement.lcc(x, y),
        ktau=agreement.ktau(x, y),
        mse=agreement.mse(x, y),
        n=x.size,
        intervals={name: intervals[name] for name in METRICS},
        reason=agreement.undefined_reason(x, y),
    )
