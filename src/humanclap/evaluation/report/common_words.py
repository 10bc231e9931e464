"""What reports say alike of judgements by ratings, by choices and of leaderboards."""

from __future__ import annotations

import math

from humanclap.evaluation.exposure import Exposure
from humanclap.evaluation.join import Coverage
from humanclap.evaluation.short_forms import counted, p_value, signed
from humanclap.evaluation.statistic import Bootstrapped, PairedTest, Statistic


def bootstrap_words(settings: Bootstrapped, cluster: str) -> str:
    """`95 % expanded percentile intervals, bootstrap of 1,000 replicates clustered by caption`."""
    return (
        f"{100 * settings.confidence:g} % expanded percentile intervals, bootstrap of "
        f"{settings.replicates:,} replicates clustered by {cluster}, seed {settings.seed}"
    )


def not_shown(who: str, found: Exposure, of: str, *, refused: bool) -> str:
    """Where the user refuses met pairs, pairs of which nothing is known prove nothing."""
    if not (refused and (found.unknown or found.unsaid)):
        return ""
    return (
        f"It is not shown that {who} met none of the {of}: for "
        f"{found.unknown + found.unsaid:,} of {found.total:,} this is unknown."
    )


def met_in_training(found: Exposure) -> str:
    """What a metric's model met of judged pairs; nothing where its table does not say."""
    if found.unsaid == found.total:
        return ""
    line = f"Met in training: {found.in_words()}"
    if not found.met:
        line = f"Met in training: none of {counted(found.total - found.unsaid, 'judged pair')}"
    if found.unknown:
        line = "" if found.unknown + found.unsaid == found.total else f"{line}; "
        line = line or "Met in training: "
        line += (
            f"unknown of {counted(found.unknown, 'judged pair')}, as the checkpoint does not name "
            "all it was trained on or the clip has too little sound to be known"
        )
    return line


def difference_in_words(
    names: str, found: Statistic, test: PairedTest | None, *, measure: str, on: str, by: str
) -> str:
    """Which of two is better, by how much, on the same `on`, with the test `by` where there is one.

    names: `ours against theirs`.
    """
    if math.isnan(found.value):
        return f"{names}: undefined: {found.reason}."
    told = f"{names} on the same {on}: {measure} {signed(found)}"
    if test is not None:
        told += f", {by} {p_value(test)}"
    if math.isnan(found.low):
        return f"{told}, no interval can be given."
    if found.low <= 0 <= found.high:
        return f"{told}, no difference is shown."
    return f"{told}, {'better' if found.low > 0 else 'worse'}."


def strength(found: Statistic, *, chance: float, above: str, below: str, within: str) -> str:
    """What an interval that lies above, below or about `chance` says."""
    if math.isnan(found.low):
        return "no interval can be given"
    if found.low > chance:
        return above
    return below if found.high < chance else within


def signature_line(found: Coverage) -> str:
    """The signature of the scores, or why there is none."""
    if found.signatures > 1:
        return f"{found.signatures} unlike signatures, mixed by --force"
    return found.signature or "none in the table"


def rows_line(found: Coverage) -> str:
    """Counts of targets without a score, of failed and of extra rows."""
    unsigned = f", {found.unsigned} without a signature" if found.unsigned else ""
    return (
        f"missing {len(found.missing)}, failed {len(found.failed)}, "
        f"extra {len(found.extra)}{unsigned}"
    )
