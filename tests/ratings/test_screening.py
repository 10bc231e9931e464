from __future__ import annotations

import pytest

from humanclap.errors import InputError, SettingsError
from humanclap.ratings.screening import (
    count_screened,
    screen,
    screen_attention,
    screen_published,
    screen_relate,
    screen_spo,
)
from humanclap.records import Rating


def rating(listener: str, score: float, clip: str = "a", **fields: object) -> Rating:
    return Rating(audio=f"{clip}.wav", text="x", listener_id=listener, score=score, **fields)


def with_anchors(listener: str, *scores: float) -> list[Rating]:
    """Three anchors and one rating in each split, and one in none."""
    anchors = [
        rating(listener, score, f"anchor{i}", kind="anchor", split="train")
        for i, score in enumerate(scores)
    ]
    splits = ("train", "validation", "test", None)
    return anchors + [rating(listener, 9, str(split), split=split) for split in splits]


@pytest.mark.parametrize(
    ("anchors", "kept"),
    [
        ((0, 0, 0), ["train", "validation", "test", None]),
        ((0, 0, 2), ["train", "validation", "test", None]),
        ((1, 1, 1), ["train"]),
        ((2, 2, 1), ["train"]),
        ((2, 2, 2), []),
        ((10, 0, 0), []),
    ],
)
def test_relates_rule_is_two_for_train_and_one_elsewhere(anchors, kept):
    screened = screen_relate(with_anchors("ann", *anchors))
    assert [r.split for r in screened.kept if r.kind == "rating"] == kept


def test_relates_rule_judges_each_listener_alone_and_says_why():
    ratings = with_anchors("ann", 0, 0, 0) + with_anchors("bob", 1, 1, 2)
    screened = screen_relate(ratings)
    assert {(e.listener_id, e.rule) for e in screened.exclusions} == {("bob", "relate")}
    assert {e.detail for e in screened.exclusions} == {"anchor mean 1.33, limit 1"}
    assert len(screened.kept) + len(screened.exclusions) == len(ratings)


def test_relates_rule_needs_three_anchors_of_each_listener():
    with pytest.raises(InputError, match=r"'bob' has 2 anchors of question REL; .* needs 3"):
        screen_relate(with_anchors("ann", 0, 0, 0) + with_anchors("bob", 0, 0))
    assert len(screen_relate(with_anchors("bob", 0, 0), n_anchors=2).kept) == 6


def test_the_published_verdict_is_taken_and_anchors_follow_their_listener():
    ratings = [
        rating("ann", 9, excluded=False),
        rating("ann", 0, "b", kind="anchor"),
        rating("bob", 9, excluded=True),
        rating("bob", 9, "b", kind="anchor"),
    ]
    screened = screen_published(ratings)
    assert list(screened.kept) == ratings[:2]
    assert [e.detail for e in screened.exclusions] == [
        "excluded by the publisher",
        "no answer of the listener was kept by the publisher",
    ]
    with pytest.raises(InputError, match="line 7: the table does not tell"):
        screen_published([rating("ann", 9, line=7)])


def test_spo_keeps_an_answer_that_another_of_its_pair_supports():
    ratings = [
        *(rating(str(i), score) for i, score in enumerate((0, 5, 10, 10))),
        *(rating(str(i), score, "b") for i, score in enumerate((0, 6))),
        rating("0", 4, "c"),
    ]
    screened = screen_spo(ratings)
    assert [(r.audio, r.score) for r in screened.kept] == [
        ("a.wav", 0),
        ("a.wav", 5),
        ("a.wav", 10),
        ("a.wav", 10),
    ]
    assert [e.detail for e in screened.exclusions] == [
        "none of the other 1 answers is within 5",
        "none of the other 1 answers is within 5",
        "the only answer about its pair",
    ]
    with pytest.raises(SettingsError, match="tolerance is -1"):
        screen_spo(ratings, tolerance=-1)


def test_spo_does_not_support_an_answer_by_another_question_or_by_a_check():
    ratings = [
        rating("1", 5),
        rating("2", 5, question="IS"),
        rating("3", 5, kind="attention_check", expected=5),
    ]
    assert [r.kind for r in screen_spo(ratings).kept] == ["attention_check"]


def test_a_listener_who_fails_one_attention_check_loses_every_answer():
    def check(listener: str, score: float, clip: str) -> Rating:
        return rating(listener, score, clip, kind="attention_check", expected=10)

    ratings = [
        rating("ann", 3),
        check("ann", 9, "c"),
        rating("bob", 3),
        check("bob", 10, "c"),
        check("bob", 8, "d"),
        rating("eve", 3),
    ]
    screened = screen_attention(ratings)
    assert {r.listener_id for r in screened.kept} == {"ann", "eve"}
    assert {e.detail for e in screened.exclusions} == {"attention check answered 8, expected 10"}
    with pytest.raises(InputError, match="line 3: an attention check without its expected"):
        screen_attention([rating("ann", 3, kind="attention_check", line=3)])


def test_rules_apply_in_turn_and_counts_add_up():
    ratings = with_anchors("ann", 0, 0, 0) + with_anchors("bob", 3, 0, 0)
    screened = screen(ratings, ["relate", "spo"])
    counts = {count.outcome: count for count in count_screened(screened)}
    assert counts["excluded by relate"].n_ratings == 3
    assert counts["excluded by spo"].n_ratings == 3
    assert counts["kept"].n_ratings == 2
    assert counts["kept"].n_pairs == 1
    assert sum(count.n_ratings for count in counts.values()) == 8
    assert screen(ratings, ["none"]).kept == tuple(ratings)
    with pytest.raises(SettingsError, match="no screening rule 'magic'; known: none, relate"):
        screen(ratings, ["magic"])
