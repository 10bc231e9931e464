"""What a reader is warned of: met pairs, impossible figures, floors that know."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from humanclap.errors import InputError, LeakageError
from humanclap.evaluation import EvaluationSettings, ScoreTable, compare
from humanclap.evaluation.report.agreement_warnings import warnings
from humanclap.evaluation.report.common_words import met_in_training
from humanclap.evaluation.report.files import json_report, markdown_report
from humanclap.metrics.ceiling import CeilingValue, NoiseCeiling
from humanclap.records import Score

QUICK = EvaluationSettings(replicates=40, permutations=0)


def judged(targets, scores, settings=QUICK, **options):
    return compare([ScoreTable(name="ours", scores=scores)], targets, settings, **options)


def ceiling(value, low, high):
    unknown = CeilingValue(value=math.nan, low=math.nan, high=math.nan)
    return NoiseCeiling(
        srcc=CeilingValue(value=value, low=value, high=value), lcc=unknown, ktau=unknown,
        srcc_low=low, srcc_high=high, icc=0.4, latent_icc=0.4, one_listener_srcc=0.4,
        simulated_one_listener_srcc=0.4, n_pairs=24, n_ratings=96, simulations=10,
    )  # fmt: skip


def with_met(scores, met):
    """The scores with what was met, by place."""
    return [replace(row, met=met.get(place, "nothing")) for place, row in enumerate(scores)]


# -- above the ceiling, or none -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "low", "high", "told"),
    [
        (0.6, 0.5, 0.7, "ours lies above the noise ceiling (SRCC 0.933"),
        (0.6, 0.5, 0.99, ", though within the interval of its estimate: "),
        (0.6, math.nan, math.nan, "0.600): on unseen pairs no metric is expected there."),
    ],
)
def test_a_figure_above_the_noise_ceiling_is_told(targets, scores_of, value, low, high, told):
    found = judged(targets, scores_of(targets, noise=0.1))
    assert found.metrics[0].overall.statistics["srcc"].value == pytest.approx(0.933, abs=0.001)
    found = replace(found, ceilings={"overall": ceiling(value, low, high)})
    (warning,) = warnings(found)
    assert warning.startswith("ours lies above the noise ceiling (SRCC 0.933")
    assert told in warning
    assert ("within the interval" in warning) == (high == 0.99)


def test_a_figure_below_the_ceiling_is_not(targets, scores_of):
    found = judged(targets, scores_of(targets, noise=0.1))
    assert warnings(replace(found, ceilings={"overall": ceiling(0.95, 0.9, 0.97)})) == []


def test_a_ceiling_whose_interval_reaches_0_is_told(targets, scores_of):
    found = judged(targets, scores_of(targets, noise=0.1))
    (warning,) = warnings(replace(found, ceilings={"overall": ceiling(0.95, 0.0, 0.97)}))
    assert warning.startswith("The interval of the noise ceiling reaches 0 (0.950 [0.000, 0.970])")
    assert warnings(replace(found, ceilings={"overall": ceiling(0.95, 0.01, 0.97)})) == []


# -- calibration on one side ----------------------------------------------------------------------


@pytest.fixture
def inner(targets):
    """The targets within 2..8, so that shifted ratings stay on 0..10."""
    means = [2 + 0.6 * target.mos for target in targets]
    return [replace(t, mos=mos, target=mos / 10) for t, mos in zip(targets, means, strict=True)]


def rated(targets, shift, error):
    return [
        Score(audio=t.audio, text=t.text, score=t.target, rating=t.mos + shift, rating_error=error)
        for t in targets
    ]


@pytest.mark.parametrize(("shift", "side"), [(1.5, "above"), (-1.5, "below")])
def test_predicted_ratings_all_on_one_side_of_people_s_are_told(inner, shift, side):
    # 24 pairs of error sqrt(1.2^2 + 0.5^2) = 1.3: the mean's is 1.3 / sqrt(24), times 1.96 = 0.52.
    (warning,) = warnings(judged(inner, rated(inner, shift, 1.2)))
    assert warning == (
        f"All 24 ratings predicted by ours lie {side} people's, by 1.50 on average where their "
        "errors allow 0.52: its calibration does not hold for these pairs."
    )


def test_ratings_on_both_sides_or_within_their_errors_or_without_any_are_not(inner):
    both = rated(inner, 1.5, 1.2)
    both[0] = replace(both[0], rating=inner[0].mos - 0.1)
    assert warnings(judged(inner, both)) == []
    assert warnings(judged(inner, rated(inner, 0.1, 1.2))) == []
    assert warnings(judged(inner, rated(inner, 1.5, math.nan))) == []
    assert warnings(judged(inner[:5], rated(inner[:5], 1.5, 0.1))) == []


# -- what the model met ---------------------------------------------------------------------------


def test_the_figure_without_met_pairs_is_that_of_the_other_pairs_alone(targets, scores_of):
    scores = scores_of(targets)
    met = {0: "clip:trained", 3: "caption:tuned", 7: "caption:trained+clip:trained"}
    found = judged(targets, with_met(scores, met)).metrics[0]
    left = {row.pair_id for place, row in enumerate(scores) if place not in met}
    alone = judged(
        [t for t in targets if t.pair_id in left], [s for s in scores if s.pair_id in left]
    ).metrics[0]
    assert found.unmet.n == 21
    assert found.unmet.statistics["srcc"].value == alone.overall.statistics["srcc"].value
    assert found.overall.n == 24
    assert found.exposure.met == 3
    assert found.exposure.by == {
        "clip, trained": 2,
        "caption, tuned": 1,
        "caption, trained": 1,
    }


def test_the_warning_comes_first_in_every_report(targets, scores_of):
    found = judged(targets, with_met(scores_of(targets), {0: "clip:calibrated"}))
    (first, *_) = warnings(found)
    assert first.startswith(
        "The model of ours met 1 of 24 judged pairs (1 by clip, calibrated) before. Without "
        "them, its SRCC is "
    )
    assert '"warnings": [\n    "The model of ours met 1 of 24' in json_report(found)
    lines = markdown_report(found).splitlines()
    assert lines[2].startswith("> **Warning:** The model of ours met 1 of 24")
    assert any(line.startswith("| unmet pairs | 23 |") for line in lines)


def test_with_two_metrics_both_are_judged_without_what_either_met(targets, scores_of):
    one = with_met(scores_of(targets), {0: "clip:trained"})
    two = with_met(scores_of(targets, seed=2), {1: "caption:trained"})
    tables = [ScoreTable(name="one", scores=one), ScoreTable(name="two", scores=two)]
    found = compare(tables, targets, QUICK)
    assert [metric.unmet.n for metric in found.metrics] == [22, 22]
    assert "Without the pairs that any metric's model met, its SRCC is" in warnings(found)[0]
    assert found.differences[0].groups[1].label == "unmet pairs"


def test_where_all_pairs_were_met_no_figure_is_left(targets, scores_of):
    found = judged(targets, [replace(row, met="clip:tuned") for row in scores_of(targets)])
    assert found.metrics[0].unmet is None
    assert "no unseen pair is left" in warnings(found)[0]


def test_unknown_pairs_are_said_to_be_unknown_and_tables_that_say_nothing_get_no_line(
    targets, scores_of
):
    some = with_met(scores_of(targets), {0: "unknown", 1: "unknown", 2: "clip:tuned"})
    assert met_in_training(judged(targets, some).metrics[0].exposure).startswith(
        "Met in training: 1 of 24 judged pairs (1 by clip, tuned); unknown of 2 judged pairs, as "
    )
    every = [replace(row, met="unknown") for row in some]
    found = judged(targets, every)
    told = met_in_training(found.metrics[0].exposure)
    assert told.startswith("Met in training: unknown of 24 judged pairs, as ")
    assert warnings(found) == []
    assert met_in_training(judged(targets, scores_of(targets)).metrics[0].exposure) == ""


def test_met_pairs_are_refused_by_name_where_asked_and_unknown_ones_are_told(targets, scores_of):
    strict = replace(QUICK, refuse_trained_on=True)
    scores = scores_of(targets)
    places = dict.fromkeys(range(5), "clip:tuned")
    with pytest.raises(LeakageError, match=r"ours: its model met 5 of 24 .*; and 2 more"):
        judged(targets, with_met(scores, places), strict)
    (warning,) = warnings(judged(targets, with_met(scores, {0: "unknown"}), strict))
    assert warning.endswith(": for 1 of 24 this is unknown.")
    assert warnings(judged(targets, with_met(scores, {}), strict)) == []


@pytest.mark.parametrize("met", ["yes", "clip", "clip:eaten", "clip:tuned+clip:tuned", "sky:tuned"])
def test_a_score_refuses_words_nobody_wrote(met):
    with pytest.raises(InputError, match=f"met is '{met.replace('+', '.')}'; expected nothing"):
        Score(audio="a", text="b", score=0.1, met=met)


# -- the floor ------------------------------------------------------------------------------------


def floor(targets, **changes):
    """Twelve other pairs; changes: place -> fields."""
    rows = [replace(t, audio=f"train/{t.audio}", text=f"other {t.text}", pair_id="")
            for t in targets[:12]]  # fmt: skip
    for place, fields in changes.items():
        rows[int(place[1:])] = replace(rows[int(place[1:])], pair_id="", **fields)
    return rows


def test_a_judged_clip_in_the_floor_s_table_is_refused_by_name(targets, scores_of):
    train = floor(targets, _3={"audio": targets[0].audio})
    for settings in (QUICK, replace(QUICK, allow_shared_captions=True)):
        with pytest.raises(
            LeakageError, match=r"train\.csv: the floor .* share 1 clip: 'natural/0"
        ):
            judged(targets, scores_of(targets), settings, train=train, train_where="train.csv")


def test_a_judged_caption_in_the_floor_s_table_is_refused_or_allowed_and_told(targets, scores_of):
    train = floor(targets, _3={"text": "Sound  0"}, _4={"text": "sound 1"})
    scores = scores_of(targets)
    with pytest.raises(LeakageError, match=r"share 2 captions: 'sound .*--allow-shared-captions"):
        judged(targets, scores, train=train)
    found = judged(targets, scores, replace(QUICK, allow_shared_captions=True), train=train)
    assert found.floor_captions == 2
    assert "fitted on 2 captions that are judged too" in " ".join(warnings(found))
    clean = judged(targets, scores, train=floor(targets))
    assert not any("judged too" in warning for warning in warnings(clean))


# -- scores that say little -----------------------------------------------------------------------


def test_judged_pairs_with_a_note_are_counted_and_named_on_top(targets, scores_of):
    scores = scores_of(targets)
    assert not any("note" in warning for warning in warnings(judged(targets, scores)))
    cut = "text cut: its last 37 of 112 word pieces are not read"
    found = judged(targets, [replace(scores[0], note=cut), *scores[1:]])
    (warning,) = [warning for warning in warnings(found) if "note" in warning]
    assert warning.startswith(f"1 of 24 judged pairs has a note: {scores[0].audio} (")
    assert cut in warning
    (metric,) = found.evaluations
    assert metric.to_dict()["noted"][0]["note"] == cut
