"""The section on the gate in RESULTS.md, from what gate_simulation.py simulated."""

from __future__ import annotations

from typing import Any

from results_text import span, table


def markdown(result: dict[str, Any]) -> list[str]:
    """The section of RESULTS.md."""
    real = result["measured"]["comparisons"]
    low, quarter, three, high = result["sd_range"]
    return [
        f"Simulated comparisons with a known truth, {result['runs']:,} a row, "
        f"{result['replicates']:,} replicates. Real differences: `mini`'s scores of {len(real)} "
        "comparisons of two systems on demo pages with 18 or more shared prompts; standard "
        f"deviation over prompts {result['sd']} (median; quartiles {quarter} and {three}, from "
        f"{low} to {high}). *4 clips*, *1 to 8 clips*: "
        f"{100 * result['measured']['luck_share']:.0f} % of the variance of a difference of single "
        "clips is the clips' own luck (of "
        f"{result['measured']['luck_comparisons']} comparisons with three clips a prompt).",
        "",
        "**At a true loss of exactly the margin** (or at equality with a margin of 0): how often "
        "the gate passes wrongly | fails wrongly, in %. It should be 5 | 5.",
        "",
        *boundary(result),
        "",
        f"Wilson intervals are at most ± {_widest(result):.1f}.",
        "",
        *the_gate(result),
    ]


def boundary(result: dict[str, Any]) -> list[str]:
    """Errors at the margin by design, prompts and method."""
    names = {"studentised": "**the gate**", "t": "Student's t", "percentile": "percentile",
             "bca": "BCa"}  # fmt: skip
    rows = [
        [
            row["design"],
            row["prompts"],
            *(f"{row[name]['wrong_pass'][0]:.1f} \\| {row[name]['wrong_fail'][0]:.1f}"
              for name in names),
        ]
        for row in result["boundary"]
    ]  # fmt: skip
    return table(["differences", "prompts", *names.values()], rows)


def _widest(result: dict[str, Any]) -> float:
    spans = [
        found
        for row in result["boundary"]
        for found in row["studentised"].values()
    ]  # fmt: skip
    return max(max(high - value, value - low) for value, low, high in spans)


def the_gate(result: dict[str, Any]) -> list[str]:
    """Power by loss and prompts, the planned numbers, several systems, ratings."""
    several = result["several_systems"]
    planned = "; ".join(
        f"margin {row['margin']:g}: {row['prompts']:,} prompts, passes {span(row['pass'], '.1f')} %"
        for row in result["planned"]
    )
    ratings = "; ".join(
        f"{row['prompts']} prompts {row['wrong_pass'][0]:.1f} | {row['wrong_fail'][0]:.1f} "
        f"(without the map's error {row['wrong_pass_without_map_error'][0]:.1f} would pass)"
        for row in result["ratings"]
    )
    return [
        f"**Power**, margin {result['margin']:g}: passes / fails in %, the rest is not decided.",
        "",
        f"Differences as on the pages (standard deviation {result['sd']}, one clip a prompt):",
        "",
        *power(result["power"]),
        "",
        f"4 clips a prompt and system (standard deviation {result['sd_4_clips']}):",
        "",
        *power(result["power_4_clips"]),
        "",
        f"**Prompts that are told** for 80 % power, new and old equal: {planned}.",
        "",
        f"**{several['systems']} systems in one gate**, all at the margin, {several['prompts']} "
        f"prompts: passes wrongly {span(several['wrong_pass'], '.2f')} %, fails wrongly "
        f"{span(several['wrong_fail'], '.2f')} %.",
        "",
        "**A limit of the mean rating**, the true mean exactly on it, the map wrong by 0.5 "
        f"(standard error), wrong passes | wrong fails: {ratings}.",
    ]


def power(rows: list[dict[str, Any]]) -> list[str]:
    """Losses across, prompts down."""
    losses = sorted({row["loss"] for row in rows})
    cells = {(row["prompts"], row["loss"]): row for row in rows}
    return table(
        ["prompts", *(f"loss {loss:g}" for loss in losses)],
        [
            [
                f"{prompts:,}",
                *(f"{cells[prompts, loss]['pass'][0]:.0f} / {cells[prompts, loss]['fail'][0]:.0f}"
                  for loss in losses),
            ]
            for prompts in sorted({row["prompts"] for row in rows})
        ],
    )  # fmt: skip
