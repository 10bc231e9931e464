from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from humanclap.errors import InputError, TableError
from humanclap.ratings.plain import write_plain
from humanclap.ratings.read import read_ratings, table_kind
from humanclap.records import Rating
from humanclap.scale import RatingScale
from humanclap.xacle import read_averages

HEADER = "audio,text,score,listener_id"


def table(tmp_path: Path, text: str, name: str = "ratings.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(text.encode())
    return path


def test_the_four_needed_columns_are_enough(tmp_path):
    (rating,) = read_ratings(table(tmp_path, f"{HEADER}\na.wav,a dog,7.5,ann\n"))
    assert rating == Rating(audio="a.wav", text="a dog", score=7.5, listener_id="ann", line=2)


def test_quoted_commas_newlines_unicode_bom_and_crlf_are_read(tmp_path):
    text = f'\ufeff{HEADER}\r\nä.wav,"rain, then\nthunder",7,안\r\n"b.wav","he said ""go""",1,b\r\n'
    first, second = read_ratings(table(tmp_path, text))
    assert (first.audio, first.text, first.listener_id) == ("ä.wav", "rain, then\nthunder", "안")
    assert (second.text, second.line) == ('he said "go"', 4)


def test_tsv_and_json_lines_are_read_like_csv(tmp_path):
    expected = read_ratings(table(tmp_path, f"{HEADER}\na.wav,a dog,7,ann\n"))
    tsv = table(tmp_path, "audio\ttext\tscore\tlistener_id\na.wav\ta dog\t7\tann\n", "r.tsv")
    assert read_ratings(tsv) == expected
    row = {"audio": "a.wav", "text": "a dog", "score": 7, "listener_id": "ann"}
    (rating,) = read_ratings(table(tmp_path, json.dumps(row) + "\n", "r.jsonl"))
    assert (rating.audio, rating.score, rating.line) == ("a.wav", 7.0, 1)


def test_what_is_written_is_read_again(tmp_path):
    ratings = [
        Rating(audio="a.wav", text="x\ny, z", score=1 / 3, listener_id="1", question="OS", line=2),
        Rating(
            audio="b.wav",
            text="ü",
            score=9.0,
            listener_id="1",
            kind="attention_check",
            system="tango",
            subset="synthetic",
            split="test",
            expected=10.0,
            line=4,
        ),
    ]
    write_plain(tmp_path / "r.csv", ratings)
    assert read_ratings(tmp_path / "r.csv") == ratings


def test_the_question_given_stands_in_only_where_the_table_names_none(tmp_path):
    path = table(tmp_path, f"{HEADER},question\na.wav,x,7,1,IS\nb.wav,x,7,1,\n")
    assert [r.question for r in read_ratings(path, question="OS")] == ["IS", "OS"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "ratings.csv: is empty"),
        (f"{HEADER}\n", "ratings.csv: has no rows"),
        (f"{HEADER}\na.wav,a dog, barks,7,ann\n", "ratings.csv:2: 5 cells where the header has 4"),
        (f"{HEADER}\na.wav,a dog,,ann\n", "ratings.csv:2: column 'score' is empty"),
        (f"{HEADER}\na.wav,x,7,1\nb.wav,x,-1,1\n", "ratings.csv:3: rating -1 is outside 0..10"),
        (f"{HEADER}\na.wav,x,100,1\n", "(is this file on a 0-100 scale?)"),
        (f"{HEADER},kind\na.wav,x,7,1,trap\n", "ratings.csv:2: kind is 'trap'; expected one of"),
        (f"{HEADER},question\na.wav,x,7,1,Q\n", "ratings.csv:2: question is 'Q'; expected one of"),
        (f"{HEADER},subset\na.wav,x,7,1,tts\n", "ratings.csv:2: subset is 'tts'; expected one of"),
        (
            f"{HEADER},kind\na.wav,x,7,1,attention_check\n",
            "ratings.csv:2: an attention check needs",
        ),
        (f"{HEADER},score\na.wav,x,7,1,7\n", "ratings.csv:1: column 'score' appears twice"),
        (f'{HEADER}\n"a.wav,x,7,1\n', "ratings.csv:2: broken CSV"),
    ],
)
def test_a_bad_table_is_refused_with_its_reason(tmp_path, text, message):
    with pytest.raises(TableError) as caught:
        read_ratings(table(tmp_path, text))
    assert message in str(caught.value)


def test_unknown_columns_are_answered_with_the_three_known_forms(tmp_path):
    with pytest.raises(TableError) as caught:
        read_ratings(table(tmp_path, "file,caption,stars\na,b,5\n"))
    message = str(caught.value)
    assert "the table has file, caption, stars" in message
    assert "RELATE: wavname, text, score, listener_id, audio type, anchor label" in message
    assert "XACLE: wav_file_name, text, score, listener_id" in message
    assert "plain: audio, text, score, listener_id" in message


