"""A leaderboard in sentences and rows; shared by every kind of report."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from humanclap.errors import listed
from humanclap.evaluation.captions import CAPTION_TYPES
from humanclap.evaluation.leaderboard.result import (
    MAX_GROUPS,
    Duel,
    Leaderboard,
    Standing,
    TypeStanding,
)
from humanclap.evaluation.noted import noted_in_words
from humanclap.evaluation.report import ranking_words
from humanclap.evaluation.report.common_words import not_shown
from humanclap.evaluation.report.document import Rows, Section
from humanclap.evaluation.short_forms import between, counted, number, p_cell

CAVEAT = (
    "A metric ranks systems as it hears them, not as people do: the order is worth what the "
    "metric's agreement with people between systems is worth (humanclap evaluate)."
)
FEW_PROMPTS = 30
MOST_PROMPTS = 10_000
"""Numbers of prompts above this are not told apart: nobody will collect them."""
MAX_NOTED = 200
"""How many clips with a note the table lists."""
LOWEST = "Lowest clips"
"""Section of the clips with the lowest value."""


def title(board: Leaderboard) -> str:
    """What a report of the leaderboard is called."""
    return f"{len(board.standings)} systems compared on {counted(board.prompts, 'prompt')}"


def summary(board: Leaderboard) -> list[str]:
    """The findings in sentences, the most important first."""
    first = board.standings[0]
    settled = [duel for duel in board.duels if duel.better == first.system and duel.settled]
    told = [
        f"{first.system} has the highest mean {board.settings.value}, {_mean(first)}, over "
        f"{counted(board.prompts, 'shared prompt')}; it is shown to lead "
        f"{len(settled)} of {len(board.standings) - 1} other systems."
    ]
    told += [_open(duel, board) for duel in _neighbours(board) if not duel.settled]
    return told


def warnings(board: Leaderboard) -> list[str]:
    """What the metric's model met of what it is asked about: the first thing to know."""
    found = []
    if board.exposure.met:
        told = f"The metric's model met {board.exposure.in_words()} before"
        if board.unmet:
            first = board.unmet[0]
            told += (
                f"; over the {counted(board.unmet_prompts, 'prompt')} of which it met nothing, "
                f"{first.system} has the highest mean, {_mean(first)}"
            )
        found.append(f"{told}.")
    refused = board.settings.refuse_trained_on
    found.append(not_shown("the metric's model", board.exposure, "pairs", refused=refused))
    found.append(noted_in_words(board.noted, board.exposure.total))
    found += [] if board.people is None else ranking_words.warnings(board.people)
    return [warning for warning in found if warning]


def caveats(board: Leaderboard) -> list[str]:
    """What a reader must know before quoting the order."""
    found = [CAVEAT]
    if board.prompts < FEW_PROMPTS:
        found.append(
            f"{board.prompts} prompts are few: an order seen here may well turn with others."
        )
    if board.prompts_left_out:
        found.append(
            f"{counted(board.prompts_left_out, 'prompt')} that some system lacks were left out, so "
            "the figures speak for the shared prompts only. Prompts by the systems that have "
            f"them: {_who_has_which(board)}."
        )
    found += _several_tables(board)
    if board.failed:
        found.append(f"{counted(board.failed, 'clip')} could not be scored and did not count.")
    if board.exposure.unknown:
        found.append(
            f"For {board.exposure.unknown:,} of {counted(board.exposure.total, 'clip')} it is "
            "unknown whether the metric's model met them in training."
        )
    counts = {standing.clips for standing in board.standings}
    if len(counts) > 1:
        found.append("Systems have unlike numbers of clips a prompt; a prompt counts their mean.")
    if board.signature is None:
        found.append("The scores carry no signature, so how they were made is not known here.")
    return found + ([] if board.people is None else ranking_words.caveats(board.people))


def _who_has_which(board: Leaderboard) -> str:
    return listed(
        board.prompts_of,
        MAX_GROUPS,
        show=lambda group: f"{group.prompts:,} {', '.join(group.systems)}",
        between="; ",
        rest="; {} more sets of systems",
    )


def _several_tables(board: Leaderboard) -> list[str]:
    """Systems whose clips come from several tables: their prompts count the mean over all."""
    tables: dict[str, list[str]] = {}
    for source in board.sources:
        tables.setdefault(source.system, []).append(f"{source.table} {source.clips:,}")
    return [
        f"The clips of {system} come from {len(several)} tables ({', '.join(several)}); a prompt "
        "that stands in several counts the mean of its clips."
        for system, several in tables.items()
        if len(several) > 1
    ]


def _mean(of: Standing | TypeStanding) -> str:
    return between(of.mean, of.low, of.high)


def _neighbours(board: Leaderboard) -> list[Duel]:
    names = [standing.system for standing in board.standings]
    wanted = set(pairwise(names))
    return [duel for duel in board.duels if (duel.better, duel.other) in wanted]


