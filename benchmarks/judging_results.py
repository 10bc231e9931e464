"""Sections of RESULTS.md about judging; see make_results.py."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Result = dict[str, Any]
MIN_CAPTIONS = 30


def _table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    return [*lines, *("| " + " | ".join(map(str, row)) + " |" for row in rows)]


def _span(values: Sequence[float | None] | None) -> str:
    if values is None or values[0] is None:
        return "–"
    value, low, high = values
    return f"{value:.3f}" if low is None else f"{value:.3f} [{low:.3f}, {high:.3f}]"


def _ceiling(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return ""
    low, high = found["interval"]
    return _span([found["srcc"], low, high])


def _judged(part: Result, places: Mapping[str, str]) -> list[str]:
    rows: list[list[object]] = [
        ["**noise ceiling**", *(_ceiling(part["ceilings"].get(place)) for place in places)],
        [
            "one listener, against the rest",
            *(
                f"{part['ceilings'][place]['one_listener']:.3f}"
                if place in part["ceilings"]
                else ""
                for place in places
            ),
        ],
    ]
    for row in part["rows"]:
        name = f"*{row['name']}*" if row["trivial"] else row["name"]
        rows.append([name, *(_span(row["srcc"].get(place)) for place in places)])
    return _table(["SRCC", *places.values()], rows)


def judging_relate(result: Result) -> list[str]:
    """Ceiling and floor on RELATE; the models between them; rerank."""
    test, clips = result["public_ratings"]["test"], result["validation_clips"]
    gains = [
        [g["chosen_by"], g["n"], f"{g['prompts']:,}", f"{g['random']:.2f}", f"{g['chosen']:.2f}",
         f"{g['best']:.2f}", _span([g["gain"], g["low"], g["high"]])]
        for g in result["rerank_of_test_clips"]
        if g["chosen_by"] == "system mean" and g["prompts"] >= MIN_CAPTIONS
    ]  # fmt: skip
    places = {
        "overall": "all pairs",
        "subset natural": "natural",
        "subset synthetic": "synthetic",
        "within systems, averaged": "within systems",
        "within captions": "within captions",
    }
    return [
        f"RELATE test, {test['pairs']:,} pairs of {test['captions']} captions, from the public "
        "ratings alone: the noise ceiling (ordinal model; its interval is that of the estimate), "
        "and *predictors that hear nothing*, fitted on train "
        f"({test['replicates']:,} bootstrap replicates clustered by caption).",
        "",
        *_judged(test, places),
        "",
        f"RELATE validation, the {clips['pairs']} screened pairs whose clips are at hand (natural "
        "only, so systems do not matter). With so few pairs the ceiling itself is uncertain, and "
        "no model is shown to beat the best predictor that hears nothing:",
        "",
        *_judged(clips, {"overall": "all pairs"}),
        "",
        *_table(
            ["paired permutation test", "Δ SRCC", "p", "Holm p"],
            [
                [f"{t['name']} − {t['baseline']}", f"{t['difference']:+.3f}", f"{t['p']:.3f}",
                 f"{t['p_holm']:.3f}"]
                for t in clips["tests"]
            ],
        ),
        "",
        "Best of N on rated data: mean rating (0–10) of the clip that knowing each system's mean "
        "would keep among N of a test caption's clips, of a clip at random and of the best one. "
        "(Predictors that know the caption only cannot choose: they gain 0.)",
        "",
        *_table(["chosen by", "N", "captions", "random", "chosen", "best", "gain"], gains),
    ]  # fmt: skip


def interval_simulation(result: Result) -> list[str]:
    """Coverage and false positives."""
    names = ("srcc", "lcc", "ktau", "accuracy", "mse", "within systems srcc")
    coverage = [
        [r["captions"], r["true_lcc"], r["interval"], *(f"{100 * r[name]:.1f}" for name in names)]
        for r in result["coverage_of_95_percent_intervals"]
    ]
    kinds = ("permutation test", "interval of the difference", "any of three tests, Holm")
    false = [
        [case, *(f"{100 * rates[kind]:.1f}" for kind in kinds)]
        for case, rates in result["false_positives_at_5_percent"].items()
    ]
    board = "; ".join(
        f"{case}: {100 * rates['mean covered']:.1f} % of intervals hold the mean, "
        f"{100 * rates['test']:.1f} % false positives"
        for case, rates in result["leaderboard_of_two_equal_systems"].items()
    )
    return [
        f"{result['studies']} simulated studies a row, three clips a caption that share most of "
        f"their quality and of the metric's error, {result['replicates']:,} replicates. Per cent "
        "of 95 % intervals that hold the truth (a rate of 95 is known to about 1):",
        "",
        *_table(["captions", "true LCC", "interval", *names], coverage),
        "",
        "Per cent of studies that call two (three) equally good metrics different at 5 %:",
        "",
        *_table(["case", *kinds], false),
        "",
        f"Leaderboard of two equal systems: {board}.",
    ]


def bootstrap_speed(result: Result) -> list[str]:
    """The bootstrap against a scipy loop."""
    rows = [
        [
            case["case"],
            f"{case['captions']:,}",
            case["ours_all_six_s"],
            case["ours_without_pairwise_accuracy_s"],
            case["scipy_loop_without_pairwise_accuracy_s"],
            case["times_faster_without_pairwise_accuracy"],
            case["times_faster_all_six"],
        ]
        for case in result["cases"]
    ]
    first, machine = result["cases"][0], result["machine"]
    return [
        f"{first['pairs']:,} pairs, {first['replicates']:,} replicates of SRCC, LCC, KTAU-b, MSE, "
        "MAE, and with ties calibrated pairwise accuracy; seconds, medians of "
        f"{len(first['each_turn_s']['all'])} turns taken in turns with a plain loop over "
        f"scipy.stats in the same process, threads {machine['threads']}, load average "
        f"{machine['load_average_before']} on {machine['cores']} cores. The loop over all six "
        "computes pairwise accuracy with numpy.",
        "",
        *_table(
            ["case", "captions", "all six", "five", "scipy loop of the five", "times faster, five",
             "times faster, six"],
            rows,
        ),
    ]  # fmt: skip


def tta_leaderboard(result: Result) -> list[str]:
    """Systems of demo pages."""
    lines = [
        f"{result['caveat']} Prompts are few, one of the systems is the page's own, and a metric "
        "ranks as it hears, not as people do: read this as a use of the tool, not as a ranking.",
    ]
    for title, board in result["boards"].items():
        rows = [
            [s["rank"][0], s["system"], _span(s["mean"]), f"{s['rank'][1]}–{s['rank'][2]}",
             f"{100 * s['best_share']:.0f} %"]
            for s in board["standings"]
        ]  # fmt: skip
        settled = sum(duel["more_prompts"] is None for duel in board["duels"])
        lines += [
            "",
            f"**{title}**, {board['prompts']} shared prompts; {settled} of {len(board['duels'])} "
            f"pairs of systems differ after Holm's correction. `{board['signature']}`",
            "",
            *_table(["", "system", "mean score", "rank, interval", "best of all"], rows),
        ]
    return lines
