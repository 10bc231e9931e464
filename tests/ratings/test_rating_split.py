from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from humanclap.errors import InputError, SettingsError
from humanclap.grouping import check_leakage
from humanclap.ratings.split import (
    assign_splits,
    pairs_of,
    parse_fractions,
    split_shares,
    unmet_shares,
)
from humanclap.records import Choice, Rating, Votes


def test_every_rating_of_a_pair_and_its_relatives_get_one_split():
    ratings = [
        Rating(audio=f"{i}.wav", text=f"text {i % 10}", listener_id=listener, score=5)
        for i in range(40)
        for listener in "ab"
    ]
    split = assign_splits(ratings, {"train": 0.5, "test": 0.5}, seed=4)
    sides = {name: [r for r in split if r.split == name] for name in ("train", "test")}
    check_leakage(sides)
    assert [len(side) for side in sides.values()] == [40, 40]
    assert [(r.audio, r.listener_id) for r in split] == [(r.audio, r.listener_id) for r in ratings]


def rated_and_anchored(n_anchors, ring=False):
    """100 rated pairs; the first clips have an anchor too, in a ring with a neighbour's text."""
    rated = [
        Rating(audio=f"{i}.wav", text=f"text {i}", listener_id="a", score=5) for i in range(100)
    ]
    text = "text {0}" if ring else "no text of {1}"
    anchors = [
        Rating(
            audio=f"{i}.wav",
            text=text.format((i + 1) % n_anchors, i),
            listener_id="a",
            score=0,
            kind="anchor",
        )
        for i in range(n_anchors)
    ]
    return rated + anchors


def test_every_split_has_its_share_of_anchors():
    shares = {"train": 0.8, "validation": 0.1, "test": 0.1}
    split = assign_splits(rated_and_anchored(20), shares)
    held = Counter((one.split, one.kind) for one in split)
    for name, share in shares.items():
        assert held[name, "rating"] == 100 * share
        assert held[name, "anchor"] == 20 * share
    assert split_shares(split)["test", "anchor"] == 0.1
    assert unmet_shares(split, shares) == []
    again = assign_splits(rated_and_anchored(20)[::-1], shares)[::-1]
    assert [one.split for one in again] == [one.split for one in split]


def test_anchors_that_hang_together_stay_together_and_that_is_told():
    shares = {"train": 0.8, "test": 0.2}
    split = assign_splits(rated_and_anchored(20, ring=True), shares)
    check_leakage({name: [one for one in split if one.split == name] for name in shares})
    assert unmet_shares(split, shares) == [
        "test holds 0% of the anchor pairs, not 20%",
        "train holds 100% of the anchor pairs, not 80%",
        "pairs that share a clip or a caption stay together; the largest such group has 40 of 120 "
        "pairs",
    ]


def test_an_attention_check_goes_with_its_clip_and_ties_no_others():
    rated = rated_and_anchored(0)
    checks = [
        Rating(audio=one.audio, text="please choose 3", listener_id="a", score=3, expected=3,
               kind="attention_check")
        for one in rated
    ]  # fmt: skip
    split = assign_splits([*rated, *checks], {"train": 0.5, "test": 0.5})
    homes = {one.audio: one.split for one in split if one.kind == "rating"}
    assert Counter(homes.values()) == {"train": 50, "test": 50}
    assert all(one.split == homes[one.audio] for one in split)
    assert unmet_shares(split, {"train": 0.5, "test": 0.5}) == []


def test_anchors_that_tie_everything_are_named_with_the_way_out():
    with pytest.raises(
        InputError, match=r"form 1\. An anchor .* there are 100 groups: leave .*kind"
    ):
        assign_splits(rated_and_anchored(100, ring=True), {"train": 0.5, "test": 0.5})
    alone = rated_and_anchored(0)[:1]
    with pytest.raises(InputError, match=r"these 1 pairs form 1$"):
        assign_splits(alone, {"train": 0.5, "test": 0.5})
    with pytest.raises(SettingsError, match="sum to 1"):
        assign_splits(alone, {"train": 0.5})


def test_fractions_are_read():
    assert parse_fractions("train=0.8, test=.2") == {"train": 0.8, "test": 0.2}


@pytest.mark.parametrize("text", ["", "train", "train=x", "=1", "a=0.5,a=0.5"])
def test_bad_fractions_are_refused(text):
    with pytest.raises(SettingsError, match=r"fractions are written train=0\.8,test=0\.2"):
        parse_fractions(text)


def test_both_sides_of_a_choice_are_in_its_split_and_no_clip_or_caption_is_in_two():
    texts = [
        Votes(
            audio_a=f"{i}.wav",
            audio_b=f"{i}.wav",
            text_a=f"text {i}",
            text_b=f"text {(i + 1) % 5 + 5 * (i // 5)}",
            n_first=1,
            n_second=2,
            kind="HM" if i % 2 else "MM",
        )
        for i in range(40)
    ]
    split = assign_splits(texts, {"train": 0.5, "test": 0.5}, seed=4)
    sides = {
        name: [pair for one in split if one.split == name for pair in pairs_of(one)]
        for name in ("train", "test")
    }
    check_leakage(sides)
    assert split_shares(split) == {
        (name, kind): 0.5 for name in ("train", "test") for kind in ("HM", "MM")
    }
    assert [replace(one, split=None) for one in split] == texts
    clips = [replace(one, kind=None) for one in texts[:5]]
    with pytest.raises(InputError, match="form 1"):
        assign_splits(clips, {"train": 0.5, "test": 0.5})


def test_missed_shares_of_choices_are_told_in_questions():
    choices = [
        Choice(
            audio_a=f"{i}a",
            audio_b=f"{i}b",
            text_a=f"{i}",
            text_b=f"{i}",
            choice="first",
            listener_id="x",
        )
        for i in range(3)
    ]
    shares = {"train": 0.5, "test": 0.5}
    told = unmet_shares(assign_splits(choices, shares), shares)
    assert any("of the – questions, not 50%" in sentence for sentence in told)
    assert "the largest such group has 2 of 6 pairs" in told[-1]
