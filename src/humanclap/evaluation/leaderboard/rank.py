"""Which text-to-audio system follows its prompts best, as one metric sees it; prompts are paired.

Everything rests on the matrix of prompts by systems: a prompt's value for a system is the mean
score of its clips. Intervals draw prompts whole; tests flip the sign of a prompt's difference.
"""

from __future__ import annotations

import heapq
import math
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from humanclap.errors import InputError, listed
from humanclap.evaluation.captions import CAPTION_TYPES, caption_type
from humanclap.evaluation.choices.ranking import MetricValues, rank_by_choices
from humanclap.evaluation.exposure import exposure, refuse_met
from humanclap.evaluation.leaderboard.duels import duels
from humanclap.evaluation.leaderboard.result import (
    MAX_GROUPS,
    Clip,
    Leaderboard,
    PromptsOf,
    Source,
    Standing,
    TypeStanding,
)
from humanclap.evaluation.noted import noted
from humanclap.evaluation.settings import LeaderboardSettings
from humanclap.evaluation.statistic import intervals_of
from humanclap.fingerprint import fingerprint_text
from humanclap.grouping import caption_key
from humanclap.progress import Progress, silent
from humanclap.records import Score, Votes, roles_met
from humanclap.signature import common_signature

Floats = NDArray[np.float64]
MAX_NAMED = 3
STEPS = 4
"""Of the progress."""
MIN_PROMPTS = 5
"""A caption type with fewer prompts has a mean but no interval."""


def leaderboard(
    tables: Mapping[str, Sequence[Score]],
    settings: LeaderboardSettings | None = None,
    *,
    votes: Sequence[Votes] | None = None,
    votes_where: str = "choices",
    notes: Sequence[str] = (),
    progress: Progress = silent,
) -> Leaderboard:
    """Rank systems by the mean of one metric over the prompts all of them have.

    tables: name -> scores; a row's system is its `system`, else the name of its table. With
    `systems`, rows of others count for nothing: neither their failures nor their signatures.
    votes: people's choices between the same systems, by which they are ranked too
    (`rank_by_choices`, whose errors are raised too).
    Raises InputError for fewer than 2 systems or 2 shared prompts, for a clip and prompt of one
    system that stand twice, for prompts that not all systems have (unless `shared_only`), failed
    rows (likewise), a rating wanted but absent; for unlike signatures unless `force`; LeakageError
    for met clips or prompts with `refuse_trained_on`.
    """
    settings = settings or LeaderboardSettings()
    given, systems = _given(tables, settings)
    signature = _signature(given, settings)
    clips, failed = _clips(given, settings)
    prompts_of = _prompts_of(clips)
    prompts, left_out = _shared_prompts(prompts_of, systems, settings)
    values = _matrix(clips, systems, prompts)
    judged = _judged(given, set(prompts))
    if settings.refuse_trained_on:
        refuse_met(judged)
    people = None
    if votes is not None:
        metric = MetricValues(prompts=prompts, systems=systems, values=values)
        people = rank_by_choices(votes, settings, metric=metric, where=votes_where)
    return Leaderboard(
        **_measured(values, systems, prompts, clips, judged, settings, progress),
        prompts=len(prompts),
        prompts_fingerprint=fingerprint_text(prompts),
        prompts_left_out=left_out,
        prompts_of=tuple(_groups_of_prompts(prompts_of)),
        sources=tuple(_sources(given)),
        failed=failed,
        signature=signature,
        settings=settings,
        notes=tuple(notes),
        noted=noted(judged),
        people=people,
    )


