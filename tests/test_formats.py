from __future__ import annotations

import gzip
import io
import json
from pathlib import Path

import pytest

from humanclap.errors import InputError, MissingExtraError, TableError
from humanclap.formats import check_output, suffix_of, table_format
from humanclap.records import Pair
from humanclap.tables import (
    read_manifest,
    read_pairs,
    read_scores,
    read_table,
    write_records,
    write_rows,
)

PAIRS = [
    Pair(audio="a.wav", text="rain; wind, hail", system="tango"),
    Pair(audio="b.wav", text="a dog", pair_id="mine"),
]
ROWS = [{"audio": "a.wav", "text": "rain"}, {"audio": "b.wav", "text": "wind"}]


def cells(path: Path) -> list[dict[str, str]]:
    return [dict(row.cells) for row in read_table(path).rows]


@pytest.mark.parametrize(
    "name", ["t.json", "t.csv.gz", "t.tsv.gz", "t.jsonl.gz", "t.json.gz", "t.JSON", "t.ndjson"]
)
def test_a_table_is_written_and_read_in_the_format_of_its_name(tmp_path, name):
    write_records(tmp_path / name, PAIRS, record_type=Pair)
    assert read_pairs(tmp_path / name) == PAIRS


def test_a_json_file_holds_an_array_and_a_gz_file_what_gunzip_reads(tmp_path):
    write_rows(tmp_path / "t.json", ["x"], [{"x": 0.5}, {"x": None}])
    write_rows(tmp_path / "t.csv.gz", ["x"], [{"x": 0.5}])
    assert json.loads((tmp_path / "t.json").read_text()) == [{"x": 0.5}, {"x": None}]
    with gzip.open(tmp_path / "t.csv.gz", "rt") as file:
        assert file.read() == "x\n0.5\n"


def test_parquet_is_written_and_read_where_pyarrow_is(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    write_records(tmp_path / "t.parquet", PAIRS, record_type=Pair)
    assert parquet.read_table(tmp_path / "t.parquet").to_pylist()[0]["text"] == PAIRS[0].text
    assert read_pairs(tmp_path / "t.parquet") == PAIRS
    (tmp_path / "bad.parquet").write_text("audio,text\n")
    with pytest.raises(TableError, match="not a Parquet table"):
        read_table(tmp_path / "bad.parquet")
    pyarrow = pytest.importorskip("pyarrow")
    twice = pyarrow.Table.from_arrays([pyarrow.array([1])] * 2, names=["audio", "audio"])
    parquet.write_table(twice, tmp_path / "twice.parquet")
    with pytest.raises(TableError, match="column 'audio' appears twice"):
        read_table(tmp_path / "twice.parquet")


def test_parquet_without_pyarrow_is_refused_with_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises((MissingExtraError, ModuleNotFoundError)):
        check_output(tmp_path / "t.parquet")


@pytest.mark.parametrize("name", ["x.xlsx", "x.txt", "x.parquet.gz", "x.csv.zip"])
def test_a_name_of_no_table_format_is_refused_before_anything_is_written(tmp_path, name):
    with pytest.raises(InputError, match="a table cannot be written as"):
        write_rows(tmp_path / name, ["x"], [{"x": 1}])
    assert list(tmp_path.iterdir()) == []


def test_a_name_without_suffix_is_csv(tmp_path):
    write_rows(tmp_path / "scores", ["x"], [{"x": 1}])
    assert (tmp_path / "scores").read_text() == "x\n1\n"
    assert (table_format("a.b/scores"), table_format("scores.gz")) == ("csv", "csv")
    assert suffix_of("scores.CSV.gz") == ".csv.gz"


def test_a_spreadsheet_is_refused_with_the_remedy(tmp_path):
    (tmp_path / "t.xlsx").write_bytes(b"PK\x03\x04")
    with pytest.raises(TableError, match="save it as CSV"):
        read_table(tmp_path / "t.xlsx")


def test_a_dash_is_standard_output(capsys):
    write_rows("-", ["x"], [{"x": 1}])
    assert capsys.readouterr().out == "x\n1\n"
    assert not Path("-").exists()


@pytest.mark.parametrize(
    "content",
    [
        "audio,text\na.wav,rain\nb.wav,wind\n",
        "audio;text\r\na.wav;rain\r\nb.wav;wind\r\n",
        '{"audio": "a.wav", "text": "rain"}\n{"audio": "b.wav", "text": "wind"}\n',
        '[{"audio": "a.wav", "text": "rain"},\n {"audio": "b.wav", "text": "wind"}]',
    ],
)
def test_a_dash_is_standard_input_in_the_format_it_begins_with(monkeypatch, content):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content.encode())))
    assert cells(Path("-")) == ROWS
    assert cells(Path("-")) == ROWS  # a table is looked at twice by some commands


