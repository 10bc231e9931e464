"""Systems ranked by people's choices, in sentences and rows; shared by every kind of report."""

from __future__ import annotations

import math
from itertools import pairwise

from humanclap.errors import listed
from humanclap.evaluation.choices.ranking_result import PeopleDuel, PeopleRanking
from humanclap.evaluation.report.document import Rows, Section
from humanclap.evaluation.short_forms import counted, number, p_cell, signed, with_interval

FEW_PROMPTS = 30
RANKING = "People's ranking"


def title(ranking: PeopleRanking) -> str:
    """What a report of the ranking alone is called."""
    return f"{len(ranking.systems)} systems ranked by people's choices"


def about(ranking: PeopleRanking) -> str:
    """How much data the ranking is based on, in a few words."""
    votes = f"{counted(ranking.votes, 'vote')} on {counted(ranking.questions, 'question')}"
    return f"{votes}, {counted(ranking.clusters, ranking.cluster)}"


def summary(ranking: PeopleRanking) -> list[str]:
    """What was found, in sentences, the most important first."""
    first = ranking.systems[0]
    even = [one.system for one in ranking.systems if one.rank == first.rank]
    if len(even) > 1:
        told = [f"People chose {listed(even)} equally much, from {about(ranking)}."]
    else:
        leads = [d for d in ranking.duels if d.better == first.system and d.settled]
        told = [
            f"People chose {first.system} most: log strength {with_interval(first.strength)} from "
            f"{about(ranking)}; it is shown to lead {len(leads)} of {len(ranking.systems) - 1} "
            "other systems."
        ]
    return told + _agreement(ranking) + [_open(one) for one in _neighbours(ranking)]


def _agreement(ranking: PeopleRanking) -> list[str]:
    found = ranking.agreement
    if found is None:
        return []
    if math.isnan(found.tau.value):
        return [f"How far the metric ranks as people do is undefined: {found.tau.reason}."]
    return [
        f"The metric ranks these {len(ranking.systems)} systems as people do with Kendall's tau "
        f"{with_interval(found.tau)}."
    ]


def _neighbours(ranking: PeopleRanking) -> list[PeopleDuel]:
    wanted = set(pairwise(one.system for one in ranking.systems))
    return [d for d in ranking.duels if (d.better, d.other) in wanted and not d.settled]


def _open(duel: PeopleDuel) -> str:
    return (
        f"People are not shown to prefer {duel.better} to {duel.other} or the other way round "
        f"(difference {signed(duel.difference)}, Holm p = {number(duel.p_holm)})."
    )


def warnings(ranking: PeopleRanking) -> list[str]:
    """What a reader must know before quoting the order."""
    found = []
    if ranking.clusters < FEW_PROMPTS:
        found.append(
            f"People chose on {counted(ranking.clusters, ranking.cluster)} only: an order seen "
            "there may well turn with others."
        )
    if ranking.unbeaten:
        groups = "; ".join(", ".join(group) for group in ranking.unbeaten)
        found.append(
            f"No other system got a single vote against {groups}: these votes cannot tell how far "
            "above they are. Their strengths rest on half a vote added to either side of every "
            "compared pair."
        )
    replicates = ranking.settings.replicates
    if ranking.regularised and not ranking.unbeaten:
        found.append(
            f"In {ranking.regularised:,} of {replicates:,} replicates no vote went against some "
            "system; half a vote was added there to either side of every compared pair."
        )
    undefined = ranking.systems[0].strength.undefined
    if undefined:
        found.append(
            f"In {undefined:,} of {replicates:,} replicates some systems were never compared; the "
            "intervals leave these out."
        )
    agreement = ranking.agreement
    if agreement is not None and agreement.prompts_both < ranking.clusters:
        found.append(
            f"The metric has values for {agreement.prompts_both:,} of the "
            f"{counted(ranking.clusters, 'prompt')} that people chose on (and for "
            f"{agreement.prompts_metric:,} in all): the two rankings rest on different prompts."
        )
    return found


def caveats(ranking: PeopleRanking) -> list[str]:
    """What was left out."""
    told = []
    if ranking.own:
        told.append(
            f"{counted(ranking.own, 'question')} between two clips of one system left out: they "
            "rank nothing."
        )
    if ranking.anchors:
        told.append(f"{counted(ranking.anchors, 'attention check')} left out.")
    return told


# -- rows -----------------------------------------------------------------------------------


def system_rows(ranking: PeopleRanking) -> Rows:
    """The ranking, and the metric's beside it where there is one."""
    heads = [
        "",
        "system",
        "log strength",
        "rank, interval",
        "won–equal–lost",
        ranking.cluster + "s",
    ]
    heads += ["metric's rank", "metric's mean"] if ranking.agreement else []
    rows = []
    for one in ranking.systems:
        spread = f"{one.rank_low}–{one.rank_high}" if one.rank_low else "–"
        row = [str(one.rank), one.system, with_interval(one.strength), spread]
        row += [f"{one.won:,}–{one.equal:,}–{one.lost:,}", f"{one.prompts:,}"]
        row += [str(one.metric_rank), number(one.metric)] if ranking.agreement else []
        rows.append(row)
    return heads, rows


def duel_rows(ranking: PeopleRanking) -> Rows:
    """Every two systems."""
    heads = ["better", "other", "difference", "chance", "won–equal–lost", "p", "Holm p", ""]
    rows = [
        [
            one.better,
            one.other,
            with_interval(one.difference),
            f"{100 * one.chance:.0f} %",
            f"{one.won:,}–{one.equal:,}–{one.lost:,}" if one.won + one.equal + one.lost else "–",
            p_cell(one.p),
            p_cell(one.p_holm),
            "settled" if one.settled else "open",
        ]
        for one in ranking.duels
    ]
    return heads, rows


def win_rows(ranking: PeopleRanking) -> Rows:
    """Share of the votes the row's system got against the column's, equal ones half."""
    names = [one.system for one in ranking.systems]
    rows = [
        [f"{place}. {name}", *(_share(ranking, name, other) for other in names)]
        for place, name in enumerate(names, start=1)
    ]
    return ["votes against", *(f"{place}." for place in range(1, len(names) + 1))], rows


def _share(ranking: PeopleRanking, name: str, other: str) -> str:
    if name == other:
        return ""
    share, votes = ranking.wins.get((name, other), (math.nan, 0))
    return f"{100 * share:.0f} % of {votes:,}" if votes else "–"


def sections(ranking: PeopleRanking) -> list[Section]:
    """The ranking, every two systems, and the win matrix."""
    return [
        Section(title=RANKING, rows=system_rows(ranking)),
        Section(title="People, two by two", rows=duel_rows(ranking)),
        Section(title="People's win matrix", rows=win_rows(ranking)),
    ]


def method_lines(ranking: PeopleRanking) -> list[str]:
    """How the numbers were made."""
    settings = ranking.settings
    lines = [
        "People's ranking: Bradley–Terry model by maximum likelihood, ties by Davidson "
        f"(v = {number(ranking.tie)}); log strengths are natural logarithms with mean 0, chance is "
        "the share of the votes for one of the two that the better would get",
        f"{100 * settings.confidence:g} % intervals: estimate ± t · standard error by bootstrap of "
        f"{settings.replicates:,} replicates over {ranking.cluster}s, of ranks expanded "
        f"percentiles, seed {settings.seed}; p: two-sided t-test of the difference, Holm over "
        f"{counted(len(ranking.duels), 'test')}",
    ]
    if ranking.agreement:
        lines.append(
            "Kendall's tau-b between log strengths and the metric's means; its interval draws "
            "prompts with their choices and their scores"
        )
    return lines
