"""Writes statistics.json: cases with the answers of pingouin and statsmodels.

pip install pingouin && python tests/metrics/reference/make_statistics.py
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np


def main() -> None:
    """Draw the cases, ask the packages, write."""
    import pandas as pd
    import pingouin
    import statsmodels
    from statsmodels.stats.multitest import multipletests

    rng = np.random.default_rng(5)
    ratings = 6 + 2 * rng.normal(size=(12, 1)) + 2 * rng.normal(size=(12, 4))
    ratings = np.clip(np.round(ratings), 0, 10)
    long = pd.DataFrame(
        [(i, j, ratings[i, j]) for i in range(12) for j in range(4)],
        columns=["pair", "listener", "rating"],
    )
    icc = pingouin.intraclass_corr(long, "pair", "listener", "rating").set_index("Type")["ICC"]
    systems = np.arange(40) % 3
    metric = rng.normal(size=40).round(1)
    human = (metric + rng.normal(size=40) + 2 * (systems == 0)).round(1)
    frame = pd.DataFrame(
        {"x": metric, "y": human, "a": 1.0 * (systems == 0), "b": 1.0 * (systems == 1)}
    )
    partial = {
        name: float(pingouin.partial_corr(frame, "x", "y", ["a", "b"], method=name)["r"].iloc[0])
        for name in ("spearman", "pearson")
    }
    p_values = [0.01, 0.2, 0.03, 0.04, 0.005, 0.5, 0.0301]
    found = {
        "made_with": {"pingouin": pingouin.__version__, "statsmodels": statsmodels.__version__},
        "icc": {"ratings": ratings.tolist(), "icc1": float(icc["ICC(1,1)"])},
        "partial": {
            "metric": metric.tolist(),
            "human": human.tolist(),
            "systems": systems.tolist(),
            **partial,
        },
        "holm": {
            "p": p_values,
            "adjusted": multipletests(p_values, method="holm")[1].tolist(),
        },
    }
    path = Path(__file__).with_name("statistics.json")
    path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
