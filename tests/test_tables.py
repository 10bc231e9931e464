from __future__ import annotations

import errno
import gzip
import json
import math
import os
import stat
from pathlib import Path

import numpy as np
import pytest

from humanclap.errors import TableError
from humanclap.records import Pair, Score, Target
from humanclap.tables import (
    read_pairs,
    read_scores,
    read_table,
    read_targets,
    write_records,
    write_rows,
)

AWKWARD = [
    'say "rain", then\nthunder',
    "tab\there",
    "a\rb",
    "\r\n x",
    "ünï 犬 🐕",
    "a;b",
    "'",
    "1e5",
]


def table(tmp_path: Path, text: str | bytes, name: str = "t.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_row_knows_the_line_it_starts_on_across_blank_lines_and_long_cells(tmp_path):
    path = table(tmp_path, 'audio,text\n\na,"x\ny\nz"\nb,c\n\n\nd,e\n')
    assert [row.line for row in read_table(path).rows] == [3, 6, 9]


@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.jsonl"])
def test_awkward_texts_survive_writing_and_reading(tmp_path, name):
    path = tmp_path / name
    rows = [{"audio": f"{i}.wav", "text": text} for i, text in enumerate(AWKWARD)]
    write_rows(path, ["audio", "text"], rows)
    assert [dict(row.cells) for row in read_table(path).rows] == rows


@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.jsonl"])
def test_records_survive_writing_and_reading(tmp_path, name):
    path = tmp_path / name
    pairs = [
        Pair(audio="a.wav", text="x, y", system="tango", subset="synthetic", split="test"),
        Pair(audio="b.wav", text="z", pair_id="mine"),
    ]
    write_records(path, pairs, record_type=Pair)
    assert read_pairs(path) == pairs
    targets = [
        Target(audio="a", text="x", target=1 / 3, mos=10 / 3, n=3, standard_error=0.1),
        Target(audio="b", text="x", target=0.0, mos=0.0, n=1, kind="anchor", split="train"),
    ]
    write_records(path, targets, record_type=Target)
    assert repr(read_targets(path)) == repr(targets)
    scores = [
        Score(audio="a", text="x", score=-0.1234567890123, signature="s|1"),
        Score(
            audio="c", text="x", score=0.5, rating=7.5, rating_error=1.1, rating_covers="natural"
        ),
        Score(audio="b", text="x", score=math.nan, error="no such file"),
    ]
    write_records(path, scores, record_type=Score)
    assert repr(read_scores(path)) == repr(scores)


def test_a_score_table_without_the_error_of_its_ratings_reads(tmp_path):
    (tmp_path / "t.csv").write_text("audio,text,score,rating\na,x,0.5,7\n")
    (score,) = read_scores(tmp_path / "t.csv")
    assert score.rating == 7.0
    assert math.isnan(score.rating_error)


def test_numpy_numbers_are_written_as_numbers(tmp_path):
    write_rows(tmp_path / "t.csv", ["x", "n"], [{"x": np.float64(0.5), "n": np.int64(3)}])
    assert (tmp_path / "t.csv").read_text() == "x,n\n0.5,3\n"


def test_undefined_numbers_are_empty_cells_or_null(tmp_path):
    rows = [{"x": math.nan, "y": None}]
    write_rows(tmp_path / "t.csv", ["x", "y"], rows)
    write_rows(tmp_path / "t.jsonl", ["x", "y"], rows)
    assert (tmp_path / "t.csv").read_text() == "x,y\n,\n"
    assert json.loads((tmp_path / "t.jsonl").read_text()) == {"x": None, "y": None}


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        ("", "t.csv", "t.csv: is empty"),
        ("\n", "t.csv", "t.csv:1: the first line must name the columns"),
        ("audio,text\n", "t.csv", "t.csv: has no rows"),
        ("a,a\n1,2\n", "t.csv", "t.csv:1: column 'a' appears twice"),
        ("a,b\n1\n", "t.csv", "t.csv:2: 1 cells where the header has 2"),
        ("a,b\n1,2,3\n", "t.csv", "a comma in a text needs quotes around the text"),
        ('a,b\n1,"2\n', "t.csv", "t.csv:2: broken CSV"),
        ('a,b\n1,"2"3\n', "t.csv", "t.csv:2: broken CSV"),
        (b"a,b\n1,\xff\n", "t.csv", "t.csv: not UTF-8 text"),
        ("", "t.jsonl", "t.jsonl: has no rows"),
        ('{"a": 1}\n{"a": \n', "t.jsonl", "t.jsonl:2: not JSON"),
        ("[1, 2]\n", "t.jsonl", "t.jsonl:1: each line must be a JSON object"),
    ],
)
def test_a_broken_table_is_refused_with_file_and_line(tmp_path, content, name, message):
    with pytest.raises(TableError) as caught:
        read_table(table(tmp_path, content, name))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("read", "text", "message"),
    [
        (read_pairs, "audio,caption\na,b\n", "t.csv:1: missing column 'text'; the table has"),
        (read_pairs, "audio,text\na,x\nb,y\na,x\n", "is already on line 2"),
        (read_pairs, "audio,text,pair_id\na,x,1\nb,y,1\n", "t.csv:3: pair '1' is already"),
        (read_pairs, "audio,text\n ,x\n", "t.csv:2: column 'audio' is empty"),
        (read_pairs, "audio,text,subset\na,x,speech\n", "t.csv:2: subset is 'speech'; expected"),
        (
            read_targets,
            "audio,text,target,mos,n\na,x,7.5,7.5,3\n",
            "t.csv:2: target 7.5 is outside",
        ),
        (read_targets, "audio,text,target,mos,n\na,x,.5,5,1.5\n", "t.csv:2: column 'n' is 1.5"),
        (read_targets, "audio,text,target,mos,n\na,x,.5,5,0\n", "t.csv:2: n is 0; a target needs"),
        (read_targets, "audio,text,target,mos,n\na,x,.5,nan,1\n", "expected a finite number"),
        (read_scores, "audio,text,score,rating_error\na,x,1,0\n", "t.csv:2: rating_error is 0"),
        (read_scores, "audio,text,score\na,x,\n", "t.csv:2: column 'score' is empty"),
        (read_scores, "audio,text,score\na,x,high\n", "t.csv:2: column 'score' is 'high'"),
        (read_scores, "audio,text,score\na,x,inf\n", "t.csv:2: column 'score' is 'inf'"),
    ],
)
def test_a_typed_table_says_what_is_wrong_and_where(tmp_path, read, text, message):
    with pytest.raises(TableError) as caught:
        read(table(tmp_path, text))
    assert message in str(caught.value)


