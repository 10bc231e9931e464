"""The section on the reward in RESULTS.md, from what reward_gradient.py measured."""

from __future__ import annotations

from typing import Any

from results_text import table


def markdown(result: dict[str, Any]) -> list[str]:
    """The section of RESULTS.md."""
    names = list(result["models"])
    models = list(result["models"].values())
    rows: list[list[object]] = [
        [
            f"greatest difference to `score`, {int(rate) / 1000:g} kHz",
            *(f"{model['difference'][rate]:.0e}" for model in models),
        ]
        for rate in models[0]["difference"]
    ]
    for kind in ("float32", "float64"):
        errors = [model["slope_error"][kind] for model in models]
        rows.append(
            [f"gradient, relative error, {kind}, worst", *(f"{max(e):.0e}" for e in errors)]
        )
    for batch in models[0]["kept_mib"]:
        kept = [f"{model['kept_mib'][batch]} MiB" for model in models]
        rows.append([f"kept for the backward pass, batch of {batch}", *kept])
    ratios = [model["forward_backward_s"] / model["forward_s"] for model in models]
    rows.append(["forward and backward over forward, time", *(f"{r:.1f}" for r in ratios)])
    return [
        f"{result['clips']} clips of 10 s of noise (half white, half 1/f, slow envelopes), "
        "one text. Gradients at 44.1 kHz along the gradient against central differences. Memory "
        "without weights. Time: CPU seconds on one thread, least of five"
        f"{', while the machine was shared' if result['shared'] else ''}. *HTSAT*: the size of "
        "laion/clap-htsat-unfused with random weights.",
        "",
        *table(["", *names], rows),
    ]
