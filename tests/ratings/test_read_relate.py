from __future__ import annotations

from pathlib import Path

import pytest

from humanclap.errors import InputError, SettingsError, TableError
from humanclap.ratings.read import read_ratings

REL_HEADER = "wavname,text,score,listener_id,audio type,anchor label,in RELATE dataset,in AudioCaps"
IS_HEADER = "wavname,text,score,listener_id,audio type,anchor label,in AudioCaps"
GOOD = "/tango2/test/1.wav,A dog barks,8,0001,tango,False,validation,test"


def rel(tmp_path: Path, *rows: str, header: str = REL_HEADER, name: str = "REL.csv") -> Path:
    path = tmp_path / name
    path.write_text("\n".join((header, *rows)) + "\n", encoding="utf-8")
    return path


def test_system_comes_from_the_path_because_audio_type_lies(tmp_path):
    rows = (
        "/tango2/test/1.wav,a,8,1,tango,False,test,test",
        "/audioldm2/test/2.wav,b,8,1,audioldm,False,test,test",
        "/audiocaps/test/3.wav,c,8,1,natural,False,test,test",
    )
    ratings = read_ratings(rel(tmp_path, *rows))
    assert [(r.system, r.subset) for r in ratings] == [
        ("tango2", "synthetic"),
        ("audioldm2", "synthetic"),
        ("natural", "natural"),
    ]


def test_a_row_becomes_a_rating_with_its_line_and_a_path_without_leading_slash(tmp_path):
    (rating,) = read_ratings(rel(tmp_path, GOOD))
    assert (rating.audio, rating.text, rating.score) == ("tango2/test/1.wav", "A dog barks", 8.0)
    assert (rating.listener_id, rating.question, rating.kind) == ("0001", "REL", "rating")
    assert (rating.split, rating.excluded, rating.line) == ("validation", False, 2)


def test_an_excluded_row_has_the_split_of_its_clip(tmp_path):
    rows = (
        "/audiocaps/test/1.wav,a,8,1,natural,False,validation,test",
        "/audiocaps/test/1.wav,a,3,2,natural,False,excluded,test",
        "/audiocaps/test/1.wav,other,0,1,natural,True,excluded,",
        "/audiocaps/test/2.wav,b,3,2,natural,False,excluded,test",
        "/audiocaps/train/3.wav,c,3,2,natural,False,excluded,train",
    )
    ratings = read_ratings(rel(tmp_path, *rows))
    assert [r.split for r in ratings] == ["validation", "validation", "validation", None, "train"]
    assert [r.excluded for r in ratings] == [False, True, None, True, True]
    assert [r.kind for r in ratings] == ["rating", "rating", "anchor", "rating", "rating"]


def test_filename_where_present_is_the_audio(tmp_path):
    path = rel(tmp_path, GOOD + ",x9.wav", header=REL_HEADER + ",filename")
    (rating,) = read_ratings(path)
    assert (rating.audio, rating.system) == ("x9.wav", "tango2")


def test_the_question_of_a_table_without_published_splits_is_in_the_files_name(tmp_path):
    row = "/tango/test/1.wav,A dog barks,8,0001,tango,False,test"
    for name, question in (("IS.csv", "IS"), ("OS.csv", "OS"), ("ratings_OS.csv", "OS")):
        (rating,) = read_ratings(rel(tmp_path, row, header=IS_HEADER, name=name))
        assert (rating.question, rating.split, rating.excluded) == (question, "test", None)
    unnamed = rel(tmp_path, row, header=IS_HEADER, name="this.csv")
    assert read_ratings(unnamed, question="IS")[0].question == "IS"
    named = rel(tmp_path, row, header=IS_HEADER, name="IS.csv")
    with pytest.raises(TableError, match="the file's name says these ratings answer IS, not OS"):
        read_ratings(named, question="OS")
    with pytest.raises(TableError, match=r"which question .* give --question"):
        read_ratings(unnamed)


def test_a_rel_table_cannot_be_read_as_another_question(tmp_path):
    with pytest.raises(TableError, match=r"this is RELATE's REL table .*, not IS"):
        read_ratings(rel(tmp_path, GOOD), question="IS")
    with pytest.raises(SettingsError, match="question is 'XX'; expected one of REL, IS, OS"):
        read_ratings(rel(tmp_path, GOOD), question="XX")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("False", "false", "2: column 'anchor label' is 'false'; expected True or False"),
        ("False", "", "2: column 'anchor label' is empty"),
        ("validation", "dev", "2: column 'in RELATE dataset' is 'dev'; expected train, validation"),
        ("/tango2/test/1.wav", "1.wav", "2: wavname is '1.wav'; expected /system/train/name.wav"),
        ("tango,", "natural,", "2: audio type is 'natural', but the clip is '/tango2/test/1.wav'"),
        (",8,", ",42,", "2: rating 42 is outside 0..10 (is this file on a 0-100 scale?)"),
        (",8,", ",nan,", "2: column 'score' is 'nan'; expected a finite number"),
        (",8,", ",inf,", "2: column 'score' is 'inf'; expected a finite number"),
        (",8,", ",ten,", "2: column 'score' is 'ten'; expected a number"),
        ("A dog barks", " ", "2: column 'text' is empty"),
        ("0001", "", "2: column 'listener_id' is empty"),
    ],
)
def test_a_bad_cell_is_named_with_its_line(tmp_path, old, new, message):
    with pytest.raises(TableError) as caught:
        read_ratings(rel(tmp_path, GOOD.replace(old, new, 1)))
    assert f"REL.csv:{message}" in str(caught.value)


def test_a_clip_in_two_published_splits_is_refused(tmp_path):
    other = "/tango2/test/1.wav,A cat,8,0002,tango,False,test,test"
    with pytest.raises(TableError, match=r"REL\.csv:3: .* is in 'test' here and in 'validation'"):
        read_ratings(rel(tmp_path, GOOD, other))


def test_an_answer_given_twice_names_both_lines(tmp_path):
    with pytest.raises(InputError, match=r"REL\.csv:3: listener '0001' .* already on line 2"):
        read_ratings(rel(tmp_path, GOOD, GOOD))
