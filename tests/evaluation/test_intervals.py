import json
import math
from dataclasses import replace

import numpy as np
import pytest

from humanclap.evaluation import (
    EvaluationSettings,
    evaluate,
    html_report,
    json_report,
    markdown_report,
)
from humanclap.evaluation.agreement.evaluate import compare
from humanclap.evaluation.agreement.rating_intervals import LEVELS, predicted_intervals
from humanclap.evaluation.join import ScoreTable
from humanclap.evaluation.report.agreement_warnings import warnings
from humanclap.evaluation.report.agreement_words import intervals_line
from humanclap.records import Score, Target
from humanclap.scale import RatingScale

QUICK = EvaluationSettings(replicates=40, permutations=0)
VARIANCE = 4.0


def simulated(pairs, *, error, claimed, scale=None):
    """Scores that claim the error `claimed` where it is `error`, in units of 0..10; and targets."""
    rng = np.random.default_rng(0)
    scale = scale or RatingScale()
    unit = (scale.high - scale.low) / 10
    scores, targets = [], []
    for i in range(pairs):
        n = int(rng.integers(2, 6))
        rating = float(rng.uniform(3, 7))
        noise = math.sqrt(error**2 + VARIANCE / n) * float(rng.normal())
        mos = scale.low + unit * min(max(rating + noise, 0.0), 10.0)
        names = {"audio": f"{i}.wav", "text": f"sound {i}"}
        scores.append(Score(**names, score=rating / 10, rating=rating, rating_error=claimed))
        targets.append(
            Target(
                **names,
                target=scale.to_unit(mos),
                mos=mos,
                n=n,
                standard_error=unit * math.sqrt(VARIANCE / n),
            )
        )
    return scores, targets


@pytest.mark.parametrize("scale", [RatingScale(), RatingScale(low=1, high=5)])
def test_true_errors_hold_as_often_as_their_level_says_on_any_scale(scale):
    found = predicted_intervals(*simulated(5000, error=1.0, claimed=1.0, scale=scale), scale)
    assert [one.level for one in found.coverage] == list(LEVELS)
    assert [one.share for one in found.coverage] == pytest.approx(LEVELS, abs=0.02)
    assert [one.n for one in found.coverage] == [5000] * 3
    assert found.rating_variance == pytest.approx(VARIANCE * ((scale.high - scale.low) / 10) ** 2)


def test_errors_that_are_too_small_hold_too_rarely():
    found = predicted_intervals(*simulated(2000, error=2.5, claimed=0.5), RatingScale())
    assert all(one.share < one.level - 0.1 for one in found.coverage)


def test_pairs_without_an_error_are_left_out_and_counted():
    scores, targets = simulated(50, error=1.0, claimed=1.0)
    scores[0] = replace(scores[0], rating_error=math.nan)
    evaluation = evaluate(scores, targets, QUICK)
    assert evaluation.intervals.without == 1
    assert "of the mean ratings of 49 pairs (1 pair without rating_error left out)" in (
        intervals_line(evaluation)
    )


def test_without_the_noise_of_the_means_coverage_is_undefined_with_its_reason():
    scores, targets = simulated(50, error=1.0, claimed=1.0)
    bare = [replace(target, standard_error=math.nan) for target in targets]
    found = compare([ScoreTable(name="ours", scores=scores)], bare, QUICK)
    (told,) = json.loads(json_report(found))["evaluations"]
    assert [one["share"] for one in told["predicted_intervals"]["coverage"]] == [None] * 3
    for text in (markdown_report(found), html_report(found)):
        assert "how often they hold is undefined: no target has n above 1 and" in text


def test_every_report_says_how_often_the_intervals_hold():
    scores, targets = simulated(200, error=1.0, claimed=1.0)
    found = compare([ScoreTable(name="ours", scores=scores)], targets, QUICK)
    (told,) = json.loads(json_report(found))["evaluations"]
    half = told["predicted_intervals"]["coverage"][0]
    assert (half["level"], half["n"]) == (0.5, 200)
    inside = sum(
        abs(score.rating - target.mos) <= 0.674490 * math.sqrt(1 + VARIANCE / target.n)
        for score, target in zip(scores, targets, strict=True)
    )
    assert half["share"] == inside / 200
    sentence = f"50 % hold {inside / 2:.1f} %, 80 % hold"
    for text in (markdown_report(found), html_report(found)):
        assert sentence in text
        assert "% of the mean ratings of 200 pairs" in text


def test_a_table_without_errors_gets_no_line_and_no_figure(targets, scores_of):
    evaluation = evaluate(scores_of(targets, rating=True), targets, QUICK)
    assert evaluation.intervals is None
    assert intervals_line(evaluation) == ""
    assert evaluation.to_dict()["predicted_intervals"] is None


def warned(covers, kinds):
    """What is said of pairs of these (system, subset), fitted on `covers`."""
    scores, targets = simulated(len(kinds), error=1.0, claimed=1.0)
    scores = [replace(score, rating_covers=covers) for score in scores]
    targets = [
        replace(target, system=system, subset=subset)
        for target, (system, subset) in zip(targets, kinds, strict=True)
    ]
    found = compare([ScoreTable(name="ours", scores=scores)], targets, QUICK)
    return [line for line in warnings(found) if "never checked" in line]


def test_sounds_of_a_kind_the_calibration_never_met_are_named():
    natural, made = ("natural", "natural"), ("tango", "synthetic")
    assert warned("natural", [natural] * 5 + [made] * 3) == [
        "Predicted ratings of ours were fitted on natural sound only: those of 3 pairs (tango) and "
        "their errors were never checked against people."
    ]
    assert "(synthetic)" in warned("natural", [natural] * 5 + [(None, "synthetic")])[0]


@pytest.mark.parametrize(
    ("covers", "kind"),
    [
        ("natural", ("natural", "natural")),
        ("natural", ("freesound", "natural")),
        ("natural", (None, None)),
        ("audioldm; tango", ("tango", "synthetic")),
        (None, ("tango", "synthetic")),
    ],
)
def test_nothing_is_said_where_the_kind_was_met_or_is_unknown(covers, kind):
    assert warned(covers, [kind] * 8) == []
