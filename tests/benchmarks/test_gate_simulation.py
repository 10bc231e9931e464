"""The simulation of the gate: its bounds are the command's, and the page shows its figures."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
RESULT = json.loads((ROOT / "benchmarks/results/gate_simulation.json").read_text(encoding="utf-8"))


@pytest.fixture(autouse=True)
def scripts(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    yield
    sys.modules.pop("gate_simulation", None)


def test_bounds_of_many_comparisons_are_those_of_the_command():
    from gate_simulation import all_bounds, check_same, designs

    for name, draw in designs(RESULT["measured"]).items():
        values = draw(np.random.default_rng(1), 400, 40)
        assert abs(values.mean()) < 0.1, name  # a true difference of 0
        found = all_bounds(values)
        check_same(values, found["studentised"])
        assert np.corrcoef(found["bca"][0], found["t"][0])[0, 1] > 0.9


def test_from_50_prompts_on_both_errors_lie_between_3_and_7_percent():
    rates = [
        row["studentised"][error][0]
        for row in RESULT["boundary"]
        if row["prompts"] >= 50
        for error in ("wrong_pass", "wrong_fail")
    ]
    assert len(rates) == 32
    assert 3 <= min(rates) <= max(rates) <= 7


def test_the_page_shows_the_figures_of_the_results_file():
    page = (ROOT / "docs" / "gate.md").read_text(encoding="utf-8")
    for design in {row["design"] for row in RESULT["boundary"]}:
        cells = [
            " / ".join(f"{row['studentised'][e][0]:.1f}" for e in ("wrong_pass", "wrong_fail"))
            for row in RESULT["boundary"]
            if row["design"] == design and row["prompts"] > 10
        ]
        assert f" | {' | '.join(cells)} |" in page, design
    for table in ("power", "power_4_clips"):
        for prompts in (20, 50, 100, 200, 500):
            cells = [
                f"{row['pass'][0]:.0f} / {row['fail'][0]:.0f}"
                for row in RESULT[table]
                if row["prompts"] == prompts and row["loss"] in (0, 0.02, 0.04, 0.06, 0.08)
            ]
            assert f"| {prompts} | {' | '.join(cells)} |" in page, (table, prompts)
