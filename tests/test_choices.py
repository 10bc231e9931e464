from __future__ import annotations

import csv
import json
import logging
import math
from collections import Counter
from pathlib import Path

import pytest

from humanclap.choices import (
    choice_form,
    read_choices,
    read_votes,
    write_choices,
    write_votes,
)
from humanclap.errors import InputError, TableError
from humanclap.records import Choice, Votes, pair_id_of
from humanclap.votes import votes_of

TEXTS = "audio,text_a,text_b,choice,listener_id"
CLIPS = "text,audio_a,audio_b,choice,listener_id"
WIDE = "audio,kind,text_a,text_b,judge1,judge2,judge3,sum"
DOG = {"audio_a": "a.wav", "text_a": "a dog", "audio_b": "a.wav", "text_b": "a cat"}


def table(tmp_path: Path, text: str, name: str = "choices.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(text.encode())
    return path


def counts(votes: Votes) -> tuple[int, int, int]:
    return votes.n_first, votes.n_second, votes.n_equal


# -- records --------------------------------------------------------------------------------


def test_a_choice_knows_its_pairs_and_what_it_is_between():
    texts = Choice(**DOG, choice="first", listener_id="1")
    assert (texts.pair_id_a, texts.pair_id_b) == (
        pair_id_of("a.wav", "a dog"),
        pair_id_of("a.wav", "a cat"),
    )
    assert texts.between == "texts"
    clips = Choice(
        audio_a="a", text_a="x", audio_b="b", text_b="x", choice="equal", listener_id="1"
    )
    assert clips.between == "clips"


def test_swapping_turns_everything_around_and_keeps_the_name_of_the_question():
    one = Choice(
        **DOG, choice="first", listener_id="1", system_a="s", expected="second", shown_first="b"
    )
    other = one.swapped()
    assert (other.text_a, other.text_b, other.choice) == ("a cat", "a dog", "second")
    assert (other.system_a, other.system_b) == (None, "s")
    assert (other.expected, other.shown_first) == ("first", "a")
    assert other.choice_id == one.choice_id
    assert other.shown == one.shown == "second"
    assert other.swapped() == one
    assert Votes(**DOG, n_first=3, n_second=1).swapped().n_second == 3


def test_questions_of_other_pairs_have_other_names():
    one = Choice(**DOG, choice="first", listener_id="1")
    other = Choice(**DOG | {"text_b": "a cat "}, choice="first", listener_id="1")
    assert one.choice_id != other.choice_id


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"text_b": "a dog"}, "both sides are 'a.wav' with 'a dog'"),
        ({"audio_b": "b.wav"}, "both the clips .* and the texts .* differ"),
        ({"choice": "tie"}, "choice is 'tie'; expected one of first, second, equal"),
        ({"choice": None}, "choice is 'None'"),
        ({"listener_id": " "}, "listener_id is empty"),
        ({"expected": "a"}, "expected is 'a'; expected one of"),
        ({"shown_first": "left"}, "shown_first is 'left'; expected one of a, b"),
        ({"duration_s": -1.0}, "duration_s is -1"),
        ({"text_a": ""}, "text is empty"),
    ],
)
def test_a_choice_that_is_none_is_refused(given, message):
    with pytest.raises(InputError, match=message):
        Choice(**DOG | {"choice": "first", "listener_id": "1"} | given)


def test_one_clip_written_composed_and_decomposed_does_not_differ():
    with pytest.raises(InputError, match="both sides are"):
        Choice(
            audio_a="caf\u00e9.wav",
            text_a="x",
            audio_b="cafe\u0301.wav",
            text_b="x",
            choice="first",
            listener_id="1",
        )


def test_votes_have_a_share_with_half_of_the_equal_ones_and_a_sum():
    votes = Votes(**DOG, n_first=3, n_second=1, n_equal=2)
    assert (votes.n, votes.share, votes.sum, votes.decided) == (6, 4 / 6, 2, True)
    assert not Votes(**DOG, n_first=1, n_second=1).decided
    assert not Votes(**DOG | {"text_b": "a dog"}, n_first=2, n_second=1).decided


