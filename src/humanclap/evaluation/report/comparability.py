"""Identity of a judgement: what must be equal before two of its figures may be set side by side.

After sacreBLEU's signatures (Post 2018). The scores' own signatures say how the scores were made;
this one says what they were judged by and how.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from humanclap.evaluation.agreement.result import Comparison
from humanclap.evaluation.leaderboard.result import Leaderboard
from humanclap.evaluation.statistic import Bootstrapped
from humanclap.fingerprint import fingerprint_text
from humanclap.metrics.influence import by_influence
from humanclap.version import __version__

if TYPE_CHECKING:
    from humanclap.evaluation.choices.accuracy_result import JudgedChoices
    from humanclap.evaluation.choices.ranking_result import PeopleRanking


def judgement_signature(comparison: Comparison) -> str:
    """One line: version, targets by fingerprint and number, clusters, intervals, tests, anchors."""
    settings = comparison.settings
    pairs = comparison.evaluations[0].per_pair
    targets = fingerprint_text(sorted(f"{p.pair_id} {p.human!r} {p.n}" for p in pairs))
    large = "influence/" if by_influence(len(pairs), of=len(pairs)) else ""
    return _line(
        ("humanclap", __version__),
        ("judged-by", f"{len(pairs)}@{targets}"),
        ("anchors", "yes" if settings.include_anchors else "no"),
        ("scale", settings.rating_scale),
        *_drawn(settings, "caption", f"{large}percentile"),
    )


def choices_signature(judged: JudgedChoices) -> str:
    """One line: version, questions with their votes by fingerprint and number, and how judged."""
    settings = judged.settings
    return _line(
        ("humanclap", __version__),
        ("chosen-by", f"{judged.counts.judged}@{judged.questions}"),
        ("anchors", "yes" if settings.include_anchors else "no"),
        *_drawn(settings, judged.cluster, "percentile"),
    )


def ranking_signature(ranking: PeopleRanking) -> str:
    """One line: version, questions with their votes, systems, model, intervals."""
    settings = ranking.settings
    return _line(
        ("humanclap", __version__),
        ("chosen-by", f"{ranking.questions}@{ranking.asked}"),
        ("systems", len(ranking.systems)),
        ("model", "bradley-terry-davidson"),
        *_drawn(settings, ranking.cluster, "t", permuted=False),
    )


def leaderboard_signature(board: Leaderboard) -> str:
    """One line: version, prompts by fingerprint and number, systems, value, intervals, tests."""
    settings, people = board.settings, board.people
    return _line(
        ("humanclap", __version__),
        ("prompts", f"{board.prompts}@{board.prompts_fingerprint}"),
        ("systems", len(board.standings)),
        ("value", settings.value),
        *_drawn(settings, "prompt", "percentile"),
        *([] if people is None else [("chosen-by", f"{people.questions}@{people.asked}")]),
    )


def _drawn(
    settings: Bootstrapped, cluster: str, interval: str, *, permuted: bool = True
) -> list[tuple[str, object]]:
    return [
        ("cluster", cluster.replace(" or ", "/")),
        ("interval", f"{interval}-{100 * settings.confidence:g}%"),
        ("replicates", settings.replicates),
        *([("permutations", settings.permutations)] if permuted else []),
        ("seed", settings.seed),
    ]


def _line(*parts: tuple[str, object]) -> str:
    return "|".join(f"{name}:{value}" for name, value in parts)
