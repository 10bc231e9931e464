from __future__ import annotations

import pytest

from humanclap.errors import InputError, LeakageError, SettingsError
from humanclap.grouping import (
    caption_key,
    check_leakage,
    connected_groups,
    grouped_folds,
    grouped_split,
)
from humanclap.records import Pair


def pairs(*items: str) -> list[Pair]:
    return [Pair(audio=item.split()[0], text=item.split(maxsplit=1)[1]) for item in items]


MANY = pairs(*(f"{clip}.wav caption {clip // 2}" for clip in range(200)))


def test_captions_that_differ_in_case_space_or_width_are_one():
    assert caption_key(" Ａ  DOG\u00a0barks\n") == caption_key("a dog barks")
    assert caption_key("straße") == caption_key("STRASSE")
    assert caption_key("a dog") != caption_key("a dog.")


def test_pairs_joined_through_a_chain_of_clips_and_captions_are_one_group():
    chain = [("a", "x"), ("b", "y"), ("c", "z"), ("b", "x"), ("b", "z"), ("d", "w")]
    assert connected_groups(chain) == [0, 0, 0, 0, 0, 1]


def test_a_clip_and_a_caption_of_the_same_name_are_not_joined():
    assert connected_groups([("dog", "cat"), ("cat", "dog")]) == [0, 1]


def test_a_split_leaks_nothing_and_meets_its_fractions():
    split_of = grouped_split(MANY, {"train": 0.8, "validation": 0.1, "test": 0.1}, seed=3)
    sides = {
        name: [pair for pair in MANY if split_of[pair.pair_id] == name]
        for name in ("train", "validation", "test")
    }
    check_leakage(sides)
    assert [len(side) for side in sides.values()] == [160, 20, 20]


def test_a_split_depends_on_the_seed_and_not_on_the_order_of_the_records():
    fractions = {"train": 0.5, "test": 0.5}
    assert grouped_split(MANY, fractions, 1) == grouped_split(MANY[::-1], fractions, 1)
    assert grouped_split(MANY, fractions, 1) != grouped_split(MANY, fractions, 2)


def test_no_split_stays_empty_where_groups_are_enough():
    one_big = pairs(*(f"{clip}.wav same" for clip in range(50)), "x.wav rain", "y.wav wind")
    split_of = grouped_split(one_big, {"train": 0.98, "validation": 0.01, "test": 0.01})
    assert set(split_of.values()) == {"train", "validation", "test"}


def test_folds_keep_groups_together_and_are_even():
    folds = grouped_folds(MANY, 5, seed=0)
    check_leakage(
        {str(k): [p for p, fold in zip(MANY, folds, strict=True) if fold == k] for k in range(5)}
    )
    assert [folds.count(k) for k in range(5)] == [40] * 5


def test_bad_fractions_and_too_few_groups_are_refused():
    with pytest.raises(SettingsError, match=r"must sum to 1, not 0\.9"):
        grouped_split(MANY, {"train": 0.5, "test": 0.4})
    with pytest.raises(SettingsError, match=r"each fraction must be in \(0, 1\]"):
        grouped_split(MANY, {"train": 1.0, "test": 0.0})
    with pytest.raises(SettingsError, match="at least 2"):
        grouped_folds(MANY, 1)
    with pytest.raises(InputError, match=r"2 splits need .* these 2 pairs form 1"):
        grouped_split(pairs("a.wav rain", "b.wav Rain"), {"train": 0.5, "test": 0.5})
    with pytest.raises(InputError, match="there are no pairs to divide into 3 folds"):
        grouped_folds([], 3)


def test_a_shared_clip_is_refused_by_name():
    with pytest.raises(LeakageError, match=r"'train' and 'test' share 1 clip: 'a\.wav'"):
        check_leakage({"train": pairs("a.wav rain"), "test": pairs("a.wav wind", "b.wav hail")})


def test_shared_captions_are_counted_and_three_are_named():
    texts = ["one", "two", "three", "four"]
    train = pairs(*(f"{text}.wav {text}" for text in texts))
    test = pairs(*(f"{text}-b.wav {text.upper()}" for text in texts))
    with pytest.raises(LeakageError, match="share 4 captions: 'one', 'two', 'three' and 1 more"):
        check_leakage({"train": train, "test": test})


def test_splits_that_share_nothing_pass():
    check_leakage({"train": pairs("a.wav rain", "a.wav wind"), "test": pairs("b.wav hail")})
    check_leakage({"train": pairs("a.wav rain", "b.wav rain")})