@pytest.mark.parametrize("given", [{"n_first": -1}, {"n_first": 0}])
def test_votes_that_are_none_are_refused(given):
    with pytest.raises(InputError, match=r"a count from 0 up|nobody voted"):
        Votes(**DOG, **{"n_second": 0} | given)


# -- the long form --------------------------------------------------------------------------


def test_both_long_forms_are_read_with_their_labels(tmp_path):
    (texts,) = read_choices(table(tmp_path, f"{TEXTS},kind\na.wav,a dog,a cat,second,안,HC\n"))
    assert texts == Choice(**DOG, choice="second", listener_id="안", kind="HC", line=2)
    text = (
        f"{CLIPS},system_a,system_b,split,expected,shown_first,duration_s\n"
        '"rain, then wind",a,b,equal,1,tango,audioldm,test,first,b,2.5\n'
    )
    (clips,) = read_choices(table(tmp_path, text))
    assert (clips.text_a, clips.text_b, clips.audio_b) == ("rain, then wind",) * 2 + ("b",)
    assert (clips.system_a, clips.system_b, clips.split) == ("tango", "audioldm", "test")
    assert (clips.expected, clips.shown_first, clips.duration_s) == ("first", "b", 2.5)


def test_what_is_written_is_read_again(tmp_path):
    texts = Choice(**DOG, choice="equal", listener_id="ü", line=2, duration_s=1.25)
    clips = Choice(
        audio_a="a",
        text_a="x\ny, z",
        audio_b="b",
        text_b="x\ny, z",
        choice="first",
        listener_id="1",
        system_b="s",
        shown_first="b",
        expected="first",
        kind="anchor",
        repeat=True,
        line=2,
    )
    for number, choices in enumerate(([texts], [clips])):
        path = tmp_path / f"{number}.csv"
        write_choices(path, choices)
        assert read_choices(path) == choices
    write_choices(tmp_path / "both.jsonl", [texts, clips])
    assert [one.between for one in read_choices(tmp_path / "both.jsonl")] == ["texts", "clips"]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("a.wav,x,y,1,ann", "choices.csv:2: choice is '1'; .*did you mean first"),
        ("a.wav,x,y,B,ann", "did you mean second"),
        ("a.wav,x,y,=,ann", "did you mean equal"),
        ("a.wav,x,y,First,ann", "did you mean first"),
        ("a.wav,x,y,maybe,ann", "choice is 'maybe'; expected first .* or equal$"),
        ("a.wav,x,y,,ann", "choices.csv:2: column 'choice' is empty"),
        ("a.wav,x,,first,ann", "choices.csv:2: column 'text_b' is empty"),
        ("a.wav,x,y,first,", "choices.csv:2: column 'listener_id' is empty"),
        ("a.wav,x,NaN,first,ann", "choices.csv:2: column 'text_b' is 'NaN', which means that"),
        ("a.wav,x,y,nan,ann", "column 'choice' is 'nan', which means that"),
        ("a.wav,x,x,first,ann", "choices.csv:2: both sides are"),
        ("a.wav,x,y,first,ann\na.wav,x,y,second,ann", "choices.csv:3: .* already on line 2"),
    ],
)
def test_a_row_that_cannot_be_used_is_refused_with_its_line(tmp_path, row, message):
    path = table(tmp_path, f"{TEXTS}\n{row}\n")
    for read in (read_choices, read_votes):
        with pytest.raises(TableError, match=message):
            read(path)


def test_a_row_in_which_both_differ_is_refused_with_its_line(tmp_path):
    text = "audio_a,text_a,audio_b,text_b,choice,listener_id\na,x,b,y,first,1\n"
    with pytest.raises(TableError, match=r"choices.csv:2: both the clips .* differ"):
        read_choices(table(tmp_path, text))


def test_a_missing_cell_of_json_is_refused(tmp_path):
    row = {"audio": "a", "text_a": "x", "text_b": "y", "choice": math.nan, "listener_id": "1"}
    path = table(tmp_path, json.dumps(row) + "\n", "c.jsonl")
    with pytest.raises(TableError, match=r"c.jsonl:1: .*choice"):
        read_choices(path)


