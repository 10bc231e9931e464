"""The cross-validated benchmark of choices as teachers: its folds and its figures."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from humanclap.grouping import grouped_folds
from humanclap.metrics.agreement import srcc
from humanclap.training.data.choices import ChoiceExample, Side
from humanclap.training.data.dataset import Example
from humanclap.training.settings import TrainingSettings

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
WAYS = ("before training", "ratings", "choices", "ratings (rate 0.001)", "choices (rate 0.001)")


@pytest.fixture(autouse=True)
def scripts(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    yield
    for name in ("choice_training", "training_results"):
        sys.modules.pop(name, None)


def rated(number):
    return Example(
        audio=f"{number}.wav",
        text=f"rated {number}",
        pair_id=str(number),
        path=Path(f"{number}.wav"),
        relevance=number / 20,
        mos=float((7 * number) % 20),
        where="t",
    )


def asked(number, share=0.75, kind="MM"):
    sides = [
        Side(audio=f"{number}.ogg", text=f"{word} {number}", path=Path(f"{number}.ogg"), where="c")
        for word in ("good", "bad")
    ]
    return ChoiceExample(
        first=sides[0], second=sides[1], share=share, votes=4, where="c", kind=kind
    )


@pytest.fixture
def data():
    """20 rated pairs and 20 choices on the same recordings, in other files."""
    from choice_training import Data

    names = tuple(f"recording {number}" for number in range(20))
    return Data(
        rated=tuple(map(rated, range(20))),
        rated_of=names,
        choices=tuple(
            asked(n, 0.5 if n == 3 else 0.75, "HI" if n < 5 else "MM") for n in range(20)
        ),
        chosen_of=names,
    )


def test_folds_and_splits_keep_a_recording_whole_whatever_its_file(data):
    from choice_training import for_objective, splits_of

    folds = grouped_folds(data.known(), 5)
    rated_fold, choice_fold = data.divided(folds)
    assert rated_fold == choice_fold
    splits = splits_of(data.of([fold != 0 for fold in folds]))
    assert (len(splits.train), len(splits.validation)) == (13, 3)

    def numbers(items):
        return {int(Path(item.path).stem) for item in items}

    assert numbers(splits.train) == numbers(c.first for c in splits.train_choices)
    assert not numbers(splits.train) & numbers(splits.validation)
    alone = for_objective(splits, TrainingSettings(objective="choice"))
    assert (alone.train, alone.validation) == ((), ())
    assert for_objective(splits, TrainingSettings()).train_choices == ()
    both = TrainingSettings(objective="mae+choice")
    assert for_objective(splits, both) is splits


def test_figures_are_means_over_seeds_and_differences_are_against_the_same_rate(data):
    from choice_training import accuracies, correlations

    rng = np.random.default_rng(0)
    scores = {way: [(rng.normal(size=20), rng.normal(size=20)) for _ in "ab"] for way in WAYS}
    found = accuracies(scores, data, ("HI", "MM"))
    assert (found["n"], found["recordings"]) == (19, 19)
    kept = [n for n in range(20) if n != 3]
    right = np.mean([[gaps[n] > 0 for n in kept] for _, gaps in scores["choices"]])
    assert found["accuracy"]["choices"][0] == pytest.approx(right, abs=1e-4)
    without = accuracies(scores, data, ("MM",))
    assert without["n"] == 15
    related = correlations(scores, data)
    human = [item.mos for item in data.rated]
    value = np.mean([srcc(cosine, human) for cosine, _ in scores["choices"]])
    assert related["srcc"]["choices"][0] == pytest.approx(value, abs=1e-4)
    names = {name for name in related["srcc"] if name.startswith("choices (rate 0.001) - ")}
    assert names == {
        "choices (rate 0.001) - before training",
        "choices (rate 0.001) - ratings (rate 0.001)",
    }
    gain = related["srcc"]["choices - ratings"][0]
    assert gain == pytest.approx(
        related["srcc"]["choices"][0] - related["srcc"]["ratings"][0], abs=2e-4
    )


def test_the_section_has_a_row_a_way_with_its_gains(data):
    from choice_training import accuracies, correlations
    from training_results import choice_training

    rng = np.random.default_rng(1)
    scores = {way: [(rng.normal(size=20), rng.normal(size=20))] for way in WAYS}
    result = {
        "model": {"name": "mini", "fingerprint": "0123456789"},
        "met_by_base": {"clip:calibrated": 3, "caption:trained": 1, "nothing": 6},
        "data": dict.fromkeys(
            (
                *("choices", "decided", "choice_recordings"),
                *("rated_pairs", "rated_recordings", "recordings_in_both"),
            ),
            20,
        ),
        "folds": 5,
        "seeds": [0],
        "replicates": 2000,
        "epochs_kept": {way: [0, 4] for way in WAYS[1:]},
        "choices": {
            "overall": accuracies(scores, data, ("HI", "MM")),
            "without HI": accuracies(scores, data, ("MM",)),
        },
        "ratings": correlations(scores, data),
    }
    lines = choice_training(result)
    assert "its embeddings met 1 of the 10 distinct pairs" in lines[0]
    rows = [line for line in lines if line.startswith("| ")]
    assert [row.split(" | ")[0][2:] for row in rows[1:]] == list(WAYS)
    assert "| 2.0; none in 1 of 2 |" in rows[2]
    assert rows[1].count("–") == 5  # nothing before the beginning
    assert rows[2].count("| – |") == 2  # ratings are not set against themselves
