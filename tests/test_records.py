from __future__ import annotations

import dataclasses
import hashlib
import math
import os

import pytest

from humanclap.errors import InputError
from humanclap.records import Pair, Rating, Score, Target, pair_id_of

PAIR = {"audio": "a.wav", "text": "x"}


def test_scores_and_targets_of_one_clip_meet_whichever_way_unicode_writes_its_name():
    assert pair_id_of("caf\u00e9.wav", "x") == pair_id_of("cafe\u0301.wav", "x")
    assert (
        pair_id_of("caf\u00e9.wav", "x") == hashlib.sha256(b"caf\xc3\xa9.wav\0x").hexdigest()[:12]
    )


@pytest.mark.parametrize("record", [Pair, Target, Score])
def test_names_and_texts_that_are_not_utf8_are_refused_before_any_work_is_done(record):
    more = {"target": 0.3, "mos": 3, "n": 1} if record is Target else {}
    more |= {"score": 0.1} if record is Score else {}
    given = PAIR | more
    with pytest.raises(InputError, match=r"audio 'caf\\udce9.wav' is not UTF-8.*rename the file"):
        record(**given | {"audio": os.fsdecode(b"caf\xe9.wav")})
    with pytest.raises(InputError, match=r"text 'a \\ud800' is not UTF-8"):
        record(**given | {"text": "a \ud800"})
    assert record(**given | {"audio": "café.wav", "text": "犬"}).text == "犬"


def test_a_pair_is_named_by_the_sha256_of_audio_and_text():
    expected = hashlib.sha256(b"a.wav\x00x").hexdigest()[:12]
    assert pair_id_of("a.wav", "x") == expected
    assert Pair(**PAIR).pair_id == expected
    assert Rating(**PAIR, listener_id="1", score=3).pair_id == expected
    assert Target(**PAIR, target=0.3, mos=3, n=1).pair_id == expected
    assert Score(**PAIR, score=0.3).pair_id == expected


def test_audio_and_text_cannot_run_into_each_other():
    assert pair_id_of("a", "bc") != pair_id_of("ab", "c")


def test_a_given_name_is_kept():
    assert Pair(**PAIR, pair_id="mine").pair_id == "mine"


def test_records_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Pair(**PAIR).text = "y"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Pair(audio=" ", text="x"), "audio is empty"),
        (lambda: Pair(audio="a", text="\n"), "text is empty"),
        (lambda: Pair(**PAIR, subset="speech"), "subset is 'speech'; expected one of natural"),
        (lambda: Rating(**PAIR, listener_id="", score=1), "listener_id is empty"),
        (lambda: Rating(**PAIR, listener_id="1", score=math.nan), "score is nan; a rating is"),
        (lambda: Rating(**PAIR, listener_id="1", score=math.inf), "score is inf; a rating is"),
        (lambda: Rating(**PAIR, listener_id="1", score=1, kind="x"), "kind is 'x'; expected one"),
        (lambda: Rating(**PAIR, listener_id="1", score=1, question="x"), "question is 'x'"),
        (
            lambda: Rating(**PAIR, listener_id="1", score=1, expected=math.nan),
            "expected is nan; give a finite number or nothing",
        ),
        (lambda: Target(**PAIR, target=7.0, mos=7, n=1), "target 7 is outside 0..1 (is this"),
        (lambda: Target(**PAIR, target=math.nan, mos=7, n=1), "target nan is outside 0..1"),
        (lambda: Target(**PAIR, target=0.7, mos=math.inf, n=1), "mos is inf; expected a finite"),
        (lambda: Target(**PAIR, target=0.7, mos=7, n=0), "n is 0; a target needs at least"),
        (lambda: Score(**PAIR, score=math.nan), "not a finite number and no error says why"),
    ],
)
def test_a_record_refuses_what_it_cannot_be(build, message):
    with pytest.raises(InputError) as caught:
        build()
    assert message in str(caught.value)


def test_a_score_may_be_undefined_where_an_error_says_why():
    assert math.isnan(Score(**PAIR, score=math.nan, error="no such file").score)
