"""Sections of RESULTS.md about `humanclap reproduce`, rendered by make_results.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from results_text import table

Result = dict[str, Any]


def rehearsal(result: Result) -> list[str]:
    """The rehearsal at full size."""
    broken = {stage["name"]: stage for stage in result["stages_of_the_killed"]}
    rows = [
        [
            stage["name"],
            f"{stage['seconds'] / 60:.1f}",
            f"{stage['peak_mb'] / 1000:.2f}",
            str(broken.get(stage["name"], stage)["attempts"]),
        ]
        for stage in result["stages"]
    ]
    same = result["same_figures"] and result["same_tables"]
    return [
        "**A rehearsal: the sound is synthesised and the weights are random, so no figure of its "
        f"report says anything of the paper.** RELATE's own ratings; {result['clips']:,} clips of "
        f"{result['seconds_of_a_clip']} s (archive {result['archive_mb'] / 1000:.2f} GB) by HTTP; "
        f"{len(result['models'])} CLAPs of full size from a stand-in hub; `--quick`; "
        f"{result['cores']} cores, load average {result['load_average_before']} before it began.",
        "",
        *table(["stage", "minutes", "peak memory so far, GB", "begun, when killed"], rows),
        "",
        f"Peak disk, with the hub's cache: {result['peak_disk_mb'] / 1000:.1f} GB. Killed with "
        f"SIGKILL {len(result['killed_in'])} times, in: {', '.join(result['killed_in'])}. Resumed, "
        f"its figures and its {result['tables_compared']} tables of scores and predictions were "
        + ("the same to the byte" if same else "**not the same**")
        + " as those of the unbroken run. Random weights under the name `human-clap`, whose hash "
        f"is pinned, were refused: `{result['other_weights_under_a_pinned_hash']}`",
    ]


def verdicts(result: Result) -> list[str]:
    """What the report says of simulated ratings with a known truth."""
    words = ["replicates", "is smaller than published", "cannot be told", "does not replicate"]
    rows = [
        [world, *(str(found.get(word, 0)) for word in words), *_ranges(result["each"], world)]
        for world, found in result["verdicts"].items()
    ]
    return [
        f"**Simulated ratings** of a known truth, {result['runs']} runs of each world; "
        f"{result['train']} pairs train, {result['judged']} judge, {result['answers']} answers "
        f"each; the published gain to reach is {result['published_gain']}.",
        "",
        *table(["world", *words, "SRCC of the base", "trained", "gain"], rows),
    ]


def _ranges(each: list[Mapping[str, Any]], world: str) -> list[str]:
    own = [one for one in each if one["world"] == world]
    columns = ([one["base"] for one in own], [one["trained"] for one in own])
    gains = [one["gain"][0] for one in own]
    return [f"{min(values):.2f} to {max(values):.2f}" for values in (*columns, gains)]