def test_files_that_cannot_be_tables_are_refused(tmp_path):
    with pytest.raises(TableError, match="no such file"):
        read_ratings(tmp_path / "none.csv")
    with pytest.raises(TableError, match="is a folder, not a table"):
        read_ratings(tmp_path)
    (tmp_path / "latin.csv").write_bytes(f"{HEADER}\na.wav,caf\xe9,7,1\n".encode("latin-1"))
    with pytest.raises(TableError, match="not UTF-8 text"):
        read_ratings(tmp_path / "latin.csv")


def test_a_rating_given_twice_is_refused_within_a_file_and_between_files(tmp_path):
    text = f"{HEADER}\na.wav,x,7,1\na.wav,x,7,2\n"
    one, two = table(tmp_path, text, "one.csv"), table(tmp_path, text, "two.csv")
    with pytest.raises(InputError, match=r"two\.csv:2: listener '1' .* already on .*one\.csv:2"):
        read_ratings(one, two)
    twice = table(tmp_path, text + "a.wav,x,8,1\n", "twice.csv")
    with pytest.raises(InputError, match=r"twice\.csv:4: listener '1' .* already on line 2"):
        read_ratings(twice)
    check = (
        "audio,text,score,listener_id,kind,expected\na.wav,x,7,1,,\na.wav,x,7,1,attention_check,7\n"
    )
    assert len(read_ratings(table(tmp_path, check, "check.csv"))) == 2


def test_another_scale_is_taken_when_given(tmp_path):
    path = table(tmp_path, f"{HEADER}\na.wav,x,80,1\n")
    assert read_ratings(path, scale=RatingScale(high=100))[0].score == 80
    with pytest.raises(TableError, match=r"rating 80 is outside 1\.\.5 \(is this file on a 0-100"):
        read_ratings(path, scale=RatingScale(low=1, high=5))


def test_ratings_that_all_lie_at_the_bottom_of_the_scale_are_doubted(tmp_path, caplog):
    rows = "".join(f"{clip}.wav,x,0.{clip},1\n" for clip in range(10))
    path = table(tmp_path, f"{HEADER}\n{rows}")
    with caplog.at_level(logging.WARNING):
        read_ratings(path)
        assert "all ratings lie in 0..1 and no scale was stated" in caplog.text
        caplog.clear()
        read_ratings(path, scale=RatingScale())
        assert "no rating is above 0.9 on a scale of 0..10; is the scale right?" in caplog.text
        caplog.clear()
        read_ratings(path, scale=RatingScale(high=1))
        assert caplog.text == ""


def test_xacle_ratings_are_read(tmp_path):
    text = "wav_file_name,text,score,listener_id\n00001.wav,a dog,9,7\n"
    (rating,) = read_ratings(table(tmp_path, text))
    assert rating == Rating(
        audio="00001.wav", text="a dog", score=9.0, listener_id="7", question="REL", line=2
    )


def test_xacle_averages_become_targets_and_are_not_ratings(tmp_path):
    path = table(tmp_path, "wav_file_name,text,average_score\n1.wav,a dog,7.5\n2.wav,b,0\n")
    first, second = read_averages(path, split="test")
    assert (first.audio, first.mos, first.target, first.n) == ("1.wav", 7.5, 0.75, 4)
    assert first.standard_error != first.standard_error
    assert (second.target, second.split) == (0.0, "test")
    assert table_kind(path) == "averages"
    with pytest.raises(TableError, match="these are averages, not ratings of listeners"):
        read_ratings(path)


def test_bad_xacle_averages_are_refused(tmp_path):
    header = "wav_file_name,text,average_score\n"
    with pytest.raises(TableError, match=r":2: rating 75 is outside 0\.\.10 .*0-100 scale"):
        read_averages(table(tmp_path, header + "1.wav,a dog,75\n"))
    with pytest.raises(TableError, match=r":3: pair .* is already on line 2"):
        read_averages(table(tmp_path, header + "1.wav,a dog,7\n1.wav,a dog,7\n"))
    with pytest.raises(TableError, match="missing column 'wav_file_name', 'average_score'"):
        read_averages(table(tmp_path, f"{HEADER}\na.wav,x,7,1\n"))


def test_choices_and_votes_are_told_by_their_columns_and_are_no_ratings(tmp_path):
    path = table(tmp_path, "audio,text_a,text_b,choice,listener_id\na,x,y,first,1\n")
    assert table_kind(path) == "choices"
    with pytest.raises(TableError, match=r"these are choices, not ratings"):
        read_ratings(path)
    assert table_kind(table(tmp_path, "audio,text_a,text_b,judge1\na,x,y,1\n")) == "votes"
