from __future__ import annotations

import math

import pytest

from humanclap.ratings.summary import summarise
from humanclap.records import Rating


def rating(listener: str, clip: str, score: float, **fields: object) -> Rating:
    return Rating(audio=clip, text="x", listener_id=listener, score=score, **fields)


def test_groups_are_split_and_system_with_totals_over_what_has_several():
    ratings = [
        rating("1", "a", 2, split="test", system="tango"),
        rating("1", "b", 2, split="train", system="tango"),
        rating("1", "c", 2, split="train", system="natural"),
        rating("1", "d", 0, kind="anchor", split="test"),
    ]
    assert [(g.split, g.system, g.reliability.n_ratings) for g in summarise(ratings)] == [
        ("all", "all", 3),
        ("all", "natural", 1),
        ("all", "tango", 2),
        ("train", "all", 2),
        ("train", "natural", 1),
        ("train", "tango", 1),
        ("test", "tango", 1),
    ]


def test_the_mean_over_ratings_and_over_pairs_differ():
    (group,) = summarise([rating("1", "a", 2), rating("2", "a", 4), rating("1", "b", 9)])
    assert group.mean_rating == pytest.approx(5)
    assert group.mean_mos == pytest.approx(6)
    assert (group.n_listeners, group.split, group.system) == (2, "–", "–")


def test_questions_are_never_summed_up():
    groups = summarise([rating("1", "a", 2), rating("1", "a", 4, question="OS")])
    assert [(g.question, g.mean_rating) for g in groups] == [("OS", 4), ("REL", 2)]


def test_reliability_of_single_ratings_is_undefined_with_its_reason():
    (group,) = summarise([rating("1", "a", 2), rating("1", "b", 3)])
    assert math.isnan(group.reliability.icc)
    assert group.reliability.undefined["icc"] == "no pair has two ratings"
    assert summarise([]) == []