def test_another_table_is_refused_with_the_forms_that_are_read(tmp_path):
    path = table(tmp_path, "audio,text,score,listener_id\na,x,1,1\n")
    for read in (read_choices, read_votes):
        with pytest.raises(TableError, match="not a table of choices: the table has audio, text"):
            read(path)
    wide = table(tmp_path, f"{WIDE}\na.wav,HC,x,y,1,1,-1,1\n", "wide.csv")
    with pytest.raises(TableError, match="these are votes without the listeners"):
        read_choices(wide)


@pytest.mark.parametrize(
    ("columns", "form"),
    [
        (TEXTS, "choices"),
        (CLIPS, "choices"),
        (WIDE, "judges"),
        ("text,audio_a,audio_b,n_first,n_second,n_equal", "votes"),
        ("audio,text,score,listener_id", None),
        ("audio,text_a,text_b,score", None),
    ],
)
def test_the_form_is_told_by_the_columns(columns, form):
    assert choice_form(columns.split(",")) == form


# -- repeats and joined sides ---------------------------------------------------------------


def test_answers_with_exchanged_sides_are_of_one_question(tmp_path):
    text = f"{TEXTS}\na.wav,x,y,first,1\na.wav,y,x,second,2\na.wav,y,x,first,3\na.wav,x,y,equal,4\n"
    (votes,) = read_votes(table(tmp_path, text))
    assert (votes.text_a, counts(votes)) == ("x", (2, 1, 1))


def test_a_second_answer_with_exchanged_sides_is_a_repeat_and_has_no_second_vote(tmp_path):
    text = f"{TEXTS}\na.wav,x,y,first,1\na.wav,y,x,first,1\n"
    path = table(tmp_path, text)
    assert [one.repeat for one in read_choices(path)] == [False, True]
    assert counts(read_votes(path)[0]) == (1, 0, 0)
    shown = f"{TEXTS},shown_first\na.wav,x,y,first,1,a\na.wav,x,y,second,1,b\n"
    assert [one.repeat for one in read_choices(table(tmp_path, shown))] == [False, True]


def test_a_third_answer_is_doubled_and_a_repeat_may_be_marked(tmp_path):
    text = f"{TEXTS}\na,x,y,first,1\na,y,x,first,1\na,y,x,first,1\n"
    with pytest.raises(TableError, match=r"choices.csv:4: .* already on line 3"):
        read_choices(table(tmp_path, text))
    marked = f"{TEXTS},repeat\na,x,y,second,1,true\na,x,y,first,1,\n"
    path = table(tmp_path, marked)
    assert [one.repeat for one in read_choices(path)] == [True, False]
    assert counts(read_votes(path)[0]) == (1, 0, 0)
    with pytest.raises(TableError, match="repeat is 'maybe'; expected true or false"):
        read_choices(table(tmp_path, f"{TEXTS},repeat\na,x,y,second,1,maybe\n"))


def test_a_repeat_counts_where_its_first_answer_is_gone():
    repeat = Choice(**DOG, choice="second", listener_id="1", repeat=True)
    assert counts(votes_of([repeat])[0]) == (0, 1, 0)


def test_an_answer_in_two_files_is_refused_naming_both(tmp_path):
    paths = [table(tmp_path, f"{TEXTS}\na,x,y,first,1\n", name) for name in ("1.csv", "2.csv")]
    with pytest.raises(TableError, match=r"2.csv:2: .* already on .*1.csv:2"):
        read_choices(*paths)


def test_two_labels_of_one_question_are_refused_with_both_lines(tmp_path):
    text = f"{TEXTS},kind\na,x,y,first,1,HC\na,x,y,first,2,\na,y,x,first,3,HM\n"
    with pytest.raises(InputError, match=r"choices.csv:4: kind 'HM' .* 'HC' on line 2"):
        read_votes(table(tmp_path, text))


def test_attention_checks_have_no_vote_unless_asked_for(tmp_path, caplog):
    text = f"{TEXTS},kind,expected\na,x,y,first,1,,\nb,x,y,first,1,anchor,first\n"
    path = table(tmp_path, text)
    with caplog.at_level(logging.WARNING):
        (votes,) = read_votes(path)
    assert votes.audio_a == "a"
    assert "1 answers to attention checks left out" in caplog.text
    assert len(read_votes(path, include_anchors=True)) == 2
    only = table(tmp_path, f"{TEXTS},kind\nb,x,y,first,1,anchor\n")
    with pytest.raises(TableError, match="holds only attention checks"):
        read_votes(only)


