from __future__ import annotations

import pytest
from scipy import stats

from humanclap.errors import InputError, SettingsError
from humanclap.ratings.choice_screening import (
    ONE_SIDE_P,
    count_screened_choices,
    screen_attention,
    screen_choices,
    screen_fast,
    screen_one_side,
)
from humanclap.records import Choice


def choice(number: int, listener: str, chosen: str = "first", **given) -> Choice:
    return Choice(
        audio_a=f"{number}.wav",
        text_a="a",
        audio_b=f"{number}.wav",
        text_b="b",
        choice=chosen,
        listener_id=listener,
        line=number + 2,
        **given,
    )


def on_the_left(listener: str, left: int, n: int) -> list[Choice]:
    """n answers, as many of them for what stood first, which is a and b in turn."""
    answers = []
    for number in range(n):
        first = "ab"[number % 2]
        side = first if number < left else "ba"[number % 2]
        chosen = "first" if side == "a" else "second"
        answers.append(choice(number, listener, chosen, shown_first=first))
    return answers


def test_eleven_answers_on_one_side_are_excluded_and_ten_are_not():
    found = screen_one_side(on_the_left("ten", 10, 10) + on_the_left("eleven", 11, 11))
    assert found == {
        "eleven": "11 of 11 answers for the side shown first, p = 0.00098, limit 0.001"
    }


@pytest.mark.parametrize("left", range(0, 31, 3))
def test_the_limit_is_that_of_the_exact_binomial_test(left):
    excluded = "x" in screen_one_side(on_the_left("x", left, 30))
    assert excluded == (stats.binomtest(left, 30).pvalue < ONE_SIDE_P)


def test_a_listener_who_always_prefers_a_in_places_drawn_anew_is_kept():
    always_a = [choice(i, "x", "first", shown_first="ab"[i % 2]) for i in range(40)]
    assert screen_one_side(always_a) == {}


def test_equal_answers_and_attention_checks_are_on_no_side():
    answers = on_the_left("x", 10, 10)
    answers += [choice(20 + i, "x", "equal", shown_first="a") for i in range(20)]
    answers += [
        choice(50 + i, "x", "first", shown_first="a", kind="anchor", expected="first")
        for i in range(20)
    ]
    assert screen_one_side(answers) == {}


def test_without_places_on_the_page_one_side_is_refused():
    with pytest.raises(InputError, match=r"column shown_first: a or b"):
        screen_one_side([choice(0, "x")])


def test_a_failed_check_excludes_its_listener_and_equal_fails():
    check = {"kind": "anchor", "expected": "first"}
    answers = [
        choice(0, "right", "first", **check),
        choice(0, "wrong", "second", **check),
        choice(0, "equal", "equal", **check),
        choice(1, "without"),
    ]
    assert screen_attention(answers) == {
        "wrong": "attention check answered second, expected first",
        "equal": "attention check answered equal, expected first",
    }
    with pytest.raises(InputError, match=r"line 2: an attention check .* without its right answer"):
        screen_attention([choice(0, "x", kind="anchor")])


def test_a_median_time_below_the_limit_excludes_and_unknown_times_do_not_count():
    answers = [choice(i, "fast", duration_s=s) for i, s in enumerate((1.0, 1.5, 60.0))]
    answers += [choice(i, "slow", duration_s=s) for i, s in enumerate((1.0, 2.0, 2.0))]
    answers.append(choice(3, "unknown"))
    assert screen_fast(answers) == {"fast": "median time 1.50 s, limit 2 s"}
    assert set(screen_fast(answers, limit_s=2.1)) == {"fast", "slow"}
    with pytest.raises(InputError, match="column duration_s"):
        screen_fast([choice(3, "unknown")])
    with pytest.raises(SettingsError, match="expected 0 or more"):
        screen_fast(answers, limit_s=-1)


def test_rules_follow_each_other_and_nothing_vanishes():
    answers = [
        *on_the_left("left", 12, 12),
        choice(0, "fails", "second", expected="first", duration_s=9.0),
        choice(1, "fails", "second"),
        choice(0, "keeps", duration_s=0.1),
    ]
    screened = screen_choices(answers, ["attention", "one-side", "none"])
    assert [one.listener_id for one in screened.kept] == ["keeps"]
    assert len(screened.kept) + len(screened.exclusions) == len(answers)
    assert {(one.listener_id, one.rule) for one in screened.exclusions} == {
        ("fails", "attention"),
        ("left", "one-side"),
    }
    assert screened.exclusions[0].line == 2
    counts = count_screened_choices(answers, screened)
    assert [(c.outcome, c.n_choices, c.n_checks, c.n_listeners) for c in counts] == [
        ("kept", 1, 0, 1),
        ("excluded by attention", 1, 1, 1),
        ("excluded by one-side", 12, 0, 1),
    ]


def test_a_limit_of_ones_own_stands_with_the_rule():
    answers = on_the_left("ten", 10, 10) + on_the_left("six", 6, 6)
    answers += [choice(40, "quick", "equal", shown_first="a", duration_s=1.7)]
    screened = screen_choices(answers, ["one-side=0.01", "fast=1.8"])
    assert {(one.listener_id, one.rule, one.detail) for one in screened.exclusions} == {
        ("ten", "one-side", "10 of 10 answers for the side shown first, p = 0.002, limit 0.01"),
        ("quick", "fast", "median time 1.70 s, limit 1.8 s"),
    }
    assert not screen_choices(answers, ["one-side=0.001", "fast=1.7"]).exclusions


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("fast=soon", "the limit 'soon' is not a number; write fast=SECONDS or one-side=P"),
        ("fast=", "the limit '' is not a number"),
        ("fast=nan", "the shortest median time is nan s"),
        ("fast=inf", "the shortest median time is inf s"),
        ("one-side=5", "the smallest p-value of one-side is 5; expected 0 to 1"),
        ("attention=2", "attention has no limit to set; one-side and fast do"),
    ],
)
def test_a_limit_that_cannot_be_is_refused(rule, said):
    with pytest.raises(SettingsError, match=said):
        screen_choices([choice(0, "x", shown_first="a", duration_s=1.0)], [rule])


def test_a_rule_for_ratings_is_refused_with_those_for_choices():
    with pytest.raises(SettingsError, match="'relate' is not a rule for choices; known: none, att"):
        screen_choices([choice(0, "x")], ["relate"])
