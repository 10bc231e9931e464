from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from humanclap.choices import read_votes
from humanclap.errors import InputError
from humanclap.metrics.vote_agreement import KrippendorffAlpha
from humanclap.ratings.choice_summary import (
    repeats_alike,
    summarise_choices,
    summarise_listeners,
)
from humanclap.records import Choice, Votes


def choice(clip: str, listener: str, chosen: str = "first", **given) -> Choice:
    sides = {"audio_a": clip, "text_a": "a", "audio_b": clip, "text_b": "b"}
    return Choice(**sides, choice=chosen, listener_id=listener, **given)


def test_one_judge_of_fense_is_as_computed_elsewhere(shared):
    """.891 of 727 votes; .864 of 575 without pairs of a foreign caption."""
    votes = read_votes(shared / "data/fense/pairs.csv")
    groups = summarise_choices(votes)
    assert [group.kind for group in groups] == ["all", "HC", "HI", "HM", "MM"]
    every = groups[0]
    assert (every.n_questions, every.n_votes, every.n_decided) == (204, 816, 189)
    assert (every.one_judge.n, round(every.one_judge.value, 3)) == (727, 0.891)
    assert every.one_judge.low < 0.891 < every.one_judge.high
    (without,) = (
        group
        for group in summarise_choices([one for one in votes if one.kind != "HI"])
        if group.kind == "all"
    )
    assert (without.one_judge.n, round(without.one_judge.value, 3)) == (575, 0.864)


def test_a_small_study_worked_by_hand():
    answers = [
        choice("1", "x", "first", shown_first="a"),
        choice("1", "y", "first", shown_first="b"),
        choice("1", "z", "second", shown_first="a"),
        choice("2", "x", "equal", shown_first="a"),
        choice("2", "y", "first"),
        choice("3", "x", "first", kind="anchor", expected="first", shown_first="a"),
    ]
    (found,) = summarise_choices(answers)
    assert (found.n_questions, found.n_votes, found.n_listeners, found.n_decided) == (2, 5, 3, 2)
    assert found.share_equal == pytest.approx(0.2)
    # Of clip 1 the others of x and y are even, those of z (the second) lean to the first: 0 of 1.
    # Of clip 2 the others of y, an equal one, are even.
    assert (found.one_judge.value, found.one_judge.n) == (0.0, 1)
    # x took what stood first, y and z did not.
    expected = stats.binomtest(1, 3)
    assert (found.shown_first.value, found.shown_first.n) == (pytest.approx(1 / 3), 3)
    assert found.p_order == expected.pvalue
    ends = expected.proportion_ci(method="exact")
    assert (found.shown_first.low, found.shown_first.high) == (ends.low, ends.high)
    assert (found.repeats.n, found.repeats.reason) == (0, "no repeats")


def test_what_is_undefined_says_why():
    (found,) = summarise_choices([choice("1", "x", "equal")])
    assert math.isnan(found.one_judge.value)
    assert found.one_judge.reason == "no vote for a side has others that lean to one side"
    assert found.alpha_ordinal.reason == "no question has two votes"
    assert found.shown_first.reason == "no answer says which side was shown first"
    (found,) = summarise_choices([choice("1", one, "equal", shown_first="a") for one in ("x", "y")])
    assert found.alpha_nominal.reason == "all votes are equal"
    assert found.shown_first.reason == "all answers are equal"
    (found,) = summarise_choices([choice("1", one) for one in ("x", "y", "z")])
    assert (found.alpha_ordinal.value, found.alpha_ordinal.reason) == (1.0, "fewer than 2 clusters")


def test_agreement_does_not_rest_on_which_side_is_called_a():
    answers = [
        choice(str(clip), listener, ["first", "second", "equal"][(clip + place) % 3])
        for clip in range(7)
        for place, listener in enumerate("wxyz")
    ]
    turned = [one.swapped() if int(one.audio_a) % 2 else one for one in answers]
    (one,), (other,) = summarise_choices(answers), summarise_choices(turned)
    assert one.alpha_ordinal.value == pytest.approx(other.alpha_ordinal.value)
    assert one.alpha_nominal.value == pytest.approx(other.alpha_nominal.value)
    assert one.one_judge == other.one_judge


def test_alpha_of_fenses_pairs_whose_first_is_right_needs_both_orders(shared):
    """151 of 152 votes are for a: plain alpha calls that chance."""
    votes = [one for one in read_votes(shared / "data/fense/pairs.csv") if one.kind == "HI"]
    assert sum(one.n_first for one in votes) == 151
    counts = [(one.n_first, one.n_equal, one.n_second) for one in votes]
    plain = KrippendorffAlpha(counts)(np.ones((1, len(votes))))["alpha"][0]
    (found,) = summarise_choices(votes)
    assert plain == pytest.approx(0, abs=5e-4)
    assert round(found.alpha_ordinal.value, 3) == 0.974


def test_splits_and_kinds_have_their_totals_first():
    answers = [
        choice("1", "x", kind="HC", split="train"),
        choice("2", "x", kind="HM", split="test"),
        choice("3", "x", split="test"),
    ]
    found = [(one.split, one.kind, one.n_questions) for one in summarise_choices(answers)]
    assert found == [
        *(("all", "all", 3), ("all", "HC", 1), ("all", "HM", 1), ("all", "–", 1)),
        *(("test", "all", 2), ("test", "HM", 1), ("test", "–", 1)),
        ("train", "HC", 1),
    ]


def test_a_repeat_with_exchanged_sides_is_alike_where_the_same_text_is_preferred():
    first = [choice("1", "x"), choice("2", "x", "equal"), choice("3", "x")]
    again = [choice("1", "x", repeat=True).swapped(), choice("2", "x", "equal", repeat=True)]
    again.append(choice("3", "x", "second", repeat=True).swapped())
    assert again[0].choice == "second"
    assert repeats_alike(first + again) == [True, True, False]
    assert repeats_alike(again) == []
    (found,) = summarise_choices(first + again)
    assert (found.repeats.value, found.repeats.n, found.n_votes) == (pytest.approx(2 / 3), 3, 3)


def test_each_listener_has_a_row():
    check = {"kind": "anchor", "expected": "first", "shown_first": "a"}
    answers = [
        choice("1", "x", shown_first="a", duration_s=2.0),
        choice("2", "x", shown_first="a", duration_s=4.0),
        choice("3", "x", "second", duration_s=9.0, **check),
        choice("1", "x", "first", shown_first="b", repeat=True, duration_s=4.0),
        choice("1", "y"),
    ]
    x, y = summarise_listeners(answers)
    assert (x.n_choices, x.n_checks, x.n_checks_failed) == (3, 1, 1)
    assert (x.n_sides, x.share_first) == (3, pytest.approx(2 / 3))
    assert (x.n_repeats, x.n_same, x.median_s) == (1, 1, 4.0)
    assert (y.n_choices, y.n_sides) == (1, 0)
    assert math.isnan(y.median_s)
    assert math.isnan(y.p_one_side)


def test_attention_checks_alone_are_refused():
    sides = {"audio_a": "1", "text_a": "a", "audio_b": "1", "text_b": "b"}
    for records in (
        [choice("1", "x", kind="anchor", expected="first")],
        [Votes(**sides, n_first=1, n_second=0, kind="anchor")],
    ):
        with pytest.raises(InputError, match="only attention checks"):
            summarise_choices(records)
