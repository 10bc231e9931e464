from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from humanclap.errors import InputError
from humanclap.ratings.aggregate import aggregate
from humanclap.records import Rating
from humanclap.scale import RatingScale


def rating(score: float, clip: str = "a", **fields: object) -> Rating:
    return Rating(audio=f"{clip}.wav", text="x", score=score, **{"listener_id": "1", **fields})


def test_mean_and_standard_error_equal_those_of_numpy_and_scipy():
    scores = [2.0, 7.0, 9.5]
    (target,) = aggregate([rating(score) for score in scores])
    assert target.mos == pytest.approx(np.mean(scores))
    assert target.target == pytest.approx(np.mean(scores) / 10)
    assert target.standard_error == pytest.approx(stats.sem(scores))
    assert target.n == 3


def test_one_rating_has_no_standard_error():
    (target,) = aggregate([rating(7)])
    assert math.isnan(target.standard_error)


def test_pairs_come_in_order_of_first_appearance_and_keep_their_labels():
    labels = {"system": "tango", "subset": "synthetic", "split": "test"}
    targets = aggregate([rating(1, "b", **labels), rating(3, "a"), rating(5, "b")])
    assert [(t.audio, t.mos) for t in targets] == [("b.wav", 3), ("a.wav", 3)]
    assert (targets[0].system, targets[0].subset, targets[0].split) == (
        "tango",
        "synthetic",
        "test",
    )


def test_anchors_are_targets_only_when_asked_for_and_checks_never():
    ratings = [
        rating(9),
        rating(0, "b", kind="anchor"),
        rating(9, "c", kind="attention_check", expected=9),
    ]
    assert [t.kind for t in aggregate(ratings)] == ["rating"]
    assert [t.kind for t in aggregate(ratings, include_anchors=True)] == ["rating", "anchor"]


def test_another_scale_maps_to_the_unit_interval():
    (target,) = aggregate([rating(4), rating(5)], scale=RatingScale(low=1, high=5))
    assert (target.mos, target.target) == (4.5, 0.875)
    with pytest.raises(InputError, match=r"a\.wav: mean rating 9 is outside 1\.\.5"):
        aggregate([rating(9)], scale=RatingScale(low=1, high=5))


@pytest.mark.parametrize(
    ("field", "one", "other"),
    [("system", "x", "y"), ("split", "train", "test"), ("subset", "natural", "synthetic")],
)
def test_a_pair_with_two_labels_is_refused_with_both_lines(field, one, other):
    ratings = [rating(5, line=2, **{field: one}), rating(5, line=9, **{field: other})]
    with pytest.raises(InputError, match=f"line 9: {field} '{other}' .* '{one}' on line 2"):
        aggregate(ratings)


def test_a_pair_that_is_anchor_and_rating_is_refused():
    ratings = [rating(5, line=2), rating(0, line=3, kind="anchor")]
    with pytest.raises(InputError, match=r"line 3: kind 'anchor' .* 'rating' on line 2"):
        aggregate(ratings, include_anchors=True)


def test_two_questions_are_never_averaged():
    with pytest.raises(InputError, match=r"answer 2 questions \(IS, REL\); choose one: --question"):
        aggregate([rating(5), rating(5, question="IS")])


def test_no_ratings_give_no_targets():
    assert aggregate([]) == []


def test_ratings_of_one_to_five_are_not_taken_for_zero_to_ten_unasked():
    # 4.83 of 5 became target 0.483; on 1..5 it is 0.9583.
    ratings = [
        Rating(audio=f"{pair}.wav", text="rain", listener_id=f"l{n}", score=score)
        for pair in range(2)
        for n, score in enumerate([5, 5, 5, 5, 5, 4])
    ]
    with pytest.raises(InputError, match=r"all 12 ratings lie in 1\.\.5 .* --scale 1\.\.5 or"):
        aggregate(ratings)
    five = aggregate(ratings, scale=RatingScale(low=1, high=5))
    assert five[0].target == pytest.approx((29 / 6 - 1) / 4)
    assert aggregate(ratings, scale=RatingScale())[0].target == pytest.approx(29 / 60)
    low = Rating(audio="x.wav", text="cat", listener_id="l9", score=0, kind="anchor")
    assert aggregate([*ratings, low])[0].target == pytest.approx(29 / 60)  # 0 is on no 1..5