def _open(duel: Duel, board: Leaderboard) -> str:
    start = f"{duel.better} against {duel.other} is not settled ({number(duel.difference)}, "
    start += f"Holm p = {number(duel.p_holm)}): "
    power = f"{100 * board.settings.power:g} %"
    if math.isinf(duel.prompts_needed):
        return f"{start}no difference was seen."
    if duel.more_prompts == 0:
        return f"{start}one test alone would find it; the correction for all of them does not."
    return (
        f"{start}if the true difference is as seen, about {_count(duel.more_prompts)} more prompts "
        f"would find it with {power} power."
    )


def _count(prompts: float) -> str:
    return f"{prompts:,.0f}" if prompts <= MOST_PROMPTS else f"> {MOST_PROMPTS:,}"


def standing_rows(board: Leaderboard, standings: Sequence[Standing]) -> Rows:
    """The leaderboard."""
    heads = ["", "system", f"mean {board.settings.value}", "rank, interval", "best of all", "clips"]
    rows = [
        [
            str(s.rank),
            s.system,
            _mean(s),
            f"{s.rank_low}–{s.rank_high}",
            f"{100 * s.best_share:.0f} %",
            f"{s.clips:,}",
        ]
        for s in standings
    ]
    return heads, rows


def duel_rows(board: Leaderboard) -> Rows:
    """Every two systems."""
    heads = ["better", "other", "difference", "won–tied–lost", "p", "Holm p", "more prompts",
             "detectable"]  # fmt: skip
    rows = [
        [
            d.better,
            d.other,
            between(d.difference, d.low, d.high),
            f"{d.wins}–{d.ties}–{d.losses}",
            p_cell(d.p),
            p_cell(d.p_holm),
            _more(d),
            number(d.detectable),
        ]
        for d in board.duels
    ]
    return heads, rows


def _more(duel: Duel) -> str:
    if duel.settled:
        return "settled"
    return "–" if math.isinf(duel.more_prompts) else _count(duel.more_prompts)


def win_rows(board: Leaderboard) -> Rows:
    """Share of prompts the row's system wins against the column's, which has its row's number."""
    names = [standing.system for standing in board.standings]
    rows = [
        [f"{place}. {name}", *(_share(board.win_rate(name, other)) for other in names)]
        for place, name in enumerate(names, start=1)
    ]
    return ["wins against", *(f"{place}." for place in range(1, len(names) + 1))], rows


def _share(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.0f} %"


def type_rows(board: Leaderboard) -> Rows:
    """Mean by caption type."""
    kinds = [k for k in CAPTION_TYPES if any(t.caption_type == k for t in board.by_type)]
    found = {(t.caption_type, t.system): t for t in board.by_type}
    first = board.standings[0].system
    heads = ["system", *(f"{k} ({found[k, first].prompts})" for k in kinds)]
    rows = [[s.system, *(_mean(found[k, s.system]) for k in kinds)] for s in board.standings]
    return heads, rows


def worst_rows(board: Leaderboard) -> Rows:
    """The lowest clips of each system."""
    rows = [[clip.system, number(clip.value), clip.audio, clip.text] for clip in board.worst]
    return ["system", board.settings.value, "clip", "prompt"], rows


def noted_rows(board: Leaderboard) -> Rows:
    """Clips whose score has a note, up to `MAX_NOTED`."""
    rows = [[item.where, item.audio, item.text, item.note] for item in board.noted[:MAX_NOTED]]
    if len(board.noted) > MAX_NOTED:
        rows.append(["", f"and {len(board.noted) - MAX_NOTED:,} more; --json lists all", "", ""])
    return ["system", "clip", "prompt", "note"], rows


def method_line(board: Leaderboard) -> str:
    """How the numbers were made."""
    s = board.settings
    return (
        f"{100 * s.confidence:g} % expanded percentile intervals, bootstrap of "
        f"{s.replicates:,} replicates over prompts; p: two-sided sign-flip permutation test over "
        f"prompts, {s.permutations:,} permutations, Holm over "
        f"{counted(len(board.duels), 'test')}; prompts needed for {100 * s.power:g} % power at "
        f"alpha {s.alpha:g}, normal approximation; seed {s.seed}"
    )


def sections(board: Leaderboard) -> list[Section]:
    """People's ranking where there is one, then the leaderboard, piece by piece."""
    found = [
        ("Leaderboard", standing_rows(board, board.standings)),
        ("Two by two", duel_rows(board)),
        ("Win matrix", win_rows(board)),
        ("By caption type", type_rows(board)),
    ]
    if board.unmet:
        name = f"Without met pairs ({counted(board.unmet_prompts, 'prompt')})"
        found.insert(1, (name, standing_rows(board, board.unmet)))
    if board.noted:
        found.append(("Clips with a note", noted_rows(board)))
    if board.worst:
        found.append((LOWEST, worst_rows(board)))
    people = [] if board.people is None else ranking_words.sections(board.people)
    return [*people, *(Section(title=title, rows=rows) for title, rows in found)]
