"""Sections of RESULTS.md about training: rendered from their results files by make_results.py."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

from scipy import stats

from humanclap.metrics.permutation import holm

Result = dict[str, Any]

_GROUPS = ("overall", "natural", "synthetic", "within system")
_STATISTICS = ("srcc", "lcc", "ktau", "mse")


def _table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    return [*lines, *("| " + " | ".join(map(str, row)) + " |" for row in rows)]


def _mean(value: Result, sign: str = "") -> str:
    if value["mean"] is None:
        return "–"
    half = "" if value["half_width"] is None else f" ± {value['half_width']:.3f}"
    return f"{value['mean']:{sign}.3f}{half}"


ALPHA = 0.05
TEST_CLAUSE = re.compile(r"; (?:an objective is called|p: paired permutation test).*", re.DOTALL)


def _holm(rows: Sequence[Result]) -> tuple[list[float], str]:
    """Corrected p-value of each row's gain (NaN without one), and how it was made.

    Files of earlier runs hold no p-value: it is then that at which the stored interval would end
    at 0, by Student's t with the degrees of freedom of the clusters.
    """
    gains = [row["srcc_gain"] for row in rows]
    given = [gain for gain in gains if gain]
    tests = f"with Holm's correction over {len(given)} tests"
    if all("p_holm" in gain for gain in given):
        p_values = [math.nan if gain is None or gain["p_holm"] is None else gain["p_holm"]
                    for gain in gains]  # fmt: skip
        made = f"paired permutation test, {given[0]['permutations']:,} permutations, {tests}"
        return p_values, made
    made = f"from the interval, by Student's t (the file holds no test), {tests}"
    return holm([_p_of_interval(gain) if gain else math.nan for gain in gains]), made


def _p_of_interval(gain: Result) -> float:
    if None in (gain["value"], gain["low"], gain["high"]):
        return math.nan
    if gain["low"] == gain["high"]:
        return math.nan if gain["value"] else 1.0
    freedom = gain["clusters"] - 1
    error = (gain["high"] - gain["low"]) / 2 / stats.t.ppf(0.975, freedom)
    return float(2 * stats.t.sf(abs(gain["value"]) / error, freedom))


def _gain(row: Result, p_holm: float) -> str:
    gain = row["srcc_gain"]
    if gain is None:
        return "–"
    word = ", better" if gain["value"] > 0 else ", worse"
    p = "undefined" if math.isnan(p_holm) else "< 0.001" if p_holm < 0.001 else f"{p_holm:.3f}"
    return (
        f"{gain['value']:+.3f} [{gain['low']:+.3f}, {gain['high']:+.3f}], Holm p {p}"
        f"{word if p_holm < ALPHA else ''}"
    )


def _grid(rows: Sequence[Result], baseline: str) -> list[str]:
    groups = [
        group
        for group in _GROUPS
        if any(row["figures"][group]["srcc"]["mean"] is not None for row in rows)
    ]
    columns = [f"{name.upper()} {group}" for group in groups for name in _STATISTICS]
    cells = [
        [
            row["objective"],
            *(_mean(row["figures"][group][name]) for group in groups for name in _STATISTICS),
            _gain(row, p),
        ]
        for row, p in zip(rows, _holm(rows)[0], strict=True)
    ]
    return _table(["objective", *columns, f"Δ SRCC against {baseline}"], cells)


def objectives_esc(result: Result) -> list[str]:
    """Every objective on ESC-10's answers."""
    data, base = result["data"], result["model"]
    wins, of_unmet = (_better(result[name]) for name in ("rows", "rows_of_unmet_fold"))
    made = _holm(result["rows"])[1]
    return [
        f"{data['pairs']:,} pairs of {data['clips']} clips and {data['labels']} labels, "
        f"{data['answers_a_clip']:.1f} answers a clip; base "
        f"`{base['name']}@{base['fingerprint']}`, projections only. ESC's five folds, each "
        "judged by models tuned on answers about the "
        f"other four; {len(result['seeds'])} seeds. {TEST_CLAUSE.sub('', result['notes'][0])}; "
        f"p: {made}. An objective is called better or worse where the corrected p is below "
        f"{ALPHA:g}.",
        "",
        *_grid(result["rows"], result["baseline"]),
        "",
        "Most shares are exactly 0 or 1: a perfect score without ties would reach SRCC "
        f"{result['srcc_ceiling_from_ties']['mean']:.3f} (mean of the folds), "
        f"{result['srcc_ceiling_from_ties']['fold 4']:.3f} on fold 4.",
        "",
        f"Better than {result['baseline']} after the correction: {wins}.",
        "",
        "Fold 4 alone. The base itself was made with clips and labels (not answers) of the other "
        "four folds, which so were easier for it than unmet sounds:",
        "",
        *_grid(result["rows_of_unmet_fold"], result["baseline"]),
        "",
        f"Better than {result['baseline']} on fold 4 after the correction: {of_unmet}.",
    ]  # fmt: skip