def _measured(
    values: Floats,
    systems: Sequence[str],
    prompts: Sequence[str],
    clips: Sequence[Clip],
    judged: Mapping[str, Sequence[Score]],
    settings: LeaderboardSettings,
    progress: Progress,
) -> dict[str, Any]:
    """The figures of a leaderboard, by the names of its fields."""
    kept = set(prompts)
    used = [clip for clip in clips if caption_key(clip.text) in kept]
    progress(0, STEPS, "systems")
    standings = _standings(values, systems, used, settings)
    progress(1, STEPS, "two by two")
    of_two = duels(values, systems, settings)
    progress(2, STEPS, "caption types")
    by_type = _by_type(values, systems, prompts, settings)
    progress(3, STEPS, "unmet prompts")
    rows = [row for scores in judged.values() for row in scores]
    unmet = _unmet(prompts, rows)
    return {
        "standings": tuple(standings),
        "duels": tuple(of_two),
        "by_type": tuple(by_type),
        "worst": tuple(_worst(used, systems, settings.worst)),
        "exposure": exposure(rows),
        "unmet": tuple(_standings_without_met(values, systems, prompts, unmet, used, settings)),
        "unmet_prompts": len(unmet),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """One score with its system and its table."""

    table: str
    system: str
    score: Score


def _given(
    tables: Mapping[str, Sequence[Score]], settings: LeaderboardSettings
) -> tuple[list[_Row], list[str]]:
    """The rows of the systems that are compared, and these systems."""
    every = [
        _Row(table=name, system=row.system or name, score=row)
        for name, scores in tables.items()
        for row in scores
    ]
    systems = _chosen(settings.systems, sorted({row.system for row in every}))
    if len(systems) < 2:
        raise InputError(f"{len(systems)} system ({', '.join(systems)}); comparing needs two")
    given = [row for row in every if row.system in systems]
    _refuse_twice(given)
    return given, systems


def _refuse_twice(rows: Sequence[_Row]) -> None:
    """A clip and prompt that stand twice would count as the mean of both: which is right?"""
    first: dict[tuple[str, str, str], _Row] = {}
    twice: list[tuple[_Row, _Row]] = []
    for row in rows:
        key = row.system, row.score.audio, caption_key(row.score.text)
        if key in first:
            twice.append((first[key], row))
        first.setdefault(key, row)
    if not twice:
        return
    one, other = twice[0]
    where = f"in {one.table}" if one.table == other.table else f"in {one.table} and {other.table}"
    values = " and ".join(f"{row.score.score:.3f}" for row in (one, other))
    raise InputError(
        f"{len(twice)} clips of a system appear twice with one prompt, for example "
        f"{one.score.audio!r} with {one.score.text!r} of {one.system}, {where} "
        f"(scores {values}); keep one row for each clip and prompt"
    )


def _sources(rows: Sequence[_Row]) -> list[Source]:
    """Which tables the clips of each system come from."""
    counts = Counter((row.system, row.table) for row in rows)
    return [
        Source(system=system, table=table, clips=count)
        for (system, table), count in sorted(counts.items())
    ]


def _judged(rows: Sequence[_Row], prompts: Set[str]) -> dict[str, list[Score]]:
    """The rows that count, by table."""
    found: dict[str, list[Score]] = {row.table: [] for row in rows}
    for row in rows:
        if row.score.error is None and caption_key(row.score.text) in prompts:
            found[row.table].append(row.score)
    return found


def _unmet(prompts: Sequence[str], rows: Sequence[Score]) -> list[int]:
    """Places of the prompts that the metric's model met neither itself nor by a clip."""
    met = {caption_key(row.text) for row in rows if roles_met(row.met)}
    return [place for place, prompt in enumerate(prompts) if prompt not in met]


def _standings_without_met(
    values: Floats,
    systems: Sequence[str],
    prompts: Sequence[str],
    unmet: Sequence[int],
    clips: Sequence[Clip],
    settings: LeaderboardSettings,
) -> list[Standing]:
    if not 2 <= len(unmet) < len(prompts):
        return []
    kept = {prompts[place] for place in unmet}
    of_kept = [clip for clip in clips if caption_key(clip.text) in kept]
    return _standings(values[list(unmet)], systems, of_kept, settings)


def _clips(rows: Sequence[_Row], settings: LeaderboardSettings) -> tuple[list[Clip], int]:
    clips, failed = [], []
    for row in rows:
        score = row.score
        value = score.rating if settings.value == "rating" else score.score
        if score.error is not None:
            failed.append(row)
            continue
        if not math.isfinite(value):
            raise InputError(
                f"{row.table}: pair {score.pair_id!r} has no rating; --value score compares scores"
            )
        clips.append(Clip(audio=score.audio, text=score.text, system=row.system, value=value))
    if failed and not settings.shared_only:
        first = failed[0]
        raise InputError(
            f"{len(failed)} clips could not be scored, for example {first.score.audio} of "
            f"{first.system} ({first.score.error}); mend them, or give --shared-only to leave "
            "their prompts out where no clip is left"
        )
    return clips, len(failed)


def _signature(rows: Sequence[_Row], settings: LeaderboardSettings) -> str | None:
    found = {row.score.signature for row in rows if row.score.signature}
    if settings.force:
        return next(iter(found)) if len(found) == 1 else None
    return common_signature(found, where="the systems' scores")


def _chosen(wanted: Sequence[str], systems: Sequence[str]) -> list[str]:
    unknown = [name for name in wanted if name not in systems]
    if unknown:
        raise InputError(f"no system {', '.join(unknown)}; there are: {', '.join(systems)}")
    return sorted(set(wanted or systems))


def _prompts_of(clips: Sequence[Clip]) -> dict[str, frozenset[str]]:
    """The systems that have a clip of each prompt."""
    having: dict[str, set[str]] = {}
    for clip in clips:
        having.setdefault(caption_key(clip.text), set()).add(clip.system)
    return {prompt: frozenset(systems) for prompt, systems in having.items()}


def _groups_of_prompts(prompts_of: Mapping[str, frozenset[str]]) -> list[PromptsOf]:
    """How many prompts each set of systems has that no other system has, the most first."""
    counts = Counter(prompts_of.values())
    found = [PromptsOf(systems=tuple(sorted(of)), prompts=count) for of, count in counts.items()]
    return sorted(found, key=lambda group: (-group.prompts, group.systems))


def _shared_prompts(
    prompts_of: Mapping[str, frozenset[str]],
    systems: Sequence[str],
    settings: LeaderboardSettings,
) -> tuple[list[str], int]:
    """Prompts every system has, sorted, and how many others there are."""
    shared = sorted(prompt for prompt, of in prompts_of.items() if len(of) == len(systems))
    others = sorted(prompt for prompt, of in prompts_of.items() if len(of) < len(systems))
    if others and not settings.shared_only:
        named = ", ".join(map(repr, others[:MAX_NAMED]))
        raise InputError(
            f"{len(others)} of {len(prompts_of)} prompts lack a clip of some system, for example "
            f"{named}; --shared-only compares on the {len(shared)} prompts all systems have, "
            f"--system takes fewer systems. {_who_has_which(prompts_of)}"
        )
    if len(shared) < 2:
        raise InputError(
            f"the systems {', '.join(systems)} share {len(shared)} prompts; comparing needs two "
            f"(choose fewer systems: --system). {_who_has_which(prompts_of)}"
        )
    return shared, len(others)


def _who_has_which(prompts_of: Mapping[str, frozenset[str]]) -> str:
    groups = listed(
        _groups_of_prompts(prompts_of),
        MAX_GROUPS,
        show=lambda group: f"\n  {group.prompts}: {', '.join(group.systems)}",
        between="",
        rest="\n  and {} more sets of systems",
    )
    return f"Prompts, and the systems that have them:{groups}"


def _matrix(clips: Sequence[Clip], systems: Sequence[str], prompts: Sequence[str]) -> Floats:
    """Mean value of a system's clips for a prompt: (prompts, systems)."""
    row = {prompt: i for i, prompt in enumerate(prompts)}
    column = {system: i for i, system in enumerate(systems)}
    total, count = np.zeros((2, len(prompts), len(systems)))
    for clip in clips:
        place = row.get(caption_key(clip.text)), column.get(clip.system)
        if place[0] is not None and place[1] is not None:
            total[place] += clip.value
            count[place] += 1
    found: Floats = total / count
    return found


def _standings(
    values: Floats, systems: Sequence[str], clips: Sequence[Clip], settings: LeaderboardSettings
) -> list[Standing]:
    count = len(values)

    def statistics(times: Floats) -> dict[str, Floats]:
        means = times @ values / count  # (replicates, systems)
        ranks = stats.rankdata(-means, axis=1)
        found = {f"mean/{name}": means[:, i] for i, name in enumerate(systems)}
        return found | {f"rank/{name}": ranks[:, i] for i, name in enumerate(systems)}

    intervals = intervals_of(statistics, count, settings)
    clips_of = Counter(clip.system for clip in clips)
    means = values.mean(axis=0)
    ranks = stats.rankdata(-means, method="min")
    top = values == values.max(axis=1, keepdims=True)
    best = (top / top.sum(axis=1, keepdims=True)).mean(axis=0)
    found = [
        Standing(
            system=name,
            rank=int(ranks[i]),
            mean=float(means[i]),
            low=intervals[f"mean/{name}"].low,
            high=intervals[f"mean/{name}"].high,
            rank_low=round(intervals[f"rank/{name}"].low),
            rank_high=round(intervals[f"rank/{name}"].high),
            best_share=float(best[i]),
            clips=clips_of[name],
        )
        for i, name in enumerate(systems)
    ]
    return sorted(found, key=lambda standing: (standing.rank, standing.system))


def _by_type(
    values: Floats, systems: Sequence[str], prompts: Sequence[str], settings: LeaderboardSettings
) -> list[TypeStanding]:
    types = np.array([caption_type(prompt) for prompt in prompts])
    found = []
    for kind in CAPTION_TYPES:
        of_kind = values[types == kind]
        if not len(of_kind):
            continue

        def mean(times: Floats, of_kind: Floats = of_kind) -> dict[str, Floats]:
            means = times @ of_kind / len(of_kind)
            return {name: means[:, i] for i, name in enumerate(systems)}

        intervals = intervals_of(mean, len(of_kind), settings)
        found += [
            TypeStanding(
                caption_type=kind,
                system=name,
                mean=float(of_kind[:, i].mean()),
                low=intervals[name].low if len(of_kind) >= MIN_PROMPTS else math.nan,
                high=intervals[name].high if len(of_kind) >= MIN_PROMPTS else math.nan,
                prompts=len(of_kind),
            )
            for i, name in enumerate(systems)
        ]
    return found


def _worst(clips: Sequence[Clip], systems: Sequence[str], count: int) -> list[Clip]:
    """The lowest clips of each system, the worst first."""
    of_system: dict[str, list[Clip]] = {system: [] for system in systems}
    for clip in clips:
        of_system[clip.system].append(clip)
    return [
        clip
        for mine in of_system.values()
        for clip in heapq.nsmallest(count, mine, key=lambda clip: (clip.value, clip.audio))
    ]
