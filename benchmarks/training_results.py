"""Sections of RESULTS.md about training: rendered from their results files by make_results.py."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

from results_text import span
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


def two_hosts(result: Result) -> list[str]:
    """One process, two on one host, two hosts."""
    heads = ["", "way", "steps/s", "of one process", "in collectives"]
    rows, lines = [], []
    for recipe, found in result["recipes"].items():
        one = found["one process"]["steps_per_s"]
        ways = {name: way for name, way in found.items() if isinstance(way, dict)}
        rows += [
            [
                recipe,
                name,
                f"{way['steps_per_s']:.2f}",
                f"{way['steps_per_s'] / one:.2f}",
                f"{way['communication']:.0%}",
            ]
            for name, way in ways.items()
        ]
        lines.append(
            f"{recipe}: the weights of two hosts differ from those of two processes on one host by "
            f"at most {found['hosts_less_processes']:.1e}, from those of one process by "
            f"{found['hosts_less_one']:.1e}."
        )
    killed = result["killed"]
    return [
        f"mini, {result['pairs']} synthesised training clips (simulated ratings), "
        f"{result['epochs']} epochs, no dropout, batches of {result['batch_size']} in all, a "
        f"thread per process, {result['cores']} cores (load {result['load']:.1f}); the hosts are "
        f"{result['hosts']} of one machine, so the network is not measured. Steps/s: median over "
        "epochs, validation included. In collectives: share of rank 0's time, waiting included.",
        "",
        *_table(heads, rows),
        "",
        *lines,
        f"The second host was killed with SIGKILL {killed['kills']} times: the first had ended "
        f"after {min(killed['ended_after_s']):.0f} to {max(killed['ended_after_s']):.0f} s, and "
        f"{killed['identical']} of {killed['kills']} resumed runs ended with the weights of the "
        "unbroken one.",
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


def choice_training(result: Result) -> list[str]:
    """Cross-validated training on ratings, on choices and on both."""
    data, chosen, rated = result["data"], result["choices"], result["ratings"]
    everything, without, srcc = (
        chosen["overall"]["accuracy"],
        chosen["without HI"]["accuracy"],
        rated["srcc"],
    )
    rows = [
        [
            way,
            _kept(result["epochs_kept"].get(way)),
            *_with_gains(everything, way),
            span(without[way]),
            *_with_gains(srcc, way),
        ]
        for way in everything
        if " - " not in way
    ]
    n, n_without, pairs = chosen["overall"]["n"], chosen["without HI"]["n"], rated["n"]
    heads = [f"accuracy, n = {n}", "Δ before", "Δ ratings", f"without HI, n = {n_without}"]
    heads += [f"SRCC, n = {pairs}", "Δ before", "Δ ratings"]
    return [
        f"Choices: FENSE's {data['choices']} pairs of captions of {data['choice_recordings']} "
        f"AudioCaps recordings, {data['decided']} of them decided; ratings: RELATE validation's "
        f"{data['rated_pairs']} screened pairs of {data['rated_recordings']}, "
        f"{data['recordings_in_both']} of which are also FENSE's. {result['folds']} folds share no "
        "recording and no caption, in ratings and choices together; of what is outside a fold a "
        "fifth, by the same groups, chooses the epoch (by SRCC where ratings teach, else by "
        f"accuracy). Base `{result['model']['name']}@{result['model']['fingerprint'][:8]}`, "
        f"projections only{_met(result['met_by_base'])}, the default settings; *rate 0.001* is ten "
        "times the default learning rate. Each pair and choice is scored by the model of the fold "
        f"it is in, which did not meet it; mean over {len(result['seeds'])} seeds. Accuracy: equal "
        "scores count half. SRCC over all rated pairs, across the models of the folds. Δ before: "
        "against the model as it came; Δ ratings: against training on ratings alone, at the same "
        f"rate. 95 % bootstrap intervals, recordings drawn whole, {result['replicates']:,} "
        "replicates, without the variance of the seeds and without a correction for the number of "
        "differences. *Epoch kept*: mean over folds and seeds, and how often no epoch beat the "
        "model as it came.",
        "",
        *_table(["taught by", "epoch kept", *heads], rows),
        "",
        f"Differences from before whose interval leaves 0 out: {_apart(everything, srcc)}. So few "
        "answers can show large effects only.",
    ]


def _apart(everything: Result, srcc: Result) -> str:
    """The differences from before training that are not 0 by their intervals."""
    found = [
        f"{what} of {name.removesuffix(base)} {span(value, '+.3f')}"
        for what, of in (("accuracy", everything), ("SRCC", srcc))
        for base in (" - before training",)
        for name, value in of.items()
        if name.endswith(base) and None not in value and (value[1] > 0 or value[2] < 0)
    ]
    return "; ".join(found) if found else "none"


def _met(met: Result) -> str:
    """What the base met of these pairs, in words."""
    trained = sum(count for said, count in met.items() if "trained" in said or "tuned" in said)
    calibrated = sum(count for said, count in met.items() if "calibrated" in said)
    return (
        f" (its embeddings met {trained} of the {sum(met.values())} distinct pairs by clip or "
        f"caption, its map to ratings, which plays no part here, {calibrated})"
    )


def _kept(epochs: Sequence[int] | None) -> str:
    if epochs is None:
        return "–"
    return f"{sum(epochs) / len(epochs):.1f}; none in {epochs.count(0)} of {len(epochs)}"


def _with_gains(found: Result, way: str) -> list[str]:
    """The figure, and its differences from before and from ratings alone, where there are any."""
    gains = {name: value for name, value in found.items() if name.startswith(f"{way} - ")}
    against_ratings = [value for name, value in gains.items() if " - ratings" in name]
    return [
        span(found[way]),
        span(gains.get(f"{way} - before training"), "+.3f"),
        span(against_ratings[0] if against_ratings else None, "+.3f"),
    ]
