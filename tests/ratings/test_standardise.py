from __future__ import annotations

import math

import pytest
from scipy import stats

from humanclap.errors import InputError
from humanclap.ratings.standardise import (
    back_to_scale,
    global_habit,
    listener_habits,
    standardise,
    standardise_on_scale,
)
from humanclap.records import Rating
from humanclap.scale import RatingScale


def ratings_of(listener: str, *scores: float, kind: str = "rating") -> list[Rating]:
    return [
        Rating(audio=f"{kind}{i}.wav", text="x", listener_id=listener, score=score, kind=kind)
        for i, score in enumerate(scores)
    ]


def test_z_scores_equal_those_of_scipy():
    scores = (1.0, 4.0, 9.0, 9.5)
    z = [rating.score for rating in standardise(ratings_of("ann", *scores))]
    assert z == pytest.approx(stats.zscore(scores))


def test_a_listener_who_always_answers_the_same_has_z_zero():
    assert [r.score for r in standardise(ratings_of("bob", 7, 7, 7))] == [0, 0, 0]
    assert listener_habits(ratings_of("bob", 7))["bob"].deviation == 1.0
    assert listener_habits(ratings_of("bob", 0.1, 0.1, 0.1))["bob"].deviation == 1.0


def test_the_global_habit_is_the_mean_of_means_and_the_root_mean_square_of_deviations():
    habits = listener_habits(ratings_of("ann", 0, 2) + ratings_of("bob", 0, 14, 0, 14))
    habit = global_habit(habits)
    assert (habit.mean, habit.deviation, habit.n) == (4.0, 5.0, 6)
    with pytest.raises(InputError, match="no ratings"):
        global_habit({})


def test_anchors_do_not_shape_a_habit_but_are_standardised_by_it():
    ratings = ratings_of("ann", 4, 6) + ratings_of("ann", 0, kind="anchor")
    assert [r.score for r in standardise(ratings)] == [-1, 1, -5]
    with pytest.raises(InputError, match=r"1 listeners have no ordinary rating .*'bob'"):
        standardise(ratings + ratings_of("bob", 0, kind="anchor"))


def test_back_on_the_scale_the_mean_returns_and_what_falls_outside_is_counted():
    scale = RatingScale()
    ratings = ratings_of("ann", 4, 6) + ratings_of("bob", 0, 10)
    back, n_clipped = standardise_on_scale(ratings, scale)
    deviation = math.sqrt((1 + 25) / 2)
    assert [r.score for r in back] == pytest.approx([5 - deviation, 5 + deviation] * 2)
    assert n_clipped == 0
    clipped, n_clipped = back_to_scale(
        ratings_of("x", -9, 0, 9), global_habit(listener_habits(ratings)), scale
    )
    assert ([r.score for r in clipped], n_clipped) == ([0, 5, 10], 2)


def test_a_listener_with_anchors_only_keeps_those_scores_on_the_scale():
    ratings = ratings_of("ann", 4, 6) + ratings_of("bob", 3, kind="anchor")
    back, _ = standardise_on_scale(ratings, RatingScale())
    assert back[-1].score == pytest.approx(3)
