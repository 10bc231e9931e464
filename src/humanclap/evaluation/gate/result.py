"""What a gate found: frozen records."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

from humanclap.evaluation.exposure import Exposure
from humanclap.evaluation.gate.settings import GateSettings
from humanclap.evaluation.noted import Noted
from humanclap.json_values import plain

Verdict = Literal["pass", "fail", "undecided"]
Kind = Literal["margin", "limit", "rating"]
"""A mean difference against the margin, a mean of the metric, or a mean predicted rating."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One question about one system; every figure in the units of the column.

    limit: what the estimate must be shown to keep to: the margin below (or above) 0, or the limit
    of a mean. estimate: mean difference new - old, or mean, over `prompts`; sd: between prompts;
    lower, upper: one-sided bounds, of `pass_confidence` on the bad side and of `fail_confidence` on
    the good one. map_error: standard error of the rating map, which no prompt
    makes smaller. needed_if_equal, needed_as_seen: prompts at which it would be decided if new and
    old were equal, or were as they are seen here; infinite where no number is enough. reason: why
    it is not decided, where that is not the bounds.
    """

    kind: Kind
    system: str | None
    baseline_system: str | None = None
    limit: float
    verdict: Verdict
    estimate: float
    sd: float
    lower: float
    upper: float
    pass_confidence: float
    fail_confidence: float
    prompts: int
    clips: int
    baseline_clips: int = 0
    new_mean: float
    baseline_mean: float
    map_error: float = 0.0
    lower_is_better: bool = False
    needed_if_equal: float
    needed_as_seen: float
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptChange:
    """A prompt's mean value in both tables; NaN for the baseline where there is none."""

    text: str
    system: str | None
    new: float
    baseline: float
    difference: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipWithoutScore:
    """A row of the new table that has no score; where: `file:line`."""

    where: str
    audio: str
    text: str
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """The verdict and what it is based on.

    verdict: fail where a check fails or too many rows failed; else undecided where a check is;
    else pass. failed: rows of the judged new systems without a score; baseline_failed: how many of
    the baseline's; left_out: prompts that only one side has (shared_only); unscored: prompts of
    which one side has failed rows only. worst: those that lost the most. met: pairs that the
    metric's model met, with where they stand. map_known: whether the shared part of the rating's
    error is known.
    """

    verdict: Verdict
    checks: tuple[Check, ...]
    new_where: str
    baseline_where: str | None
    failed: tuple[ClipWithoutScore, ...]
    baseline_failed: int
    left_out: tuple[str, ...]
    unscored: tuple[str, ...]
    worst: tuple[PromptChange, ...]
    identical: bool
    signature: str | None
    unsigned: bool
    exposure: Exposure
    met: tuple[str, ...]
    noted: tuple[Noted, ...]
    covers: str | None
    map_known: bool
    settings: GateSettings

    @property
    def too_many_failed(self) -> bool:
        """Whether more rows lack a score than may."""
        return len(self.failed) > self.settings.max_failed

    def to_dict(self) -> dict[str, object]:
        """Plain values, ready for JSON: NaN and infinities are None."""
        return {name: plain(value) for name, value in asdict(self).items()}