def test_a_check_stays_one_when_its_votes_are_written(tmp_path):
    text = (
        f"{TEXTS},kind,expected\na,x,y,first,1,,\nb,x,y,first,1,,first\nc,x,y,first,1,anchor,first\n"
        "d,choose A,y,first,1,attention_check,first\n"
    )
    votes = read_votes(table(tmp_path, text), include_anchors=True)
    assert [(one.audio_a, one.kind) for one in votes] == [
        ("a", None),
        ("b", "anchor"),
        ("c", "anchor"),
    ]
    write_votes(tmp_path / "votes.csv", votes)
    assert [one.audio_a for one in read_votes(tmp_path / "votes.csv")] == ["a"]
    counted = "audio,text_a,text_b,n_first,n_second,n_equal,kind\na,x,y,1,0,0,\nd,x,y,1,0,0,{}\n"
    other = table(tmp_path, counted.format("attention_check"))
    assert len(read_votes(other)) == len(read_votes(other, include_anchors=True)) == 1


# -- votes ----------------------------------------------------------------------------------


def test_fense_is_read_as_published(shared):
    """Counted from the file by csv alone: 204 rows, 189 with a sum that is not 0."""
    path = shared / "data/fense/pairs.csv"
    votes = read_votes(path)
    rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
    assert [one.sum for one in votes] == [int(row["sum"]) for row in rows]
    assert sum(one.decided for one in votes) == 189
    assert Counter(one.kind for one in votes) == {"MM": 90, "HC": 38, "HI": 38, "HM": 38}
    assert {one.n for one in votes} == {4}
    assert all(one.between == "texts" for one in votes)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("a,HC,x,y,1,1,-1,2", "choices.csv:2: sum is 2, but the votes make 1"),
        ("a,HC,x,y,1,2,-1,2", "choices.csv:2: judge2 is '2'; expected 1 "),
        ("a,HC,x,y,1,,-1,0", "choices.csv:2: column 'judge2' is empty"),
        ("a,HC,x,y,1,nan,-1,0", "choices.csv:2: column 'judge2' is 'nan'; expected a finite"),
        ("a,HC,,y,1,1,1,3", "choices.csv:2: column 'text_a' is empty"),
    ],
)
def test_wide_votes_that_cannot_be_used_are_refused_with_their_line(tmp_path, row, message):
    with pytest.raises(TableError, match=message):
        read_votes(table(tmp_path, f"{WIDE}\n{row}\n"))


def test_wide_rows_with_exchanged_sides_are_joined_and_others_stay_and_are_told(tmp_path, caplog):
    rows = "a,HC,x,y,1,1,-1,1\na,HC,y,x,1,0,-1,0\nb,MM,x,y,1,1,1,3\nb,MM,x,y,1,1,1,3\n"
    with caplog.at_level(logging.WARNING):
        joined, *others = read_votes(table(tmp_path, f"{WIDE}\n{rows}"))
    assert counts(joined) == (3, 2, 1)
    assert [counts(one) for one in others] == [(3, 0, 0)] * 2
    assert "1 question appears in several rows" in caplog.text


def test_votes_written_are_read_again_and_checked(tmp_path):
    votes = [
        Votes(**DOG, n_first=3, n_second=1, n_equal=3, kind="HM", split="test"),
        Votes(audio_a="a", text_a="x", audio_b="b", text_b="x", n_first=0, n_second=2),
    ]
    for kept in (votes, votes[:1], votes[1:]):
        path = tmp_path / "votes.csv"
        write_votes(path, kept, {"share_low": [0.1] * len(kept)})
        assert read_votes(path) == kept
    head = "audio,text_a,text_b,n_first,n_second,n_equal"
    for column, value, true in (("share", "0.6", "0.75"), ("n", "5", "4")):
        wrong = table(tmp_path, f"{head},{column}\na,x,y,3,1,0,{value}\n")
        with pytest.raises(TableError, match=f"choices.csv:2: {column} is {value}, .*make {true}"):
            read_votes(wrong)
    with pytest.raises(TableError, match=r"choices.csv:2: nobody voted"):
        read_votes(table(tmp_path, f"{head}\na,x,y,0,0,0\n"))