@pytest.mark.parametrize(
    "content",
    [
        "audio;text\na.wav;rain\nb.wav;wind\n",
        "audio\ttext\na.wav\train\nb.wav\twind\n",
        "sep=;\naudio;text\na.wav;rain\nb.wav;wind\n",
        "audio,text,,\na.wav,rain,,\n,,,\nb.wav,wind,,\n\n,,,\n",
        "audio,text\na.wav,rain,,\nb.wav,wind,,\n",
        'audio;"a, text"\n'.replace("a, text", "text") + "a.wav;rain\nb.wav;wind\n",
    ],
)
def test_a_table_saved_by_a_spreadsheet_is_read(tmp_path, content):
    (tmp_path / "t.csv").write_text(content)
    assert cells(tmp_path / "t.csv") == ROWS


def test_semicolons_in_the_texts_of_a_comma_table_are_text(tmp_path):
    (tmp_path / "t.csv").write_text("audio,text\na.wav,rain; wind\n")
    assert cells(tmp_path / "t.csv") == [{"audio": "a.wav", "text": "rain; wind"}]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("audio;text\na;b;c\n", "t.csv:2: 3 cells where the header has 2 (cells are separated by"),
        ("audio;text\na;b;c\n", "a semicolon in a text needs quotes"),
        ("audio,text\na,b,c\n", "a comma in a text needs quotes"),
        ("audio,,text\na,b,c\n", "t.csv:1: column 2 has no name"),
        ("audio,text,\na,b,c\n", "t.csv:2: 3 cells where the header has 2"),
        (",,\na,b,c\n", "t.csv:1: the first line must name the columns"),
        ("sep=;\naudio;text\na;b;c\n", "t.csv:3: 3 cells"),
        ("audio;text;score\na;x;0,5\n", "expected a number (with a decimal point, not a comma)"),
    ],
)
def test_a_spreadsheets_faults_are_named(tmp_path, content, message):
    (tmp_path / "t.csv").write_text(content)
    with pytest.raises(TableError) as caught:
        read_scores(tmp_path / "t.csv")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ({"audio": "a", "text": ["rain", "wind"]}, "t.jsonl:2: column 'text' is a list"),
        ({"audio": "a", "text": {"en": "rain"}}, "t.jsonl:2: column 'text' is an object"),
        ({"audio": "a", "text": True}, "t.jsonl:2: column 'text' is true or false"),
        ({"audio": ["a"], "text": "rain"}, "t.jsonl:2: column 'audio' is a list"),
        ({"audio": "a", "text": None}, "t.jsonl:2: column 'text' is empty"),
        ({"audio": "a", "text": "rain", "system": ["x"]}, "column 'system' is a list"),
    ],
)
@pytest.mark.parametrize("suffix", ["jsonl", "json"])
def test_a_cell_that_is_no_text_is_refused_with_its_row(tmp_path, item, message, suffix):
    items = [{"audio": "b", "text": "hail"}, item]
    lines = "\n".join(map(json.dumps, items))
    content = json.dumps(items) if suffix == "json" else lines
    (tmp_path / f"t.{suffix}").write_text(content)
    with pytest.raises(TableError) as caught:
        read_pairs(tmp_path / f"t.{suffix}")
    assert message.replace("jsonl", suffix) in str(caught.value)


def test_a_list_in_a_column_that_nobody_reads_is_no_fault(tmp_path):
    (tmp_path / "t.jsonl").write_text('{"audio": "a", "text": "rain", "tags": ["x", "y"]}\n')
    assert [pair.text for pair in read_pairs(tmp_path / "t.jsonl")] == ["rain"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.json", '{"audio": "a"}', "expected a JSON array of objects"),
        ("t.json", '{"audio": "a"}\n{"audio": "b"}\n', "name it .jsonl"),
        ("t.json", '["a"]', "t.json:1: each item of the array must be a JSON object"),
        ("t.json", "[]", "has no rows"),
        ("t.csv.gz", "audio,text\n", "damaged gzip"),
    ],
)
def test_a_broken_file_is_refused_by_name(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(TableError) as caught:
        read_table(tmp_path / name)
    assert message in str(caught.value)


def test_columns_a_pair_has_no_place_for_are_kept_by_pair(tmp_path):
    (tmp_path / "t.csv").write_text("seed,audio,text,system,prompt_id\n1,a,x,s,p1\n2,b,y,s,\n")
    pairs, further = read_manifest(tmp_path / "t.csv")
    assert [further[pair.pair_id] for pair in pairs] == [
        {"seed": "1", "prompt_id": "p1"},
        {"seed": "2", "prompt_id": ""},
    ]


def test_a_failure_leaves_no_half_of_a_compressed_file(tmp_path):
    def rows():
        yield {"x": 1}
        raise RuntimeError("halfway")

    with pytest.raises(RuntimeError, match="halfway"):
        write_rows(tmp_path / "t.csv.gz", ["x"], rows())
    assert list(tmp_path.iterdir()) == []
