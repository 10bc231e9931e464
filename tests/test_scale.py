from __future__ import annotations

import math

import pytest

from humanclap.errors import InputError, SettingsError
from humanclap.scale import (
    UNSTATED,
    RatingScale,
    ask_for_scale,
    check_targets_scale,
    other_scale,
)


def test_a_scale_maps_its_ends_to_zero_and_one_and_back():
    scale = RatingScale(low=1, high=5)
    assert [scale.to_unit(rating) for rating in (1, 3, 5)] == [0, 0.5, 1]
    assert [scale.from_unit(unit) for unit in (0, 0.5, 1)] == [1, 3, 5]


def test_the_ends_belong_to_the_scale_and_nan_does_not():
    scale = RatingScale()
    assert 0.0 in scale
    assert 10.0 in scale
    assert 10.001 not in scale
    assert math.nan not in scale


@pytest.mark.parametrize("text", ["0..10", "1..5", "-1..1", "0..0.5"])
def test_what_a_scale_writes_it_reads(text):
    assert str(RatingScale.parse(text)) == text


@pytest.mark.parametrize("text", ["", "10", "0-10", "a..b", "0..", "1..2..3"])
def test_what_is_no_scale_is_refused(text):
    with pytest.raises(SettingsError, match=r"a rating scale is written low\.\.high"):
        RatingScale.parse(text)


@pytest.mark.parametrize("text", ["5..5", "10..0", "0..inf", "nan..1"])
def test_a_scale_needs_finite_ends_in_order(text):
    with pytest.raises(SettingsError, match="needs finite low < high"):
        RatingScale.parse(text)


# -- is this the scale? ---------------------------------------------------------------------

FIVE = [1.0, 5.0, 4.75, 3.0, 2.0, 5.0, 4.0, 4.5, 1.5, 5.0]


def test_ratings_that_never_leave_a_narrower_scale_ask_for_it():
    assert str(other_scale(FIVE, UNSTATED)) == "1..5"
    assert str(other_scale([0.0, 1.0, 0.5] * 4, UNSTATED)) == "0..1"
    with pytest.raises(InputError, match=r"t\.csv: all 10 ratings lie in 1\.\.5") as told:
        ask_for_scale(FIVE, UNSTATED, where="t.csv", option="--scale")
    assert str(told.value).endswith("state it, --scale 1..5 or --scale 0..10")


@pytest.mark.parametrize(
    ("ratings", "scale"),
    [
        (FIVE, RatingScale()),  # 0..10, and stated
        (FIVE, RatingScale(low=1, high=5)),
        (FIVE[:9], UNSTATED),  # few ratings lie in a part of the scale by chance
        ([*FIVE, 5.5], UNSTATED),
        ([*FIVE, 0.5], UNSTATED),
    ],
)
def test_there_is_no_doubt_where_the_scale_is_stated_or_left_or_ratings_are_few(ratings, scale):
    assert other_scale(ratings, scale) is None
    ask_for_scale(ratings, scale, where="t.csv")


def units(ratings, scale):
    return [scale.to_unit(rating) for rating in ratings]


def test_targets_of_another_scale_than_the_ratings_are_refused_with_the_likely_one():
    targets = units(FIVE, RatingScale(low=1, high=5))
    with pytest.raises(InputError, match="are of two scales: mos 5 has target 1") as told:
        check_targets_scale(targets, FIVE, RatingScale(), where="t.csv")
    assert "give --rating-scale 1..5, or make the targets anew" in str(told.value)
    rounded = [round(target, 2) for target in targets]
    with pytest.raises(InputError, match=r"give --rating-scale 1\.\.5, or"):
        check_targets_scale(rounded, FIVE, RatingScale(), where="t.csv")
    check_targets_scale(targets, FIVE, RatingScale(low=1, high=5), where="t.csv")


@pytest.mark.parametrize(
    "targets",
    [
        units(FIVE, RatingScale()),
        [round(target, 2) for target in units(FIVE, RatingScale())],
        [(rating / 10) ** 2 for rating in FIVE],  # made in another way, no matter of the scale
        [0.1, 0.9, 0.3, 0.2, 0.8, 0.5, 0.6, 0.4, 0.7, 0.35],
        [0.5] * 10,
    ],
)
def test_targets_of_the_scale_or_of_none_pass(targets):
    check_targets_scale(targets, FIVE, RatingScale(), where="t.csv")
