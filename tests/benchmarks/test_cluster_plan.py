"""What docs/cluster.md says of machines and hours is what benchmarks/cluster_plan.py measured."""

import json
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RESULT = json.loads((ROOT / "benchmarks/results/cluster_plan.json").read_text(encoding="utf-8"))


def test_the_page_has_the_figures_of_the_results_file():
    page = " ".join((ROOT / "docs/cluster.md").read_text(encoding="utf-8").split())
    costs, farm = RESULT["costs"], {row["name"]: row for row in RESULT["farm"]}
    pair_s = costs["decode_s"] + costs["score_s"]
    chunk_s = costs["driver_s_a_chunk"]
    [hours] = [row["hours"] for row in RESULT["sheet"]["plans"]
               if (row["pairs"], row["nodes"]) == (1_000_000, 1)]  # fmt: skip
    assert f"about {1000 * pair_s:.0f} ms of one core" in page
    assert f"a node of 16 cores about {60 * hours:.0f} minutes" in page
    assert f"feeds about {costs['chunk_clips'] * pair_s / chunk_s:.0f} workers" in page
    assert f"about {1000 * chunk_s:.0f} ms on each chunk of {costs['chunk_clips']} clips" in page
    for name in ("one driver, no trouble", "a driver on each node, no trouble"):
        assert f"did {100 * farm[name]['efficiency']:.0f} %" in page, name