def _better(rows: Sequence[Result]) -> str:
    found = [
        row["objective"]
        for row, p in zip(rows, _holm(rows)[0], strict=True)
        if p < ALPHA and row["srcc_gain"]["value"] > 0
    ]
    return ", ".join(found) if found else "none"


def simulated_grid(result: Result) -> list[str]:
    """The simulation with known truth."""
    ceiling = result["ceiling"]["srcc"]["mean"]
    worlds = result["worlds"]
    icc = sum(world["icc_test"] for world in worlds) / len(worlds)
    heads = ["SRCC", "of the ceiling", "natural", "synthetic", "within system", "with the truth"]

    def cells(row: Result) -> list[str]:
        share = f"{row['srcc']['mean'] / ceiling:.0%}"
        names = ("srcc_natural", "srcc_synthetic", "srcc_within_system", "srcc_truth")
        return [
            _mean(row["srcc"]),
            share,
            *(_mean(row[name]) for name in names),
            _mean(row["srcc_gain"], "+"),
        ]

    rows = {
        "a perfect metric (noise ceiling)": result["ceiling"],
        "before training": result["base"],
        **result["objectives"],
    }
    lines = [
        "**Simulated: nobody listened.** "
        f"{len(worlds)} worlds of RELATE's size, {worlds[0]['ratings']:,} ratings by "
        f"{worlds[0]['listeners']:,} listeners each, three a pair, 10 % of them careless; ICC(1) "
        f"after screening {icc:.3f}. Linear projections over features that hold the truth, a "
        "signature of the system and noise. Learning rates chosen in a world not reported. Judged "
        "against screened mean ratings of test pairs; mean over worlds ± half width of the t "
        "interval; differences paired by world.",
        "",
        *_table(["objective", *heads, "against SCE"], [[n, *cells(r)] for n, r in rows.items()]),
    ]
    for name, steps in result["cleaning"].items():
        table = [[step, *cells(row)] for step, row in steps.items()]
        lines += ["", f"Cleaning of the ratings that train and choose, {name}:", ""]
        lines += _table(["cleaning", *heads, "against none"], table)
    return lines


def full_size_steps(result: Result) -> list[str]:
    """Three steps of a full-size model."""
    ways = result["ways"]
    rows = [
        [
            one["way"],
            f"{one['pair_cpu_s']:.2f}",
            ", ".join(f"{seconds:.1f}" for seconds in one["step_cpu_s"]),
            ", ".join(f"{seconds:.1f}" for seconds in one["step_clock_s"]),
            f"{one['peak_gb']:.1f}",
            f"{one['peak_before_training_gb']:.1f}",
        ]
        for one in ways
    ]
    heads = ["what learns", "CPU s a pair (median step)", "CPU s a step", "s a step on the clock"]
    heads += ["peak memory, GB", "of it before training"]
    return [
        f"HTSAT + RoBERTa, {ways[0]['parameters'] / 1e6:.0f} M parameters, random weights; "
        f"{result['steps']} optimiser steps of {ways[0]['batch']} pairs of 10 s, one thread, load "
        f"average before the start {result['load_average_before']} (the clock waited for others). "
        "A step is reading, both towers, loss, gradient and AdamW. bf16 is autocast.",
        "",
        *_table(heads, rows),
    ]


def kill_and_resume(result: Result) -> list[str]:
    """kill -9 and resume."""
    return [
        f"{result['trials']} runs of {result['epochs']} epochs were killed with SIGKILL at random "
        f"moments, {result['kills']} times in all, and resumed: {result['identical']} of "
        f"{result['trials']} ended with the final weights (SHA-256) and the log of the unbroken "
        "run.",
    ]


def efficiency_esc(result: Result) -> list[str]:
    """SRCC against the number of answers."""
    p_values, made = _holm(result["rows"])
    rows = [
        [
            row["objective"],
            row["pairs"] or "all",
            f"{row['ratings']:,.0f}",
            _mean(row["figures"]["overall"]["srcc"]),
            _gain(row, p),
        ]
        for row, p in zip(result["rows"], p_values, strict=True)
    ]
    test = result["parts"][0]["test"]["pairs"]
    base = result["model"]
    return [
        f"Judged on the {test} pairs of fold 4, which the base "
        f"`{base['name']}@{base['fingerprint']}` has not met; mean over {len(result['seeds'])} "
        "seeds, which also draw the pairs, ± half width of the t interval. Answers: summed over "
        "training and validation pairs; an answer to a ten-way question is counted once for each "
        "pair of its clip, so fewer were given. A perfect score without ties would reach "
        f"{result['srcc_ceiling_from_ties']:.3f}. p: {made}; better or worse where it is below "
        f"{ALPHA:g}. Plot: "
        "[efficiency_esc.svg](results/efficiency_esc.svg).",
        "",
        *_table(
            ["objective", "pairs", "answers, over pairs", "SRCC", "Δ against SCE, as many pairs"],
            rows,
        ),
    ]
