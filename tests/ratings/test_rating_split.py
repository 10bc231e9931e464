from __future__ import annotations

import pytest

from humanclap.errors import SettingsError
from humanclap.grouping import check_leakage
from humanclap.ratings.split import assign_splits, parse_fractions
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


def test_fractions_are_read():
    assert parse_fractions("train=0.8, test=.2") == {"train": 0.8, "test": 0.2}


@pytest.mark.parametrize("text", ["", "train", "train=x", "=1", "a=0.5,a=0.5"])
def test_bad_fractions_are_refused(text):
    with pytest.raises(SettingsError, match=r"fractions are written train=0\.8,test=0\.2"):
        parse_fractions(text)
