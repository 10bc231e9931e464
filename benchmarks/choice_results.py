"""Section of RESULTS.md on simulated A/B studies; see make_results."""

from __future__ import annotations

from typing import Any

from results_text import table

Result = dict[str, Any]


def choice_simulation(result: Result) -> list[str]:
    """How often the ranking by choices is right, of SIMULATED studies with known strengths."""
    designs = result["designs"]
    rows: list[list[object]] = [
        [
            one["design"],
            f"{len(one['strengths'])}",
            f"{one['prompts']} × {one['listeners_a_question']}",
            f"{one['mean_strengths_covered']:.3f} ({min(one['strengths_covered']):.3f}–"
            f"{max(one['strengths_covered']):.3f})",
            f"{one['differences_covered']:.3f}",
            f"{one['rank_covered']:.3f}",
            f"{one['equal_called_different_by_interval']:.3f}",
            f"{one['equal_called_different_by_test']:.3f}",
            f"{one['any_equal_pair_called_different_holm']:.3f}",
        ]
        for one in designs
    ]
    studies = designs[0]["studies"]
    added = sum(one["replicates_with_half_a_win_added"] for one in designs)
    drawn = studies * result["replicates"] * len(designs)
    return [
        f"SIMULATED votes of studies with known Bradley–Terry strengths, {studies:,} studies a "
        f"design, {result['replicates']:,} replicates each; a listener repeats what is drawn for "
        f"the question with a probability of {result['votes_repeated']:g}, so votes on one "
        "question depend on each other. Covered: share of 95 % intervals that hold the truth, of "
        "log strengths the mean over systems (lowest and highest system), of differences over all "
        "pairs, of ranks (equal systems share theirs). Called different: equal systems at 5 %, by "
        "the interval of their difference, by the t-test, and any pair of equal systems after "
        "Holm's correction over all pairs of the study. The error of a rate is about "
        f"{(0.95 * 0.05 / studies) ** 0.5:.3f}.",
        "",
        *table(
            ["design", "systems", "prompts × listeners", "log strengths covered",
             "differences covered", "ranks covered", "called different: interval", "test",
             "any, Holm"],
            rows,
        ),
        "",
        f"Half a win was added, as some system was beaten by nobody, in {added:,} of {drawn:,} "
        f"replicates and {sum(one['studies_with_half_a_win_added'] for one in designs)} studies. "
        f"Beside choix (ties left out, {result['beside_choix']['studies']} studies) log strengths "
        f"differ by at most {result['beside_choix']['largest_difference']:.1e}; with ties, beside "
        f"scipy's minimiser ({result['beside_minimiser']['studies']} studies), by at most "
        f"{result['beside_minimiser']['largest_difference']:.1e}.",
    ]  # fmt: skip
