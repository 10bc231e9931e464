from __future__ import annotations

import math

import pytest

from humanclap.errors import SettingsError
from humanclap.scale import RatingScale


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
