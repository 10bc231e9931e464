import numpy as np
import pytest
from scipy.stats import spearmanr

from humanclap.records import Target
from humanclap.reproduce.agreement import Estimate, Judged, views_of
from humanclap.reproduce.verdict import judge_gain, judge_level


@pytest.mark.parametrize(
    ("value", "low", "high", "word"),
    [
        (0.16, 0.10, 0.22, "replicates"),
        (0.30, 0.25, 0.35, "replicates"),  # more than published is no failure
        (0.10, 0.05, 0.15, "is smaller than published"),
        (0.01, -0.04, 0.06, "does not replicate"),
        (-0.10, -0.15, -0.05, "does not replicate"),
        (0.09, -0.02, 0.20, "cannot be told"),
        (0.20, float("nan"), float("nan"), "cannot be told"),
    ],
)
def test_the_word_follows_from_the_interval(value, low, high, word):
    verdict = judge_gain(Estimate(value=value, low=low, high=high), 0.17)
    assert verdict.word == word
    assert word == "cannot be told" or f"{value:+.3f}" in verdict.sentence


def test_a_level_is_above_below_or_not_told():
    assert "is above 0.45" in judge_level(Estimate(value=0.5, low=0.46, high=0.54), 0.45)
    assert "is below 0.45" in judge_level(Estimate(value=0.3, low=0.25, high=0.35), 0.45)
    assert "neither" in judge_level(Estimate(value=0.45, low=0.4, high=0.5), 0.45)


def made(n, systems=("natural", "one")):
    rng = np.random.default_rng(1)
    return [
        Target(
            audio=f"{i}.wav",
            text=f"caption {i // 2}",
            target=float(v),
            mos=10 * float(v),
            n=2,
            system=systems[i % len(systems)],
            subset="natural" if systems[i % len(systems)] == "natural" else "synthetic",
            split="test" if i % 3 else "validation",
        )
        for i, v in enumerate(rng.uniform(size=n))
    ]


def test_views_hold_each_pair_once_and_the_mean_within_systems_is_that_of_its_parts():
    targets = made(60)
    views = {view.name: view for view in views_of(targets)}
    assert list(views) == [
        *("all judged", "test alone", "natural", "synthetic"),
        *("within systems", "without natural", "without one"),
    ]
    assert (views["test alone"].n, views["within systems"].n) == (40, 60)
    rng = np.random.default_rng(2)
    mos = np.array([target.mos for target in targets])
    scores = mos + rng.normal(scale=3, size=60)
    judged = Judged(targets, replicates=100)
    each = [spearmanr(scores[p], mos[p]).statistic for p in views["within systems"].sets]
    found = judged.agreement([scores], views["within systems"])
    assert found.value == pytest.approx(np.mean(each))
    assert found.low < found.value < found.high


def test_a_gain_is_the_difference_of_means_over_seeds_on_the_same_draws():
    targets = made(80, systems=("one",))
    mos = np.array([target.mos for target in targets])
    rng = np.random.default_rng(3)
    base = [mos + rng.normal(scale=9, size=80)]
    runs = [mos + rng.normal(scale=2, size=80) for _ in range(2)]
    judged = Judged(targets, replicates=200)
    view = judged.views[0]
    found = judged.gain(runs, base, view)
    expected = np.mean([spearmanr(r, mos).statistic for r in runs])
    assert found.value == pytest.approx(expected - spearmanr(base[0], mos).statistic)
    assert found.low > 0
    assert judged.p_value(runs, base) < 0.01
    same = judged.gain(base, base, view)
    assert (same.value, same.low, same.high) == (0, 0, 0)  # paired: no noise of its own


def test_constant_scores_have_no_figure_and_say_why():
    targets = made(20)
    found = Judged(targets, replicates=100).agreement([np.zeros(20)], views_of(targets)[0])
    assert np.isnan(found.value)
    assert "equal" in found.reason