def test_a_failure_while_writing_leaves_the_old_file_and_nothing_else(tmp_path):
    path = table(tmp_path, "old")

    def rows():
        yield {"a": 1}
        raise RuntimeError("halfway")

    with pytest.raises(RuntimeError, match="halfway"):
        write_rows(path, ["a"], rows())
    assert path.read_text() == "old"
    assert names_in(tmp_path) == ["t.csv"]


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = table(tmp_path, "old")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left on device"):
        write_rows(path, ["a"], [{"a": 1}])
    assert path.read_text() == "old"
    assert names_in(tmp_path) == ["t.csv"]


def test_a_link_keeps_pointing_to_its_file(tmp_path):
    target = table(tmp_path, "old", "real.csv")
    (tmp_path / "link.csv").symlink_to(target)
    write_rows(tmp_path / "link.csv", ["a"], [{"a": 1}])
    assert (tmp_path / "link.csv").is_symlink()
    assert target.read_text() == "a\n1\n"


def test_a_new_file_has_ordinary_rights_and_its_folder_is_made(tmp_path):
    path = tmp_path / "new" / "t.csv"
    previous = os.umask(0o022)
    try:
        write_rows(path, ["a"], [{"a": 1}])
    finally:
        os.umask(previous)
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_rows_are_made_anew_and_may_be_taken_by_place_or_slice(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text('audio,text\na.wav,"one\nline"\nb.wav,two\nc.wav,three\n', encoding="utf-8")
    rows = read_table(path).rows
    assert [(row.line, row.text("audio")) for row in rows] == [
        (2, "a.wav"),
        (4, "b.wav"),
        (5, "c.wav"),
    ]
    assert rows[-1] == list(rows)[2]
    assert rows[1:] == tuple(list(rows)[1:])
    with pytest.raises(IndexError):
        rows[3]


def test_a_column_that_begins_late_is_empty_before(tmp_path, monkeypatch):
    monkeypatch.setattr("humanclap.formats._ROWS_AT_ONCE", 2)
    path = tmp_path / "t.jsonl"
    path.write_text('{"a": 1}\n{"a": 2}\n{"a": 3, "b": [1]}\n', encoding="utf-8")
    table = read_table(path)
    assert table.columns == ("a", "b")
    assert list(table.column("b")) == ["", "", "[1]"]
    assert table.rows[2].others == {"b": "a list"}
    assert not table.rows[0].others


def test_corrupt_gzip_is_named(tmp_path):
    path = tmp_path / "t.csv.gz"
    data = bytearray(gzip.compress(b"audio,text\n" + b"a.wav,rain\n" * 2000))
    data[20:30] = b"\xff" * 10
    path.write_bytes(bytes(data))
    with pytest.raises(TableError, match="damaged gzip"):
        read_table(path)
