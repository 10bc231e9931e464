from __future__ import annotations

import csv

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from humanclap.errors import InputError
from humanclap.listening.design.anchors import content_words, make_anchors, mismatched
from humanclap.records import Pair

WORDS = ("dog", "barks", "rain", "engine", "idling", "birds", "the", "a", "and", "siren")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("A dog barks", "DOGS are barking!"),
        ("a man speaks", "Man speaking then music"),
        ("Typing on a keyboard", "someone types"),
        ("A male speaks as metal clicks", "A man talks while something sizzles"),
        ("Kids are playing", "People are speaking as a vehicle goes by"),
        ("An engine revs", "A car drives past"),
        ("Ducks quack", "Birds chirp"),
        ("犬が吠える", "大きな犬の声"),
    ],
)
def test_captions_that_share_a_content_word_are_no_mismatch(one: str, other: str) -> None:
    shared = content_words(one) & content_words(other)
    assert shared or "犬" in one
    assert mismatched(one, [other]) == (not shared)


def test_stop_words_make_no_match() -> None:
    assert mismatched("A dog is barking in the distance", ["The rain is falling in a forest"])


def test_a_text_of_stop_words_only_is_never_a_mismatch() -> None:
    assert not mismatched("and then another one", ["rain"])


@settings(deadline=None, max_examples=60)
@given(st.lists(st.lists(st.sampled_from(WORDS), min_size=1, max_size=4), min_size=2, max_size=12))
def test_no_anchor_ever_shares_a_word_with_any_caption_of_its_clip(captions) -> None:
    pairs = [Pair(audio=f"{i % 5}.wav", text=" ".join(c)) for i, c in enumerate(captions)]
    try:
        anchors = make_anchors(pairs, 4, seed=1)
    except InputError:
        return
    for anchor in anchors:
        own = [pair.text for pair in pairs if pair.audio == anchor.audio]
        assert all(not content_words(anchor.text) & content_words(text) for text in own)


def test_anchors_are_seeded_and_natural_clips_come_first() -> None:
    texts = ("A dog barks", "Rain falls", "An engine idles", "Glass breaks")
    pairs = [
        Pair(audio=f"{subset}/{i}.wav", text=text, subset=subset)
        for subset in ("synthetic", "natural")
        for i, text in enumerate(texts)
    ]
    first = make_anchors(pairs, 4, seed=5)
    assert first == make_anchors(list(reversed(pairs)), 4, seed=5)
    assert {anchor.subset for anchor in first} == {"natural"}


def test_a_study_where_everything_shares_a_word_is_refused() -> None:
    pairs = [Pair(audio=f"{i}.wav", text=f"a dog number {i}") for i in range(4)]
    with pytest.raises(InputError, match="no anchor can be made"):
        make_anchors(pairs, 3, seed=0)


def test_relates_captions_give_anchors_that_do_not_match(shared) -> None:
    with open(shared / "data/relate-validation/ratings_REL.csv", newline="") as file:
        found = {(row["filename"], row["text"]) for row in csv.DictReader(file)
                 if row["anchor label"] == "False"}  # fmt: skip
    anchors = make_anchors([Pair(audio=a, text=t) for a, t in sorted(found)], 12, seed=0)
    assert len(anchors) == 12
    assert not {(anchor.audio, anchor.text) for anchor in anchors} & found
