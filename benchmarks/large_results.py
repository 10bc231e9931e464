"""Section of RESULTS.md about tables of many pairs; see make_results.py."""

from __future__ import annotations

from typing import Any

from results_text import table

from humanclap.metrics.vote_agreement import wilson

Result = dict[str, Any]


def markdown(result: Result) -> list[str]:
    """Time and memory by number of pairs, and how often the intervals hold the truth."""
    found = list(result["cases"].values())
    rows = []
    for one in found:
        less = _smaller(one, found)
        growth = f"{one['cpu_seconds'] / less['cpu_seconds']:.1f}" if less else ""
        rows.append(
            [one["case"], one["format"], f"{one['pairs']:,}", one["systems"],
             f"{one['cpu_seconds']:.0f}", growth, f"{one['seconds']:.0f}",
             f"{one['load_average']:.0f}", f"{one['peak_bytes'] / 2**30:.2f}",
             f"{one['peak_bytes'] / one['pairs']:,.0f}", f"{one['output_bytes'] / 1e6:.1f}",
             "failed" if "failed" in one else ""]
        )  # fmt: skip
    heads = ["", "tables", "pairs", "systems", "CPU s", "of a tenth", "wall s", "load", "peak GiB",
             "bytes a pair", "output MB", ""]  # fmt: skip
    bad = [one["error"] for one in found if "error" in one]
    return [
        "SIMULATED scores and ratings, one thread each. *Of a tenth*: times the CPU seconds of the "
        "row with a tenth of the pairs. *Load*: of the machine when the case began; wall seconds "
        f"on a loaded machine say little ({result['cores']} cores).",
        "",
        *table(heads, rows),
        *(["", "The bad row is named: `" + bad[-1] + "`."] if bad else []),
        *_coverage(result.get("coverage")),
    ]


def _coverage(tried: Result | None) -> list[str]:
    if tried is None:
        return []
    held = []
    for name, count in tried["held"].items():
        low, high = wilson(count, tried["studies"])
        share = 100 * count / tried["studies"]
        held.append(f"{name.upper()} {share:.1f} % [{100 * low:.1f}, {100 * high:.1f}]")
    return [
        "",
        f"95 % intervals by influence, on {tried['studies']:,} simulated studies of "
        f"{tried['pairs']:,} pairs in {tried['captions']:,} captions, hold the true value: "
        + "; ".join(held)
        + ".",
    ]


def _smaller(one: Result, found: list[Result]) -> Result | None:
    same = ("case", "format", "systems")
    return next(
        (
            other
            for other in found
            if all(other[key] == one[key] for key in same) and 10 * other["pairs"] == one["pairs"]
        ),
        None,
    )
