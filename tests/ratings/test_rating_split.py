from __future__ import annotations

from collections import Counter

import pytest

from humanclap.errors import SettingsError
from humanclap.grouping import check_leakage
from humanclap.ratings.split import assign_splits, parse_fractions, split_shares, unmet_shares
from humanclap.records import Rating


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


def test_fractions_are_read():
    assert parse_fractions("train=0.8, test=.2") == {"train": 0.8, "test": 0.2}


@pytest.mark.parametrize("text", ["", "train", "train=x", "=1", "a=0.5,a=0.5"])
def test_bad_fractions_are_refused(text):
    with pytest.raises(SettingsError, match=r"fractions are written train=0\.8,test=0\.2"):
        parse_fractions(text)
