"""Gains of a grid: an interval each, one correction for all of them."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from humanclap.experiments.agreement import figures
from humanclap.experiments.data import Part
from humanclap.experiments.efficiency import efficiency_plot
from humanclap.experiments.grid import BEFORE, Done, Run
from humanclap.experiments.recipe import Recipe
from humanclap.experiments.run import _notes
from humanclap.experiments.summary import permutations_for, summarise
from humanclap.experiments.tables import as_json, markdown
from humanclap.metrics.permutation import holm
from humanclap.training.data.dataset import Example

PAIRS, SEEDS = 80, (0, 1)


def example(place, mos, system="a"):
    return Example(
        audio=f"{place}.wav", text=f"sound {place}", pair_id=str(place), path=Path(f"{place}.wav"),
        relevance=mos / 10, mos=mos, where="t.csv:2", system=system,
    )  # fmt: skip


HUMAN = np.random.default_rng(0).uniform(0, 10, PAIRS)
TEST = tuple(example(place, float(mos)) for place, mos in enumerate(HUMAN))
PART = Part(name="whole", train=(), validation=(), test=TEST)


def done(objective, seed, scores, part=PART):
    scores = np.asarray(scores, dtype=np.float64)
    return Done(
        run=Run(
            model="m", objective=objective, systems="all", pairs=0, part=part, seed=seed,
            settings=None,
        ),
        scores=scores, found=figures(part.test, scores, scores), best_epoch=1, ratings=100,
    )  # fmt: skip


@pytest.fixture(scope="module")
def rows():
    """A baseline, 18 objectives that are as good as it but for luck, and one that is better."""
    rng = np.random.default_rng(10)
    found = []
    for name in ("SCE", *(f"same {k}" for k in range(18)), "better"):
        noise = 1.0 if name == "better" else 6.0
        for seed in SEEDS:
            found.append(done(name, seed, HUMAN + noise * rng.normal(size=PAIRS)))
    return summarise(
        [done(BEFORE, 0, rng.normal(size=PAIRS)), *found], baseline="SCE", replicates=200
    )


def test_objectives_better_by_luck_alone_are_not_called_better(rows):
    gains = {row.objective: row.gain for row in rows if row.gain}
    assert len(gains) == 20  # before training, 18 and the better one
    same = [gain for name, gain in gains.items() if name.startswith("same")]
    assert any(not gain.low <= 0 <= gain.high for gain in same)  # so many: some leave 0 out
    assert all(gain.sign == 0 for gain in same)
    assert gains["better"].sign == 1
    assert gains[BEFORE].sign == -1


def test_the_correction_is_holms_over_all_gains_of_the_table(rows):
    gains = [row.gain for row in rows if row.gain]
    assert [gain.p_holm for gain in gains] == holm([gain.p for gain in gains])
    assert {gain.tests for gain in gains} == {20}
    assert {gain.permutations for gain in gains} == {1000}


def test_permutations_are_enough_for_the_number_of_tests():
    for tests in (1, 18, 30, 400):
        assert tests / (1 + permutations_for(tests)) < 0.05


def recipe():
    return cast(
        Recipe,
        SimpleNamespace(
            title="t", simulated=False, baseline="SCE", seeds=SEEDS, objectives={}, replicates=200
        ),
    )


def test_the_table_says_the_corrected_p_and_the_note_how_it_was_made(rows):
    plain = recipe()
    notes = _notes(plain, [PART], False, rows)
    assert notes[0].endswith(
        "p: paired permutation test, whole captions exchanged, 1,000 permutations, with Holm's "
        "correction over 20 tests; an objective is called better or worse where the corrected p is "
        "below 0.05."
    )
    lines = {line.split(" | ")[0][2:]: line for line in markdown(plain, rows, notes).splitlines()}
    assert lines["better"].endswith("], Holm p 0.020, better |")
    assert ", better" not in lines["same 0"]
    found = as_json(plain, rows, {})["rows"][-1]["srcc_gain"]
    assert found["p_holm"] == rows[-1].gain.p_holm
    assert found["tests"] == 20


def test_a_constant_run_has_no_gain_and_says_why(rows):
    found = summarise(
        [
            *(done("SCE", seed, HUMAN + seed) for seed in SEEDS),
            *(done("flat", seed, np.ones(PAIRS)) for seed in SEEDS),
        ],
        baseline="SCE",
    )
    gain = found[-1].gain
    assert math.isnan(gain.value)
    assert math.isnan(gain.p_holm)
    assert (gain.sign, gain.tests, gain.reason) == (0, 0, "the SRCC of a run is undefined")
    text = markdown(recipe(), found, [])
    assert "nan" not in text
    assert "| – (the SRCC of a run is undefined) |" in text
    assert "–: undefined, as in one of its runs" in text


def test_a_system_whose_ratings_are_all_alike_does_not_count_within_systems():
    same = [replace(item, mos=5.0, system="b") for item in TEST[:10]]
    part = [*same, *TEST[10:]]
    scores = HUMAN + np.random.default_rng(1).normal(size=PAIRS)
    found = figures(part, scores, scores)["within system"]
    alone = figures(TEST[10:], scores[10:], scores[10:])["overall"]
    assert found["srcc"] == pytest.approx(alone["srcc"])


def test_the_plot_leaves_out_what_is_undefined_and_draws_the_rest():
    recipe = cast(Recipe, SimpleNamespace(title="How <many>?", objectives={"MSE": 0, "SCE": 0}))
    constant = np.ones(PAIRS)
    rows = summarise(
        [done(BEFORE, 0, constant), done("SCE", 0, constant), done("MSE", 0, HUMAN)],
        baseline="SCE",
        replicates=40,
    )
    plot = efficiency_plot(recipe, rows)
    assert plot.count("<circle") == 1
    assert "nan" not in plot
    assert ">MSE</text>" in plot
    assert ">SCE</text>" not in plot
    assert "<title>How &lt;many&gt;?</title>" in plot
    undefined = [row for row in rows if row.objective != "MSE"]
    assert "<circle" not in efficiency_plot(recipe, undefined)
