"""What the figures say about the paper's claims: in one word, and in a sentence that defends it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from humanclap.reproduce.agreement import Estimate

Word = Literal["replicates", "is smaller than published", "does not replicate", "cannot be told"]

PAPER = "https://arxiv.org/abs/2506.23553"
HUMAN_CLAP_SRCC = 0.45
PUBLISHED_GAINS = {"all judged": 0.17, "test alone": 0.17, "natural": 0.15, "synthetic": 0.25}
"""About; by the paper's abstract and its figures (`PAPER`). The paper calls validation and test
together "test", so its gain over all is set beside that of the test split alone too.
"""
RELATE_TEST = {"noise ceiling": 0.774, "system mean": 0.378, "caption words + system": 0.425}
"""SRCC on the 1,311 pairs of RELATE's test split, from its ratings alone, as humanclap published
them: benchmarks/judging_relate.py.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """word: the answer; sentence: with the figures that give it."""

    word: Word
    sentence: str


def judge_gain(gain: Estimate, published: float) -> Verdict:
    """Does a gain of SRCC replicate a published one?

    By its 95 % interval: it replicates where the interval lies above 0 and reaches the published
    gain; it is smaller than published where it lies above 0 and ends below that; nothing can be
    told where it holds both 0 and the published gain; else it does not replicate.

    >>> judge_gain(Estimate(value=0.16, low=0.12, high=0.20), 0.17).word
    'replicates'
    >>> judge_gain(Estimate(value=0.01, low=-0.03, high=0.05), 0.17).word
    'does not replicate'
    """
    shown = gain.shown(signed=True)
    if math.isnan(gain.low):
        why = gain.reason or "the gain is undefined"
        return Verdict(word="cannot be told", sentence=f"There is no interval of the gain: {why}.")
    if gain.low > 0 and gain.high >= published:
        said = f"The gain, {shown}, is above 0 and its interval reaches the published {published}."
        return Verdict(word="replicates", sentence=said)
    if gain.low > 0:
        said = f"There is a gain, {shown}, but its interval ends below the published {published}."
        return Verdict(word="is smaller than published", sentence=said)
    if gain.high >= published:
        said = f"The interval of the gain, {shown}, holds both 0 and the published {published}."
        return Verdict(word="cannot be told", sentence=said)
    where = "is below 0" if gain.high < 0 else "is not shown to be above 0"
    said = f"The gain, {shown}, {where}, and ends below {published}."
    return Verdict(word="does not replicate", sentence=said)


def judge_level(reached: Estimate, wanted: float) -> str:
    """A sentence on whether an SRCC is above a published one."""
    shown = reached.shown()
    if math.isnan(reached.low):
        return f"The SRCC is {reached.value:.3f}, without an interval."
    if reached.low > wanted:
        return f"Its SRCC, {shown}, is above {wanted:g}."
    if reached.high < wanted:
        return f"Its SRCC, {shown}, is below {wanted:g}."
    return f"Its SRCC is {shown}: shown to be neither above nor below {wanted:g}."
